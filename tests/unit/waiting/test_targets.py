"""The gate's arithmetic: who has reached, who is short, who is missing."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.targets import (
    Gate,
    GroupIndex,
    describe,
    describe_all,
    describe_short,
    parse_targets,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from(["a", "b", "c", "d", "Alpha", "Beta", "Gamma"])
TARGETS = st.dictionaries(KEYS, st.integers(1, 5), min_size=1, max_size=4)
GROUPS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", "c", "d"]),
            "name": st.sampled_from(["Alpha", "Beta", "a"]),
            "participant_count": st.integers(0, 6),
            "is_deleted": st.sampled_from([False, False, False, True, None]),
        }
    ),
    max_size=4,
    unique_by=lambda group: group["id"],
)
MATCH = st.sampled_from(["all", "any"])
IF_MISSING = st.sampled_from(["fail", "wait"])


def judge(targets, groups, match=r"all", if_missing="fail"):
    return Gate(targets, match, if_missing).judge(GroupIndex(groups))


class TestJudge:
    @pytest.mark.parametrize(("count", "reached"), [(0, False), (299, False), (300, True), (301, True)])
    def test_a_target_is_reached_from_its_count_upwards(self, group, count, reached):
        verdict = judge({"g1": 300}, [group("g1", "Screened adults", count)])

        assert verdict.done is reached
        assert verdict.statuses == [
            {
                "id": "g1",
                "name": "Screened adults",
                "participant_count": count,
                "target_count": 300,
                "reached": reached,
            }
        ]

    @pytest.mark.parametrize(
        ("match", "counts", "done"),
        [
            ("all", (0, 0), False),
            ("all", (0, 9), False),
            ("all", (9, 9), True),
            ("any", (0, 0), False),
            ("any", (0, 9), True),
            ("any", (9, 0), True),
            ("any", (9, 9), True),
        ],
    )
    def test_all_targets_open_the_gate_or_any_one(self, group, match, counts, done):
        groups = [group("g1", "A", counts[0]), group("g2", "B", counts[1])]

        assert judge({"A": 9, "B": 9}, groups, match).done is done

    def test_the_statuses_come_in_the_order_of_the_targets(self, group):
        groups = [group("g1", "A"), group("g2", "B"), group("g3", "C")]

        assert [status["name"] for status in judge({"C": 1, "g1": 1, "B": 1}, groups).statuses] == ["C", "A", "B"]

    def test_a_status_is_made_of_what_json_has(self, group):
        statuses = judge({"A": 1, "nobody": 2}, [group("g1", "A", 5)], if_missing="wait").statuses

        assert json.loads(json.dumps(statuses)) == statuses

    def test_an_id_goes_before_a_name(self, group):
        groups = [group("g1", "g2", 100), group("g2", "Other", 1)]

        [status] = judge({"g2": 50}, groups).statuses

        assert status["id"] == "g2"

    @pytest.mark.parametrize("key", ["screened adults", "Screened adults ", "Screened", ""])
    def test_a_name_must_be_exact(self, group, key):
        with pytest.raises(ProlificError, match=r"no participant group has the id or the exact name"):
            judge({key: 1}, [group(name="Screened adults")])

    def test_a_name_that_groups_share_is_refused_with_all_their_ids(self, group):
        groups = [group("g2", "Twin", 9), group("g1", "Twin", 9), group("g3", "Other", 9)]

        with pytest.raises(ProlificError, match=r"^2 participant groups are named 'Twin': g1, g2. Name the one"):
            judge({"Twin": 1}, groups)

    def test_a_shared_name_is_refused_also_where_a_missing_group_is_waited_for(self, group):
        with pytest.raises(ProlificError, match=r"g1, g2"):
            judge({"Twin": 1}, [group("g1", "Twin"), group("g2", "Twin")], if_missing="wait")

    def test_the_id_tells_groups_of_the_same_name_apart(self, group):
        assert judge({"g2": 5}, [group("g1", "Twin", 0), group("g2", "Twin", 5)]).done

    def test_a_live_group_goes_before_a_deleted_one_of_the_same_name(self, group):
        [status] = judge({"Twin": 5}, [group("g1", "Twin", 9, is_deleted=True), group("g2", "Twin", 1)]).statuses

        assert status["id"] == "g2"

    def test_a_missing_group_fails_with_what_may_have_become_of_it(self, group):
        with pytest.raises(ProlificError, match=r"^no participant group .* 'Elders' in this scope: it may have"):
            judge({"Elders": 5}, [group(name="Adults")])

    def test_a_deleted_group_fails_with_its_name_and_id(self, group):
        with pytest.raises(ProlificError, match=r"^participant group 'Adults' \(g1\) has been deleted$"):
            judge({"g1": 5}, [group("g1", "Adults", 9, is_deleted=True)])

    def test_a_missing_group_fails_also_where_another_one_is_enough(self, group):
        with pytest.raises(ProlificError, match=r"Elders"):
            judge({"Adults": 5, "Elders": 5}, [group(name="Adults", participant_count=9)], match=r"any")

    @pytest.mark.parametrize("deleted", [True, False])
    def test_with_wait_a_missing_or_deleted_group_counts_as_not_reached(self, group, deleted):
        groups = [group("g1", "Adults", 9, is_deleted=True)] if deleted else []

        verdict = judge({"Adults": 5}, groups, if_missing="wait")

        assert not verdict.done
        assert verdict.statuses == [
            {"id": None, "name": "Adults", "participant_count": None, "target_count": 5, "reached": False}
        ]

    def test_none_of_these_errors_is_one_that_may_pass(self, group):
        for targets in ({"Elders": 1}, {"Twin": 1}):
            with pytest.raises(ProlificError) as refusal:
                judge(targets, [group("g1", "Twin"), group("g2", "Twin")])
            assert refusal.value.transient is False

    @pytest.mark.parametrize(("argument", "value"), [("match", "some"), ("if_missing", "ignore"), ("match", None)])
    def test_a_rule_that_does_not_exist_is_refused(self, argument, value):
        with pytest.raises(ProlificValueError, match=f"^{argument} must be "):
            Gate({"a": 1}, **{argument: value})

    @pytest.mark.parametrize("match", ["all", "any"])
    def test_a_gate_without_targets_never_opens(self, group, match):
        try:
            verdict = judge({}, [group()], match)
        except ProlificValueError:
            return
        assert not verdict.done

    @given(TARGETS, GROUPS, MATCH, IF_MISSING)
    def test_the_verdict_is_what_the_rules_say_in_the_plainest_words(self, targets, groups, match, if_missing):
        try:
            expected = plain_verdict(targets, groups, match, if_missing)
        except LookupError:
            with pytest.raises(ProlificError):
                judge(targets, groups, match, if_missing)
        else:
            verdict = judge(targets, groups, match, if_missing)
            assert (verdict.done, [status["reached"] for status in verdict.statuses]) == expected


def plain_verdict(targets, groups, match, if_missing):
    """Return whether the gate opens and who has reached; a LookupError where the rules ask for an error."""
    reached = []
    for key, target in targets.items():
        same_id = [group for group in groups if group["id"] == key]
        same_name = [group for group in groups if group["name"] == key]
        live = [group for group in same_name if not group["is_deleted"]]
        found = same_id or live or same_name
        if len(found) > 1:
            raise LookupError(key)
        alive = [group for group in found if not group["is_deleted"]]
        if not alive and if_missing == "fail":
            raise LookupError(key)
        reached.append(any(group["participant_count"] >= target for group in alive))
    return (all(reached) if match == "all" else any(reached)), reached


class TestConfirm:
    STATUS = {"id": "g1", "name": "A", "participant_count": 12, "target_count": 10, "reached": True}

    @given(TARGETS, GROUPS, MATCH, IF_MISSING)
    def test_what_a_look_judged_is_confirmed_where_it_opens_the_gate_and_only_there(
        self, targets, groups, match, if_missing
    ):
        try:
            verdict = judge(targets, groups, match, if_missing)
        except ProlificError:
            return
        statuses = json.loads(json.dumps(verdict.statuses))
        gate = Gate(targets, match, if_missing)

        if verdict.done:
            assert gate.confirm(statuses) == verdict.statuses
        else:
            with pytest.raises(ProlificError):
                gate.confirm(statuses)

    @pytest.mark.parametrize("key", ["g1", "A"])
    def test_a_target_is_known_by_id_or_name(self, key):
        assert Gate({key: 10}).confirm([self.STATUS]) == [self.STATUS]

    @pytest.mark.parametrize(
        "changes",
        [
            {"target_count": 9},
            {"target_count": 11},
            {"target_count": "10"},
            {"target_count": True},
            {"participant_count": 9},
            {"participant_count": 9, "reached": False},
            {"participant_count": "12"},
            {"participant_count": 12.0},
            {"participant_count": None},
            {"participant_count": -1, "reached": False},
            {"reached": 1},
            {"reached": "true"},
            {"reached": None},
            {"reached": False},
            {"id": 7},
            {"id": None},
            {"id": None, "participant_count": None},
            {"id": None, "participant_count": None, "reached": False},
            {"extra": 1},
        ],
        ids=str,
    )
    def test_a_status_that_no_look_could_have_judged_is_refused(self, changes):
        with pytest.raises(ProlificError, match=r"^the trigger reports success, but not for these targets"):
            Gate({"g1": 10}).confirm([{**self.STATUS, **changes}])

    @pytest.mark.parametrize("field", list(STATUS))
    def test_a_status_without_one_of_its_fields_is_refused(self, field):
        status = copy.deepcopy(self.STATUS)
        del status[field]

        with pytest.raises(ProlificError):
            Gate({"g1": 10}).confirm([status])

    @pytest.mark.parametrize("junk", [None, "A", {}, {"id": "g2"}])
    def test_one_good_status_does_not_vouch_for_another(self, junk):
        for statuses in ([self.STATUS, junk], [junk, self.STATUS]):
            with pytest.raises(ProlificError, match=r"not for these targets"):
                Gate({"g1": 10, "A": 10}, "any").confirm(statuses)

    def test_another_group_with_the_same_target_count_is_refused(self):
        other = {**self.STATUS, "id": "g2", "name": "B"}

        with pytest.raises(ProlificError, match=r"not for these targets"):
            Gate({"A": 10}).confirm([other])

    def test_statuses_in_another_order_than_the_targets_are_refused(self):
        other = {**self.STATUS, "id": "g2", "name": "B"}

        with pytest.raises(ProlificError, match=r"not for these targets"):
            Gate({"A": 10, "B": 10}).confirm([other, self.STATUS])

    @pytest.mark.parametrize("name", [None, 7, ["A"]])
    def test_a_name_that_is_no_text_is_refused(self, name):
        with pytest.raises(ProlificError):
            Gate({"g1": 10}).confirm([{**self.STATUS, "name": name}])

    def test_a_missing_group_is_refused_where_a_missing_group_fails(self):
        missing = {"id": None, "name": "B", "participant_count": None, "target_count": 10, "reached": False}
        targets = {"A": 10, "B": 10}

        assert Gate(targets, "any", "wait").confirm([self.STATUS, missing])
        with pytest.raises(ProlificError):
            Gate(targets, "any", "fail").confirm([self.STATUS, missing])

    def test_a_success_is_confirmed_also_where_one_groups_name_is_the_id_of_another_that_is_gone(self, group):
        gate = Gate({"g1": 10, "g2": 10}, "any", "wait")
        verdict = gate.judge(GroupIndex([group("g1", "Old", is_deleted=True), group("g2", "g1", 12)]))

        assert verdict.done
        assert gate.confirm(verdict.statuses) == verdict.statuses

    @pytest.mark.parametrize("statuses", [None, [], {}, "success", [None], ["A"], [[]], [STATUS, STATUS], (STATUS,)])
    def test_what_is_no_list_of_one_status_per_target_is_refused(self, statuses):
        with pytest.raises(ProlificError):
            Gate({"g1": 10}).confirm(statuses)

    @given(JSON)
    def test_nothing_else_is_ever_confirmed(self, statuses):
        with pytest.raises(ProlificError):
            Gate({"g1": 10}).confirm(statuses)


class TestParseTargets:
    def test_one_group_and_its_count(self):
        assert parse_targets("Screened adults", 300, None) == {"Screened adults": 300}

    def test_several_groups_in_their_order(self):
        assert list(parse_targets(None, None, {"B": 2, "A": 1}).items()) == [("B", 2), ("A", 1)]

    @pytest.mark.parametrize(
        "arguments", [("A", 1, {"B": 1}), ("A", None, {"B": 1}), (None, 1, {"B": 1}), ("A", 1, {})]
    )
    def test_both_forms_are_refused_with_what_was_given(self, arguments):
        with pytest.raises(ProlificValueError, match=r"not both: got participant_group="):
            parse_targets(*arguments)

    @pytest.mark.parametrize("arguments", [(None, None, None), ("A", None, None), (None, 1, None)])
    def test_neither_form_is_refused_with_the_two_that_exist(self, arguments):
        with pytest.raises(ProlificValueError, match=r"^give participant_group with target_count, or targets="):
            parse_targets(*arguments)

    @pytest.mark.parametrize("targets", [{}, [], ["A"], "A", "{'A': 1}", 3, True, [("A", 1)]])
    def test_targets_that_are_no_mapping_or_empty_are_refused(self, targets):
        with pytest.raises(ProlificValueError, match=r"^targets must map "):
            parse_targets(None, None, targets)

    @pytest.mark.parametrize("targets", ["{{ x }}", ["{{ x }}"], "{% x %}", ("{# x #}",)])
    def test_targets_that_look_like_a_template_once_they_are_rendered_are_refused(self, targets):
        with pytest.raises(ProlificValueError, match=r"^targets must map "):
            parse_targets(None, None, targets)

    @pytest.mark.parametrize("key", ["", "  ", "\n", 7, None, True, ("a",)])
    def test_a_group_must_be_named(self, key):
        with pytest.raises(ProlificValueError, match=r"^a key of targets must be the id or the exact name"):
            parse_targets(None, None, {key: 1})

    def test_a_bad_count_is_named_by_its_group(self):
        with pytest.raises(ProlificValueError, match=r"^targets\['B'\] must be a whole number .* not 0$"):
            parse_targets(None, None, {"A": 1, "B": 0})

    @given(JSON, JSON, JSON)
    def test_any_json_is_either_understood_or_refused_in_words(self, participant_group, target_count, targets):
        try:
            parsed = parse_targets(participant_group, target_count, targets)
        except ProlificValueError as refusal:
            words = str(refusal)
        else:
            words = "understood"
            assert parsed
            assert all(isinstance(key, str) and type(count) is int and count >= 1 for key, count in parsed.items())
        assert words.isprintable()

    @given(st.dictionaries(st.text(min_size=1).filter(str.strip), st.integers(1, 10**18 - 1), min_size=1))
    def test_every_good_mapping_is_understood_as_it_is_also_with_its_counts_as_text(self, targets):
        assert parse_targets(None, None, targets) == targets
        assert parse_targets(None, None, {key: f" {count}\n" for key, count in targets.items()}) == targets


class TestWords:
    def test_a_standing_in_words(self, group):
        [status] = judge({"g1": 300}, [group("g1", "Screened", 120)]).statuses

        assert describe(status) == "'Screened' has 120 of 300 (40%)"

    def test_short_of_the_target_is_never_a_hundred_percent(self, group):
        [status] = judge({"g1": 1000}, [group("g1", "Screened", 999)]).statuses

        assert describe(status).endswith("(99%)")

    def test_a_missing_group_in_words(self):
        [status] = judge({"Screened": 300}, [], if_missing="wait").statuses

        assert describe(status) == "'Screened' does not exist yet (target 300)"

    def test_all_targets_or_only_those_that_are_short(self, group):
        statuses = judge({"A": 5, "B": 5}, [group("g1", "A", 5), group("g2", "B", 1)]).statuses

        assert describe_all(statuses) == "'A' has 5 of 5 (100%); 'B' has 1 of 5 (20%)"
        assert describe_short(statuses) == "'B' has 1 of 5 (20%)"
