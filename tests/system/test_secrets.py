"""The token and participant ids are nowhere but where they belong, after real runs in a real Airflow."""

import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from real_airflow import AIRFLOW_2, RealAirflow

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.hooks.prolific import ProlificHook

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

# Retries, for Airflow 3.0 on SQLite may start a task a moment before it has noted that it does.
with DAG("works", default_args={"retries": 3, "retry_delay": timedelta(seconds=1)}, **START):
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

with DAG("fails", **START):
    ProlificListParticipantGroupsOperator(task_id="list", filter={"workspace_id": "64a0000000000000000000ff"})
    ProlificListParticipantGroupsOperator(task_id="revoked", prolific_conn_id="prolific_revoked")
    ProlificListParticipantGroupsOperator(task_id="clear_text", prolific_conn_id="prolific_clear_text")
    ProlificListParticipantGroupsOperator(task_id="closed", prolific_conn_id="prolific_closed")
    ProlificAddParticipantsOperator(
        task_id="add", participant_group=GROUP, participant_ids=[*IDS, "ffff00000000000000000bad"]
    )
    ProlificParticipantGroupSensor(
        task_id="wait", participant_group="Quota: men 40+", target_count=40, deferrable=True, poke_interval=1, timeout=6
    )
    ProlificParticipantGroupSensor(
        task_id="dies", participant_group="Bilingual readers", target_count=40, deferrable=True, poke_interval=1,
        prolific_conn_id="prolific_dying"
    )
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        emulator.rotate_token(f"secret-{secrets.token_hex(16)}")
        yield emulator


@pytest.fixture(scope="module")
def airflow(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory, migrated_database: Path
) -> Iterator[RealAirflow]:
    """Airflow after both DAGs have run; one connection has a token that is revoked while its sensor waits."""
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "secrets.py").write_text(DAGS)
    good = emulator.connection_json()
    dying = good.replace(emulator.token, "colleague-token").replace(emulator.workspace_id, "64a000000000000000000002")
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": good,
        "AIRFLOW_CONN_PROLIFIC_DYING": dying,
        "AIRFLOW_CONN_PROLIFIC_REVOKED": good.replace(emulator.token, f"{emulator.token}-revoked"),
        "AIRFLOW_CONN_PROLIFIC_CLEAR_TEXT": good.replace("127.0.0.1", "198.51.100.1"),
        "AIRFLOW_CONN_PROLIFIC_CLOSED": re.sub(r":\d+\"", ':1"', good),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    with RealAirflow(folder / "home", dags, migrated_database=migrated_database, **settings) as airflow:
        airflow.trigger("works", "run")
        airflow.trigger("fails", "run")
        airflow.wait_for("a wait to be deferred", lambda: airflow.task_states("fails", "run")["dies", -1] == "deferred")
        emulator.revoke_token("colleague-token")
        assert airflow.wait_for_run("works", "run", seconds=300) == "success"
        assert airflow.wait_for_run("fails", "run", seconds=300) == "failed"
        yield airflow


def test_token_is_found_nowhere_but_in_the_connection(emulator: Emulator, airflow: RealAirflow) -> None:
    states = airflow.task_states("fails", "run")
    assert set(states.values()) == {"failed"}, states
    airflow.stop()
    found = [
        str(path.relative_to(airflow.home))
        for path in airflow.home.rglob("*")
        if path.is_file() and emulator.token.encode() in path.read_bytes()
    ]
    with closing(sqlite3.connect(airflow.database)) as database:
        rows = [line for line in database.iterdump() if emulator.token in line]
    read = sum(path.is_file() for path in airflow.home.rglob("*.log*"))

    assert read >= len(states), "the logs were not where they were looked for"
    assert found == []
    assert rows == []


def test_participant_ids_are_in_no_log(airflow: RealAirflow) -> None:
    logs = "\n".join(airflow.log_lines("works", "run") + airflow.log_lines("fails", "run"))
    found = [participant_id for participant_id in [*PARTICIPANT_IDS, UNKNOWN_ID] if participant_id in logs]

    assert "20" in logs
    assert found == []


@pytest.fixture
def errors(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Call the hook under whatever fault is set; return all that the error says, with its causes."""
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", emulator.connection_json())

    def call() -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - any error at all is searched
            ProlificHook(max_retries=0).list_participant_groups()
        texts = []
        error: BaseException | None = caught.value
        while error is not None:
            texts += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
        return "\n".join(texts)

    yield call
    emulator.clear_faults()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("status", {"status": 401}),
        ("status", {"status": 500}),
        ("html", {"status": 502}),
        ("disconnect", {}),
        ("truncate", {}),
        ("empty", {}),
        ("ignored_scope", {}),
        ("body", {"json": {"results": None}}),
        ("body", {"text": "you sent TOKEN"}),
        ("body", {"status": 400, "text": "<p>you sent TOKEN</p>"}),
        ("body", {"status": 400, "json": {"error": {"title": "TOKEN", "detail": {"TOKEN": ["is TOKEN"]}}}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_error_and_none_of_its_causes_says_the_token(
    emulator: Emulator, errors: Callable[[], str], kind: str, fields: dict[str, object]
) -> None:
    echoing = json.loads(json.dumps(fields).replace("TOKEN", emulator.token))
    emulator.add_fault(kind, **echoing)

    assert emulator.token not in errors()
