"""Invite the people who passed wave 1 of a study to wave 2, wait until there are enough, and tell them."""

from __future__ import annotations

from datetime import timedelta

from airflow_provider_prolific.operators.participant_groups import (
    ProlificCreateParticipantGroupOperator,
    ProlificMessageParticipantGroupOperator,
)
from airflow_provider_prolific.operators.participants import ProlificAddParticipantsOperator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]


@dag(
    schedule=None,
    description="Invite the people who passed wave 1 to wave 2, and tell them when there are enough",
    default_args={"retries": 2},
    tags=["prolific"],
)
def longitudinal_study() -> None:
    """
    ### Longitudinal study

    Adds the people who passed wave 1 to the group of wave 2, which is created if it does not exist yet. As soon as the
    group is big enough, its members get a message.

    All tasks but the last one are retried. If the message were sent twice, everybody would get it twice; so `retries`
    of that task is 0 unless it is set on the task itself.
    """
    wave_2 = ProlificCreateParticipantGroupOperator(
        task_id="wave_2",
        name="Wave 2 invited",
        description="Passed wave 1",
    )

    @task(show_return_value_in_logs=False)  # participant ids are personal data
    def passed_wave_1() -> list[str]:
        """Replace this with a query of your warehouse."""
        return [f"5f{number:022x}" for number in range(1, 21)]

    invite = ProlificAddParticipantsOperator(
        task_id="invite",
        participant_group=wave_2.output["id"],
        participant_ids=passed_wave_1(),
    )
    enough_invited = ProlificParticipantGroupSensor(
        task_id="enough_invited",
        participant_group=wave_2.output["id"],
        target_count=20,
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=3),
    )
    tell_them = ProlificMessageParticipantGroupOperator(
        task_id="tell_them",
        participant_group=wave_2.output["id"],
        body="Thank you for taking part in wave 1. Wave 2 is open for you now.",
    )
    invite >> enough_invited >> tell_them


longitudinal_study()
