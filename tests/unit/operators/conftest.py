"""What the tests of operators share: a connection, an operator that runs as on a worker, and what the API was asked."""

from __future__ import annotations

import json

import pytest
from variables import variables  # noqa: F401 - a fixture

GROUPS_URL = "https://api.prolific.com/api/v1/participant-groups/"


@pytest.fixture(autouse=True)
def _connected(connection, pauses):
    """Every test has a connection with a workspace, and nobody sleeps."""


@pytest.fixture
def run(record_log):
    """Run an operator as a worker does once its templates are rendered; what it logged is in ``run.log``."""

    def execute(operator_class, **arguments):
        recorded = record_log(operator_class)
        result = operator_class(task_id="task", **arguments).execute({})
        # Airflow's own remark that no worker runs this is not the operator's.
        execute.log = [line for line in recorded.lines if "cannot be called outside" not in line]
        return result

    return execute


@pytest.fixture
def calls(api):
    """Return what the API was asked: each method and path, the latter from the listing of groups on."""

    def read():
        return [
            f"{request.method} {request.url.partition('?')[0].removeprefix(GROUPS_URL)}" for request in api.requests
        ]

    return read


@pytest.fixture
def lists(api):
    """Answer the next listing with these groups, all in one page; the last such answer stays."""
    return lambda *groups: api.lists(*groups, meta={"count": len(groups)})


@pytest.fixture
def bodies(api):
    """Return the bodies that the API was sent."""
    return lambda: [json.loads(request.body) for request in api.requests if request.body]


@pytest.fixture
def participants():
    """Make participant ids."""
    return lambda count, first=1: [f"5f{number:022x}" for number in range(first, first + count)]
