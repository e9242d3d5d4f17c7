"""The sensor of participant groups: its arguments, and that they reach the gate, the trigger and the request.

The rules that it shares with other waits are shown in tests/unit/waiting.
"""

from __future__ import annotations

import inspect
import json

import pytest
from waits import MODES

from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.links import FEEDER_STUDY_KEY
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger
from airflow_provider_prolific.version_compat import AirflowSensorTimeout, BaseOperator

NAME = "Screened adults"


class Upstream(BaseOperator):
    """A task whose result others take as an argument."""

    def execute(self, context):
        return None


def sensor(**arguments):
    if not {"participant_group", "target_count", "targets"} & set(arguments):
        arguments |= {"participant_group": NAME, "target_count": 300}
    return ProlificParticipantGroupSensor(task_id="wait", **arguments)


@pytest.fixture
def lists(api):
    """Answer the next listing with these groups, all in one page; the last such answer stays."""
    return lambda *groups: api.lists(*groups, meta={"count": len(groups)})


def status(count=300, target=300, **changes):
    return {
        "id": "g1",
        "name": NAME,
        "participant_count": count,
        "target_count": target,
        "reached": count >= target,
        **changes,
    }


#: One bad value of each argument; what each check refuses is shown in the tests of the arguments and of the targets.
BAD_ARGUMENTS = [
    ({"participant_group": "", "target_count": 300}, r"^participant_group must be the id or the exact name"),
    ({"participant_group": NAME, "target_count": 0}, r"^target_count must be a whole number of participants"),
    ({"targets": {}}, r"^targets must map "),
    ({"targets": {"": 300}}, r"^a key of targets must be the id or the exact name"),
    ({"targets": {"A": 1, "B": "many"}}, r"^targets\['B'\] must be a whole number of participants"),
    ({"targets": {"A": 1}, "match": "some"}, r"^match must be 'all' or 'any'"),
    ({"targets": {"A": 1}, "if_missing": "ignore"}, r"^if_missing must be 'fail' or 'wait'"),
    ({"targets": {"A": 1}, "active": "yes"}, r"^active must be True .* False .* or None"),
    ({"targets": {"A": 1}, "active": False}, r"^active must not be False: a deleted group never reaches its target"),
    ({"targets": {"A": 1}, "filter": {"workspace": "w1"}}, r"^filter must be "),
]


class TestArguments:
    def test_all_arguments_are_keyword_only(self):
        parameters = list(inspect.signature(ProlificParticipantGroupSensor.__init__).parameters.values())[1:]

        assert {parameter.kind for parameter in parameters} == {
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_KEYWORD,
        }

    def test_whatever_a_person_would_template_is_templated(self):
        assert set(ProlificParticipantGroupSensor.template_fields) == {
            *("participant_group", "target_count", "targets", "filter", "active", "match", "if_missing"),
            "prolific_conn_id",
        }

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"participant_group": NAME},
            {"participant_group": "{{ x }}"},
            {"target_count": 300},
            {"participant_group": NAME, "targets": {NAME: 300}},
            {"target_count": 300, "targets": {NAME: 300}},
            {"participant_group": NAME, "target_count": 300, "targets": {NAME: 300}},
            {"participant_group": NAME, "target_count": 300, "targets": "{{ x }}"},
        ],
        ids=str,
    )
    def test_a_group_with_its_count_or_targets_must_be_there_and_never_both(self, arguments):
        with pytest.raises(ProlificValueError, match=r"^give either participant_group and target_count, or targets="):
            ProlificParticipantGroupSensor(task_id="wait", **arguments)

    @pytest.mark.parametrize("scope", ["workspace_id", "project_id"])
    def test_a_scope_that_is_given_as_a_keyword_is_refused_with_what_to_write(self, scope):
        with pytest.raises(ProlificValueError, match=rf'pass filter=\{{"{scope}": …\}} instead$'):
            sensor(**{scope: "64a000000000000000000001"})
        with pytest.raises(ProlificValueError, match=rf'pass filter=\{{"{scope}": …\}} instead$'):
            ProlificParticipantGroupSensor.partial(task_id="mapped", **{scope: "64a000000000000000000001"})

    @pytest.mark.parametrize(("arguments", "words"), BAD_ARGUMENTS, ids=str)
    def test_a_bad_argument_is_refused_while_the_dag_is_parsed(self, arguments, words):
        with pytest.raises(ProlificValueError, match=words):
            sensor(**arguments)

    @pytest.mark.parametrize(("arguments", "words"), BAD_ARGUMENTS, ids=str)
    def test_one_that_is_bad_once_it_is_rendered_is_refused_in_the_same_words(self, api, connection, arguments, words):
        task = sensor(**dict.fromkeys(("match", "if_missing", "active", "filter", "targets"), "{{ rendered }}"))
        rendered = {"match": "all", "if_missing": "fail", "active": True, "filter": None, "targets": None, **arguments}
        for name, value in rendered.items():
            setattr(task, name, value)

        with pytest.raises(ProlificValueError, match=words):
            task.execute({})
        assert not api.requests

    @pytest.mark.parametrize("rendered", [(None, 300), ("", 300), (NAME, None)], ids=str)
    def test_a_group_or_a_count_that_is_rendered_to_nothing_is_refused(self, api, connection, rendered):
        task = sensor(participant_group="{{ x }}", target_count="{{ x }}")
        task.participant_group, task.target_count = rendered

        with pytest.raises(ProlificValueError, match=r"^(participant_group|target_count) must be"):
            task.execute({})

    @pytest.mark.parametrize(
        "arguments",
        [
            {"participant_group": "{{ params.group }}", "target_count": "{{ params.count }}"},
            {"participant_group": "Wave {{ params.wave }}", "target_count": 300},
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
            ({"participant_group": "{{ x }}", "target_count": 0}, r"^target_count must be"),
            ({"participant_group": "", "target_count": "{{ x }}"}, r"^participant_group must be"),
        ],
        ids=str,
    )
    def test_a_template_in_one_argument_does_not_hide_that_another_is_bad(self, arguments, words):
        with pytest.raises(ProlificValueError, match=words):
            sensor(**arguments)

    def test_one_task_per_group_can_be_mapped(self, dag):
        partial = ProlificParticipantGroupSensor.partial(task_id="wait", target_count=300)

        assert partial.expand(participant_group=["g1", "g2"])

    def test_both_group_and_count_can_be_mapped(self, dag):
        partial = ProlificParticipantGroupSensor.partial(task_id="wait")

        assert partial.expand_kwargs([{"participant_group": "g1", "target_count": 1}])


class TestPoke:
    def test_a_reached_target_brings_the_xcom(self, api, lists, connection, group):
        lists(group("g1", NAME, 312), group("g2", "Other", 5))

        assert sensor().poke({}).xcom_value == [status(312)]

    def test_a_target_may_arrive_as_text(self, api, lists, connection, group):
        task = sensor(target_count="{{ params.count }}", participant_group=NAME)
        task.target_count = " 300\n"
        lists(group("g1", NAME, 300))

        assert task.poke({}).xcom_value == [status(300)]

    def test_filter_active_and_connection_reach_the_request(self, api, lists, connect, group):
        connect("other", password="other-token")
        lists(group("g1", NAME, 300, project_id="p1"))

        sensor(filter={"project_id": "p1"}, active="None", prolific_conn_id="other").poke({})

        [request] = api.requests
        assert request.headers["Authorization"] == "Token other-token"
        assert "project_id=p1" in request.url
        assert "active" not in request.url

    @pytest.mark.parametrize(
        "row",
        [{"id": "g2", "name": "Neighbour", "project_id": "p"}, {"id": "g2", "name": "B", "participant_count": "?"}],
    )
    def test_a_row_that_lacks_what_nobody_asked_for_holds_up_no_wait(self, api, lists, connection, group, row):
        lists(row, group("g1", NAME, 300))

        assert sensor().poke({}).xcom_value == [status(300)]

    @pytest.mark.parametrize("count", [None, "300", -1, 300.0, True])
    def test_a_group_without_its_count_is_looked_at_again(self, api, lists, connection, group, record_log, count):
        log = record_log(ProlificParticipantGroupSensor)
        lists({**group("g1", NAME), "participant_count": count})

        assert bool(sensor().poke({})) is False
        assert "came without a participant_count" in log.of_level("warning")[0]

    def test_an_ignored_scope_is_raised(self, api, lists, connection, group):
        lists(group("g1", NAME, 300, workspace_id="another"))

        with pytest.raises(ProlificError, match=r"the scope was ignored"):
            sensor().poke({})

    def test_a_connection_without_a_default_scope_is_raised(self, api, connect):
        connect()

        with pytest.raises(ProlificValueError, match=r"no scope: pass filter="):
            sensor().poke({})

    @pytest.mark.parametrize(("studies", "named"), [([{"id": "s1"}], "s1"), ([], ""), (None, "")])
    def test_the_study_that_fills_the_group_is_left_for_the_link_once(
        self, api, lists, connection, group, studies, named
    ):
        pushed = []

        class TaskInstance:
            def xcom_push(self, key, value):
                pushed.append((key, value))

        lists(group("g1", NAME, 120, feeder_studies=studies))
        task = sensor()
        for _ in range(2):
            task.poke({"ti": TaskInstance()})

        assert pushed == [(FEEDER_STUDY_KEY, named)]


@pytest.mark.parametrize("mode", MODES)
class TestEveryMode:
    def test_the_wait_ends_with_the_same_value(self, api, lists, connection, group, run_in, mode):
        lists(group("g1", "A", 3), group("g2", "B", 0))
        lists(group("g1", "A", 12), group("g2", "B", 30))

        value = run_in(mode, sensor, timeout=10, targets={"B": 20, "g1": 10})

        assert value == [
            {"id": "g2", "name": "B", "participant_count": 30, "target_count": 20, "reached": True},
            {"id": "g1", "name": "A", "participant_count": 12, "target_count": 10, "reached": True},
        ]

    def test_with_any_the_value_tells_who_has_not_reached(self, api, lists, connection, group, run_in, mode):
        lists(group("g1", "A", 0))
        lists(group("g1", "A", 10))

        value = run_in(mode, sensor, timeout=10, targets={"A": 10, "B": 10}, match="any", if_missing="wait")

        assert [(one["id"], one["name"], one["reached"]) for one in value] == [("g1", "A", True), (None, "B", False)]

    def test_a_time_out_names_who_is_short(self, api, lists, connection, group, run_in, mode):
        lists(group("g1", "A", 120), group("g2", "B", 300))

        with pytest.raises(AirflowSensorTimeout, match=r"^timed out after 0\.05 seconds: 'A' has 120 of 300 \(40%\)$"):
            run_in(mode, sensor, targets={"A": 300, "B": 300})

    @pytest.mark.parametrize("looks", [0, 1])
    def test_a_group_that_is_deleted_ends_the_wait_at_once(self, api, lists, connection, group, run_in, mode, looks):
        for _ in range(looks):
            lists(group("g1", NAME, 120))
        lists(group("g1", NAME, 300, is_deleted=True))

        with pytest.raises(ProlificError, match=r"'Screened adults' \(g1\) has been deleted"):
            run_in(mode, sensor, timeout=30, active=None)
        assert len(api.requests) == looks + 1

    def test_the_value_is_small_and_json(self, api, lists, connection, group, run_in, mode):
        lists(group("g1", NAME, 300, description="x" * 10_000))

        value = run_in(mode, sensor)

        assert json.loads(json.dumps(value)) == value
        assert len(json.dumps(value)) < 200


#: Every parameter of the sensor's own: a value that is not its default, and the trigger's argument that it becomes.
SURVIVES = {
    "participant_group": ("g1", "targets", {"g1": 300}),
    "target_count": (200, "targets", {NAME: 200}),
    "targets": ({"g1": 250}, "targets", {"g1": 250}),
    "filter": ({"project_id": "p1"}, "filter", {"project_id": "p1"}),
    "active": (None, "active", None),
    "match": ("any", "match", "any"),
    "if_missing": ("wait", "if_missing", "wait"),
    "prolific_conn_id": ("other", "prolific_conn_id", "other"),
}


@pytest.mark.parametrize("parameter", SURVIVES)
def test_no_parameter_is_lost_when_a_wait_is_deferred(lists, connect, workspace, group, defer, parameter):
    value, argument, expected = SURVIVES[parameter]
    for conn_id in ("prolific_default", "other"):
        connect(conn_id, extra={"workspace_id": workspace})
    lists(group("g1", NAME, 120))
    plain = {} if parameter == "targets" else {"participant_group": NAME, "target_count": 300}
    _, without = defer(sensor(deferrable=True)).trigger.serialize()

    trigger = defer(sensor(deferrable=True, **{**plain, parameter: value})).trigger

    assert type(trigger) is ProlificParticipantGroupTrigger
    assert trigger.serialize()[1][argument] == expected
    assert without[argument] != expected


def test_the_table_of_parameters_is_whole():
    parameters = inspect.signature(ProlificParticipantGroupSensor.__init__).parameters

    assert set(SURVIVES) == set(parameters) - {"self", "sensor_arguments"}


def test_a_success_is_confirmed_by_the_rendered_targets():
    task = sensor(participant_group="{{ x }}", target_count="{{ x }}")
    task.participant_group, task.target_count = "g1", "300"

    assert task.execute_complete({}, {"status": "success", "groups": [status(300)]}) == [status(300)]
    with pytest.raises(ProlificError, match=r"not for this wait"):
        task.execute_complete({}, {"status": "success", "groups": [status(299, reached=True)]})
