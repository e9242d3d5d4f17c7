"""The default seed is as documented, and a bad one is refused in words."""

from __future__ import annotations

from copy import deepcopy

import pytest

from airflow_provider_prolific.emulator.seed import SeedError, check_seed, default_seed, load_seed

GROUP = {"id": "g", "name": "A group", "workspace_id": "64a000000000000000000001"}


def test_the_default_seed_is_in_order():
    check_seed(default_seed())


def test_the_default_seed_holds_what_demos_and_tests_look_up_by_name():
    groups = {group["name"]: group for group in default_seed()["groups"]}
    screened = groups["Screened adults"]
    assert screened.keys() == {"id", "name", "description", "workspace_id"}
    assert groups["Wave 1 completed"]["participant_count"] == 40
    assert "participant_count" not in groups["Wave 2 invited"]
    assert groups["Exclusion list"]["participant_count"] == 25
    assert sum(name.startswith("Quota: ") for name in groups) == 4
    assert [name for name, group in groups.items() if group.get("is_deleted")] == ["Old pilot"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"grups": []}, ["the seed: grups is not known here"]),
        ({"groups": {"id": "g"}}, ["the seed: groups must be a valid list"]),
        ({"groups": [{"id": "g", "workspace_id": "w"}]}, ["groups, entry 1", "name is missing"]),
        ({"groups": [GROUP, GROUP]}, ["groups, entry 2", "'g' is used"]),
        ({"groups": [{**GROUP, "growth": 2}]}, ["groups, entry 1 ('A group'): growth is not known here"]),
        ({"groups": [{**GROUP, "growth_per_second": "fast"}]}, ["growth_per_second", "number", "'fast'"]),
        ({"groups": [{**GROUP, "growth_per_second": float("inf")}]}, ["growth_per_second", "inf"]),
        ({"groups": [{**GROUP, "participant_count": -1}]}, ["participant_count", "-1"]),
        ({"groups": [{**GROUP, "participant_count": True}]}, ["participant_count", "True"]),
        ({"groups": [{**GROUP, "participant_count": 1, "participant_ids": []}]}, ["not both"]),
        ({"groups": [{**GROUP, "workspace_id": "elsewhere"}]}, ["'elsewhere'", "workspaces"]),
        ({"groups": [{"id": "g", "name": "A group", "project_id": "gone"}]}, ["'gone'", "projects"]),
        ({"groups": [{"id": "g", "name": "A group"}]}, ["A group", "workspace_id, project_id"]),
        ({"groups": [{**GROUP, "project_id": "64b000000000000000000001"}]}, ["one of workspace_id"]),
        ({"groups": [{**GROUP, "feeders": [{"study": "s", "code": "c"}]}]}, ["feeders", "action is missing"]),
        (
            {"groups": [{**GROUP, "feeders": [{"study": "s", "code": "c", "action": "ADD"}]}]},
            ["action", "ADD_TO_PARTICIPANT_GROUP"],
        ),
        (
            {
                "groups": [
                    {
                        **GROUP,
                        "feeders": [{"study": "s", "code": "c", "action": "ADD_TO_PARTICIPANT_GROUP"}],
                    }
                ]
            },
            ["'s'", "studies"],
        ),
        ({"workspaces": []}, ["workspaces"]),
        ({"users": []}, ["token"]),
        ({"users": [{"id": "u", "email": "a@example.com"}]}, ["users, entry 1", "tokens is missing"]),
        (
            {
                "users": [
                    {"id": "u", "email": "a@example.com", "tokens": ["t"]},
                    {"id": "v", "email": "b@example.com", "tokens": ["t"]},
                ]
            },
            ["b@example.com", "'t' is used"],
        ),
        (
            {"users": [{"id": "u", "email": "a@example.com", "tokens": ["t"], "workspaces": ["w"]}]},
            ["a@example.com", "'w'"],
        ),
        ({"projects": [{"id": "p", "name": "P", "workspace_id": "w"}], "groups": []}, ["projects", "'w'"]),
        ({"settings": {"paging": "some"}}, ["settings", "paging", "'some'"]),
        ({"settings": 1}, ["settings", "a table"]),
    ],
)
def test_a_bad_seed_is_refused_and_the_message_names_what_is_wrong(change, words):
    seed = deepcopy(default_seed()) | change
    with pytest.raises(SeedError) as refused:
        check_seed(seed)
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize(("content", "words"), [(b"groups = [", "not a TOML file"), (b"\xff\xfe", "not a TOML file")])
def test_a_file_that_is_no_toml_is_refused_by_its_name(tmp_path, content, words):
    path = tmp_path / "seed.toml"
    path.write_bytes(content)
    with pytest.raises(SeedError, match=words) as refused:
        load_seed(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path):
    with pytest.raises(SeedError, match=r"gone\.toml"):
        load_seed(tmp_path / "gone.toml")
