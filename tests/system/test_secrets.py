"""The token and participant ids are nowhere but where they belong, after real runs in a real Airflow."""

import sqlite3
from contextlib import closing

import pytest
from real_airflow import AIRFLOW_2, RealAirflow

from airflow_provider_prolific.emulator import Emulator

pytestmark = pytest.mark.skipif(AIRFLOW_2, reason="with SQLite Airflow 2.11 runs one task at a time: too slow")

#: Made up for the DAG below, so that a hit in a log can only come from our code.
PARTICIPANT_IDS = [f"5e{number:022x}" for number in range(20)]
UNKNOWN_ID = "ffff00000000000000000bad"

DAGS = """
from datetime import datetime, timedelta
try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.models.dag import DAG
    from airflow.decorators import task
from airflow_provider_prolific.operators.participant_groups import ProlificListParticipantGroupsOperator
from airflow_provider_prolific.operators.participants import (
    ProlificAddParticipantsOperator,
    ProlificRemoveParticipantsOperator,
    ProlificSyncParticipantsOperator,
)
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

IDS = [f"5e{number:022x}" for number in range(20)]
GROUP = "64e000000000000000000003"
START = {"schedule": None, "start_date": datetime(2026, 1, 1)}

@task(show_return_value_in_logs=False)  # else Airflow logs what the function returns
def passed():
    return IDS

SECRET = {"prolific_conn_id": "secret"}
# Airflow 3.0 on SQLite may start a task a moment before it has noted that it does.
RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("works", default_args=SECRET | RETRIES, **START):
    ProlificListParticipantGroupsOperator(task_id="list", filter={"workspace_id": "64a000000000000000000001"})
    (
        ProlificAddParticipantsOperator(
            task_id="add", participant_group=GROUP, participant_ids=passed()
        )
        >> ProlificSyncParticipantsOperator(task_id="sync", participant_group=GROUP, participant_ids=IDS[5:])
        >> ProlificRemoveParticipantsOperator(task_id="remove", participant_group=GROUP, participant_ids=IDS[:6])
    )
    ProlificParticipantGroupSensor(
        task_id="wait", participant_group="Screened adults", target_count=40, deferrable=True, poke_interval=2
    )

with DAG("fails", default_args=SECRET, **START):
    ProlificListParticipantGroupsOperator(task_id="list", filter={"workspace_id": "64a0000000000000000000ff"})
    ProlificListParticipantGroupsOperator(task_id="revoked", prolific_conn_id="secret_revoked")
    ProlificListParticipantGroupsOperator(task_id="clear_text", prolific_conn_id="secret_clear_text")
    ProlificListParticipantGroupsOperator(task_id="closed", prolific_conn_id="secret_closed")
    ProlificAddParticipantsOperator(
        task_id="add", participant_group=GROUP, participant_ids=[*IDS, "ffff00000000000000000bad"]
    )
    ProlificParticipantGroupSensor(
        task_id="wait", participant_group="Quota: men 40+", target_count=40, deferrable=True, poke_interval=1, timeout=6
    )
    ProlificParticipantGroupSensor(
        task_id="dies", participant_group="Bilingual readers", target_count=40, deferrable=True, poke_interval=1,
        prolific_conn_id="secret_dying"
    )
"""


@pytest.fixture(scope="module")
def finished(airflow: RealAirflow, secretive_emulator: Emulator) -> RealAirflow:
    """Airflow after both DAGs have run; one connection has a token that is revoked while its sensor waits."""
    (airflow.dags_folder / "secrets.py").write_text(DAGS)
    airflow.trigger("works", "run")
    airflow.trigger("fails", "run")
    airflow.wait_for("a wait to be deferred", lambda: airflow.task_states("fails", "run")["dies", -1] == "deferred")
    secretive_emulator.revoke_token("colleague-token")
    assert airflow.wait_for_run("works", "run", seconds=300) == "success"
    assert airflow.wait_for_run("fails", "run", seconds=300) == "failed"
    return airflow


def test_token_is_found_nowhere_but_in_the_connection(secretive_emulator: Emulator, finished: RealAirflow) -> None:
    states = finished.task_states("fails", "run")
    assert set(states.values()) == {"failed"}, states
    token = secretive_emulator.token
    found = [
        str(path.relative_to(finished.home))
        for path in finished.home.rglob("*")
        if path.is_file() and token.encode() in path.read_bytes()
    ]
    with closing(sqlite3.connect(f"file:{finished.database}?mode=ro", uri=True, timeout=30)) as database:
        rows = [line for line in database.iterdump() if token in line]
    read = sum(path.is_file() for path in finished.home.rglob("*.log*"))

    assert read >= len(states), "the logs were not where they were looked for"
    assert found == []
    assert rows == []


def test_participant_ids_are_in_no_log(finished: RealAirflow) -> None:
    logs = "\n".join(finished.log_lines("works", "run") + finished.log_lines("fails", "run"))
    found = [participant_id for participant_id in [*PARTICIPANT_IDS, UNKNOWN_ID] if participant_id in logs]

    assert "20" in logs
    assert found == []
