"""Whatever the API answers, what comes out is right or a refusal: never another error, never success from nonsense."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificResponseError
from airflow_provider_prolific.hooks.prolific import ProlificHook
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

URL = "https://api.prolific.com/api/v1/participant-groups/"

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
#: Nearly right, so that each check is met by values on both of its sides.
GROUP = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "b", ""]) | JSON,
        "name": st.sampled_from(["A", "B"]) | JSON,
        "participant_count": st.integers(-1, 5) | JSON,
        "is_deleted": st.booleans() | JSON,
        "workspace_id": st.sampled_from(["w", None, "other"]) | JSON,
        "feeder_studies": JSON,
    },
)
LISTING = st.fixed_dictionaries(
    {"results": st.lists(GROUP, max_size=3) | JSON},
    optional={
        "meta": st.fixed_dictionaries({}, optional={"count": st.integers(-1, 4) | JSON, "total": JSON}) | JSON,
        "_links": st.fixed_dictionaries({}, optional={"next": JSON | st.just({"href": None})}) | JSON,
    },
)
BODY = (LISTING | JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)


@pytest.fixture(autouse=True, scope="module")
def connection() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", '{"conn_type": "prolific", "password": "t"}')
        yield


def is_right(group: Any) -> bool:
    return (
        isinstance(group, dict)
        and isinstance(group["id"], str)
        and group["id"] != ""
        and isinstance(group["name"], str)
        and type(group["participant_count"]) is int
        and group["participant_count"] >= 0
        and group.get("is_deleted") in (None, False)
        and group.get("workspace_id") in (None, "w")
    )


@given(BODY)
def test_a_listing_is_right_or_refused(body: bytes) -> None:
    with responses.RequestsMock() as api:
        api.get(URL, body=body)
        try:
            groups = ProlificHook(max_retries=0).list_participant_groups({"workspace_id": "w"})
        except ProlificResponseError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right
            return

    assert all(map(is_right, groups))
    assert len({group["id"] for group in groups}) == len(groups)
    json.dumps(groups, allow_nan=False).encode()


@given(BODY, st.sampled_from([400, 401, 403, 404, 409, 422, 429, 500, 502]))
def test_a_refusal_is_told_in_one_line_whatever_its_body(body: bytes, status: int) -> None:
    with responses.RequestsMock() as api:
        api.get(URL, body=body, status=status)
        with pytest.raises(ProlificApiError) as refusal:
            ProlificHook(max_retries=0).list_participant_groups({"workspace_id": "w"})

    assert refusal.value.status_code == status
    assert str(status) in str(refusal.value)
    assert str(refusal.value).isprintable()


@given(BODY)
def test_a_look_opens_the_gate_for_a_reached_target_only(body: bytes) -> None:
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
