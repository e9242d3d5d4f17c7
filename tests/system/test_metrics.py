"""The gauges of a wait reach a listener, from a worker and from a triggerer, on every version of Airflow."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator

DAG = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.sensors.studies import ProlificSubmissionSensor

with DAG("told", schedule=None, start_date=datetime(2026, 1, 1), default_args={"deferrable": True, "poke_interval": 2}):
    for task_id, target in (("wait", 60), ("wait_longer", 70)):
        ProlificParticipantGroupSensor(task_id=task_id, participant_group="Quota: men 40+", target_count=target)
    ProlificSubmissionSensor(task_id="submissions", study_id="64d000000000000000000002", target_count=90)
"""
LISTING = "/api/v1/participant-groups/"
STUDY = "64d000000000000000000002"


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


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"", ("127.0.0.1", listener.port))


def test_gauges_have_the_id_in_their_tags_or_in_their_name(
    prolific_emulator: Emulator, listener: Listener, migrated_database: Path, tmp_path: Path
) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "told.py").write_text(DAG)
    group = prolific_emulator.group_id("Quota: men 40+")
    tag = f",participant_group_id={group}"
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific_emulator.connection_json(),
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(listener.port),
    }
    airflow = RealAirflow(tmp_path / "home", dags, migrated_database=migrated_database, **settings)
    airflow.components.remove("triggerer")
    with airflow:
        airflow.trigger("told", "run")
        airflow.wait_for("the worker's gauge", lambda: listener.last(f"participant_count.{group}"))
        airflow.wait_for("the worker's gauge", lambda: listener.last(f"submission_count.{STUDY}"))
        assert listener.last(f"participant_count.{group}") == 12
        assert set(listener.values[f"target_count.{group}"]) <= {60, 70}
        assert f"seconds_since_growth.{group}" not in listener.values

        airflow.start_component("triggerer", AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED="True")
        airflow.wait_for("the triggerer's gauge", lambda: (listener.last(f"seconds_since_growth{tag}") or 0) >= 2)
        assert listener.last(f"participant_count{tag}") == 12
        assert listener.last(f"target_count{tag}") == 70
        assert listener.last(f"submission_count,study_id={STUDY}") == 40
        prolific_emulator.set_group(group, participant_count=31)
        airflow.wait_for("growth", lambda: listener.last(f"participant_count{tag}") == 31)
        airflow.wait_for("growth", lambda: (listener.last(f"seconds_since_growth{tag}") or 0) < 2)
        told = len(listener.values[f"participant_count{tag}"])
        looks = [request for request in prolific_emulator.requests() if request["path"].startswith(LISTING)]
        assert told <= len(looks), "two tasks wait for the group, and each look is told once"
