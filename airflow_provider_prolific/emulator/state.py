"""What the emulator knows, and how it changes with calls and with time. No HTTP in here."""

import json
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_provider_prolific.emulator.errors import ApiError, not_found
from airflow_provider_prolific.emulator.groups import Group, is_known_participant, synthetic_participant_id
from airflow_provider_prolific.emulator.life import Life
from airflow_provider_prolific.emulator.models import MAX_GROUPS, MAX_STUDIES, MAX_SUBMISSIONS, Recruitment
from airflow_provider_prolific.emulator.money import Rates, Wallet
from airflow_provider_prolific.emulator.payments import Payments
from airflow_provider_prolific.emulator.seed import Project, Seed, SeedGroup, User
from airflow_provider_prolific.emulator.studies import STATUSES, Study, Submission
from airflow_provider_prolific.emulator.study_models import StudyFields
from airflow_provider_prolific.emulator.world import World
from airflow_provider_prolific.text import shorten

UNKNOWN_PARTICIPANT = 140003


class Scope(NamedTuple):
    """What a listing is asked for: ``workspace_id`` or ``project_id``, and its id."""

    field: str
    id: str


class State(World):
    """The world, and its changes by calls and time; ``clock`` gives epoch seconds, to which ``advance`` adds."""

    def __init__(self, seed: Seed, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.first_seed = seed
        self.reset(seed)

    def reset(self, seed: Seed | None = None) -> None:
        """Forget everything and begin again."""
        seed = self.first_seed if seed is None else seed
        self._ahead = 0.0
        self.life = Life(self)
        self.started_at = self.now()
        self.settings = seed.settings
        self.workspaces = {entry.id: entry.name for entry in seed.workspaces}
        self.wallets = {entry.id: Wallet(entry.rates(), Decimal(entry.balance)) for entry in seed.workspaces}
        self.payments = Payments(self, self.life)
        self.projects = {entry.id: entry for entry in seed.projects}
        self.filter_sets = {entry.id: entry.as_json() for entry in seed.filter_sets}
        self.users: list[User] = seed.users
        self.tokens: dict[str, User] = {token: user for user in seed.users for token in user.tokens}
        self.revoked_tokens: set[str] = set()
        self.messages: deque[dict[str, Any]] = deque(maxlen=1000)
        self.groups = {entry.id: self._group(entry) for entry in seed.groups}
        self._listings: dict[tuple[Scope, bool | None], list[Group]] = {}
        self._feeders: dict[str, list[tuple[Study, list[dict[str, Any]]]]] | None = None
        self._created = 0
        self.studies = {}
        for entry in seed.studies_with_feeders():
            self.create_study(entry, entry.id)
        for workspace in seed.workspaces:  # what these studies have cost was paid before
            self.wallets[workspace.id].balance = Decimal(workspace.balance)

    def now(self) -> float:
        """Do all that is due, and return the time."""
        now = self._clock() + self._ahead
        self.life.settle(now)
        return now

    def advance(self, seconds: float) -> float:
        """Move the clock forward, and return the new time."""
        self._ahead += seconds
        return self.now()

    def _group(self, entry: SeedGroup) -> Group:
        fields = entry.model_dump(exclude={"participant_count", "participant_ids", "feeders"})
        group = Group(created_at=self.started_at, **fields)
        group.found(entry.participant_count, entry.participant_ids)
        return group

    def user_of(self, token: str) -> User | None:
        """Return whose token this is; None for a token that is unknown or revoked."""
        return None if token in self.revoked_tokens else self.tokens.get(token)

    @property
    def default_token(self) -> str:
        """The first token of the seed, or the one that has replaced it."""
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
            workspace_id = self.projects[group.project_id].workspace_id
        return workspace_id in user.workspaces

    def group(self, group_id: str, user: User | None = None, *, to_change: bool = False) -> Group:
        """Return a group as it is now, if this user may see it; None sees everything."""
        now = self.now()
        group = self.groups.get(group_id)
        if group is None or (user is not None and not self._may_see(user, group)) or (to_change and group.is_deleted):
            raise not_found()
        group.settle(now)
        return group

    def group_json(self, group: Group) -> dict[str, Any]:
        """Return a group in the API's own fields, as it is now."""
        group.settle(self.now())
        if self._feeders is None:
            self._feeders = {}
            for study in self.studies.values():
                for group_id, codes in study.feeder_codes().items():
                    self._feeders.setdefault(group_id, []).append((study, codes))
        feeders = self._feeders.get(group.id, ())
        feeder_studies = [{**study.as_feeder(), "feeder_completion_codes": codes} for study, codes in feeders]
        return group.as_json() | {"feeder_studies": feeder_studies}

    def sees(self, user: User, scope: Scope) -> bool:
        """Tell whether there is such a workspace or project, and the user can see it."""
        project = self.projects.get(scope.id)
        workspace_id = scope.id if scope.field == "workspace_id" else project and project.workspace_id
        return workspace_id in self.workspaces and workspace_id in user.workspaces

    def check_scope(self, scope: Scope, user: User) -> None:
        """Refuse a workspace or project that the user cannot see."""
        if not self.sees(user, scope):
            raise not_found()

    def list_groups(self, scope: Scope, active: bool | None, *, ignore_scope: bool = False) -> list[Group]:
        """Return a scope's groups in the order of their creation."""
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
            raise ApiError(400, f"This is too much: there can be {MAX_GROUPS} groups, few large ones by one call.")
        now = self.now()
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
        """Delete a group, or bring it back; it does not grow while it is deleted."""
        now = self.now()
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

    # --- studies ---

    def study(self, study_id: str, user: User | None = None) -> Study:
        """Return a study as it is now, if this user may see it; None sees everything."""
        self.now()
        study = self.studies.get(study_id)
        if study is None or (user is not None and study.workspace_id not in user.workspaces):
            raise not_found()
        return study

    def submission(self, submission_id: str, user: User | None = None) -> Submission:
        """Return a submission as it is now, if this user may see its study."""
        self.now()
        submission = self.life.submissions.get(submission_id)
        if submission is None or (user is not None and submission.study.workspace_id not in user.workspaces):
            raise not_found()
        return submission

    def studies_of(self, user: User, project_id: str | None = None) -> list[Study]:
        """Return what a user sees of a project's studies, or of all, in the order of their creation."""
        self.now()
        return [
            study
            for study in self.studies.values()
            if study.workspace_id in user.workspaces and project_id in (None, study.project_id)
        ]

    def create_study(self, new: StudyFields, study_id: str | None = None) -> Study:
        """Create a study without the API, in the status that it names."""
        now = self.now()
        study = self.add_study(new.fields(), self.projects.get(new.project or ""), now, new.recruitment(), study_id)
        self.set_status(study, new.status)
        for status, count in new.submissions.items():
            self.add_submissions(study, status, count)
        return study

    def add_study(
        self,
        fields: dict[str, Any],
        project: Project | None,
        now: float,
        recruitment: Recruitment | None = None,
        study_id: str | None = None,
        publish_at: float | None = None,
    ) -> Study:
        """Add a draft; without a project it goes into the first one."""
        if len(self.studies) >= MAX_STUDIES or len(json.dumps(fields)) > 500_000:
            raise ApiError(400, f"This is too much: there can be {MAX_STUDIES} studies, of 500,000 characters each.")
        if project is None:
            project = next(iter(self.projects.values()), None)
        if study_id is None:
            self._created += 1
            study_id = f"65{self._created:022x}"
        study = Study(
            id=study_id,
            fields={name: value for name, value in fields.items() if name not in ("project", "publish_at")},
            workspace_id="",
            project_id=None,
            rates=Rates(),
            created_at=now,
            recruitment=recruitment or self.settings.people,
            publish_at=publish_at,
        )
        self.put_into_project(study, project)
        self.studies[study.id] = study
        self.forget_feeders()
        return study

    def put_into_project(self, study: Study, project: Project | None) -> None:
        """Put a study into a project, whose workspace pays for it."""
        study.project_id = project.id if project else None
        study.workspace_id = project.workspace_id if project else next(iter(self.workspaces))
        study.rates = self.wallets[study.workspace_id].rates

    def forget_feeders(self) -> None:
        """Forget which studies change which groups, because a study or its codes have changed."""
        self._feeders = None

    def set_status(self, study: Study, status: str | None) -> None:
        """Give a study a status; one that no action leads to is only shown. None shows the true one again."""
        now = self.now()
        study.forced_status = None
        if status == "ACTIVE":
            self.life.open(study, now)
        elif status in ("UNPUBLISHED", "SCHEDULED", "PAUSED"):
            study.phase = status
        elif status is not None:
            study.forced_status = status
            if status in ("AWAITING REVIEW", "COMPLETED"):
                self.life.stop(study)

    def add_submissions(self, study: Study, status: str, count: int, **fields: Any) -> list[Submission]:
        """Add submissions of one status, with new people unless there is a ``participant_id``."""
        now = self.now()
        check_submission_status(status)
        if len(self.life.submissions) + count > MAX_SUBMISSIONS:
            raise ApiError(400, f"This is too much: there can be {MAX_SUBMISSIONS} submissions.")
        added = []
        for _ in range(count):
            participant_id = synthetic_participant_id(study.id, len(study.submissions) + 1)
            submission = self.life.new_submission(
                study, participant_id=fields.get("participant_id", participant_id), at=now
            )
            self.life.move(submission, status, now)
            for name, value in fields.items():
                setattr(submission, name, value)
            added.append(submission)
        return added

    def remove_study(self, study: Study) -> None:
        """Remove a study with its submissions."""
        del self.studies[study.id]
        study.phase = "STOPPED"
        for submission_id in study.submissions:
            del self.life.submissions[submission_id]
        self.forget_feeders()


def check_submission_status(status: str) -> None:
    """Refuse a status that no submission has."""
    if status not in STATUSES:
        raise ApiError(400, f"status must be one of {', '.join(STATUSES)}, not {shorten(status)}")
