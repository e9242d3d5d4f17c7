"""Deferred waits through a real scheduler, worker and triggerer."""

import time
from importlib.metadata import version

import pytest
from hostile_waits import DAG_FILE as HOSTILE_DAG
from hostile_waits import HostileAnswers, check_that_they_harm_nobody
from real_airflow import AIRFLOW_2, RealAirflow
from workspaces import Workspaces

from airflow_provider_prolific.emulator import Emulator

BEAT = 5  # seconds, as in the DAGs below

DAGS = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

for count in (20, 200):
    with DAG(f"wait_{count}", schedule=None, start_date=datetime(2026, 1, 1), max_active_tasks=count):
        ProlificParticipantGroupSensor.partial(
            task_id="wait", participant_group="Filling", deferrable=True, poke_interval=5, timeout=900
        ).expand(target_count=[100] * count)

for count in (6, 30):
    with DAG(f"gates_{count}", schedule=None, start_date=datetime(2026, 1, 1), max_active_tasks=count):
        ProlificParticipantGroupSensor.partial(
            task_id="wait", participant_group="pg", target_count=50, prolific_conn_id="gates",
            deferrable=True, poke_interval=5, timeout=900
        ).expand(filter=[{"workspace_id": f"{count}_{number}"} for number in range(count)])

# Airflow itself may lose a task that it reschedules within a few seconds, so looks are far apart here.
with DAG("modes", schedule=None, start_date=datetime(2026, 1, 1), default_args={"poke_interval": 12}):
    for name, mode in (("reschedule", dict(mode="reschedule")), ("deferred", dict(deferrable=True))):
        ProlificParticipantGroupSensor(
            task_id=f"{name}_reached", participant_group="Filling", target_count=20, timeout=600, **mode
        )
        for end, soft_fail in (("late", False), ("late_soft", True)):
            ProlificParticipantGroupSensor(
                task_id=f"{name}_{end}", participant_group="Filling", target_count=99, timeout=20,
                soft_fail=soft_fail, retries=1, **mode  # a time-out is not retried
            )
"""


@pytest.fixture(scope="module", autouse=True)
def dags(airflow: RealAirflow) -> None:
    (airflow.dags_folder / "waits.py").write_text(DAGS)
    (airflow.dags_folder / "hostile.py").write_text(HOSTILE_DAG)


def test_waits_end_alike_in_reschedule_and_deferred_mode(prolific_emulator: Emulator, airflow: RealAirflow) -> None:
    group_id = prolific_emulator.create_group("Filling")
    airflow.trigger("modes", "run")
    prolific_emulator.set_group(group_id, growth_per_second=1, growth_limit=20)
    airflow.wait_for_run("modes", "run", seconds=240)
    states = airflow.task_states("modes", "run")
    values = [
        airflow.xcom("modes", "run", task_id)
        for (task_id, _), state in sorted(states.items(), reverse=True)
        if task_id.endswith("_reached") and state == "success"
    ]

    assert {task_id: state for (task_id, _), state in states.items()} == {
        f"{mode}_{end}": state
        for mode in ("reschedule", "deferred")
        for end, state in {"reached": "success", "late": "failed", "late_soft": "skipped"}.items()
    }
    assert values == 2 * [
        [{"id": group_id, "name": "Filling", "participant_count": 20, "target_count": 20, "reached": True}]
    ]


def test_answers_that_no_database_takes_harm_no_wait(
    prolific_emulator: Emulator, airflow: RealAirflow, hostile: HostileAnswers
) -> None:
    check_that_they_harm_nobody(airflow, prolific_emulator, hostile)


@pytest.mark.skipif(AIRFLOW_2, reason="with SQLite Airflow 2.11 runs one task at a time")
@pytest.mark.skipif(version("apache-airflow").startswith("3.0."), reason="so many tasks lock Airflow 3.0's SQLite")
@pytest.mark.parametrize("count", [6, pytest.param(30, marks=pytest.mark.full)])
def test_gates_that_open_at_the_triggers_first_look_fail_no_task(
    count: int, airflow: RealAirflow, gates: Workspaces
) -> None:
    airflow.trigger(f"gates_{count}", "one")
    airflow.wait_for_run(f"gates_{count}", "one", seconds=400)

    assert list(airflow.task_states(f"gates_{count}", "one").values()) == ["success"] * count
    assert {gates.requests[f"{count}_{number}"] for number in range(count)} == {2}


@pytest.mark.skipif(AIRFLOW_2, reason="with SQLite Airflow 2.11 runs one task at a time")
@pytest.mark.skipif(version("apache-airflow").startswith("3.0."), reason="so many tasks lock Airflow 3.0's SQLite")
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.full)])
def test_many_sensors_share_their_polls_and_resume_within_two_beats(
    count: int, prolific_emulator: Emulator, airflow: RealAirflow
) -> None:
    group_id = prolific_emulator.create_group("Filling", participant_count=99)
    dag_id = f"wait_{count}"

    def deferred() -> int:
        rows = airflow.query("SELECT count(*) FROM task_instance WHERE dag_id = ? AND state = 'deferred'", dag_id)
        return int(rows[0][0])

    airflow.trigger(dag_id, "one")
    airflow.wait_for("the deferred sensors", lambda: deferred() == count, seconds=400)
    prolific_emulator.clear_requests()
    time.sleep(4 * BEAT)
    requests = prolific_emulator.request_count()
    prolific_emulator.set_group(group_id, participant_count=100)
    reached = time.monotonic()
    airflow.wait_for("the triggers to fire", lambda: deferred() == 0, seconds=120)
    delay = time.monotonic() - reached

    assert 3 <= requests <= 5
    assert delay <= 2 * BEAT
    assert airflow.wait_for_run(dag_id, "one", seconds=400) == "success"
