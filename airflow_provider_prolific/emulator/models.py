"""What the documents that reach the emulator are made of."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, model_validator

from airflow_provider_prolific.text import is_storable

# What one call can ask for is bounded, so that none can take all memory.
MAX_GROUPS = 200_000
MAX_PARTICIPANTS = 100_000


class Model(BaseModel):
    """A document that is taken as it is: no value is converted, no unknown field is passed over."""

    model_config = ConfigDict(strict=True, extra="forbid")


def _check_storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return text


def _check_not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must be a text that is not empty")
    return text


AnyText = Annotated[str, Field(max_length=20_000), AfterValidator(_check_storable)]
LongText = Annotated[AnyText, AfterValidator(_check_not_empty)]
Text = Annotated[LongText, Field(max_length=1000)]
Texts = Annotated[list[Text], Field(max_length=MAX_PARTICIPANTS), FailFast()]
AnyTexts = Annotated[list[AnyText], Field(max_length=MAX_PARTICIPANTS), FailFast()]
Whole = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0, le=MAX_PARTICIPANTS)]
Rate = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]


class Settings(Model):
    """How the imitated API behaves; ``EmulatorClient.set`` says what each word means."""

    paging: Literal["full", "count", "links", "bare", "none"] = "full"
    max_limit: Annotated[int, Field(ge=1, le=MAX_GROUPS)] = 200
    past_end: Literal["empty", "404"] = "empty"
    scope_spelling: Literal["both", "flat", "brackets"] = "both"
    ignore_scope: bool = False
    ignore_active: bool = False
    slashless_get: bool = True
    project_owner: bool = True
    empty_description: bool = True
    tell_deleted: bool = True
    empty_success: bool = False


class GroupFields(Model):
    """A participant group to be made."""

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
