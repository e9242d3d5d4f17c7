"""The parts of documents about studies: their fields in the API, and how people take part in them."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from airflow_provider_prolific.emulator.models import (
    MAX_PARTICIPANTS,
    AnyText,
    Count,
    Model,
    Plain,
    Recruitment,
    Text,
    Texts,
    Whole,
)
from airflow_provider_prolific.emulator.studies import GROUP_ACTIONS, STATUSES

ACTIONS = (
    "AUTOMATICALLY_APPROVE",
    "MANUALLY_REVIEW",
    "ADD_TO_PARTICIPANT_GROUP",
    "REMOVE_FROM_PARTICIPANT_GROUP",
    "REQUEST_RETURN",
    "FIXED_SCREEN_OUT_PAYMENT",
    "DYNAMIC_PAYMENT",
)


class Body(Model):
    """What a client sends to the API; unknown fields are ignored, as in the real API."""

    model_config = ConfigDict(extra="ignore")


class Action(Body):
    """What happens automatically when a submission has a code."""

    action: Literal[ACTIONS]  # type: ignore[valid-type]
    participant_group: Text | None = None
    return_reason: AnyText | None = None
    fixed_screen_out_reward: Whole | None = None
    slots: Whole | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        needed = {
            "REQUEST_RETURN": ("return_reason",),
            "FIXED_SCREEN_OUT_PAYMENT": ("fixed_screen_out_reward", "slots"),
            **dict.fromkeys(GROUP_ACTIONS, ("participant_group",)),
        }
        for name in needed.get(self.action, ()):
            if getattr(self, name) is None:
                raise ValueError(f"needs {name} with the action {self.action}")
        return self


class CompletionCode(Body):
    """A code that people (or the researcher) enter at the end."""

    code: Text | None
    code_type: Text
    actions: Annotated[list[Action], Field(max_length=100)] = []
    actor: Literal["participant", "researcher"] = "participant"

    def as_json(self) -> dict[str, Any]:
        """Return the code in the API's own fields."""
        actions = [action.model_dump(exclude_none=True) for action in self.actions]
        return {"code": self.code, "code_type": self.code_type, "actions": actions, "actor": self.actor}


class Filter(Body):
    """Who may take a study. Only filters by groups, studies and ids have an effect in the emulator."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Plain] = {}

    filter_id: Text
    selected_values: Annotated[list[Plain], Field(max_length=10_000)] = []


class AccessDetail(Body):
    """One of several addresses of a study."""

    external_url: Text
    total_allocation: Annotated[int, Field(ge=1, le=MAX_PARTICIPANTS)]


class StudyChanges(Body):
    """The fields of a study that a client can set; those that were not sent are not in ``model_fields_set``."""

    name: Text = ""
    internal_name: AnyText | None = None
    description: AnyText = ""
    external_study_url: Text = ""
    prolific_id_option: Literal["question", "url_parameters", "not_required"] = "url_parameters"
    completion_codes: Annotated[list[CompletionCode], Field(max_length=100)] = []
    completion_code: AnyText | None = None
    completion_option: AnyText | None = None
    total_available_places: Annotated[int, Field(ge=1, le=MAX_PARTICIPANTS)] = 1
    estimated_completion_time: Annotated[int, Field(ge=1, lt=2**31)] = 1
    maximum_allowed_time: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    reward: Annotated[int, Field(ge=0, lt=2**31)] = 0
    device_compatibility: Texts = []
    peripheral_requirements: Texts = []
    filters: Annotated[list[Filter], Field(max_length=100)] | None = None
    filter_set_id: Text | None = None
    filter_set_version: Whole | None = None
    naivety_distribution_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    project: Text | None = None
    submissions_config: dict[str, Plain] | None = None
    study_labels: Texts = []
    content_warnings: Texts = []
    content_warning_details: AnyText = ""
    metadata: AnyText | None = None
    privacy_notice: AnyText | None = None
    data_collection_method: Text | None = None
    data_collection_id: Text | None = None
    data_collection_metadata: dict[str, Plain] | None = None
    access_details: Annotated[list[AccessDetail], Field(max_length=100)] | None = None
    publish_at: Text | None = None

    def sent(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        sent = self.model_dump(exclude_unset=True)
        if "completion_codes" in sent:
            sent["completion_codes"] = [code.as_json() for code in self.completion_codes]
        return sent


class NewStudy(StudyChanges):
    """A study to be created."""

    name: Text
    description: AnyText
    prolific_id_option: Literal["question", "url_parameters", "not_required"]
    total_available_places: Annotated[int, Field(ge=1, le=MAX_PARTICIPANTS)]
    estimated_completion_time: Annotated[int, Field(ge=1, lt=2**31)]
    reward: Annotated[int, Field(ge=0, lt=2**31)]


RECRUITMENT_FIELDS = tuple(Recruitment.model_fields)


class StudyFields(StudyChanges, Recruitment):
    """A study that is created without the API: by the seed, or by a control call."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    status: Text = "UNPUBLISHED"
    total_available_places: Annotated[int, Field(ge=1, le=MAX_PARTICIPANTS)] = 100
    estimated_completion_time: Annotated[int, Field(ge=1, lt=2**31)] = 10
    reward: Annotated[int, Field(ge=0, lt=2**31)] = 150
    external_study_url: Text = "https://example.com/study?participant={{%PROLIFIC_PID%}}"
    submissions: dict[Literal[STATUSES], Count] = {}  # type: ignore[valid-type]

    def recruitment(self) -> Recruitment:
        """Return how people take part."""
        return Recruitment(**self.model_dump(include=set(RECRUITMENT_FIELDS)))

    def fields(self) -> dict[str, Any]:
        """Return the fields that the API shows."""
        left_out = {"status", "submissions", *RECRUITMENT_FIELDS}
        sent = {name: value for name, value in self.sent().items() if name not in left_out}
        return {"description": "", "prolific_id_option": "url_parameters", **sent} | {
            name: getattr(self, name)
            for name in ("total_available_places", "estimated_completion_time", "reward", "external_study_url")
        }
