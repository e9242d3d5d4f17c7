"""The sensor: which arguments it takes, what ends a wait and how, and that no mode differs from another."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import time
from datetime import UTC, datetime, timedelta
from enum import Enum

import pytest
import requests
from airflow.configuration import conf
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger
from airflow_provider_prolific.version_compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    BaseSensorOperator,
)

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
except (ImportError, AttributeError):  # before Airflow 3.2
    from airflow.exceptions import AirflowRescheduleException, TaskDeferred

MODES = ("poke", "reschedule", "deferred")
NAME = "Screened adults"
#: Nothing listens here.
CLOSED_PORT = 1


class Upstream(BaseOperator):
    """A task whose result others take as an argument."""

    def execute(self, context):
        return None


def sensor(**arguments):
    if not {"participant_group", "target_count", "targets"} & set(arguments):
        arguments |= {"participant_group": NAME, "target_count": 300}
    return ProlificParticipantGroupSensor(task_id="wait", **arguments)


def status(count=300, target=300, **changes):
    return {
        "id": "g1",
        "name": NAME,
        "participant_count": count,
        "target_count": target,
        "reached": count >= target,
        **changes,
    }


def defer(task):
    """Let a task look once and return its deferral."""
    with pytest.raises(TaskDeferred) as deferral:
        task.execute({})
    return deferral.value


def wait_in_triggerer(trigger):
    """Return the trigger's one event, as it arrives on a worker."""

    async def wait():
        return [event async for event in trigger.run()]

    [event] = asyncio.run(wait())
    return json.loads(json.dumps(event.payload))


@pytest.fixture
def reschedule_context(monkeypatch):
    """Make the context of a task in reschedule mode that looked first at a given time."""

    def make(first_look_at=None):
        class TaskInstance:
            dag_id, task_id, run_id, map_index, max_tries, try_number = "dag", "wait", "run", -1, 0, 1

            def get_first_reschedule_date(self, context):
                return first_look_at

        try:
            import airflow.sdk  # noqa: F401
        except ImportError:  # Airflow 2.11 asks the database itself
            monkeypatch.setattr("airflow.sensors.base._orig_start_date", lambda **task: first_look_at)
        return {"ti": TaskInstance()}

    return make


@pytest.fixture
def run_in(reschedule_context):
    """Run a sensor to its end in one of the modes, with short intervals."""

    def run(mode, *, timeout=0.05, **arguments):
        arguments = {"poke_interval": 0.1, "timeout": timeout, **arguments}
        if mode == "poke":
            return sensor(**arguments).execute({})
        if mode == "reschedule":
            context = reschedule_context(datetime.now(UTC))
            while True:
                try:
                    return sensor(mode="reschedule", **arguments).execute(context)
                except AirflowRescheduleException as reschedule:
                    time.sleep(max((reschedule.reschedule_date - datetime.now(UTC)).total_seconds(), 0))
        try:
            return sensor(deferrable=True, **arguments).execute({})
        except TaskDeferred as deferral:
            event = wait_in_triggerer(deferral.trigger)
            return sensor(deferrable=True, **arguments).resume_execution(deferral.method_name, {"event": event}, {})

    return run


BAD_ARGUMENTS = [
    ({}, r"^give participant_group with target_count, or targets="),
    ({"participant_group": NAME}, r"^give participant_group with target_count, or targets="),
    ({"target_count": 300}, r"^give participant_group with target_count, or targets="),
    ({"participant_group": NAME, "target_count": 300, "targets": {NAME: 300}}, r"^give either .* not both"),
    ({"participant_group": NAME, "targets": {NAME: 300}}, r"^give either .* not both"),
    ({"target_count": 300, "targets": {NAME: 300}}, r"^give either .* not both"),
    *(
        ({"participant_group": group, "target_count": 300}, r"^participant_group must be the id or the exact name")
        for group in ("", "  ", 7, ["g1"])
    ),
    *(
        ({"participant_group": NAME, "target_count": count}, r"^target_count must be a whole number of participants")
        for count in (0, -1, 1.5, 3.0, True, False, "", "many", "0", "-1", "1.5", [])
    ),
    *(({"targets": targets}, r"^targets must map ") for targets in ({}, [], "g1", [NAME], 7)),
    ({"targets": {"": 300}}, r"^a key of targets must be the id or the exact name"),
    ({"targets": {7: 300}}, r"^a key of targets must be the id or the exact name"),
    *(
        ({"targets": {"A": 1, "B": count}}, r"^targets\['B'\] must be a whole number of participants")
        for count in (0, -1, 1.5, True, "", "many", None)
    ),
    *(({"match": match}, r"^match must be 'all' or 'any'") for match in ("some", "ALL", "", None, True)),
    *(({"if_missing": value}, r"^if_missing must be 'fail' or 'wait'") for value in ("ignore", "", None, False)),
    *(({"active": active}, r"^active must be True .* False .* or None") for active in ("yes", "", 1, [])),
    *(
        ({"filter": value}, r"^filter must be ")
        for value in ({}, {"workspace": "w1"}, {"workspace_id": "w1", "project_id": "p1"}, "w1", ["workspace_id"])
    ),
    *(({"filter": {"project_id": value}}, r"^filter\['project_id'\] must be an id") for value in ("", "a/b", None)),
]


def with_targets(arguments):
    """Add a good target to arguments that are bad for another reason."""
    others = {"match", "if_missing", "active", "filter"}
    return arguments | ({"participant_group": NAME, "target_count": 300} if set(arguments) & others else {})


class TestArguments:
    def test_all_arguments_are_keyword_only(self):
        parameters = list(inspect.signature(ProlificParticipantGroupSensor.__init__).parameters.values())[1:]

        assert {parameter.kind for parameter in parameters} == {
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_KEYWORD,
        }

    def test_whatever_a_person_would_template_is_templated(self):
        assert set(ProlificParticipantGroupSensor.template_fields) >= {
            *("participant_group", "target_count", "targets", "filter", "active", "match", "if_missing"),
            "prolific_conn_id",
        }

    def test_every_template_field_is_an_attribute(self):
        task = sensor()

        assert all(hasattr(task, field) for field in task.template_fields)

    def test_deferrable_is_airflows_default(self):
        assert sensor().deferrable is conf.getboolean("operators", "default_deferrable")

    def test_nothing_is_asked_while_the_dag_is_parsed(self, api):
        sensor(prolific_conn_id="nobody_knows_me")

        assert not api.requests

    @pytest.mark.parametrize(("arguments", "words"), BAD_ARGUMENTS, ids=str)
    def test_a_bad_argument_is_refused_while_the_dag_is_parsed(self, arguments, words):
        with pytest.raises(ProlificValueError, match=words):
            ProlificParticipantGroupSensor(task_id="wait", **with_targets(arguments))

    @pytest.mark.parametrize(("arguments", "words"), BAD_ARGUMENTS, ids=str)
    def test_an_argument_that_is_bad_once_it_is_rendered_is_refused_in_the_same_words(
        self, api, connection, arguments, words
    ):
        arguments = with_targets(arguments)
        with pytest.raises(ProlificValueError) as at_parse_time:
            ProlificParticipantGroupSensor(task_id="wait", **arguments)
        task = sensor(**dict.fromkeys(("match", "if_missing", "active", "filter", "targets"), "{{ rendered }}"))
        rendered = {"match": "all", "if_missing": "fail", "active": True, "filter": None, "targets": None, **arguments}
        for name, value in rendered.items():
            setattr(task, name, value)

        with pytest.raises(ProlificValueError) as at_run_time:
            task.execute({})

        assert str(at_run_time.value) == str(at_parse_time.value)
        assert not api.requests

    @pytest.mark.parametrize(
        "arguments",
        [
            {"participant_group": "{{ params.group }}", "target_count": "{{ params.count }}"},
            {"participant_group": "Wave {{ params.wave }}", "target_count": 300},
            {"participant_group": NAME, "target_count": "{{ params.count }}"},
            {"targets": "{{ params.targets }}"},
            {"targets": {NAME: "{{ params.count }}"}},
            {"targets": {"{{ params.group }}": 300}},
            *(
                {"participant_group": NAME, "target_count": 300, name: "{{ params.value }}"}
                for name in ("active", "match", "if_missing", "filter", "prolific_conn_id")
            ),
            {"participant_group": NAME, "target_count": 300, "filter": {"workspace_id": "{{ params.workspace }}"}},
        ],
        ids=str,
    )
    def test_a_template_is_taken_as_it_is(self, arguments):
        task = ProlificParticipantGroupSensor(task_id="wait", **arguments)

        assert {name: getattr(task, name) for name in arguments} == arguments

    def test_the_results_of_other_tasks_are_taken_as_they_are(self, dag):
        result = Upstream(task_id="upstream").output

        task = ProlificParticipantGroupSensor(
            task_id="wait",
            **dict.fromkeys(("participant_group", "target_count", "filter", "active", "match", "if_missing"), result),
        )

        assert task.participant_group is result

    def test_the_whole_mapping_may_be_the_result_of_another_task(self, dag):
        result = Upstream(task_id="upstream").output

        assert ProlificParticipantGroupSensor(task_id="wait", targets=result).targets is result

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"participant_group": "{{ x }}"}, r"^give participant_group with target_count"),
            ({"target_count": "{{ x }}"}, r"^give participant_group with target_count"),
            ({"participant_group": "{{ x }}", "targets": {"A": 1}}, r"not both"),
            ({"participant_group": "A", "target_count": 1, "targets": "{{ x }}"}, r"not both"),
            ({"participant_group": "{{ x }}", "target_count": 0}, r"^target_count must be"),
            ({"participant_group": "", "target_count": "{{ x }}"}, r"^participant_group must be"),
            ({"targets": {"A": 0, "B": "{{ x }}"}}, r"^targets\['A'\] must be"),
            ({"targets": {"": "{{ x }}"}}, r"^a key of targets must be"),
        ],
        ids=str,
    )
    def test_a_template_in_one_argument_does_not_hide_that_another_is_bad(self, arguments, words):
        with pytest.raises(ProlificValueError, match=words):
            ProlificParticipantGroupSensor(task_id="wait", **arguments)

    def test_one_task_per_group_can_be_mapped(self, dag):
        partial = ProlificParticipantGroupSensor.partial(task_id="wait", target_count=300)

        assert partial.expand(participant_group=["g1", "g2"])

    def test_both_group_and_count_can_be_mapped(self, dag):
        partial = ProlificParticipantGroupSensor.partial(task_id="wait")

        assert partial.expand_kwargs([{"participant_group": "g1", "target_count": 1}])

    def test_a_task_can_be_copied(self):
        task = copy.deepcopy(sensor(match="any"))

        assert (task.participant_group, task.match) == (NAME, "any")


TRANSIENT = {
    "rate limit": {"status": 429},
    "server error": {"status": 500},
    "gateway error": {"status": 502, "body": "<html>Bad gateway</html>"},
    "unavailable": {"status": 503, "body": '{"detail": "Maintenance"}'},
    "no JSON": {"body": "<html>Sign in</html>"},
    "empty": {"body": ""},
    "a list": {"body": "[]"},
    "null": {"body": "null"},
    "no results": {"body": "{}"},
    "results null": {"body": '{"results": null}'},
    "a row without count": {"body": '{"results": [{"id": "g1", "name": "Screened adults"}]}'},
    "a partial list": {"body": '{"results": [], "meta": {"count": 1}}'},
    "broken connection": {"body": requests.ConnectionError("Connection aborted.")},
    "time-out": {"body": requests.ReadTimeout("Read timed out.")},
}
URL = "https://api.prolific.com/api/v1/participant-groups/"


class TestPoke:
    def test_a_reached_target_is_true_and_brings_the_xcom(self, api, connection, group):
        api.lists(group("g1", NAME, 312), group("g2", "Other", 5))

        result = sensor().poke({})

        assert bool(result) is True
        assert result.xcom_value == [status(312)]

    def test_a_target_that_is_short_is_false(self, api, connection, group):
        api.lists(group("g1", NAME, 299))

        assert bool(sensor().poke({})) is False

    def test_a_target_may_arrive_as_text(self, api, connection, group):
        task = sensor(target_count="{{ params.count }}", participant_group=NAME)
        task.target_count = " 300\n"
        api.lists(group("g1", NAME, 300))

        assert task.poke({}).xcom_value == [status(300)]

    def test_filter_active_and_connection_reach_the_request(self, api, connect, group):
        connect("other", password="other-token")
        api.lists(group("g1", NAME, 300, project_id="p1"))

        sensor(filter={"project_id": "p1"}, active="None", prolific_conn_id="other").poke({})

        [request] = api.requests
        assert request.headers["Authorization"] == "Token other-token"
        assert "project_id=p1" in request.url
        assert "active" not in request.url

    @pytest.mark.parametrize(
        ("match", "counts", "reached"),
        [("all", (300, 299), False), ("all", (300, 300), True), ("any", (0, 300), True), ("any", (0, 0), False)],
    )
    def test_all_groups_must_have_reached_or_any(self, api, connection, group, match, counts, reached):
        api.lists(group("g1", "A", counts[0]), group("g2", "B", counts[1]))

        assert bool(sensor(targets={"A": 300, "B": 300}, match=match).poke({})) is reached

    def test_a_group_that_is_still_to_be_created_can_be_waited_for(self, api, connection):
        api.lists()

        assert bool(sensor(if_missing="wait").poke({})) is False

    @pytest.mark.parametrize("answer", TRANSIENT.values(), ids=TRANSIENT.keys())
    def test_what_may_pass_is_logged_and_no_success(self, api, connection, record_log, token, answer):
        log = record_log(ProlificParticipantGroupSensor)
        api.get(URL, **answer)

        assert bool(sensor().poke({})) is False

        [line] = log.of_level("warning")
        assert line.startswith("warning: This look failed, the wait goes on: GET /api/v1/participant-groups/ ")
        assert token not in line

    def test_a_failed_look_is_one_request(self, api, connection):
        api.fails(503)

        sensor().poke({})

        assert len(api.requests) == 1

    def test_a_server_that_is_not_there_may_come_back(self, connect, workspace, record_log):
        log = record_log(ProlificParticipantGroupSensor)
        connect(host=f"http://127.0.0.1:{CLOSED_PORT}", extra={"workspace_id": workspace})

        assert bool(sensor().poke({})) is False
        assert "got no answer" in log.of_level("warning")[0]

    @pytest.mark.parametrize("answer", [401, 403, 404, 400, 302])
    def test_a_refusal_that_will_not_pass_is_raised(self, api, connection, answer):
        api.fails(answer)

        with pytest.raises(ProlificApiError) as refusal:
            sensor().poke({})
        assert refusal.value.status_code == answer

    def test_an_ignored_scope_is_raised(self, api, connection, group):
        api.lists(group("g1", NAME, 300, workspace_id="another"))

        with pytest.raises(ProlificResponseError, match=r"the scope was ignored"):
            sensor().poke({})

    @pytest.mark.parametrize(
        ("groups", "words"),
        [
            ([], r"no participant group has the id or the exact name 'Screened adults'"),
            ([{"is_deleted": True}], r"'Screened adults' \(g0\) has been deleted"),
            ([{}, {}], r"2 participant groups are named 'Screened adults': g0, g1"),
        ],
        ids=["missing", "deleted", "shared name"],
    )
    def test_a_group_that_is_not_there_or_not_one_is_raised(self, api, connection, group, groups, words):
        api.lists(*(group(f"g{number}", NAME, 300, **fields) for number, fields in enumerate(groups)))

        with pytest.raises(ProlificError, match=words):
            sensor(active=None).poke({})

    @pytest.mark.parametrize("fields", [{"password": ""}, {"host": "http://api.prolific.com"}, {"extra": {}}], ids=str)
    def test_a_connection_that_cannot_be_used_is_raised(self, api, connect, fields):
        connect(**fields)

        with pytest.raises(ProlificValueError, match=r"prolific_default"):
            sensor().poke({})

    def test_the_log_has_a_line_when_a_count_changes(self, api, connection, group, record_log):
        log = record_log(ProlificParticipantGroupSensor)
        for count in (120, 120, 150):
            api.lists(group("g1", NAME, count))
        task = sensor()

        for _ in range(3):
            task.poke({})

        first, second = log.of_level("info")
        assert first == "info: 'Screened adults' has 120 of 300 (40%)"
        assert second.startswith("info: 'Screened adults' has 150 of 300 (50%), +30")


@pytest.mark.parametrize("mode", MODES)
class TestEveryMode:
    """The same rules hold, and the same value comes back, on the worker and in the triggerer."""

    def test_the_wait_ends_with_the_same_value(self, api, connection, group, run_in, mode):
        api.lists(group("g1", "A", 3), group("g2", "B", 0))
        api.lists(group("g1", "A", 12), group("g2", "B", 30))

        value = run_in(mode, timeout=10, targets={"B": 20, "g1": 10})

        assert value == [
            {"id": "g2", "name": "B", "participant_count": 30, "target_count": 20, "reached": True},
            {"id": "g1", "name": "A", "participant_count": 12, "target_count": 10, "reached": True},
        ]

    def test_a_wait_that_is_over_at_the_first_look_has_the_same_value(self, api, connection, group, run_in, mode):
        api.lists(group("g1", NAME, 300))

        assert run_in(mode) == [status(300)]
        assert len(api.requests) == 1

    def test_with_any_the_value_tells_who_has_not_reached(self, api, connection, group, run_in, mode):
        api.lists(group("g1", "A", 0))
        api.lists(group("g1", "A", 10))

        value = run_in(mode, timeout=10, targets={"A": 10, "B": 10}, match="any", if_missing="wait")

        assert [(one["id"], one["name"], one["reached"]) for one in value] == [("g1", "A", True), (None, "B", False)]

    def test_an_outage_fails_no_wait(self, api, connection, group, run_in, mode):
        api.lists(group("g1", NAME, 1))
        for name in ("rate limit", "unavailable", "no JSON", "broken connection"):
            api.get(URL, **TRANSIENT[name])
        api.lists(group("g1", NAME, 300))

        assert run_in(mode, timeout=30) == [status(300)]

    def test_a_time_out_names_who_is_short(self, api, connection, group, run_in, mode):
        api.lists(group("g1", "A", 120), group("g2", "B", 300))

        with pytest.raises(AirflowSensorTimeout, match=r"^timed out after 0\.05 seconds: 'A' has 120 of 300 \(40%\)$"):
            run_in(mode, targets={"A": 300, "B": 300})

    @pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
    def test_a_time_out_can_be_skipped(self, api, connection, group, run_in, mode, flag):
        api.lists(group("g1", NAME, 120))

        with pytest.raises(AirflowSkipException, match=r"'Screened adults' has 120 of 300"):
            run_in(mode, **{flag: True})

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_where_the_last_look_failed_the_wait_ends_as_an_error(
        self, api, connection, group, run_in, mode, soft_fail
    ):
        api.lists(group("g1", NAME, 120))
        api.fails(503, '{"detail": "Maintenance"}')

        with pytest.raises(ProlificError, match=r"the last look before the deadline failed: GET .* 503 .*Maintenance"):
            run_in(mode, timeout=0.25, soft_fail=soft_fail)

    @pytest.mark.parametrize("soft_fail", [False, True])
    @pytest.mark.parametrize("looks", [0, 1])
    def test_what_will_not_pass_ends_the_wait_at_once(self, api, connection, group, run_in, mode, soft_fail, looks):
        for _ in range(looks):
            api.lists(group("g1", NAME, 120))
        api.fails(401, '{"detail": "Invalid token."}')

        with pytest.raises(ProlificError, match=r"401 Unauthorized: Invalid token\. \(check the API token"):
            run_in(mode, timeout=30, soft_fail=soft_fail)
        assert len(api.requests) == looks + 1

    @pytest.mark.parametrize("looks", [0, 1])
    def test_never_fail_skips_also_what_will_not_pass(self, api, connection, group, run_in, mode, looks):
        for _ in range(looks):
            api.lists(group("g1", NAME, 120))
        api.fails(401)

        with pytest.raises(AirflowSkipException) as skip:
            run_in(mode, timeout=30, never_fail=True)
        assert "deadline" not in str(skip.value)

    def test_never_fail_skips_where_the_last_look_failed(self, api, connection, run_in, mode):
        api.fails(503)

        with pytest.raises(AirflowSkipException):
            run_in(mode, never_fail=True)

    @pytest.mark.parametrize("looks", [0, 1])
    def test_silent_fail_goes_on_after_what_will_not_pass(self, api, connection, group, run_in, mode, looks):
        for _ in range(looks):
            api.lists(group("g1", NAME, 120))
        api.fails(401)
        api.lists(group("g1", NAME, 300))

        assert run_in(mode, timeout=10, silent_fail=True) == [status(300)]

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_silent_fail_does_not_turn_a_broken_token_into_a_time_out(self, api, connection, run_in, mode, soft_fail):
        api.fails(401)

        with pytest.raises(ProlificError, match=r"401"):
            run_in(mode, silent_fail=True, soft_fail=soft_fail)

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_silent_fail_does_not_turn_a_missing_connection_into_a_time_out(self, run_in, mode, soft_fail):
        with pytest.raises(ProlificError, match=r"nobody_knows_me"):
            run_in(mode, prolific_conn_id="nobody_knows_me", silent_fail=True, soft_fail=soft_fail)

    def test_a_time_out_of_zero_is_one_look(self, api, connection, group, run_in, mode):
        api.lists(group("g1", NAME, 120))

        with pytest.raises(AirflowSensorTimeout):
            run_in(mode, timeout=0)
        assert len(api.requests) == 1

    def test_an_interval_of_zero_does_not_spin(self, api, connection, group, run_in, mode):
        api.lists(group("g1", NAME, 120))

        with pytest.raises(AirflowSensorTimeout):
            run_in(mode, poke_interval=0, timeout=0.3)
        assert 2 <= len(api.requests) <= 12

    def test_the_value_is_small_and_json(self, api, connection, group, run_in, mode):
        api.lists(group("g1", NAME, 300, description="x" * 10_000))

        value = run_in(mode)

        assert json.loads(json.dumps(value)) == value
        assert len(json.dumps(value)) < 200


class TestOnTheWorker:
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_silent_fail_does_not_turn_a_bad_rendered_argument_into_a_time_out(self, connection, soft_fail):
        task = sensor(participant_group=NAME, target_count="{{ x }}", silent_fail=True, soft_fail=soft_fail, timeout=0)
        task.target_count = "many"

        with pytest.raises(ProlificError, match=r"target_count must be"):
            task.execute({})

    @pytest.mark.parametrize(
        ("header", "pause"), [("50", 50), ("3", 10), ("0", 10), ("soon", 10), ("99999", 120), (None, 10)]
    )
    def test_the_next_look_is_at_the_interval_or_later_where_the_api_names_a_time(
        self, api, connection, group, clock, header, pause
    ):
        api.fails(429, **({"Retry_After": header} if header else {}))
        api.lists(group("g1", NAME, 300))

        sensor(poke_interval=10).execute({})

        assert clock.sleeps == [pause]

    def test_after_a_good_look_the_interval_is_as_before(self, api, connection, group, clock):
        api.fails(429, Retry_After="50")
        api.lists(group("g1", NAME, 120))
        api.lists(group("g1", NAME, 300))

        sensor(poke_interval=10).execute({})

        assert clock.sleeps == [50, 10]

    @pytest.mark.parametrize(("header", "pause"), [("50", 50), ("3", 10)])
    def test_in_reschedule_mode_too(self, api, connection, reschedule_context, header, pause):
        api.fails(429, Retry_After=header)

        with pytest.raises(AirflowRescheduleException) as reschedule:
            sensor(poke_interval=10, mode="reschedule").execute(reschedule_context(datetime.now(UTC)))

        seconds = (reschedule.value.reschedule_date - datetime.now(UTC)).total_seconds()
        assert pause - 5 < seconds <= pause

    def test_airflows_own_back_off_works(self, api, connection, group, clock):
        for _ in range(6):
            api.lists(group("g1", NAME, 120))
        api.lists(group("g1", NAME, 300))

        sensor(poke_interval=10, exponential_backoff=True, max_wait=60).execute({})

        assert clock.sleeps == sorted(clock.sleeps)
        assert clock.sleeps[0] < clock.sleeps[-1] == 60

    def test_the_timeout_of_a_rescheduled_wait_counts_from_its_first_look(
        self, api, connection, group, reschedule_context
    ):
        api.lists(group("g1", NAME, 120))
        context = reschedule_context(datetime.now(UTC) - timedelta(seconds=61))

        with pytest.raises(
            AirflowSensorTimeout, match=r"^timed out after 60 seconds: 'Screened adults' has 120 of 300"
        ):
            sensor(mode="reschedule", timeout=60).execute(context)

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_a_task_that_runs_again_knows_nothing_of_the_run_before(
        self, api, connection, group, reschedule_context, mode
    ):
        task = sensor(mode=mode, timeout=0)
        api.fails(503)
        api.lists(group("g1", NAME, 120))
        context = reschedule_context(datetime.now(UTC) - timedelta(seconds=1))

        with pytest.raises(ProlificError):
            task.execute(context)
        with pytest.raises(AirflowSensorTimeout):
            task.execute(context)

    def test_a_task_that_runs_again_tells_its_progress_again(self, api, connection, group, record_log):
        recorded = record_log(ProlificParticipantGroupSensor)
        task = sensor(timeout=0)
        for _ in range(2):
            api.lists(group("g1", NAME, 120))
            with pytest.raises(AirflowSensorTimeout):
                task.execute({})

        assert len([line for line in recorded.lines if "has 120 of 300 (40%)" in line]) == 2


class TestDeferral:
    def test_a_wait_that_is_not_over_is_handed_to_the_trigger(self, api, connection, group):
        api.lists(group("g1", NAME, 120))
        before = time.time()

        deferral = defer(sensor(deferrable=True, timeout=600, poke_interval=30))

        classpath, kwargs = deferral.trigger.serialize()
        deadline = kwargs.pop("deadline")
        assert classpath.endswith("triggers.participant_groups.ProlificParticipantGroupTrigger")
        assert kwargs == {
            "targets": {NAME: 300},
            "filter": None,
            "active": True,
            "match": "all",
            "if_missing": "fail",
            "prolific_conn_id": "prolific_default",
            "poke_interval": 30,
            "exponential_backoff": False,
            "max_wait": None,
            "silent_fail": False,
            "not_before": None,
        }
        assert before + 600 <= deadline <= time.time() + 600
        assert deferral.method_name == "execute_complete"

    def test_airflows_own_time_out_lies_behind_the_triggers_deadline(self, api, connection, group):
        api.lists(group("g1", NAME, 120))

        deferral = defer(sensor(deferrable=True, timeout=600))

        ends_at = time.time() + deferral.timeout.total_seconds()
        assert 100 < ends_at - deferral.trigger.deadline < 1000

    def test_rendered_arguments_reach_the_trigger_as_what_they_mean(self, api, connection, group):
        api.lists(group("g1", NAME, 120))
        task = sensor(deferrable=True, targets="{{ x }}", active="{{ x }}", filter="{{ x }}")
        task.targets, task.active, task.filter = {NAME: " 300 "}, "None", {"workspace_id": group()["workspace_id"]}

        _, kwargs = defer(task).trigger.serialize()

        assert (kwargs["targets"], kwargs["active"]) == ({NAME: 300}, None)
        assert kwargs["filter"] == {"workspace_id": group()["workspace_id"]}

    def test_the_token_stays_in_the_connection(self, api, connection, group, token):
        api.lists(group("g1", NAME, 120))

        trigger = defer(sensor(deferrable=True)).trigger

        assert token not in repr((trigger, vars(trigger), trigger.serialize()))

    def test_the_trigger_waits_until_the_time_that_the_api_named(self, api, connection):
        api.fails(429, Retry_After="50")
        before = time.time()

        trigger = defer(sensor(deferrable=True)).trigger

        assert before + 50 <= trigger.not_before <= time.time() + 50

    def test_a_first_look_that_fails_is_handed_over(self, api, connection):
        api.fails(503)

        assert defer(sensor(deferrable=True)).trigger.not_before is None

    def test_with_silent_fail_a_first_look_that_will_not_pass_is_handed_over(self, api, connection):
        api.fails(401)

        assert defer(sensor(deferrable=True, silent_fail=True)).trigger.silent_fail is True

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_time_out_of_zero_whose_look_failed_is_an_error(self, api, connection, soft_fail):
        api.fails(503)

        with pytest.raises(ProlificError, match=r"503"):
            sensor(deferrable=True, timeout=0, soft_fail=soft_fail).execute({})


#: Every parameter of the sensor and of Airflow's base sensor: a value that is not its default, and the trigger's
#: argument that it becomes; where there is none, the test that tells what becomes of it.
SURVIVES = {
    "participant_group": ("g1", "targets", {"g1": 300}),
    "target_count": (200, "targets", {NAME: 200}),
    "targets": ({"g1": 250}, "targets", {"g1": 250}),
    "filter": ({"project_id": "p1"}, "filter", {"project_id": "p1"}),
    "active": (None, "active", None),
    "match": ("any", "match", "any"),
    "if_missing": ("wait", "if_missing", "wait"),
    "prolific_conn_id": ("other", "prolific_conn_id", "other"),
    "poke_interval": (timedelta(seconds=7), "poke_interval", 7.0),
    "exponential_backoff": (True, "exponential_backoff", True),
    "max_wait": (timedelta(minutes=5), "max_wait", 300.0),
    "silent_fail": (True, "silent_fail", True),
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


@pytest.mark.parametrize("parameter", parameters_of(ProlificParticipantGroupSensor, BaseSensorOperator))
def test_no_parameter_is_lost_when_a_wait_is_deferred(api, connect, workspace, group, parameter):
    assert parameter in SURVIVES, f"decide what becomes of {parameter} when a wait is deferred"
    value, argument, expected = SURVIVES[parameter]
    for conn_id in ("prolific_default", "other"):
        connect(conn_id, extra={"workspace_id": workspace})
    api.lists(group("g1", NAME, 120))
    plain = {"participant_group": NAME, "target_count": 300, "deferrable": True}
    _, without = defer(ProlificParticipantGroupSensor(task_id="wait", **plain)).trigger.serialize()
    if parameter == "targets":
        plain = {"deferrable": True}

    _, kwargs = defer(ProlificParticipantGroupSensor(task_id="wait", **{**plain, parameter: value})).trigger.serialize()

    del without["deadline"]
    if argument is None:
        assert {name: kwargs[name] for name in without} == without
    else:
        assert kwargs[argument] == expected
        assert without.get(argument) != expected


def test_the_table_of_parameters_names_none_that_is_gone():
    assert set(SURVIVES) == set(parameters_of(ProlificParticipantGroupSensor, BaseSensorOperator))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 400)
    | st.floats()
    | st.sampled_from(["success", "timeout", NAME, "g1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
STATUS_LIKE = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["g1", "g2", None]),
        "name": st.sampled_from([NAME, "Other"]) | JSON,
        "participant_count": st.sampled_from([0, 299, 300, 301, True]) | JSON,
        "target_count": st.sampled_from([300, 300, 299]),
        "reached": st.sampled_from([True, True, False, 1]),
    },
)
EVENTS = (
    JSON
    | st.fixed_dictionaries({}, optional={"status": JSON, "groups": JSON, "message": JSON})
    | st.fixed_dictionaries({"status": st.just("success"), "groups": st.lists(STATUS_LIKE | JSON, max_size=2)})
)


class TestExecuteComplete:
    TASK = sensor()

    def test_a_success_is_the_same_list_as_in_the_other_modes(self):
        event = {"status": "success", "groups": [status(312)], "message": "done"}

        assert sensor().execute_complete({}, event) == [status(312)]

    def test_a_success_is_told_in_the_tasks_log(self, record_log):
        log = record_log(ProlificParticipantGroupSensor)

        sensor().execute_complete({}, {"status": "success", "groups": [status(312)], "message": "done"})

        assert log.of_level("info") == ["info: Reached: 'Screened adults' has 312 of 300 (104%)"]

    def test_a_time_out_raises_with_who_is_short(self):
        event = {"status": "timeout", "groups": [status(120)], "message": "'Screened adults' has 120 of 300 (40%)"}

        with pytest.raises(
            AirflowSensorTimeout, match=r"^timed out after 60 seconds: 'Screened adults' has 120 of 300"
        ):
            sensor(timeout=60).execute_complete({}, event)

    def test_an_error_raises_with_its_cause(self):
        with pytest.raises(ProlificError, match=r"^401 Unauthorized$"):
            sensor().execute_complete({}, {"status": "error", "groups": [], "message": "401 Unauthorized"})

    @pytest.mark.parametrize("event", [{"status": "error"}, {"status": "error", "message": None}])
    def test_an_error_without_a_cause_is_still_an_error(self, event):
        with pytest.raises(ProlificError, match=r"the trigger reported an error without a cause"):
            sensor().execute_complete({}, event)

    @pytest.mark.parametrize(
        "event",
        [
            *(None, {}, [], "success", True, 7, ["success"]),
            *({"status": None}, {"status": "running"}, {"status": "SUCCESS"}, {"status": ["success"]}),
            {"groups": [status(312)]},
        ],
        ids=str,
    )
    def test_no_event_or_an_unknown_one_is_an_error(self, event):
        with pytest.raises(ProlificError, match=r"^the trigger ended with an event that is none of its own: "):
            sensor().execute_complete({}, event)

    def test_a_missing_event_is_an_error(self):
        with pytest.raises(ProlificError):
            sensor().execute_complete({})

    @pytest.mark.parametrize(
        "groups",
        [
            None,
            [],
            {},
            "g1",
            [None],
            [status(120)],
            [status(120, reached=True)],
            [status(312, target=200)],
            [status(312), status(312)],
            [status(312, id="g2", name="Other")],
            [{**status(312), "more": 1}],
            [{"id": "g1", "name": NAME, "reached": True}],
        ],
        ids=str,
    )
    def test_a_success_that_does_not_fit_the_targets_is_an_error(self, groups):
        with pytest.raises(ProlificError, match=r"the trigger reports success, but not for these targets"):
            sensor().execute_complete({}, {"status": "success", "groups": groups, "message": "done"})

    @given(EVENTS)
    @settings(max_examples=500)
    def test_no_event_is_a_success_unless_it_fits(self, event):
        try:
            value = self.TASK.execute_complete({}, event)
        except (ProlificError, AirflowSensorTimeout):
            return
        assert event["status"] == "success"
        [one] = value
        assert set(one) == {"id", "name", "participant_count", "target_count", "reached"}
        assert isinstance(one["id"], str)
        assert one["name"] == NAME
        assert type(one["participant_count"]) is int
        assert one["participant_count"] >= one["target_count"] == 300
        assert one["reached"] is True

    @pytest.mark.parametrize(
        ("event", "plain", "soft"),
        [
            ({"status": "timeout", "message": "short"}, AirflowSensorTimeout, AirflowSkipException),
            ({"status": "error", "message": "401"}, ProlificError, ProlificError),
            ({"status": "success", "groups": []}, ProlificError, ProlificError),
            (None, ProlificError, ProlificError),
        ],
        ids=str,
    )
    def test_soft_fail_skips_a_time_out_only_and_never_fail_everything(self, event, plain, soft):
        with pytest.raises(plain):
            sensor().execute_complete({}, event)
        with pytest.raises(soft):
            sensor(soft_fail=True).execute_complete({}, event)
        with pytest.raises(AirflowSkipException):
            sensor(never_fail=True).execute_complete({}, event)

    def test_the_success_of_a_templated_sensor_is_judged_by_the_rendered_targets(self):
        task = sensor(participant_group="{{ x }}", target_count="{{ x }}")
        task.participant_group, task.target_count = "g1", "300"

        assert task.execute_complete({}, {"status": "success", "groups": [status(300)]}) == [status(300)]


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
        ],
        ids=str,
    )
    def test_airflows_own_time_out_is_a_time_out(self, error, flags, outcome):
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
    def test_a_trigger_that_crashed_is_an_error(self, next_kwargs, flags, outcome):
        with pytest.raises(outcome, match=r"the trigger failed"):
            sensor(**flags).resume_execution("__fail__", next_kwargs, {})

    def test_the_reason_of_a_crash_is_in_the_error_and_its_traceback_in_the_log(self, record_log):
        log = record_log(ProlificParticipantGroupSensor)
        failure = {"error": "Trigger failure", "traceback": ["Traceback:\n", "  in run\n", "ZeroDivisionError\n"]}

        with pytest.raises(ProlificError, match=r"^the trigger failed: Trigger failure; its log says why$"):
            sensor().resume_execution("__fail__", failure, {})

        assert log.of_level("error") == ["error: The trigger failed:\nTraceback:\n  in run\nZeroDivisionError\n"]

    def test_an_event_is_judged(self):
        event = {"status": "success", "groups": [status(300)], "message": "done"}

        assert sensor().resume_execution("execute_complete", {"event": event}, {}) == [status(300)]

    @pytest.mark.parametrize(
        ("flags", "outcome"),
        [({}, ProlificError), ({"soft_fail": True}, ProlificError), ({"never_fail": True}, AirflowSkipException)],
        ids=str,
    )
    def test_an_error_event_is_softened_as_everywhere(self, flags, outcome):
        with pytest.raises(outcome):
            sensor(**flags).resume_execution("execute_complete", {"event": {"status": "error", "message": "401"}}, {})


def test_the_sensor_defers_to_the_trigger_that_its_own_code_names(api, connection, group):
    api.lists(group("g1", NAME, 120))

    assert type(defer(sensor(deferrable=True)).trigger) is ProlificParticipantGroupTrigger
