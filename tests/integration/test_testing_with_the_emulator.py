"""How a user's own project tests its waits; docs/testing.md shows these lines."""

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor


def test_wait_survives_an_outage(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    group_id = prolific_emulator.create_group("My group", participant_count=10)
    prolific_emulator.add_fault("status", status=503, count=1)
    sensor = ProlificParticipantGroupSensor(
        task_id="wait", participant_group="My group", target_count=10, poke_interval=0.1
    )

    [status] = sensor.execute({})

    assert status["id"] == group_id
    assert len(prolific_emulator.requests()) == 2
