"""Recruit in two steps: screen people, pay them, and publish the main study to those who passed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_prolific.operators.studies import (
    ProlificCreateStudyOperator,
    ProlificPublishStudyOperator,
    ProlificTransitionStudyOperator,
)
from airflow_provider_prolific.operators.submissions import (
    ProlificApproveSubmissionsOperator,
    ProlificListSubmissionsOperator,
)
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.sensors.studies import ProlificSubmissionSensor

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]
    from airflow.models.param import Param  # type: ignore[import-not-found, no-redef]

WALLET = "prolific_wallet"  # a pool with one slot: tasks that spend a workspace's money run one after the other
WAITING: dict[str, Any] = {
    "deferrable": True,
    "poke_interval": timedelta(minutes=5),
    "timeout": timedelta(days=7),
    "retries": 2,  # a resumed task may be lost with its worker; a time-out is not repeated
}
SPENDING: dict[str, Any] = {"deferrable": True, "poke_interval": timedelta(minutes=5), "pool": WALLET, "retries": 2}


@dag(
    schedule=None,
    description="Screen people, approve them, and publish the main study to those who passed",
    params={
        "round": Param("1", type="string", minLength=1, title="Round", description="Part of the studies' names"),
        "project_id": Param("64b000000000000000000002", type="string", title="Project", description="It pays"),
        "screener_id": Param("64d000000000000000000004", type="string", title="Template of the screener"),
        "main_study_id": Param("64d000000000000000000005", type="string", title="Template of the main study"),
        "group": Param("Wave 2 invited", type="string", title="Group", description="The screener adds people to it"),
        "screened": Param(30, type="integer", minimum=1, title="People to screen"),
        "passed": Param(15, type="integer", minimum=1, title="People who must pass", description="The gate"),
        "places": Param(10, type="integer", minimum=1, title="Places of the main study"),
        "max_cost_of_screener": Param("20.00 GBP", type="string", title="Ceiling of the screener, fees included"),
        "max_cost_of_main_study": Param("30.00 GBP", type="string", title="Ceiling of the main study, fees included"),
    },
    tags=["prolific"],
)
def screener_to_main_study() -> None:
    """
    ### From a screener to the main study

    Creates a screener from a template, publishes it, waits until its places are filled, approves the people who pass a
    quality check, and stops it. A completion code of the screener adds people to a group. When the group is big enough,
    the main study is created for this group only, published, waited for and approved.

    Every task that spends money has a ceiling. If you run it again with the same round, nothing is created, published
    or paid twice.

    The pool *prolific_wallet* has one slot: `airflow pools set prolific_wallet 1 "One payment at a time"`.
    """
    project_id = "{{ params.project_id }}"

    @task(show_return_value_in_logs=False)
    def passes_quality_check(submissions: list[dict[str, Any]]) -> list[str]:
        """Replace this with your own check. Here, everybody who has finished passes."""
        return [submission["id"] for submission in submissions if submission["completed_at"]]

    # The screener is open to everybody, which must be allowed explicitly.
    screener = ProlificCreateStudyOperator(
        task_id="make_screener",
        internal_name="Screener, round {{ params.round }}",
        template_study_id="{{ params.screener_id }}",
        changes={"total_available_places": "{{ params.screened }}"},
        project_id=project_id,
        retries=2,
    )
    publish_screener = ProlificPublishStudyOperator(
        task_id="publish_screener",
        study_id=screener.output["id"],
        max_total_cost="{{ params.max_cost_of_screener }}",
        allow_open_recruitment=True,
        **SPENDING,
    )
    screened = ProlificSubmissionSensor(task_id="screened", study_id=screener.output["id"], **WAITING)
    screener_submissions = ProlificListSubmissionsOperator(
        task_id="list_screened", study_id=screener.output["id"], statuses=["AWAITING REVIEW", "APPROVED"]
    )
    approve_screened = ProlificApproveSubmissionsOperator(
        task_id="approve_screened",
        study_id=screener.output["id"],
        submission_ids=passes_quality_check(screener_submissions.output),
        max_submissions="{{ params.screened * 2 }}",  # people who timed out may come back when their place is taken
        on_ineligible="skip",
        **SPENDING,
    )
    stop_screener = ProlificTransitionStudyOperator(
        task_id="stop_screener", study_id=screener.output["id"], action="stop", retries=2
    )
    enough_passed = ProlificParticipantGroupSensor(
        task_id="enough_passed",
        participant_group="{{ params.group }}",
        target_count="{{ params.passed }}",
        **WAITING,
    )

    main_study = ProlificCreateStudyOperator(
        task_id="make_main_study",
        internal_name="Main study, round {{ params.round }}",
        template_study_id="{{ params.main_study_id }}",
        changes={"total_available_places": "{{ params.places }}"},
        participant_groups=["{{ params.group }}"],
        project_id=project_id,
        retries=2,
    )
    publish_main_study = ProlificPublishStudyOperator(
        task_id="publish_main_study",
        study_id=main_study.output["id"],
        max_total_cost="{{ params.max_cost_of_main_study }}",
        participant_group="{{ params.group }}",
        **SPENDING,
    )
    filled = ProlificSubmissionSensor(task_id="main_study_filled", study_id=main_study.output["id"], **WAITING)
    submissions = ProlificListSubmissionsOperator(
        task_id="list_main_study", study_id=main_study.output["id"], statuses=["AWAITING REVIEW", "APPROVED"]
    )
    approve = ProlificApproveSubmissionsOperator(
        task_id="approve_main_study",
        study_id=main_study.output["id"],
        submission_ids=passes_quality_check(submissions.output),
        max_submissions="{{ params.places * 2 }}",
        on_ineligible="skip",
        **SPENDING,
    )

    publish_screener >> screened >> screener_submissions
    approve_screened >> stop_screener >> enough_passed >> main_study
    publish_main_study >> filled >> submissions
    submissions >> approve


screener_to_main_study()
