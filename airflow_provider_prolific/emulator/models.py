"""The parts of the documents that the emulator receives."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, model_validator

from airflow_provider_prolific.text import is_storable

# What one call can ask for is bounded, so that none can take all memory.
MAX_GROUPS = 200_000
MAX_PARTICIPANTS = 100_000
MAX_STUDIES = 2_000
MAX_SUBMISSIONS = 100_000


class Model(BaseModel):
    """A document that is checked strictly: no value is converted, and an unknown field is an error."""

    model_config = ConfigDict(strict=True, extra="forbid")


def _check_storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return text


def _check_not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must be a text that is not empty")
    return text


def _check_plain(document: Any) -> Any:
    level = [document]
    for _ in range(20):
        for value in level:
            if (isinstance(value, str) and not is_storable(value)) or (
                isinstance(value, float) and not math.isfinite(value)
            ):
                raise ValueError("must not contain NUL, half of a surrogate pair, or what is not a number")
        level = [value for value in level if isinstance(value, list | dict)]
        level = [part for value in level for part in ([*value, *value.values()] if isinstance(value, dict) else value)]
    if level:
        raise ValueError("must not be nested deeper than 20 levels")
    return document


AnyText = Annotated[str, Field(max_length=20_000), AfterValidator(_check_storable)]
LongText = Annotated[AnyText, AfterValidator(_check_not_empty)]
Text = Annotated[LongText, Field(max_length=1000)]
Texts = Annotated[list[Text], Field(max_length=MAX_PARTICIPANTS), FailFast()]
AnyTexts = Annotated[list[AnyText], Field(max_length=MAX_PARTICIPANTS), FailFast()]
Whole = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0, le=MAX_PARTICIPANTS)]
Plain = Annotated[Any, AfterValidator(_check_plain)]
Seconds = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]


class Recruitment(Model):
    """How people take part in a study; ``EmulatorClient.create_study`` describes each field."""

    arrivals_per_second: Rate = 0
    seconds_taken: Seconds = 10
    seconds_to_time_out: Seconds = 20
    seconds_late: Seconds = 20
    returned: Share = 0
    timed_out: Share = 0
    late: Share = 0
    no_code: Share = 0
    code_shares: dict[Text, Share] = {}
    people_seed: Whole = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.returned + self.timed_out + self.late + self.no_code > 1 + 1e-9:
            raise ValueError("the shares must add up to at most 1")
        if sum(self.code_shares.values()) > 1 + 1e-9:
            raise ValueError("code_shares must add up to at most 1")
        return self


class Settings(Model):
    """How the imitated API behaves; ``EmulatorClient.set`` describes each setting."""

    paging: Literal["full", "count", "links", "bare", "none"] = "full"
    max_limit: Annotated[int, Field(ge=1, le=MAX_GROUPS)] = 200
    past_end: Literal["usual", "empty", "404"] = "usual"
    next_on_last_page: bool = False
    page_overlap: Annotated[int, Field(ge=0, le=19)] = 0
    scope_spelling: Literal["both", "flat", "brackets"] = "both"
    unknown_scope: Literal["refused", "empty"] = "refused"
    ignore_scope: bool = False
    ignore_active: bool = False
    slashless_get: bool = True
    project_owner: bool = True
    empty_description: bool = True
    tell_deleted: bool = True
    empty_success: bool = False
    people: Recruitment = Recruitment(arrivals_per_second=1)
    ignore_state: bool = True
    study_required: bool = True
    clone_internal_name: Literal["same", "copy"] = "same"
    delete_status: Literal[200, 204] = 200
    publishing_seconds: Seconds = 1
    no_funds: Literal["140007", "named", "later"] = "140007"
    repeated_transition: Literal["refused", "ignored"] = "refused"
    after_reject: Literal["ACTIVE", "AWAITING REVIEW", "PAUSED"] = "ACTIVE"
    stopped_status: Literal["AWAITING REVIEW", "COMPLETED"] = "AWAITING REVIEW"
    reopen_stopped: bool = True
    late_members: bool = True
    late_return: Literal["always", "if_free"] = "always"
    approval_seconds: Seconds = 1
    bulk_approve_others: Literal["skip", "refuse"] = "skip"
    bonus_seconds: Seconds = 1
    bonus_expiry_seconds: Seconds | None = None
    repeated_pay: Literal["pays", "refused"] = "pays"
    screen_out_as_bonus: bool = False
    contention: bool = False


class GroupFields(Model):
    """A participant group to be created."""

    name: Text
    description: AnyText | None = None
    workspace_id: Text | None = None
    organisation_id: Text | None = None
    project_id: Text | None = None
    participant_count: Count = 0
    participant_ids: Texts = []
    growth_per_second: Rate = 0
    growth_limit: Count | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if [self.workspace_id, self.project_id, self.organisation_id].count(None) < 2:
            raise ValueError("give one of workspace_id, project_id and organisation_id")
        if {"participant_count", "participant_ids"} <= self.model_fields_set:
            raise ValueError("give participant_count or participant_ids, not both")
        return self
