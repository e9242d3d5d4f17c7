"""Check the release: build the wheel, and run it without extras on the oldest and the newest supported Airflow."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from local_airflow import ROOT
from quick_examples import quick_example

from airflow_provider_prolific.emulator import Emulator

UV = Path(sys.executable).parent / "uv"

IMPORT_ALL = """
import importlib, pkgutil, airflow_provider_prolific as package
from pathlib import Path
assert "site-packages" in package.__file__, package.__file__
names = [module.name for module in pkgutil.walk_packages(package.__path__, "airflow_provider_prolific.")]
names = [name for name in names if ".emulator" not in name]
for name in names:
    importlib.import_module(name)
print(f"imported {len(names)} modules of {package.__version__}")
"""


def run(*command: str | Path, **settings: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "PYTHON"))}
    finished = subprocess.run(
        list(map(str, command)),
        env=environment | settings,
        cwd=settings.get("AIRFLOW_HOME", ROOT),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{finished.stdout}\n{finished.stderr}")
    return finished.stdout


def check(wheel: Path, airflow: str, interpreter: str, emulator: Emulator) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        python = home / "venv" / "bin" / "python"
        run(UV, "venv", "--quiet", "--python", interpreter, home / "venv")
        constraints = ROOT / "constraints" / f"airflow-{airflow}.txt"
        run(UV, "pip", "install", "--quiet", "--python", python, "--constraints", constraints, wheel)
        settings = {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW_CONN_PROLIFIC_DEFAULT": emulator.connection_json(),
        }
        (home / "dags").mkdir()
        (home / "dags" / "gate_on_group_size.py").write_text(quick_example("gate_on_group_size"))
        print(f"Airflow {airflow}:", run(python, "-c", IMPORT_ALL, **settings).strip())
        run(python, "-m", "airflow", "db", "migrate", **settings)
        assert "airflow-provider-prolific" in run(python, "-m", "airflow", "providers", "list", **settings)
        emulator.reset()
        emulator.set_study(emulator.study_id("Screener"), arrivals_per_second=0)
        filling = threading.Thread(target=fill_when_waited_for, args=(emulator,), daemon=True)
        filling.start()
        run(python, "-m", "airflow", "dags", "test", "gate_on_group_size", **settings)
        assert emulator.request_count() >= 2
        print(f"Airflow {airflow}: gate_on_group_size waited and went on, after {emulator.request_count()} requests")


def fill_when_waited_for(emulator: Emulator) -> None:
    """Fill the group after the first look has found it empty."""
    group_id = emulator.group_id("Screened adults")
    while emulator.request_count() == 0:
        time.sleep(0.2)
    emulator.set_group(group_id, participant_count=30)


def main() -> None:
    with tempfile.TemporaryDirectory() as dist, Emulator() as emulator:
        run(sys.executable, "-m", "build", "--outdir", dist, ROOT)
        files = sorted(Path(dist).iterdir())
        run(sys.executable, "-m", "twine", "check", "--strict", *files)
        print("built and checked:", ", ".join(path.name for path in files))
        [wheel] = (path for path in files if path.suffix == ".whl")
        lines = (ROOT / "constraints" / "versions.txt").read_text().splitlines()
        versions = [line.split() for line in lines if line and not line.startswith("#")]
        for airflow, _release, _date, python, *_ in (versions[0], versions[-1]):
            check(wheel, airflow, python, emulator)


if __name__ == "__main__":
    main()
