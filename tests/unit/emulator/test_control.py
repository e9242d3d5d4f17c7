"""The control calls of the emulator, as `Emulator` offers them."""

from __future__ import annotations

import json
import time

import pytest

from airflow_provider_prolific.emulator import EmulatorClient, EmulatorError

GROUPS = "participant-groups/"
SMALL_SEED = {
    "users": [{"id": "u", "email": "a@example.com", "tokens": ["small"], "workspaces": ["w"]}],
    "workspaces": [{"id": "w", "name": "Small"}],
    "groups": [{"id": "g", "name": "Only one", "workspace_id": "w", "participant_count": 3}],
    "settings": {"paging": "none"},
}


class TestReset:
    def test_a_seed_given_to_reset_replaces_everything(self, api, prolific_emulator):
        prolific_emulator.reset(SMALL_SEED)
        assert (prolific_emulator.token, prolific_emulator.workspace_id) == ("small", "w")
        api.error(api.get("users/me/"), 401)
        api.session.headers["Authorization"] = "Token small"
        answer = api.get(GROUPS, workspace_id="w").json()
        assert answer.keys() == {"results"}
        assert [group["name"] for group in answer["results"]] == ["Only one"]

    def test_reset_without_a_seed_goes_back_to_where_the_emulator_began(self, prolific_emulator):
        prolific_emulator.reset(SMALL_SEED)
        prolific_emulator.reset()
        assert prolific_emulator.token == "emulator-token"
        assert prolific_emulator.state()["group_count"] == 13

    def test_reset_empties_messages_and_the_request_log(self, api, prolific_emulator):
        group_id = prolific_emulator.group_id("Exclusion list")
        api.call("POST", "messages/participant-group/", json={"participant_group_id": group_id, "body": "Hello"})
        prolific_emulator.reset()
        assert prolific_emulator.messages() == prolific_emulator.requests() == []

    def test_a_bad_seed_is_refused_and_changes_nothing(self, prolific_emulator):
        with pytest.raises(EmulatorError, match="workspaces"):
            prolific_emulator.reset({**SMALL_SEED, "workspaces": []})
        assert prolific_emulator.state()["group_count"] == 13


class TestGroups:
    def test_a_group_is_found_by_its_name(self, prolific_emulator):
        assert prolific_emulator.group_id("Screened adults") == "64e000000000000000000001"

    def test_a_name_that_none_or_several_groups_have_is_refused(self, prolific_emulator):
        prolific_emulator.create_groups(2, "Twins")
        for name in ("Nobody", "Twins"):
            with pytest.raises(LookupError, match=name):
                prolific_emulator.group_id(name)

    def test_the_workspace_tells_two_groups_of_one_name_apart(self, prolific_emulator):
        wanted = prolific_emulator.create_group("Exclusion list", workspace_id="64a000000000000000000002")
        assert prolific_emulator.group_id("Exclusion list", "64a000000000000000000002") == wanted

    def test_many_groups_are_made_in_one_go(self, api, prolific_emulator):
        ids = prolific_emulator.create_groups(10_000, "Cell {number}", participant_count=300)
        assert len(set(ids)) == 10_000
        group = api.shape(api.get(f"{GROUPS}{ids[41]}/"), 200, "group")
        assert (group["name"], group["participant_count"]) == ("Cell 42", 300)

    def test_ten_thousand_groups_are_listed_in_pages(self, api, prolific_emulator):
        prolific_emulator.create_groups(10_000, participant_count=300)
        query = {"workspace_id": prolific_emulator.workspace_id, "active": "true", "limit": 200}
        for page in range(20):
            assert len(api.get(GROUPS, **query, offset=page * 200).json()["results"]) == 200

    def test_a_group_is_made_with_members_and_growth(self, prolific_emulator):
        participant = "5f0000000000000000000001"
        group_id = prolific_emulator.create_group(
            "Made", participant_ids=[participant], growth_per_second=1, growth_limit=9, description="By hand"
        )
        group = prolific_emulator.group(group_id)
        assert (group["participant_count"], group["description"]) == (1, "By hand")
        assert (group["growth_per_second"], group["growth_limit"]) == (1, 9)
        assert list(prolific_emulator.members(group_id)) == [participant]

    @pytest.mark.parametrize(
        ("changes", "field", "value"),
        [
            ({"name": "Renamed"}, "name", "Renamed"),
            ({"description": None}, "description", None),
            ({"participant_count": 7}, "participant_count", 7),
            ({"participant_count": 90}, "participant_count", 90),
            ({"add_members": 2}, "participant_count", 42),
            ({"remove_members": 15}, "participant_count", 25),
            ({"remove_members": 99}, "participant_count", 0),
            ({"is_deleted": True}, "is_deleted", True),
            ({"growth_limit": 50}, "growth_limit", 50),
        ],
    )
    def test_a_group_is_changed_behind_the_apis_back(self, api, prolific_emulator, changes, field, value):
        group_id = prolific_emulator.group_id("Wave 1 completed")
        assert prolific_emulator.set_group(group_id, **changes)[field] == value
        answer = api.get(f"{GROUPS}{group_id}/").json()
        assert answer.get(field, value) == value
        assert len(prolific_emulator.members(group_id)) == answer["participant_count"]

    def test_a_deleted_group_comes_back(self, api, prolific_emulator):
        group_id = prolific_emulator.group_id("Old pilot")
        prolific_emulator.set_group(group_id, is_deleted=False)
        assert api.call("PATCH", f"{GROUPS}{group_id}/", json={"name": "Alive"}).status_code == 200

    def test_growth_begins_when_it_is_set(self, prolific_emulator):
        group_id = prolific_emulator.group_id("Wave 2 invited")
        before = time.time()
        prolific_emulator.set_group(group_id, growth_per_second=20, growth_limit=2)
        after = time.time()
        deadline = time.monotonic() + 5
        while (reached_at := prolific_emulator.reached_at(group_id, 2)) is None:
            assert time.monotonic() < deadline
        assert before <= reached_at - 0.1 <= after

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda emulator: emulator.set_group("gone", name="x"), "Nothing with this id"),
            (lambda emulator: emulator.set_group("64e000000000000000000001", size=3), "the request: size is not known"),
            (lambda emulator: emulator.create_group("x", workspace_id="gone"), "no workspace 'gone'"),
            (lambda emulator: emulator.create_groups(-1), "count must be"),
            (lambda emulator: emulator.set(paging="half"), "paging must be"),
            (lambda emulator: emulator.add_fault("explode"), "must be one of 'status'"),
            (lambda emulator: emulator.revoke_token("gone"), "no such token"),
            (lambda emulator: emulator.reached_at("64e000000000000000000001", "many"), "count"),
        ],
    )
    def test_what_makes_no_sense_is_refused_in_words(self, prolific_emulator, call, words):
        with pytest.raises(EmulatorError, match=words):
            call(prolific_emulator)


class TestRequestLog:
    def test_a_request_is_noted_with_its_query_and_status(self, api, prolific_emulator):
        before = time.time()
        api.call("GET", GROUPS, params={"workspace_id": "gone"}, headers={"User-Agent": "tester/1"})
        [entry] = prolific_emulator.requests()
        assert before <= entry.pop("time") <= time.time()
        assert entry == {
            "method": "GET",
            "path": "/api/v1/participant-groups/?workspace_id=gone",
            "status": 404,
            "user_agent": "tester/1",
            "has_token": True,
            "fault": None,
        }

    def test_the_log_never_holds_the_token(self, api, prolific_emulator):
        api.get("users/me/")
        api.session.headers["Authorization"] = None
        api.get("users/me/")
        entries = prolific_emulator.requests()
        assert [entry["has_token"] for entry in entries] == [True, False]
        assert prolific_emulator.token not in json.dumps(entries)

    def test_a_fault_is_noted_and_a_lost_answer_has_no_status(self, api, prolific_emulator):
        prolific_emulator.add_fault("status", status=429, count=1)
        prolific_emulator.add_fault("disconnect", count=1)
        api.get("users/me/")
        with pytest.raises(OSError, match="Connection aborted"):
            api.get("users/me/")
        noted = [(entry["fault"], entry["status"]) for entry in prolific_emulator.requests()]
        assert noted == [("status", 429), ("disconnect", None)]

    def test_control_requests_are_not_noted(self, prolific_emulator):
        prolific_emulator.state()
        assert prolific_emulator.request_count() == 0

    def test_the_newest_entries_can_be_asked_for_alone(self, api, prolific_emulator):
        for path in ("users/me/", "studies/x/"):
            api.get(path)
        assert [entry["path"] for entry in prolific_emulator.requests(newest=1)] == ["/api/v1/studies/x/"]
        assert prolific_emulator.request_count() == 2

    def test_the_log_can_be_emptied(self, api, prolific_emulator):
        api.get("users/me/")
        prolific_emulator.clear_requests()
        assert prolific_emulator.requests() == []
        assert prolific_emulator.request_count() == 0


def test_the_connection_is_what_airflow_reads_from_the_environment(prolific_emulator):
    connection = json.loads(prolific_emulator.connection_json())
    assert connection == {
        "conn_type": "prolific",
        "host": prolific_emulator.url,
        "password": "emulator-token",
        "extra": {"workspace_id": "64a000000000000000000001"},
    }
    connection = json.loads(prolific_emulator.connection_json(project_id="p"))
    assert connection["extra"] == {"project_id": "p"}


def test_a_second_client_finds_a_running_emulator_by_its_url(prolific_emulator):
    client = EmulatorClient(prolific_emulator.url)
    assert (client.token, client.workspace_id) == (prolific_emulator.token, prolific_emulator.workspace_id)


def test_a_client_says_when_nothing_answers():
    with pytest.raises(EmulatorError, match="no answer"):
        EmulatorClient("http://127.0.0.1:9")
