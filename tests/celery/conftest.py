"""Airflows as they run in production: on PostgreSQL; with CeleryExecutor, Redis, two workers and two triggerers."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hostile_waits import DAG_FILE as HOSTILE_DAG
from hostile_waits import HostileAnswers
from quick_examples import write_quick_examples
from real_airflow import RealAirflow
from servers import postgresql, redis

from airflow_provider_prolific.emulator import Emulator

WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that also then nothing is left running


class PostgresqlAirflow(RealAirflow):
    """
    Airflow on PostgreSQL.

    :param database: The address of a PostgreSQL database, without ``postgresql://``.
    """

    def __init__(
        self, home: Path, dags_folder: Path, database: str, *, components: Sequence[str] | None = None, **settings: str
    ) -> None:
        super().__init__(
            home,
            dags_folder,
            components=components,
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"postgresql+psycopg2://{database}",
            **settings,
        )
        self.database_url = f"postgresql://{database}"

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            cursor.execute(sql.replace("?", "%s"), parameters)
            return cursor.fetchall()


class CeleryAirflow(PostgresqlAirflow):
    """
    Airflow on CeleryExecutor.

    :param database: The address of a PostgreSQL database, without ``postgresql://``.
    :param broker: The URL of a Redis.
    """

    def __init__(self, home: Path, dags_folder: Path, database: str, broker: str, **settings: str) -> None:
        super().__init__(
            home,
            dags_folder,
            database,
            components=["api-server", "scheduler", "dag-processor"],
            AIRFLOW__CORE__EXECUTOR="CeleryExecutor",
            AIRFLOW__CELERY__BROKER_URL=broker,
            AIRFLOW__CELERY__RESULT_BACKEND=f"db+postgresql+psycopg2://{database}",
            AIRFLOW__CELERY__WORKER_CONCURRENCY="2",
            # A triggerer that has been silent for so long has lost its triggers to the others.
            AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC="2",
            AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD="12",
            **settings,
        )
        self.triggerer_names: dict[int, str] = {}

    def start(self) -> None:
        super().start()
        for worker in WORKERS:
            own = ["--celery-hostname", f"{worker}@%h", "--pid", str(self.home / f"{worker}.pid")]
            self.start_component(worker, "celery", "worker", *own, "--skip-serve-logs")
        for triggerer in TRIGGERERS:  # one after the other: so it is known whose entry in the database is whose
            self.start_component(triggerer, "triggerer", "--skip-serve-logs")
            self.triggerer_names[self.wait_for(f"the start of {triggerer}", self._new_triggerer)] = triggerer
        for worker in WORKERS:
            self.wait_for(f"the start of {worker}", lambda worker=worker: " ready." in self.output(worker))

    def _new_triggerer(self) -> int | None:
        jobs = {job_id for (job_id,) in self.query("SELECT id FROM job WHERE job_type = 'TriggererJob'")}
        return next(iter(jobs - set(self.triggerer_names)), None)

    def output(self, component: str) -> str:
        """Return what a component has printed."""
        return (self.home / f"{component}.out").read_text(errors="replace")

    def holder(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """Return the name of the triggerer that holds a deferred task instance's trigger."""
        rows = self.query(
            "SELECT trigger.triggerer_id FROM trigger JOIN task_instance ON task_instance.trigger_id = trigger.id "
            "WHERE dag_id = ? AND run_id = ? AND task_id = ? AND task_instance.state = 'deferred'",
            *(dag_id, run_id, task_id),
        )
        return self.triggerer_names.get(rows[0][0]) if rows else None

    def worker(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the name of the worker that got a task instance last."""
        [(celery_id,)] = self.query(
            "SELECT external_executor_id FROM task_instance WHERE dag_id = ? AND run_id = ? AND task_id = ?",
            *(dag_id, run_id, task_id),
        )
        [worker] = [worker for worker in WORKERS if celery_id in self.output(worker)]
        return worker


@pytest.fixture
def airflow(prolific_emulator: Emulator, tmp_path: Path) -> Iterator[CeleryAirflow]:
    dags = tmp_path / "dags"
    write_quick_examples(dags, "gate_on_group_size")
    settings = {"AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator.connection_json()}
    with (
        postgresql() as database,
        redis() as broker,
        CeleryAirflow(tmp_path / "home", dags, database, broker, **settings) as airflow,
    ):
        yield airflow


@pytest.fixture
def hostile() -> Iterator[HostileAnswers]:
    with HostileAnswers() as hostile:
        yield hostile


@pytest.fixture
def airflow_on_postgresql(
    prolific_emulator: Emulator, hostile: HostileAnswers, tmp_path: Path
) -> Iterator[PostgresqlAirflow]:
    """One triggerer, and no Celery."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "hostile.py").write_text(HOSTILE_DAG)
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator.connection_json(),
        "AIRFLOW_CONN_HOSTILE": hostile.connection_json(),
        "AIRFLOW__CORE__PARALLELISM": "4",
    }
    with (
        postgresql() as database,
        PostgresqlAirflow(tmp_path / "home", dags, database, **settings) as airflow,
    ):
        yield airflow
