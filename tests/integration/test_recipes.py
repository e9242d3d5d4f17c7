"""The recipes of the documents, as they stand there, in a real Airflow."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator

HEAD = """
from __future__ import annotations
from datetime import datetime, timedelta
try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.decorators import task
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
"""

SEVERAL_PROJECTS = (
    HEAD
    + """
with DAG("recipe", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    ProlificParticipantGroupSensor.partial(
        task_id="each_lab",
        map_index_template="{{ task.prolific_conn_id }}",
        participant_group="Wave 1 completed",
        target_count=40,
        deferrable=True,
        retries=2,
    ).expand(prolific_conn_id=["prolific_lab_a", "prolific_lab_b"])
"""
)

UNION = (
    HEAD
    + """
@task(retries=2)
def fill_union(names: list[str], union: str) -> int:
    from airflow_provider_prolific.hooks.prolific import ProlificHook

    with ProlificHook() as hook:
        groups = {group["name"]: group["id"] for group in hook.list_participant_groups()}
        members = {member["participant_id"] for name in names for member in hook.list_participants(groups[name])}
        hook.add_participants(groups[union], members)
    return len(members)

with DAG("recipe", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    fill_union(["Wave 1 completed", "Quota: men 40+"], "Exclusion list")
"""
)

STALLED = (
    HEAD
    + """
from typing import Any
STALLED_AFTER_HOURS = 6

def tell_people(context: Any) -> None:
    print(f"Stalled: {context['exception']}")

with DAG("recipe", schedule=None, start_date=datetime(2026, 1, 1), default_args={"poke_interval": 1}) as dag:
    ProlificParticipantGroupSensor(
        task_id="enough",
        participant_group="Wave 1 completed",
        target_count=50,
        stalled_after=timedelta(hours=STALLED_AFTER_HOURS),
        retries=1,
        retry_delay=timedelta(0),
        on_retry_callback=tell_people,
    )
"""
)

DEADLINE = """
from datetime import datetime, timedelta
from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference

async def tell_people(text: str) -> None:
    print(text)

deadline = DeadlineAlert(
    reference=DeadlineReference.DAGRUN_QUEUED_AT,
    interval=timedelta(days=3),
    callback=AsyncCallback(tell_people, kwargs={"text": "Recruiting takes longer than three days"}),
)
dag = DAG("screener", schedule=None, start_date=datetime(2026, 1, 1), deadline=deadline)
"""


def test_several_connections(prolific: Emulator, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A", "B"):
        monkeypatch.setenv(f"AIRFLOW_CONN_PROLIFIC_LAB_{name}", prolific.connection_json())

    run = run_dag(SEVERAL_PROJECTS)

    assert run.state == "success"
    assert [run.xcom("each_lab", index)[0]["participant_count"] for index in (0, 1)] == [40, 40]


def test_union_of_groups(prolific: Emulator, run_dag: Callable[..., Any]) -> None:
    groups = [prolific.group_id(name) for name in ("Wave 1 completed", "Quota: men 40+")]

    run = run_dag(UNION)

    wanted = {participant_id for group_id in groups for participant_id in prolific.members(group_id)}
    assert run.xcom("fill_union") == len(wanted)
    assert wanted <= prolific.members(prolific.group_id("Exclusion list")).keys()


@pytest.mark.skipif(
    version("apache-airflow").startswith("3.0."), reason="Airflow 3.0 hands the event of one try to the next"
)
def test_people_are_told_of_a_stalled_wait_that_goes_on(
    prolific: Emulator, run_dag: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_dag(STALLED.replace("HOURS = 6", "HOURS = 2 / 3600"))

    assert run.task_state("enough") == "failed"
    assert capfd.readouterr().out.count("Stalled: no growth for 2 s") == 1
    looks = [request for request in prolific.requests() if "/participants/" not in request["path"]]
    assert looks[-1]["time"] - looks[0]["time"] >= 2 * 2 - 0.1


@pytest.mark.skipif(version("apache-airflow") < "3.1", reason="Airflow has it from 3.1 on")
def test_deadline_alert() -> None:
    names: dict[str, Any] = {"__name__": "a_dag_file"}
    exec(compile(DEADLINE, "a_dag_file.py", "exec"), names)

    assert names["dag"].deadline
