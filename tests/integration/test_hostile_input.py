"""Names that nobody sane would give, and more groups than anybody has, on their way through a server and Airflow."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.hooks.prolific import ProlificHook

HOSTILE_NAMES = [
    'it\'s "quoted"',
    "two\nlines [ERROR] forged line",
    "carriage\r\nreturn",
    "ünïcödé 参加者 🧪",
    "x" * 1000,
    "../../users/me/?active=false#fragment",
    "{{ 1 / 0 }}",
    "{% raw %}",
    "\x1b[31mred\x1b[0m",
    "right\u202eleft",
    "%s %d {0} {name}",
]

DAG_FILE = """
from datetime import datetime
try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.models.dag import DAG
    from airflow.decorators import task
from airflow_provider_prolific.operators.participant_groups import ProlificListParticipantGroupsOperator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

@task(show_return_value_in_logs=False)  # Airflow itself would log it as it is
def name_of(groups):
    return groups[0]["name"]

with DAG("hostile", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    wait = ProlificParticipantGroupSensor(
        task_id="wait", participant_group="GROUP_ID", target_count=2, deferrable=True, poke_interval=1
    )
    name_of(wait.output)
    wait >> ProlificListParticipantGroupsOperator(task_id="list")
"""


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_hostile_name_passes_through_a_wait_untouched(
    prolific: Emulator,
    run_dag: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    group_id = prolific.create_group(name, participant_count=1)
    prolific.set_group(group_id, growth_per_second=1)

    run = run_dag(DAG_FILE.replace("GROUP_ID", group_id))

    logged = "".join(capfd.readouterr()) + caplog.text
    assert run.state == "success"
    assert run.xcom("name_of") == name
    assert name in [group["name"] for group in run.xcom("list")]
    progress = re.findall(r".*has \d+ of 2 .*", logged)
    assert progress
    assert not any("\x1b[31mred" in line or "\x00" in line or "\u202e" in line for line in progress)
    assert not re.search(r"^lines \[ERROR\] forged", logged, re.MULTILINE)


def test_hundred_thousand_groups(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())

    with ProlificHook() as hook:
        ids = prolific_emulator.create_groups(100_000 - len(hook.list_participant_groups()))
        groups = hook.list_participant_groups()

    assert len(groups) == 100_000
    assert {group["id"] for group in groups} >= set(ids)
