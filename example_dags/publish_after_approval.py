"""Publish the main study when enough people are in its group and a person has agreed to what it costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import __version__ as airflow_version

from airflow_provider_prolific.operators.studies import ProlificCreateStudyOperator, ProlificPublishStudyOperator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]
    from airflow.models.param import Param  # type: ignore[import-not-found, no-redef]


@dag(
    schedule=None,
    description="Publish the main study when a person has agreed to its cost",
    params={
        "template_id": Param("64d000000000000000000005", type="string", title="Template of the main study"),
        "project_id": Param("64b000000000000000000002", type="string", title="Project", description="It pays"),
        "group": Param("Wave 1 completed", type="string", title="Group", description="Whom the study is for"),
        "target_count": Param(30, type="integer", minimum=1, title="People who must be in the group"),
        "places": Param(20, type="integer", minimum=1, title="Places of the main study"),
    },
    tags=["prolific"],
)
def publish_after_approval() -> None:
    """
    ### A person says yes before money is spent

    Waits until a group is big enough, prepares a draft for this group alone, and asks a person, who sees how many
    people are in the group and what the study costs. After the approval both are read again: if too few people are left
    in the group, or if the study has become more expensive than what the person saw, it is not published. After a
    rejection it stays a draft.

    The pool *prolific_wallet* has one slot: `airflow pools set prolific_wallet 1 "One payment at a time"`.
    """
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    enough_people = ProlificParticipantGroupSensor(
        task_id="enough_people",
        participant_group="{{ params.group }}",
        target_count="{{ params.target_count }}",
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=7),
        retries=2,
    )
    draft = ProlificCreateStudyOperator(
        task_id="draft",
        internal_name="Main study {{ run_id }}",
        template_study_id="{{ params.template_id }}",
        changes={"total_available_places": "{{ params.places }}"},
        participant_groups=["{{ params.group }}"],
        project_id="{{ params.project_id }}",
    )

    @task(multiple_outputs=True)
    def quote(groups: list[dict[str, Any]], study_id: str) -> dict[str, Any]:
        """Read what the person must know; the publishing operator finds the cost in the same way."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook
        from airflow_provider_prolific.operators.spending import find_whole_cost, read_places

        [group] = groups
        with ProlificHook() as hook:
            study = hook.get_study(study_id)
            cost = find_whole_cost(hook, study, read_places(study))
        return {"count": group["participant_count"], "places": read_places(study), "cost": str(cost)}

    quoted: Any = quote(enough_people.output, draft.output["id"])
    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish the main study for {{ params.group }}?",
        body="""
| | |
|---|---|
| Group | **{{ params.group }}** |
| People in it | **{{ ti.xcom_pull("quote", key="count") }}** |
| Places | **{{ ti.xcom_pull("quote", key="places") }}** |
| Cost, fees and VAT included | **{{ ti.xcom_pull("quote", key="cost") }}** |
""",
    )
    still_enough_people = ProlificParticipantGroupSensor(
        task_id="still_enough_people",
        participant_group="{{ params.group }}",
        target_count="{{ params.target_count }}",
        timeout=0,  # one look
    )
    publish = ProlificPublishStudyOperator(
        task_id="publish",
        study_id=draft.output["id"],
        participant_group="{{ params.group }}",
        max_total_cost=quoted["cost"],  # what the person has agreed to
        deferrable=True,
        pool="prolific_wallet",
        retries=2,
    )

    enough_people >> draft
    quoted >> approve >> still_enough_people >> publish


if tuple(map(int, airflow_version.split(".")[:2])) >= (3, 1):  # only there a task can ask a person
    publish_after_approval()
