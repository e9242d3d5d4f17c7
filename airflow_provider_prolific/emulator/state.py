"""What the emulator knows, and how it changes with calls and with time. No HTTP in here."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from airflow_provider_prolific.emulator.errors import ApiError, not_found
from airflow_provider_prolific.emulator.groups import Group, is_known_participant
from airflow_provider_prolific.emulator.models import MAX_GROUPS, Settings
from airflow_provider_prolific.emulator.seed import Seed, SeedGroup, User

UNKNOWN_PARTICIPANT = 140003


class Scope(NamedTuple):
    """What a listing is asked for: ``workspace_id`` or ``project_id``, and its id."""

    field: str
    id: str


class State:
    """Everything the emulator holds; ``clock`` gives epoch seconds."""

    def __init__(self, seed: Seed, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.first_seed = seed
        self.reset(seed)

    def reset(self, seed: Seed | None = None) -> None:
        """Forget everything and begin again."""
        seed = self.first_seed if seed is None else seed
        self.started_at = self.clock()
        self.settings: Settings = seed.settings
        self.workspaces: dict[str, str] = {entry.id: entry.name for entry in seed.workspaces}
        self.projects: dict[str, str] = {entry.id: entry.workspace_id for entry in seed.projects}
        self.users: list[User] = seed.users
        self.tokens: dict[str, User] = {token: user for user in seed.users for token in user.tokens}
        self.revoked_tokens: set[str] = set()
        self.studies: dict[str, dict[str, Any]] = {entry.id: entry.as_json() for entry in seed.studies}
        self.messages: deque[dict[str, Any]] = deque(maxlen=1000)
        self.groups: dict[str, Group] = {entry.id: self._group(entry) for entry in seed.groups}
        self._listings: dict[tuple[Scope, bool | None], list[Group]] = {}
        self._created = 0

    def _group(self, entry: SeedGroup) -> Group:
        feeder_studies = [
            {**self.studies[feeder.study], "feeder_completion_codes": [feeder.model_dump(exclude={"study"})]}
            for feeder in entry.feeders
        ]
        fields = entry.model_dump(exclude={"participant_count", "participant_ids", "feeders"})
        group = Group(created_at=self.started_at, feeder_studies=feeder_studies, **fields)
        group.found(entry.participant_count, entry.participant_ids)
        return group

    def user_of(self, token: str) -> User | None:
        """Return whose token this is; None for a token that is unknown or revoked."""
        return None if token in self.revoked_tokens else self.tokens.get(token)

    @property
    def default_token(self) -> str:
        """The first token of the seed, or the one that has taken its place."""
        return next(iter(self.tokens))

    @property
    def default_workspace_id(self) -> str:
        """The first workspace that the default token's user sees, or simply the first."""
        return next(iter((*self.tokens[self.default_token].workspaces, *self.workspaces)))

    def _may_see(self, user: User, group: Group) -> bool:
        if group.organisation_id is not None:
            return group.organisation_id in user.organisations
        workspace_id = group.workspace_id
        if workspace_id is None and group.project_id is not None:
            workspace_id = self.projects[group.project_id]
        return workspace_id in user.workspaces

    def group(self, group_id: str, user: User | None = None, *, to_change: bool = False) -> Group:
        """Return a group as it is now, if this user may see it; None sees everything."""
        group = self.groups.get(group_id)
        if group is None or (user is not None and not self._may_see(user, group)) or (to_change and group.is_deleted):
            raise not_found()
        group.settle(self.clock())
        return group

    def check_scope(self, scope: Scope, user: User) -> None:
        """Refuse a workspace or project that the user cannot see."""
        workspace_id = scope.id if scope.field == "workspace_id" else self.projects.get(scope.id)
        if workspace_id not in self.workspaces or workspace_id not in user.workspaces:
            raise not_found()

    def list_groups(self, scope: Scope, active: bool | None, *, ignore_scope: bool = False) -> list[Group]:
        """Return a scope's groups in the order of their creation. Call ``Group.settle`` on those that are shown."""
        if ignore_scope:
            scope = self._another_workspace(scope)
        if self.settings.ignore_active:
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

    def create_groups(
        self, count: int, name: str, *, participant_count: int = 0, participant_ids: Collection[str] = (), **fields: Any
    ) -> list[Group]:
        """Create groups that differ by name only."""
        if len(self.groups) + count > MAX_GROUPS or count * (len(name) + len(participant_ids)) > 2_000_000:
            raise ApiError(400, f"That is too much: there can be {MAX_GROUPS} groups, and few large ones by one call.")
        now = self.clock()
        groups = []
        for number in range(1, count + 1):
            self._created += 1
            group = Group(f"65{self._created:022x}", name.replace("{number}", str(number)), now, **fields)
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
        """Refuse ids that no participant has."""
        unknown = [participant_id for participant_id in participant_ids if not is_known_participant(participant_id)]
        if unknown:
            problem = f"No such participant: {', '.join(unknown)[:1000]}"
            raise ApiError(400, {"participant_ids": [problem]}, UNKNOWN_PARTICIPANT)
