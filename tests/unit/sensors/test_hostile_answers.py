"""Whatever the API answers, a look opens the gate for a reached target only."""

from __future__ import annotations

import json

import pytest
import responses
from answers import LISTINGS
from hypothesis import given

from airflow_provider_prolific.exceptions import ProlificResponseError
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

URL = "https://api.prolific.com/api/v1/participant-groups/"


@pytest.fixture(autouse=True, scope="module")
def _connection():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", json.dumps({"conn_type": "prolific", "password": "t"}))
        yield


@given(LISTINGS)
def test_a_look_opens_the_gate_for_a_reached_target_only(body):
    sensor = ProlificParticipantGroupSensor(
        task_id="wait", participant_group="a", target_count=3, filter={"workspace_id": "w"}, if_missing="wait"
    )
    with responses.RequestsMock() as api:
        api.get(URL, body=body)
        try:
            result = sensor.poke({})
        except ProlificResponseError as error:
            assert "the scope was ignored" in str(error)  # noqa: PT017 - only this one ends a wait
            return

    if result.is_done:
        [status] = result.xcom_value
        assert status["participant_count"] >= 3
        assert "a" in (status["id"], status["name"])
        assert body.count(b'"participant_count"') >= 1
