"""A real Airflow in a folder of its own, every component a process on its own port; for the demo and the tests."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psutil  # a dependency of Airflow itself
from airflow_api import AirflowApi

T = TypeVar("T")
AIRFLOW_2 = version("apache-airflow").startswith("2.")
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def is_airflow_2(python: str) -> bool:
    """Tell whether the Airflow of a Python is an Airflow 2."""
    if python == sys.executable:
        return AIRFLOW_2
    command = [python, "-c", "from importlib.metadata import version; print(version('apache-airflow'))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith("2.")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Let the signals that end a program wait: amid the start of a process they would leave one that nobody ends."""
    came: list[int] = []
    handlers = {sign: signal.signal(sign, lambda sign, _: came.append(sign)) for sign in ENDING_SIGNALS}
    try:
        yield
    finally:
        for sign, handler in handlers.items():
            signal.signal(sign, handler)
        for sign in came:
            signal.raise_signal(sign)


class RealAirflow:
    """
    Airflow's components as processes, ended by their process ids.

    :param home: The folder that holds everything: configuration, database, logs.
    :param dags_folder: Where the DAG files are.
    :param python: The Python whose Airflow it is; by default this one.
    :param components: Which components to start; by default those that tasks need.
    :param migrated_database: A SQLite database in its first state, which is copied; by default one is made.
    :param settings: Further environment, such as ``AIRFLOW_CONN_PROLIFIC_DEFAULT``.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        *,
        python: str | Path = sys.executable,
        components: Sequence[str] | None = None,
        migrated_database: Path | None = None,
        **settings: str,
    ) -> None:
        self.home = home
        self.dags_folder = dags_folder
        self.migrated_database = migrated_database
        self.python = str(python)
        if components is None:
            components = ["scheduler", "triggerer"]
            if not is_airflow_2(self.python):
                components += ["api-server", "dag-processor"]
        self.components = components
        self.database = home / "airflow.db"
        self.api_port = free_port()
        self.url = url = f"http://127.0.0.1:{self.api_port}"
        self.api = AirflowApi(url)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # else every start compiles 1,500 modules
        self.environment = inherited | {
            # Airflow 2.11 starts its tasks as "airflow", wherever the PATH finds it.
            "PATH": f"{Path(self.python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.api_port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__WORKERS": "1",
            # On a busy machine the first answer takes its time, and Airflow would kill the task that waits for it.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_hex(16),
            **(self._webserver_settings() if "webserver" in components else {}),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            **settings,
        }
        self._components: dict[str, subprocess.Popen[bytes]] = {}

    def _webserver_settings(self) -> dict[str, str]:
        """Return what the API server's settings were called before Airflow 3."""
        return {
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(self.api_port),
            "AIRFLOW__WEBSERVER__BASE_URL": self.url,
            "AIRFLOW__WEBSERVER__WORKERS": "1",
        }

    # -- components -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the database and start every component; return when Airflow can run tasks."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self.migrated_database:
            shutil.copy(self.migrated_database, self.database)
        else:
            self.command("db", "migrate")
        for component in self.components:
            self.start_component(component)
        if "api-server" in self.components or "webserver" in self.components:
            self.wait_for("the API server", self._api_answers, seconds=90)

    def start_component(self, name: str, *command: str, **settings: str) -> None:
        """
        Start one component, in a process group of its own; what it prints goes to a file in the home.

        :param name: What to call it here.
        :param command: The ``airflow`` command that it runs; by default its name.
        :param settings: Further environment of this component alone.
        """
        with (self.home / f"{name}.out").open("ab") as out, signals_held():
            self._components[name] = subprocess.Popen(
                [self.python, "-m", "airflow", *(command or [name])],
                env=self.environment | settings,
                cwd=self.home,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def stop_component(self, name: str, sign: int = signal.SIGTERM) -> None:
        """End one component and all processes that it started."""
        self._end([self._components.pop(name)], sign)

    def stop(self) -> None:
        """End every component; nothing is left running."""
        self._end(list(self._components.values()), signal.SIGTERM)
        self._components.clear()

    @staticmethod
    def _end(components: list[subprocess.Popen[bytes]], sign: int) -> None:
        family = []
        for component in components:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(component.pid)
                family += [process, *process.children(recursive=True)]
        for component in components:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(component.pid, sign)
        _, alive = psutil.wait_procs(family, timeout=3)
        for again, seconds in ((sign, 10), (signal.SIGKILL, 10)):  # a triggerer leaves at once only when told twice
            for process in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(again)
            _, alive = psutil.wait_procs(alive, timeout=seconds)
        for component in components:
            component.wait()

    def __enter__(self) -> RealAirflow:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    # -- use --------------------------------------------------------------------------------------------------

    def command(self, *arguments: str, check: bool = True) -> str:
        """Run an ``airflow`` command and return what it prints."""
        finished = subprocess.run(
            [self.python, "-m", "airflow", *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and finished.returncode != 0:
            raise RuntimeError(f"airflow {' '.join(arguments)} failed:\n{finished.stdout}\n{finished.stderr}")
        return finished.stdout + finished.stderr

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Start a run of a DAG, as soon as Airflow has parsed its file; by the REST API where nobody has to sign in."""
        self.wait_for(f"the DAG {dag_id}", lambda: self.query("SELECT 1 FROM serialized_dag WHERE dag_id = ?", dag_id))
        if (
            "api-server" in self.components
            and self.environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "True"
        ):
            run = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
            self.api.ask("POST", f"api/v2/dags/{dag_id}/dagRuns", run)
        else:
            self.command("dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(conf or {}))

    def create_wallet_pool(self) -> None:
        """Create the pool of the examples' tasks that spend money, in an Airflow 3."""
        pool = {
            "name": "prolific_wallet",
            "slots": 1,
            "description": "One payment at a time",
            "include_deferred": False,
        }
        self.api.ask("POST", "api/v2/pools", pool)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read from the metadata database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """Return the state of a DAG run."""
        rows = self.query("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag_id, run_id)
        return rows[0][0] if rows else None

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 120) -> str:
        """Wait until a DAG run has ended, and return its state."""
        return self.wait_for(
            f"the end of {dag_id} {run_id}",
            lambda: state if (state := self.run_state(dag_id, run_id)) in ("success", "failed") else None,
            seconds,
        )

    def task_states(self, dag_id: str, run_id: str) -> dict[tuple[str, int], str]:
        """Return the state of each task instance of a run, by task id and map index."""
        rows = self.query(
            "SELECT task_id, map_index, state FROM task_instance WHERE dag_id = ? AND run_id = ?", dag_id, run_id
        )
        return {(task_id, map_index): state for task_id, map_index, state in rows}

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return what a task instance returned."""
        [(value,)] = self.query(
            "SELECT value FROM xcom WHERE dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ? "
            "AND key = 'return_value'",
            dag_id,
            run_id,
            task_id,
            map_index,
        )
        while isinstance(value, (str, bytes)):  # 3.x stores the JSON text as JSON, 2.11 as bytes
            try:
                value = json.loads(value)
            except ValueError:
                break
        return value

    def log_lines(self, dag_id: str, run_id: str) -> list[str]:
        """Return what the tasks of a run have logged so far, file by file: the worker's part and the triggerer's."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}"
        return [line for path in sorted(folder.rglob("*.log*")) if path.is_file() for line in _read_log(path)]

    def wait_for(self, what: str, condition: Callable[[], T | None], seconds: float = 60) -> T:
        """Wait until a condition returns something true, and return that."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, component in self._components.items():
                if component.poll() is not None:
                    raise RuntimeError(f"airflow {name} ended:\n{(self.home / f'{name}.out').read_text()[-4000:]}")
            if result := condition():
                return result
            time.sleep(0.2)
        raise TimeoutError(f"waited {seconds} seconds for {what}")

    def _api_answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.api_port)) == 0


def _read_log(path: Path) -> Iterator[str]:
    for line in path.read_text(errors="replace").splitlines():
        try:
            yield str(json.loads(line)["event"])  # Airflow 3 writes JSON
        except (ValueError, KeyError, TypeError):
            yield line
