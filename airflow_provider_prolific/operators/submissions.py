"""Operators for submissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.arguments import check_id, check_statuses, optional
from airflow_provider_prolific.operators.base import ProlificOperator
from airflow_provider_prolific.text import fold_status, one_line
from airflow_provider_prolific.waiting.wait import read_time

if TYPE_CHECKING:
    from airflow_provider_prolific.arguments import TextArgument
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.submissions import Submission


class ProlificListSubmissionsOperator(ProlificOperator):
    """List the submissions of a study into XCom.

    .. code-block:: python

        submissions = ProlificListSubmissionsOperator(
            task_id="submissions", study_id="64c000000000000000000001", statuses=["AWAITING REVIEW"]
        )

    Participant ids are personal data, and an XCom is kept in Airflow's database: where they are only needed on the way,
    call :meth:`ProlificHook.list_submissions` in a task that works with them.

    :param study_id: The study.
    :param statuses: Only submissions in these statuses, in any spelling; ``None`` for all.
    :param prolific_conn_id: The Prolific connection.
    :return: All submissions, every page, as a list of dicts, ordered by their start and id: ``id``, ``participant_id``,
        ``status``, ``started_at``, ``completed_at``, ``study_code``, ``return_requested``, ….
    :raises ProlificError: there is no such study, the API refuses, or its answer cannot be right.

    API: https://docs.prolific.com/api-reference/submissions/get-submissions
    """

    checks = {"study_id": check_id, "statuses": optional(check_statuses, rendered=True)}

    def __init__(
        self,
        *,
        study_id: TextArgument,
        statuses: Iterable[str] | TextArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(study_id=study_id, statuses=statuses)

    def perform(self, hook: ProlificHook, *, study_id: str, statuses: list[str] | None) -> list[Submission]:
        """List the submissions; the server's own filter by status is not relied on."""
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
