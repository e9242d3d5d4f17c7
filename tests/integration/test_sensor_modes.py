"""The same value, the same ends, in every mode, in a real Airflow."""

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.version_compat import AirflowTaskTimeout

DAG_FILE = """
from datetime import datetime, timedelta
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

with DAG("wait", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    ProlificParticipantGroupSensor(task_id="wait", **{arguments!r})
"""


@pytest.fixture
def wait(mode: dict[str, Any], run_dag: Callable[..., Any]) -> Callable[..., Any]:
    """Run one sensor in one of the modes."""

    def run(**arguments: Any) -> Any:
        arguments = {"poke_interval": 1, "timeout": 20, **mode, **arguments}
        return run_dag(DAG_FILE.replace("{arguments!r}", repr(arguments)))

    return run


def test_value_is_the_same_in_every_mode(prolific: Emulator, wait: Callable[..., Any]) -> None:
    group_id = prolific.create_group("Filling", participant_count=3)
    prolific.set_group(group_id, growth_per_second=2, growth_limit=6)

    run = wait(targets={"Filling": 6, "Wave 1 completed": "40"})

    assert run.state == "success"
    assert run.xcom("wait") == [
        {"id": group_id, "name": "Filling", "participant_count": 6, "target_count": 6, "reached": True},
        {
            "id": prolific.group_id("Wave 1 completed"),
            "name": "Wave 1 completed",
            "participant_count": 40,
            "target_count": 40,
            "reached": True,
        },
    ]


@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_time_out_fails_or_skips(prolific: Emulator, wait: Callable[..., Any], soft_fail: bool, state: str) -> None:
    run = wait(participant_group="Quota: men 40+", target_count=13, timeout=2, soft_fail=soft_fail)

    assert run.task_state("wait") == state


def test_soft_fail_does_not_hide_a_broken_token(prolific: Emulator, wait: Callable[..., Any]) -> None:
    prolific.revoke_token()

    run = wait(participant_group="Quota: men 40+", target_count=13, soft_fail=True)

    assert run.task_state("wait") == "failed"


def test_token_revoked_while_waiting_ends_the_wait(prolific: Emulator, wait: Callable[..., Any]) -> None:
    prolific.add_fault("status", status=401, after=1)

    run = wait(participant_group="Quota: men 40+", target_count=13, soft_fail=True, timeout=60)

    assert run.task_state("wait") == "failed"
    assert len(prolific.requests()) == 2


def test_outage_while_waiting_is_waited_out(prolific: Emulator, wait: Callable[..., Any]) -> None:
    for kind, fields in [
        ("status", {"status": 503}),
        ("html", {"status": 200}),
        ("disconnect", {}),
        ("truncate", {}),
    ]:
        prolific.add_fault(kind, count=1, **fields)

    run = wait(participant_group="Wave 1 completed", target_count=40)

    assert run.state == "success"
    assert [request["status"] for request in prolific.requests()][-1] == 200
    assert len(prolific.requests()) == 5


def test_group_deleted_while_waiting_fails(prolific: Emulator, wait: Callable[..., Any]) -> None:
    group_id = prolific.create_group("Short-lived", participant_count=1)
    prolific.add_fault("status", status=503, count=1)  # the first look passes it by, the second finds it gone
    prolific.set_group(group_id, is_deleted=True)

    run = wait(participant_group="Short-lived", target_count=5, timeout=60)

    assert run.task_state("wait") == "failed"
    assert len(prolific.requests()) == 2


def test_execution_timeout_ends_a_wait_that_is_deferred(prolific: Emulator, run_dag: Callable[..., Any]) -> None:
    group = "dict(participant_group='Wave 1 completed', target_count=50"
    arguments = f"{group}, deferrable=True, poke_interval=1, timeout=60, execution_timeout=timedelta(seconds=3))"
    started = time.monotonic()

    try:
        state = run_dag(DAG_FILE.replace("{arguments!r}", arguments)).task_state("wait")
    except AirflowTaskTimeout:  # dag.test() of Airflow 2.11 lets it through
        state = "failed"

    assert state == "failed"
    assert time.monotonic() - started < 50


def test_stalled_wait_begins_anew_with_each_try(
    prolific: Emulator, wait: Callable[..., Any], mode: dict[str, Any]
) -> None:
    if mode["deferrable"] and version("apache-airflow").startswith("3.0."):
        pytest.skip("Airflow 3.0 hands the event of one try to the next, whatever the task is")
    run = wait(
        participant_group="Wave 1 completed", target_count=50, stalled_after=3, timeout=60, retries=1, retry_delay=0
    )

    looks = [request["time"] for request in prolific.requests() if "/participants/" not in request["path"]]
    assert run.task_state("wait") == "failed"
    assert looks[-1] - looks[0] >= 2 * 3 - 0.1


def test_value_is_json(prolific: Emulator, wait: Callable[..., Any]) -> None:
    run = wait(participant_group="Wave 1 completed", target_count=40)

    assert json.loads(json.dumps(run.xcom("wait"))) == run.xcom("wait")
