"""Waits whose answers hold what no database takes, beside a healthy one: in a real triggerer, on any database."""

from __future__ import annotations

import time

from real_airflow import RealAirflow
from workspaces import Workspaces, listing_of, listing_of_count

from airflow_provider_prolific.emulator import EmulatorClient

BEAT = 5  # seconds, as in the DAG
GROUP = "Beside the hostile"
#: By workspace, a group that would open its gate, or end its wait with an error that quotes it.
HOSTILE_GROUPS = {
    "nul": rb'{"id": "pg", "name": "a\u0000b", "participant_count": 50}',
    "half_of_a_pair": rb'{"id": "pg", "name": "a\ud800b", "participant_count": 50}',
    "its_raw_bytes": b'{"id": "pg", "name": "a\xed\xa0\x80b", "participant_count": 50}',
    "nul_in_a_quoted_id": rb'{"id": "a\u0000b", "name": "b", "participant_count": 50, "workspace_id": "elsewhere"}',
}
DAG_FILE = f"""
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

WAIT = dict(target_count=50, deferrable=True, poke_interval={BEAT}, timeout=900)
with DAG("hostile", schedule=None, start_date=datetime(2026, 1, 1)):
    ProlificParticipantGroupSensor(task_id="healthy", participant_group="{GROUP}", **WAIT)
    for workspace in {list(HOSTILE_GROUPS)}:
        ProlificParticipantGroupSensor(
            task_id=workspace, participant_group="pg", filter=dict(workspace_id=workspace),
            prolific_conn_id="hostile", **WAIT
        )
"""


class HostileAnswers(Workspaces):
    """What the connection ``hostile`` leads to: good answers, until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__(lambda *_: listing_of_count(1))

    def spoil(self) -> None:
        """Answer from now on with groups that no database takes."""
        self.answer = lambda workspace_id, _: listing_of(HOSTILE_GROUPS[workspace_id])

    def heal(self, participant_count: int) -> None:
        """Answer from now on with good groups."""
        self.answer = lambda workspace_id, _: listing_of_count(participant_count)


def check_that_they_harm_nobody(airflow: RealAirflow, emulator: EmulatorClient, hostile: HostileAnswers) -> None:
    """Let all wait in one triggerer, spoil the answers, and see what becomes of the healthy wait, and of the others."""
    group_id = emulator.create_group(GROUP, participant_count=1)

    def states(state: str) -> set[str]:
        found = airflow.task_states("hostile", "run").items()
        return {task_id for (task_id, _), task_state in found if task_state == state}

    airflow.trigger("hostile", "run")
    airflow.wait_for("the deferred waits", lambda: states("deferred") == {"healthy", *HOSTILE_GROUPS}, seconds=180)
    looks = hostile.requests.copy()
    hostile.spoil()
    airflow.wait_for(
        "two looks of each wait at what no database takes",
        lambda: all(hostile.requests[workspace_id] >= looks[workspace_id] + 2 for workspace_id in HOSTILE_GROUPS),
        seconds=90,
    )
    emulator.set_group(group_id, participant_count=50)
    reached = time.monotonic()
    airflow.wait_for("the healthy wait", lambda: "healthy" not in states("deferred"), seconds=90)
    delay = time.monotonic() - reached

    assert delay <= 2 * BEAT
    assert states("deferred") == set(HOSTILE_GROUPS)
    hostile.heal(participant_count=50)
    assert airflow.wait_for_run("hostile", "run", seconds=180) == "success"
