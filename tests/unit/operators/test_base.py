"""What is true of all operators: their arguments, which group is meant, what becomes an XCom."""

from __future__ import annotations

import inspect
import json
from datetime import datetime

import pytest

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError, ProlificValueError
from airflow_provider_prolific.operators.base import ParticipantGroupOperator, ProlificOperator
from airflow_provider_prolific.operators.participant_groups import (
    ProlificCreateParticipantGroupOperator,
    ProlificDeleteParticipantGroupOperator,
    ProlificListParticipantGroupsOperator,
    ProlificMessageParticipantGroupOperator,
)
from airflow_provider_prolific.operators.participants import (
    ProlificAddParticipantsOperator,
    ProlificListParticipantsOperator,
    ProlificRemoveParticipantsOperator,
    ProlificSyncParticipantsOperator,
)
from airflow_provider_prolific.version_compat import BaseOperator

try:
    from airflow.sdk import DAG, TaskGroup
    from airflow.serialization.serialized_objects import DagSerialization as SerializedDag
except ImportError:
    try:
        from airflow.sdk import DAG, TaskGroup
    except ImportError:  # Airflow 2.11
        from airflow.models.dag import DAG
        from airflow.utils.task_group import TaskGroup
    from airflow.serialization.serialized_objects import SerializedDAG as SerializedDag

GROUPS_URL = "https://api.prolific.com/api/v1/participant-groups/"
USUAL_ID = "64e000000000000000000003"

IDS = {"participant_ids": ["5f0000000000000000000001"]}
#: Each operator with the least that it needs.
LEAST = {
    ProlificListParticipantGroupsOperator: {},
    ProlificCreateParticipantGroupOperator: {"name": "New"},
    ProlificDeleteParticipantGroupOperator: {"participant_group": "A"},
    ProlificMessageParticipantGroupOperator: {"participant_group": "A", "body": "Hello"},
    ProlificListParticipantsOperator: {"participant_group": "A"},
    ProlificAddParticipantsOperator: {"participant_group": "A", **IDS},
    ProlificRemoveParticipantsOperator: {"participant_group": "A", **IDS},
    ProlificSyncParticipantsOperator: {"participant_group": "A", **IDS},
}
RETURN_A_DICT = [
    ProlificCreateParticipantGroupOperator,
    ProlificAddParticipantsOperator,
    ProlificRemoveParticipantsOperator,
    ProlificSyncParticipantsOperator,
]
each_operator = pytest.mark.parametrize("operator_class", LEAST)
each_argument = pytest.mark.parametrize(
    ("operator_class", "argument"),
    [(operator_class, name) for operator_class in LEAST for name in operator_class.checks],
)


class Upstream(BaseOperator):
    """A task whose output others take as an argument."""

    def execute(self, context):
        return None


def make(operator_class, **arguments):
    return operator_class(task_id="task", **{**LEAST[operator_class], **arguments})


class TestArguments:
    @pytest.mark.parametrize("operator_class", [each for each in LEAST if "filter" in each.checks])
    @pytest.mark.parametrize("scope", ["workspace_id", "project_id"])
    def test_a_scope_that_is_given_as_a_keyword_is_refused_with_what_to_write(self, operator_class, scope):
        with pytest.raises(ProlificValueError, match=rf'^{scope} is not .* pass filter=\{{"{scope}": …\}} instead$'):
            make(operator_class, **{scope: "64a000000000000000000001"})
        with pytest.raises(ProlificValueError, match=rf'pass filter=\{{"{scope}": …\}} instead$'):
            operator_class.partial(task_id="mapped", **{scope: "64a000000000000000000001"})

    @each_operator
    def test_all_are_keywords(self, operator_class):
        parameters = list(inspect.signature(operator_class.__init__).parameters.values())[1:]

        assert {parameter.kind for parameter in parameters} == {
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_KEYWORD,
        }

    @each_operator
    def test_all_are_templated(self, operator_class):
        templates = {name: f"{{{{ params.{name} }}}}" for name in operator_class.template_fields}
        operator = make(operator_class, **templates)

        assert {name: getattr(operator, name) for name in templates} == templates
        assert set(templates) == set(inspect.signature(operator_class.__init__).parameters) - {"self", "kwargs"}

    @each_argument
    def test_a_wrong_one_is_refused_while_the_dag_is_parsed_and_in_the_same_words_at_run_time(
        self, api, operator_class, argument
    ):
        with pytest.raises(ProlificValueError, match=f"^{argument}") as at_parse_time:
            make(operator_class, **{argument: [None]})
        operator = make(operator_class, **{argument: "{{ it }}"})
        setattr(operator, argument, [None])  # as Airflow renders it

        with pytest.raises(ProlificValueError) as at_run_time:
            operator.execute({})

        assert str(at_run_time.value) == str(at_parse_time.value)
        assert not api.requests

    @each_argument
    def test_the_output_of_a_task_is_taken(self, operator_class, argument):
        with DAG("dag", schedule=None):
            output = Upstream(task_id="upstream").output["id"]
            operator = make(operator_class, **{argument: output})

        assert getattr(operator, argument) is output
        assert operator.upstream_task_ids == {"upstream"}

    @each_operator
    def test_a_group_is_given_by_id_or_name_with_a_scope_for_names(self, operator_class):
        assert "participant_group_id" not in operator_class.checks
        assert ("participant_group" in operator_class.checks) == issubclass(operator_class, ParticipantGroupOperator)
        assert not issubclass(operator_class, ParticipantGroupOperator) or "filter" in operator_class.checks

    def test_nothing_is_asked_while_the_dag_is_parsed(self, api):
        for operator_class in LEAST:
            make(operator_class, prolific_conn_id="nobody_knows_me")

        assert not api.requests

    def test_the_connection_is_the_one_that_is_named(self, api, connect, group):
        connect("other", password="other-token")
        api.get(f"{GROUPS_URL}{USUAL_ID}/participants/", json={"results": []})
        api.get(f"{GROUPS_URL}{USUAL_ID}/", json=group(USUAL_ID))

        make(ProlificListParticipantsOperator, participant_group=USUAL_ID, prolific_conn_id="other").execute({})

        assert {request.headers["Authorization"] for request in api.requests} == {"Token other-token"}


class UseGroup(ParticipantGroupOperator):
    """The least that works with a group."""

    def __init__(self, *, participant_group, filter=None, prolific_conn_id="prolific_default", **kwargs):
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(participant_group=participant_group, filter=filter)

    def perform_with(self, hook, group):
        return group["id"]


class TestWhichGroup:
    @staticmethod
    def use(participant_group, **arguments):
        return UseGroup(task_id="use", participant_group=participant_group, **arguments).execute({})

    def test_an_id_needs_no_scope_and_no_listing(self, api, connect, calls, group):
        connect()
        api.get(f"{GROUPS_URL}{USUAL_ID}/", json=group(USUAL_ID))

        assert self.use(USUAL_ID) == USUAL_ID
        assert calls() == [f"GET {USUAL_ID}/"]

    def test_a_name_is_looked_for_in_the_scope_of_the_connection(self, api, lists, workspace, group):
        lists(group("g1", "A"), group("g2", "B"))

        assert self.use("B") == "g2"
        assert api.requests[0].params["workspace_id"] == workspace

    def test_a_name_is_looked_for_in_the_scope_of_the_filter(self, api, lists, group):
        lists(group("g1", "A", project_id="p1"))

        assert self.use("A", filter={"project_id": "p1"}) == "g1"
        assert api.requests[0].params["project_id"] == "p1"

    def test_an_unusual_id_is_found_in_the_scope(self, lists, calls, group):
        lists(group("g1", "A"))

        assert self.use("g1") == "g1"
        assert calls() == ["GET "]

    def test_an_unusual_id_needs_no_scope_either(self, api, connect, calls, group):
        connect()
        api.get(f"{GROUPS_URL}g1/", json=group("g1"))

        assert self.use("g1") == "g1"
        assert calls() == ["GET g1/"]

    def test_a_name_that_looks_like_an_id_is_found(self, api, lists, calls, group):
        api.get(f"{GROUPS_URL}{USUAL_ID}/", status=404)
        lists(group("g1", USUAL_ID))

        assert self.use(USUAL_ID) == "g1"
        assert calls() == [f"GET {USUAL_ID}/", "GET "]

    def test_an_id_that_nobody_knows_is_an_error(self, api, connect):
        connect()
        api.get(f"{GROUPS_URL}{USUAL_ID}/", status=404)

        with pytest.raises(ProlificError, match=f"^no participant group '{USUAL_ID}'; it may"):
            self.use(USUAL_ID)

    @pytest.mark.parametrize("status", [401, 403])
    def test_no_access_is_not_taken_for_a_missing_group(self, api, calls, status):
        api.get(f"{GROUPS_URL}{USUAL_ID}/", status=status)

        with pytest.raises(ProlificApiError, match=str(status)):
            self.use(USUAL_ID)
        assert calls() == [f"GET {USUAL_ID}/"]

    @pytest.mark.parametrize("name", ["Screened adults", "Screened"])
    def test_a_name_without_a_scope_is_an_error_that_says_how_to_give_one(self, api, connect, name):
        connect()
        api.get(f"{GROUPS_URL}{name}/", status=404)

        with pytest.raises(ProlificValueError, match="no scope: pass filter="):
            self.use(name)

    def test_a_look_alike_is_offered(self, lists, group):
        lists(group("g1", "Wave 1 "))

        with pytest.raises(ProlificError, match=r"; nearest: 'Wave 1 ' \(g1\); upper and lower case and spaces"):
            self.use("Wave 1")

    def test_a_close_name_is_offered(self, lists, group):
        lists(group("g1", "Screened adults"))

        with pytest.raises(
            ProlificError, match=r"^no participant group 'Screened adlts' in workspace \w+ \(1 group\); nearest: 'Scr"
        ):
            self.use("Screened adlts")

    def test_the_id_of_a_deleted_group_is_an_error_that_says_so(self, api, group):
        api.get(f"{GROUPS_URL}{USUAL_ID}/", json=group(USUAL_ID, "A", is_deleted=True))

        with pytest.raises(ProlificError, match=f"^participant group 'A' \\({USUAL_ID}\\) has been deleted$"):
            self.use(USUAL_ID)

    def test_so_is_one_that_only_the_listing_knows(self, api, lists, group):
        api.get(f"{GROUPS_URL}{USUAL_ID}/", status=404)
        lists(group(USUAL_ID, "A", is_deleted=True))

        with pytest.raises(ProlificError, match="has been deleted"):
            self.use(USUAL_ID)

    def test_the_name_of_a_deleted_group_is_an_error_that_says_so(self, lists, group):
        lists(group("g1", "A", is_deleted=True))

        with pytest.raises(ProlificError, match=r"^participant group 'A' \(g1\) has been deleted$"):
            self.use("A")


class Return(ProlificOperator):
    """The least that returns a dict."""

    returns_dict = True

    def __init__(self, *, prolific_conn_id="prolific_default", **kwargs):
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)

    def perform(self, hook):
        return {"id": "g1", "project_id": None, "participant_count": 0}


class TaskInstance:
    """A task instance that keeps what is pushed."""

    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


class TestOutputs:
    @each_operator
    def test_operators_that_return_a_dict_have_several_outputs(self, operator_class):
        assert make(operator_class).multiple_outputs == (operator_class in RETURN_A_DICT)

    def test_each_key_is_an_xcom_unless_it_is_null(self):
        instance = TaskInstance()

        result = Return(task_id="return").execute({"ti": instance})

        assert result == {"id": "g1", "project_id": None, "participant_count": 0}
        assert instance.pushed == {"id": "g1", "participant_count": 0}

    def test_airflow_does_not_push_them_again(self):
        operator = Return(task_id="return")

        operator.execute({"ti": TaskInstance()})

        assert operator.multiple_outputs is False

    @pytest.mark.parametrize("setting", ["multiple_outputs", "do_xcom_push"])
    def test_nothing_is_pushed_where_the_task_says_so(self, setting):
        instance = TaskInstance()

        Return(task_id="return", **{setting: False}).execute({"ti": instance})

        assert instance.pushed == {}


class TestRetriesOfWhatMustNotBeDoneTwice:
    ARGUMENTS = {"task_id": "message", "participant_group": "A", "body": "Hello"}
    MAPPED = {"task_id": "message", "body": "Hello"}

    @staticmethod
    def scheduled(dag):
        """Return the retries of the DAG's only task as the scheduler sees them, after a round through the database."""
        document = json.loads(json.dumps(SerializedDag.to_dict(dag)))
        [task] = SerializedDag.from_dict(document).task_dict.values()
        return task.retries

    def test_there_are_none_by_default(self):
        assert ProlificMessageParticipantGroupOperator(**self.ARGUMENTS).retries == 0

    def test_there_are_none_whatever_the_default_args_say(self):
        with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag:
            assert ProlificMessageParticipantGroupOperator(**self.ARGUMENTS).retries == 0
        assert self.scheduled(dag) == 0

    def test_there_are_none_whatever_a_task_group_says(self):
        with (
            DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag,
            TaskGroup("group", default_args={"retries": 4}),
        ):
            assert ProlificMessageParticipantGroupOperator(**self.ARGUMENTS).retries == 0
        assert self.scheduled(dag) == 0

    def test_retries_of_the_task_itself_count(self):
        with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag:
            assert ProlificMessageParticipantGroupOperator(**self.ARGUMENTS, retries=1).retries == 1
        assert self.scheduled(dag) == 1

    def test_a_mapped_task_has_none_whatever_the_default_args_say(self):
        with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag:
            mapped = ProlificMessageParticipantGroupOperator.partial(**self.MAPPED).expand(participant_group=["A", "B"])
        assert mapped.retries == 0
        assert mapped.unmap({"participant_group": "A"}).retries == 0
        assert self.scheduled(dag) == 0

    def test_retries_of_a_mapped_task_itself_count(self):
        with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag:
            mapped = ProlificMessageParticipantGroupOperator.partial(**self.MAPPED, retries=1).expand(
                participant_group=["A"]
            )
        assert mapped.retries == 1
        assert mapped.unmap({"participant_group": "A"}).retries == 1
        assert self.scheduled(dag) == 1

    def test_other_default_args_still_count(self):
        with DAG("dag", schedule=None, default_args={"retries": 3, "prolific_conn_id": "other", "owner": "me"}):
            operator = ProlificMessageParticipantGroupOperator(**self.ARGUMENTS)
        assert (operator.prolific_conn_id, operator.owner) == ("other", "me")

    def test_only_the_message_must_not_be_sent_twice(self):
        assert [operator for operator in LEAST if not operator.is_repeatable] == [
            ProlificMessageParticipantGroupOperator
        ]

    def test_the_other_operators_keep_the_retries_of_the_dag(self):
        with DAG("dag", schedule=None, default_args={"retries": 3}):
            mapped = ProlificAddParticipantsOperator.partial(task_id="mapped", **IDS).expand(participant_group=["A"])
            assert make(ProlificAddParticipantsOperator).retries == mapped.retries == 3
