"""The rules of a wait in the triggerer: what a trigger carries there, what its one event says, and when it comes.

They are shown on a wait for marbles, which is all that its own code knows of: tests/support/jar_wait.py.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import time
from datetime import datetime, timedelta

import pytest
import requests
from airflow.models.trigger import Trigger
from hypothesis import given
from hypothesis import strategies as st
from jar_wait import JarSensor, JarTrigger
from waits import TaskDeferred

from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.text import is_storable
from airflow_provider_prolific.version_compat import AirflowSensorTimeout, BaseHook, PokeReturnValue
from airflow_provider_prolific.waiting import polling
from airflow_provider_prolific.waiting import trigger as rules
from airflow_provider_prolific.waiting.trigger import WaitTrigger

EVERY_ARGUMENT = {
    "jar": "blue",
    "wanted": 7,
    "deadline": 1_790_000_000.25,
    "prolific_conn_id": "other",
    "poke_interval": 7.5,
    "exponential_backoff": True,
    "max_wait": 300.0,
    "silent_fail": True,
    "not_before": 1_780_000_000.5,
    "stalled_after": 3600.0,
    "grown_at": 1_770_000_000.75,
    "grown_counts": [3],
}
REACHED = [{"jar": "red", "marbles": 300}]
SHORT = [{"jar": "red", "marbles": 120}]


@pytest.fixture
def no_first_pause(monkeypatch):
    """Let a trigger look as soon as it starts, for waits with long intervals."""
    monkeypatch.setattr(rules, "FIRST_LOOK_SECONDS", 0.0)


class TestSerialize:
    def test_a_trigger_comes_back_as_it_was(self):
        classpath, kwargs = JarTrigger(**EVERY_ARGUMENT).serialize()

        again = JarTrigger(**json.loads(json.dumps(kwargs)))

        assert again.serialize() == (classpath, EVERY_ARGUMENT) == ("jar_wait.JarTrigger", EVERY_ARGUMENT)

    def test_every_argument_is_carried(self, trigger):
        parameters = set(inspect.signature(WaitTrigger.__init__).parameters) - {"self", "arguments"}

        assert parameters | {"jar", "wanted"} == set(EVERY_ARGUMENT) == set(trigger().serialize()[1])

    def test_a_trigger_survives_airflows_database(self):
        assert Trigger.from_object(JarTrigger(**EVERY_ARGUMENT)).kwargs == EVERY_ARGUMENT

    def test_a_trigger_survives_the_way_from_the_worker(self):
        serde = pytest.importorskip("airflow.sdk.serde")

        assert serde.deserialize(json.loads(json.dumps(serde.serialize(EVERY_ARGUMENT)))) == EVERY_ARGUMENT

    def test_arguments_of_the_wait_are_carried_in_their_normal_form(self, trigger):
        assert trigger(wanted=" 300 ").serialize()[1]["wanted"] == 300

    def test_the_token_is_not_carried(self, jar, connection, trigger, event_of, token):
        waiting = trigger(seconds=-1)
        jar.fails(503)

        event = event_of(waiting)

        assert token not in repr((waiting, vars(waiting), waiting.serialize(), event))

    def test_nothing_is_asked_when_a_trigger_is_made(self, api, trigger):
        trigger(prolific_conn_id="nobody_knows_me")

        assert not api.requests


#: What a DAG file may give for a time span, and what it may not.
SPANS = st.integers() | st.floats() | st.timedeltas() | st.sampled_from([timedelta.max, math.inf, math.nan, "5", True])


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "poke_interval": SPANS,
            "timeout": SPANS,
            "max_wait": SPANS,
            "stalled_after": SPANS,
            "silent_fail": st.booleans(),
            "exponential_backoff": st.booleans(),
            "wanted": st.integers(1, 10**18 - 1) | st.integers(1, 9).map(" {} ".format),
            "jar": st.sampled_from(["red", "64e000000000000000000003", "r\u00f6t", "64e0"]),
        },
    )
)
def test_what_a_dag_file_accepts_reaches_the_triggerer_and_comes_back_from_it(arguments):
    """The arguments of a sensor are refused in words, or those of its trigger are the same after Airflow's JSON."""
    try:
        task = JarSensor(task_id="wait", deferrable=True, **arguments)
    except ProlificValueError as refusal:
        assert str(refusal).startswith(tuple(arguments))  # noqa: PT017 - either is right
        return
    task.poke = lambda context: PokeReturnValue(False)
    try:
        task.execute({})
    except TaskDeferred as deferral:
        trigger, timeout = deferral.trigger, deferral.timeout
    except AirflowSensorTimeout:
        assert task.timeout < 1
        return

    stored = json.loads(json.dumps(trigger.serialize()[1], allow_nan=False))

    assert JarTrigger(**stored).serialize()[1] == stored
    assert timeout is None or datetime.now() + timeout


class TestStored:
    """What was stored once must not raise an exception in the constructor, which would end the whole triggerer."""

    @pytest.mark.parametrize(
        "changes",
        [
            *({"wanted": "many"}, {"jar": None}, {"jar": {"a": 1}}, {"older": 1}),
            *({"poke_interval": "5"}, {"poke_interval": None}, {"deadline": "soon"}, {"deadline": None}),
            *({"grown_counts": 7}, {"stalled_after": "1"}, {"max_wait": "x"}),
        ],
        ids=str,
    )
    def test_arguments_of_another_form_end_as_an_error_event(self, jar, connection, trigger, event_of, changes):
        jar.holds(120)

        event = event_of(trigger(**{"exponential_backoff": True, "stalled_after": 60, **changes}))

        assert event["status"] == "error"
        assert "Error: " in event["message"]

    def test_without_an_argument_of_the_wait_too(self, event_of):
        event = event_of(JarTrigger(deadline=0, jar="red"))

        assert event["status"] == "error"
        assert "wanted" in event["message"]

    def test_it_is_logged_with_its_traceback(self, event_of, record_log):
        log = record_log(JarTrigger)

        event_of(JarTrigger(deadline=0, jar="red", wanted="many"))

        assert log.of_level("exception") == ["exception: The wait ends with an unexpected error"]


class TestEvent:
    def test_a_success_says_how_everything_stands(self, jar, connection, trigger, event_of):
        jar.holds(300)

        assert event_of(trigger()) == {"status": "success", "jars": REACHED, "message": "red has 300 of 300"}

    def test_a_success_may_come_at_a_later_look(self, jar, connection, trigger, event_of):
        jar.holds(100, 200, 300)

        assert event_of(trigger())["jars"] == REACHED
        assert len(jar.requests) == 3

    def test_a_time_out_says_what_is_short(self, jar, connection, trigger, event_of):
        jar.holds(120)

        assert event_of(trigger(0.1)) == {"status": "timeout", "jars": SHORT, "message": "red has 120 of 300"}

    @pytest.mark.parametrize(("status", "words"), [(401, "is wrong"), (403, "no access"), (404, "does not exist")])
    def test_a_permanent_refusal_ends_the_wait_at_once(
        self, jar, connection, trigger, event_of, no_first_pause, status, words
    ):
        jar.fails(status)

        event = event_of(trigger(600, poke_interval=300))

        assert (event["status"], event["jars"]) == ("error", [])
        assert words in event["message"]
        assert len(jar.requests) == 1

    def test_what_makes_the_wait_vain_ends_it_at_once(self, jar, connection, trigger, event_of, no_first_pause):
        jar.holds(0, broken=True)

        event = event_of(trigger(600, poke_interval=300))

        assert (event["status"], event["message"]) == ("error", "jar 'red' is broken")

    def test_the_error_of_a_later_look_keeps_what_was_known(self, jar, connection, trigger, event_of):
        jar.holds(120)
        jar.fails(401)

        event = event_of(trigger())

        assert (event["status"], event["jars"]) == ("error", SHORT)

    def test_what_nobody_foresaw_becomes_an_error_event(self, jar, connection, trigger, event_of, monkeypatch):
        monkeypatch.setattr("jar_wait.Jar.judge", lambda wait, answer: 1 / 0)
        jar.holds(120)

        event = event_of(trigger())

        assert (event["status"], event["message"]) == ("error", "ZeroDivisionError: division by zero")

    @pytest.mark.parametrize("nasty", ["a\0b", "half \ud800 a pair", "two\nlines", "\x1b[31mred", "x" * 100_000])
    def test_a_message_is_one_line_that_every_database_can_store(
        self, jar, connection, trigger, event_of, monkeypatch, record_log, nasty
    ):
        record_log(JarTrigger)  # what is nasty in it, tools of the tests cannot print

        def judge(wait, answer):
            raise RuntimeError(nasty)

        monkeypatch.setattr("jar_wait.Jar.judge", judge)
        jar.holds(120)

        message = event_of(trigger())["message"]

        assert message.startswith("RuntimeError: ")
        assert is_storable(message)
        assert message.isprintable()
        assert len(message) <= 1000

    def test_a_wait_that_has_stalled_says_since_when(self, jar, connection, trigger, event_of):
        jar.holds(100, 120)

        event = event_of(trigger(600, stalled_after=0.3))

        assert (event["status"], event["jars"]) == ("stalled", SHORT)
        assert event["message"].startswith("no growth for 1 s, since 20")

    def test_it_counts_from_the_growth_that_the_worker_saw(self, jar, connection, trigger, event_of):
        jar.holds(120)

        event = event_of(trigger(600, stalled_after=3600, grown_at=time.time() - 7200, grown_counts=[120]))

        assert event["message"].startswith("no growth for 2 h, since 20")

    def test_growth_since_then_counts(self, jar, connection, trigger, event_of):
        jar.holds(120, 300)

        event = event_of(trigger(600, stalled_after=3600, grown_at=time.time() - 7200, grown_counts=[119]))

        assert event["status"] == "success"

    def test_with_silent_fail_a_stall_ends_nothing(self, jar, connection, trigger, event_of):
        jar.holds(120, 120, 300)

        assert event_of(trigger(stalled_after=0, silent_fail=True))["status"] == "success"


class TestConnection:
    def test_the_connection_is_the_one_that_was_given(self, jar, connect, trigger, event_of):
        connect("other", password="other-token")
        jar.holds(300)

        assert event_of(trigger(prolific_conn_id="other"))["status"] == "success"
        assert jar.requests[0].headers["Authorization"] == "Token other-token"

    def test_a_token_that_is_replaced_during_the_wait_is_used(self, jar, connect, trigger, event_of):
        connect(password="old-token")

        def answer(request):
            connect(password="new-token")
            return 300 if request.headers["Authorization"] == "Token new-token" else 0

        jar.answers(answer)

        assert event_of(trigger())["status"] == "success"

    def test_one_that_goes_away_is_waited_for_as_long_as_the_wait_lasts(
        self, jar, connection, trigger, event_of, monkeypatch, record_log
    ):
        log = record_log(JarTrigger)
        monkeypatch.setattr(rules, "UNSEEN_CONNECTION_SECONDS", 0.0)
        read, calls = BaseHook.get_connection, []

        def get_connection(hook_class, conn_id):
            calls.append(conn_id)
            if 1 < len(calls) < 6:
                raise RuntimeError("the secrets backend is away")
            return read(conn_id)

        monkeypatch.setattr(BaseHook, "get_connection", classmethod(get_connection))
        jar.holds(120, 300)

        assert event_of(trigger())["status"] == "success"

        [line] = log.of_level("warning")
        assert "the secrets backend is away" in line

    def test_one_that_this_triggerer_has_never_seen_ends_the_wait_after_a_while(
        self, api, trigger, monkeypatch, event_of
    ):
        monkeypatch.setattr(rules, "UNSEEN_CONNECTION_SECONDS", 0.5)
        begun = time.monotonic()

        event = event_of(trigger(600, prolific_conn_id="nobody_knows_me"))

        assert time.monotonic() - begun >= 0.5
        assert event["status"] == "error"
        assert event["message"].startswith(
            "set the connection where the triggerer runs, too: connection 'nobody_knows_me' cannot be read: "
        )

    def test_each_of_the_waits_that_it_ends_says_so_once(self, api, trigger, monkeypatch):
        monkeypatch.setattr(rules, "UNSEEN_CONNECTION_SECONDS", 0.0)

        async def wait():
            return (await anext(trigger(600, prolific_conn_id="nobody_knows_me").run())).payload

        async def main():
            return await asyncio.gather(*(wait() for _ in range(5)))

        assert {event["message"].count("triggerer") for event in asyncio.run(main())} == {1}

    def test_with_silent_fail_it_is_waited_for_until_the_deadline(self, api, trigger, monkeypatch, event_of):
        monkeypatch.setattr(rules, "UNSEEN_CONNECTION_SECONDS", 0.0)

        event = event_of(trigger(0.5, prolific_conn_id="nobody_knows_me", silent_fail=True))

        assert event["message"].startswith("the last look before the deadline failed: connection 'nobody_knows_me'")


class TestTemporaryErrors:
    @pytest.mark.parametrize(
        "answer",
        [
            *({"status": 429}, {"status": 500}, {"status": 503, "body": "<html>Maintenance</html>"}, {"status": 302}),
            *({"body": "<html>Sign in</html>"}, {"body": "[]"}, {"body": '{"marbles": null}'}),
            {"body": requests.ConnectionError("Connection aborted.")},
            {"body": requests.ReadTimeout("Read timed out.")},
        ],
        ids=str,
    )
    def test_it_is_logged_and_looked_at_again(self, api, jar, connection, trigger, event_of, record_log, token, answer):
        log = record_log(JarTrigger)
        api.get(jar.url, **answer)
        jar.holds(300)

        assert event_of(trigger())["status"] == "success"

        [line] = log.of_level("warning")
        assert line.startswith("warning: This look failed, the wait goes on: ")
        assert "GET /api/v1/jars/" in line
        assert token not in line

    def test_if_the_last_look_failed_the_wait_ends_as_an_error(self, jar, connection, trigger, event_of):
        jar.holds(120)
        jar.fails(503, '{"detail": "Maintenance"}')

        event = event_of(trigger(0.3))

        assert (event["status"], event["jars"]) == ("error", SHORT)
        assert event["message"].startswith("the last look before the deadline failed: Prolific has a temporary problem")
        assert "Maintenance" in event["message"]

    def test_if_the_last_look_is_good_again_a_time_out_is_one(self, jar, connection, trigger, event_of):
        jar.fails(503)
        jar.holds(120)

        assert event_of(trigger(0.3))["status"] == "timeout"

    def test_silent_fail_goes_on_after_a_permanent_error(self, jar, connection, trigger, event_of):
        jar.fails(401)
        jar.holds(0, broken=True)
        jar.holds(300)

        assert event_of(trigger(silent_fail=True))["status"] == "success"

    def test_silent_fail_ends_as_an_error_if_the_last_look_failed(self, jar, connection, trigger, event_of):
        jar.fails(401)

        event = event_of(trigger(0.2, silent_fail=True))

        assert event["status"] == "error"
        assert "401" in event["message"]

    def test_the_first_line_tells_what_came_since_the_workers_look(
        self, jar, connection, trigger, event_of, record_log
    ):
        log = record_log(JarTrigger)
        jar.holds(123, 300)

        event_of(trigger(grown_counts=[120]))

        assert log.of_level("info")[0] == "info: red has 123 of 300, +3"

    def test_the_log_tells_progress(self, jar, connection, trigger, event_of, record_log):
        log = record_log(JarTrigger)
        jar.holds(120, 120, 150, 300)

        event_of(trigger())

        lines = [line for line in log.of_level("info") if "of 300" in line]
        assert len(lines) == 3
        assert lines[0] == "info: red has 120 of 300"
        assert lines[1].startswith("info: red has 150 of 300, +30")


class TestTime:
    @pytest.mark.parametrize(("count", "expected"), [(120, "timeout"), (300, "success")])
    def test_a_deadline_that_has_passed_is_one_look(self, jar, connection, trigger, event_of, count, expected):
        jar.holds(count)

        assert event_of(trigger(-1000, poke_interval=300))["status"] == expected
        assert len(jar.requests) == 1

    def test_a_deadline_that_has_passed_and_a_failing_look_are_an_error(self, jar, connection, trigger, event_of):
        jar.fails(503)

        assert event_of(trigger(-1000, poke_interval=300))["status"] == "error"
        assert len(jar.requests) == 1

    def test_a_deadline_before_the_next_look_ends_the_wait_with_a_look(
        self, jar, connection, trigger, event_of, no_first_pause
    ):
        jar.holds(120, 300)
        begun = time.monotonic()

        event = event_of(trigger(0.2, poke_interval=3600))

        assert time.monotonic() - begun < 10
        assert event["status"] in ("success", "timeout")  # whether the answer is young enough to be the last
        assert len(jar.requests) <= 2

    @pytest.mark.parametrize(("interval", "pause"), [(3600, 10), (9, 9), (5, 8), (4, 8), (3, 6), (0, 0.2)])
    def test_the_first_look_leaves_airflow_the_time_to_hear_of_the_workers_end(
        self, jar, connection, trigger, event_of, monkeypatch, interval, pause
    ):
        slept = []

        async def sleep(seconds):
            slept.append(seconds)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        jar.holds(300)

        event_of(trigger(600, poke_interval=interval))

        assert slept[:1] == [pause]

    def test_the_interval_is_kept(self, jar, connection, trigger, event_of):
        jar.holds(120)

        event_of(trigger(1.9, poke_interval=0.5))

        assert 2 <= len(jar.requests) <= 5

    def test_an_interval_of_zero_does_not_spin(self, jar, connection, trigger, event_of):
        jar.holds(120)

        event_of(trigger(0.4, poke_interval=0))

        assert 2 <= len(jar.requests) <= 12

    @pytest.mark.parametrize("status", [401, 429, 503])
    def test_no_failure_spins(self, jar, connection, trigger, event_of, status):
        jar.fails(status)

        event_of(trigger(0.4, poke_interval=0, silent_fail=True))

        assert 1 <= len(jar.requests) <= 12

    def test_with_back_off_looks_become_rare(self, jar, connection, trigger, event_of):
        jar.holds(120)

        event_of(trigger(1.5, exponential_backoff=True))

        assert 2 <= len(jar.requests) <= 6

    def test_the_first_look_is_not_before_the_time_that_the_api_named(self, jar, connection, trigger, event_of):
        looked_at = []
        jar.answers(lambda request: looked_at.append(time.time()) or 300)
        not_before = time.time() + 0.4

        event_of(trigger(not_before=not_before))

        assert looked_at[0] >= not_before - 0.05

    def test_a_time_that_lies_far_ahead_is_not_believed(self, jar, connection, trigger, event_of, monkeypatch):
        monkeypatch.setattr(rules, "MAX_NOT_BEFORE_SECONDS", 0.3)
        jar.holds(300)
        begun = time.monotonic()

        assert event_of(trigger(600, not_before=time.time() + 3600))["status"] == "success"
        assert time.monotonic() - begun < 30

    def test_what_is_believed_is_what_the_api_can_ask_for(self):
        from airflow_provider_prolific.hooks.client import RETRY_AFTER_CEILING_SECONDS

        assert rules.MAX_NOT_BEFORE_SECONDS == RETRY_AFTER_CEILING_SECONDS

    def test_a_time_that_the_api_named_does_not_prolong_the_wait(self, jar, connection, trigger, event_of):
        jar.holds(120)
        begun = time.monotonic()

        assert event_of(trigger(0.2, not_before=time.time() + 100))["status"] == "timeout"
        assert time.monotonic() - begun < 30
        assert len(jar.requests) == 1

    def test_a_rate_limit_during_the_wait_is_honoured(self, jar, connection, trigger, event_of):
        looked_at = []

        def answer(request):
            looked_at.append(time.monotonic())
            return (429, {"Retry-After": "1"}) if len(looked_at) == 1 else 300

        jar.answers(answer)

        assert event_of(trigger())["status"] == "success"
        assert looked_at[1] - looked_at[0] >= 0.95

    def test_a_rate_limit_beyond_the_deadline_ends_the_wait_there_as_an_error(self, jar, connection, trigger, event_of):
        jar.fails(429, Retry_After="60")
        begun = time.monotonic()

        event = event_of(trigger(3))

        assert time.monotonic() - begun < 30
        assert event["status"] == "error"
        assert "429" in event["message"]
        assert len(jar.requests) == 1

    def test_a_wait_that_is_cancelled_ends_without_an_event(self, jar, connection, trigger):
        jar.holds(120)
        seen = []

        async def wait():
            seen.extend([event async for event in trigger(600).run()])

        async def cancel():
            task = asyncio.create_task(wait())
            await asyncio.sleep(0.3)
            task.cancel()
            await task

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancel())
        assert seen == []
        assert not polling._loops

    def test_the_event_loop_runs_on_while_the_api_is_slow(self, jar, connection, trigger):
        jar.answers(lambda request: time.sleep(0.5) or 300)

        async def wait():
            turns = 0
            task = asyncio.create_task(anext(trigger().run()))
            while not task.done():
                await asyncio.sleep(0.01)
                turns += 1
            return turns

        assert asyncio.run(wait()) > 10
