"""Asset watchers in a real triggerer, which is stopped and started again."""

import json
import sqlite3
import time
from contextlib import closing
from importlib.metadata import version

import pytest
from quick_examples import write_quick_examples
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS

# From 3.3 on Airflow remembers for a watcher what it announced; before, a restarted triggerer announces it once more.
HAS_ASSET_STORE = version("apache-airflow") >= "3.3"
EXPECTED_RUNS = 2 if HAS_ASSET_STORE else 3


@pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="event-driven scheduling came with Airflow 3")
def test_runs_start_once_for_each_milestone_also_across_a_triggerer_restart(
    prolific_emulator: Emulator, restless_airflow: RealAirflow
) -> None:
    airflow = restless_airflow
    group_id = prolific_emulator.group_id("Screened adults")

    def set_count(count: int) -> None:
        prolific_emulator.set_group(group_id, participant_count=count, growth_per_second=0)

    def runs(state: str = "%") -> int:
        sql = "SELECT count(*) FROM dag_run WHERE dag_id = 'woken_by_growth' AND state LIKE ?"
        return int(airflow.query(sql, state)[0][0])

    set_count(5)
    write_quick_examples(airflow.dags_folder, "woken_by_growth", seconds=2)
    airflow.wait_for("the watcher's first look", prolific_emulator.request_count, seconds=90)
    assert runs("success") == 0
    set_count(23)
    airflow.wait_for("the first run", lambda: runs("success") == 1, seconds=90)
    airflow.stop_component("triggerer")
    looks = prolific_emulator.request_count()
    airflow.start_component("triggerer")
    airflow.wait_for("the restarted watcher", lambda: prolific_emulator.request_count() >= looks + 3, seconds=90)
    set_count(15)
    time.sleep(4)
    set_count(45)
    airflow.wait_for("the second run", lambda: runs("success") == EXPECTED_RUNS, seconds=90)
    time.sleep(10)

    extras = [json.loads(extra)["payload"] for (extra,) in airflow.query("SELECT extra FROM asset_event")]
    with closing(sqlite3.connect(airflow.environment["WAREHOUSE"])) as warehouse:
        [(loaded,)] = warehouse.execute("SELECT count(*) FROM screened").fetchall()
    assert runs() == EXPECTED_RUNS
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
