"""Wait for quota cells: for the first one that is full, and for each by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]


@dag(
    schedule=None,
    description="Wait for the first full quota cell, and for each cell by itself",
    default_args={"retries": 2},
    tags=["prolific"],
)
def quota_cells() -> None:
    """
    ### Quota cells

    `any_cell_full` opens as soon as one of several groups has reached its target. `cell_full` is mapped: one sensor
    per cell, so that each cell's next step starts when that cell is full. All of them share one poll. Airflow shows
    each mapped wait by the name of its group: `map_index_template` says so.
    """
    any_cell_full = ProlificParticipantGroupSensor(
        task_id="any_cell_full",
        targets={"Quota: women 18-39": 50, "Quota: women 40+": 50, "Quota: men 18-39": 50, "Quota: men 40+": 50},
        match="any",
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=14),
    )

    @task
    def name_full_cells(groups: list[dict[str, Any]]) -> list[str]:
        return [group["name"] for group in groups if group["reached"]]

    name_full_cells(any_cell_full.output)

    ProlificParticipantGroupSensor.partial(
        task_id="cell_full",
        map_index_template="{{ task.participant_group }}",
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=14),
    ).expand_kwargs(
        [
            {"participant_group": "Quota: women 18-39", "target_count": 50},
            {"participant_group": "Quota: women 40+", "target_count": 45},
            {"participant_group": "Quota: men 18-39", "target_count": 40},
            {"participant_group": "Quota: men 40+", "target_count": 35},
        ]
    )


quota_cells()
