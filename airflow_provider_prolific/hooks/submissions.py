"""Submissions: their shapes and their endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Required, TypedDict

from airflow_provider_prolific.arguments import check_id, check_ids
from airflow_provider_prolific.exceptions import ProlificResponseError, ProlificValueError
from airflow_provider_prolific.hooks.endpoints import Endpoints, quote_id
from airflow_provider_prolific.hooks.listing import by_page
from airflow_provider_prolific.hooks.studies import study_endpoint, whole_number
from airflow_provider_prolific.text import fold_status, shorten

SUBMISSIONS_ENDPOINT = "/api/v1/submissions/"

#: Fields that some endpoints name differently: their name there, and the name that is used here.
_RENAMED = {"participant": "participant_id", "entered_code": "study_code", "study": "study_id"}
#: The person's IP address; and an amount whose unit in listings differs from its unit elsewhere.
_DROPPED = ("ip", "reward")


class Submission(TypedDict, total=False):
    """A submission, with the same field names from every endpoint.

    Only ``id`` and ``status`` are certain; ``time_taken``, for example, is only in listings. ``participant_id`` is
    personal data. The person's ``ip`` is left out, and so is ``reward``, because its unit differs.
    """

    id: Required[str]
    status: Required[str]
    participant_id: str
    study_id: str
    parent_study_id: str | None
    study_code: str | None
    started_at: str | None
    completed_at: str | None
    is_complete: bool
    time_taken: float | None
    return_requested: str | None
    bonus_payments: list[float]
    has_siblings: bool | None
    star_awarded: bool


class SubmissionEndpoints(Endpoints):
    """The hook's methods for submissions."""

    def list_submissions(self, study_id: str) -> list[Submission]:
        """Return all submissions of a study: every page, never a part of them, whatever their status.

        :param study_id: The study's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: no such study, or no access to its workspace).
        :raises ProlificResponseError: the answer cannot be right, or is incomplete.

        API: https://docs.prolific.com/api-reference/submissions/get-submissions
        """
        study_id = check_id(study_id, "study_id")

        def read_row(row: Any) -> tuple[str, Submission]:
            submission = _read_submission(row)
            submission["study_id"] = submission.get("study_id") or study_id
            # A study with quotas has parts; their submissions name the study as their parent.
            if study_id not in (submission["study_id"], submission.get("parent_study_id")):
                raise ProlificResponseError(
                    f"the filter was ignored: study {shorten(study_id)} was asked for, but a submission of "
                    f"{shorten(submission['study_id'])} came",
                    transient=False,
                )
            return submission["id"], submission

        return self._client.list(
            SUBMISSIONS_ENDPOINT, "submissions", read_row, {"study": study_id}, personal=True, paging=by_page
        )

    def get_submission(self, submission_id: str) -> Submission:
        """Return one submission.

        :param submission_id: The submission's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: no such submission, or no access to its workspace).

        API: https://docs.prolific.com/api-reference/submissions/get-submission
        """
        endpoint = f"{SUBMISSIONS_ENDPOINT}{quote_id(submission_id, 'submission_id')}/"
        return self._client.call("GET", endpoint, _read_submission, personal=True)

    def count_submissions(self, study_id: str) -> dict[str, int]:
        """Return the number of a study's submissions in each status, and the ``TOTAL``: the cheapest poll.

        :param study_id: The study's id.
        :return: Status, spelled as in ``AWAITING REVIEW`` and ``TIMED-OUT``, to number; a status without submissions
            may be missing.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: no such study, or no access to its workspace).

        API: https://docs.prolific.com/api-reference/studies/count-study-submissions-by-status
        """
        endpoint = f"{study_endpoint(study_id)}submissions/counts/"

        def read(answer: Any) -> dict[str, int]:
            counts: dict[str, Any] = {}
            if isinstance(answer, Mapping):
                counts = {fold_status(status): whole_number(number) for status, number in answer.items()}
            if not counts or not all(type(number) is int and number >= 0 for number in counts.values()):
                raise ProlificResponseError(f"the answer has no whole counts: {shorten(answer)}")
            return counts

        return self._client.call("GET", endpoint, read)

    def approve_submissions(self, study_id: str, submission_ids: Iterable[str]) -> None:
        """Approve submissions, so that these people are paid. Approving twice pays once.

        Prolific approves them after its answer: look with :meth:`list_submissions` until none of them is
        ``AWAITING REVIEW``. Approve at most 1,000 in one call, and make one call at a time, because calls compete for
        the workspace's wallet.

        :param study_id: The study of all these submissions; this is checked before anything is sent.
        :param submission_ids: The ids of the submissions; an empty list sends nothing.
        :raises ProlificValueError: not ids, or some that do not belong to the study.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/submissions/bulk-approve-submissions
        """
        ids = check_ids(submission_ids, "submission_ids")
        if not ids:
            return
        pick_submissions(self.list_submissions(study_id), ids, study_id, "nothing was approved")
        # Repeated also after an unclear answer: Prolific ignores submissions that are approved already.
        self._client.call(
            "POST",
            f"{SUBMISSIONS_ENDPOINT}bulk-approve/",
            None,
            json={"submission_ids": ids},
            repeatable=True,
        )


def pick_submissions(
    submissions: Iterable[Submission], submission_ids: Iterable[str], study_id: str, consequence: str
) -> list[Submission]:
    """Return the submissions with these ids, in the order of the ids.

    :param submissions: All submissions of a study.
    :param consequence: The end of the error, which says that nothing was done.
    :raises ProlificValueError: some do not belong to the study.
    """
    of_study, ids = {submission["id"]: submission for submission in submissions}, list(submission_ids)
    if foreign := [each for each in ids if each not in of_study]:
        raise ProlificValueError(
            f"{len(foreign)} of {len(ids)} submissions do not belong to study {shorten(study_id)}: "
            f"{shorten(foreign, 300)}; {consequence}"
        )
    return [of_study[each] for each in ids]


def _read_submission(row: Any) -> Submission:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) and row[key] for key in ("id", "status")):
        raise ProlificResponseError("the answer has a submission without an id or a status")
    submission: Any = {_RENAMED.get(key, key): value for key, value in row.items() if key not in _DROPPED}
    return submission  # type: ignore[no-any-return]
