"""A submission: one person's way through one study. No HTTP in here."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.emulator.groups import format_datetime
from airflow_provider_prolific.emulator.money import shown

if TYPE_CHECKING:
    from airflow_provider_prolific.emulator.studies import Study

#: All statuses, as the counts name them.
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


@dataclass(slots=True, eq=False)
class Submission:
    """One person's way through one study."""

    id: str
    study: "Study"
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
