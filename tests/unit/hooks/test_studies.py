"""Studies, what they cost, and the money of a workspace: what is asked, and which answers are taken."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.hooks.prolific import ProlificHook

API = "https://api.prolific.com/api/v1"
STUDY_URL = f"{API}/studies/s1/"
COST = {
    part: {name: {"amount": 150, "currency": "GBP"} for name in ("rewards", "fees", "tax")}
    for part in ("rewards", "bonuses")
}
BALANCE = {"currency_code": "GBP", "total_balance": 900, "available_balance": 700}


def study(study_id="s1", **fields):
    return {"id": study_id, "name": "Screener", "status": "ACTIVE", **fields}


@pytest.fixture
def hook(connection):
    with ProlificHook(connection, max_retries=0) as hook:
        yield hook


@pytest.fixture
def bodies(api):
    """Return the bodies that the API was sent."""
    return lambda: [json.loads(request.body) for request in api.requests if request.body]


class TestGetStudy:
    def test_a_study_comes_in_the_apis_own_fields(self, api, hook):
        api.get(STUDY_URL, json=study(total_available_places=30, places_taken=12, anything={"else": 1}))

        assert hook.get_study("s1") == study(total_available_places=30, places_taken=12, anything={"else": 1})

    def test_counts_that_come_with_a_fraction_of_nothing_are_whole(self, api, hook):
        api.get(STUDY_URL, json=study(total_available_places=30.0, places_taken=12.0, number_of_submissions=13.0))

        found = hook.get_study("s1")

        assert (
            repr([found[name] for name in ("total_available_places", "places_taken", "number_of_submissions")])
            == "[30, 12, 13]"
        )

    def test_a_fraction_stays_one(self, api, hook):
        api.get(STUDY_URL, json=study(places_taken=12.5))

        assert hook.get_study("s1")["places_taken"] == 12.5

    @pytest.mark.parametrize(
        "answer", [{}, [], None, {"id": "s1"}, {"status": "ACTIVE"}, study(None), study(""), study(status=7)], ids=str
    )
    def test_an_answer_without_id_or_status_is_a_temporary_error(self, api, hook, answer):
        api.get(STUDY_URL, json=answer)

        with pytest.raises(
            ProlificResponseError,
            match=r"^the answer has a study without an id or a status: .* \(200 from GET /api/v1/studies/s1/\)$",
        ) as failure:
            hook.get_study("s1")

        assert failure.value.transient is True

    def test_a_study_that_does_not_exist_is_a_permanent_error(self, api, hook):
        api.get(STUDY_URL, status=404, json={"error": {"detail": "No Study matches the given query."}})

        with pytest.raises(ProlificApiError) as failure:
            hook.get_study("s1")

        assert (failure.value.status_code, failure.value.transient) == (404, False)


@pytest.mark.parametrize("method", ["get_study", "get_study_cost", "count_submissions", "list_submissions"])
@pytest.mark.parametrize("study_id", ["", "s1/transition", "..", None, 64])
def test_what_is_not_the_id_of_a_study_is_refused_before_anything_is_sent(api, hook, method, study_id):
    with pytest.raises(ProlificValueError, match=r"^study_id must be an id"):
        getattr(hook, method)(study_id)

    assert not api.requests


class TestListStudies:
    def test_those_of_a_project_are_asked_for_page_by_page(self, api, hook):
        url = f"{API}/projects/p1/studies/"
        api.get(url, json={"results": [study("s1"), study("s2")]})
        api.get(url, json={"results": [study("s3")]})
        api.get(url, status=404)

        assert [found["id"] for found in hook.list_studies("p1")] == ["s1", "s2", "s3"]
        assert [request.params for request in api.requests] == [
            {"page": str(number), "page_size": "100"} for number in (1, 2, 3)
        ]

    def test_all_statuses_are_listed_and_no_filter_is_relied_on(self, api, hook):
        rows = [study(f"s{number}", status=status) for number, status in enumerate(("ACTIVE", "COMPLETED", "NEW"))]
        api.get(f"{API}/projects/p1/studies/", json={"results": rows, "meta": {"count": 3}})

        assert hook.list_studies("p1") == rows
        assert "state" not in api.requests[0].params

    def test_without_a_project_it_is_the_connections(self, api, connect):
        connect(extra={"project_id": "p2"})
        api.get(f"{API}/projects/p2/studies/", json={"results": [], "meta": {"count": 0}})

        with ProlificHook() as hook:
            assert hook.list_studies() == []

    def test_and_without_that_all_of_the_account(self, api, hook):
        api.get(f"{API}/studies/", json={"results": [study()], "meta": {"count": 1}})

        assert hook.list_studies() == [study()]

    @pytest.mark.parametrize("project_id", ["", "p1/studies", 7])
    def test_what_is_not_the_id_of_a_project_is_refused(self, api, hook, project_id):
        with pytest.raises(ProlificValueError, match=r"^project_id must be an id"):
            hook.list_studies(project_id)

        assert not api.requests

    def test_a_row_without_a_status_spoils_the_list(self, api, hook):
        api.get(f"{API}/studies/", json={"results": [study(), {"id": "s2"}]})

        with pytest.raises(ProlificResponseError, match="a study without an id or a status"):
            hook.list_studies()


class TestCost:
    def test_it_comes_in_its_parts(self, api, hook):
        api.get(f"{STUDY_URL}cost/", json=COST)

        assert hook.get_study_cost("s1") == COST

    @pytest.mark.parametrize(
        "answer",
        [
            *({}, [], None, COST | {"bonuses": None}, {"rewards": COST["rewards"]}),
            COST | {"rewards": COST["rewards"] | {"tax": None}},
            COST | {"rewards": COST["rewards"] | {"tax": {"amount": "1.50", "currency": "GBP"}}},
            COST | {"rewards": COST["rewards"] | {"tax": {"amount": True, "currency": "GBP"}}},
        ],
        ids=str,
    )
    def test_an_answer_without_all_amounts_is_not_used(self, api, hook, answer):
        api.get(f"{STUDY_URL}cost/", json=answer)

        with pytest.raises(ProlificResponseError, match="the answer has no costs"):
            hook.get_study_cost("s1")


class TestBalance:
    @pytest.mark.parametrize("workspace_ids", [(), ("w2",)])
    def test_it_is_that_of_the_workspace_or_of_the_connections(self, api, hook, workspace, workspace_ids):
        api.get(f"{API}/workspaces/{(*workspace_ids, workspace)[0]}/balance/", json=BALANCE)

        assert hook.get_workspace_balance(*workspace_ids) == BALANCE

    @pytest.mark.parametrize("workspace_id", ["", "w1/balance", 7])
    def test_what_is_not_the_id_of_a_workspace_is_refused(self, api, hook, workspace_id):
        with pytest.raises(ProlificValueError, match=r"^workspace_id must be an id"):
            hook.get_workspace_balance(workspace_id)

    def test_a_connection_without_a_workspace_is_refused(self, connect):
        connect(extra={"project_id": "p1"})

        with ProlificHook() as hook, pytest.raises(ProlificValueError, match=r"^no workspace"):
            hook.get_workspace_balance()

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            [],
            None,
            {"currency_code": "GBP"},
            BALANCE | {"available_balance": "700"},
            BALANCE | {"currency_code": 7},
        ],
        ids=str,
    )
    def test_an_answer_without_balance_or_currency_is_not_used(self, api, hook, workspace, answer):
        api.get(f"{API}/workspaces/{workspace}/balance/", json=answer)

        with pytest.raises(ProlificResponseError, match="the answer has no balance"):
            hook.get_workspace_balance()


class TestCreateAndChange:
    BODY = {"name": "Screener", "reward": 100, "project": "p1"}

    def test_a_draft_is_made_of_the_fields_as_they_are(self, api, hook, bodies):
        api.post(f"{API}/studies/", status=201, json=study(status="UNPUBLISHED"))

        assert hook.create_study(self.BODY) == study(status="UNPUBLISHED")
        assert bodies() == [self.BODY]

    @pytest.mark.parametrize(("blocks", "sent"), [({}, True), ({"block_previous_participants": False}, False)])
    def test_a_clone_keeps_out_those_who_took_part_unless_told_otherwise(self, api, hook, bodies, blocks, sent):
        api.post(f"{STUDY_URL}clone/", json=study("s2"))

        assert hook.clone_study("s1", **blocks)["id"] == "s2"
        assert bodies() == [{"block_previous_participants": sent}]

    def test_changes_are_sent_alone(self, api, hook, bodies):
        api.patch(STUDY_URL, json=study(total_available_places=40.0))

        assert hook.update_study("s1", {"total_available_places": 40})["total_available_places"] == 40
        assert bodies() == [{"total_available_places": 40}]

    @pytest.mark.parametrize("fields", [None, [], {}, "text"], ids=str)
    def test_what_are_not_fields_is_refused(self, api, hook, fields):
        with pytest.raises(ProlificValueError, match=r"^study must be a dict with the fields of a study"):
            hook.create_study(fields)
        with pytest.raises(ProlificValueError, match=r"^changes must be a dict with the fields of a study"):
            hook.update_study("s1", fields)
        assert not api.requests

    @pytest.mark.parametrize(("field", "reason"), [("status", "a separate action"), ("project_id", "would pay")])
    def test_what_prolific_passes_over_in_silence_is_refused(self, api, hook, field, reason):
        with pytest.raises(ProlificValueError, match=reason):
            hook.create_study(self.BODY | {field: "x"})
        with pytest.raises(ProlificValueError, match=reason):
            hook.update_study("s1", {field: "x"})
        assert not api.requests

    @pytest.mark.parametrize("status", [200, 204])
    def test_a_draft_is_deleted_whatever_the_answers_body(self, api, hook, status):
        api.delete(STUDY_URL, status=status)

        assert hook.delete_study("s1") is None


class TestTransition:
    @pytest.mark.parametrize("action", ["PUBLISH", "PAUSE", "START", "STOP"])
    def test_an_action_is_sent_and_the_study_comes_back(self, api, hook, bodies, action):
        api.post(f"{STUDY_URL}transition/", json=study(status="PUBLISHING"))

        assert hook.transition_study("s1", action)["status"] == "PUBLISHING"
        assert bodies() == [{"action": action}]

    @pytest.mark.parametrize("action", ["publish", "SCHEDULE_PUBLISH", None, ""])
    def test_another_action_is_refused(self, api, hook, action):
        with pytest.raises(ProlificValueError, match=r"^action must be 'PUBLISH' or 'PAUSE' or 'START' or 'STOP'"):
            hook.transition_study("s1", action)
        assert not api.requests


class TestRepeats:
    """After an unclear answer a call is repeated only where that changes nothing twice."""

    @pytest.fixture
    def asked_until_it_works(self, api, connection, pauses):
        def count(method, url, call):
            api.add(method, url, status=500)
            api.add(method, url, json=study())
            with ProlificHook(connection) as hook, suppress(ProlificApiError):
                call(hook)
            return len(api.requests)

        return count

    def test_what_makes_a_second_draft_or_publishes_is_not_repeated(self, asked_until_it_works):
        assert asked_until_it_works("POST", f"{API}/studies/", lambda hook: hook.create_study({"name": "A"})) == 1

    def test_a_clone_is_not(self, asked_until_it_works):
        assert asked_until_it_works("POST", f"{STUDY_URL}clone/", lambda hook: hook.clone_study("s1")) == 1

    def test_a_transition_is_not(self, asked_until_it_works):
        url = f"{STUDY_URL}transition/"
        assert asked_until_it_works("POST", url, lambda hook: hook.transition_study("s1", "PUBLISH")) == 1

    def test_an_absolute_number_of_places_is(self, asked_until_it_works):
        changes = {"total_available_places": 40}
        assert asked_until_it_works("PATCH", STUDY_URL, lambda hook: hook.update_study("s1", changes)) == 2

    def test_addresses_which_are_added_are_not(self, asked_until_it_works):
        changes = {"access_details": [{"external_url": "https://example.com", "total_allocation": 3}]}
        assert asked_until_it_works("PATCH", STUDY_URL, lambda hook: hook.update_study("s1", changes)) == 1

    def test_a_deletion_is(self, asked_until_it_works):
        assert asked_until_it_works("DELETE", STUDY_URL, lambda hook: hook.delete_study("s1")) == 2


class TestCalculator:
    URL = f"{API}/study-cost-calculator/"

    def test_it_answers_in_hundredths(self, api, hook, bodies):
        api.post(self.URL, json={"total_cost": 4200.0})

        assert repr(hook.calculate_study_cost(100, 30)) == "4200"
        assert bodies() == [{"reward": 100, "total_available_places": 30}]

    @pytest.mark.parametrize("answer", [{}, None, {"total_cost": "4200"}, {"total_cost": None}, {"total_cost": True}])
    def test_an_answer_without_a_cost_is_not_used(self, api, hook, answer):
        api.post(self.URL, json=answer)

        with pytest.raises(ProlificResponseError, match="the answer has no total_cost"):
            hook.calculate_study_cost(100, 30)


class TestFilterSet:
    URL = f"{API}/filter-sets/f1/"

    def test_it_comes_in_the_apis_own_fields(self, api, hook):
        api.get(self.URL, json={"id": "f1", "version": 3, "filters": []})

        assert hook.get_filter_set("f1") == {"id": "f1", "version": 3, "filters": []}

    @pytest.mark.parametrize("answer", [{}, None, [], {"filters": None}, {"filters": {}}], ids=str)
    def test_an_answer_without_filters_is_not_used(self, api, hook, answer):
        api.get(self.URL, json=answer)

        with pytest.raises(ProlificResponseError, match="the answer has no filters"):
            hook.get_filter_set("f1")
