"""What the emulator knows, and how it changes with calls and with time. No HTTP in here.

Time enters as an argument or by the clock given to `State`. A growing group is brought up to date when somebody
looks at it: each new member carries the exact moment at which it was due, however late the look comes.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_prolific.emulator.seed import DEFAULT_SETTINGS, Seed, check_seed

UNKNOWN_PARTICIPANT = 140003
_PARTICIPANT_ID = re.compile(r"(?!ffff)[0-9a-f]{24}")


class ApiError(Exception):
    """An answer other than success, as the API words it.

    :param status: HTTP status.
    :param detail: what is wrong: a text, or ``{"field": ["problem", ...]}``.
    :param error_code: Prolific's own number for it; only 140003 (unknown participant) is known from real answers,
        and without one the answer carries a number made from the status.
    """

    def __init__(self, status: int, detail: str | dict[str, list[str]], error_code: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.error_code = error_code


def not_found() -> ApiError:
    """Return the answer for what doesn't exist and for what the token may not see: they look the same."""
    return ApiError(404, "Nothing with this id is visible to your token.")


def invalid(**problems: str) -> ApiError:
    """Return a validation error: one problem for each field named."""
    return ApiError(400, {name: [problem] for name, problem in problems.items()})


def is_known_participant(participant_id: str) -> bool:
    """Tell whether a participant exists: every id of 24 lower-case hex digits that doesn't begin with ``ffff``."""
    return _PARTICIPANT_ID.fullmatch(participant_id) is not None


def synthetic_participant_id(group_id: str, number: int) -> str:
    """Return the id of a group's made-up member; the same for the same group and number in every run."""
    return "5e" + hashlib.blake2s(f"{group_id}/{number}".encode(), digest_size=11).hexdigest()


def format_datetime(epoch: float) -> str:
    """Write a moment as the API does: ISO 8601 in UTC, without a fraction where the second is a whole one."""
    return datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None).isoformat() + "Z"


@dataclass(slots=True)
class Group:
    """A participant group with its members.

    Members that were there from the start are only counted until somebody asks for their ids: a hundred thousand
    groups of hundreds of people cost next to nothing.
    """

    id: str
    name: str
    created_at: float
    description: str | None = None
    workspace_id: str | None = None
    organisation_id: str | None = None
    project_id: str | None = None
    is_deleted: bool = False
    feeder_studies: list[dict[str, Any]] = field(default_factory=list)
    growth_per_second: float = 0
    growth_limit: int | None = None
    growth_origin: float = 0  # growth counts from here: its nth member is due n / growth_per_second later
    grown: int = 0  # members grown since growth_origin
    made_up: int = 0  # synthetic members made so far, so that no two get the same number
    first_count: int = 0  # the count at creation: reached at created_at
    _founders: int = 0  # members from the start whose ids nobody has asked for yet
    _members: dict[str, float] = field(default_factory=dict)
    _reached: list[float] = field(default_factory=list)  # when the counts above the first one were reached

    @property
    def participant_count(self) -> int:
        """How many members there are, as of the last `settle`."""
        return self._founders + len(self._members)

    def found(self, count: int, participant_ids: Iterable[str] = ()) -> None:
        """Give a new group its first members.

        :param count: how many made-up members.
        :param participant_ids: members with ids of their own.
        """
        self._founders = self.made_up = count
        self._members = dict.fromkeys(participant_ids, self.created_at)
        self.first_count = self.participant_count
        self.growth_origin = self.created_at

    def members(self) -> dict[str, float]:
        """Return the members' ids with the moments at which they joined, the oldest first."""
        if self._founders:
            # They joined on the day before, four in a second: three of four moments carry a fraction.
            first = math.floor(self.created_at) - 86400
            founders = {
                synthetic_participant_id(self.id, number): first + number / 4 for number in range(1, self._founders + 1)
            }
            self._members = founders | self._members
            self._founders = 0
        return self._members

    def settle(self, now: float) -> None:
        """Let the members join that growth has made due by now."""
        if not self.growth_per_second or self.is_deleted:
            return
        while self.growth_limit is None or self.participant_count < self.growth_limit:
            due = self.growth_origin + (self.grown + 1) / self.growth_per_second
            if due > now:
                return
            self.grown += 1
            self._join_made_up(due)
        self.restart_growth(now)  # full: growth goes on from the moment at which there is room again

    def restart_growth(self, now: float) -> None:
        """Count growth from now on."""
        self.growth_origin, self.grown = now, 0

    def _join_made_up(self, at: float) -> None:
        self.made_up += 1
        self._members[synthetic_participant_id(self.id, self.made_up)] = at
        self._note_count(at)

    def _note_count(self, at: float) -> None:
        while self.first_count + len(self._reached) < self.participant_count:
            self._reached.append(at)

    def add(self, participant_ids: Iterable[str], now: float) -> None:
        """Take in those who aren't members yet."""
        self.settle(now)
        members = self.members()
        for participant_id in participant_ids:
            members.setdefault(participant_id, now)
        self._note_count(now)

    def remove(self, participant_ids: Iterable[str], now: float) -> None:
        """Take out those who are members."""
        self.settle(now)
        members = self.members()
        for participant_id in participant_ids:
            members.pop(participant_id, None)

    def replace(self, participant_ids: Iterable[str], now: float) -> None:
        """Make these the members, and nobody else; who stays keeps the moment of joining."""
        self.settle(now)
        members = self.members()
        self._members = {participant_id: members.get(participant_id, now) for participant_id in participant_ids}
        self._note_count(now)

    def resize(self, participant_count: int, now: float) -> None:
        """Bring the group to a size by made-up members, or by letting the newest go."""
        self.settle(now)
        while self.participant_count < participant_count:
            self._join_made_up(now)
        while self.participant_count > participant_count:
            if self._members:
                self._members.popitem()
            else:
                self._founders -= 1

    def reached_at(self, participant_count: int, now: float) -> float | None:
        """Tell when the group first had this many members.

        :return: epoch seconds (the group's creation for what it began with), or None where it never had as many.
        """
        self.settle(now)
        if participant_count <= self.first_count:
            return self.created_at
        position = participant_count - self.first_count - 1
        return self._reached[position] if position < len(self._reached) else None

    def as_json(self) -> dict[str, Any]:
        """Return the group in the API's own fields, as of the last `settle`."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "workspace_id": self.workspace_id,
            "organisation_id": self.organisation_id,
            "project_id": self.project_id,
            "participant_count": self.participant_count,
            "is_deleted": self.is_deleted,
            "feeder_studies": self.feeder_studies,
        }


@dataclass(slots=True)
class User:
    """Who a token belongs to, and what that person may see."""

    id: str
    email: str
    first_name: str
    last_name: str
    workspaces: tuple[str, ...]
    organisations: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the user in the API's own fields."""
        return {
            "id": self.id,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "name": f"{self.first_name} {self.last_name}".strip(),
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """What a listing is asked for: ``workspace_id`` or ``project_id``, and its id."""

    field: str
    id: str


class State:
    """Everything the emulator holds.

    :param seed: where to start, see ``seed.toml``.
    :param clock: gives epoch seconds.
    """

    def __init__(self, seed: Seed, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.first_seed = seed
        self.reset(seed)

    def reset(self, seed: Seed | None = None) -> None:
        """Forget everything and begin again.

        :param seed: where to begin; without it, where the emulator began.
        :raises SeedError: when the seed can't be served; nothing has changed then.
        """
        seed = self.first_seed if seed is None else seed
        check_seed(seed)
        self.started_at = self.clock()
        self.settings: dict[str, Any] = DEFAULT_SETTINGS | seed.get("settings", {})
        self.workspaces: dict[str, str] = {entry["id"]: entry["name"] for entry in seed["workspaces"]}
        self.projects: dict[str, str] = {entry["id"]: entry["workspace_id"] for entry in seed.get("projects", [])}
        self.users: dict[str, User] = {}
        self.tokens: dict[str, str] = {}  # token -> id of its user
        self.revoked_tokens: set[str] = set()
        for entry in seed["users"]:
            self.users[entry["id"]] = User(
                id=entry["id"],
                email=entry["email"],
                first_name=entry.get("first_name", ""),
                last_name=entry.get("last_name", ""),
                workspaces=tuple(entry.get("workspaces", [])),
                organisations=tuple(entry.get("organisations", [])),
            )
            self.tokens |= dict.fromkeys(entry["tokens"], entry["id"])
        self.studies: dict[str, dict[str, Any]] = {
            entry["id"]: {
                "id": entry["id"],
                "name": entry["name"],
                "internal_name": entry.get("internal_name", entry["name"]),
                "status": entry["status"],
            }
            for entry in seed.get("studies", [])
        }
        self.messages: list[dict[str, Any]] = []
        self.groups: dict[str, Group] = {}
        self._listings: dict[tuple[Scope, bool | None], list[Group]] = {}
        self._created = 0
        for entry in seed.get("groups", []):
            self._seed_group(entry)

    def _seed_group(self, entry: Mapping[str, Any]) -> None:
        group = Group(
            created_at=self.started_at,
            feeder_studies=[self._feeder_study(feeder) for feeder in entry.get("feeders", [])],
            **{
                name: entry[name]
                for name in (
                    "id",
                    "name",
                    "description",
                    "workspace_id",
                    "project_id",
                    "organisation_id",
                    "growth_per_second",
                    "growth_limit",
                    "is_deleted",
                )
                if name in entry
            },
        )
        group.found(entry.get("participant_count", 0), entry.get("participant_ids", ()))
        self.groups[group.id] = group

    def _feeder_study(self, feeder: Mapping[str, Any]) -> dict[str, Any]:
        code = {
            "code": feeder["code"],
            "code_type": feeder.get("code_type", "COMPLETED"),
            "action": feeder["action"],
        }
        return {**self.studies[feeder["study"]], "feeder_completion_codes": [code]}

    # --- who asks, and what that user may see ---

    def user_of(self, token: str) -> User | None:
        """Return whose token this is; None for a token that is unknown or revoked."""
        if token in self.revoked_tokens or token not in self.tokens:
            return None
        return self.users[self.tokens[token]]

    @property
    def default_token(self) -> str:
        """The first token of the seed, or the one that has taken its place."""
        return next(iter(self.tokens))

    @property
    def default_workspace_id(self) -> str:
        """The first workspace that the default token's user sees, or simply the first."""
        return next(iter((*self.users[self.tokens[self.default_token]].workspaces, *self.workspaces)))

    def rotate_token(self, token: str, new_token: str) -> None:
        """Put a new token in the place of one that was known."""
        self.tokens = {new_token if old == token else old: user_id for old, user_id in self.tokens.items()}

    def _may_see(self, user: User, group: Group) -> bool:
        if group.organisation_id is not None:
            return group.organisation_id in user.organisations
        workspace_id = group.workspace_id
        if workspace_id is None and group.project_id is not None:
            workspace_id = self.projects[group.project_id]
        return workspace_id in user.workspaces

    def group(self, group_id: str, user: User | None = None, *, to_change: bool = False) -> Group:
        """Return a group as it is now.

        :param group_id: its id.
        :param user: who asks; None sees everything.
        :param to_change: refuse a deleted group.
        :raises ApiError: 404.
        """
        group = self.groups.get(group_id)
        if group is None or (user is not None and not self._may_see(user, group)) or (to_change and group.is_deleted):
            raise not_found()
        group.settle(self.clock())
        return group

    def check_scope(self, scope: Scope, user: User) -> None:
        """Refuse a workspace or project that the user can't see.

        :raises ApiError: 404.
        """
        workspace_id = scope.id if scope.field == "workspace_id" else self.projects.get(scope.id)
        if workspace_id not in self.workspaces or workspace_id not in user.workspaces:
            raise not_found()

    # --- listing ---

    def list_groups(self, scope: Scope, active: bool | None, *, ignore_scope: bool = False) -> list[Group]:
        """Return a scope's groups in the order of their creation. Call `Group.settle` on those that are shown.

        :param scope: the workspace or project.
        :param active: only live ones (True), only deleted ones (False), or both (None).
        :param ignore_scope: answer with the groups of another workspace instead.
        """
        if ignore_scope:
            scope = self._another_workspace(scope)
        if self.settings["ignore_active"]:
            active = None
        key = (scope, active)
        if key not in self._listings:
            self._listings[key] = [
                group
                for group in self.groups.values()
                if getattr(group, scope.field) == scope.id and active in (None, not group.is_deleted)
            ]
        return self._listings[key]

    def _another_workspace(self, scope: Scope) -> Scope:
        for group in self.groups.values():
            if group.workspace_id not in (None, scope.id):
                return Scope("workspace_id", str(group.workspace_id))
        return scope

    # --- changes ---

    def create_groups(
        self,
        count: int,
        name: str,
        *,
        description: str | None = None,
        workspace_id: str | None = None,
        organisation_id: str | None = None,
        project_id: str | None = None,
        participant_count: int = 0,
        participant_ids: Iterable[str] = (),
        growth_per_second: float = 0,
        growth_limit: int | None = None,
    ) -> list[Group]:
        """Create groups that differ by name only.

        :param count: how many.
        :param name: ``{number}`` in it becomes 1, 2, 3 ...
        """
        now = self.clock()
        participant_ids = tuple(participant_ids)
        groups = []
        for number in range(1, count + 1):
            self._created += 1
            group = Group(
                id=f"65{self._created:022x}",
                name=name.replace("{number}", str(number)),
                created_at=now,
                description=description,
                workspace_id=workspace_id,
                organisation_id=organisation_id,
                project_id=project_id,
                growth_per_second=growth_per_second,
                growth_limit=growth_limit,
            )
            group.found(participant_count, participant_ids)
            self.groups[group.id] = group
            groups.append(group)
        self._listings.clear()
        return groups

    def set_deleted(self, group: Group, is_deleted: bool) -> None:
        """Delete a group, or bring it back; growth stands still while it is deleted."""
        now = self.clock()
        group.settle(now)
        group.is_deleted = is_deleted
        group.restart_growth(now)
        self._listings.clear()

    def check_participants(self, participant_ids: Iterable[str]) -> None:
        """Refuse ids that no participant has.

        :raises ApiError: 400 with error code 140003.
        """
        unknown = [participant_id for participant_id in participant_ids if not is_known_participant(participant_id)]
        if unknown:
            raise ApiError(
                400, {"participant_ids": [f"No such participant: {', '.join(unknown)}"]}, UNKNOWN_PARTICIPANT
            )

    def send_message(self, user: User, group: Group, body: str, study_id: str | None) -> None:
        """Keep a message to a group's members."""
        self.messages.append(
            {
                "participant_group_id": group.id,
                "body": body,
                "study_id": study_id,
                "sender_id": user.id,
                "recipient_count": group.participant_count,
                "sent_at": self.clock(),
            }
        )
