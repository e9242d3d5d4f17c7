"""Deferred waits through a real scheduler, worker and triggerer."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
from real_airflow import AIRFLOW_2, RealAirflow

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS

ROOT = Path(__file__).parent.parent.parent
BEAT = 5
# From 3.3 on Airflow remembers for a watcher what it announced; before, a restarted triggerer announces it once more.
HAS_ASSET_STORE = version("apache-airflow") >= "3.3"
EXPECTED_RUNS = 2 if HAS_ASSET_STORE else 3

MANY_SENSORS = f"""
from datetime import datetime
from airflow.sdk import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

with DAG("many", schedule=None, start_date=datetime(2026, 1, 1), max_active_tasks=200) as dag:
    ProlificParticipantGroupSensor.partial(
        task_id="wait", participant_group="Filling", deferrable=True, poke_interval={BEAT}, timeout=900
    ).expand(target_count=[100] * 200)
"""


@pytest.fixture
def airflow(prolific_emulator: Emulator, tmp_path: Path) -> Iterator[RealAirflow]:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "many.py").write_text(MANY_SENSORS)
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator.connection_json(),
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "200",
    }
    with RealAirflow(tmp_path / "home", dags, **settings) as airflow:
        yield airflow


MODES = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

# Airflow itself may lose a task that it reschedules within a few seconds, so looks are far apart here.
with DAG("modes", schedule=None, start_date=datetime(2026, 1, 1), default_args={"poke_interval": 12}):
    for name, mode in {"reschedule": {"mode": "reschedule"}, "deferred": {"deferrable": True}}.items():
        ProlificParticipantGroupSensor(
            task_id=f"{name}_reached", participant_group="Filling", target_count=20, timeout=600, **mode
        )
        for end, soft_fail in {"late": False, "late_soft": True}.items():
            ProlificParticipantGroupSensor(
                task_id=f"{name}_{end}", participant_group="Filling", target_count=99, timeout=6, soft_fail=soft_fail,
                **mode
            )
"""


def test_waits_end_alike_in_reschedule_and_deferred_mode(prolific_emulator: Emulator, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "modes.py").write_text(MODES)
    group_id = prolific_emulator.create_group("Filling")
    settings = {"AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator.connection_json()}
    with RealAirflow(tmp_path / "home", dags, **settings) as airflow:
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


@pytest.mark.skipif(AIRFLOW_2, reason="with SQLite Airflow 2.11 runs one task at a time")
@pytest.mark.skipif(version("apache-airflow").startswith("3.0."), reason="so many tasks lock Airflow 3.0's SQLite")
def test_two_hundred_sensors_share_their_polls_and_resume_within_two_beats(
    prolific_emulator: Emulator, airflow: RealAirflow
) -> None:
    group_id = prolific_emulator.create_group("Filling", participant_count=99)

    def deferred() -> int:
        [(count,)] = airflow.query("SELECT count(*) FROM task_instance WHERE dag_id = 'many' AND state = 'deferred'")
        return int(count)

    airflow.trigger("many", "one")
    airflow.wait_for("200 deferred sensors", lambda: deferred() == 200, seconds=400)
    prolific_emulator.clear_requests()
    time.sleep(4 * BEAT)
    requests = prolific_emulator.request_count()
    prolific_emulator.set_group(group_id, participant_count=100)
    reached = time.monotonic()
    airflow.wait_for("the triggers to fire", lambda: deferred() == 0, seconds=120)
    delay = time.monotonic() - reached

    assert 3 <= requests <= 5
    assert delay <= 2 * BEAT
    assert airflow.wait_for_run("many", "one", seconds=400) == "success"


@pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="event-driven scheduling came with Airflow 3")
def test_runs_start_once_for_each_milestone_also_across_a_triggerer_restart(
    prolific_emulator: Emulator, tmp_path: Path
) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(ROOT / "example_dags" / "woken_by_growth.py", dags)
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator.connection_json(),
        "WAREHOUSE": str(tmp_path / "warehouse.sqlite"),
    }
    group_id = prolific_emulator.group_id("Screened adults")

    def set_count(count: int) -> None:
        prolific_emulator.set_group(group_id, participant_count=count, growth_per_second=0)

    set_count(5)
    with RealAirflow(tmp_path / "home", dags, **settings) as airflow:

        def successes() -> int:
            [(count,)] = airflow.query("SELECT count(*) FROM dag_run WHERE state = 'success'")
            return int(count)

        airflow.wait_for("the watcher's first look", prolific_emulator.request_count, seconds=90)
        assert successes() == 0
        set_count(23)
        airflow.wait_for("the first run", lambda: successes() == 1, seconds=90)
        airflow.stop_component("triggerer")
        looks = prolific_emulator.request_count()
        airflow.start_component("triggerer")
        airflow.wait_for("the restarted watcher", lambda: prolific_emulator.request_count() >= looks + 3, seconds=90)
        set_count(15)
        time.sleep(4)
        set_count(45)
        airflow.wait_for("the second run", lambda: successes() == EXPECTED_RUNS, seconds=90)
        time.sleep(10)

        extras = [json.loads(extra)["payload"] for (extra,) in airflow.query("SELECT extra FROM asset_event")]
        [(runs,)] = airflow.query("SELECT count(*) FROM dag_run")
        with closing(sqlite3.connect(settings["WAREHOUSE"])) as warehouse:
            [(loaded,)] = warehouse.execute("SELECT count(*) FROM screened").fetchall()

    assert runs == EXPECTED_RUNS
    assert loaded == 53  # 23, of whom 8 left again, and the 30 who came later
    summary = [
        (extra["milestone"], extra["participant_count"], extra["previous_participant_count"]) for extra in extras
    ]
    if HAS_ASSET_STORE:
        assert summary == [(20, 23, None), (40, 45, 23)]
    else:
        assert summary == [(20, 23, None), (20, 23, None), (40, 45, 23)]
    assert extras[0] == {
        "id": group_id,
        "name": "Screened adults",
        "participant_count": 23,
        "milestone": 20,
        "milestones": [20],
        "previous_participant_count": None,
    }


def start_demo() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "scripts" / "demo.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def family(demo: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(demo.pid).children(recursive=True)


def test_demo_shows_the_wait_and_its_result() -> None:
    demo = start_demo()
    output, _ = demo.communicate(timeout=240)

    assert demo.returncode == 0, output
    assert len(re.findall(r"\d\d:\d\d:\d\d  'Screened adults' has \d+ of 30", output)) >= 3
    assert re.search(r"[0-9a-f]{24}  Screened adults  \d\d +30 +True", output)
    assert re.search(r"Main study for \d\d people of 'Screened adults'", output)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_demo_leaves_no_process_behind(sign: int) -> None:
    demo = start_demo()
    assert demo.stdout is not None
    for line in demo.stdout:
        if "Triggering" in line:
            break
    children = family(demo)
    os.kill(demo.pid, sign)
    demo.communicate(timeout=60)

    assert demo.returncode != 0
    assert len(children) >= 3
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
