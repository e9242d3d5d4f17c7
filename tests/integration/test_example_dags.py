"""Each example DAG runs in a real Airflow against the emulator, as it is but for its pace; what all of them share."""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from quick_examples import EXAMPLES, quicken

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS
from airflow_provider_prolific.waiting.sensor import WaitSensor

README = EXAMPLES.parent / "README.md"
# Event-driven scheduling came with Airflow 3, and a person's approval with 3.1.
PATHS = sorted(path for path in EXAMPLES.glob("*.py") if HAS_EVENT_TRIGGERS or path.stem != "woken_by_growth")
HAS_APPROVAL = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 1)


def test_all_are_parsed_without_a_warning_and_without_a_connection() -> None:
    program = "import runpy, sys; [runpy.run_path(path) for path in sys.argv[1:]]"
    parsed = subprocess.run(
        [sys.executable, "-W", "default", "-c", program, *map(str, PATHS)],
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
    assert parsed.returncode == 0, parsed.stderr
    assert ours == []


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> Any:
    """A DAG as its file has it."""
    if request.param.stem == "publish_after_approval" and not HAS_APPROVAL:
        pytest.skip("this Airflow cannot ask a person")
    return runpy.run_path(str(request.param))[request.param.stem]()


def test_each_has_a_description(example: Any) -> None:
    assert example.description
    assert example.doc_md


def test_each_wait_has_the_pace_of_recruiting_and_is_begun_again_where_a_resume_was_lost(example: Any) -> None:
    for task in example.tasks:
        arguments = task.partial_kwargs if is_mapped(task) else vars(task)
        sensor = task.operator_class if is_mapped(task) else type(task)
        if issubclass(sensor, WaitSensor) and arguments["timeout"] != 0:  # 0: one look, no wait
            assert arguments["deferrable"] is True
            assert arguments["retries"] >= 2
            assert seconds(arguments["poke_interval"]) >= 60
            assert seconds(arguments["timeout"]) >= 86_400


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_interval_is_one_that_the_tests_and_the_demos_can_shorten(path: Path) -> None:
    source = path.read_text()
    shortened = re.findall(r'poke_interval(?:=|": )7\b', quicken(source, seconds=7))

    assert len(shortened) == source.count("poke_interval")


def test_each_mapped_task_has_a_name(example: Any) -> None:
    assert [task.task_id for task in example.tasks if is_mapped(task) and not task.map_index_template] == []


def is_mapped(task: Any) -> bool:
    return hasattr(task, "partial_kwargs")


def seconds(value: Any) -> float:
    return float(value.total_seconds() if hasattr(value, "total_seconds") else value)


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


def test_first_example_of_the_readme_runs_as_a_file_of_its_own(prolific: Emulator, run_dag: Callable[..., Any]) -> None:
    prolific.set_group(prolific.group_id("Screened adults"), participant_count=33, growth_per_second=0)
    [source, *_] = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    if not HAS_EVENT_TRIGGERS:  # as the README says
        source = source.replace("from airflow.sdk import", "from airflow.decorators import")

    run = run_dag(quicken(source, seconds=1).replace("\ngate_on_group_size()", "\ndag = gate_on_group_size()"))

    assert run.xcom("prepare_main_study") == "Main study for 33 people of 'Screened adults'"


def test_quota_cells_open_for_any_and_for_each(prolific: Emulator, run_example: Callable[..., Any]) -> None:
    older_men = prolific.group_id("Quota: men 40+")
    prolific.set_group(older_men, growth_per_second=5, growth_limit=35)

    run = run_example("quota_cells")

    assert run.state == "success"
    assert "Quota: women 18-39" in run.xcom("name_full_cells")
    assert "Quota: men 40+" not in run.xcom("name_full_cells")
    assert [run.xcom("cell_full", map_index=index)[0]["reached"] for index in range(4)] == [True] * 4
    assert run.instance("cell_full", 3).rendered_map_index == "Quota: men 40+"


def test_hook_fills_a_group_that_it_makes_once(prolific: Emulator, run_example: Callable[..., Any]) -> None:
    for _ in range(2):
        run = run_example("taskflow_hook")

        assert run.xcom("report") == "40 people completed wave 1, 40 are excluded"
    assert [group["name"] for group in prolific.groups()].count("Not for wave 2") == 1


def test_exclusion_list_becomes_the_people_of_the_warehouse(
    prolific: Emulator, run_example: Callable[..., Any]
) -> None:
    run = run_example("daily_exclusion_list")

    assert run.state == "success"
    assert prolific.members(prolific.group_id("Exclusion list")).keys() == set(run.xcom("took_part_recently"))


def test_wave_2_is_told_when_enough_are_invited(prolific: Emulator, run_example: Callable[..., Any]) -> None:
    run = run_example("longitudinal_study")

    [message] = prolific.messages()
    assert run.state == "success"
    assert message["participant_group_id"] == prolific.group_id("Wave 2 invited")
