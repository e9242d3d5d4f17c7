"""A real Airflow that talks to a real HTTP server."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from quick_examples import quick_example

from airflow_provider_prolific.emulator import Emulator


@pytest.fixture
def prolific(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, airflow_db: None) -> Emulator:
    """The emulator, with the default connection pointing at it."""
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    return prolific_emulator


class FinishedRun:
    """How a DAG run ended: its state, and each task instance's state and XCom."""

    def __init__(self, dag_run: Any) -> None:
        self.state = str(getattr(dag_run.state, "value", dag_run.state))
        self._instances = {(ti.task_id, ti.map_index): ti for ti in dag_run.get_task_instances()}

    def task_state(self, task_id: str, map_index: int = -1) -> str:
        return str(self._instances[task_id, map_index].state)

    def instance(self, task_id: str, map_index: int = -1) -> Any:
        return self._instances[task_id, map_index]

    def xcom(self, task_id: str, map_index: int = -1) -> Any:
        instance = self._instances[task_id, map_index]
        return instance.xcom_pull(task_ids=task_id, map_indexes=map_index)


@pytest.fixture
def run_dag(prolific: Emulator, tmp_path: Path) -> Iterator[Callable[..., FinishedRun]]:
    """
    Run the DAG of a source text to its end in this process, deferred tasks included.

    It is the text's name ``dag``.

    Airflow 3 runs only what lies in its DAG folder, so the file is put there for the time of the test.
    """
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    def run(text: str, **conf: Any) -> FinishedRun:
        path = folder / f"dag_{len(list(folder.iterdir()))}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return FinishedRun(module.dag.test(run_conf=conf or None))

    yield run
    shutil.rmtree(folder)


MODES = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferred": {"deferrable": True},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The arguments of a sensor for one of the modes."""
    if request.param == "reschedule" and version("apache-airflow").startswith("3.0."):
        pytest.skip("Airflow 3.0's dag.test() fails at any sensor's second look; test_real_airflow.py shows this mode")
    return MODES[request.param]


@pytest.fixture
def run_example(run_dag: Callable[..., FinishedRun]) -> Callable[..., FinishedRun]:
    """Run an example DAG by its file's name; its waits look every second."""

    def run(name: str, **conf: Any) -> FinishedRun:
        return run_dag(f"{quick_example(name, seconds=1)}\n\ndag = {name}()\n", **conf)

    return run
