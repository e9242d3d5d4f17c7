"""The gate's arithmetic: which groups have reached their targets, which are short, and which are missing.

Pure: it uses neither Airflow nor HTTP, so the sensor on a worker, the trigger in a triggerer and the tests all judge
with the same code.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from airflow_provider_prolific.arguments import (
    MAX_COUNT,
    check_active,
    check_count,
    check_filter,
    check_group,
    one_of,
)
from airflow_provider_prolific.exceptions import ProlificResponseError, ProlificValueError
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.waiting.group_index import GroupIndex, composed
from airflow_provider_prolific.waiting.wait import Measure, Status, Wait, read_time

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook

check_match = one_of("all", "any")
check_if_missing = one_of("fail", "wait")


class TargetStatus(TypedDict):
    """The status of one target: an entry of the sensor's XCom and of the trigger's event.

    ``id`` and ``participant_count`` are ``None``, and ``name`` is the target's own key, while the group is missing.
    """

    id: str | None
    name: str | None
    participant_count: int | None
    target_count: int
    reached: bool


def check_targets(value: Any, name: str) -> dict[str, int]:
    """Return targets: participant group (id or exact name) to target participant count.

    :raises ProlificValueError: not a mapping, an empty one, or one with a key or a count that cannot be used.
    """
    if not isinstance(value, Mapping) or not value:
        raise ProlificValueError(
            f"{name} must map at least one participant group (id or exact name) to its target count, "
            f"not {shorten(value)}"
        )
    return {
        check_group(key, f"a key of {name}"): check_count(count, f"{name}[{shorten(key)}]")
        for key, count in value.items()
    }


def check_waited_active(value: Any, name: str) -> bool | None:
    """Return which groups to look at.

    :raises ProlificValueError: only deleted groups, which cannot reach a target.
    """
    active = check_active(value, name)
    if active is False:
        raise ProlificValueError(
            f"{name} must not be False: a deleted group never reaches its target, so the wait could not succeed"
        )
    return active


class Gate(Wait):
    """Wait until participant groups reach their target counts.

    :param targets: Participant group (id or exact name) to target count.
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; ``None`` for the connection's default scope.
    :param active: ``True`` to look among live groups, ``None`` also among deleted ones, which reach no target.
    :param match: ``"all"``: every target must be reached; ``"any"``: one is enough.
    :param if_missing: ``"fail"``: a group that is missing or deleted is an error; ``"wait"``: it counts as not reached.
    :raises ProlificValueError: an argument has another value.
    """

    plural: ClassVar[str] = "groups"
    keys: ClassVar[frozenset[str]] = frozenset(TargetStatus.__annotations__)

    def __init__(
        self,
        targets: Mapping[str, int | str],
        filter: Mapping[str, str] | None = None,
        active: bool | str | None = True,
        match: str = "all",
        if_missing: str = "fail",
    ) -> None:
        self.targets = check_targets(targets, "targets")
        self.filter = check_filter(filter, "filter")
        self.active = check_waited_active(active, "active")
        self.match = check_match(match, "match")
        self.if_missing = check_if_missing(if_missing, "if_missing")

    def question(self) -> Hashable:
        """Return what is asked: the groups of a scope."""
        return ("participant groups", *(self.filter or {}).items(), self.active)

    def ask(self, hook: ProlificHook) -> GroupIndex:
        """List the groups of the scope."""
        return GroupIndex.read(hook, self.filter, self.active)

    def judge(self, answer: GroupIndex) -> list[Status]:
        """Compare the targets with the groups of one listing.

        :raises ProlificError: a group is missing or deleted (with ``if_missing="fail"``), a name is shared, or a group
            came without its count.
        """
        return [self._status(key, target, answer) for key, target in self.targets.items()]

    def _status(self, key: str, target: int, groups: GroupIndex) -> Status:
        group = groups.require(key) if self.if_missing == "fail" else groups.find(key)
        if group is None or group.get("is_deleted"):
            return {"id": None, "name": key, "participant_count": None, "target_count": target, "reached": False}
        count = read_count(group)
        return {
            "id": group["id"],
            "name": group["name"],
            "participant_count": count,
            "target_count": target,
            "reached": count >= target,
        }

    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether the statuses are those of these targets, and reach them."""
        if len(statuses) != len(self.targets):
            return False
        reached = []
        for (key, target), status in zip(self.targets.items(), statuses, strict=True):
            count = status["participant_count"]
            is_reached = type(count) is int and count >= target == status["target_count"]
            if key != status["id"] and composed(key) != composed(str(status["name"])):
                return False
            if status["reached"] is not is_reached:
                return False
            reached.append(is_reached)
        return any(reached) if self.match == "any" else all(reached)

    def last_growth(self, hook: ProlificHook, statuses: list[Status]) -> float | None:
        """Return when the last member joined one of the groups that are still short."""
        short = [status["id"] for status in statuses if status["id"] and not status["reached"]]
        joined = [member.get("datetime_created") for group_id in short for member in hook.list_participants(group_id)]
        return max(map(read_time, joined), default=None)

    def measure(self, status: Status) -> Measure:
        """Describe one target: ``'Screened' has 120 of 300 (40%)``."""
        name, count, target = shorten(status["name"]), status["participant_count"], status["target_count"]
        if count is None:
            return Measure(f"{name} does not exist yet (target {target})", None, target)
        return Measure(f"{name} has {count} of {target} ({100 * count // target}%)", count, target)

    def describe_short(self, statuses: Iterable[Status]) -> str:
        """Describe the targets that are not reached."""
        return self.describe(status for status in statuses if not status["reached"])


def read_count(group: Mapping[str, Any]) -> int:
    """Return a group's participant count.

    :raises ProlificResponseError: the count is missing, or is not a whole number.
    """
    count = group.get("participant_count")
    if type(count) is not int or not 0 <= count <= MAX_COUNT:
        raise ProlificResponseError(
            f"participant group {shorten(group['name'])} ({shorten(group['id'])[1:-1]}) came without a "
            f"participant_count: {shorten(count)}"
        )
    return count
