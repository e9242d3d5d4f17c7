"""Studies, call by call."""

from __future__ import annotations

import time

import pytest

SCREENER = "64d000000000000000000001"
TEMPLATE = "64d000000000000000000005"
FINISHED = "64d000000000000000000003"
MISSING = "64d0000000000000000000ff"
FIRST_PROJECT = "64b000000000000000000001"
PROJECT = "64b000000000000000000002"
OTHER_PROJECT = "64b000000000000000000011"
MEMORY_LAB = "64a000000000000000000001"
LANGUAGE_LAB = "64a000000000000000000002"
ALLOWED = "64e000000000000000000002"

CODES = [{"code": "DONE", "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}]
NEW = {
    "name": "New",
    "description": "About words",
    "external_study_url": "https://example.com",
    "prolific_id_option": "url_parameters",
    "total_available_places": 10,
    "estimated_completion_time": 5,
    "reward": 100,
    "completion_codes": CODES,
}
ALLOWLIST = [{"filter_id": "participant_group_allowlist", "selected_values": [ALLOWED]}]


@pytest.fixture
def new(api):
    def create(**fields):
        return api.shape(api.post("studies/", **NEW | fields), 201, "study")

    return create


@pytest.fixture
def act(api):
    def transition(study_id, action, **fields):
        return api.post(f"studies/{study_id}/transition/", action=action, **fields)

    return transition


@pytest.fixture
def patch(api):
    def change(study_id, **changes):
        return api.call("PATCH", f"studies/{study_id}/", json=changes)

    return change


@pytest.fixture
def set_status(prolific_emulator):
    def put(study_id, status):
        prolific_emulator.set_study(study_id, status=status)
        return study_id

    return put


class TestListing:
    def test_all_studies_that_a_user_sees_are_listed(self, api):
        page = api.shape(api.get("studies/"), 200, "studies")
        assert page["meta"]["count"] == len(page["results"]) == 5

    def test_a_project_lists_its_own(self, api):
        page = api.shape(api.get(f"projects/{OTHER_PROJECT}/studies/"), 200, "studies")
        assert [study["internal_name"] for study in page["results"]] == ["Language pilot"]
        assert api.get(f"projects/{FIRST_PROJECT}/studies/").json()["results"] == []

    def test_a_row_counts_places_and_submissions_and_says_what_all_costs(self, api):
        [row] = api.get(f"projects/{OTHER_PROJECT}/studies/").json()["results"]
        assert (row["number_of_submissions"], row["places_taken"]) == (25, 21)
        # 21 rewards of 1.50, a third of that for Prolific, a fifth of the third for VAT; rounded up.
        assert row["total_cost"] == 4410

    @pytest.mark.parametrize(
        ("ordering", "first"), [("-date_created", "Template: main study"), ("date_created", "Screener")]
    )
    def test_the_order_can_be_chosen(self, api, ordering, first):
        assert api.get("studies/", ordering=ordering).json()["results"][0]["internal_name"] == first

    def test_the_state_is_ignored_unless_that_is_switched_off(self, api, prolific_emulator):
        assert len(api.get("studies/", state="COMPLETED").json()["results"]) == 5
        prolific_emulator.set(ignore_state=False)
        for state in ("COMPLETED", "(completed|awaiting_review)"):
            assert len(api.get("studies/", state=state).json()["results"]) == 1

    def test_what_another_user_owns_is_not_found(self, api):
        api.session.headers["Authorization"] = "Token colleague-token"
        assert [each["id"] for each in api.get("studies/").json()["results"]] == [FINISHED]
        api.error(api.get(f"projects/{PROJECT}/studies/"), 404)
        api.error(api.get(f"studies/{SCREENER}/"), 404)


class TestPages:
    URL = f"projects/{PROJECT}/studies/"

    @pytest.fixture(autouse=True)
    def _studies(self, prolific_emulator):
        for number in range(41):
            prolific_emulator.create_study(f"Study {number}", project=PROJECT)

    def ids(self, api, **params):
        return [study["id"] for study in api.shape(api.get(self.URL, **params), 200, "studies")["results"]]

    def test_a_page_has_twenty_rows_and_the_pages_together_hold_every_study_once(self, api):
        pages = [self.ids(api, page=number) for number in (1, 2, 3)]
        assert [len(page) for page in pages] == [20, 20, 5]
        assert len({study_id for page in pages for study_id in page}) == 45

    @pytest.mark.parametrize(("past_end", "status"), [("usual", 404), ("404", 404), ("empty", 200)])
    def test_a_page_behind_the_last_one_is_not_found_unless_that_is_switched_off(
        self, api, prolific_emulator, past_end, status
    ):
        prolific_emulator.set(past_end=past_end)
        assert api.get(self.URL, page=4).status_code == status

    def test_the_page_size_is_bounded_by_a_setting(self, api, prolific_emulator):
        assert len(self.ids(api, page_size=1000)) == 45
        prolific_emulator.set(max_limit=30)
        assert (len(self.ids(api, page_size=1000)), len(self.ids(api, page_size=1000, page=2))) == (30, 15)

    def test_next_names_the_page_and_a_host_that_a_client_must_not_follow(self, api):
        links = api.get(self.URL, page=2).json()["_links"]
        assert links["next"]["href"] == f"http://internal.prolific.invalid/api/v1/{self.URL}?page=3&page_size=20"
        assert api.get(self.URL, page=3).json()["_links"]["next"]["href"] is None

    def test_next_may_be_there_on_the_last_page_and_pages_may_overlap(self, api, prolific_emulator):
        prolific_emulator.set(next_on_last_page=True, page_overlap=2)
        assert api.get(self.URL, page=3).json()["_links"]["next"]["href"].endswith("page=4&page_size=20")
        assert self.ids(api, page=1)[-2:] == self.ids(api, page=2)[:2]

    @pytest.mark.parametrize("params", [{"page": 0}, {"page_size": 0}, {"page": "one"}, {"page_size": -1}])
    def test_a_page_that_is_no_number_is_refused_without_the_envelope(self, api, params):
        assert list(api.error(api.get(self.URL, **params), 400, flat=True)["detail"]) == list(params)


class TestOneStudy:
    def test_it_shows_what_production_adds(self, api):
        study = api.shape(api.get(f"studies/{FINISHED}/"), 200, "study")
        assert (study["status"], study["places_taken"], study["currency_code"]) == ("COMPLETED", 21, "GBP")
        assert (study["workspace"], study["project"]) == (LANGUAGE_LAB, OTHER_PROJECT)

    def test_an_unknown_study_is_not_found(self, api):
        for path in ("", "cost/", "submissions/", "submissions/counts/"):
            api.error(api.get(f"studies/{MISSING}/{path}"), 404)
        api.error(api.post(f"studies/{MISSING}/clone/"), 404)
        api.error(api.post(f"studies/{MISSING}/transition/", action="PUBLISH"), 404)

    def test_a_reward_below_the_floor_is_flagged(self, new):
        assert new(reward=49)["is_underpaying"] is True
        assert new(reward=50)["is_underpaying"] is False


class TestCreate:
    def test_a_draft_is_made_with_what_was_sent(self, new, api):
        study = new(internal_name="new-1", metadata="{}", filters=ALLOWLIST, project=PROJECT)
        assert (study["status"], study["project"], study["filters"]) == ("UNPUBLISHED", PROJECT, ALLOWLIST)
        assert study["completion_codes"] == [{**CODES[0], "actor": "participant"}]
        assert api.get(f"studies/{study['id']}/").json() == study

    def test_the_status_that_is_sent_is_passed_over(self, new):
        assert new(status="ACTIVE")["status"] == "UNPUBLISHED"

    def test_project_id_is_passed_over_and_the_study_comes_into_the_first_project(self, new):
        assert new(project=OTHER_PROJECT)["workspace"] == LANGUAGE_LAB
        study = new(project_id=OTHER_PROJECT)
        assert (study["project"], study["workspace"]) == (FIRST_PROJECT, MEMORY_LAB)

    @pytest.mark.parametrize("missing", sorted(NEW.keys() - {"completion_codes"}))
    def test_a_missing_field_is_named_without_the_envelope(self, api, missing):
        body = {name: value for name, value in NEW.items() if name != missing}
        assert list(api.error(api.post("studies/", **body), 400, flat=True)["detail"]) == [missing]

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"reward": "100"}, "reward"),
            ({"reward": 1.5}, "reward"),
            ({"total_available_places": 0}, "total_available_places"),
            ({"project": MISSING}, "project"),
            ({"completion_codes": CODES * 2}, "completion_codes"),
            ({"completion_codes": [{**CODES[0], "actions": [{"action": "DANCE"}]}]}, "completion_codes"),
            (
                {"completion_codes": [{**CODES[0], "actions": [{"action": "ADD_TO_PARTICIPANT_GROUP"}]}]},
                "completion_codes",
            ),
            ({"filters": [{**ALLOWLIST[0], "selected_values": [MISSING]}]}, "filters"),
            ({"filters": [{**ALLOWLIST[0], "selected_values": [[]]}]}, "filters"),
            ({"filters": ALLOWLIST, "filter_set_id": MISSING}, "filters"),
            ({"filter_set_id": MISSING}, "filter_set_id"),
            ({"access_details": [{"external_url": "https://a", "total_allocation": 3}]}, "access_details"),
            ({"publish_at": "tomorrow"}, "publish_at"),
            ({"metadata": "a\0b"}, "metadata"),
            ({"submissions_config": {"a": {"b": "\0"}}}, "submissions_config"),
        ],
        ids=str,
    )
    def test_a_bad_field_is_named(self, api, fields, field):
        assert list(api.error(api.post("studies/", **NEW | fields), 400, flat=True)["detail"]) == [field]

    def test_two_studies_may_have_one_internal_name(self, new):
        assert new(internal_name="Twin")["id"] != new(internal_name="Twin")["id"]

    def test_people_take_part_as_in_a_study_with_the_same_codes(self, new, api, prolific_emulator):
        template = api.get(f"studies/{TEMPLATE}/").json()
        same, other = new(completion_codes=template["completion_codes"]), new()
        people = [prolific_emulator.study(each["id"])["seconds_taken"] for each in (same, other)]
        assert people == [3, 10]

    def test_its_codes_make_it_a_feeder_of_the_group(self, new, api):
        action = {"action": "ADD_TO_PARTICIPANT_GROUP", "participant_group": ALLOWED}
        study = new(completion_codes=[{"code": "IN", "code_type": "COMPLETED", "actions": [action]}])
        feeders = api.shape(api.get(f"participant-groups/{ALLOWED}/"), 200, "group")["feeder_studies"]
        assert [feeder["status"] for feeder in feeders if feeder["id"] == study["id"]] == ["UNPUBLISHED"]


class TestClone:
    def test_a_clone_is_a_draft_with_everything_and_blocks_those_who_took_the_first(self, api):
        template = api.get(f"studies/{TEMPLATE}/").json()
        clone = api.shape(api.post(f"studies/{TEMPLATE}/clone/"), 200, "study")
        assert (clone["status"], clone["project"]) == ("UNPUBLISHED", PROJECT)
        assert clone["filters"] == [{"filter_id": "previous_studies_blocklist", "selected_values": [TEMPLATE]}]
        same = ("name", "internal_name", "reward", "completion_codes", "total_available_places")
        assert [clone[name] for name in same] == [template[name] for name in same]
        assert api.get(f"studies/{TEMPLATE}/").json() == template

    def test_nobody_is_blocked_where_that_is_not_wished(self, api):
        clone = api.post(f"studies/{TEMPLATE}/clone/", block_previous_participants=False).json()
        assert clone["filters"] == []

    def test_the_internal_name_may_tell_the_two_apart(self, api, prolific_emulator):
        prolific_emulator.set(clone_internal_name="copy")
        assert api.post(f"studies/{TEMPLATE}/clone/").json()["internal_name"] == "Template: main study (copy)"

    def test_people_take_part_in_it_as_in_the_first(self, api, prolific_emulator):
        clone = api.post(f"studies/{TEMPLATE}/clone/").json()
        people = [prolific_emulator.study(each)["seconds_taken"] for each in (TEMPLATE, clone["id"])]
        assert people == [3, 3]


class TestChange:
    def test_a_draft_takes_anything(self, patch, api, new):
        changes = {"name": "Other", "reward": 250, "filters": ALLOWLIST, "total_available_places": 3}
        study = api.shape(patch(new()["id"], **changes, project=OTHER_PROJECT), 200, "study")
        assert {name: study[name] for name in changes} == changes
        assert (study["project"], study["workspace"]) == (OTHER_PROJECT, LANGUAGE_LAB)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": " "}, "name"),
            ({"project": MISSING}, "project"),
            ({"completion_codes": CODES * 2}, "completion_codes"),
        ],
    )
    def test_a_bad_field_of_a_draft_is_named_and_nothing_changes(self, patch, api, new, changes, field):
        study = new()
        detail = api.error(patch(study["id"], internal_name="Changed", **changes), 400)["detail"]
        assert list(detail) == [field]
        assert api.get(f"studies/{study['id']}/").json() == study

    @pytest.mark.parametrize("field", ["name", "reward", "filters", "completion_codes", "external_study_url"])
    def test_a_published_study_is_frozen(self, patch, api, set_status, field):
        values = {"name": "Other", "reward": 5, "filters": ALLOWLIST, "completion_codes": CODES}
        answer = patch(set_status(TEMPLATE, "ACTIVE"), **{field: values.get(field, "https://other")})
        assert list(api.error(answer, 400)["detail"]) == [field]

    def test_a_frozen_field_may_be_sent_as_it_is(self, patch, set_status):
        assert patch(set_status(TEMPLATE, "ACTIVE"), name="Remembering words, part 2").status_code == 200

    def test_places_can_be_added_and_not_taken_away(self, patch, api, set_status):
        set_status(TEMPLATE, "ACTIVE")
        for places, status in ((20, 200), (25, 200), (25, 200), (24, 400)):
            assert patch(TEMPLATE, total_available_places=places, internal_name="Live").status_code == status
        study = api.get(f"studies/{TEMPLATE}/").json()
        assert (study["total_available_places"], study["internal_name"]) == (25, "Live")

    def test_places_that_the_wallet_cannot_pay_are_not_added(self, patch, api, set_status):
        set_status(TEMPLATE, "ACTIVE")
        assert api.error(patch(TEMPLATE, total_available_places=90_000), 400)["error_code"] == 140007
        assert api.get(f"studies/{TEMPLATE}/").json()["total_available_places"] == 20

    def test_access_details_add_places(self, patch, set_status):
        set_status(TEMPLATE, "ACTIVE")
        details = [{"external_url": "https://example.com/2", "total_allocation": 7}]
        for places in (27, 34):
            study = patch(TEMPLATE, access_details=details).json()
            assert study["total_available_places"] == places

    def test_more_places_bring_a_filled_study_back_to_life(self, patch, prolific_emulator, api):
        study_id = prolific_emulator.create_study("Small", status="ACTIVE", total_available_places=1)
        prolific_emulator.add_submissions(study_id, "APPROVED")
        assert api.get(f"studies/{study_id}/").json()["status"] == "COMPLETED"
        assert patch(study_id, total_available_places=2).json()["status"] == "ACTIVE"

    @pytest.mark.parametrize(("reopen", "status"), [(True, 200), (False, 400)])
    def test_whether_a_stopped_study_comes_back_is_a_setting(
        self, patch, act, api, set_status, prolific_emulator, reopen, status
    ):
        prolific_emulator.set(reopen_stopped=reopen)
        act(set_status(TEMPLATE, "ACTIVE"), "STOP")
        assert patch(TEMPLATE, total_available_places=21).status_code == status
        assert api.get(f"studies/{TEMPLATE}/").json()["status"] == ("ACTIVE" if reopen else "COMPLETED")


class TestDelete:
    @pytest.mark.parametrize("status", [200, 204])
    def test_a_draft_can_be_deleted(self, api, prolific_emulator, status):
        prolific_emulator.set(delete_status=status)
        assert api.call("DELETE", f"studies/{TEMPLATE}/").status_code == status
        api.error(api.get(f"studies/{TEMPLATE}/"), 404)

    def test_it_can_be_deleted_inside_its_project(self, api):
        api.error(api.call("DELETE", f"projects/{FIRST_PROJECT}/studies/{TEMPLATE}/"), 404)
        assert api.call("DELETE", f"projects/{PROJECT}/studies/{TEMPLATE}/").status_code == 204

    def test_a_published_study_stays(self, api):
        api.error(api.call("DELETE", f"studies/{SCREENER}/"), 400)
        assert api.get(f"studies/{SCREENER}/").status_code == 200


class TestTransitions:
    def test_publishing_shows_publishing_first_and_locks_the_money(self, act, api, prolific_emulator):
        prolific_emulator.set(publishing_seconds=5)
        before = api.get(f"workspaces/{MEMORY_LAB}/balance/").json()
        study = api.shape(act(TEMPLATE, "PUBLISH"), 200, "study")
        assert study["status"] == "PUBLISHING"
        after = api.get(f"workspaces/{MEMORY_LAB}/balance/").json()
        assert before["available_balance"] - after["available_balance"] == study["total_cost"] == 4200
        assert before["total_balance"] == after["total_balance"]
        prolific_emulator.advance(5)
        assert api.get(f"studies/{TEMPLATE}/").json()["status"] == "ACTIVE"

    @pytest.mark.parametrize(
        ("status", "action", "result"),
        [
            ("ACTIVE", "PAUSE", "PAUSED"),
            ("PAUSED", "START", "ACTIVE"),
            ("ACTIVE", "STOP", "COMPLETED"),
            ("PAUSED", "STOP", "COMPLETED"),
            ("SCHEDULED", "CANCEL_PUBLISH", "UNPUBLISHED"),
        ],
    )
    def test_an_action_leads_on(self, act, api, set_status, status, action, result):
        assert api.shape(act(set_status(TEMPLATE, status), action), 200, "study")["status"] == result

    @pytest.mark.parametrize(
        ("status", "action"),
        [
            ("UNPUBLISHED", "PAUSE"),
            ("UNPUBLISHED", "STOP"),
            ("SCHEDULED", "PUBLISH"),
            ("COMPLETED", "START"),
            ("PUBLISHING", "PAUSE"),
            ("AWAITING REVIEW", "PAUSE"),
        ],
    )
    @pytest.mark.parametrize("repeated", ["refused", "ignored"])
    def test_an_action_that_does_not_fit_is_refused(
        self, act, api, set_status, prolific_emulator, status, action, repeated
    ):
        prolific_emulator.set(repeated_transition=repeated)
        api.error(act(set_status(TEMPLATE, status), action), 400)
        assert api.get(f"studies/{TEMPLATE}/").json()["status"] == status

    @pytest.mark.parametrize(
        ("status", "action"),
        [
            *((status, "PUBLISH") for status in ("PUBLISHING", "ACTIVE", "PAUSED", "AWAITING REVIEW", "COMPLETED")),
            ("PAUSED", "PAUSE"),
            ("ACTIVE", "START"),
            ("COMPLETED", "STOP"),
        ],
    )
    def test_whether_an_action_may_be_repeated_is_a_setting(
        self, act, api, set_status, prolific_emulator, status, action
    ):
        set_status(TEMPLATE, status)
        error = api.error(act(TEMPLATE, action), 400)
        assert (error["error_code"] == 140007) is (action == "PUBLISH")
        prolific_emulator.set(repeated_transition="ignored")
        assert api.shape(act(TEMPLATE, action), 200, "study")["status"] == status

    @pytest.mark.parametrize(("no_funds", "error_code"), [("140007", 140007), ("named", 140400)])
    def test_too_little_balance_is_refused(self, act, api, patch, prolific_emulator, no_funds, error_code):
        prolific_emulator.set(no_funds=no_funds)
        patch(TEMPLATE, total_available_places=5000)
        error = api.error(act(TEMPLATE, "PUBLISH"), 400)
        assert error["error_code"] == error_code
        assert ("balance" in error["detail"]) is (no_funds == "named")
        assert api.get(f"studies/{TEMPLATE}/").json()["status"] == "UNPUBLISHED"

    def test_too_little_balance_may_show_later(self, act, api, patch, prolific_emulator):
        prolific_emulator.set(no_funds="later")
        patch(TEMPLATE, total_available_places=5000)
        assert act(TEMPLATE, "PUBLISH").json()["status"] == "PUBLISHING"
        prolific_emulator.advance(1)
        study = api.get(f"studies/{TEMPLATE}/").json()
        assert (study["status"], study["published_at"]) == ("UNPUBLISHED", None)

    def test_a_study_without_codes_cannot_be_published(self, act, api, new):
        study = new(completion_codes=[])
        assert study["is_ready_to_publish"] is False
        assert list(api.error(act(study["id"], "PUBLISH"), 400)["detail"]) == ["completion_codes"]

    def test_a_scheduled_study_is_published_at_its_moment(self, act, api, prolific_emulator):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 100))
        study = api.shape(act(TEMPLATE, "SCHEDULE_PUBLISH", publish_at=moment), 200, "study")
        assert (study["status"], study["publish_at"]) == ("SCHEDULED", moment)
        prolific_emulator.advance(90)
        assert api.get(f"studies/{TEMPLATE}/").json()["status"] == "SCHEDULED"
        prolific_emulator.advance(11)
        study = api.get(f"studies/{TEMPLATE}/").json()
        assert (study["status"], study["published_at"]) == ("ACTIVE", moment)

    def test_a_cancelled_schedule_publishes_nothing(self, act, api, prolific_emulator):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 100))
        act(TEMPLATE, "SCHEDULE_PUBLISH", publish_at=moment)
        act(TEMPLATE, "CANCEL_PUBLISH")
        prolific_emulator.advance(200)
        assert api.get(f"studies/{TEMPLATE}/").json()["status"] == "UNPUBLISHED"

    @pytest.mark.parametrize("moment", [None, "2001-01-01T00:00:00Z", "soon"])
    def test_a_schedule_needs_a_moment_in_the_future(self, act, api, moment):
        fields = {} if moment is None else {"publish_at": moment}
        answer = act(TEMPLATE, "SCHEDULE_PUBLISH", **fields)
        assert list(api.error(answer, 400)["detail"]) == ["publish_at"]

    def test_an_unknown_action_is_refused(self, act, api):
        assert list(api.error(act(TEMPLATE, "FINISH"), 400)["detail"]) == ["action"]


class TestCost:
    def test_what_was_paid_is_shown_in_parts(self, api):
        cost = api.shape(api.get(f"studies/{FINISHED}/cost/"), 200, "cost")
        assert {name: part["amount"] for name, part in cost["rewards"].items()} == {
            "rewards": 3150,
            "fees": 1050,
            "tax": 210,
        }
        assert cost["bonuses"]["rewards"] == {"amount": 0, "currency": "GBP"}

    def test_a_projected_cost_is_the_one_of_all_places(self, api):
        cost = api.shape(api.get(f"studies/{TEMPLATE}/cost/", is_projected="true"), 200, "cost")
        assert cost["rewards"]["rewards"]["amount"] == 3000
        assert api.get(f"studies/{TEMPLATE}/cost/").json()["rewards"]["rewards"]["amount"] == 0

    def test_the_calculator_uses_the_accounts_rates(self, api):
        answer = api.post("study-cost-calculator/", reward=100, total_available_places=10)
        assert (answer.status_code, answer.json()) == (200, {"total_cost": 1400})

    @pytest.mark.parametrize("body", [{"reward": 100}, {"reward": "1", "total_available_places": 1}])
    def test_a_bad_calculation_is_refused_without_the_envelope(self, api, body):
        api.error(api.post("study-cost-calculator/", **body), 400, flat=True)
