"""The wait after submissions were sent for approval: until each has settled. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_prolific.arguments import check_id, check_ids
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.text import fold_status, one_line, shorten
from airflow_provider_prolific.waiting.wait import Measure, Status, Wait

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.submissions import Submission

#: A submission that was sent for approval has one of these statuses until it has settled.
PENDING_STATUSES = ("AWAITING REVIEW", "PROCESSING")


class ApprovalWait(Wait):
    """Wait until every submission that was sent for approval has settled.

    :param study_id: The study.
    :param submission_ids: All submissions that were to be approved.
    :param left_out: Those of them that were not sent; the wait ignores whether they have settled.
    """

    plural: ClassVar[str] = "approvals"
    keys: ClassVar[frozenset[str]] = frozenset(("id", "submission_count", "approved_count", "pending_count", "counts"))

    def __init__(self, study_id: str, submission_ids: Iterable[str], left_out: Iterable[str] = ()) -> None:
        self.study_id = check_id(study_id, "study_id")
        self.submission_ids = check_ids(submission_ids, "submission_ids")
        self.left_out = check_ids(left_out, "left_out")

    def question(self) -> Hashable:
        """Return what is asked: the submissions of a study."""
        return ("submissions", self.study_id)

    def ask(self, hook: ProlificHook) -> list[Submission]:
        """List the submissions of the study."""
        return hook.list_submissions(self.study_id)

    def judge(self, answer: list[Submission]) -> list[Status]:
        """Return how many submissions are approved.

        :raises ProlificError: submissions are no longer listed.
        """
        statuses = {each["id"]: fold_status(each["status"]) for each in answer}
        if missing := [each for each in self.submission_ids if each not in statuses]:
            raise ProlificError(f"{len(missing)} of {len(self.submission_ids)} submissions are not listed any more")
        sent = set(self.submission_ids) - set(self.left_out)
        counts = Counter(statuses[each] for each in self.submission_ids)
        return [
            {
                "id": self.study_id,
                "submission_count": len(self.submission_ids),
                "approved_count": counts["APPROVED"],
                "pending_count": sum(statuses[each] in PENDING_STATUSES for each in sent),
                "counts": dict(sorted(counts.items())),
            }
        ]

    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether no submission is pending."""
        [study] = statuses
        return bool(study["id"] == self.study_id and study["pending_count"] == 0)

    def measure(self, status: Status) -> Measure:
        """Describe the approvals: ``study '64c0…' has 12 of 30 submissions approved (40%)``."""
        approved, count = status["approved_count"], status["submission_count"]
        percent = 100 * approved // (count or 1)
        text = f"study {shorten(status['id'])} has {approved} of {count} submissions approved ({percent}%)"
        return Measure(text, approved, count)

    def describe_short(self, statuses: Iterable[Status]) -> str:
        """Describe what has not settled."""
        [study] = statuses
        counts = ", ".join(f"{number} {one_line(status, 50)}" for status, number in study["counts"].items())
        return f"{study['pending_count']} of {study['submission_count']} submissions have not settled ({counts})"
