"""The gauges of a wait reach a listener, from a worker and from a triggerer, on every version of Airflow."""

from typing import Any

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


def test_gauges_have_the_id_in_their_tags_or_in_their_name(
    prolific_emulator: Emulator, restless_airflow: RealAirflow, listener: Any
) -> None:
    airflow = restless_airflow
    group = prolific_emulator.group_id("Quota: men 40+")
    tag = f",participant_group_id={group}"
    airflow.stop_component("triggerer")
    (airflow.dags_folder / "told.py").write_text(DAG)
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
