"""A participant group: its members, and how it grows. No HTTP here, and the time is an argument."""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_prolific.emulator.models import MAX_PARTICIPANTS

_OWNERS = ("workspace_id", "organisation_id", "project_id")
_API_FIELDS = ("id", "name", "description", *_OWNERS, "participant_count", "is_deleted")
_PARTICIPANT_ID = re.compile(r"(?!ffff)[0-9a-f]{24}")


def is_known_participant(participant_id: str) -> bool:
    """Tell whether a participant exists: every id of 24 lower-case hex digits that does not begin with ``ffff``."""
    return _PARTICIPANT_ID.fullmatch(participant_id) is not None


def synthetic_participant_id(group_id: str, number: int) -> str:
    """Return the id of a group's made-up member; the same for the same group and number in every run."""
    return "5e" + hashlib.blake2s(f"{group_id}/{number}".encode(), digest_size=11).hexdigest()


def format_datetime(epoch: float) -> str:
    """Write a time as the API does: ISO 8601 in UTC, without a fraction if it is a whole second."""
    return datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None).isoformat() + "Z"


@dataclass(slots=True)
class Group:
    """A participant group with its members.

    Members from the start, and those that growth brings, are only counted until somebody asks for their ids. So a
    hundred thousand groups of hundreds of people cost almost nothing. A new member has the exact time at which it was
    due, even if somebody looks much later.
    """

    id: str
    name: str
    created_at: float
    description: str | None = None
    workspace_id: str | None = None
    organisation_id: str | None = None
    project_id: str | None = None
    is_deleted: bool = False
    is_by_hand: bool = False  # its growth was set by a control call: studies do not change it any more
    growth_per_second: float = 0
    growth_limit: int | None = None
    _origin: float = 0  # growth counts from here: its nth member is due n / growth_per_second later
    _grown: int = 0  # how many growth has brought since then
    _named: int = 0  # how many of those have an id already
    _made_up: int = 0  # synthetic members named so far, so that no two get the same number
    _first_count: int = 0  # the count at creation: reached at created_at
    _founders: int = 0  # members from the start whose ids nobody has asked for yet
    _members: dict[str, float] = field(default_factory=dict)
    _reached: list[float] = field(default_factory=list)  # when the counts above the first one were reached

    @property
    def participant_count(self) -> int:
        """How many members there are, as of the last ``settle``."""
        return self._founders + len(self._members) + self._grown - self._named

    def found(self, count: int, participant_ids: Iterable[str] = ()) -> None:
        """Give a new group its first members."""
        self._founders = self._made_up = count
        self._members = dict.fromkeys(participant_ids, self.created_at)
        self._first_count = self.participant_count
        self._origin = self.created_at

    def members(self) -> dict[str, float]:
        """Return the members' ids with the moments at which they joined, the oldest first."""
        self._name_the_grown()
        if self._founders:
            # They joined on the day before, four in each second: three of four times have a fraction.
            first = math.floor(self.created_at) - 86400
            founders = {
                synthetic_participant_id(self.id, number): first + number / 4 for number in range(1, self._founders + 1)
            }
            self._members = founders | self._members
            self._founders = 0
        return self._members

    @property
    def _room(self) -> int:
        limit = MAX_PARTICIPANTS if self.growth_limit is None else self.growth_limit
        return limit - self.participant_count

    def settle(self, now: float) -> None:
        """Let the members join that are due by now."""
        if not self.growth_per_second or self.is_deleted:
            return
        due = int((now - self._origin) * self.growth_per_second) + 1
        while due > self._grown and self._due_at(due) > now:
            due -= 1
        self._grown += max(0, min(due - self._grown, self._room))

    def _due_at(self, number: int) -> float:
        return self._origin + number / self.growth_per_second

    def next_member_at(self) -> float | None:
        """Return when growth will bring the next member, if it will."""
        if not self.growth_per_second or self.is_deleted or self._room <= 0:
            return None
        return self._due_at(self._grown + 1)

    def set_growth(self, per_second: float, limit: int | None, now: float) -> None:
        """Change the rate and the limit of growth, and count it from now on."""
        self.settle(now)
        self.restart_growth(now)
        self.growth_per_second, self.growth_limit = per_second, limit

    def restart_growth(self, now: float) -> None:
        """Count growth from now on."""
        self._name_the_grown()
        self._origin, self._grown, self._named = now, 0, 0

    def _name_the_grown(self) -> None:
        while self._named < self._grown:
            self._named += 1
            self._join_made_up(self._due_at(self._named))

    def _join_made_up(self, at: float) -> None:
        self._made_up += 1
        self._members[synthetic_participant_id(self.id, self._made_up)] = at
        self._note_count(at)

    def _note_count(self, at: float) -> None:
        while self._first_count + len(self._reached) < self._founders + len(self._members):
            self._reached.append(at)

    def _prepare_change(self, now: float) -> None:
        self.settle(now)
        if self._room <= 0:  # growth goes on from the moment at which there is room again
            self.restart_growth(now)
        self._name_the_grown()

    def join(self, participant_id: str, at: float) -> None:
        """Add one person; this is fast even if there are many members."""
        self._prepare_change(at)
        if participant_id not in self.members():
            self._members[participant_id] = at
            self._note_count(at)

    def add(self, participant_ids: Iterable[str], now: float) -> None:
        """Add those who are not members yet."""
        self.settle(now)
        self.replace([*self.members(), *participant_ids], now)

    def remove(self, participant_ids: Iterable[str], now: float) -> None:
        """Remove those who are members."""
        self.settle(now)
        gone = set(participant_ids)
        self.replace([participant_id for participant_id in self.members() if participant_id not in gone], now)

    def replace(self, participant_ids: Iterable[str], now: float) -> None:
        """Make exactly these the members; existing members keep the time at which they joined."""
        self._prepare_change(now)
        members = self.members()
        self._members = {participant_id: members.get(participant_id, now) for participant_id in participant_ids}
        self._note_count(now)

    def resize(self, participant_count: int, now: float) -> None:
        """Bring the group to a size: add made-up members, or remove the newest."""
        self._prepare_change(now)
        while self.participant_count < participant_count:
            self._join_made_up(now)
        while self.participant_count > participant_count:
            if self._members:
                self._members.popitem()
            else:
                self._founders -= 1

    def reached_at(self, participant_count: int, now: float) -> float | None:
        """Return when the group first had this many members."""
        self.settle(now)
        self._name_the_grown()
        if participant_count <= self._first_count:
            return self.created_at
        position = participant_count - self._first_count - 1
        return self._reached[position] if position < len(self._reached) else None

    def as_json(self) -> dict[str, Any]:
        """Return the group in the API's own fields, as of the last ``settle``, without its feeder studies."""
        return {name: getattr(self, name) for name in _API_FIELDS}
