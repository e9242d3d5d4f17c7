"""The operators that change groups and their members: their arguments, their requests, their results."""

from __future__ import annotations

import inspect
import json
from datetime import datetime

import pytest
import requests

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificValueError,
)
from airflow_provider_prolific.operators.participant_groups import (
    LIVE_STUDY_STATUSES,
    ProlificAddParticipantsOperator,
    ProlificCreateParticipantGroupOperator,
    ProlificDeleteParticipantGroupOperator,
    ProlificListParticipantsOperator,
    ProlificMessageParticipantGroupOperator,
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
GROUP_URL = f"{GROUPS_URL}g1/"
PARTICIPANTS_URL = f"{GROUP_URL}participants/"
MESSAGES_URL = "https://api.prolific.com/api/v1/messages/participant-group/"
ORGANISATION = "64f000000000000000000001"


def participants(count, first=1):
    return [f"5f{number:022x}" for number in range(first, first + count)]


A, B, C, D = participants(4)

#: Each operator with the least that it needs.
LEAST = {
    ProlificCreateParticipantGroupOperator: {"name": "New"},
    ProlificAddParticipantsOperator: {"participant_group_id": "g1", "participant_ids": [A]},
    ProlificRemoveParticipantsOperator: {"participant_group_id": "g1", "participant_ids": [A]},
    ProlificSyncParticipantsOperator: {"participant_group_id": "g1", "participant_ids": [A]},
    ProlificListParticipantsOperator: {"participant_group_id": "g1"},
    ProlificDeleteParticipantGroupOperator: {"participant_group_id": "g1"},
    ProlificMessageParticipantGroupOperator: {"participant_group_id": "g1", "body": "Hello"},
}

#: Arguments that are refused, each with a part of the reason.
REFUSED = [
    (ProlificCreateParticipantGroupOperator, {"name": " New"}, "name must be a text"),
    (ProlificCreateParticipantGroupOperator, {"name": 5}, "name must be a text"),
    (ProlificCreateParticipantGroupOperator, {"workspace_id": "a/b"}, "workspace_id must be an id"),
    (
        ProlificCreateParticipantGroupOperator,
        {"workspace_id": "w1", "organisation_id": ORGANISATION, "if_exists": "create"},
        "workspace_id or organisation_id, not both",
    ),
    (ProlificCreateParticipantGroupOperator, {"description": " "}, "description must be a text"),
    (ProlificCreateParticipantGroupOperator, {"participant_ids": [A, ""]}, "position 2 is blank"),
    (ProlificCreateParticipantGroupOperator, {"if_exists": "skip"}, "if_exists must be 'return' or 'fail'"),
    (ProlificCreateParticipantGroupOperator, {"if_exists": "create"}, "goes with organisation_id only"),
    (ProlificCreateParticipantGroupOperator, {"organisation_id": ORGANISATION}, "lists no groups by organisation"),
    (
        ProlificCreateParticipantGroupOperator,
        {"organisation_id": ORGANISATION, "if_exists": "create", "retries": 1},
        "a retry would make a second one",
    ),
    (ProlificAddParticipantsOperator, {"participant_group_id": "a/b"}, "participant_group_id must be an id"),
    (ProlificAddParticipantsOperator, {"participant_ids": A}, "must be a list of participant ids"),
    (ProlificRemoveParticipantsOperator, {"participant_ids": [A, None]}, "position 2 is no text"),
    (ProlificSyncParticipantsOperator, {"participant_ids": {A: 1}}, "must be a list of participant ids"),
    (ProlificSyncParticipantsOperator, {"participant_ids": []}, "everybody would be removed"),
    (ProlificSyncParticipantsOperator, {"allow_empty": "maybe"}, "allow_empty must be True or False"),
    (ProlificSyncParticipantsOperator, {"allow_empty": None}, "allow_empty must be True or False"),
    (ProlificSyncParticipantsOperator, {"max_removals": -1}, "max_removals must be a whole number"),
    (ProlificSyncParticipantsOperator, {"max_removals": 2.5}, "max_removals must be a whole number"),
    (ProlificSyncParticipantsOperator, {"max_removals": True}, "max_removals must be a whole number"),
    (ProlificSyncParticipantsOperator, {"max_removals": "10%"}, "max_removals must be a whole number"),
    (ProlificListParticipantsOperator, {"participant_group_id": ""}, "participant_group_id must be an id"),
    (ProlificDeleteParticipantGroupOperator, {"participant_group_id": None}, "participant_group_id must be an id"),
    (ProlificDeleteParticipantGroupOperator, {"if_missing": "skip"}, "if_missing must be 'fail' or 'ignore'"),
    (ProlificDeleteParticipantGroupOperator, {"force": 1}, "force must be True or False"),
    (ProlificMessageParticipantGroupOperator, {"body": " "}, "body must be a text"),
    (ProlificMessageParticipantGroupOperator, {"study_id": ""}, "study_id must be an id"),
]


def make(operator_class, **arguments):
    return operator_class(task_id="task", **{**LEAST[operator_class], **arguments})


def bodies(api):
    return [json.loads(request.body) for request in api.requests if request.body]


def calls(api):
    return [f"{request.method} {request.url.partition('?')[0].removeprefix(GROUPS_URL)}" for request in api.requests]


@pytest.fixture(autouse=True)
def _connected(connection, pauses):
    """Every test has a connection, and nobody sleeps."""


@pytest.fixture
def run(record_log):
    """Run an operator as a worker does once its templates are rendered; what it logged is in ``run.log``."""

    def execute(operator_class, **arguments):
        recorded = record_log(operator_class)
        result = make(operator_class, **arguments).execute({})
        # Airflow's own remark that no worker runs this is none of the operator's.
        execute.log = [line for line in recorded.lines if "cannot be called outside" not in line]
        return result

    return execute


class TestArguments:
    @pytest.mark.parametrize("operator_class", LEAST)
    def test_all_are_keywords(self, operator_class):
        with pytest.raises(Exception, match=r"[Kk]eyword"):
            operator_class("New", task_id="task")

    @pytest.mark.parametrize("operator_class", LEAST)
    def test_all_can_be_templated(self, operator_class):
        templates = {field: f"{{{{ params.{field} }}}}" for field in operator_class.template_fields}
        operator = make(operator_class, **templates)
        assert {field: getattr(operator, field) for field in templates} == templates
        assert set(templates) == set(inspect.signature(operator_class.__init__).parameters) - {"self", "kwargs"}

    @pytest.mark.parametrize(("operator_class", "arguments", "reason"), REFUSED)
    def test_a_bad_one_is_refused_while_the_dag_is_parsed(self, operator_class, arguments, reason):
        with pytest.raises(ProlificValueError, match=reason):
            make(operator_class, **arguments)

    @pytest.mark.parametrize("argument", [{"allow_empty": "maybe"}, {"max_removals": -1}])
    def test_a_bad_one_beside_a_template_is_refused_while_the_dag_is_parsed(self, argument):
        with pytest.raises(ProlificValueError, match="|".join(argument)):
            make(ProlificSyncParticipantsOperator, participant_ids="{{ ids }}", **argument)

    @pytest.mark.parametrize(("operator_class", "arguments", "reason"), REFUSED)
    def test_a_bad_one_that_was_templated_is_refused_in_the_same_words_at_run_time(
        self, api, operator_class, arguments, reason
    ):
        api.get(GROUP_URL, json={"id": "g1", "name": "G", "participant_count": 1})
        templated = set(arguments) - {"retries"}
        fixed = {name: value for name, value in arguments.items() if name not in templated}
        operator = make(operator_class, **dict.fromkeys(templated, "{{ it }}"), **fixed)
        for name in templated:  # as Airflow renders it
            setattr(operator, name, arguments[name])
        with pytest.raises(ProlificValueError, match=reason):
            operator.execute({})
        assert [call for call in calls(api) if not call.startswith("GET")] == []

    @pytest.mark.parametrize("operator_class", LEAST)
    def test_the_output_of_a_task_is_taken_for_each(self, operator_class):
        class Upstream(BaseOperator):
            def execute(self, context):
                return None

        for field in operator_class.template_fields:
            with DAG("dag", schedule=None):
                output = Upstream(task_id="upstream").output
                operator = make(operator_class, **{field: output})
            assert getattr(operator, field) is output
            assert operator.upstream_task_ids == {"upstream"}

    def test_an_iterator_is_read_once_and_kept_as_a_list(self):
        operator = make(ProlificAddParticipantsOperator, participant_ids=iter([A, B, A]))
        assert operator.participant_ids == [A, B]


class TestCreate:
    @pytest.fixture
    def run_create(self, run):
        def execute(**arguments):
            return run(ProlificCreateParticipantGroupOperator, **arguments)

        execute.run = run
        return execute

    def test_a_name_that_is_free_is_created(self, api, run_create, group, workspace):
        api.lists(group("g0", name="Newer"), group("g9", name="new"))
        api.post(GROUPS_URL, status=201, json=group(name="New"))
        assert run_create() == group(name="New")
        assert api.requests[0].params["workspace_id"] == workspace
        assert bodies(api) == [{"name": "New", "description": "New", "workspace_id": workspace}]

    def test_a_group_of_the_name_is_returned_and_none_is_made(self, api, run_create, group):
        api.lists(group(name="New", participant_count=3))
        assert run_create() == group(name="New", participant_count=3)
        assert calls(api) == ["GET "]

    def test_the_participants_are_added_to_a_group_of_the_name(self, api, run_create, group):
        api.lists(group(name="New"))
        api.post(PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=group(name="New", participant_count=2))
        assert run_create(participant_ids=[A, B])["participant_count"] == 2
        assert calls(api) == ["GET ", "POST g1/participants/", "GET g1/"]

    def test_a_group_of_the_name_can_be_an_error_which_names_it(self, api, run_create, group):
        api.lists(group(name="New"))
        with pytest.raises(ProlificError, match="named 'New' already: g1"):
            run_create(if_exists="fail", participant_ids=[A])
        assert calls(api) == ["GET "]

    @pytest.mark.parametrize("if_exists", ["return", "fail"])
    def test_two_groups_of_the_name_are_an_error_which_names_both(self, api, run_create, group, if_exists):
        api.lists(group("g2", name="New"), group("g1", name="New"))
        with pytest.raises(ProlificError, match="2 participant groups are named 'New' already: g1, g2"):
            run_create(if_exists=if_exists)
        assert calls(api) == ["GET "]

    def test_a_deleted_group_of_the_name_does_not_count(self, api, run_create, group):
        api.lists(group("g0", name="New", is_deleted=True))
        api.post(GROUPS_URL, status=201, json=group(name="New"))
        assert run_create()["id"] == "g1"

    def test_the_workspace_that_is_asked_for_is_the_one_that_is_looked_through(self, api, run_create, group):
        api.lists()
        api.post(GROUPS_URL, status=201, json=group(name="New"))
        run_create(workspace_id="w2")
        assert api.requests[0].params["workspace_id"] == "w2"
        assert bodies(api)[0]["workspace_id"] == "w2"

    def test_a_few_participants_go_with_the_creation(self, api, run_create, group):
        api.lists()
        api.post(GROUPS_URL, status=201, json=group(name="New"))
        run_create(participant_ids=participants(500))
        assert calls(api) == ["GET ", "POST "]
        assert bodies(api)[0]["participant_ids"] == participants(500)

    def test_many_participants_are_added_after_it_in_chunks(self, api, run_create, group):
        api.lists()
        api.post(GROUPS_URL, status=201, json=group(name="New"))
        api.post(PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=group(name="New", participant_count=501))
        assert run_create(participant_ids=participants(501))["participant_count"] == 501
        assert calls(api) == ["GET ", "POST ", "POST g1/participants/", "POST g1/participants/", "GET g1/"]
        sent = [body["participant_ids"] for body in bodies(api)]
        assert sent == [participants(500), participants(500), participants(1, first=501)]

    @pytest.mark.parametrize("if_exists", ["return", "fail"])
    @pytest.mark.parametrize(
        "answer", [{"body": requests.ReadTimeout()}, {"status": 504}, {"status": 201, "body": "<p>"}]
    )
    def test_a_lost_answer_is_settled_by_a_second_look(self, api, run_create, group, if_exists, answer):
        api.get(GROUPS_URL, json={"results": []})
        api.post(GROUPS_URL, **answer)
        api.lists(group(name="New"))
        api.post(PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=group(name="New", participant_count=1))
        assert run_create(if_exists=if_exists, participant_ids=[A])["id"] == "g1"
        assert calls(api) == ["GET ", "POST ", "GET ", "POST g1/participants/", "GET g1/"]
        assert run_create.run.log[0].startswith("warning: The answer was lost, but the group is there now (g1)")

    def test_a_lost_creation_is_not_sent_again(self, api, run_create):
        api.lists()
        api.post(GROUPS_URL, status=504)
        with pytest.raises(ProlificApiError, match="the group may have been created"):
            run_create()
        assert calls(api) == ["GET ", "POST ", "GET "]

    def test_a_second_look_that_fails_leaves_the_first_error(self, api, run_create):
        api.get(GROUPS_URL, json={"results": []})
        api.post(GROUPS_URL, body=requests.ReadTimeout("slow"))
        api.get(GROUPS_URL, status=401)
        with pytest.raises(ProlificConnectionError, match=r"the group may have been created.*slow"):
            run_create()

    def test_a_refusal_needs_no_second_look(self, api, run_create):
        api.lists()
        api.post(GROUPS_URL, status=400, json={"error": {"error_code": 140003, "detail": f"{A} is unknown"}})
        with pytest.raises(ProlificApiError, match=r"\*\*\* is unknown \(error_code 140003\)"):
            run_create(participant_ids=[A])
        assert calls(api) == ["GET ", "POST "]

    def test_a_group_of_an_organisation_is_created_without_a_look(self, api, run_create, group):
        api.post(GROUPS_URL, status=201, json=group(name="New"))
        run_create(organisation_id=ORGANISATION, if_exists="create")
        assert calls(api) == ["POST "]
        assert bodies(api) == [{"name": "New", "description": "New", "organisation_id": ORGANISATION}]

    def test_a_group_of_an_organisation_allows_no_retries_by_default_args_either(self):
        arguments = {"organisation_id": ORGANISATION, "if_exists": "create", "default_args": {"retries": 2}}
        with pytest.raises(ProlificValueError, match="retries=0 on this task"):
            make(ProlificCreateParticipantGroupOperator, **arguments)
        make(ProlificCreateParticipantGroupOperator, **arguments, retries=0)


@pytest.mark.parametrize(
    ("operator_class", "method"),
    [(ProlificAddParticipantsOperator, "POST"), (ProlificRemoveParticipantsOperator, "DELETE")],
)
class TestAddAndRemove:
    def test_the_group_is_read_after_the_change(self, api, run, group, operator_class, method):
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=group(name="G", participant_count=7))
        assert run(operator_class, participant_ids=[B, A, B]) == {"id": "g1", "name": "G", "participant_count": 7}
        assert calls(api) == [f"{method} g1/participants/", "GET g1/"]
        assert bodies(api) == [{"participant_ids": [B, A]}]

    def test_nobody_is_sent_for_an_empty_list(self, api, run, group, operator_class, method):
        api.get(GROUP_URL, json=group(name="G", participant_count=7))
        assert run(operator_class, participant_ids=[])["participant_count"] == 7
        assert calls(api) == ["GET g1/"]

    def test_a_deleted_group_is_an_error(self, api, run, group, operator_class, method):
        api.get(GROUP_URL, json=group(name="G", is_deleted=True))
        with pytest.raises(ProlificError, match=r"'G' \(g1\) has been deleted"):
            run(operator_class, participant_ids=[])

    def test_a_failed_chunk_is_told_and_no_id_is_shown(self, api, run, operator_class, method):
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        api.add(method, PARTICIPANTS_URL, status=400, json={"detail": {"participant_ids": participants(600)}})
        with pytest.raises(ProlificApiError, match=r"^chunk 2 of 2 \(participants 501 to 600\)") as failure:
            run(operator_class, participant_ids=participants(600))
        assert "5f0" not in f"{failure.value} {failure.value.detail}"

    def test_the_log_counts_and_shows_no_id(self, api, run, group, operator_class, method):
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=group(name="G", participant_count=7))
        run(operator_class, participant_ids=[A])
        assert run.log == ["info: Participant group 'G' now has 7 participants"]


class TestSync:
    @pytest.fixture
    def run_sync(self, api, run, group):
        """Sync a group that has these members."""

        def execute(members, **arguments):
            api.get(GROUP_URL, json=group(name="G", participant_count=len(members)))
            api.get(PARTICIPANTS_URL, json={"results": [{"participant_id": member} for member in members]})
            api.post(PARTICIPANTS_URL, json={"results": []})
            api.delete(PARTICIPANTS_URL, json={"results": []})
            result = run(ProlificSyncParticipantsOperator, **arguments)
            execute.log = run.log
            return result

        return execute

    def test_the_difference_is_sent_additions_first(self, api, run_sync):
        result = run_sync([A, B, C], participant_ids=[D, B, D])
        assert result == {"id": "g1", "name": "G", "added": 1, "removed": 2, "unchanged": 1}
        assert calls(api)[2:] == ["POST g1/participants/", "DELETE g1/participants/"]
        assert bodies(api) == [{"participant_ids": [D]}, {"participant_ids": [A, C]}]

    def test_nothing_is_sent_where_nothing_differs(self, api, run_sync):
        result = run_sync([A, B], participant_ids=[B, A])
        assert result == {"id": "g1", "name": "G", "added": 0, "removed": 0, "unchanged": 2}
        assert calls(api) == ["GET g1/", "GET g1/participants/"]

    @pytest.mark.parametrize("allow_empty", [False, "False", "false"])
    def test_an_empty_list_is_refused_before_any_request(self, api, run_sync, allow_empty):
        with pytest.raises(ProlificValueError, match="allow_empty=True"):
            run_sync([A], participant_ids=[], allow_empty=allow_empty)
        assert calls(api) == []

    @pytest.mark.parametrize("allow_empty", [True, "True", "true"])
    def test_an_empty_list_empties_the_group_where_that_is_allowed(self, run_sync, allow_empty):
        assert run_sync([A, B], participant_ids=[], allow_empty=allow_empty)["removed"] == 2

    @pytest.mark.parametrize("max_removals", [1, "1", 0])
    def test_too_many_removals_are_refused_before_anything_is_changed(self, api, run_sync, max_removals):
        with pytest.raises(
            ProlificError, match=f"would remove 2 of the 3 members .* max_removals={max_removals}: noth"
        ):
            run_sync([A, B, C], participant_ids=[A, D], max_removals=max_removals)
        assert calls(api) == ["GET g1/", "GET g1/participants/"]

    @pytest.mark.parametrize("max_removals", [2, "2", 3, None, "None"])
    def test_as_many_removals_as_allowed_are_made(self, run_sync, max_removals):
        assert run_sync([A, B, C], participant_ids=[A, D], max_removals=max_removals)["removed"] == 2

    def test_a_deleted_group_is_an_error(self, api, run, group):
        api.get(GROUP_URL, json=group(is_deleted=True))
        with pytest.raises(ProlificError, match="has been deleted"):
            run(ProlificSyncParticipantsOperator)
        assert calls(api) == ["GET g1/"]

    def test_a_partial_membership_changes_nothing(self, api, run, group):
        api.get(GROUP_URL, json=group(participant_count=9))
        api.get(PARTICIPANTS_URL, json={"results": [{"participant_id": A}], "meta": {"count": 9}})
        with pytest.raises(ProlificError, match="a partial list is not used"):
            run(ProlificSyncParticipantsOperator, participant_ids=[B])
        assert bodies(api) == []

    def test_the_log_counts_and_shows_no_id(self, run_sync):
        run_sync([A, B, C], participant_ids=[D, B])
        assert run_sync.log == ["info: 'G': 1 to add, 2 to remove"]


class TestList:
    def test_the_ids_are_returned_and_only_counted_in_the_log(self, api, run):
        api.get(PARTICIPANTS_URL, json={"results": [{"participant_id": B}, {"participant_id": A}]})
        assert run(ProlificListParticipantsOperator) == [B, A]
        assert run.log == ["info: Participant group g1 has 2 participants"]


class TestDelete:
    @pytest.fixture
    def run_delete(self, run):
        def execute(**arguments):
            return run(ProlificDeleteParticipantGroupOperator, **arguments)

        return execute

    @staticmethod
    def feeder(status, **more):
        return {"id": "s1", "name": "Screener", "internal_name": "screener v2", "status": status, **more}

    def test_a_group_that_nothing_changes_is_deleted(self, api, run_delete, group):
        api.get(GROUP_URL, json=group(feeder_studies=[self.feeder("COMPLETED"), self.feeder("UNPUBLISHED")]))
        api.delete(GROUP_URL, status=204)
        assert run_delete() is None
        assert calls(api) == ["GET g1/", "DELETE g1/"]

    @pytest.mark.parametrize("status", LIVE_STUDY_STATUSES)
    @pytest.mark.parametrize("force", [False, "False"])
    def test_a_group_that_a_live_study_changes_is_kept(self, api, run_delete, group, status, force):
        api.get(GROUP_URL, json=group(feeder_studies=[self.feeder("COMPLETED", id="s0"), self.feeder(status)]))
        with pytest.raises(ProlificError, match=rf"live studies: 'screener v2' \(s1, {status}\)\. .*force=True"):
            run_delete(force=force)
        assert calls(api) == ["GET g1/"]

    @pytest.mark.parametrize("force", [True, "true"])
    def test_it_is_deleted_by_force(self, api, run_delete, group, force):
        api.get(GROUP_URL, json=group(feeder_studies=[self.feeder("ACTIVE")]))
        api.delete(GROUP_URL, status=204)
        run_delete(force=force)
        assert calls(api) == ["GET g1/", "DELETE g1/"]

    @pytest.mark.parametrize("feeder_studies", [None, []])
    def test_a_group_without_feeder_studies_is_deleted(self, api, run_delete, group, feeder_studies):
        api.get(GROUP_URL, json=group(feeder_studies=feeder_studies))
        api.delete(GROUP_URL, status=204)
        run_delete()

    @pytest.mark.parametrize("if_missing", ["fail", "ignore"])
    def test_a_group_that_has_been_deleted_already_is_done(self, api, run_delete, group, if_missing):
        api.get(GROUP_URL, json=group(is_deleted=True, feeder_studies=[self.feeder("ACTIVE")]))
        run_delete(if_missing=if_missing)
        assert calls(api) == ["GET g1/"]

    def test_an_id_that_nobody_knows_is_an_error(self, api, run_delete):
        api.get(GROUP_URL, status=404)
        with pytest.raises(ProlificApiError, match="404"):
            run_delete()

    def test_an_id_that_nobody_knows_can_be_ignored(self, api, run_delete):
        api.get(GROUP_URL, status=404)
        run_delete(if_missing="ignore")
        assert calls(api) == ["GET g1/"]

    @pytest.mark.parametrize("status", [401, 403])
    def test_only_a_missing_group_is_ignored(self, api, run_delete, status):
        api.get(GROUP_URL, status=status)
        with pytest.raises(ProlificApiError):
            run_delete(if_missing="ignore")

    @pytest.mark.parametrize("answer", [{"status": 404}, {"status": 502}, {"body": requests.ReadTimeout("slow")}])
    @pytest.mark.parametrize("second_look", ["deleted", "404"])
    def test_a_group_that_is_gone_after_a_failed_deletion_is_done(self, api, run_delete, group, answer, second_look):
        api.get(GROUP_URL, json=group())
        api.delete(GROUP_URL, **answer)
        if second_look == "404":
            api.get(GROUP_URL, status=404)
        else:
            api.get(GROUP_URL, json=group(is_deleted=True))
        run_delete()
        assert calls(api) == ["GET g1/", "DELETE g1/", "GET g1/"]

    def test_a_group_that_is_still_there_is_an_error(self, api, run_delete, group):
        api.get(GROUP_URL, json=group())
        api.delete(GROUP_URL, status=502)
        with pytest.raises(ProlificApiError, match=r"DELETE .* was refused with 502"):
            run_delete()

    def test_an_outage_after_a_failed_deletion_leaves_the_first_error(self, api, run_delete, group):
        api.get(GROUP_URL, json=group())
        api.delete(GROUP_URL, body=requests.ReadTimeout("slow"))
        api.get(GROUP_URL, status=401)
        with pytest.raises(ProlificConnectionError, match=r"DELETE .*slow"):
            run_delete()


class TestMessage:
    def test_it_is_sent(self, api, run):
        api.post(MESSAGES_URL, status=204)
        assert run(ProlificMessageParticipantGroupOperator, study_id="s1") is None
        assert bodies(api) == [{"participant_group_id": "g1", "body": "Hello", "study_id": "s1"}]

    def test_an_unknown_outcome_is_not_repeated_and_the_error_says_so(self, api, run):
        api.post(MESSAGES_URL, body=requests.ReadTimeout("slow"))
        with pytest.raises(
            ProlificConnectionError, match=r"^the message may have been sent; look .* again: POST .*slow"
        ):
            run(ProlificMessageParticipantGroupOperator)
        assert len(api.requests) == 1

    def test_the_log_does_not_show_the_message(self, api, run):
        api.post(MESSAGES_URL, status=204)
        run(ProlificMessageParticipantGroupOperator)
        assert run.log == ["info: Sent the message to participant group g1"]


class TestRetriesOfAMessage:
    ARGUMENTS = {"task_id": "message", "participant_group_id": "g1", "body": "Hello"}
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
            mapped = ProlificMessageParticipantGroupOperator.partial(**self.MAPPED).expand(
                participant_group_id=["g1", "g2"]
            )
        assert mapped.retries == 0
        assert mapped.unmap({"participant_group_id": "g1"}).retries == 0
        assert self.scheduled(dag) == 0

    def test_retries_of_a_mapped_task_itself_count(self):
        with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag:
            mapped = ProlificMessageParticipantGroupOperator.partial(**self.MAPPED, retries=1).expand(
                participant_group_id=["g1"]
            )
        assert mapped.retries == 1
        assert mapped.unmap({"participant_group_id": "g1"}).retries == 1
        assert self.scheduled(dag) == 1

    def test_other_default_args_still_count(self):
        with DAG("dag", schedule=None, default_args={"retries": 3, "prolific_conn_id": "other", "owner": "me"}):
            operator = ProlificMessageParticipantGroupOperator(**self.ARGUMENTS)
        assert (operator.prolific_conn_id, operator.owner) == ("other", "me")

    def test_the_other_operators_keep_the_retries_of_the_dag(self):
        with DAG("dag", schedule=None, default_args={"retries": 3}):
            assert make(ProlificAddParticipantsOperator).retries == 3
