"""Workspaces, projects, money and filter sets, call by call."""

from __future__ import annotations

import pytest

MEMORY_LAB = "64a000000000000000000001"
LANGUAGE_LAB = "64a000000000000000000002"
PROJECT = "64b000000000000000000002"
MISSING = "64a0000000000000000000ff"
FILTERS = [{"filter_id": "participant_group_allowlist", "selected_values": ["64e000000000000000000002"]}]


def test_workspaces_have_titles(api):
    page = api.shape(api.get("workspaces/"), 200, "titled_list")
    assert [each["title"] for each in page["results"]] == ["Memory lab", "Language lab"]
    workspace = api.shape(api.get(f"workspaces/{LANGUAGE_LAB}/"), 200, "titled")
    assert [each["title"] for each in workspace["projects"]] == ["Reading"]


def test_projects_belong_to_a_workspace(api):
    page = api.shape(api.get(f"workspaces/{MEMORY_LAB}/projects/"), 200, "titled_list")
    assert [each["title"] for each in page["results"]] == ["Legacy project", "Word memory"]
    assert api.shape(api.get(f"projects/{PROJECT}/"), 200, "titled")["workspace"] == MEMORY_LAB


def test_the_balance_that_is_available_is_what_active_studies_leave(api, prolific_emulator):
    for study in prolific_emulator.studies():
        prolific_emulator.set_study(study["id"], status="UNPUBLISHED")
    balance = api.shape(api.get(f"workspaces/{MEMORY_LAB}/balance/"), 200, "balance")
    assert (balance["total_balance"], balance["available_balance"]) == (500_000, 500_000)
    prolific_emulator.create_study("Costly", status="ACTIVE", reward=1000, total_available_places=10, project=PROJECT)
    balance = api.get(f"workspaces/{MEMORY_LAB}/balance/").json()
    # 10 rewards of 10.00, with a third on top, and a fifth of the third.
    assert (balance["total_balance"], balance["available_balance"]) == (500_000, 486_000)
    assert sum(balance["available_balance_breakdown"].values()) == 486_000
    assert api.get(f"workspaces/{LANGUAGE_LAB}/balance/").json()["available_balance"] == 1_000_000


def test_the_user_shows_the_accounts_own_money(api):
    user = api.shape(api.get("users/me/"), 200, "user")
    assert (user["balance"], user["currency_code"]) == (500_000, "GBP")
    assert user["available_balance"] < user["balance"]


@pytest.mark.parametrize("path", ["", "balance/", "projects/"])
def test_what_a_user_does_not_see_is_not_found(api, path):
    api.error(api.get(f"workspaces/{MISSING}/{path}"), 404)
    api.session.headers["Authorization"] = "Token colleague-token"
    api.error(api.get(f"workspaces/{MEMORY_LAB}/{path}"), 404)
    api.error(api.get(f"projects/{PROJECT}/"), 404)
    assert len(api.get("workspaces/").json()["results"]) == 1


class TestFilterSets:
    @pytest.fixture
    def filter_set(self, api):
        answer = api.post("filter-sets/", name="Members", workspace_id=MEMORY_LAB, filters=FILTERS)
        return api.shape(answer, 201, "filter_set")

    def test_one_can_be_made_and_read(self, api, filter_set):
        assert filter_set["filters"] == FILTERS
        assert api.shape(api.get(f"filter-sets/{filter_set['id']}/"), 200, "filter_set") == filter_set
        assert api.get("filter-sets/", workspace_id=MEMORY_LAB).json() == {"results": [filter_set]}
        assert api.get("filter-sets/", workspace_id=LANGUAGE_LAB).json() == {"results": []}

    def test_a_draft_can_take_its_filters_from_one(self, api, filter_set):
        url = "studies/64d000000000000000000005/"
        study = api.shape(api.call("PATCH", url, json={"filter_set_id": filter_set["id"]}), 200, "study")
        assert study["filter_set_id"] == filter_set["id"]
        assert "filters" in api.error(api.call("PATCH", url, json={"filters": FILTERS}), 400)["detail"]

    def test_another_users_is_not_found(self, api, filter_set):
        api.session.headers["Authorization"] = "Token colleague-token"
        api.error(api.get(f"filter-sets/{filter_set['id']}/"), 404)
        api.error(api.get("filter-sets/gone/"), 404)
        api.error(api.post("filter-sets/", name="Mine", workspace_id=MEMORY_LAB, filters=[]), 404)
