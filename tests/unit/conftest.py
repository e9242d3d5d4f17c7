"""What the unit tests share: a connection, participant groups, a mocked API, a clock and a recorded log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
import responses

hypothesis.settings.register_profile("unit", deadline=None, derandomize=True, database=None, max_examples=150)
hypothesis.settings.load_profile("unit")

GROUPS_URL = "https://api.prolific.com/api/v1/participant-groups/"


@pytest.fixture(scope="session")
def token() -> str:
    return "token-that-nobody-may-see"


@pytest.fixture(scope="session")
def workspace() -> str:
    return "64a000000000000000000001"


@pytest.fixture(scope="session")
def group(workspace: str) -> Callable[..., dict[str, Any]]:
    """Make a participant group as the API shows it."""

    def make(
        id: str = "g1", name: str = "Screened adults", participant_count: int = 0, **fields: Any
    ) -> dict[str, Any]:
        return {
            "id": id,
            "name": name,
            "description": "Adults who passed the screener",
            "workspace_id": workspace,
            "organisation_id": None,
            "project_id": None,
            "participant_count": participant_count,
            "is_deleted": False,
            "feeder_studies": [],
            **fields,
        }

    return make


@pytest.fixture
def dag() -> Iterator[Any]:
    """A DAG that the tasks made meanwhile belong to."""
    try:
        from airflow.sdk import DAG
    except ImportError:  # Airflow 2.11
        from airflow.models.dag import DAG

    with DAG("unit_test", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        yield dag


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, token: str) -> Callable[..., None]:
    """Set a Prolific connection in the environment, in its JSON form, with the given fields."""

    def set_connection(conn_id: str = "prolific_default", **fields: Any) -> None:
        document = {"conn_type": "prolific", "password": token, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(document))

    return set_connection


@pytest.fixture
def connection(connect: Callable[..., None], workspace: str) -> str:
    """The default connection, with a workspace as its default scope; its id."""
    connect(extra={"workspace_id": workspace})
    return "prolific_default"


class MockedApi(responses.RequestsMock):
    """The API at its real address, mocked: what it is to answer, and what it was asked."""

    def lists(self, *groups: Any, **page: Any) -> None:
        """Answer the next listing with these groups; the last such answer stays."""
        self.get(GROUPS_URL, json={"results": list(groups), **page})

    def fails(self, status: int, body: str = "", **headers: str) -> None:
        """Answer the next listing with an error."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.get(GROUPS_URL, status=status, body=body, headers=headers)

    @property
    def requests(self) -> list[Any]:
        return [call.request for call in self.calls]


@pytest.fixture
def api() -> Iterator[MockedApi]:
    with MockedApi(assert_all_requests_are_fired=False) as mocked:
        yield mocked


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be slept; nobody sleeps."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.passed += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    started, monotonic_started = time.time(), time.monotonic()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "time", lambda: started + clock.passed)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic_started + clock.passed)
    return clock


class TaskLog:
    """A task's log: its lines, each after its level."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def write(message: str, *args: Any) -> None:
            self.lines.append(f"{level}: {message % args if args else message}")

        return write

    def of_level(self, level: str) -> list[str]:
        return [line for line in self.lines if line.startswith(f"{level}: ")]


@pytest.fixture
def record_log(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], TaskLog]:
    """Record what objects of a class log, on every version of Airflow."""

    def record(cls: type) -> TaskLog:
        log = TaskLog()
        monkeypatch.setattr(cls, "log", log, raising=False)
        return log

    return record
