"""The trigger that waits: what it carries to the triggerer, what its one event says, and when it comes."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import time

import pytest
import requests
import responses
from airflow.models.trigger import Trigger

from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger

NAME = "Screened adults"
URL = "https://api.prolific.com/api/v1/participant-groups/"

EVERY_ARGUMENT = {
    "targets": {NAME: 300, "g2": 1},
    "deadline": 1_790_000_000.25,
    "filter": {"project_id": "p1"},
    "active": None,
    "match": "any",
    "if_missing": "wait",
    "prolific_conn_id": "other",
    "poke_interval": 7.5,
    "exponential_backoff": True,
    "max_wait": 300.0,
    "silent_fail": True,
    "not_before": 1_780_000_000.5,
}


def trigger(seconds=10.0, **arguments):
    """Make a trigger whose deadline is so many seconds away."""
    arguments = {"targets": {NAME: 300}, "poke_interval": 0.1, "deadline": time.time() + seconds, **arguments}
    return ProlificParticipantGroupTrigger(**arguments)


def events_of(waiting):
    async def wait():
        return [event.payload async for event in waiting.run()]

    return asyncio.run(wait())


def event_of(waiting):
    [event] = events_of(waiting)
    return event


def status(count, target=300, **changes):
    return {
        "id": "g1",
        "name": NAME,
        "participant_count": count,
        "target_count": target,
        "reached": count >= target,
        **changes,
    }


def is_plain_json(value):
    if isinstance(value, dict):
        return all(type(key) is str and is_plain_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain_json, value))
    return value is None or type(value) in (str, int, float, bool)


class TestSerialize:
    def test_a_trigger_comes_back_as_it_was(self):
        classpath, kwargs = ProlificParticipantGroupTrigger(**EVERY_ARGUMENT).serialize()
        module, _, name = classpath.rpartition(".")

        again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))

        assert type(again) is ProlificParticipantGroupTrigger
        assert again.serialize() == (classpath, EVERY_ARGUMENT)

    def test_every_argument_is_carried(self):
        parameters = set(inspect.signature(ProlificParticipantGroupTrigger.__init__).parameters) - {"self"}

        assert parameters == set(EVERY_ARGUMENT) == set(trigger().serialize()[1])

    def test_what_is_carried_is_plain_json(self):
        assert is_plain_json(ProlificParticipantGroupTrigger(**EVERY_ARGUMENT).serialize()[1])

    def test_a_trigger_survives_airflows_database(self):
        row = Trigger.from_object(ProlificParticipantGroupTrigger(**EVERY_ARGUMENT))

        assert row.kwargs == EVERY_ARGUMENT
        assert type(row.kwargs["targets"][NAME]) is int

    def test_a_trigger_survives_the_way_from_the_worker(self):
        serde = pytest.importorskip("airflow.sdk.serde")

        assert serde.deserialize(json.loads(json.dumps(serde.serialize(EVERY_ARGUMENT)))) == EVERY_ARGUMENT

    def test_the_token_is_not_carried(self, api, connection, token):
        waiting = trigger(seconds=-1)
        api.fails(503)

        event = event_of(waiting)

        assert token not in repr((waiting, vars(waiting), waiting.serialize(), event))

    def test_nothing_is_asked_when_a_trigger_is_made(self, api):
        trigger(prolific_conn_id="nobody_knows_me")

        assert not api.requests


class TestEvent:
    def test_a_success_says_how_all_targets_stand(self, api, connection, group):
        api.lists(group("g1", NAME, 312), group("g2", "B", 7))

        assert event_of(trigger(targets={NAME: 300, "g2": 5})) == {
            "status": "success",
            "groups": [status(312), status(7, 5, id="g2", name="B")],
            "message": "'Screened adults' has 312 of 300 (104%); 'B' has 7 of 5 (140%)",
        }

    def test_a_success_may_come_at_a_later_look(self, api, connection, group):
        for count in (100, 200, 300):
            api.lists(group("g1", NAME, count))

        assert event_of(trigger())["groups"] == [status(300)]
        assert len(api.requests) == 3

    def test_a_time_out_names_who_is_short(self, api, connection, group):
        api.lists(group("g1", NAME, 120), group("g2", "B", 7))

        assert event_of(trigger(0.1, targets={NAME: 300, "B": 5})) == {
            "status": "timeout",
            "groups": [status(120), status(7, 5, id="g2", name="B")],
            "message": "'Screened adults' has 120 of 300 (40%)",
        }

    @pytest.mark.parametrize(
        ("error_status", "words"), [(401, "check the API token"), (403, "no access"), (404, "404")]
    )
    def test_a_refusal_that_will_not_pass_ends_the_wait_at_once(self, api, connection, error_status, words):
        api.fails(error_status)

        event = event_of(trigger(600, poke_interval=300))

        assert (event["status"], event["groups"]) == ("error", [])
        assert words in event["message"]
        assert len(api.requests) == 1

    @pytest.mark.parametrize(
        ("groups", "words"),
        [
            ([], "no participant group has the id or the exact name 'Screened adults'"),
            ([{"is_deleted": True}], "'Screened adults' (g0) has been deleted"),
            ([{}, {}], "2 participant groups are named 'Screened adults': g0, g1"),
            ([{"workspace_id": "another"}], "the scope was ignored"),
        ],
        ids=["missing", "deleted", "shared name", "ignored scope"],
    )
    def test_groups_that_cannot_be_waited_for_end_the_wait_at_once(self, api, connection, group, groups, words):
        api.lists(*(group(f"g{number}", NAME, 300, **fields) for number, fields in enumerate(groups)))

        event = event_of(trigger(600, active=None, poke_interval=300))

        assert event["status"] == "error"
        assert words in event["message"]

    def test_a_connection_that_does_not_exist_ends_the_wait_at_once(self, api):
        event = event_of(trigger(600, prolific_conn_id="nobody_knows_me", poke_interval=300))

        assert event["status"] == "error"
        assert "nobody_knows_me" in event["message"]

    def test_the_error_of_a_later_look_keeps_what_was_known(self, api, connection, group):
        api.lists(group("g1", NAME, 120))
        api.fails(401)

        event = event_of(trigger())

        assert (event["status"], event["groups"]) == ("error", [status(120)])

    @pytest.mark.parametrize(
        "arguments",
        [{"match": "some"}, {"if_missing": "ignore"}, {"filter": {"x": "y"}}, {"targets": {NAME: "many"}}],
        ids=str,
    )
    def test_what_nobody_foresaw_becomes_an_error_event(self, api, connection, group, record_log, arguments):
        log = record_log(ProlificParticipantGroupTrigger)
        api.lists(group("g1", NAME, 120))

        event = event_of(trigger(**arguments))

        assert event["status"] == "error"
        assert "Error: " in event["message"]
        assert log.of_level("exception")

    def test_an_event_is_flat_json(self, api, connection, group):
        api.lists(group("g1", NAME, 300))

        event = event_of(trigger())

        assert json.loads(json.dumps(event)) == event
        assert set(event) == {"status", "groups", "message"}
        assert is_plain_json(event)

    @pytest.mark.parametrize("count", [120, 300])
    def test_one_event_is_the_end(self, api, connection, group, count):
        api.lists(group("g1", NAME, count))

        assert len(events_of(trigger(0.1))) == 1


class TestArguments:
    def test_any_of_the_targets_may_be_enough(self, api, connection, group):
        api.lists(group("g1", NAME, 120), group("g2", "B", 5))

        assert event_of(trigger(targets={NAME: 300, "B": 5}, match="any"))["status"] == "success"

    def test_a_group_that_is_still_to_be_created_can_be_waited_for(self, api, connection, group):
        api.lists()
        api.lists(group("g1", NAME, 300, is_deleted=True))
        api.lists(group("g1", NAME, 300))

        assert event_of(trigger(if_missing="wait", active=None))["groups"] == [status(300)]

    def test_a_group_that_never_came_is_named_at_the_time_out(self, api, connection):
        api.lists()

        event = event_of(trigger(0.1, if_missing="wait"))

        assert event["status"] == "timeout"
        assert event["message"] == "'Screened adults' does not exist yet (target 300)"
        assert event["groups"] == [
            {"id": None, "name": NAME, "participant_count": None, "target_count": 300, "reached": False}
        ]

    def test_filter_active_and_connection_reach_the_request(self, api, connect, group):
        connect("other", password="other-token")
        api.lists(group("g1", NAME, 300, project_id="p1", is_deleted=False))

        event = event_of(trigger(filter={"project_id": "p1"}, active=None, prolific_conn_id="other"))

        assert event["status"] == "success"
        [request] = api.requests
        assert request.headers["Authorization"] == "Token other-token"
        assert "project_id=p1" in request.url
        assert "active" not in request.url

    def test_without_a_filter_the_scope_is_the_connections(self, api, connection, group, workspace):
        api.lists(group("g1", NAME, 300))

        event_of(trigger())

        assert f"workspace_id={workspace}" in api.requests[0].url

    def test_a_token_that_is_replaced_during_the_wait_is_used(self, api, connect, workspace, group):
        connect(password="old-token", extra={"workspace_id": workspace})

        def answer(request):
            connect(password="new-token", extra={"workspace_id": workspace})
            is_new = request.headers["Authorization"] == "Token new-token"
            return 200, {}, json.dumps({"results": [group("g1", NAME, 300 if is_new else 0)]})

        api.add_callback(responses.GET, URL, answer)

        assert event_of(trigger())["status"] == "success"


class TestWhatMayPass:
    @pytest.mark.parametrize(
        "answer",
        [
            {"status": 429},
            {"status": 500},
            {"status": 503, "body": "<html>Maintenance</html>"},
            {"body": "<html>Sign in</html>"},
            {"body": "[]"},
            {"body": '{"results": null}'},
            {"body": '{"results": [{"id": "g1", "name": "Screened adults"}]}'},
            {"body": requests.ConnectionError("Connection aborted.")},
            {"body": requests.ReadTimeout("Read timed out.")},
        ],
        ids=str,
    )
    def test_it_is_logged_and_looked_at_again(self, api, connection, group, record_log, token, answer):
        log = record_log(ProlificParticipantGroupTrigger)
        api.get(URL, **answer)
        api.lists(group("g1", NAME, 300))

        assert event_of(trigger())["status"] == "success"

        [line] = log.of_level("warning")
        assert line.startswith("warning: This look failed, the wait goes on: GET /api/v1/participant-groups/ ")
        assert token not in line

    def test_where_the_last_look_failed_the_wait_ends_as_an_error(self, api, connection, group):
        api.lists(group("g1", NAME, 120))
        api.fails(503, '{"detail": "Maintenance"}')

        event = event_of(trigger(0.3))

        assert (event["status"], event["groups"]) == ("error", [status(120)])
        assert event["message"].startswith("the last look before the deadline failed: GET ")
        assert "Maintenance" in event["message"]

    def test_where_the_last_look_is_good_again_a_time_out_is_one(self, api, connection, group):
        api.fails(503)
        api.lists(group("g1", NAME, 120))

        assert event_of(trigger(0.3))["status"] == "timeout"

    def test_silent_fail_goes_on_after_what_will_not_pass(self, api, connection, group):
        api.fails(401)
        api.lists()
        api.lists(group("g1", NAME, 300))

        assert event_of(trigger(silent_fail=True))["status"] == "success"

    def test_silent_fail_ends_as_an_error_where_the_last_look_failed(self, api, connection):
        api.fails(401)

        event = event_of(trigger(0.2, silent_fail=True))

        assert event["status"] == "error"
        assert "401" in event["message"]

    def test_the_log_tells_progress(self, api, connection, group, record_log):
        log = record_log(ProlificParticipantGroupTrigger)
        for count in (120, 120, 150, 300):
            api.lists(group("g1", NAME, count))

        event_of(trigger())

        lines = log.of_level("info")
        assert len(lines) == 3
        assert lines[0] == "info: 'Screened adults' has 120 of 300 (40%)"
        assert lines[1].startswith("info: 'Screened adults' has 150 of 300 (50%), +30")


class TestTime:
    @pytest.mark.parametrize(("count", "expected"), [(120, "timeout"), (300, "success")])
    def test_a_deadline_that_has_passed_is_one_look(self, api, connection, group, count, expected):
        api.lists(group("g1", NAME, count))

        assert event_of(trigger(-1000, poke_interval=300))["status"] == expected
        assert len(api.requests) == 1

    def test_a_deadline_that_has_passed_and_a_failing_look_are_an_error(self, api, connection):
        api.fails(503)

        assert event_of(trigger(-1000, poke_interval=300))["status"] == "error"
        assert len(api.requests) == 1

    def test_a_deadline_before_the_next_look_ends_the_wait_with_a_look(self, api, connection, group):
        api.lists(group("g1", NAME, 120))
        api.lists(group("g1", NAME, 300))
        begun = time.monotonic()

        event = event_of(trigger(0.2, poke_interval=3600))

        assert time.monotonic() - begun < 5
        assert event["status"] in ("success", "timeout")
        assert len(api.requests) <= 2

    def test_the_interval_is_kept(self, api, connection, group):
        api.lists(group("g1", NAME, 120))

        event_of(trigger(0.9))

        assert 6 < len(api.requests) <= 12

    def test_an_interval_of_zero_does_not_spin(self, api, connection, group):
        api.lists(group("g1", NAME, 120))

        event_of(trigger(0.4, poke_interval=0))

        assert 2 <= len(api.requests) <= 12

    @pytest.mark.parametrize("error_status", [401, 429, 503])
    def test_no_failure_spins(self, api, connection, error_status):
        api.fails(error_status)

        event_of(trigger(0.4, poke_interval=0, silent_fail=True))

        assert 1 <= len(api.requests) <= 12

    def test_with_back_off_looks_become_rare(self, api, connection, group):
        api.lists(group("g1", NAME, 120))

        event_of(trigger(0.9, exponential_backoff=True))

        assert 3 <= len(api.requests) <= 6

    def test_with_back_off_they_become_no_rarer_than_the_longest_wait(self, api, connection, group):
        api.lists(group("g1", NAME, 120))

        event_of(trigger(0.9, exponential_backoff=True, max_wait=0.1))

        assert len(api.requests) > 6

    def test_the_first_look_is_not_before_the_time_that_the_api_named(self, api, connection, group):
        looked_at = []

        def answer(request):
            looked_at.append(time.time())
            return 200, {}, json.dumps({"results": [group("g1", NAME, 300)]})

        api.add_callback(responses.GET, URL, answer)
        not_before = time.time() + 0.2

        event_of(trigger(not_before=not_before))

        assert looked_at[0] >= not_before - 0.01

    def test_a_time_that_the_api_named_does_not_prolong_the_wait(self, api, connection, group):
        api.lists(group("g1", NAME, 120))
        begun = time.monotonic()

        assert event_of(trigger(0.2, not_before=time.time() + 3600))["status"] == "timeout"
        assert time.monotonic() - begun < 5
        assert len(api.requests) == 1

    def test_a_rate_limit_during_the_wait_is_honoured(self, api, connection, group):
        looked_at = []

        def answer(request):
            looked_at.append(time.monotonic())
            if len(looked_at) == 1:
                return 429, {"Retry-After": "1"}, ""
            return 200, {}, json.dumps({"results": [group("g1", NAME, 300)]})

        api.add_callback(responses.GET, URL, answer)

        assert event_of(trigger())["status"] == "success"
        assert looked_at[1] - looked_at[0] >= 0.95

    def test_a_rate_limit_beyond_the_deadline_ends_the_wait_there_as_an_error(self, api, connection):
        api.fails(429, Retry_After="60")
        begun = time.monotonic()

        event = event_of(trigger(0.2))

        assert time.monotonic() - begun < 5
        assert event["status"] == "error"
        assert "429" in event["message"]
        assert len(api.requests) == 1

    def test_a_wait_that_is_cancelled_ends_without_an_event(self, api, connection, group):
        api.lists(group("g1", NAME, 120))
        seen = []

        async def wait():
            seen.extend([event async for event in trigger(600, poke_interval=300).run()])

        async def cancel():
            task = asyncio.create_task(wait())
            await asyncio.sleep(0.1)
            task.cancel()
            await task

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancel())
        assert seen == []

    def test_the_event_loop_runs_on_while_the_api_is_slow(self, api, connection, group):
        def answer(request):
            time.sleep(0.3)
            return 200, {}, json.dumps({"results": [group("g1", NAME, 300)]})

        api.add_callback(responses.GET, URL, answer)

        async def wait():
            beats = 0
            task = asyncio.create_task(anext(trigger().run()))
            while not task.done():
                await asyncio.sleep(0.01)
                beats += 1
            return beats

        assert asyncio.run(wait()) > 10
