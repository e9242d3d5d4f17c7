"""The errors: what may pass is told from what will not, and none of them is Airflow's own."""

from __future__ import annotations

import pickle

import pytest

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.version_compat import AirflowException

ERRORS = [
    ProlificError("why"),
    ProlificValueError("why"),
    ProlificConnectionError("why"),
    ProlificResponseError("why"),
    ProlificApiError("why", 503),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_is_a_prolific_error_and_none_is_one_that_soft_fail_would_skip(error):
    assert isinstance(error, ProlificError)
    assert not isinstance(error, AirflowException)
    assert str(error) == "why"


def test_a_value_error_is_also_pythons():
    assert isinstance(ProlificValueError("why"), ValueError)


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ProlificError("why"), False),
        (ProlificValueError("why"), False),
        (ProlificConnectionError("why"), True),
        (ProlificResponseError("why"), True),
        (ProlificResponseError("why", transient=False), False),
    ],
)
def test_what_may_pass_by_itself_is_transient(error, transient):
    assert error.transient is transient


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        *(
            (302, False),
            (400, False),
            (401, False),
            (403, False),
            (404, False),
            (405, False),
            (409, False),
            (422, False),
        ),
        *((408, True), (425, True), (429, True), (500, True), (502, True), (503, True), (504, True), (599, True)),
    ],
)
def test_the_status_of_a_refusal_tells_whether_it_may_pass(status, transient):
    assert ProlificApiError("why", status).transient is transient


def test_a_refusal_carries_what_the_api_said():
    error = ProlificApiError("why", 400, 140003, "Validation error", {"name": ["too long"]}, 7.0)

    assert error.status_code == 400
    assert error.error_code == 140003
    assert error.title == "Validation error"
    assert error.detail == {"name": ["too long"]}
    assert error.retry_after == 7.0


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_the_way_between_processes(error):
    assert str(pickle.loads(pickle.dumps(error))) == "why"
