"""The parts of Airflow that are not public and are used all the same: they are as we think, on every version."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from importlib.metadata import version
from types import SimpleNamespace

import pytest
from airflow.models import trigger

from airflow_provider_prolific import version_compat
from airflow_provider_prolific.version_compat import (
    DEFER_TIMEOUT_REASONS,
    BaseOperator,
    BaseSensorOperator,
    first_look_at,
)

AIRFLOW_2 = version("apache-airflow").startswith("2.")
on_airflow_2 = pytest.mark.skipif(not AIRFLOW_2, reason="of Airflow 2.11")
on_airflow_3 = pytest.mark.skipif(AIRFLOW_2, reason="of Airflow 3")


def parameters(function):
    return list(inspect.signature(function).parameters)


def test_the_list_of_them_is_whole():
    for name in ("_get_next_poke_interval", "__fail__", "DEFER_TIMEOUT_REASONS", "_orig_start_date"):
        assert name in version_compat.__doc__


def test_a_sensor_asks_for_its_next_pause():
    assert parameters(BaseSensorOperator._get_next_poke_interval) == [
        "self",
        "started_at",
        "run_duration",
        "poke_count",
    ]
    assert "self._get_next_poke_interval(started_at, run_duration, poke_count)" in inspect.getsource(
        BaseSensorOperator.execute
    )


def test_a_task_whose_trigger_failed_is_resumed_with_a_method_that_is_none():
    says_so = 'next_method = "__fail__"' in inspect.getsource(trigger.Trigger.submit_failure)

    assert says_so or trigger.TRIGGER_FAIL_REPR == "__fail__"
    for operator_class in (BaseOperator, BaseSensorOperator):
        assert parameters(operator_class.resume_execution) == ["self", "next_method", "next_kwargs", "context"]


@on_airflow_3
def test_airflow_3_says_that_a_trigger_did_not_fire_in_time():
    from airflow.models.trigger import TriggerFailureReason

    assert TriggerFailureReason.TRIGGER_TIMEOUT.value in DEFER_TIMEOUT_REASONS
    assert TriggerFailureReason.TRIGGER_FAILURE.value not in DEFER_TIMEOUT_REASONS


@on_airflow_2
def test_airflow_2_says_that_a_trigger_did_not_fire_in_time():
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    source = inspect.getsource(SchedulerJobRunner.check_trigger_timeouts)

    assert any(f'"{reason}"' in source for reason in DEFER_TIMEOUT_REASONS)


@on_airflow_3
def test_airflow_3_knows_when_a_rescheduled_task_looked_first():
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    assert parameters(RuntimeTaskInstance.get_first_reschedule_date) == ["self", "context"]


@on_airflow_2
def test_airflow_2_knows_when_a_try_of_a_rescheduled_task_looked_first(monkeypatch):
    from airflow.sensors import base

    assert parameters(base._orig_start_date)[:5] == ["dag_id", "task_id", "run_id", "map_index", "try_number"]
    asked = []
    monkeypatch.setattr(base, "_orig_start_date", lambda *task: asked.append(task))
    task_instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=3)

    assert first_look_at({"ti": task_instance}) is None
    assert asked == [("d", "t", "r", -1, 3)]


@pytest.mark.parametrize(("looked_at", "seconds"), [(None, None), (datetime(2026, 1, 1, tzinfo=UTC), 1767225600.0)])
def test_a_first_look_is_told_in_seconds_since_the_epoch(monkeypatch, looked_at, seconds):
    class TaskInstance:
        dag_id, task_id, run_id, map_index, try_number = "d", "t", "r", -1, 1

        def get_first_reschedule_date(self, context):
            return looked_at

    if AIRFLOW_2:
        monkeypatch.setattr("airflow.sensors.base._orig_start_date", lambda *task: looked_at)

    assert first_look_at({"ti": TaskInstance()}) == seconds
