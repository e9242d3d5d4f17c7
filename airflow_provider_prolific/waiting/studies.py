"""The waits for studies and for their submissions. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from airflow_provider_prolific.arguments import check_count, check_flag, check_id, check_statuses, one_of, optional
from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.text import fold_status, shorten
from airflow_provider_prolific.waiting.wait import Measure, Status, Wait, read_time

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.studies import Study

    #: A study, and the number of its submissions in each status, if one of its waits needs that.
    Answer: TypeAlias = tuple[Study, dict[str, int]]

    # What an author may write in a DAG file for statuses.
    StudyStatusesArgument: TypeAlias = "StudyStatus | Iterable[StudyStatus | XComArg] | XComArg"
    SubmissionStatusesArgument: TypeAlias = "SubmissionStatus | Iterable[SubmissionStatus | XComArg] | XComArg"

#: The statuses in Prolific's spelling; other spellings and new statuses are accepted, too.
StudyStatus: TypeAlias = Literal[
    "UNPUBLISHED", "SCHEDULED", "PUBLISHING", "ACTIVE", "PAUSED", "AWAITING REVIEW", "COMPLETED"
]
SubmissionStatus: TypeAlias = Literal[
    "RESERVED",
    "ACTIVE",
    "AWAITING REVIEW",
    "APPROVED",
    "PARTIALLY APPROVED",
    "REJECTED",
    "RETURNED",
    "SCREENED OUT",
    "TIMED-OUT",
]

#: A study is AWAITING REVIEW while its places are filled: after a return or a time-out it is ACTIVE again.
MOMENTARY_STATUSES = ("AWAITING REVIEW",)
#: Places of the first two are filled again, though a person who has timed out may still come back.
UNCOUNTED_STATUSES = ("TIMED-OUT", "RETURNED", "TOTAL")
check_if_ended = one_of("fail", "return")


def check_counted_statuses(value: Any, name: str) -> list[str]:
    """Return the statuses of submissions that count.

    :raises ProlificValueError: not statuses, or a status whose places are filled again.
    """
    statuses = check_statuses(value, name)
    if uncounted := [status for status in statuses if status in UNCOUNTED_STATUSES]:
        raise ProlificValueError(
            f"{name} must not have {' or '.join(uncounted)}: people whose places are filled again do not count"
        )
    return statuses


class _StudyWait(Wait):
    """The common part of waits for a study. The arguments are those of the sensors."""

    plural: ClassVar[str] = "studies"

    def __init__(self, study_id: str, wait_for_publish: bool, fail_on_paused: bool) -> None:
        self.study_id = check_id(study_id, "study_id")
        self.wait_for_publish = check_flag(wait_for_publish, "wait_for_publish")
        self.fail_on_paused = check_flag(fail_on_paused, "fail_on_paused")

    def question(self) -> Hashable:
        """Return what is asked: one study; an answer with its submissions is the broader one."""
        return ("study", self.study_id)

    def is_of_study(self, statuses: list[Status]) -> bool:
        """Tell whether the only status is that of this study."""
        return [status["id"] for status in statuses] == [self.study_id]

    def check_status(self, study: Study, status: str) -> None:
        """Refuse a study that needs a person before the wait can end, unless the arguments allow that.

        :raises ProlificError: the study is not published, or is paused.
        """
        name = describe_study(study)
        if status == "UNPUBLISHED" and not self.wait_for_publish:
            raise ProlificError(f"{name} is not published: publish it first, or set wait_for_publish=True")
        if status == "PAUSED" and self.fail_on_paused:
            raise ProlificError(f"{name} is paused: start it again, or set fail_on_paused=False to wait for that")

    def warning(self, statuses: list[Status]) -> str | None:
        """Return a warning if the study is paused."""
        [study] = statuses
        if study["status"] != "PAUSED" or self.opens(statuses):
            return None
        return f"study {shorten(study['name'])} is paused: nobody can take part until somebody starts it again"

    def last_growth(self, hook: ProlificHook, statuses: list[Status]) -> float | None:  # noqa: ARG002
        """Return when the last person took a place."""
        starts = [submission.get("started_at") for submission in hook.list_submissions(self.study_id)]
        return max(map(read_time, starts), default=None)


class StudyWait(_StudyWait):
    """Wait until a study is in one of some statuses."""

    _shown = ("id", "name", "internal_name", "status", "total_available_places", "places_taken")
    keys: ClassVar[frozenset[str]] = frozenset(_shown)

    def __init__(
        self,
        study_id: str,
        statuses: Iterable[str] = ("AWAITING REVIEW", "COMPLETED"),
        wait_for_publish: bool = False,
        fail_on_paused: bool = False,
    ) -> None:
        super().__init__(study_id, wait_for_publish, fail_on_paused)
        self.statuses = check_statuses(statuses, "statuses")
        self._seen: str | None = None

    def ask(self, hook: ProlificHook) -> Answer:
        """Read the study."""
        return hook.get_study(self.study_id), {}

    def judge(self, answer: Answer) -> list[Status]:
        """Return the status of the study.

        :raises ProlificError: it is not published or is paused, and the arguments do not allow that.
        """
        study, _ = answer
        status = fold_status(study["status"])
        if status not in self.statuses:
            self.check_status(study, status)
        return [{key: study.get(key) for key in self._shown} | {"status": status}]

    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether it is this study, in one of the statuses."""
        return self.is_of_study(statuses) and statuses[0]["status"] in self.statuses

    def is_over(self, statuses: list[Status]) -> bool:
        """Tell whether the wait is over; a status that may last only for a moment must be seen at two looks."""
        [study] = statuses
        is_momentary = study["status"] in MOMENTARY_STATUSES and study["status"] != self._seen
        self._seen = study["status"]
        return self.opens(statuses) and not is_momentary

    def measure(self, status: Status) -> Measure:
        """Describe the study: ``study 'Screener' is ACTIVE, 12 of 30 places taken``."""
        taken, places = status["places_taken"], status["total_available_places"]
        text = f"study {shorten(status['internal_name'] or status['name'])} is {status['status']}"
        if type(taken) is not int or type(places) is not int:
            return Measure(text)
        return Measure(f"{text}, {taken} of {places} places taken", taken, places)


class SubmissionWait(_StudyWait):
    """Wait until a study has enough submissions that count."""

    breadth: ClassVar[int] = 1
    keys: ClassVar[frozenset[str]] = frozenset(
        ("id", "name", "status", "submission_count", "target_count", "counts", "reached")
    )

    def __init__(
        self,
        study_id: str,
        target_count: int | str | None = None,
        statuses: Iterable[str] = ("AWAITING REVIEW", "APPROVED"),
        if_ended: str = "fail",
        wait_for_publish: bool = False,
        fail_on_paused: bool = False,
    ) -> None:
        super().__init__(study_id, wait_for_publish, fail_on_paused)
        self.target_count = optional(check_count, rendered=True)(target_count, "target_count")
        self.statuses = check_counted_statuses(statuses, "statuses")
        self.if_ended = check_if_ended(if_ended, "if_ended")

    def ask(self, hook: ProlificHook) -> Answer:
        """Read the study before its counts: if it is completed, the counts are final."""
        return hook.get_study(self.study_id), hook.count_submissions(self.study_id)

    def judge(self, answer: Answer) -> list[Status]:
        """Return how many submissions count.

        :raises ProlificError: there are too few, and the study is completed, not published or paused, and the arguments
            do not allow that.
        """
        study, counts = answer
        status = fold_status(study["status"])
        target = self.target_count or study.get("total_available_places")
        if type(target) is not int or target < 1:
            raise ProlificResponseError(
                f"study {shorten(study['id'])} came without total_available_places: {shorten(target)}; set target_count"
            )
        submission_count = sum(counts.get(name, 0) for name in self.statuses)
        reached = submission_count >= target
        if not reached:
            self.check_status(study, status)
            if status == "COMPLETED" and self.if_ended == "fail":
                raise ProlificError(
                    f"{describe_study(study)} is completed with {submission_count} of {target} submissions in "
                    f'{" or ".join(self.statuses)}: no more will come; set if_ended="return" to go on with these'
                )
        return [
            {
                "id": study["id"],
                "name": study.get("name"),
                "status": status,
                "submission_count": submission_count,
                "target_count": target,
                "counts": counts,
                "reached": reached,
            }
        ]

    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether the submissions of this study are enough, or all that will come."""
        if not self.is_of_study(statuses):
            return False
        [study] = statuses
        count, target = study["submission_count"], study["target_count"]
        if type(count) is not int or type(target) is not int or target != (self.target_count or target):
            return False
        is_all = self.if_ended == "return" and study["status"] == "COMPLETED"
        return study["reached"] is (count >= target) and (count >= target or is_all)

    def last_growth(self, hook: ProlificHook, statuses: list[Status]) -> float | None:  # noqa: ARG002
        """Return when the last submission that counts began or was handed in; Prolific has no time of approvals."""
        counted = [
            each for each in hook.list_submissions(self.study_id) if fold_status(each["status"]) in self.statuses
        ]
        times = [each.get("completed_at") or each.get("started_at") for each in counted]
        return max(map(read_time, times), default=None)

    def measure(self, status: Status) -> Measure:
        """Describe the study: ``study 'Screener' (ACTIVE) has 12 of 30 submissions (40%)``."""
        count, target = status["submission_count"], status["target_count"]
        percent = 100 * count // target
        text = f"study {shorten(status['name'])} ({status['status']}) has {count} of {target} submissions ({percent}%)"
        return Measure(text, count, target)


def describe_study(study: Study) -> str:
    """Return the name and the id of a study, for a message."""
    return f"study {shorten(study.get('internal_name') or study.get('name'))} ({shorten(study['id'])[1:-1]})"
