"""The emulator's starting point: read from TOML or JSON, and checked before anything is served."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import FailFast, Field, ValidationError, model_validator

from airflow_provider_prolific.emulator.errors import in_words
from airflow_provider_prolific.emulator.models import (
    MAX_GROUPS,
    MAX_STUDIES,
    GroupFields,
    Model,
    Settings,
    Share,
    Text,
    Texts,
)
from airflow_provider_prolific.emulator.money import Rates
from airflow_provider_prolific.emulator.study_models import Action, CompletionCode, Filter, StudyFields
from airflow_provider_prolific.text import shorten


class SeedError(ValueError):
    """A seed document that cannot be served; the message names the entry and what is wrong with it."""


class _Rated(Model):
    currency_code: Text = "GBP"
    fees_percentage: Share = 0.333333
    vat_percentage: Share = 0.2

    def rates(self) -> Rates:
        """Return what is added to a reward."""
        return Rates(self.currency_code, Decimal(str(self.fees_percentage)), Decimal(str(self.vat_percentage)))


class User(_Rated):
    """Who a token belongs to, and what that person may see."""

    id: Text
    email: Text
    tokens: Texts
    first_name: Text = ""
    last_name: Text = ""
    workspaces: Texts = []
    organisations: Texts = []

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()

    def as_json(self) -> dict[str, Any]:
        """Return the user in the API's own fields."""
        rates = {"currency_code", "fees_percentage", "vat_percentage"}
        return self.model_dump(include={"id", "email", "first_name", "last_name", *rates}) | {"name": self.name}


class _Entry(Model):
    id: Text
    name: Text


class _Workspace(_Entry, _Rated):
    balance: Annotated[int, Field(ge=0, lt=10**12)] = 1_000_000


class Project(_Entry):
    """A project, which belongs to a workspace."""

    workspace_id: Text


class FilterSet(_Entry):
    """A named list of filters, for several studies."""

    workspace_id: Text
    filters: Annotated[list[Filter], FailFast()] = []

    def as_json(self) -> dict[str, Any]:
        """Return the filter set in the API's own fields."""
        return {**self.model_dump(), "version": 1, "is_deleted": False, "is_locked": False, "organisation_id": None}


class _Study(StudyFields):
    id: Text


class _Feeder(Model):
    study: Text
    code: Text
    code_type: Text = "COMPLETED"
    action: Literal["ADD_TO_PARTICIPANT_GROUP", "REMOVE_FROM_PARTICIPANT_GROUP"]


class SeedGroup(GroupFields):
    """A participant group as it is at the start."""

    id: Text
    is_deleted: bool = False
    feeders: Annotated[list[_Feeder], FailFast()] = []


class Seed(Model):
    """Everything that is there at the start; ``seed.toml`` shows every field."""

    users: Annotated[list[User], FailFast()] = []
    workspaces: Annotated[list[_Workspace], FailFast()] = []
    projects: Annotated[list[Project], FailFast()] = []
    filter_sets: Annotated[list[FilterSet], FailFast()] = []
    studies: Annotated[list[_Study], Field(max_length=MAX_STUDIES), FailFast()] = []
    groups: Annotated[list[SeedGroup], Field(max_length=MAX_GROUPS), FailFast()] = []
    settings: Settings = Settings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        workspaces = _ids("workspaces", self.workspaces)
        projects = _ids("projects", self.projects)
        studies = _ids("studies", self.studies)
        users, groups = _ids("users", self.users), _ids("groups", self.groups)
        if not workspaces:
            raise ValueError("workspaces: at least one is needed")
        tokens: set[str] = set()
        for place, user in zip(users.values(), self.users, strict=True):
            _check_known(place, "workspaces", workspaces, user.workspaces)
            for token in user.tokens:
                if token in tokens:
                    raise ValueError(f"{place}: the token {token!r} is used already")
                tokens.add(token)
        if not self.users or not self.users[0].tokens:
            raise ValueError("users: the first one needs a token")
        for place, project in zip(projects.values(), self.projects, strict=True):
            _check_known(place, "workspaces", workspaces, [project.workspace_id])
        for place, filter_set in zip(_ids("filter_sets", self.filter_sets).values(), self.filter_sets, strict=True):
            _check_known(place, "workspaces", workspaces, [filter_set.workspace_id])
        for place, study in zip(studies.values(), self.studies, strict=True):
            _check_known(place, "projects", projects, [study.project])
        for place, group in zip(groups.values(), self.groups, strict=True):
            if group.workspace_id is group.organisation_id is group.project_id is None:
                raise ValueError(f"{place}: give one of workspace_id, project_id and organisation_id")
            _check_known(place, "workspaces", workspaces, [group.workspace_id])
            _check_known(place, "projects", projects, [group.project_id])
            _check_known(f"{place}, feeders", "studies", studies, [feeder.study for feeder in group.feeders])
        return self

    def studies_with_feeders(self) -> list[_Study]:
        """Return the studies, with the completion codes that groups add to their own."""
        studies = {study.id: study.model_copy(deep=True) for study in self.studies}
        for group in self.groups:
            for feeder in group.feeders:
                study = studies[feeder.study]
                action = Action(action=feeder.action, participant_group=group.id)
                code = CompletionCode(code=feeder.code, code_type=feeder.code_type, actions=[action])
                study.completion_codes = [*study.completion_codes, code]
        return list(studies.values())


def _ids(section: str, entries: Sequence[User | _Entry | _Study | SeedGroup]) -> dict[str, str]:
    """Return the entries' ids, each with a description of its place."""
    places: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        name = entry.email if isinstance(entry, User) else entry.name
        place = f"{section}, entry {number} ({shorten(name)})"
        if entry.id in places:
            raise ValueError(f"{place}: the id {entry.id!r} is used already")
        places[entry.id] = place
    return places


def _check_known(place: str, section: str, known: Mapping[str, str], wanted: Iterable[str | None]) -> None:
    for value in wanted:
        if value is not None and value not in known:
            raise ValueError(f"{place}: {value!r} is not among the {section}")


def default_seed() -> dict[str, Any]:
    """Return the document that comes with the package (``seed.toml``)."""
    return tomllib.loads(resources.files(__package__).joinpath("seed.toml").read_text(encoding="utf-8"))


def check_seed(document: object) -> Seed:
    """Return what a document describes, or raise ``SeedError`` with the first problem found."""
    try:
        return Seed.model_validate(document)
    except ValidationError as refused:
        error = refused.errors()[0]
        raise SeedError(in_words("the seed", document, error["loc"], error)) from None


def load_seed(path: str | Path | None, token: str | None = None) -> Seed:
    """Read and check a TOML file (None: the package's own), with this token for the first user, if there is one."""
    try:
        document = default_seed() if path is None else tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SeedError(f"{path} is not a TOML file: {error}") from error
    seed = check_seed(document)
    if token is not None:
        document["users"][0]["tokens"] = [token]
        seed = check_seed(document)
    return seed
