"""A trigger whose code the triggerer does not have.

This is the last test of its Airflow: SQLite gives the id of the failed trigger to the next one, and the triggerer does
not start that one.
"""

import re

from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator

DAG = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger

# The triggerer does not know the module of a DAG file, as if it were not installed there.
class WorkersOnlyTrigger(ProlificParticipantGroupTrigger):
    pass

class WorkersOnlySensor(ProlificParticipantGroupSensor):
    trigger_path = f"{__name__}.WorkersOnlyTrigger"

with DAG("not_importable", schedule=None, start_date=datetime(2026, 1, 1)):
    WorkersOnlySensor(
        task_id="wait", participant_group="Never full", target_count=99, deferrable=True, never_fail=True,
        timeout=300
    )
"""


def test_a_trigger_that_cannot_be_imported_ends_the_wait_with_the_cure(
    prolific_emulator: Emulator, restless_airflow: RealAirflow
) -> None:
    prolific_emulator.create_group("Never full")
    (restless_airflow.dags_folder / "not_importable.py").write_text(DAG)
    restless_airflow.trigger("not_importable", "run")
    restless_airflow.wait_for_run("not_importable", "run")

    assert re.search(
        r"Skipped \(never_fail\): the trigger failed: ModuleNotFoundError: No module named '\S+' "
        r"\(is the package installed where the triggerer runs\?\)",
        "\n".join(restless_airflow.log_lines("not_importable", "run")),
    )
