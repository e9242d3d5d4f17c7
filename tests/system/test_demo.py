"""The demo and ``make try``, from their start to their last process."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow_api import AirflowApi
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator.client import EmulatorClient

ROOT = Path(__file__).parent.parent.parent
NEWEST = (ROOT / "constraints" / "versions.txt").read_text().splitlines()[-1].split()[1]
GROUP = "Screened adults"


def start_demo(script: str = "demo") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "scripts" / f"{script}.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def children(demo: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(demo.pid).children(recursive=True)


def test_demo_shows_the_wait_and_its_result() -> None:
    demo = start_demo()
    output, _ = demo.communicate(timeout=240)

    assert demo.returncode == 0, output
    assert len(re.findall(r"\d\d:\d\d:\d\d  'Screened adults' has \d+ of 30", output)) >= 3
    assert re.search(r"[0-9a-f]{24}  Screened adults  \d\d +30 +True", output)
    assert re.search(r"Main study for \d\d people of 'Screened adults'", output)


@pytest.mark.full
@pytest.mark.skipif(version("apache-airflow") != NEWEST, reason="make demo-pipeline has the newest Airflow")
def test_demo_of_the_pipeline_shows_people_approvals_and_money_and_leaves_no_process_behind() -> None:
    demo = start_demo("demo_pipeline")
    assert demo.stdout is not None
    said, family = "", []
    for line in demo.stdout:
        said += line
        family = family or (children(demo) if "Triggering the DAG bonuses" in line else [])
    demo.wait(timeout=60)

    assert demo.returncode == 0, said
    assert re.search(r"\d\d:\d\d:\d\d  study '.+' has (\d+) of \1 submissions approved", said)
    table = {row[0]: row[1:] for row in (re.split(r"\s{2,}", line.strip()) for line in said.splitlines())}
    for study, places in {"Screener, round 1": 20, "Main study, round 1": 6}.items():
        people, _returned, _timed_out, approved, spent, ceiling = table[study]
        assert int(people) >= int(approved) >= places
        assert 0 < pounds(spent) <= pounds(ceiling)
    people, spent, ceiling = table["Bonuses"]
    assert people == table["Main study, round 1"][3]
    assert 0 < pounds(spent) <= pounds(ceiling)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert family
    assert alive == []


def pounds(text: str) -> float:
    return float(text.removesuffix(" GBP"))


@pytest.mark.parametrize(
    ("moment", "sign"),
    [
        pytest.param("Triggering the DAG", signal.SIGINT, id="interrupted", marks=pytest.mark.full),
        pytest.param("Starting Airflow", signal.SIGTERM, id="terminated while it starts"),
    ],
)
def test_demo_leaves_no_process_behind(moment: str, sign: int) -> None:
    demo = start_demo()
    assert demo.stdout is not None
    for line in demo.stdout:
        if moment in line:
            break
    while len(family := children(demo)) < 4:
        assert demo.poll() is None
        time.sleep(0.1)
    os.kill(demo.pid, sign)
    demo.communicate(timeout=60)

    assert demo.returncode != 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_a_signal_amid_the_start_of_a_component_leaves_no_process_behind(
    tmp_path: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt), RealAirflow(tmp_path, tmp_path, migrated_database=migrated_database):
        pass

    assert [psutil.pid_exists(process_id) for process_id in started] == [False]


def waiting(api: AirflowApi) -> set[str]:
    """Return the tasks that are deferred."""
    found = api.ask("GET", "api/v2/dags/~/dagRuns/~/taskInstances?state=deferred")
    return {task["task_id"] for task in found["task_instances"]}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def tried_out() -> Iterator[subprocess.Popen[str]]:
    """``make try``, which is ended also where the test fails."""
    program = start_demo("try_out")
    yield program
    program.terminate()
    program.communicate(timeout=60)


@pytest.mark.full
@pytest.mark.skipif(version("apache-airflow") != NEWEST, reason="make try has the newest Airflow")
def test_try_lets_groups_grow_while_a_task_waits_for_them_until_a_signal_ends_it(
    tried_out: subprocess.Popen[str],
) -> None:
    assert tried_out.stdout is not None
    said = ""
    while "Ctrl-C stops everything." not in said:
        said += (line := tried_out.stdout.readline())
        assert line, said
    assert re.search(r"^Open http://127\.0\.0\.1:\d+/plugin/recruitment to watch it$", said, re.MULTILINE)
    api = AirflowApi(re.search(r"Airflow is at (\S+)", said)[1])  # type: ignore[index]
    prolific = EmulatorClient(re.search(r"curl --request POST (\S+)/_emulator/reset", said)[1])  # type: ignore[index]
    group_id = prolific.group_id(GROUP)

    wait_until(lambda: waiting(api) == {"wave_1", "younger_men", "older_men"})
    wait_until(lambda: prolific.group(prolific.group_id("Wave 1 completed"))["participant_count"] > 40)
    assert prolific.group(prolific.group_id("Quota: men 40+"))["participant_count"] == 12
    assert prolific.group(group_id)["participant_count"] == 0

    api.ask("PATCH", "api/v2/dags/gate_on_group_size", {"is_paused": False})
    run = api.ask(
        "POST", "api/v2/dags/gate_on_group_size/dagRuns", {"logical_date": None, "conf": {"target_count": 10}}
    )
    path = f"api/v2/dags/gate_on_group_size/dagRuns/{run['dag_run_id']}".replace("+", "%2B")
    wait_until(lambda: api.ask("GET", path)["state"] == "success")
    assert prolific.group(group_id)["participant_count"] >= 10

    prolific.reset()
    wait_until(lambda: prolific.group(prolific.group_id("Wave 1 completed"))["growth_per_second"] > 0)
    count = prolific.group(group_id)["participant_count"]
    time.sleep(2)
    assert prolific.group(group_id)["participant_count"] == count < 10

    family = children(tried_out)
    homes = {Path(component.cwd()) for component in psutil.Process(tried_out.pid).children()} - {Path.cwd()}
    os.kill(tried_out.pid, signal.SIGTERM)
    rest, _ = tried_out.communicate(timeout=60)
    assert (tried_out.returncode, rest.strip()) == (0, "Everything is stopped.")
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    assert homes
    assert [home for home in homes if home.exists()] == []
