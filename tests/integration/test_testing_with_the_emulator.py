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


def test_screener_fills_its_group_within_a_day(prolific_emulator: Emulator) -> None:
    group_id = prolific_emulator.create_group("Passed")
    passed = {"action": "ADD_TO_PARTICIPANT_GROUP", "participant_group": group_id}
    study_id = prolific_emulator.create_study(
        "Screener",
        status="ACTIVE",
        total_available_places=200,
        arrivals_per_second=0.01,
        completion_codes=[{"code": "PASSED", "code_type": "COMPLETED", "actions": [passed]}],
    )

    prolific_emulator.advance(24 * 3600)

    assert prolific_emulator.study(study_id)["status"] == "AWAITING REVIEW"
    assert prolific_emulator.group(group_id)["participant_count"] == 200
