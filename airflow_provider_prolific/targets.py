"""The gate's arithmetic: given groups and targets, who has reached, who is short, who is missing.

Pure: it knows neither Airflow nor HTTP, so the sensor on a worker, the trigger in a triggerer and a test all judge
by the same lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from airflow_provider_prolific.arguments import (
    check_choice,
    check_count,
    check_group,
    check_unless_templated,
    shorten,
)
from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError

MATCHES = ("all", "any")
IF_MISSING = ("fail", "wait")


class TargetStatus(TypedDict):
    """How one target stands: an entry of the sensor's XCom and of the trigger's event.

    ``id`` and ``participant_count`` are ``None``, and ``name`` is the target's own key, while the group is missing.
    """

    id: str | None
    name: str | None
    participant_count: int | None
    target_count: int
    reached: bool


class GroupIndex:
    """The groups of one listing, found by id or by exact name.

    :param groups: Participant groups in the API's own field names.
    """

    __slots__ = ("_by_id", "_by_name")

    def __init__(self, groups: Iterable[Mapping[str, Any]]) -> None:
        self._by_id: dict[str, Mapping[str, Any]] = {}
        self._by_name: dict[str, list[Mapping[str, Any]]] = {}
        for group in groups:
            self._by_id[group["id"]] = group
            self._by_name.setdefault(group["name"], []).append(group)

    def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the group with this id or, failing that, with exactly this name; ``None`` where there is none.

        Live groups go before deleted ones of the same name.

        :raises ProlificError: several groups share the name, so the choice would be a guess.
        """
        if (group := self._by_id.get(key)) is not None:
            return group
        named = self._by_name.get(key, [])
        candidates = [group for group in named if not group.get("is_deleted")] or named
        if len(candidates) > 1:
            ids = ", ".join(sorted(group["id"] for group in candidates))
            raise ProlificError(
                f"{len(candidates)} participant groups are named {shorten(key)}: {ids}. "
                "Name the one that you mean by its id"
            )
        return candidates[0] if candidates else None

    def require(self, key: str) -> Mapping[str, Any]:
        """Return the live group with this id or exact name.

        :raises ProlificError: there is none, it has been deleted, or several share the name.
        """
        group = self.find(key)
        if group is None:
            raise ProlificError(
                f"no participant group has the id or the exact name {shorten(key)} in this scope: "
                "it may have been deleted, or lie in another workspace"
            )
        check_live(group)
        return group


def check_live(group: Mapping[str, Any]) -> None:
    """Refuse a group that has been deleted.

    :raises ProlificError: with its name and id.
    """
    if group.get("is_deleted"):
        raise ProlificError(f"participant group {shorten(group['name'])} ({group['id']}) has been deleted")


@dataclass(frozen=True)
class Verdict:
    """What one look at the groups says: how each target stands, and whether the gate opens."""

    statuses: list[TargetStatus]
    done: bool


@dataclass(frozen=True)
class Gate:
    """Targets and the rule by which they open the gate.

    :param targets: Participant group (id or exact name) to target count, as :func:`parse_targets` returns it.
    :param match: ``"all"``: every target must be reached; ``"any"``: one is enough.
    :param if_missing: ``"fail"``: a group that is missing or deleted is an error; ``"wait"``: it counts as not reached.
    :raises ProlificValueError: ``match`` or ``if_missing`` is none of these.
    """

    targets: Mapping[str, int]
    match: str = "all"
    if_missing: str = "fail"

    def __post_init__(self) -> None:
        check_choice("match", self.match, MATCHES)
        check_choice("if_missing", self.if_missing, IF_MISSING)

    def judge(self, groups: GroupIndex) -> Verdict:
        """Compare the targets with the groups of one listing.

        :raises ProlificError: a group is missing or deleted (with ``if_missing="fail"``), or a name is shared.
        """
        statuses = [self._status(key, target, groups) for key, target in self.targets.items()]
        return Verdict(statuses, self._opens(statuses))

    def _opens(self, statuses: Sequence[TargetStatus]) -> bool:
        reached = [status["reached"] for status in statuses]
        return any(reached) if self.match == "any" else bool(reached) and all(reached)

    def _status(self, key: str, target: int, groups: GroupIndex) -> TargetStatus:
        group = groups.require(key) if self.if_missing == "fail" else groups.find(key)
        if group is None or group.get("is_deleted"):
            return TargetStatus(id=None, name=key, participant_count=None, target_count=target, reached=False)
        count = group["participant_count"]
        return TargetStatus(
            id=group["id"],
            name=group["name"],
            participant_count=count,
            target_count=target,
            reached=count >= target,
        )

    def confirm(self, statuses: Any) -> list[TargetStatus]:
        """Return the statuses that someone else judged, after checking that they open this very gate.

        :param statuses: What arrived as the ``groups`` of a success event.
        :raises ProlificError: they do not: the shape is wrong, they are of other groups or targets, or too few are
            reached.
        """
        if (
            isinstance(statuses, list)
            and len(statuses) == len(self.targets)
            and all(map(_is_status, statuses))
            and all(map(self._fits, self.targets.items(), statuses))
            and self._opens(statuses)
        ):
            return statuses
        raise ProlificError(f"the trigger reports success, but not for these targets: {shorten(statuses, 300)}")

    def _fits(self, target: tuple[str, int], status: TargetStatus) -> bool:
        """Tell whether a status is what judging this target could have brought."""
        key, target_count = target
        count = status["participant_count"]
        if count is None:
            named, reached = status["name"] == key and self.if_missing == "wait", False
        else:
            named, reached = key in (status["id"], status["name"]), count >= target_count
        return named and status["target_count"] == target_count and status["reached"] is reached


def _is_status(status: Any) -> bool:
    """Tell whether something has the shape of a target's status."""
    return (
        isinstance(status, dict)
        and status.keys() == TargetStatus.__annotations__.keys()
        and isinstance(status["id"], (str, type(None)))
        and isinstance(status["name"], str)
        and type(status["participant_count"]) is (type(None) if status["id"] is None else int)
        and type(status["target_count"]) is int
        and type(status["reached"]) is bool
    )


def parse_targets(participant_group: Any, target_count: Any, targets: Any) -> dict[str, int]:
    """Return the targets of a sensor, from either form in which they may be given.

    :param participant_group: One group, by id or exact name, with ``target_count``.
    :param target_count: Its target participant count: a whole number of at least 1, or its text.
    :param targets: Or several: a mapping of id or exact name to target participant count.
    :raises ProlificValueError: both forms or neither, no group, or a count that is not a whole number from 1 upwards.
    """
    _check_form(participant_group, target_count, targets)
    _check_mapping(targets)
    return {
        check_group(key, key_name): check_count(count, count_name)
        for key, key_name, count, count_name in _pairs(participant_group, target_count, targets)
    }


def check_targets(participant_group: Any, target_count: Any, targets: Any) -> None:
    """Refuse, while the DAG is parsed, whatever of a sensor's targets is known by then and bad.

    :raises ProlificValueError: as :func:`parse_targets` does.
    """
    _check_form(participant_group, target_count, targets)
    check_unless_templated(_check_mapping, targets)
    for key, key_name, count, count_name in _pairs(participant_group, target_count, targets):
        check_unless_templated(check_group, key, key_name)
        check_unless_templated(check_count, count, count_name)


def _check_form(participant_group: Any, target_count: Any, targets: Any) -> None:
    if targets is not None and (participant_group is not None or target_count is not None):
        raise ProlificValueError(
            "give either participant_group with target_count, or targets, not both: got participant_group="
            f"{shorten(participant_group)}, target_count={shorten(target_count)}, targets={shorten(targets)}"
        )
    if targets is None and (participant_group is None or target_count is None):
        raise ProlificValueError(
            "give participant_group with target_count, or targets={id or exact name: target count}: got "
            f"participant_group={shorten(participant_group)}, target_count={shorten(target_count)}"
        )


def _check_mapping(targets: Any) -> None:
    if targets is not None and (not isinstance(targets, Mapping) or not targets):
        raise ProlificValueError(
            "targets must map the id or the exact name of at least one participant group to its target count, "
            f"not {shorten(targets)}"
        )


def _pairs(participant_group: Any, target_count: Any, targets: Any) -> Iterator[tuple[Any, str, Any, str]]:
    """Yield each group and its count, with what to call them in a message."""
    if targets is None:
        yield participant_group, "participant_group", target_count, "target_count"
    elif isinstance(targets, Mapping):
        for key, count in targets.items():
            yield key, "a key of targets", count, f"targets[{shorten(key)}]"


def describe(status: TargetStatus) -> str:
    """Return one target's standing in words: ``'Screened' has 120 of 300 (40%)``."""
    name = shorten(status["name"])
    if status["participant_count"] is None:
        return f"{name} does not exist yet (target {status['target_count']})"
    percent = 100 * status["participant_count"] // status["target_count"]
    return f"{name} has {status['participant_count']} of {status['target_count']} ({percent}%)"


def describe_all(statuses: Iterable[TargetStatus]) -> str:
    """Return in words how all targets stand."""
    return "; ".join(map(describe, statuses))


def describe_short(statuses: Iterable[TargetStatus]) -> str:
    """Return in words the targets that are not reached."""
    return describe_all(status for status in statuses if not status["reached"])
