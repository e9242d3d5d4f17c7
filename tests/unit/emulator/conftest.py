from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from airflow_provider_prolific.emulator.seed import load_seed
from airflow_provider_prolific.emulator.state import State

START = 1_750_000_000.0
SCHEMAS = json.loads(Path(__file__).with_name("schemas.json").read_text(encoding="utf-8"))


@cache
def validator(schema: str) -> Any:
    """One of the schemas, ready to check documents; making it costs far more than a check."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS)
    return jsonschema.Draft202012Validator({**SCHEMAS, "$ref": f"#/$defs/{schema}"})


class Api:
    """The imitated API over a real socket; `shape` checks an answer against one of the schemas."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Token {token}"

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self.session.request(method, f"{self.url}/api/v1/{path}", timeout=10, **arguments)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", path, params=params)

    @staticmethod
    def shape(response: requests.Response, status: int, schema: str) -> Any:
        assert response.status_code == status, response.text
        assert response.headers["Content-Type"] == "application/json"
        document = response.json()
        validator(schema).validate(document)
        return document

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.call("POST", path, json=body)

    def error(self, response: requests.Response, status: int, *, flat: bool = False) -> Any:
        error = self.shape(response, status, "flat_error" if flat else "error")
        error = error if flat else error["error"]
        assert error["status"] == status
        return error


class Clock:
    """Stands still unless the test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    return State(load_seed(None), clock)


@pytest.fixture
def api(prolific_emulator):
    api = Api(prolific_emulator.url, prolific_emulator.token)
    with api.session:
        yield api
