"""A study, its submissions, and what follows from them. No HTTP and no clock in here."""

import math
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from airflow_provider_prolific.emulator.groups import format_datetime
from airflow_provider_prolific.emulator.models import Recruitment
from airflow_provider_prolific.emulator.money import Cost, Rates, shown, whole

#: All statuses of submissions, as the counts name them.
STATUSES = (
    "ACTIVE",
    "APPROVED",
    "AWAITING REVIEW",
    "PARTIALLY APPROVED",
    "REJECTED",
    "RESERVED",
    "RETURNED",
    "SCREENED OUT",
    "TIMED-OUT",
)
#: Those that take a place; the others have made it free again.
TAKING = ("ACTIVE", "APPROVED", "AWAITING REVIEW", "PARTIALLY APPROVED", "RESERVED")
#: Those that may still have to be paid.
OPEN = ("ACTIVE", "AWAITING REVIEW", "RESERVED")
PAID = ("APPROVED", "PARTIALLY APPROVED")
COMPLETE = ("APPROVED", "AWAITING REVIEW", "PARTIALLY APPROVED", "REJECTED", "SCREENED OUT")

NO_CODE = "NOCODE"

#: What a completion code can do to a group.
GROUP_ACTIONS = ("ADD_TO_PARTICIPANT_GROUP", "REMOVE_FROM_PARTICIPANT_GROUP")

MINIMUM_HOURLY_REWARD = 600
_SHORT = ("name", "internal_name", "estimated_completion_time", "total_available_places", "reward")
_LISTED = (
    *("device_compatibility", "peripheral_requirements", "filters", "study_labels", "content_warnings"),
    "completion_codes",
)
_OPTIONAL = ("internal_name", "filter_set_id", "filter_set_version", "naivety_distribution_rate", "metadata")


@dataclass(slots=True, eq=False)
class Study:
    """A study. What is in ``fields`` was sent by somebody, and is named as in the API."""

    id: str
    fields: dict[str, Any]
    workspace_id: str
    project_id: str | None
    rates: Rates
    created_at: float
    recruitment: Recruitment
    #: What somebody has set: UNPUBLISHED, SCHEDULED, PUBLISHING, ACTIVE, PAUSED or STOPPED. The status that is shown
    #: follows from this and from the submissions.
    phase: str = "UNPUBLISHED"
    #: Shown instead of the status that follows from the phase; only control calls and the seed set it.
    forced_status: str | None = None
    stopped_status: str = "AWAITING REVIEW"
    published_at: float | None = None
    publish_at: float | None = None
    submissions: "dict[str, Submission]" = field(default_factory=dict)
    people: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    rewards: Cost = field(default_factory=Cost)  # paid so far
    bonuses: Cost = field(default_factory=Cost)
    is_expecting: bool = False  # the next person's arrival is planned
    schedule: int = 0  # which schedule of arrivals is in force
    invited: list[str] = field(default_factory=list)  # who is on the allowlist and was not asked yet, the next one last

    @property
    def places(self) -> int:
        """How many people are wanted."""
        return int(self.fields["total_available_places"])

    @property
    def free_places(self) -> int:
        """How many more may start; negative if somebody came back after the place was taken."""
        return self.places - sum(self.counts[status] for status in TAKING)

    @property
    def open_count(self) -> int:
        """How many submissions may still have to be paid."""
        return sum(self.counts[status] for status in OPEN)

    @property
    def status(self) -> str:
        """The status as the API shows it."""
        if self.forced_status is not None:
            return self.forced_status
        if self.phase == "STOPPED":
            return self.stopped_status if self.open_count else "COMPLETED"
        if self.phase == "ACTIVE" and self.free_places <= 0:
            return "AWAITING REVIEW" if self.open_count else "COMPLETED"
        return self.phase

    @property
    def is_recruiting(self) -> bool:
        """Whether the next person may start."""
        return self.phase == "ACTIVE" and self.free_places > 0

    @property
    def is_draft(self) -> bool:
        """Whether it was never published."""
        return self.phase in ("UNPUBLISHED", "SCHEDULED")

    @property
    def has_codes(self) -> bool:
        """Whether people have a code to enter, or need none; without it a study cannot be published."""
        return any(self.fields.get(name) for name in ("completion_codes", "completion_code", "data_collection_method"))

    @property
    def cost_of_a_place(self) -> Cost:
        """What one approved submission costs."""
        return self.rates.cost(self.fields["reward"])

    @property
    def locked(self) -> Decimal:
        """How much of the wallet is set aside for it."""
        if self.is_draft:
            return Decimal()
        places = self.open_count
        if self.phase != "STOPPED":
            places = max(places, self.places - sum(self.counts[status] for status in PAID))
        return self.cost_of_a_place.total * places

    def add(self, submission: "Submission") -> None:
        """Add a new submission."""
        self.submissions[submission.id] = submission
        self.people[submission.participant_id] += 1
        self.counts[submission.status] += 1

    def move(self, submission: "Submission", status: str) -> None:
        """Give a submission another status."""
        self.counts[submission.status] -= 1
        self.counts[status] += 1
        submission.status = status

    def code_entered(self, code: str | None) -> dict[str, Any] | None:
        """Return the completion code with this text."""
        return next((each for each in self.fields.get("completion_codes", []) if each["code"] == code), None)

    def code_of_people(self, share: float) -> str | None:
        """Return the code that a person enters; a random number between 0 and 1 decides."""
        for code, portion in self.recruitment.code_shares.items():
            share -= portion
            if share < 0:
                return code
        codes = [each for each in self.fields.get("completion_codes", []) if each["actor"] == "participant"]
        codes.sort(key=lambda each: each["code_type"] != "COMPLETED")
        return codes[0]["code"] if codes else None

    def feeder_codes(self) -> dict[str, list[dict[str, Any]]]:
        """Return the codes that change groups, by the group's id, as a group shows them."""
        feeders: dict[str, list[dict[str, Any]]] = {}
        for code in self.fields.get("completion_codes", []):
            for action in code["actions"]:
                if action["action"] in GROUP_ACTIONS:
                    shown_code = {"code": code["code"], "code_type": code["code_type"], "action": action["action"]}
                    feeders.setdefault(action["participant_group"], []).append(shown_code)
        return feeders

    def counts_json(self) -> dict[str, int]:
        """Return how many submissions there are in each status, and in all."""
        return {status: self.counts[status] for status in STATUSES} | {"TOTAL": len(self.submissions)}

    def as_feeder(self) -> dict[str, Any]:
        """Return it as a group shows it."""
        name = self.fields["name"]
        internal_name = self.fields.get("internal_name") or name
        return {"id": self.id, "name": name, "internal_name": internal_name, "status": self.status}

    def as_row(self) -> dict[str, Any]:
        """Return it as listings show it."""
        moments = {"published_at": self.published_at, "publish_at": self.publish_at}
        return {
            "id": self.id,
            **{name: self.fields.get(name) for name in _SHORT},
            "status": self.status,
            "study_type": "SINGLE",
            "places_taken": len(self.submissions) - self.counts["TIMED-OUT"] - self.counts["RETURNED"],
            "number_of_submissions": len(self.submissions),
            "total_cost": whole((self.cost_of_a_place * self.places).total),
            "date_created": format_datetime(self.created_at),
            **{name: None if at is None else format_datetime(at) for name, at in moments.items()},
            "credential_pool_id": None,
            "is_ready_to_publish": self.is_draft and self.has_codes,
        }

    def as_detail(self) -> dict[str, Any]:
        """Return it as it is shown alone, with what production adds to the documented fields."""
        minutes = self.fields["estimated_completion_time"]
        hourly_reward = self.fields["reward"] * 60 / minutes
        longest = math.ceil(2 + 2 * minutes + 2 * math.sqrt(minutes))
        taken = sum(self.counts[status] for status in TAKING)
        return {
            "external_study_url": "",
            "maximum_allowed_time": longest,
            **{name: [] for name in _LISTED},
            **dict.fromkeys(_OPTIONAL),
            "submissions_config": {"max_submissions_per_participant": 1, "max_concurrent_submissions": -1},
            **self.fields,
            **self.as_row(),
            "workspace": self.workspace_id,
            "project": self.project_id,
            "currency_code": self.rates.currency_code,
            "fees_percentage": float(self.rates.fees_percentage),
            "vat_percentage": float(self.rates.vat_percentage),
            "average_reward_per_hour": round(hourly_reward, 2),
            "is_underpaying": hourly_reward < MINIMUM_HOURLY_REWARD,
            "progress_percentage": min(100, round(100 * taken / self.places)),
            "has_credentials": False,
        }


@dataclass(slots=True, eq=False)
class Submission:
    """One person's way through one study."""

    id: str
    study: Study
    participant_id: str
    started_at: float
    status: str = "ACTIVE"
    completed_at: float | None = None
    study_code: str | None = None
    is_complete: bool = False
    return_requested: float | None = None
    bonus_payments: list[Decimal] = field(default_factory=list)

    def finish(self, at: float, code: str | None) -> None:
        """Note that the person has come to the end."""
        self.completed_at, self.study_code, self.is_complete = at, code, True

    def _shared(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": self.status,
            "started_at": format_datetime(self.started_at),
            "completed_at": _moment(self.completed_at),
            "return_requested": _moment(self.return_requested),
            "bonus_payments": [shown(amount) for amount in self.bonus_payments],
        }

    def as_row(self) -> dict[str, Any]:
        """Return it as listings show it; the reward is in hundredths of hundredths there."""
        return self._shared() | {
            "participant_id": self.participant_id,
            "study_code": self.study_code,
            "has_siblings": self.study.people[self.participant_id] > 1,
            "is_complete": self.is_complete,
            "time_taken": None if self.completed_at is None else round(self.completed_at - self.started_at, 3),
            "reward": self.study.fields["reward"] * 100,
            "strata": {},
            "star_awarded": False,
            # From the addresses set aside for documentation.
            "ip": f"192.0.2.{int(self.id, 16) % 254 + 1}",
        }

    def as_detail(self) -> dict[str, Any]:
        """Return it as it is shown alone: several facts have other names there."""
        return self._shared() | {
            "participant": self.participant_id,
            "entered_code": self.study_code,
            "study_id": self.study.id,
            "parent_study_id": None,
        }


def _moment(epoch: float | None) -> str | None:
    return None if epoch is None else format_datetime(epoch)
