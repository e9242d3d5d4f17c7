"""Each example DAG runs as it is, in a real Airflow against the emulator."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS

EXAMPLES = Path(__file__).parent.parent.parent / "example_dags"


def test_all_are_parsed_without_a_warning_and_without_a_connection() -> None:
    # Event-driven scheduling came with Airflow 3.
    paths = [str(path) for path in EXAMPLES.glob("*.py") if HAS_EVENT_TRIGGERS or path.stem != "woken_by_growth"]
    program = "import runpy, sys; [runpy.run_path(path) for path in sys.argv[1:]]"
    parsed = subprocess.run(
        [sys.executable, "-W", "default", "-c", program, *paths],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    ours = [
        line
        for line in (parsed.stdout + parsed.stderr).splitlines()
        if "warning" in line.lower() and ("example_dags" in line or "airflow_provider_prolific" in line)
    ]
    assert len(paths) >= 6
    assert parsed.returncode == 0, parsed.stderr
    assert ours == []


def test_list_feeds_one_task_per_group(prolific: Emulator, run_example: Callable[..., Any]) -> None:
    run = run_example("list_participant_groups")

    assert run.state == "success"
    groups = run.xcom("list_groups")
    assert [group["name"] for group in groups] == [
        group["name"] for group in prolific.groups(workspace_id=prolific.workspace_id) if not group["is_deleted"]
    ]
    assert run.xcom("report", map_index=7) == "Exclusion list: 25 participants"
    assert {group["name"] for group in run.xcom("list_each_scope", map_index=0)} == {
        "Bilingual readers",
        "Monolingual readers",
    }
    assert {group["name"] for group in run.xcom("list_each_scope", map_index=1)} == {"Trained raters", "First cohort"}


def test_gate_opens_when_the_group_is_big_enough(prolific: Emulator, run_example: Callable[..., Any]) -> None:
    prolific.set_group(prolific.group_id("Screened adults"), participant_count=0, growth_per_second=4)

    run = run_example("gate_on_group_size", target_count=12)

    [group] = run.xcom("enough_participants")
    assert run.state == "success"
    assert group["participant_count"] >= 12
    assert group["reached"] is True
    assert f"for {group['participant_count']} people" in run.xcom("prepare_main_study")


def test_quota_cells_open_for_any_and_for_each(prolific: Emulator, run_example: Callable[..., Any]) -> None:
    run = run_example("quota_cells")

    assert run.state == "success"
    assert "Quota: women 18-39" in run.xcom("name_full_cells")
    assert "Quota: men 40+" not in run.xcom("name_full_cells")
    assert [run.xcom("cell_full", map_index=index)[0]["reached"] for index in range(3)] == [True, True, True]
