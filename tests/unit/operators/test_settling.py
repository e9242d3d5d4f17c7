"""What is true of all operators that look until something has happened; shown on a jar that is to be filled."""

from __future__ import annotations

import json

import pytest
from jar_wait import Jar, JarTrigger

from airflow_provider_prolific.exceptions import ProlificError, ProlificUndecidedError
from airflow_provider_prolific.operators.settling import SettlingOperator
from airflow_provider_prolific.version_compat import AirflowFailException

try:
    from airflow.sdk.exceptions import TaskDeferred
except (ImportError, AttributeError):
    from airflow.exceptions import TaskDeferred

JAR_URL = "https://api.prolific.com/api/v1/jars/red/"


class FillJar(SettlingOperator):
    """Have marbles put into a jar, which takes a while."""

    trigger_path = "jar_wait.JarTrigger"
    wait_class = Jar
    returns_dict = True

    def __init__(self, *, prolific_conn_id="prolific_default", **arguments):
        super().__init__(prolific_conn_id=prolific_conn_id, **arguments)

    def perform(self, hook):
        hook.request("POST", JAR_URL.removeprefix("https://api.prolific.com"))
        return Jar("red", 3)

    def settled(self, hook, wait, statuses):
        return statuses[0]


class FillTwoJars(FillJar):
    def settled(self, hook, wait, statuses):
        return Jar("red", 5) if wait.wanted == 3 else statuses[0]


class PayForJar(FillJar):
    def unsettled(self, wait, statuses, reason):
        return ProlificUndecidedError(f"nobody knows: {reason}")


@pytest.fixture
def jar(api):
    """Answer the looks with these numbers of marbles; the last answer stays."""

    def holds(*marbles):
        api.post(JAR_URL, status=204)
        for number in marbles:
            api.get(JAR_URL, **({"json": {"marbles": number}} if type(number) is int else number))

    return holds


def methods(api):
    return [request.method for request in api.requests]


class TestOnAWorker:
    def test_it_asks_once_and_looks_until_it_has_happened(self, api, clock, jar, run):
        jar(0, 2, 3)

        assert run(FillJar, poke_interval=7) == {"jar": "red", "marbles": 3}
        assert methods(api) == ["POST", "GET", "GET", "GET"]
        assert clock.sleeps == [7, 7]

    def test_what_is_over_at_once_is_not_waited_for(self, clock, jar, run):
        jar(3)

        assert run(FillJar) == {"jar": "red", "marbles": 3}
        assert clock.sleeps == []

    def test_what_follows_is_waited_for_as_well(self, api, clock, jar, run):
        jar(3, 4, 5)

        assert run(FillTwoJars) == {"jar": "red", "marbles": 5}
        assert methods(api) == ["POST", "GET", "GET", "GET"]

    def test_an_outage_is_waited_out(self, clock, jar, run):
        jar({"status": 503}, 3)

        assert run(FillJar) == {"jar": "red", "marbles": 3}

    def test_what_has_not_happened_in_time_is_said(self, clock, jar, run):
        jar(2)

        with pytest.raises(ProlificError, match=r"not settled after 60 seconds: red has 2 of 3"):
            run(FillJar, timeout=60)
        assert sum(clock.sleeps) == pytest.approx(60, abs=0.1)

    def test_a_permanent_error_ends_it(self, clock, jar, run):
        jar({"status": 404})

        with pytest.raises(ProlificError, match="404"):
            run(FillJar)

    def test_what_only_a_person_can_decide_fails_without_a_retry(self, clock, jar, run):
        jar(2)

        with pytest.raises(AirflowFailException, match=r"nobody knows: not settled after 60 seconds"):
            run(PayForJar, timeout=60)

    def test_each_key_of_the_result_is_pushed(self, clock, jar):
        jar(3)
        pushed = {}

        class TaskInstance:
            def xcom_push(self, key, value):
                pushed[key] = value

        FillJar(task_id="task").execute({"ti": TaskInstance()})

        assert pushed == {"jar": "red", "marbles": 3}


class TestDeferred:
    @pytest.fixture
    def deferral(self, clock, jar, run):
        jar(1)
        with pytest.raises(TaskDeferred) as deferral:
            run(FillJar, deferrable=True, poke_interval=7, timeout=600)
        return deferral.value

    def resume(self, deferral, event):
        kwargs = json.loads(json.dumps(deferral.kwargs))
        return FillJar(task_id="task", deferrable=True).execute_complete({}, event=event, **kwargs)

    def test_one_look_on_the_worker_then_the_trigger_waits_for_the_same(self, api, deferral):
        assert methods(api) == ["POST", "GET"]
        assert isinstance(deferral.trigger, JarTrigger)
        assert deferral.trigger.arguments == {"jar": "red", "wanted": 3}
        assert deferral.trigger.poke_interval == 7
        assert deferral.trigger.deadline == deferral.kwargs["deadline"]
        assert deferral.timeout.total_seconds() > 600

    def test_a_look_of_the_workers_own_ends_it(self, api, deferral):
        api.replace("GET", JAR_URL, json={"marbles": 3})

        assert self.resume(deferral, {"status": "success"}) == {"jar": "red", "marbles": 3}
        assert methods(api) == ["POST", "GET", "GET"]

    def test_a_success_that_the_worker_does_not_see_is_none(self, deferral):
        with pytest.raises(TaskDeferred):
            self.resume(deferral, {"status": "success"})

    def test_an_error_of_the_trigger_ends_it(self, deferral):
        with pytest.raises(ProlificError, match="no such jar"):
            self.resume(deferral, {"status": "error", "message": "no such jar"})

    def test_an_error_of_the_trigger_is_nothing_where_it_has_happened(self, api, deferral):
        api.replace("GET", JAR_URL, json={"marbles": 3})

        assert self.resume(deferral, {"status": "error", "message": "no such jar"}) == {"jar": "red", "marbles": 3}

    def test_dag_test_forgets_what_was_waited_for_so_the_work_begins_anew_as_in_a_retry(self, api, deferral):
        api.replace("GET", JAR_URL, json={"marbles": 3})

        result = FillJar(task_id="task", deferrable=True).execute_complete({}, event={"status": "success"})

        assert result == {"jar": "red", "marbles": 3}
        assert methods(api) == ["POST", "GET", "POST", "GET"]

    @pytest.mark.parametrize("status", ["error", "timeout"])
    def test_but_not_after_a_wait_in_vain(self, api, deferral, status):
        with pytest.raises(ProlificError, match="red has 1 of 3"):
            FillJar(task_id="task").execute_complete({}, event={"status": status, "message": "red has 1 of 3"})

        assert methods(api) == ["POST", "GET"]

    def test_what_has_not_happened_in_time_is_said(self, clock, deferral):
        clock.passed += 600

        with pytest.raises(ProlificError, match="red has 1 of 3"):
            self.resume(deferral, {"status": "timeout"})
