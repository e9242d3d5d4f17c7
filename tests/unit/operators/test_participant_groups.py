"""The operator that lists groups: which arguments it takes and when it refuses them, what it returns and logs."""

from __future__ import annotations

import inspect
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificValueError
from airflow_provider_prolific.operators.participant_groups import ProlificListParticipantGroupsOperator
from airflow_provider_prolific.version_compat import BaseOperator

BAD_ARGUMENTS = [
    ("filter", {}),
    ("filter", {"workspace": "w1"}),
    ("filter", {"workspace_id": "w1", "project_id": "p1"}),
    ("filter", {"workspace_id": ""}),
    ("filter", {"workspace_id": "a/b"}),
    ("filter", "workspace_id"),
    ("filter", ["workspace_id"]),
    ("active", "yes"),
    ("active", ""),
    ("active", 1),
    ("active", []),
]


class Upstream(BaseOperator):
    """A task whose result others take as an argument."""

    def execute(self, context):
        return None


def operator(**arguments):
    return ProlificListParticipantGroupsOperator(task_id="list_groups", **arguments)


def query(request):
    return parse_qs(urlsplit(request.url).query)


class TestArguments:
    def test_all_arguments_are_keyword_only(self):
        parameters = list(inspect.signature(ProlificListParticipantGroupsOperator.__init__).parameters.values())[1:]

        assert {parameter.kind for parameter in parameters} == {
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_KEYWORD,
        }

    def test_filter_active_and_connection_are_templated(self):
        assert tuple(ProlificListParticipantGroupsOperator.template_fields) == ("filter", "active", "prolific_conn_id")

    def test_every_argument_has_a_default(self):
        task = operator()

        assert (task.filter, task.active, task.prolific_conn_id) == (None, True, "prolific_default")

    @pytest.mark.parametrize(("argument", "value"), BAD_ARGUMENTS, ids=str)
    def test_a_bad_argument_is_refused_while_the_dag_is_parsed(self, argument, value):
        with pytest.raises(ProlificValueError, match=f"^{argument}"):
            operator(**{argument: value})

    @pytest.mark.parametrize(("argument", "value"), BAD_ARGUMENTS, ids=str)
    def test_an_argument_that_is_bad_once_it_is_rendered_is_refused_in_the_same_words(
        self, api, connection, argument, value
    ):
        with pytest.raises(ProlificValueError) as at_parse_time:
            operator(**{argument: value})
        task = operator(**{argument: "{{ rendered }}"})
        setattr(task, argument, value)

        with pytest.raises(ProlificValueError) as at_run_time:
            task.execute({})

        assert str(at_run_time.value) == str(at_parse_time.value)
        assert not api.requests

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("filter", "{{ params.filter }}"),
            ("filter", {"workspace_id": "{{ params.workspace }}"}),
            ("filter", {"{{ params.scope }}": "w1"}),
            ("active", "{{ params.active }}"),
        ],
    )
    def test_a_template_is_taken_as_it_is(self, argument, value):
        assert getattr(operator(**{argument: value}), argument) == value

    @pytest.mark.parametrize("argument", ["filter", "active"])
    def test_the_result_of_another_task_is_taken_as_it_is(self, dag, argument):
        result = Upstream(task_id="upstream").output

        assert getattr(operator(**{argument: result}), argument) is result

    def test_the_id_of_a_filter_may_be_the_result_of_another_task(self, dag):
        assert operator(filter={"workspace_id": Upstream(task_id="upstream").output})

    def test_nothing_is_asked_while_the_dag_is_parsed(self, api):
        operator(prolific_conn_id="nobody_knows_me")

        assert not api.requests


class TestExecute:
    def test_the_groups_are_returned_in_the_apis_own_fields(self, api, connection, group):
        groups = [group("g1", "A", 1), group("g2", "B", 2, feeder_studies=[{"id": "s1"}])]
        api.lists(*groups)

        returned = operator().execute({})

        assert returned == groups
        assert json.loads(json.dumps(returned)) == returned

    def test_filter_active_and_connection_reach_the_request(self, api, connect):
        connect("other", password="other-token")
        api.lists()

        assert operator(filter={"project_id": "p1"}, active=False, prolific_conn_id="other").execute({}) == []

        [request] = api.requests
        assert request.headers["Authorization"] == "Token other-token"
        assert (query(request)["project_id"], query(request)["active"]) == (["p1"], ["false"])

    @pytest.mark.parametrize(("rendered", "sent"), [("True", ["true"]), ("false", ["false"]), ("None", None)])
    def test_active_may_arrive_as_text(self, api, connection, rendered, sent):
        task = operator(active="{{ params.active }}")
        task.active = rendered
        api.lists()

        task.execute({})

        assert query(api.requests[0]).get("active") == sent

    def test_the_log_has_their_number_and_nothing_about_them(self, api, connection, group, record_log):
        log = record_log(ProlificListParticipantGroupsOperator)
        api.lists(group("g1", "A"), group("g2", "B"))

        operator().execute({})

        assert log.of_level("info") == ["info: Prolific has 2 participant groups in this scope"]

    def test_a_refusal_fails_the_task_with_its_cause(self, api, connection):
        api.fails(401, '{"detail": "Invalid token."}')

        with pytest.raises(ProlificApiError, match=r"401 Unauthorized: Invalid token\. \(check the API token"):
            operator().execute({})
