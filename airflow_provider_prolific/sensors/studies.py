"""The sensors that wait for studies and their submissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.arguments import check_count, check_flag, check_id, check_statuses, optional
from airflow_provider_prolific.waiting.sensor import WaitSensor
from airflow_provider_prolific.waiting.studies import StudyWait, SubmissionWait, check_counted_statuses, check_if_ended

if TYPE_CHECKING:
    from typing import Literal

    from airflow.sdk import XComArg

    from airflow_provider_prolific.arguments import FlagArgument, NumberArgument, TextArgument
    from airflow_provider_prolific.waiting.studies import StudyStatusesArgument, SubmissionStatusesArgument


class ProlificStudySensor(WaitSensor):
    """Wait until a study has a status; by default, until it is filled or finished.

    .. code-block:: python

        filled = ProlificStudySensor(task_id="filled", study_id="64c000000000000000000001", deferrable=True)

    A study is ``AWAITING REVIEW`` when all its places are filled; ``COMPLETED`` comes only after somebody has approved
    the submissions, so a wait for that alone does not end by itself. ``AWAITING REVIEW`` may last only for a moment (a
    return or a time-out reopens the study), so it must be seen at two looks in a row. If the study is paused, the
    sensor logs a warning and goes on waiting. The base class `WaitSensor` describes how a wait goes on and ends.

    :param study_id: The study. (templated)
    :param statuses: The statuses that end the wait, in any spelling. (templated)
    :param wait_for_publish: Whether to wait for a study that is not published yet; otherwise it is an error.
        (templated)
    :param fail_on_paused: Whether a paused study is an error. (templated)
    :return: A list with one entry, in every mode:
        ``{"id", "name", "internal_name", "status", "total_available_places", "places_taken"}``.

    API: https://docs.prolific.com/api-reference/studies/get-study
    """

    checks = {
        "study_id": check_id,
        "statuses": check_statuses,
        "wait_for_publish": check_flag,
        "fail_on_paused": check_flag,
    }
    wait_class = StudyWait
    trigger_path = "airflow_provider_prolific.triggers.studies.ProlificStudyTrigger"

    def __init__(
        self,
        *,
        study_id: TextArgument,
        statuses: StudyStatusesArgument = ("AWAITING REVIEW", "COMPLETED"),
        wait_for_publish: FlagArgument = False,
        fail_on_paused: FlagArgument = False,
        prolific_conn_id: str = "prolific_default",
        **sensor_arguments: Any,
    ) -> None:
        super().__init__(**sensor_arguments)
        self.prolific_conn_id = prolific_conn_id
        self.set_arguments(
            study_id=study_id,
            statuses=statuses,
            wait_for_publish=wait_for_publish,
            fail_on_paused=fail_on_paused,
        )


class ProlificSubmissionSensor(WaitSensor):
    """Wait until a study has enough submissions that count.

    .. code-block:: python

        enough = ProlificSubmissionSensor(
            task_id="enough_submissions", study_id="64c000000000000000000001", target_count=30, deferrable=True
        )

    ``TIMED-OUT`` and ``RETURNED`` never count by themselves: their places are filled again. A study that is completed
    with fewer submissions ends the wait at once. The base class `WaitSensor` describes how a wait goes on and ends.

    :param study_id: The study. (templated)
    :param target_count: How many submissions; ``None`` for all places of the study. (templated)
    :param statuses: The statuses that count, in any spelling. (templated)
    :param if_ended: ``"fail"``: a study that is completed with fewer is an error; ``"return"``: it ends the wait with
        the submissions that it has. (templated)
    :param wait_for_publish: Whether to wait for a study that is not published yet; otherwise it is an error.
        (templated)
    :param fail_on_paused: Whether a paused study is an error. (templated)
    :return: A list with one entry, in every mode:
        ``{"id", "name", "status", "submission_count", "target_count", "counts", "reached"}``.

    API: https://docs.prolific.com/api-reference/studies/count-study-submissions-by-status
    """

    checks = {
        "study_id": check_id,
        "target_count": optional(check_count, rendered=True),
        "statuses": check_counted_statuses,
        "if_ended": check_if_ended,
        "wait_for_publish": check_flag,
        "fail_on_paused": check_flag,
    }
    wait_class = SubmissionWait
    trigger_path = "airflow_provider_prolific.triggers.studies.ProlificSubmissionTrigger"

    def __init__(
        self,
        *,
        study_id: TextArgument,
        target_count: NumberArgument | None = None,
        statuses: SubmissionStatusesArgument = ("AWAITING REVIEW", "APPROVED"),
        if_ended: Literal["fail", "return"] | XComArg = "fail",
        wait_for_publish: FlagArgument = False,
        fail_on_paused: FlagArgument = False,
        prolific_conn_id: str = "prolific_default",
        **sensor_arguments: Any,
    ) -> None:
        super().__init__(**sensor_arguments)
        self.prolific_conn_id = prolific_conn_id
        self.set_arguments(
            study_id=study_id,
            target_count=target_count,
            statuses=statuses,
            if_ended=if_ended,
            wait_for_publish=wait_for_publish,
            fail_on_paused=fail_on_paused,
        )
