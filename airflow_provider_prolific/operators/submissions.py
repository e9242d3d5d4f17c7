"""Operators for submissions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_prolific.arguments import (
    check_id,
    check_ids,
    check_limit,
    check_statuses,
    one_of,
    optional,
)
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError
from airflow_provider_prolific.operators.base import ProlificOperator
from airflow_provider_prolific.operators.settling import SettlingOperator
from airflow_provider_prolific.text import fold_status, one_line, shorten
from airflow_provider_prolific.waiting.approvals import ApprovalWait
from airflow_provider_prolific.waiting.wait import Status, Wait, read_time

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from airflow_provider_prolific.arguments import NumberArgument, TextArgument
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.submissions import Submission
    from airflow_provider_prolific.waiting.studies import SubmissionStatusesArgument

#: How many submissions Prolific advises to approve in one call.
CHUNK_SIZE = 1000
#: A submission becomes AWAITING REVIEW some seconds after the participant's last page: how often to look until then,
#: and how many seconds apart.
LOOKS = 5
LOOK_SECONDS = 4


class ProlificListSubmissionsOperator(ProlificOperator):
    """List the submissions of a study into XCom.

    .. code-block:: python

        submissions = ProlificListSubmissionsOperator(
            task_id="submissions", study_id="64c000000000000000000001", statuses=["AWAITING REVIEW"]
        )

    Participant ids are personal data, and Airflow stores XComs in its database. If only one task needs the ids, call
    ``ProlificHook.list_submissions`` in that task instead.

    :param study_id: The study.
    :param statuses: Only submissions in these statuses, in any spelling; ``None`` for all.
    :param prolific_conn_id: The Prolific connection.
    :return: All submissions, every page, as a list of dicts, ordered by their start and id: ``id``, ``participant_id``,
        ``status``, ``started_at``, ``completed_at``, ``study_code``, ``return_requested``, ….
    :raises ProlificError: there is no such study, the API refuses, or its answer is not valid.

    API: https://docs.prolific.com/api-reference/submissions/get-submissions
    """

    checks = {"study_id": check_id, "statuses": optional(check_statuses, rendered=True)}

    def __init__(
        self,
        *,
        study_id: TextArgument,
        statuses: SubmissionStatusesArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(study_id=study_id, statuses=statuses)

    def perform(self, hook: ProlificHook, *, study_id: str, statuses: list[str] | None) -> list[Submission]:
        """List the submissions; filter by status here, because the server's own filter is not reliable."""
        submissions = hook.list_submissions(study_id)
        counts = Counter(fold_status(submission["status"]) for submission in submissions)
        listed = [each for each in submissions if statuses is None or fold_status(each["status"]) in statuses]
        self.log.info(
            "Study %s has %d submissions (%s); %d of them are listed",
            study_id,
            len(submissions),
            ", ".join(f"{number} {one_line(status, 50)}" for status, number in sorted(counts.items())) or "none",
            len(listed),
        )
        return sorted(listed, key=lambda submission: (read_time(submission.get("started_at")), submission["id"]))


class ProlificApproveSubmissionsOperator(SettlingOperator):
    """Approve submissions, so Prolific pays these people: each once, even if the task runs again.

    .. code-block:: python

        ProlificApproveSubmissionsOperator(
            task_id="approve",
            study_id="64c000000000000000000001",
            submission_ids=["66a000000000000000000001"],
            max_submissions=200,
        )

    Only submissions that are ``AWAITING REVIEW`` are sent; one that is ``APPROVED`` counts as done. A submission is not
    eligible if it has another status, has a return request, has no completion code (``NOCODE``), or is not complete.
    Prolific accepts the request and acts later: the task waits until each submission has settled.

    :param study_id: The study that all of them must belong to.
    :param submission_ids: The ids of the submissions; with an empty list there is nothing to do.
    :param on_ineligible: For submissions that are not eligible: ``"fail"`` and send nothing, or ``"skip"`` them.
    :param max_submissions: The longest list that is allowed; a longer one is an error, and nothing is sent. ``None``:
        no limit.
    :param timeout: How long to wait at most until all have settled: a ``timedelta``, or seconds.
    :param poke_interval: The time between two looks.
    :param deferrable: Wait in the triggerer; default: Airflow's ``default_deferrable``.
    :param prolific_conn_id: The Prolific connection.
    :return: ``study_id``, ``submission_count`` (of the list), ``approved_count``, ``skipped_count`` and ``counts``
        (status to number).
    :raises ProlificError: a submission is not eligible, belongs to another study, or has not settled in time.

    API: https://docs.prolific.com/api-reference/submissions/bulk-approve-submissions
    """

    trigger_path: ClassVar[str] = "airflow_provider_prolific.triggers.submissions.ProlificApprovalTrigger"
    wait_class: ClassVar[type[Wait]] = ApprovalWait
    returns_dict: ClassVar[bool] = True
    checks = {
        "study_id": check_id,
        "submission_ids": check_ids,
        "on_ineligible": one_of("fail", "skip"),
        "max_submissions": check_limit,
    }

    def __init__(
        self,
        *,
        study_id: TextArgument,
        submission_ids: Iterable[str | TextArgument] | TextArgument,
        on_ineligible: Literal["fail", "skip"] | XComArg = "fail",
        max_submissions: NumberArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            study_id=study_id,
            submission_ids=submission_ids,
            on_ineligible=on_ineligible,
            max_submissions=max_submissions,
        )

    def perform(
        self,
        hook: ProlificHook,
        *,
        study_id: str,
        submission_ids: list[str],
        on_ineligible: str,
        max_submissions: int | None,
    ) -> Wait | dict[str, Any]:
        """Check all of them, send those that await review, and return what to wait for."""
        if max_submissions is not None and len(submission_ids) > max_submissions:
            raise ProlificError(
                f"{len(submission_ids)} submissions are more than max_submissions ({max_submissions}); nothing was "
                "approved"
            )
        if not submission_ids:
            return self._result(ApprovalWait(study_id, []), {"approved_count": 0, "counts": {}})
        eligible, ineligible = self._look(hook, study_id, submission_ids)
        if ineligible:
            reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(Counter(ineligible.values()).items()))
            text = f"{len(ineligible)} of {len(submission_ids)} submissions cannot be approved: {reasons}"
            if on_ineligible == "fail":
                raise ProlificError(
                    f'{text}; nothing was approved. on_ineligible="skip" leaves them out: {shorten([*ineligible], 300)}'
                )
            self.log.warning("%s; skips them", text)
        for first in range(0, len(eligible), CHUNK_SIZE):
            self._send(hook, study_id, eligible[first : first + CHUNK_SIZE])
            self.log.info(
                "Prolific has accepted %d of %d submissions to approve",
                min(first + CHUNK_SIZE, len(eligible)),
                len(eligible),
            )
        return ApprovalWait(study_id, submission_ids, list(ineligible))

    def settled(self, hook: ProlificHook, wait: Wait, statuses: list[Status]) -> dict[str, Any]:  # noqa: ARG002
        """Return the numbers."""
        return self._result(wait, statuses[0])

    def _result(self, wait: Any, status: Status) -> dict[str, Any]:
        count, approved = len(wait.submission_ids), status["approved_count"]
        self.log.info("%d of %d submissions of study %s are approved", approved, count, wait.study_id)
        changed = count - len(wait.left_out) - approved
        if changed > 0:
            self.log.warning("%d of those that were sent now have another status: %s", changed, status["counts"])
        return {
            "study_id": wait.study_id,
            "submission_count": count,
            "approved_count": approved,
            "skipped_count": count - approved,
            "counts": status["counts"],
        }

    def _look(
        self, hook: ProlificHook, study_id: str, submission_ids: Sequence[str]
    ) -> tuple[list[str], dict[str, str]]:
        """Return which ones to send, and which ones are not eligible, with the reason.

        :raises ProlificValueError: a submission belongs to another study.
        """
        from airflow_provider_prolific.hooks.submissions import pick_submissions

        for look in range(1, LOOKS + 1):
            submissions = hook.list_submissions(study_id)
            wanted = pick_submissions(submissions, submission_ids, study_id, "nothing was approved")
            if look == LOOKS or not any(fold_status(each["status"]) in ("ACTIVE", "PROCESSING") for each in wanted):
                break
            self.log.info("Some submissions are not finished yet: looks again in %d s", LOOK_SECONDS)
            time.sleep(LOOK_SECONDS)
        ineligible = {each["id"]: reason for each in wanted if (reason := _reason_against(each)) is not None}
        done = {each["id"] for each in wanted if fold_status(each["status"]) == "APPROVED"}
        return [each for each in submission_ids if each not in ineligible and each not in done], ineligible

    def _send(self, hook: ProlificHook, study_id: str, submission_ids: list[str]) -> None:
        """Send a chunk; if it is refused because another task was faster, send only what is left."""
        try:
            hook.approve_submissions(study_id, submission_ids)
        except ProlificApiError as error:
            if error.status_code != 400:
                raise
            left, _ = self._look(hook, study_id, submission_ids)
            if len(left) == len(submission_ids):
                raise
            hook.approve_submissions(study_id, left)


def _reason_against(submission: Submission) -> str | None:
    """Return why a submission is not eligible; ``None`` for one that is, or that is approved already."""
    status = fold_status(submission["status"])
    if status == "APPROVED":
        return None
    if status != "AWAITING REVIEW":
        return one_line(status, 50)
    if submission.get("return_requested"):
        return "with a return request"
    if str(submission.get("study_code") or "").rstrip(".").upper() == "NOCODE":
        return "without a completion code (NOCODE)"
    is_complete = submission.get("is_complete")
    if is_complete is False or (is_complete is None and submission.get("completed_at") is None):
        return "not complete"
    return None
