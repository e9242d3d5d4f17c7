"""The operators that list, create and delete groups and send them messages: their requests, results and refusals."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificConnectionError, ProlificError
from airflow_provider_prolific.operators.participant_groups import (
    ProlificCreateParticipantGroupOperator,
    ProlificDeleteParticipantGroupOperator,
    ProlificListParticipantGroupsOperator,
    ProlificMessageParticipantGroupOperator,
)

GROUPS_URL = "https://api.prolific.com/api/v1/participant-groups/"
GROUP_ID = "64e000000000000000000003"
GROUP_URL = f"{GROUPS_URL}{GROUP_ID}/"
PARTICIPANTS_URL = f"{GROUP_URL}participants/"
MESSAGES_URL = "https://api.prolific.com/api/v1/messages/participant-group/"


@pytest.fixture
def new(group):
    """Make the group that is named ``New``."""
    return lambda group_id=GROUP_ID, **fields: group(group_id, **{"name": "New", **fields})


class TestList:
    @pytest.fixture
    def run_list(self, run):
        def execute(**arguments):
            return run(ProlificListParticipantGroupsOperator, **arguments)

        return execute

    def test_the_groups_are_returned_in_the_apis_own_fields(self, lists, run_list, group):
        groups = [group("g1", "A", 1), group("g2", "B", 2, feeder_studies=[{"id": "s1"}])]
        lists(*groups)

        returned = run_list()

        assert returned == groups
        assert json.loads(json.dumps(returned)) == returned

    def test_live_groups_of_the_connections_scope_are_listed(self, api, lists, run_list, workspace):
        lists()
        run_list()
        assert (api.requests[0].params["workspace_id"], api.requests[0].params["active"]) == (workspace, "true")

    @pytest.mark.parametrize(("active", "sent"), [(False, "false"), ("False", "false"), (None, None), ("None", None)])
    def test_filter_and_active_reach_the_request(self, api, lists, run_list, active, sent):
        lists()
        assert run_list(filter={"project_id": "p1"}, active=active) == []
        assert (api.requests[0].params["project_id"], api.requests[0].params.get("active")) == ("p1", sent)

    def test_the_log_has_their_number_and_nothing_about_them(self, lists, run, run_list, group):
        lists(group("g1", "A"), group("g2", "B"))
        run_list()
        assert run.log == ["info: Prolific has 2 participant groups in this scope"]

    def test_a_refusal_fails_the_task_with_its_cause(self, api, run_list):
        api.fails(401, '{"detail": "Invalid token."}')
        with pytest.raises(ProlificApiError, match=r"^the API token of connection .* is wrong .*: Invalid token\.$"):
            run_list()


class TestCreate:
    @pytest.fixture
    def run_create(self, run):
        def execute(**arguments):
            return run(ProlificCreateParticipantGroupOperator, **{"name": "New", **arguments})

        return execute

    def test_a_name_that_is_free_is_created(self, api, lists, run_create, calls, bodies, group, new, workspace):
        lists(group("g0", name="Newer"))
        api.post(GROUPS_URL, status=201, json=new())
        assert run_create() == new()
        assert calls() == ["GET ", "POST "]
        assert api.requests[0].params["workspace_id"] == workspace
        assert bodies() == [{"name": "New", "description": "New", "workspace_id": workspace}]

    def test_a_group_of_the_name_is_returned_and_none_is_made(self, lists, run_create, calls, new):
        lists(new(participant_count=3))
        assert run_create() == new(participant_count=3)
        assert calls() == ["GET "]

    @pytest.mark.parametrize(("name", "stored"), [("D\u00eda", "Di\u0301a"), ("Di\u0301a", "D\u00eda")])
    def test_the_name_is_found_in_either_form_of_unicode(self, lists, run_create, calls, new, name, stored):
        lists(new(name=stored))
        assert run_create(name=name)["id"] == GROUP_ID
        assert calls() == ["GET "]

    def test_the_id_of_a_group_is_not_its_name(self, api, lists, run_create, group, new):
        lists(group("New", name="Other"))
        api.post(GROUPS_URL, status=201, json=new())
        assert run_create()["id"] == GROUP_ID

    def test_the_participants_are_added_to_a_group_of_the_name(self, api, lists, run_create, calls, new, participants):
        lists(new())
        api.post(PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=new(participant_count=2))
        assert run_create(participant_ids=participants(2))["participant_count"] == 2
        assert calls() == ["GET ", f"POST {GROUP_ID}/participants/", f"GET {GROUP_ID}/"]

    def test_a_group_of_the_name_can_be_an_error_which_names_it(self, lists, run_create, calls, new, participants):
        lists(new())
        with pytest.raises(ProlificError, match=f"named 'New' already exists: {GROUP_ID}"):
            run_create(if_exists="fail", participant_ids=participants(1))
        assert calls() == ["GET "]

    @pytest.mark.parametrize("if_exists", ["return", "fail"])
    def test_two_groups_of_the_name_are_an_error_which_names_both(self, lists, run_create, calls, new, if_exists):
        lists(new("g2"), new("g1"))
        with pytest.raises(ProlificError, match="2 participant groups are named 'New': g1, g2"):
            run_create(if_exists=if_exists)
        assert calls() == ["GET "]

    def test_a_deleted_group_of_the_name_does_not_count(self, api, lists, run_create, new):
        lists(new("g0", is_deleted=True), new("g9", name="new", is_deleted=True))
        api.post(GROUPS_URL, status=201, json=new())
        assert run_create()["id"] == GROUP_ID

    @pytest.mark.parametrize("if_exists", ["return", "fail"])
    def test_no_look_alike_is_made_of_another_name(self, lists, run_create, calls, new, if_exists):
        lists(new("g1", name="new"), new("g2", name="New "))
        with pytest.raises(ProlificError, match=r"there is 'new' \(g1\) or 'New ' \(g2\): .* allow_similar=True"):
            run_create(if_exists=if_exists)
        assert calls() == ["GET "]

    def test_a_look_alike_is_made_where_that_is_allowed(self, api, lists, run_create, new):
        lists(new("g1", name="new"))
        api.post(GROUPS_URL, status=201, json=new())
        assert run_create(allow_similar=True)["id"] == GROUP_ID

    def test_the_workspace_that_is_asked_for_is_the_one_that_is_looked_through(
        self, api, lists, run_create, bodies, new
    ):
        lists()
        api.post(GROUPS_URL, status=201, json=new(workspace_id="w2"))
        run_create(workspace_id="w2")
        assert api.requests[0].params["workspace_id"] == "w2"
        assert bodies()[0]["workspace_id"] == "w2"

    def test_a_few_participants_go_with_the_creation(self, api, lists, run_create, calls, bodies, new, participants):
        lists()
        api.post(GROUPS_URL, status=201, json=new())
        run_create(participant_ids=participants(500))
        assert calls() == ["GET ", "POST "]
        assert bodies()[0]["participant_ids"] == participants(500)

    def test_many_participants_are_added_after_it_in_chunks(
        self, api, lists, run_create, calls, bodies, new, participants
    ):
        lists()
        api.post(GROUPS_URL, status=201, json=new())
        api.post(PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=new(participant_count=501))
        assert run_create(participant_ids=participants(501))["participant_count"] == 501
        assert calls() == ["GET ", "POST ", *[f"POST {GROUP_ID}/participants/"] * 2, f"GET {GROUP_ID}/"]
        sent = [body["participant_ids"] for body in bodies()]
        assert sent == [participants(500), participants(500), participants(1, first=501)]

    def test_an_answer_that_lacks_most_is_completed(self, api, lists, run_create, new):
        lists()
        api.post(GROUPS_URL, status=201, json={"id": GROUP_ID, "name": "New"})
        api.get(GROUP_URL, json=new(participant_count=0))
        assert run_create() == new(participant_count=0)

    @pytest.mark.parametrize("if_exists", ["return", "fail"])
    @pytest.mark.parametrize(
        "answer", [{"body": requests.ReadTimeout()}, {"status": 504}, {"status": 201, "body": "<p>"}]
    )
    def test_a_lost_answer_is_settled_by_a_second_look(
        self, api, run, run_create, calls, new, participants, if_exists, answer
    ):
        api.get(GROUPS_URL, json={"results": [], "meta": {"count": 0}})
        api.post(GROUPS_URL, **answer)
        api.lists(new(), meta={"count": 1})
        api.post(PARTICIPANTS_URL, json={"results": []})
        api.get(GROUP_URL, json=new(participant_count=1))
        assert run_create(if_exists=if_exists, participant_ids=participants(1))["id"] == GROUP_ID
        assert calls() == ["GET ", "POST ", "GET ", f"POST {GROUP_ID}/participants/", f"GET {GROUP_ID}/"]
        assert run.log[0].startswith(f"warning: The answer was lost, but the group exists now ({GROUP_ID})")

    def test_a_lost_creation_is_not_sent_again(self, api, lists, run_create, calls):
        lists()
        api.post(GROUPS_URL, status=504)
        with pytest.raises(ProlificApiError, match=r"^the group may have been created; .*504 from POST "):
            run_create()
        assert calls() == ["GET ", "POST ", "GET "]

    def test_a_second_look_that_fails_leaves_the_first_error(self, api, run_create):
        api.get(GROUPS_URL, json={"results": [], "meta": {"count": 0}})
        api.post(GROUPS_URL, body=requests.ReadTimeout("slow"))
        api.get(GROUPS_URL, status=401)
        with pytest.raises(ProlificConnectionError, match=r"^the group may have been created; .*\(POST "):
            run_create()

    def test_a_refusal_needs_no_second_look(self, api, lists, run_create, calls):
        lists()
        api.post(GROUPS_URL, status=400, json={"error": {"detail": "no more groups"}})
        with pytest.raises(ProlificApiError, match="no more groups"):
            run_create()
        assert calls() == ["GET ", "POST "]

    @pytest.fixture
    def one_unknown(self, api, lists, new, participants):
        """A creation that is refused for one of two participants, and adding that is refused for the same one."""
        known, unknown = participants(2)
        unknown_participant = (400, {}, json.dumps({"error": {"error_code": 140003, "detail": "unknown"}}))
        lists()

        def create(request):
            sent = json.loads(request.body).get("participant_ids", [])
            return unknown_participant if unknown in sent else (201, {}, json.dumps(new()))

        def add(request):
            sent = json.loads(request.body)["participant_ids"]
            return unknown_participant if unknown in sent else (200, {}, json.dumps({"results": []}))

        api.add_callback("POST", GROUPS_URL, create)
        api.add_callback("POST", PARTICIPANTS_URL, add)
        api.get(GROUP_URL, json=new(participant_count=1))
        return [known, unknown]

    def test_an_unknown_participant_fails_the_task_when_the_group_has_the_others(
        self, run_create, calls, bodies, one_unknown
    ):
        known, unknown = one_unknown
        with pytest.raises(ProlificError) as failure:
            run_create(participant_ids=[known, known, unknown])
        assert str(failure.value).startswith(
            "Prolific does not know 1 of the participants: position 3 of participant_ids. "
            f"The group exists ({GROUP_ID}) and has all the others."
        )
        assert calls()[:3] == ["GET ", "POST ", "POST "]
        assert "participant_ids" not in bodies()[1]
        assert {"participant_ids": [known]} in bodies()

    def test_an_unknown_participant_can_be_skipped(self, run_create, new, one_unknown):
        assert run_create(participant_ids=one_unknown, on_unknown_participant="skip") == {
            **new(participant_count=1),
            "skipped": 1,
        }

    def test_nobody_is_skipped_where_all_are_known(self, lists, run_create, new):
        lists(new())
        assert run_create(on_unknown_participant="skip") == {**new(), "skipped": 0}


class TestDelete:
    @pytest.fixture
    def run_delete(self, run):
        def execute(**arguments):
            return run(ProlificDeleteParticipantGroupOperator, **{"participant_group": GROUP_ID, **arguments})

        return execute

    def test_a_group_is_deleted(self, api, run_delete, calls, new):
        api.get(GROUP_URL, json=new())
        api.delete(GROUP_URL, status=204)
        assert run_delete() is None
        assert calls() == [f"GET {GROUP_ID}/", f"DELETE {GROUP_ID}/"]

    def test_a_group_is_deleted_by_its_name(self, api, lists, run_delete, calls, new):
        lists(new())
        api.delete(GROUP_URL, status=204)
        run_delete(participant_group="New")
        assert calls() == ["GET ", f"DELETE {GROUP_ID}/"]

    @pytest.mark.parametrize("force", [False, "False"])
    def test_a_group_that_a_study_may_change_is_kept(self, api, run_delete, calls, new, force):
        api.get(GROUP_URL, json=new(feeder_studies=[{"id": "s1", "name": "Screener", "status": "ACTIVE"}]))
        with pytest.raises(ProlificError, match="force=True"):
            run_delete(force=force)
        assert calls() == [f"GET {GROUP_ID}/"]

    @pytest.mark.parametrize("force", [True, "true"])
    @pytest.mark.parametrize("feeder_studies", [[{"id": "s1", "name": "Screener", "status": "ACTIVE"}], 7])
    def test_it_is_deleted_by_force(self, api, run_delete, calls, new, force, feeder_studies):
        api.get(GROUP_URL, json=new(feeder_studies=feeder_studies))
        api.delete(GROUP_URL, status=204)
        run_delete(force=force)
        assert calls() == [f"GET {GROUP_ID}/", f"DELETE {GROUP_ID}/"]

    @pytest.mark.parametrize("if_missing", ["fail", "ignore"])
    def test_a_group_that_has_been_deleted_already_is_done(self, api, run_delete, calls, new, if_missing):
        api.get(GROUP_URL, json=new(is_deleted=True, feeder_studies=[{"status": "ACTIVE"}]))
        run_delete(if_missing=if_missing)
        assert calls() == [f"GET {GROUP_ID}/"]

    @pytest.mark.parametrize("participant_group", [GROUP_ID, "New"])
    def test_so_is_one_that_only_the_listing_still_knows(self, api, lists, run_delete, calls, new, participant_group):
        api.get(GROUP_URL, status=404)
        lists(new(is_deleted=True))
        run_delete(participant_group=participant_group)
        assert calls()[-1] == "GET "

    @pytest.mark.parametrize("participant_group", [GROUP_ID, "New"])
    def test_a_group_that_nobody_knows_is_an_error(self, api, lists, run_delete, participant_group):
        api.get(GROUP_URL, status=404)
        lists()
        with pytest.raises(ProlificError, match=f"^no participant group '{participant_group}' in workspace "):
            run_delete(participant_group=participant_group)

    @pytest.mark.parametrize("participant_group", [GROUP_ID, "New"])
    def test_a_group_that_nobody_knows_can_be_ignored(self, api, lists, run_delete, calls, participant_group):
        api.get(GROUP_URL, status=404)
        lists()
        run_delete(participant_group=participant_group, if_missing="ignore")
        assert calls()[-1] == "GET "

    def test_an_id_that_nobody_knows_can_be_ignored_without_a_scope(self, api, connect, run_delete, calls):
        connect()
        api.get(GROUP_URL, status=404)
        run_delete(if_missing="ignore")
        assert calls() == [f"GET {GROUP_ID}/"]

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_scope_that_cannot_be_listed_is_not_ignored(self, api, run_delete, status):
        api.fails(status)
        with pytest.raises(ProlificApiError):
            run_delete(participant_group="New", if_missing="ignore")

    @pytest.mark.parametrize("status", [401, 403])
    def test_only_a_missing_group_is_ignored(self, api, run_delete, status):
        api.get(GROUP_URL, status=status)
        with pytest.raises(ProlificApiError):
            run_delete(if_missing="ignore")

    def test_a_look_alike_is_not_ignored(self, lists, run_delete, new):
        lists(new(name="new"))
        with pytest.raises(ProlificError, match=r"; nearest: 'new'"):
            run_delete(participant_group="New", if_missing="ignore")

    def test_a_deletion_that_finds_no_group_any_more_is_done(self, api, run_delete, calls, new):
        api.get(GROUP_URL, json=new())  # a deleted group need not say so
        api.delete(GROUP_URL, status=404)
        run_delete()
        assert calls() == [f"GET {GROUP_ID}/", f"DELETE {GROUP_ID}/"]

    @pytest.mark.parametrize("answer", [{"status": 502}, {"body": requests.ReadTimeout("slow")}])
    @pytest.mark.parametrize("second_look", ["deleted", "404"])
    def test_a_group_that_is_gone_after_a_failed_deletion_is_done(
        self, api, run_delete, calls, new, answer, second_look
    ):
        api.get(GROUP_URL, json=new())
        api.delete(GROUP_URL, **answer)
        if second_look == "404":
            api.get(GROUP_URL, status=404)
        else:
            api.get(GROUP_URL, json=new(is_deleted=True))
        run_delete()
        assert calls() == [f"GET {GROUP_ID}/", f"DELETE {GROUP_ID}/", f"GET {GROUP_ID}/"]

    def test_a_group_that_is_still_there_is_an_error(self, api, run_delete, new):
        api.get(GROUP_URL, json=new())
        api.delete(GROUP_URL, status=502)
        with pytest.raises(ProlificApiError, match=r"502 from DELETE "):
            run_delete()

    def test_an_outage_after_a_failed_deletion_leaves_the_first_error(self, api, run_delete, new):
        api.get(GROUP_URL, json=new())
        api.delete(GROUP_URL, body=requests.ReadTimeout("slow"))
        api.get(GROUP_URL, status=401)
        with pytest.raises(ProlificConnectionError, match=r"DELETE "):
            run_delete()


class TestMessage:
    @pytest.fixture
    def run_message(self, run):
        def execute(**arguments):
            return run(ProlificMessageParticipantGroupOperator, **{"participant_group": GROUP_ID, **arguments})

        return execute

    def test_it_is_sent(self, api, run_message, bodies, new):
        api.get(GROUP_URL, json=new())
        api.post(MESSAGES_URL, status=204)
        assert run_message(body="Hello", study_id="s1") is None
        assert bodies() == [{"participant_group_id": GROUP_ID, "body": "Hello", "study_id": "s1"}]

    def test_it_is_sent_to_a_group_by_its_name(self, api, lists, run_message, bodies, new):
        lists(new())
        api.post(MESSAGES_URL, status=204)
        run_message(participant_group="New", body="Hello")
        assert bodies() == [{"participant_group_id": GROUP_ID, "body": "Hello"}]

    def test_it_is_not_sent_to_a_deleted_group(self, api, run_message, bodies, new):
        api.get(GROUP_URL, json=new(is_deleted=True))
        with pytest.raises(ProlificError, match="has been deleted"):
            run_message(body="Hello")
        assert bodies() == []

    def test_an_unknown_outcome_is_not_repeated_and_the_error_says_so(self, api, run_message, bodies, new):
        api.get(GROUP_URL, json=new())
        api.post(MESSAGES_URL, body=requests.ReadTimeout("slow"))
        with pytest.raises(ProlificConnectionError, match=r"^the message may have been sent; look .* again: .*\(POST "):
            run_message(body="Hello")
        assert len(bodies()) == 1

    def test_the_log_does_not_show_the_message(self, api, run, run_message, new):
        api.get(GROUP_URL, json=new())
        api.post(MESSAGES_URL, status=204)
        run_message(body="Hello")
        assert run.log == ["info: Sent the message to participant group 'New'"]
