"""What the tests of the rules of a wait share: a jar of marbles that the API is asked for."""

from __future__ import annotations

import json
import time

import pytest
from jar_wait import JarSensor, JarTrigger
from waits import defer, event_of, reschedule_context, run_in  # noqa: F401 - fixtures

JARS_URL = "https://api.prolific.com/api/v1/jars/"


class JarAnswers:
    """What the API is to answer about the red jar, one after the other; the last answer stays."""

    def __init__(self, api):
        self._api = api
        self.url = f"{JARS_URL}red/"

    def holds(self, *counts, **fields):
        for count in counts:
            self._api.get(self.url, json={"marbles": count, **fields})

    def fails(self, status, body="", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._api.get(self.url, status=status, body=body, headers=headers)

    def answers(self, callback):
        """Let a function answer, which returns the marbles, or a status with its headers."""

        def answer(request):
            said = callback(request)
            return (*said, "") if isinstance(said, tuple) else (200, {}, json.dumps({"marbles": said}))

        self._api.add_callback("GET", self.url, answer)

    @property
    def requests(self):
        return self._api.requests


@pytest.fixture
def jar(api):
    return JarAnswers(api)


@pytest.fixture
def sensor():
    """Make a sensor that waits for 300 marbles in the red jar."""
    return lambda **arguments: JarSensor(task_id="wait", **arguments)


@pytest.fixture
def trigger():
    """Make a trigger that waits for 300 marbles in the red jar, with a deadline that is so many seconds away."""

    def make(seconds=10.0, **arguments):
        arguments = {"jar": "red", "wanted": 300, "poke_interval": 0.1, "deadline": time.time() + seconds, **arguments}
        return JarTrigger(**arguments)

    return make
