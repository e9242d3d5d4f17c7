"""Real Airflows that several files share, for each takes half a minute of computing to start: a file adds its DAGs."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_waits import HostileAnswers
from real_airflow import RealAirflow
from workspaces import Workspaces, listing_of_count

from airflow_provider_prolific.emulator import Emulator

#: A file of DAGs that is added later is found within seconds, on Airflow 3 and on 2.11; and each of few workers runs
#: many tasks, for the first one loads what the others need.
SHARED = {
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "2",
    "AIRFLOW__CORE__PARALLELISM": "4",
}

_airflows: list[RealAirflow] = []


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the Airflows with the last test of this folder: what still waits there would go on asking the emulator."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        for airflow in _airflows:
            airflow.stop()


@pytest.fixture(scope="session")
def hostile() -> Iterator[HostileAnswers]:
    with HostileAnswers() as hostile:
        yield hostile


@pytest.fixture(scope="session")
def gates() -> Iterator[Workspaces]:
    """Workspaces whose group fills up between the first look at it and the second."""
    with Workspaces(lambda workspace_id, number: listing_of_count(0 if number == 1 else 50)) as gates:
        yield gates


@pytest.fixture(scope="session")
def secretive_emulator() -> Iterator[Emulator]:
    """An emulator whose token is found by accident nowhere."""
    with Emulator() as emulator:
        emulator.rotate_token(f"secret-{secrets.token_hex(16)}")
        yield emulator


@pytest.fixture(scope="session")
def airflow(
    prolific_emulator_process: Emulator,
    secretive_emulator: Emulator,
    hostile: HostileAnswers,
    gates: Workspaces,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_database: Path,
) -> Iterator[RealAirflow]:
    """An Airflow that is left in peace, and logs everything; it has the connections of those who share it."""
    secret = secretive_emulator.connection_json()
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator_process.connection_json(),
        "AIRFLOW_CONN_HOSTILE": hostile.connection_json(),
        "AIRFLOW_CONN_GATES": gates.connection_json(),
        "AIRFLOW_CONN_SECRET": secret,
        "AIRFLOW_CONN_SECRET_DYING": secret.replace(secretive_emulator.token, "colleague-token").replace(
            secretive_emulator.workspace_id, "64a000000000000000000002"
        ),
        "AIRFLOW_CONN_SECRET_REVOKED": secret.replace(secretive_emulator.token, f"{secretive_emulator.token}-revoked"),
        "AIRFLOW_CONN_SECRET_CLEAR_TEXT": secret.replace("127.0.0.1", "198.51.100.1"),
        "AIRFLOW_CONN_SECRET_CLOSED": re.sub(r":\d+\"", ':1"', secret),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    with _airflow(tmp_path_factory, migrated_database, **settings) as airflow:
        yield airflow


class Listener:
    """Receives what StatsD clients send, and keeps what is ours: each name with the values that it had."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.values: dict[str, list[float]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while data := self._socket.recv(65536):
            for line in data.decode().splitlines():
                name, _, rest = line.partition(":")
                if name.startswith("airflow.prolific.") and rest.endswith("|g"):
                    self.values.setdefault(name.removeprefix("airflow.prolific."), []).append(float(rest[:-2]))

    def last(self, name: str) -> float | None:
        return self.values.get(name, [None])[-1]


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"", ("127.0.0.1", listener.port))


@pytest.fixture(scope="session")
def restless_airflow(
    prolific_emulator_process: Emulator,
    listener: Listener,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_database: Path,
) -> Iterator[RealAirflow]:
    """An Airflow whose tasks are killed and whose triggerer is restarted; it tells the listener its metrics."""
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator_process.connection_json(),
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(listener.port),
        "WAREHOUSE": str(tmp_path_factory.mktemp("warehouse") / "warehouse.sqlite"),
    }
    with _airflow(tmp_path_factory, migrated_database, **settings) as airflow:
        yield airflow


def _airflow(factory: pytest.TempPathFactory, migrated_database: Path, **settings: str) -> RealAirflow:
    folder = factory.mktemp("airflow")
    dags = folder / "dags"
    dags.mkdir()
    airflow = RealAirflow(folder / "home", dags, migrated_database=migrated_database, **SHARED, **settings)
    _airflows.append(airflow)
    return airflow
