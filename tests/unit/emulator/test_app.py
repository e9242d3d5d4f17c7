"""The imitated API, call by call."""

from __future__ import annotations

import re

import pytest
import requests

GROUPS = "participant-groups/"
MEMORY_LAB = "64a000000000000000000001"
LANGUAGE_LAB = "64a000000000000000000002"
LEGACY_PROJECT = "64b000000000000000000001"
MISSING = "64e0000000000000000000ff"
PARTICIPANT = "5f0000000000000000000001"
ANOTHER_PARTICIPANT = "5f0000000000000000000002"
UNKNOWN_PARTICIPANT = "ffff00000000000000000001"


def names(page):
    return [group["name"] for group in page["results"]]


def member_ids(membership):
    return [member["participant_id"] for member in membership["results"]]


@pytest.fixture
def group_id(prolific_emulator):
    return prolific_emulator.group_id("Wave 2 invited")


class TestTokens:
    def test_a_token_tells_whose_it_is(self, api):
        user = api.shape(api.get("users/me/"), 200, "user")
        assert user["email"] == "researcher@example.com"

    @pytest.mark.parametrize(
        "header",
        [None, "", "Token", "Token wrong", "Bearer emulator-token", "emulator-token"],
    )
    def test_without_a_valid_token_every_call_is_refused(self, api, header):
        api.session.headers["Authorization"] = header
        api.error(api.get("users/me/"), 401)
        api.error(api.get(GROUPS, workspace_id=MEMORY_LAB), 401)

    def test_a_revoked_token_is_refused_until_it_is_restored(self, api, prolific_emulator):
        prolific_emulator.revoke_token()
        api.error(api.get("users/me/"), 401)
        prolific_emulator.restore_token()
        assert api.get("users/me/").status_code == 200

    def test_a_rotated_token_is_refused_and_the_new_one_belongs_to_the_same_user(self, api, prolific_emulator):
        prolific_emulator.rotate_token("fresh-token")
        api.error(api.get("users/me/"), 401)
        api.session.headers["Authorization"] = f"Token {prolific_emulator.token}"
        assert api.get("users/me/").json()["email"] == "researcher@example.com"


class TestRoutes:
    @pytest.mark.parametrize("path", ["nothing/", "", f"participant-groups/{MISSING}", "studies//"])
    def test_an_unknown_path_is_not_found(self, api, path):
        api.error(api.call("GET", path, allow_redirects=False), 404)

    PATHS = ("users/me", f"participant-groups?workspace_id={MEMORY_LAB}", "studies/64d000000000000000000003")

    @pytest.mark.parametrize("path", [*PATHS, "participant-groups/64e000000000000000000001/participants"])
    def test_a_get_is_served_without_the_slash_unless_that_is_switched_off(self, api, prolific_emulator, path):
        assert api.call("GET", path, allow_redirects=False).status_code == 200
        prolific_emulator.set(slashless_get=False)
        api.error(api.call("GET", path, allow_redirects=False), 404)

    def test_other_calls_need_the_slash(self, api, prolific_emulator):
        for method, path in (("POST", "participant-groups"), ("DELETE", "participant-groups/64e000000000000000000001")):
            assert api.call(method, path, json={"name": "New"}, allow_redirects=False).status_code == 404
        assert prolific_emulator.state()["group_count"] == 13
        assert not prolific_emulator.group("64e000000000000000000001")["is_deleted"]

    @pytest.mark.parametrize(("method", "path"), [("DELETE", GROUPS), ("PUT", GROUPS), ("POST", "users/me/")])
    def test_a_wrong_method_is_refused_in_the_same_shape(self, api, method, path):
        api.error(api.call(method, path), 405)

    @pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/"])
    def test_there_are_no_pages_beside_the_api(self, api, path):
        api.error(requests.get(api.url + path, timeout=10), 404)


class TestListing:
    @pytest.mark.parametrize("parameter", ["workspace_id", "filter[workspace_id]"])
    def test_both_spellings_of_the_scope_select_the_workspace(self, api, parameter):
        page = api.shape(api.get(GROUPS, **{parameter: LANGUAGE_LAB}), 200, "page")
        assert names(page) == ["Bilingual readers", "Monolingual readers"]

    @pytest.mark.parametrize("parameter", ["project_id", "filter[project_id]"])
    def test_both_spellings_of_the_scope_select_the_project(self, api, parameter):
        page = api.shape(api.get(GROUPS, **{parameter: LEGACY_PROJECT}), 200, "page")
        assert names(page) == ["Trained raters", "First cohort"]
        assert {group["workspace_id"] for group in page["results"]} == {None}
        assert {group["project_id"] for group in page["results"]} == {LEGACY_PROJECT}

    def test_both_spellings_together_are_accepted_when_they_agree(self, api):
        page = api.get(GROUPS, **{"workspace_id": LANGUAGE_LAB, "filter[workspace_id]": LANGUAGE_LAB}).json()
        assert len(page["results"]) == 2

    @pytest.mark.parametrize(
        "scope",
        [
            {},
            {"workspace_id": ""},
            {"workspace_id": MEMORY_LAB, "filter[workspace_id]": LANGUAGE_LAB},
            {"workspace_id": [MEMORY_LAB, LANGUAGE_LAB]},
            {"workspace_id": MEMORY_LAB, "project_id": LEGACY_PROJECT},
        ],
    )
    def test_no_scope_and_a_contradictory_scope_are_refused(self, api, scope):
        assert "filter" in api.error(api.get(GROUPS, **scope), 400)["detail"]

    @pytest.mark.parametrize(
        "scope", [{"workspace_id": MISSING}, {"project_id": MISSING}, {"workspace_id": LEGACY_PROJECT}]
    )
    def test_an_unknown_scope_is_not_found(self, api, scope):
        api.error(api.get(GROUPS, **scope), 404)

    def test_what_another_user_owns_is_not_found(self, api, prolific_emulator):
        api.session.headers["Authorization"] = "Token colleague-token"
        api.error(api.get(GROUPS, workspace_id=MEMORY_LAB), 404)
        api.error(api.get(GROUPS, project_id=LEGACY_PROJECT), 404)
        for name in ("Wave 1 completed", "Trained raters"):
            api.error(api.get(f"{GROUPS}{prolific_emulator.group_id(name)}/"), 404)
        assert api.get(GROUPS, workspace_id=LANGUAGE_LAB).status_code == 200

    def test_active_true_leaves_out_the_deleted_groups(self, api):
        page = api.get(GROUPS, workspace_id=MEMORY_LAB, active="true").json()
        assert len(page["results"]) == page["meta"]["count"] == 8
        assert not any(group["is_deleted"] for group in page["results"])

    def test_active_false_shows_the_deleted_groups_only(self, api):
        assert names(api.get(GROUPS, workspace_id=MEMORY_LAB, active="false").json()) == ["Old pilot"]

    def test_without_active_both_live_and_deleted_groups_are_shown(self, api):
        assert len(api.get(GROUPS, workspace_id=MEMORY_LAB).json()["results"]) == 9

    @pytest.mark.parametrize("active", [True, "False", "1", ""])
    def test_active_is_spelled_true_or_false_and_nothing_else(self, api, active):
        assert "active" in api.error(api.get(GROUPS, workspace_id=MEMORY_LAB, active=active), 400)["detail"]

    def test_a_feeder_study_shows_its_completion_codes(self, api):
        page = api.shape(api.get(GROUPS, workspace_id=MEMORY_LAB), 200, "page")
        wave = next(group for group in page["results"] if group["name"] == "Wave 1 completed")
        [study] = wave["feeder_studies"]
        assert study["status"] == "ACTIVE"
        assert [code["action"] for code in study["feeder_completion_codes"]] == ["ADD_TO_PARTICIPANT_GROUP"]

    def test_ignore_scope_shows_the_groups_of_another_workspace(self, api, prolific_emulator):
        prolific_emulator.set(ignore_scope=True)
        page = api.get(GROUPS, workspace_id=MEMORY_LAB).json()
        assert {group["workspace_id"] for group in page["results"]} == {LANGUAGE_LAB}

    @pytest.mark.parametrize("scope", [{"workspace_id": "64a0000000000000000000ff"}, {"project_id": LANGUAGE_LAB}])
    def test_an_unknown_scope_can_be_empty(self, api, prolific_emulator, scope):
        prolific_emulator.set(unknown_scope="empty")
        assert api.shape(api.get(GROUPS, **scope), 200, "page")["results"] == []

    @pytest.mark.parametrize(
        ("spelling", "read", "unread"),
        [("flat", "workspace_id", "filter[workspace_id]"), ("brackets", "filter[workspace_id]", "workspace_id")],
    )
    def test_one_spelling_of_the_scope_can_be_switched_off(self, api, prolific_emulator, spelling, read, unread):
        prolific_emulator.set(scope_spelling=spelling)
        page = api.get(GROUPS, **{read: LANGUAGE_LAB, unread: MEMORY_LAB}).json()
        assert names(page) == ["Bilingual readers", "Monolingual readers"]
        assert "filter" in api.error(api.get(GROUPS, **{unread: LANGUAGE_LAB}), 400)["detail"]

    @pytest.mark.parametrize(
        ("search", "count"), [("quota", 4), ("MEN 40+", 2), ("Quota: men 40+", 1), ("zebra", 0), ("", 9)]
    )
    def test_search_selects_by_a_part_of_the_name(self, api, search, count):
        page = api.shape(api.get(GROUPS, workspace_id=MEMORY_LAB, search=search), 200, "page")
        assert len(page["results"]) == page["meta"]["count"] == count

    def test_ignore_active_shows_live_and_deleted_groups(self, api, prolific_emulator):
        prolific_emulator.set(ignore_active=True)
        assert len(api.get(GROUPS, workspace_id=MEMORY_LAB, active="true").json()["results"]) == 9


class TestPaging:
    @pytest.fixture(autouse=True)
    def _many_groups(self, prolific_emulator):
        prolific_emulator.create_groups(230, workspace_id=LANGUAGE_LAB)

    @pytest.fixture
    def page(self, api):
        def get_page(**params):
            return api.shape(api.get(GROUPS, workspace_id=LANGUAGE_LAB, **params), 200, "page")

        return get_page

    def test_a_page_has_twenty_rows_when_no_limit_is_sent(self, page):
        assert len(page()["results"]) == 20

    def test_a_page_has_two_hundred_rows_at_most(self, page):
        assert len(page(limit=1000)["results"]) == 200

    def test_the_largest_page_can_be_set(self, page, prolific_emulator):
        prolific_emulator.set(max_limit=7)
        assert len(page(limit=200)["results"]) == 7

    def test_the_pages_together_hold_every_group_once(self, page):
        pages = [page(limit=100, offset=offset) for offset in (0, 100, 200)]
        ids = [group["id"] for each in pages for group in each["results"]]
        assert len(ids) == len(set(ids)) == 232
        assert {each["meta"]["count"] for each in pages} == {232}

    def test_next_names_a_host_that_a_client_must_not_follow(self, page):
        links = page(limit=100)["_links"]
        assert links["next"]["href"].startswith("http://internal.prolific.invalid/api/v1/participant-groups/?")
        assert "limit=100&offset=100" in links["next"]["href"]
        assert links["previous"]["href"] is None

    def test_next_is_null_on_the_last_page_and_beyond(self, page):
        assert page(limit=100, offset=132)["_links"]["next"]["href"] is None
        beyond = page(limit=100, offset=500)
        assert beyond["results"] == []
        assert beyond["_links"]["next"]["href"] is None

    def test_last_and_previous_name_their_offsets(self, page):
        links = page(limit=100, offset=50)["_links"]
        assert links["last"]["href"].endswith("limit=100&offset=200")
        assert links["previous"]["href"].endswith("limit=100&offset=0")

    @pytest.mark.parametrize(
        "params", [{"limit": 0}, {"limit": "many"}, {"limit": -1}, {"offset": -1}, {"offset": "1.5"}]
    )
    def test_a_limit_or_offset_that_is_no_whole_number_is_refused(self, api, params):
        detail = api.error(api.get(GROUPS, workspace_id=LANGUAGE_LAB, **params), 400)["detail"]
        assert detail.keys() == params.keys()

    def test_paging_none_answers_with_all_rows_and_no_metadata(self, api, prolific_emulator):
        prolific_emulator.set(paging="none")
        answer = api.get(GROUPS, workspace_id=LANGUAGE_LAB, limit=10, offset=5)
        assert len(api.shape(answer, 200, "unpaged")["results"]) == 232

    @pytest.mark.parametrize(
        ("paging", "keys", "meta"),
        [
            ("count", {"results", "meta"}, {"count": 232}),
            ("links", {"results", "meta", "_links"}, {}),
            ("bare", {"results"}, 0),
        ],
    )
    def test_paging_leaves_out_a_part_of_the_metadata(self, api, prolific_emulator, paging, keys, meta):
        prolific_emulator.set(paging=paging)
        page = api.get(GROUPS, workspace_id=LANGUAGE_LAB, limit=100, offset=200).json()
        assert (page.keys(), len(page["results"]), page.get("meta", 0)) == (keys, 32, meta)

    @pytest.mark.parametrize(("offset", "status"), [(0, 200), (231, 200), (232, 404), (500, 404)])
    def test_a_page_behind_the_last_one_can_be_not_found(self, api, prolific_emulator, offset, status):
        prolific_emulator.set(past_end="404")
        assert api.get(GROUPS, workspace_id=LANGUAGE_LAB, offset=offset).status_code == status

    def test_the_first_page_is_found_where_there_is_no_group(self, api, prolific_emulator):
        prolific_emulator.set(past_end="404")
        page = api.get(GROUPS, workspace_id=LANGUAGE_LAB, search="nothing of the kind")
        assert api.shape(page, 200, "page")["results"] == []


class TestCreate:
    def test_a_created_group_is_listed_with_what_was_sent(self, api):
        sent = {
            "name": "New",
            "description": "Just made",
            "workspace_id": LANGUAGE_LAB,
            "participant_ids": [PARTICIPANT],
        }
        group = api.shape(api.call("POST", GROUPS, json=sent), 201, "group")
        assert group["participant_count"] == 1
        assert {field: group[field] for field in ("name", "description", "workspace_id")} == {
            field: sent[field] for field in ("name", "description", "workspace_id")
        }
        assert group in api.get(GROUPS, workspace_id=LANGUAGE_LAB).json()["results"]

    def test_two_groups_may_have_the_same_name(self, api):
        body = {"name": "Twice", "workspace_id": LANGUAGE_LAB}
        first, second = (api.call("POST", GROUPS, json=body).json() for _ in range(2))
        assert first["id"] != second["id"]

    def test_a_group_may_belong_to_an_organisation_instead(self, api):
        body = {"name": "Shared", "organisation_id": "64f000000000000000000001"}
        group = api.shape(api.call("POST", GROUPS, json=body), 201, "group")
        assert (group["workspace_id"], group["organisation_id"]) == (None, body["organisation_id"])
        assert api.get(f"{GROUPS}{group['id']}/").status_code == 200

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"workspace_id": LANGUAGE_LAB}, "name"),
            ({"name": " ", "workspace_id": LANGUAGE_LAB}, "name"),
            ({"name": None, "workspace_id": LANGUAGE_LAB}, "name"),
            ({"name": "Nowhere"}, "workspace_id"),
            ({"name": "Both", "workspace_id": LANGUAGE_LAB, "organisation_id": "x"}, "workspace_id"),
            ({"name": "Odd", "workspace_id": 5}, "workspace_id"),
            ({"name": "Odd", "workspace_id": LANGUAGE_LAB, "participant_ids": PARTICIPANT}, "participant_ids"),
        ],
    )
    def test_a_bad_field_is_named_in_the_refusal(self, api, body, field):
        detail = api.error(api.call("POST", GROUPS, json=body), 400)["detail"]
        assert list(detail) == [field]

    def test_a_group_may_belong_to_a_project_unless_that_is_switched_off(self, api, prolific_emulator):
        body = {"name": "New", "project_id": LEGACY_PROJECT}
        group = api.shape(api.call("POST", GROUPS, json=body), 201, "group")
        assert (group["workspace_id"], group["project_id"]) == (None, LEGACY_PROJECT)
        assert group in api.get(GROUPS, project_id=LEGACY_PROJECT).json()["results"]
        prolific_emulator.set(project_owner=False)
        assert list(api.error(api.call("POST", GROUPS, json=body), 400)["detail"]) == ["workspace_id"]

    @pytest.mark.parametrize("description", ["", " "])
    def test_a_description_may_be_empty_unless_that_is_switched_off(self, api, prolific_emulator, description):
        body = {"name": "New", "workspace_id": LANGUAGE_LAB, "description": description}
        assert api.shape(api.call("POST", GROUPS, json=body), 201, "group")["description"] == description
        prolific_emulator.set(empty_description=False)
        assert list(api.error(api.call("POST", GROUPS, json=body), 400)["detail"]) == ["description"]
        assert api.call("POST", GROUPS, json={**body, "description": None}).status_code == 201

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
    def test_a_body_that_is_no_json_object_is_refused(self, api, body):
        api.error(api.call("POST", GROUPS, data=body), 400)

    @pytest.mark.parametrize(
        "owner", [{"workspace_id": MISSING}, {"organisation_id": MISSING}, {"project_id": MISSING}]
    )
    def test_an_owner_out_of_sight_is_not_found(self, api, owner):
        api.error(api.call("POST", GROUPS, json={"name": "New", **owner}), 404)

    def test_an_unknown_participant_makes_no_group(self, api, prolific_emulator):
        before = len(prolific_emulator.groups())
        body = {"name": "New", "workspace_id": LANGUAGE_LAB, "participant_ids": [UNKNOWN_PARTICIPANT]}
        assert api.error(api.call("POST", GROUPS, json=body), 400)["error_code"] == 140003
        assert len(prolific_emulator.groups()) == before


class TestOneGroup:
    def test_a_group_is_answered_by_its_id(self, api, group_id):
        assert api.shape(api.get(f"{GROUPS}{group_id}/"), 200, "group")["name"] == "Wave 2 invited"

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    def test_an_unknown_group_is_not_found(self, api, method):
        api.error(api.call(method, f"{GROUPS}{MISSING}/", json={}), 404)

    def test_patch_renames(self, api, group_id):
        group = api.shape(api.call("PATCH", f"{GROUPS}{group_id}/", json={"name": "Renamed"}), 200, "group")
        assert group["name"] == "Renamed"

    def test_patch_replaces_the_whole_membership(self, api, prolific_emulator):
        group_id = prolific_emulator.group_id("Wave 1 completed")
        stays = next(iter(prolific_emulator.members(group_id)))
        joined_at = prolific_emulator.members(group_id)[stays]
        body = {"participant_ids": [PARTICIPANT, stays]}
        group = api.shape(api.call("PATCH", f"{GROUPS}{group_id}/", json=body), 200, "group")
        assert group["participant_count"] == 2
        members = prolific_emulator.members(group_id)
        assert list(members) == [PARTICIPANT, stays]
        assert members[stays] == joined_at

    def test_patch_without_participants_leaves_the_membership_alone(self, api, prolific_emulator):
        group_id = prolific_emulator.group_id("Wave 1 completed")
        body = {"name": "Renamed"}
        assert api.call("PATCH", f"{GROUPS}{group_id}/", json=body).json()["participant_count"] == 40

    @pytest.mark.parametrize(
        ("body", "field"), [({"name": ""}, "name"), ({"participant_ids": None}, "participant_ids")]
    )
    def test_patch_names_the_bad_field(self, api, group_id, body, field):
        assert field in api.error(api.call("PATCH", f"{GROUPS}{group_id}/", json=body), 400)["detail"]

    def test_patch_with_an_unknown_participant_changes_nothing(self, api, group_id):
        body = {"name": "Renamed", "participant_ids": [PARTICIPANT, UNKNOWN_PARTICIPANT]}
        answer = api.call("PATCH", f"{GROUPS}{group_id}/", json=body)
        assert api.error(answer, 400)["error_code"] == 140003
        group = api.get(f"{GROUPS}{group_id}/").json()
        assert (group["name"], group["participant_count"]) == ("Wave 2 invited", 0)

    def test_delete_is_soft(self, api, group_id):
        answer = api.call("DELETE", f"{GROUPS}{group_id}/")
        assert (answer.status_code, answer.content) == (204, b"")
        assert api.shape(api.get(f"{GROUPS}{group_id}/"), 200, "group")["is_deleted"] is True
        assert "Wave 2 invited" in names(api.get(GROUPS, workspace_id=MEMORY_LAB, active="false").json())
        assert "Wave 2 invited" not in names(api.get(GROUPS, workspace_id=MEMORY_LAB, active="true").json())

    @pytest.mark.parametrize(
        ("method", "path"),
        [("PATCH", ""), ("DELETE", ""), ("POST", "participants/"), ("DELETE", "participants/")],
    )
    def test_a_deleted_group_can_not_be_changed(self, api, prolific_emulator, method, path):
        group_id = prolific_emulator.group_id("Old pilot")
        body = {"participant_ids": [PARTICIPANT]}
        api.error(api.call(method, f"{GROUPS}{group_id}/{path}", json=body), 404)

    def test_a_deleted_groups_own_answer_may_not_say_so(self, api, prolific_emulator):
        prolific_emulator.set(tell_deleted=False)
        group_id = prolific_emulator.group_id("Old pilot")
        group = api.get(f"{GROUPS}{group_id}/").json()
        assert group["name"] == "Old pilot"
        assert "is_deleted" not in group
        assert api.get(GROUPS, workspace_id=MEMORY_LAB, active="false").json()["results"][0]["is_deleted"]
        api.error(api.call("DELETE", f"{GROUPS}{group_id}/"), 404)

    def test_the_members_of_a_deleted_group_stay_readable(self, api, prolific_emulator):
        group_id = prolific_emulator.group_id("Old pilot")
        assert len(api.get(f"{GROUPS}{group_id}/participants/").json()["results"]) == 8


class TestParticipants:
    def test_members_are_listed_with_and_without_fractions_of_a_second(self, api, prolific_emulator):
        group_id = prolific_emulator.group_id("Exclusion list")
        membership = api.shape(api.get(f"{GROUPS}{group_id}/participants/"), 200, "membership")
        assert member_ids(membership) == list(prolific_emulator.members(group_id))
        has_fraction = {"." in member["datetime_created"] for member in membership["results"]}
        assert has_fraction == {True, False}

    def test_adding_answers_200_and_ignores_those_who_are_members(self, api, group_id):
        url = f"{GROUPS}{group_id}/participants/"
        api.shape(api.call("POST", url, json={"participant_ids": [PARTICIPANT]}), 200, "membership")
        body = {"participant_ids": [PARTICIPANT, ANOTHER_PARTICIPANT, ANOTHER_PARTICIPANT]}
        membership = api.shape(api.call("POST", url, json=body), 200, "membership")
        assert member_ids(membership) == [PARTICIPANT, ANOTHER_PARTICIPANT]
        assert api.get(f"{GROUPS}{group_id}/").json()["participant_count"] == 2

    def test_removing_takes_a_json_body_and_ignores_those_who_are_no_members(self, api, group_id):
        url = f"{GROUPS}{group_id}/participants/"
        api.call("POST", url, json={"participant_ids": [PARTICIPANT, ANOTHER_PARTICIPANT]})
        body = {"participant_ids": [PARTICIPANT, UNKNOWN_PARTICIPANT]}
        membership = api.shape(api.call("DELETE", url, json=body), 200, "membership")
        assert member_ids(membership) == [ANOTHER_PARTICIPANT]

    def test_adding_and_removing_may_answer_without_a_body(self, api, group_id, prolific_emulator):
        prolific_emulator.set(empty_success=True)
        for method, count in (("POST", 1), ("DELETE", 0)):
            body = {"participant_ids": [PARTICIPANT]}
            answer = api.call(method, f"{GROUPS}{group_id}/participants/", json=body)
            assert (answer.status_code, answer.content) == (200, b"")
            assert len(prolific_emulator.members(group_id)) == count

    @pytest.mark.parametrize("unknown", [UNKNOWN_PARTICIPANT, "somebody", "", PARTICIPANT.upper() + "\n"])
    def test_one_unknown_participant_and_nobody_is_added(self, api, group_id, unknown):
        body = {"participant_ids": [PARTICIPANT, unknown]}
        error = api.error(api.call("POST", f"{GROUPS}{group_id}/participants/", json=body), 400)
        assert error["error_code"] == 140003
        assert api.get(f"{GROUPS}{group_id}/").json()["participant_count"] == 0

    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    @pytest.mark.parametrize("body", [{}, {"participant_ids": "x"}, {"participant_ids": [1]}])
    def test_participant_ids_must_be_a_list_of_texts(self, api, group_id, method, body):
        answer = api.call(method, f"{GROUPS}{group_id}/participants/", json=body)
        assert "participant_ids" in api.error(answer, 400)["detail"]

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_the_members_of_an_unknown_group_are_not_found(self, api, method):
        answer = api.call(method, f"{GROUPS}{MISSING}/participants/", json={"participant_ids": []})
        api.error(answer, 404)


class TestMessages:
    URL = "messages/participant-group/"

    def test_a_message_is_kept_for_the_test_to_read(self, api, prolific_emulator):
        group_id = prolific_emulator.group_id("Exclusion list")
        sent = {"participant_group_id": group_id, "body": "Hello", "study_id": "64d000000000000000000001"}
        answer = api.call("POST", self.URL, json=sent)
        assert (answer.status_code, answer.content) == (204, b"")
        [message] = prolific_emulator.messages()
        assert sent.items() <= message.items()
        assert message["recipient_count"] == 25

    def test_the_study_may_be_left_out(self, api, group_id, prolific_emulator):
        assert api.call("POST", self.URL, json={"participant_group_id": group_id, "body": "Hi"}).ok
        assert prolific_emulator.messages()[0]["study_id"] is None

    @pytest.mark.parametrize("missing", ["participant_group_id", "body"])
    def test_a_bad_message_is_refused_without_the_envelope(self, api, group_id, missing):
        sent = {"participant_group_id": group_id, "body": "Hello"}
        del sent[missing]
        error = api.shape(api.call("POST", self.URL, json=sent), 400, "flat_error")
        assert list(error["detail"]) == [missing]

    def test_a_message_to_an_unknown_group_is_not_found(self, api):
        api.error(api.call("POST", self.URL, json={"participant_group_id": MISSING, "body": "Hello"}), 404)


class TestStudies:
    def test_a_feeder_study_can_be_read(self, api):
        study = api.shape(api.get("studies/64d000000000000000000003/"), 200, "study")
        assert (study["internal_name"], study["status"]) == ("Language pilot", "COMPLETED")

    def test_an_unknown_study_is_not_found(self, api):
        api.error(api.get(f"studies/{MISSING}/"), 404)


def test_a_growing_group_reaches_a_count_when_its_nth_member_joins(api, prolific_emulator):
    group_id = prolific_emulator.create_group("Growing", growth_per_second=100, growth_limit=5)
    while (count := api.get(f"{GROUPS}{group_id}/").json()["participant_count"]) < 5:
        assert count <= 5
    joined = list(prolific_emulator.members(group_id).values())
    assert [prolific_emulator.reached_at(group_id, number) for number in range(1, 6)] == joined
    assert joined[4] - joined[0] == pytest.approx(0.04, abs=1e-6)
    assert prolific_emulator.reached_at(group_id, 6) is None


def test_participant_ids_are_24_hex_digits(api, prolific_emulator):
    group_id = prolific_emulator.group_id("Wave 1 completed")
    ids = member_ids(api.get(f"{GROUPS}{group_id}/participants/").json())
    assert len(set(ids)) == 40
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in ids)
