"""The rules of a wait on the worker: its arguments, what ends it and how, and that no mode differs from another.

They are shown on a wait for marbles, which is all that its own code knows of: tests/support/jar_wait.py.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import re
import time
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import jar_wait
import pytest
import requests
from airflow.configuration import conf
from hypothesis import given
from hypothesis import strategies as st
from waits import MODES, AirflowRescheduleException

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificError,
    ProlificStalledError,
    ProlificUnreadableConnectionError,
    ProlificValueError,
)
from airflow_provider_prolific.version_compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseHook,
    BaseSensorOperator,
)
from airflow_provider_prolific.waiting.sensor import WaitSensor

#: Nothing listens here.
CLOSED_PORT = 1
REACHED = [{"jar": "red", "marbles": 300}]

TEMPORARY = {
    "rate limit": {"status": 429},
    "server error": {"status": 500},
    "gateway error": {"status": 502, "body": "<html>Bad gateway</html>"},
    "unavailable": {"status": 503, "body": '{"detail": "Maintenance"}'},
    "redirect": {"status": 302},
    "no JSON": {"body": "<html>Sign in</html>"},
    "empty": {"body": ""},
    "a list": {"body": "[]"},
    "no count": {"body": "{}"},
    "not storable": {"body": '{"marbles": 300, "note": "a\\u0000b"}'},
    "broken connection": {"body": requests.ConnectionError("Connection aborted.")},
    "time-out": {"body": requests.ReadTimeout("Read timed out.")},
}


def test_a_kind_of_wait_is_its_question_its_judgement_and_its_arguments():
    assert len(Path(jar_wait.__file__).read_text().splitlines()) < 100


class TestArguments:
    def test_deferrable_is_airflows_default(self, sensor):
        assert sensor().deferrable is conf.getboolean("operators", "default_deferrable")

    @pytest.mark.parametrize(("text", "meaning"), [("false", False), ("False", False), ("true", True), (False, False)])
    def test_deferrable_may_be_text_that_means_it(self, sensor, text, meaning):
        assert sensor(deferrable=text).deferrable is meaning

    @pytest.mark.parametrize("value", ["no", "", None, 1, [], "{{ params.deferrable }}"], ids=repr)
    def test_deferrable_is_nothing_else(self, sensor, value):
        with pytest.raises(ProlificValueError, match=r"^deferrable must be True or False"):
            sensor(deferrable=value)

    @pytest.mark.parametrize("name", ["poke_interval", "timeout", "max_wait", "stalled_after"])
    @pytest.mark.parametrize("value", [5, 5.5, timedelta(seconds=5), timedelta.max, 1e12, 0], ids=repr)
    def test_a_time_span_is_a_number_of_seconds_or_a_timedelta(self, sensor, name, value):
        kept = getattr(sensor(**{name: value}), name)

        seconds = kept.total_seconds() if isinstance(kept, timedelta) else kept
        given = value.total_seconds() if isinstance(value, timedelta) else value
        assert seconds == pytest.approx(given)

    @pytest.mark.parametrize("name", ["poke_interval", "timeout", "max_wait", "stalled_after"])
    @pytest.mark.parametrize(
        "value", [math.nan, math.inf, -1, timedelta(seconds=-1), "5", True, [5], "{{ params.x }}"], ids=repr
    )
    def test_a_time_span_is_nothing_else(self, sensor, name, value):
        with pytest.raises(ProlificValueError, match=rf"^{name} must be a timedelta or a number of seconds"):
            sensor(**{name: value})

    def test_a_deferred_wait_whose_poke_would_not_be_called_is_refused(self):
        class Impatient(jar_wait.JarSensor):
            def poke(self, context):
                return True

        assert Impatient(task_id="wait", deferrable=False).poke({}) is True
        with pytest.raises(ProlificValueError, match=r"^Impatient overrides poke\(\), which the triggerer does"):
            Impatient(task_id="wait", deferrable=True)

    def test_nothing_is_asked_while_the_dag_is_parsed(self, api, sensor):
        sensor(prolific_conn_id="nobody_knows_me")

        assert not api.requests

    def test_a_task_can_be_copied(self, sensor):
        assert copy.deepcopy(sensor(wanted=7)).wanted == 7


class TestPoke:
    def test_a_wait_that_is_over_is_true_and_brings_the_xcom(self, jar, connection, sensor):
        jar.holds(300)

        result = sensor().poke({})

        assert bool(result) is True
        assert result.xcom_value == REACHED

    def test_a_wait_that_is_not_over_is_false(self, jar, connection, sensor):
        jar.holds(299)

        assert bool(sensor().poke({})) is False

    @pytest.mark.parametrize("answer", TEMPORARY.values(), ids=TEMPORARY.keys())
    def test_a_temporary_error_is_logged_and_no_success(self, api, jar, connection, sensor, record_log, token, answer):
        log = record_log(jar_wait.JarSensor)
        api.get(jar.url, **answer)

        assert bool(sensor().poke({})) is False

        [line] = log.of_level("warning")
        assert line.startswith("warning: This look failed, the wait goes on: ")
        assert "GET /api/v1/jars/" in line
        assert token not in line

    def test_a_failed_look_is_one_request(self, jar, connection, sensor):
        jar.fails(503)

        sensor().poke({})

        assert len(jar.requests) == 1

    def test_a_server_that_is_not_there_may_come_back(self, connect, workspace, sensor, record_log):
        log = record_log(jar_wait.JarSensor)
        connect(host=f"http://127.0.0.1:{CLOSED_PORT}", extra={"workspace_id": workspace})

        assert bool(sensor().poke({})) is False
        assert "Prolific cannot be reached" in log.of_level("warning")[0]

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_a_permanent_refusal_is_raised(self, jar, connection, sensor, status):
        jar.fails(status)

        with pytest.raises(ProlificApiError) as refusal:
            sensor().poke({})
        assert refusal.value.status_code == status

    def test_what_makes_the_wait_vain_is_raised(self, jar, connection, sensor):
        jar.holds(0, broken=True)

        with pytest.raises(ProlificError, match=r"jar 'red' is broken"):
            sensor().poke({})

    @pytest.mark.parametrize("fields", [{"password": ""}, {"host": "http://api.prolific.com"}], ids=str)
    def test_a_connection_that_cannot_be_used_is_raised(self, api, connect, sensor, fields):
        connect(**fields)

        with pytest.raises(ProlificValueError, match=r"prolific_default"):
            sensor().poke({})

    def test_the_log_has_a_line_when_a_count_changes(self, jar, connection, sensor, record_log):
        log = record_log(jar_wait.JarSensor)
        jar.holds(120, 120, 150)
        task = sensor()

        for _ in range(3):
            task.poke({})

        first, second = log.of_level("info")
        assert first == "info: red has 120 of 300"
        assert second.startswith("info: red has 150 of 300, +30")

    def test_what_is_to_be_done_at_the_first_good_look_is_done_once(self, jar, connection, sensor, monkeypatch):
        noted = []
        monkeypatch.setattr(WaitSensor, "note_first_look", lambda task, context, *seen: noted.append(seen))
        jar.fails(503)
        jar.holds(1, 2)
        task = sensor()

        for _ in range(3):
            task.poke({})

        assert noted == [({"marbles": 1}, [{"jar": "red", "marbles": 1}])]


@pytest.mark.parametrize("mode", MODES)
class TestEveryMode:
    """The same rules hold, and the same value comes back, on the worker and in the triggerer."""

    def test_the_wait_ends_with_the_same_value(self, jar, connection, sensor, run_in, mode):
        jar.holds(3, 300)

        assert run_in(mode, sensor, timeout=10) == REACHED

    def test_a_wait_that_is_over_at_the_first_look_has_the_same_value(self, jar, connection, sensor, run_in, mode):
        jar.holds(300)

        assert run_in(mode, sensor) == REACHED
        assert len(jar.requests) == 1

    @pytest.mark.parametrize("looks", [(300,), (120, 300)], ids=["first look", "second look"])
    def test_the_log_ends_with_what_was_reached(self, jar, connection, sensor, run_in, record_log, mode, looks):
        log = record_log(jar_wait.JarSensor)
        jar.holds(*looks)

        run_in(mode, sensor, timeout=10)

        assert log.of_level("info")[-1] == "info: Reached: red has 300 of 300"
        assert len([line for line in log.lines if "Reached" in line]) == 1

    def test_an_outage_fails_no_wait(self, api, jar, connection, sensor, run_in, mode):
        jar.holds(1)
        for name in ("rate limit", "unavailable", "no JSON", "not storable", "broken connection"):
            api.get(jar.url, **TEMPORARY[name])
        jar.holds(300)

        assert run_in(mode, sensor, timeout=30) == REACHED

    def test_a_time_out_says_what_is_short(self, jar, connection, sensor, run_in, mode):
        jar.holds(120)

        with pytest.raises(AirflowSensorTimeout, match=r"^timed out after 0\.05 seconds: red has 120 of 300$"):
            run_in(mode, sensor)

    @pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
    def test_a_time_out_can_be_skipped_with_a_warning_of_who_was_short(
        self, jar, connection, sensor, run_in, record_log, mode, flag
    ):
        jar.holds(120)

        log = record_log(jar_wait.JarSensor)

        with pytest.raises(AirflowSkipException, match=r"red has 120 of 300"):
            run_in(mode, sensor, **{flag: True})

        [line] = [line for line in log.of_level("warning") if "Skipped" in line]
        assert line == f"warning: Skipped ({flag}): timed out after 0.05 seconds: red has 120 of 300"

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_if_the_last_look_failed_the_wait_ends_as_an_error(self, jar, connection, sensor, run_in, mode, soft_fail):
        jar.holds(120)
        jar.fails(503, '{"detail": "Maintenance"}')

        with pytest.raises(
            ProlificError, match=r"the last look before the deadline failed: .*503 from .*: Maintenance"
        ):
            run_in(mode, sensor, timeout=1, soft_fail=soft_fail)

    @pytest.mark.parametrize("soft_fail", [False, True])
    @pytest.mark.parametrize("looks", [0, 1])
    def test_a_permanent_error_ends_the_wait_at_once(self, jar, connection, sensor, run_in, mode, soft_fail, looks):
        jar.holds(*[120] * looks)
        jar.fails(401, '{"detail": "Invalid token."}')

        with pytest.raises(ProlificError, match=r"^the API token of connection .* is wrong .*: Invalid token\.$"):
            run_in(mode, sensor, timeout=30, soft_fail=soft_fail)
        assert len(jar.requests) == looks + 1

    @pytest.mark.parametrize("looks", [0, 1])
    def test_never_fail_skips_also_a_permanent_error(self, jar, connection, sensor, run_in, mode, looks):
        jar.holds(*[120] * looks)
        jar.fails(401)

        with pytest.raises(AirflowSkipException) as skip:
            run_in(mode, sensor, timeout=30, never_fail=True)
        assert "deadline" not in str(skip.value)

    def test_never_fail_skips_if_the_last_look_failed(self, jar, connection, sensor, run_in, mode):
        jar.fails(503)

        with pytest.raises(AirflowSkipException):
            run_in(mode, sensor, never_fail=True)

    @pytest.mark.parametrize("looks", [0, 1])
    def test_silent_fail_goes_on_after_a_permanent_error(self, jar, connection, sensor, run_in, mode, looks):
        jar.holds(*[120] * looks)
        jar.fails(401)
        jar.holds(300)

        assert run_in(mode, sensor, timeout=10, silent_fail=True) == REACHED

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_silent_fail_does_not_turn_a_broken_token_into_a_time_out(
        self, jar, connection, sensor, run_in, mode, soft_fail
    ):
        jar.fails(401)

        with pytest.raises(ProlificError, match=r"401"):
            run_in(mode, sensor, silent_fail=True, soft_fail=soft_fail)

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_silent_fail_does_not_turn_a_missing_connection_into_a_time_out(self, sensor, run_in, mode, soft_fail):
        with pytest.raises(ProlificError, match=r"nobody_knows_me"):
            run_in(mode, sensor, prolific_conn_id="nobody_knows_me", silent_fail=True, soft_fail=soft_fail)

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_wait_whose_count_does_not_grow_ends_as_stalled(
        self, api, jar, connection, sensor, run_in, mode, soft_fail
    ):
        jar.holds(100, 120)
        api.get(f"{jar.url}growth/", json={"at": time.time()})

        with pytest.raises(ProlificStalledError, match=r"^no growth for .*, since 20\d\d-.* UTC: red has 120 of 300$"):
            run_in(mode, sensor, timeout=30, stalled_after=0.3, soft_fail=soft_fail)
        assert len(jar.requests) > 2

    def test_never_fail_skips_a_wait_that_has_stalled(self, api, jar, connection, sensor, run_in, mode):
        jar.holds(120)
        api.get(f"{jar.url}growth/", json={"at": None})

        with pytest.raises(AirflowSkipException):
            run_in(mode, sensor, timeout=30, stalled_after=0.1, never_fail=True)

    def test_a_time_out_of_zero_is_one_look(self, jar, connection, sensor, run_in, mode):
        jar.holds(120)

        with pytest.raises(AirflowSensorTimeout):
            run_in(mode, sensor, timeout=0)
        assert len(jar.requests) == 1

    def test_an_interval_of_zero_does_not_spin(self, jar, connection, sensor, run_in, mode):
        jar.holds(120)

        with pytest.raises(AirflowSensorTimeout):
            run_in(mode, sensor, poke_interval=0, timeout=1)
        assert 2 <= len(jar.requests) <= 12

    def test_longest_spans_wait_as_any_other(self, jar, connection, sensor, run_in, mode):
        jar.holds(3, 300)

        assert run_in(mode, sensor, timeout=timedelta.max, max_wait=timedelta.max) == REACHED


def lose_connection(monkeypatch, looks):
    """Let the secrets backend be away for some looks, after the first."""
    read = BaseHook.get_connection
    left = [True, *[False] * looks]

    def get_connection(hook_class, conn_id):
        if left and not left.pop(0):
            raise RuntimeError("the secrets backend is away")
        return read(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", classmethod(get_connection))


class TestConnectionAway:
    """What cannot be read at the first look is not there; later it is away for a moment."""

    @pytest.mark.parametrize("mode", MODES)
    def test_a_first_look_without_a_connection_ends_the_wait(self, sensor, run_in, mode):
        with pytest.raises(ProlificUnreadableConnectionError, match=r"^connection 'nobody_knows_me' cannot be read"):
            run_in(mode, sensor, timeout=30, prolific_conn_id="nobody_knows_me")

    @pytest.mark.parametrize("mode", MODES)
    def test_a_connection_that_goes_away_during_the_wait_is_waited_for(
        self, jar, connection, sensor, run_in, monkeypatch, mode
    ):
        jar.holds(3, 300)
        lose_connection(monkeypatch, looks=3)

        assert run_in(mode, sensor, timeout=30) == REACHED

    def test_it_is_logged(self, jar, connection, sensor, record_log, monkeypatch):
        log = record_log(jar_wait.JarSensor)
        jar.holds(3, 300)
        lose_connection(monkeypatch, looks=2)

        sensor(poke_interval=0.1).execute({})

        [line] = [line for line in log.of_level("warning") if "the wait goes on" in line]
        assert line.endswith("connection 'prolific_default' cannot be read: the secrets backend is away")

    def test_a_task_that_runs_again_looks_for_the_first_time_again(self, jar, connection, sensor, monkeypatch):
        jar.holds(300)
        task = sensor()
        task.execute({})
        monkeypatch.delenv("AIRFLOW_CONN_PROLIFIC_DEFAULT")

        with pytest.raises(ProlificUnreadableConnectionError):
            task.execute({})


class TestOnTheWorker:
    @pytest.mark.parametrize("soft_fail", [False, True])
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_silent_fail_does_not_turn_a_bad_rendered_argument_into_a_time_out(
        self, connection, sensor, soft_fail, deferrable
    ):
        task = sensor(wanted="{{ x }}", silent_fail=True, soft_fail=soft_fail, timeout=0, deferrable=deferrable)
        task.wanted = "many"

        with pytest.raises(ProlificError, match=r"wanted must be"):
            task.execute({})

    @pytest.mark.parametrize(
        ("header", "pause"), [("50", 50), ("3", 10), ("0", 10), ("soon", 10), ("99999", 120), (None, 10)]
    )
    def test_the_next_look_is_at_the_interval_or_later_if_the_api_names_a_time(
        self, jar, connection, sensor, clock, header, pause
    ):
        jar.fails(429, **({"Retry_After": header} if header else {}))
        jar.holds(300)

        sensor(poke_interval=10).execute({})

        assert clock.sleeps == [pause]

    def test_after_a_good_look_the_interval_is_as_before(self, jar, connection, sensor, clock):
        jar.fails(429, Retry_After="50")
        jar.holds(120, 300)

        sensor(poke_interval=10).execute({})

        assert clock.sleeps == [50, 10]

    @pytest.mark.parametrize(("header", "pause"), [("50", 50), ("3", 10)])
    def test_in_reschedule_mode_too(self, jar, connection, sensor, reschedule_context, header, pause):
        jar.fails(429, Retry_After=header)

        with pytest.raises(AirflowRescheduleException) as reschedule:
            sensor(poke_interval=10, mode="reschedule").execute(reschedule_context(datetime.now(UTC)))

        seconds = (reschedule.value.reschedule_date - datetime.now(UTC)).total_seconds()
        assert pause - 5 < seconds <= pause

    def test_the_longest_interval_is_a_time_that_can_be_stored(self, jar, connection, sensor, reschedule_context):
        jar.holds(120)

        with pytest.raises(AirflowRescheduleException) as reschedule:
            sensor(poke_interval=timedelta.max, mode="reschedule").execute(reschedule_context())

        assert reschedule.value.reschedule_date > datetime.now(UTC) + timedelta(days=3000)

    def test_airflows_own_back_off_works(self, jar, connection, sensor, clock):
        jar.holds(*[120] * 6, 300)

        sensor(poke_interval=10, exponential_backoff=True, max_wait=60).execute({})

        assert clock.sleeps == sorted(clock.sleeps)
        assert clock.sleeps[0] < clock.sleeps[-1] == 60

    def test_the_timeout_of_a_rescheduled_wait_counts_from_its_first_look(
        self, jar, connection, sensor, reschedule_context
    ):
        jar.holds(120)
        context = reschedule_context(datetime.now(UTC) - timedelta(seconds=61))

        with pytest.raises(AirflowSensorTimeout, match=r"^timed out after 60 seconds: red has 120 of 300$"):
            sensor(mode="reschedule", timeout=60).execute(context)

    def test_a_rescheduled_wait_has_stalled_if_nothing_came_since_its_first_look_nor_as_prolific_knows(
        self, api, jar, connection, sensor, reschedule_context
    ):
        jar.holds(120)
        context = reschedule_context(datetime.now(UTC) - timedelta(seconds=61))
        task = sensor(mode="reschedule", stalled_after=60)
        api.get(f"{jar.url}growth/", json={"at": time.time() - 30})
        api.get(f"{jar.url}growth/", json={"at": time.time() - 70})

        with pytest.raises(AirflowRescheduleException):
            task.execute(context)
        with pytest.raises(ProlificStalledError, match=r"^no growth for 1 min"):
            task.execute(context)

    def test_before_that_prolific_is_not_asked_for_it(self, api, jar, connection, sensor, reschedule_context):
        jar.holds(120)

        with pytest.raises(AirflowRescheduleException):
            sensor(mode="reschedule", stalled_after=60).execute(reschedule_context(datetime.now(UTC)))

        assert len(api.requests) == 1

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_a_task_that_runs_again_knows_nothing_of_the_run_before(
        self, jar, connection, sensor, reschedule_context, mode
    ):
        task = sensor(mode=mode, timeout=0)
        jar.fails(503)
        jar.holds(120)
        context = reschedule_context(datetime.now(UTC) - timedelta(seconds=1))

        with pytest.raises(ProlificError):
            task.execute(context)
        with pytest.raises(AirflowSensorTimeout):
            task.execute(context)

    @pytest.mark.parametrize("mode", [{}, {"mode": "reschedule"}, {"deferrable": True}], ids=str)
    def test_the_log_begins_with_how_often_it_looks_and_until_when(
        self, jar, connection, sensor, reschedule_context, record_log, mode
    ):
        recorded = record_log(jar_wait.JarSensor)
        jar.holds(300)
        sensor(timeout=3600, **mode).execute(reschedule_context())

        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        first = recorded.of_level("info")[0]
        assert re.fullmatch(r"info: Looks every 60 s until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", first)
        until = datetime.strptime(first[-23:], "%Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC)
        assert abs(until - in_an_hour) < timedelta(minutes=1)

    def test_a_rescheduled_wait_says_so_at_its_first_look_only(
        self, jar, connection, sensor, reschedule_context, record_log
    ):
        recorded = record_log(jar_wait.JarSensor)
        jar.holds(300)
        sensor(mode="reschedule").execute(reschedule_context(datetime.now(UTC) - timedelta(seconds=61)))

        assert "info: red has 300 of 300" in recorded.lines
        assert not [line for line in recorded.lines if "Looks every" in line]

    def test_a_task_that_runs_again_tells_its_progress_again(self, jar, connection, sensor, record_log):
        recorded = record_log(jar_wait.JarSensor)
        jar.holds(120)
        task = sensor(timeout=0)
        for _ in range(2):
            with pytest.raises(AirflowSensorTimeout):
                task.execute({})

        assert recorded.lines.count("info: red has 120 of 300") == 2


class TestDeferral:
    def test_a_wait_that_is_not_over_is_handed_to_the_trigger(self, jar, connection, sensor, defer):
        jar.holds(120)
        before = time.time()

        deferral = defer(sensor(deferrable=True, timeout=600, poke_interval=30))

        classpath, kwargs = deferral.trigger.serialize()
        assert classpath == "jar_wait.JarTrigger"
        assert before + 600 <= kwargs.pop("deadline") <= time.time() + 600
        assert before <= kwargs.pop("grown_at") <= time.time()
        assert kwargs == {
            "jar": "red",
            "wanted": 300,
            "prolific_conn_id": "prolific_default",
            "poke_interval": 30,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": False,
            "not_before": None,
            "stalled_after": None,
            "grown_counts": [120],
        }
        assert deferral.method_name == "execute_complete"

    def test_airflows_own_time_out_lies_behind_the_triggers_deadline(self, jar, connection, sensor, defer):
        jar.holds(120)

        deferral = defer(sensor(deferrable=True, timeout=600))

        ends_at = time.time() + deferral.timeout.total_seconds()
        assert 100 < ends_at - deferral.trigger.deadline < 1000

    @pytest.mark.parametrize("timeout", [timedelta.max, 1e12], ids=repr)
    def test_a_time_out_that_no_database_can_store_is_kept_by_the_trigger_alone(
        self, jar, connection, sensor, defer, timeout
    ):
        jar.holds(120)

        deferral = defer(sensor(deferrable=True, timeout=timeout))

        assert deferral.timeout is None
        assert deferral.trigger.deadline > 1e12

    def test_rendered_arguments_reach_the_trigger_as_what_they_mean(self, jar, connection, sensor, defer):
        jar.holds(120)
        task = sensor(deferrable=True, wanted="{{ x }}")
        task.wanted = " 300\n"

        _, kwargs = defer(task).trigger.serialize()

        assert kwargs["wanted"] == 300

    def test_the_token_stays_in_the_connection(self, jar, connection, sensor, defer, token):
        jar.holds(120)

        trigger = defer(sensor(deferrable=True)).trigger

        assert token not in repr((trigger, vars(trigger), trigger.serialize()))

    def test_the_trigger_waits_until_the_time_that_the_api_named(self, jar, connection, sensor, defer):
        jar.fails(429, Retry_After="50")
        before = time.time()

        trigger = defer(sensor(deferrable=True)).trigger

        assert before + 50 <= trigger.not_before <= time.time() + 50

    def test_a_first_look_that_fails_is_handed_over(self, jar, connection, sensor, defer):
        jar.fails(503)

        assert defer(sensor(deferrable=True)).trigger.not_before is None

    def test_with_silent_fail_a_permanent_error_of_the_first_look_is_handed_over(self, jar, connection, sensor, defer):
        jar.fails(401)

        assert defer(sensor(deferrable=True, silent_fail=True)).trigger.silent_fail is True

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_time_out_of_zero_whose_look_failed_is_an_error(self, jar, connection, sensor, soft_fail):
        jar.fails(503)

        with pytest.raises(ProlificError, match=r"503"):
            sensor(deferrable=True, timeout=0, soft_fail=soft_fail).execute({})

    def test_execution_timeout_counts_while_deferred(self, jar, connection, sensor, defer):
        jar.holds(120)
        task = sensor(deferrable=True, timeout=600, execution_timeout=timedelta(seconds=60))

        assert defer(task).trigger.deadline == pytest.approx(time.time() + 60, abs=30)

    def test_an_execution_timeout_that_is_longer_than_the_timeout_changes_nothing(self, jar, connection, sensor, defer):
        jar.holds(120)
        task = sensor(deferrable=True, timeout=60, execution_timeout=timedelta(seconds=600))

        assert defer(task).trigger.deadline == pytest.approx(time.time() + 60, abs=30)
        with pytest.raises(AirflowSensorTimeout):
            task.execute_complete({}, {"status": "timeout", "message": "red has 120 of 300"})

    @pytest.mark.parametrize("flags", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
    def test_its_end_is_the_same_error_as_on_a_worker(self, sensor, flags):
        task = sensor(deferrable=True, timeout=600, execution_timeout=timedelta(seconds=60), **flags)

        with pytest.raises(AirflowTaskTimeout, match=r"^execution_timeout of 60 seconds passed: red has 120 of 300$"):
            task.execute_complete({}, {"status": "timeout", "jars": [], "message": "red has 120 of 300"})


#: Every parameter of a sensor that waits and of Airflow's base sensor: a value that is not its default, and the
#: trigger's argument that it becomes; where there is none, the test that tells what becomes of it.
SURVIVES = {
    "poke_interval": (timedelta(seconds=7), "poke_interval", 7.0),
    "exponential_backoff": (True, "exponential_backoff", True),
    "max_wait": (timedelta(minutes=5), "max_wait", 300.0),
    "silent_fail": (True, "silent_fail", True),
    "stalled_after": (timedelta(hours=2), "stalled_after", 7200.0),
    "timeout": (timedelta(hours=1), "deadline", pytest.approx(time.time() + 3600, abs=600)),
    # Judged on the worker, when the trigger has reported: TestExecuteComplete and TestResume.
    "soft_fail": (True, None, None),
    "never_fail": (True, None, None),
    # How a worker waits, when it is the one who does; and whether it is.
    "mode": ("reschedule", None, None),
    "deferrable": (True, None, None),
}


def parameters_of(*classes):
    found = {}
    for cls in classes:
        found |= inspect.signature(cls.__init__).parameters
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [name for name, parameter in found.items() if name != "self" and parameter.kind not in variadic]


@pytest.mark.parametrize("parameter", parameters_of(WaitSensor, BaseSensorOperator))
def test_no_parameter_is_lost_when_a_wait_is_deferred(jar, connection, sensor, defer, parameter):
    assert parameter in SURVIVES, f"decide what becomes of {parameter} when a wait is deferred"
    value, argument, expected = SURVIVES[parameter]
    jar.holds(120)
    _, without = defer(sensor(deferrable=True)).trigger.serialize()

    _, kwargs = defer(sensor(**{"deferrable": True, parameter: value})).trigger.serialize()

    del without["deadline"], without["grown_at"]
    if argument is None:
        assert {name: kwargs[name] for name in without} == without
    else:
        assert kwargs[argument] == expected
        assert without.get(argument) != expected


def test_the_table_of_parameters_names_none_that_is_gone():
    assert set(SURVIVES) == set(parameters_of(WaitSensor, BaseSensorOperator))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 400) | st.floats() | st.sampled_from(["success", "timeout", "red"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EVENTS = JSON | st.fixed_dictionaries({}, optional={"status": JSON, "jars": JSON, "message": JSON})


class TestExecuteComplete:
    TASK = jar_wait.JarSensor(task_id="wait")

    def test_a_success_is_the_same_list_as_in_the_other_modes(self, sensor):
        assert sensor().execute_complete({}, {"status": "success", "jars": REACHED, "message": "done"}) == REACHED

    def test_a_success_is_told_in_the_tasks_log(self, sensor, record_log):
        log = record_log(jar_wait.JarSensor)

        sensor().execute_complete({}, {"status": "success", "jars": REACHED, "message": "done"})

        assert log.of_level("info") == ["info: Reached: red has 300 of 300"]

    def test_a_time_out_raises_with_what_is_short(self, sensor):
        event = {"status": "timeout", "jars": [], "message": "red has 120 of 300"}

        with pytest.raises(AirflowSensorTimeout, match=r"^timed out after 60 seconds: red has 120 of 300$"):
            sensor(timeout=60).execute_complete({}, event)

    def test_a_stall_raises_with_its_words(self, sensor):
        with pytest.raises(ProlificStalledError, match=r"^no growth for 2 h$"):
            sensor().execute_complete({}, {"status": "stalled", "jars": [], "message": "no growth for 2 h"})

    def test_an_error_raises_with_its_cause(self, sensor):
        with pytest.raises(ProlificError, match=r"^401 Unauthorized$"):
            sensor().execute_complete({}, {"status": "error", "jars": [], "message": "401 Unauthorized"})

    @pytest.mark.parametrize("event", [{"status": "error"}, {"status": "error", "message": None}])
    def test_an_error_without_a_cause_is_still_an_error(self, sensor, event):
        with pytest.raises(ProlificError, match=r"the trigger reported an error without a cause"):
            sensor().execute_complete({}, event)

    @pytest.mark.parametrize(
        "event",
        [
            *(None, {}, [], "success", True, 7, ["success"]),
            *({"status": None}, {"status": "running"}, {"status": "SUCCESS"}, {"status": ["success"]}),
            {"jars": REACHED},
        ],
        ids=str,
    )
    def test_no_event_or_an_unknown_one_is_an_error(self, sensor, event):
        with pytest.raises(ProlificError, match=r"^the trigger ended with an event that this trigger does not send: "):
            sensor().execute_complete({}, event)

    def test_a_missing_event_is_an_error(self, sensor):
        with pytest.raises(ProlificError):
            sensor().execute_complete({})

    @pytest.mark.parametrize(
        "statuses",
        [
            *(None, {}, "red", [None], [[]]),
            [{"jar": "red", "marbles": 299}],
            [{"jar": "blue", "marbles": 300}],
            [{"jar": "red", "marbles": 300, "more": 1}],
            [{"jar": "red"}],
        ],
        ids=str,
    )
    def test_a_success_that_does_not_end_this_very_wait_is_an_error(self, sensor, statuses):
        with pytest.raises(ProlificError, match=r"the trigger reports success, but not for this wait"):
            sensor().execute_complete({}, {"status": "success", "jars": statuses, "message": "done"})

    @given(EVENTS)
    def test_no_event_made_up_is_a_success(self, event):
        with pytest.raises((ProlificError, AirflowSensorTimeout)):
            self.TASK.execute_complete({}, event)

    @pytest.mark.parametrize(
        ("event", "plain", "soft"),
        [
            ({"status": "timeout", "message": "short"}, AirflowSensorTimeout, AirflowSkipException),
            ({"status": "stalled", "message": "no growth"}, ProlificStalledError, ProlificStalledError),
            ({"status": "error", "message": "401"}, ProlificError, ProlificError),
            ({"status": "success", "jars": None}, ProlificError, ProlificError),
            (None, ProlificError, ProlificError),
        ],
        ids=str,
    )
    def test_soft_fail_skips_a_time_out_only_and_never_fail_everything(self, sensor, event, plain, soft):
        with pytest.raises(plain):
            sensor().execute_complete({}, event)
        with pytest.raises(soft):
            sensor(soft_fail=True).execute_complete({}, event)
        with pytest.raises(AirflowSkipException):
            sensor(never_fail=True).execute_complete({}, event)

    def test_the_success_of_a_templated_sensor_is_judged_by_the_rendered_arguments(self, sensor):
        task = sensor(wanted="{{ x }}")
        task.wanted = "300"

        assert task.execute_complete({}, {"status": "success", "jars": REACHED}) == REACHED


class Reason(Enum):
    TIMEOUT = "Trigger timeout"
    FAILURE = "Trigger failure"


class TestResume:
    @pytest.mark.parametrize("error", ["Trigger timeout", "Trigger/execution timeout", Reason.TIMEOUT])
    @pytest.mark.parametrize(
        ("flags", "outcome"),
        [
            *(({}, AirflowSensorTimeout), ({"soft_fail": True}, AirflowSkipException)),
            ({"never_fail": True}, AirflowSkipException),
            ({"deferrable": True, "execution_timeout": timedelta(seconds=60)}, AirflowTaskTimeout),
        ],
        ids=str,
    )
    def test_airflows_own_time_out_is_a_time_out(self, sensor, error, flags, outcome):
        with pytest.raises(outcome, match=r"Airflow ended the wait before the trigger reported"):
            sensor(**flags).resume_execution("__fail__", {"error": error}, {})

    @pytest.mark.parametrize(
        "next_kwargs", [{"error": "Trigger failure"}, {"error": Reason.FAILURE}, {}, None], ids=str
    )
    @pytest.mark.parametrize(
        ("flags", "outcome"),
        [({}, ProlificError), ({"soft_fail": True}, ProlificError), ({"never_fail": True}, AirflowSkipException)],
        ids=str,
    )
    def test_a_trigger_that_crashed_is_an_error(self, sensor, next_kwargs, flags, outcome):
        with pytest.raises(outcome, match=r"the trigger failed"):
            sensor(**flags).resume_execution("__fail__", next_kwargs, {})

    def test_the_reason_of_a_crash_is_in_the_error_and_its_traceback_in_the_log(self, sensor, record_log):
        log = record_log(jar_wait.JarSensor)
        failure = {"error": "Trigger failure", "traceback": ["Traceback:\n", "  in run\n", "ZeroDivisionError\n"]}

        with pytest.raises(ProlificError, match=r"^the trigger failed: ZeroDivisionError$"):
            sensor().resume_execution("__fail__", failure, {})

        assert log.of_level("error") == ["error: The trigger failed:\nTraceback:\n  in run\nZeroDivisionError\n"]

    def test_a_crash_without_a_traceback_is_told_in_airflows_words(self, sensor):
        with pytest.raises(ProlificError, match=r"^the trigger failed: Trigger failure; see its log$"):
            sensor().resume_execution("__fail__", {"error": "Trigger failure"}, {})

    def test_a_trigger_that_cannot_be_imported_asks_for_the_package(self, sensor):
        traceback = ["Traceback:\n", "ModuleNotFoundError: No module named 'airflow_provider_prolific'\n"]

        with pytest.raises(ProlificError) as failure:
            sensor().resume_execution("__fail__", {"error": "Trigger failure", "traceback": traceback}, {})

        assert str(failure.value) == (
            "the trigger failed: ModuleNotFoundError: No module named 'airflow_provider_prolific' "
            "(is the package installed where the triggerer runs?)"
        )

    def test_an_event_is_judged(self, sensor):
        event = {"status": "success", "jars": REACHED, "message": "done"}

        assert sensor().resume_execution("execute_complete", {"event": event}, {}) == REACHED

    @pytest.mark.parametrize(
        ("flags", "outcome"),
        [({}, ProlificError), ({"soft_fail": True}, ProlificError), ({"never_fail": True}, AirflowSkipException)],
        ids=str,
    )
    def test_an_error_event_is_softened_as_everywhere(self, sensor, flags, outcome):
        with pytest.raises(outcome):
            sensor(**flags).resume_execution("execute_complete", {"event": {"status": "error", "message": "401"}}, {})

    def test_the_connection_is_read_so_that_airflow_hides_its_token_in_this_processs_logs(
        self, connection, sensor, monkeypatch
    ):
        read = []
        monkeypatch.setattr(BaseHook, "get_connection", read.append)

        sensor().resume_execution("execute_complete", {"event": {"status": "success", "jars": REACHED}}, {})

        assert read == ["prolific_default"]

    def test_a_connection_that_is_away_by_then_spoils_no_success(self, sensor):
        event = {"status": "success", "jars": REACHED}

        assert sensor().resume_execution("execute_complete", {"event": event}, {}) == REACHED


def test_the_value_is_json(jar, connection, sensor):
    jar.holds(300)

    value = sensor().execute({})

    assert json.loads(json.dumps(value)) == value
