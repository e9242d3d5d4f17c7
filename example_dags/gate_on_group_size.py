"""Wait until enough people have passed a screener, then go on with their number."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]
    from airflow.models.param import Param  # type: ignore[import-not-found, no-redef]


@dag(
    schedule=None,
    description="Wait until enough people have passed a screener, then prepare the main study",
    params={
        "target_count": Param(
            30,
            type="integer",
            minimum=1,
            title="Target count",
            description="How many people must be in the group before the main study is prepared.",
        ),
    },
    tags=["prolific"],
)
def gate_on_group_size() -> None:
    """
    ### Gate a pipeline on the size of a participant group

    A screener study adds people who pass it to the group *Screened adults*. The sensor waits in the triggerer until
    the group is big enough; only then the main study is prepared, for as many people as there are.
    """
    enough_participants = ProlificParticipantGroupSensor(
        task_id="enough_participants",
        participant_group="Screened adults",
        target_count="{{ params.target_count }}",
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=7),
        retries=2,
    )

    @task
    def prepare_main_study(groups: list[dict[str, Any]]) -> str:
        [group] = groups
        return f"Main study for {group['participant_count']} people of {group['name']!r}"

    prepare_main_study(enough_participants.output)


gate_on_group_size()
