"""Waits run to their end, on a worker and in a triggerer: fixtures for the tests of all kinds of waits."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
except (ImportError, AttributeError):  # before Airflow 3.2
    from airflow.exceptions import AirflowRescheduleException, TaskDeferred

MODES = ("poke", "reschedule", "deferred")
#: After which a wait that should have ended is taken for one that hangs.
HANGS_AFTER_SECONDS = 60


@pytest.fixture
def event_of():
    """Run a trigger to its end, and return its one event as it arrives on a worker."""

    def run(waiting):
        async def wait():
            return [event.payload async for event in waiting.run()]

        [event] = asyncio.run(asyncio.wait_for(wait(), HANGS_AFTER_SECONDS))
        return json.loads(json.dumps(event))

    return run


@pytest.fixture
def reschedule_context(monkeypatch):
    """Make the context of a task in reschedule mode that looked first at a given time."""

    def make(first_look_at=None):
        class TaskInstance:
            dag_id, task_id, run_id, map_index, max_tries, try_number = "dag", "wait", "run", -1, 0, 1

            def get_first_reschedule_date(self, context):
                return first_look_at

            def xcom_push(self, key, value):
                """Keep nothing."""

        try:
            import airflow.sdk  # noqa: F401
        except ImportError:  # Airflow 2.11 asks the database itself
            monkeypatch.setattr("airflow.sensors.base._orig_start_date", lambda *task, **named: first_look_at)
        return {"ti": TaskInstance()}

    return make


@pytest.fixture
def defer(reschedule_context):
    """Let a task look once and return its deferral."""

    def look(task):
        with pytest.raises(TaskDeferred) as deferral:
            task.execute(reschedule_context())
        return deferral.value

    return look


@pytest.fixture
def run_in(reschedule_context, event_of):
    """Run a sensor, which a function makes, to its end in one of the modes, with short intervals."""

    def run(mode, make, *, timeout=0.05, **arguments):
        arguments = {"poke_interval": 0.1, "timeout": timeout, **arguments}
        if mode == "poke":
            return make(**arguments).execute({})
        if mode == "reschedule":
            first_look, begun = None, datetime.now(UTC)
            while True:
                try:
                    return make(mode="reschedule", **arguments).execute(reschedule_context(first_look))
                except AirflowRescheduleException as reschedule:
                    first_look = begun
                    time.sleep(max((reschedule.reschedule_date - datetime.now(UTC)).total_seconds(), 0))
        try:
            return make(deferrable=True, **arguments).execute({})
        except TaskDeferred as deferral:
            event = event_of(deferral.trigger)
            return make(deferrable=True, **arguments).resume_execution(deferral.method_name, {"event": event}, {})

    return run
