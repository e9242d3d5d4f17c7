"""A wait on CeleryExecutor, while the machines that carry it die."""

import signal
from typing import Any

from airflow_provider_prolific.emulator import Emulator

RUN = ("gate_on_group_size", "one")
SENSOR = "enough_participants"
TRIGGER = "SELECT id, created_date, classpath, kwargs FROM trigger"  # the deadline is one of the kwargs
TAKE_OVER_SECONDS = 60


def test_wait_outlives_the_triggerer_that_holds_it_and_the_worker_that_began_it(
    prolific_emulator: Emulator, airflow: Any
) -> None:
    group_id = prolific_emulator.group_id("Screened adults")
    prolific_emulator.set_group(group_id, participant_count=10, growth_per_second=0)

    def looks(count: int) -> int:
        return sum(f"'Screened adults' has {count} of 30" in line for line in airflow.log_lines(*RUN))

    airflow.trigger(*RUN, {"target_count": 30})
    airflow.wait_for("a look of the worker's and one of the triggerer's", lambda: looks(10) >= 2, seconds=120)
    first_worker = airflow.worker(*RUN, SENSOR)
    first_triggerer = airflow.wait_for("the trigger's holder", lambda: airflow.holder(*RUN, SENSOR))
    first_trigger = airflow.query(TRIGGER)
    airflow.stop_component(first_triggerer, signal.SIGKILL)
    airflow.stop_component(first_worker, signal.SIGKILL)
    prolific_emulator.clear_requests()

    def new_holder() -> str | None:
        holder = airflow.holder(*RUN, SENSOR)
        return holder if holder != first_triggerer else None

    second_triggerer = airflow.wait_for("the other triggerer", new_holder, seconds=TAKE_OVER_SECONDS)
    airflow.wait_for("its first look", prolific_emulator.request_count, seconds=TAKE_OVER_SECONDS)
    prolific_emulator.set_group(group_id, participant_count=20)
    airflow.wait_for("the progress in the task's log", lambda: looks(20) >= 1)
    assert airflow.task_states(*RUN)[SENSOR, -1] == "deferred"
    assert airflow.query(TRIGGER) == first_trigger
    prolific_emulator.set_group(group_id, participant_count=31)

    assert airflow.wait_for_run(*RUN) == "success"
    assert airflow.xcom(*RUN, SENSOR) == [
        {
            "id": group_id,
            "name": "Screened adults",
            "participant_count": 31,
            "target_count": 30,
            "reached": True,
        }
    ]
    assert airflow.xcom(*RUN, "prepare_main_study") == "Main study for 31 people of 'Screened adults'"
    assert {first_triggerer, second_triggerer} == set(airflow.triggerer_names.values())
    assert airflow.worker(*RUN, SENSOR) != first_worker
    assert airflow.query("SELECT DISTINCT try_number FROM task_instance") == [(1,)]
