"""An Airflow home for each process that runs tests, set before anything imports Airflow; the emulator's fixtures."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

HOME = Path(tempfile.mkdtemp(prefix="airflow-provider-prolific-"))

for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(HOME / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
)
# These make every Airflow subprocess compile its 1,500 modules, or send loopback traffic to a proxy.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Files that one process runs, for they share what takes long to start: a real Airflow (a fixture of
#: ``tests/system/conftest.py``), or the API server that ``dag.test()`` starts in the process itself.
TOGETHER = {
    f"tests/{folder}/test_{name}.py": group
    for group, folder, names in (
        ("airflow", "system", "real_airflow secrets"),
        ("restless_airflow", "system", "asset_watchers bonuses metrics unknown_trigger"),
        ("dag.test 1", "integration", "bonuses hostile_input pipeline publish_after_approval recipes"),
        ("dag.test 2", "integration", "acting_on_studies approvals links participants sensor_modes"),
        ("dag.test 3", "integration", "example_dags studies"),
        ("dag.test 3", "unit/plugin", "plugin"),
    )
    for name in names.split()
}

pytest_plugins = ["airflow_provider_prolific.emulator.pytest_plugin"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the groups of files, which take longest."""
    items.sort(key=lambda item: item.location[0] not in TOGETHER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the tests of a file to one process, and files that share something to the same one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return TOGETHER.get(file, file)

    return Scheduling(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metadata database in its first state, to be copied; made once for all processes that run tests."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    database = folder / "airflow.db"
    with (folder / "airflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            migrated = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=os.environ | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    return database


@pytest.fixture(scope="session")
def airflow_db(migrated_database: Path) -> None:
    """A migrated metadata database in the Airflow home."""
    shutil.copy(migrated_database, HOME)
