"""The wait for the publication of a study. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_prolific.arguments import check_flag, check_id, check_text, optional
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.text import fold_status, shorten
from airflow_provider_prolific.waiting.studies import describe_study
from airflow_provider_prolific.waiting.wait import Measure, Status, Wait

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.waiting.studies import Answer

#: A study in one of these has been published.
PUBLISHED_STATUSES = ("ACTIVE", "PAUSED", "AWAITING REVIEW", "COMPLETED")
#: A study counts as a draft only after this number of looks in a row, because a status may lag behind.
DRAFT_LOOKS = 3


class PublishWait(Wait):
    """Wait until a study that is being published is published, or has stayed a draft.

    :param study_id: The study.
    :param asked: Whether the task that waits has requested the publication, not an earlier one or another person.
    :param refusal: Why the request failed, if it did.
    """

    plural: ClassVar[str] = "studies"
    keys: ClassVar[frozenset[str]] = frozenset(("id", "name", "internal_name", "status"))

    def __init__(self, study_id: str, asked: bool = False, refusal: str | None = None) -> None:
        self.study_id = check_id(study_id, "study_id")
        self.asked = check_flag(asked, "asked")
        self.refusal: str | None = optional(check_text)(refusal, "refusal")
        self._drafts = 0

    def question(self) -> Hashable:
        """Return what is asked: the study, as in all waits for it."""
        return ("study", self.study_id)

    def ask(self, hook: ProlificHook) -> Answer:
        """Read the study."""
        return hook.get_study(self.study_id), {}

    def judge(self, answer: Answer) -> list[Status]:
        """Return the status of the study.

        :raises ProlificError: it has been a draft at several looks in a row, or it is scheduled for a later time.
        """
        study, _ = answer
        status = fold_status(study["status"])
        if status == "SCHEDULED":
            raise ProlificError(f"{describe_study(study)} is not published but scheduled by somebody else")
        self._drafts = self._drafts + 1 if status == "UNPUBLISHED" else 0
        if self._drafts >= DRAFT_LOOKS:
            raise ProlificError(f"{describe_study(study)} has not been published: it is still a draft")
        return [{key: study.get(key) for key in self.keys} | {"status": status}]

    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether it is this study, and published."""
        return [(each["id"], each["status"] in PUBLISHED_STATUSES) for each in statuses] == [(self.study_id, True)]

    def measure(self, status: Status) -> Measure:
        """Describe the study: ``study 'Screener' is PUBLISHING``."""
        return Measure(f"study {shorten(status['internal_name'] or status['name'])} is {status['status']}")
