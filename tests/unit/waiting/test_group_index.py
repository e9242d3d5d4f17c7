"""Which group is meant by an id or a name, what looks like it, and what is close to it."""

from __future__ import annotations

import pytest

from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.waiting.group_index import MAX_COMPARED, GroupIndex, check_live, describe_groups

DECOMPOSED = "Di\u0301a 2"
COMPOSED = "D\u00eda 2"

#: A name, and one that people take for it.
LOOK_ALIKES = [
    ("Wave 1", "Wave 1 "),
    ("Wave 1", " Wave 1"),
    ("Wave 1", "wave 1"),
    ("Wave 1", "WAVE 1"),
    ("Wave 1", "Wave  1"),
    ("Wave 1", "Wave\u00a01"),
    ("Wave 1", "Wave 1\u200b"),
    ("Wave 1", "\ufeffWave 1"),
    ("Wave 1", "Wave 1\n"),
    ("Straße", "STRASSE"),
    (COMPOSED, DECOMPOSED.upper()),
]


def live(id, name):
    return {"id": id, "name": name}


def deleted(id, name):
    return {"id": id, "name": name, "is_deleted": True}


class TestFind:
    def test_a_group_is_found_by_its_id_or_its_exact_name(self):
        index = GroupIndex([live("g1", "A"), live("g2", "B")])

        assert index.find("g2") == index.find("B") == live("g2", "B")

    def test_what_no_group_has_is_not_found(self):
        assert GroupIndex([live("g1", "A")]).find("B") is None

    def test_an_id_goes_before_a_name(self):
        assert GroupIndex([live("g1", "g2"), live("g2", "B")]).find("g2") == live("g2", "B")

    @pytest.mark.parametrize(("key", "name"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
    def test_a_name_is_the_same_in_either_form_of_unicode(self, key, name):
        assert GroupIndex([live("g1", name)]).find(key) == live("g1", name)

    def test_a_name_that_live_groups_share_is_refused_with_their_ids(self):
        index = GroupIndex([live("g2", "Twin"), live("g1", "Twin"), deleted("g0", "Twin"), live("g3", "Other")])

        with pytest.raises(ProlificError, match=r"^2 participant groups are named 'Twin': g1, g2\. Name the one"):
            index.find("Twin")

    def test_names_that_differ_in_their_unicode_form_alone_are_shared_too(self):
        with pytest.raises(ProlificError, match="g1, g2"):
            GroupIndex([live("g1", COMPOSED), live("g2", DECOMPOSED)]).find(COMPOSED)

    def test_the_id_tells_groups_of_one_name_apart(self):
        assert GroupIndex([live("g1", "Twin"), live("g2", "Twin")]).find("g2") == live("g2", "Twin")

    def test_a_live_group_goes_before_deleted_ones_of_its_name(self):
        index = GroupIndex([deleted("g1", "Twin"), live("g2", "Twin"), deleted("g3", "Twin")])

        assert index.find("Twin") == live("g2", "Twin")

    def test_a_deleted_group_is_found_where_no_live_one_has_its_name(self):
        assert GroupIndex([deleted("g1", "Gone"), deleted("g2", "Gone")]).find("Gone")["is_deleted"]

    @pytest.mark.parametrize(("key", "name"), LOOK_ALIKES)
    def test_a_look_alike_is_neither_taken_nor_ignored(self, key, name):
        index = GroupIndex([live("g1", name), live("g2", "Other")])

        with pytest.raises(ProlificError) as refusal:
            index.find(key)

        assert str(refusal.value) == (
            f"no participant group {key!r}; nearest: {name!r} (g1); upper and lower case and spaces matter"
        )

    @pytest.mark.parametrize(("key", "name"), LOOK_ALIKES)
    def test_the_exact_name_is_taken_beside_its_look_alike(self, key, name):
        index = GroupIndex([live("g1", name), live("g2", key)])

        assert (index.find(key), index.find(name)) == (live("g2", key), live("g1", name))

    def test_a_deleted_look_alike_is_ignored(self):
        assert GroupIndex([deleted("g1", "wave 1")]).find("Wave 1") is None


class Hook:
    """Lists groups, as the hook does."""

    def __init__(self, *groups):
        self.groups = groups
        self.asked = []

    def default_scope(self):
        return ("workspace_id", "w1")

    def list_participant_groups(self, filter, active):
        self.asked.append((filter, active))
        return self.groups


class TestRead:
    @pytest.mark.parametrize(
        ("filter", "groups", "words"),
        [
            (None, [], "in workspace w1 (0 groups); it may"),
            ({"workspace_id": "w2"}, [live("g1", "A"), deleted("g2", "B")], "in workspace w2 (1 group); it may"),
            (
                {"project_id": "p1"},
                [live("g1", "A"), live("g2", "Elder")],
                "in project p1 (2 groups); nearest: 'Elder'",
            ),
        ],
    )
    def test_a_missing_group_is_told_with_the_scope_and_how_many_live_groups_it_has(self, filter, groups, words):
        hook = Hook(*groups)

        with pytest.raises(ProlificError) as refusal:
            GroupIndex.read(hook, filter, active=None).require("Elders")

        assert str(refusal.value).startswith(f"no participant group 'Elders' {words}")
        assert hook.asked == [(filter or {"workspace_id": "w1"}, None)]


class TestNamed:
    def test_an_id_is_not_a_name(self):
        assert GroupIndex([live("g1", "A")]).named("g1") is None

    def test_look_alikes_do_not_count(self):
        assert GroupIndex([live("g1", "wave 1")]).named("Wave 1") is None


class TestSimilar:
    def test_all_look_alikes_and_not_the_name_itself(self):
        index = GroupIndex([live("g1", "Wave 1"), live("g2", "wave 1"), live("g3", "Wave 1 "), live("g4", "Wave 2")])

        assert [group["id"] for group in index.similar("Wave 1")] == ["g2", "g3"]


class TestRequire:
    def test_a_live_group_is_returned(self):
        assert GroupIndex([live("g1", "A")]).require("A") == live("g1", "A")

    @pytest.mark.parametrize("key", ["g1", "Gone"])
    def test_a_deleted_group_is_an_error_that_says_so(self, key):
        with pytest.raises(ProlificError, match=r"^participant group 'Gone' \(g1\) has been deleted$"):
            GroupIndex([deleted("g1", "Gone")]).require(key)

    def test_a_missing_group_is_an_error_that_says_what_may_have_become_of_it(self):
        with pytest.raises(ProlificError) as refusal:
            GroupIndex([live("g1", "Adults")]).require("Elders")

        assert str(refusal.value) == (
            "no participant group 'Elders'; it may have been deleted, or be in another workspace"
        )
        assert not refusal.value.transient

    def test_the_names_that_are_close_are_offered_the_closest_first(self):
        index = GroupIndex([live("g1", "Screened adults 2024"), live("g2", "Screened adults"), live("g3", "Elders")])

        with pytest.raises(ProlificError, match=r"; nearest: 'Screened adults' \(g2\) or 'Screened adults 2024' \(g"):
            index.require("Screened adlts")

    def test_only_a_few_are_offered_and_none_that_has_been_deleted(self):
        index = GroupIndex(
            [deleted("g0", "Wave 10"), *(live(f"g{number}", f"Wave {number}") for number in range(1, 9))]
        )

        with pytest.raises(ProlificError) as refusal:
            index.require("Wave 0")

        assert str(refusal.value).count("(g") == 3
        assert "g0" not in str(refusal.value)

    def test_a_workspace_of_any_size_is_compared_in_part(self):
        groups = [live(f"g{number}", f"{number} " + "x" * 90) for number in range(MAX_COMPARED)]

        with pytest.raises(ProlificError) as refusal:
            GroupIndex([*groups, live("late", "Screened adults")]).require("Screened adlts")

        assert "nearest" not in str(refusal.value)


def test_rows_need_no_more_than_id_and_name():
    assert GroupIndex([{"id": "g1", "name": "A"}]).require("A") == {"id": "g1", "name": "A"}


@pytest.mark.parametrize("is_deleted", [None, False])
def test_a_group_is_live_unless_it_says_otherwise(is_deleted):
    check_live({"id": "g1", "name": "A", "is_deleted": is_deleted})


def test_groups_in_words_are_printable():
    assert describe_groups([live("g\n1", "A\u2028"), live("g2", "B")]) == r"'A\u2028' (g\n1) or 'B' (g2)"
