"""What the documents that reach the emulator are made of."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Model(BaseModel):
    """A document that is taken as it is: no value is converted, no unknown field is passed over."""

    model_config = ConfigDict(strict=True, extra="forbid")


def _check_text(text: str) -> str:
    if not text.strip():
        raise ValueError("must be a text that is not empty")
    return text


Text = Annotated[str, AfterValidator(_check_text)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(Model):
    """How the imitated API behaves.

    ``paging``
        ``"full"``, or ``"none"``: all rows at once and no metadata.
    ``max_limit``
        The largest page.
    ``ignore_scope``
        Listings show another workspace's groups.
    ``ignore_active``
        Listings show live and deleted groups, whatever was asked for.
    """

    paging: Literal["full", "none"] = "full"
    max_limit: Annotated[int, Field(ge=1)] = 200
    ignore_scope: bool = False
    ignore_active: bool = False


class GroupFields(Model):
    """A participant group to be made."""

    name: Text
    description: Text | None = None
    workspace_id: Text | None = None
    organisation_id: Text | None = None
    project_id: Text | None = None
    participant_count: Count = 0
    participant_ids: list[Text] = []
    growth_per_second: Rate = 0
    growth_limit: Count | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if [self.workspace_id, self.project_id, self.organisation_id].count(None) < 2:
            raise ValueError("give one of workspace_id, project_id and organisation_id")
        if {"participant_count", "participant_ids"} <= self.model_fields_set:
            raise ValueError("give participant_count or participant_ids, not both")
        return self
