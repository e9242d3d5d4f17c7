"""Start a run when a participant group has grown (Airflow 3): add its new members to a warehouse table."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupEventTrigger

screened_participants = Asset(
    "screened_participants",
    watchers=[
        AssetWatcher(
            name="screened",
            trigger=ProlificParticipantGroupEventTrigger(
                participant_group="Screened adults",
                milestones=[20, 40],
                poke_interval=300,
            ),
        )
    ],
)


@dag(
    schedule=[screened_participants],
    description="Start when a participant group has grown, and load its new members",
    tags=["prolific"],
)
def woken_by_growth() -> None:
    """
    ### Woken by growth

    No task waits: the triggerer watches the group *Screened adults*, and a run starts each time the group passes a
    milestone. The run adds the members that its warehouse table does not have yet, so it is harmless to repeat.

    The warehouse is an SQLite file here: the one that the environment variable `WAREHOUSE` names, or one in Airflow's
    home folder.
    """

    @task(multiple_outputs=False)  # with True, Airflow 3.0 fails if a value of the event is null
    def read_event(triggering_asset_events: Any = None) -> dict[str, Any]:
        [*_, event] = triggering_asset_events[screened_participants]
        payload: dict[str, Any] = event.extra["payload"]
        return payload

    @task
    def load_new_members(event: Any) -> int:
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with ProlificHook() as hook:
            members = hook.list_participants(event["id"])
        airflow_home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
        warehouse = os.environ.get("WAREHOUSE") or airflow_home / "warehouse.sqlite"
        with closing(sqlite3.connect(warehouse)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS screened (participant_id TEXT PRIMARY KEY)")
            inserted = connection.executemany(
                "INSERT OR IGNORE INTO screened VALUES (?)", [(member["participant_id"],) for member in members]
            )
            return inserted.rowcount

    load_new_members(read_event())


woken_by_growth()
