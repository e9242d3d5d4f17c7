"""The gate's arithmetic: who has reached, who is short, who is missing."""

from __future__ import annotations

import json
from collections import ChainMap, UserDict
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.text import is_storable
from airflow_provider_prolific.waiting.group_index import GroupIndex
from airflow_provider_prolific.waiting.targets import Gate, check_targets
from airflow_provider_prolific.waiting.wait import Measure

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
NAMES = st.text(min_size=1).filter(lambda text: bool(text.strip()) and is_storable(text))
#: Nearly a status that opens the gate, so that each check is met by values on both of its sides.
STATUS_LIKE = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["g1", "g2", None]),
        "name": st.sampled_from(["g1", "Other"]) | JSON,
        "participant_count": st.sampled_from([0, 299, 300, 301, True]) | JSON,
        "target_count": st.sampled_from([300, 300, 299]),
        "reached": st.sampled_from([True, True, False, 1]),
    },
)


class Verdict:
    """What a gate says of some groups."""

    def __init__(self, targets, groups, match="all", if_missing="fail"):
        self.gate = Gate(targets, match=match, if_missing=if_missing)
        self.statuses = self.gate.judge(GroupIndex(groups))
        self.done = self.gate.opens(self.statuses)


judge = Verdict


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

    def test_a_shared_name_is_refused_also_where_a_missing_group_is_waited_for(self, group):
        with pytest.raises(ProlificError, match=r"g1, g2"):
            judge({"Twin": 1}, [group("g1", "Twin"), group("g2", "Twin")], if_missing="wait")

    def test_a_missing_group_fails_with_what_may_have_become_of_it(self, group):
        with pytest.raises(ProlificError, match=r"^no participant group 'Elders'; it may have"):
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

    def test_none_of_these_errors_is_temporary(self, group):
        for targets in ({"Elders": 1}, {"Twin": 1}):
            with pytest.raises(ProlificError) as refusal:
                judge(targets, [group("g1", "Twin"), group("g2", "Twin")])
            assert refusal.value.transient is False

    def test_a_name_may_be_typed_in_either_form_of_unicode(self, group):
        assert judge({"Di\u0301a 2": 5}, [group("g1", "D\u00eda 2", 5)]).done

    @pytest.mark.parametrize("count", [None, "5", -1, 5.0, True, 10**18])
    def test_a_group_that_is_waited_for_must_come_with_its_count(self, group, count):
        with pytest.raises(
            ProlificResponseError, match=r"^participant group 'A' \(g1\) came without a part"
        ) as refusal:
            judge({"g1": 5}, [{**group("g1", "A"), "participant_count": count}])
        assert refusal.value.transient is True

    def test_of_other_groups_no_more_than_id_and_name_is_asked(self, group):
        assert judge({"g1": 5}, [{"id": "g2", "name": "Neighbour"}, group("g1", "A", 5)]).done

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
        found = same_id or live
        if len(found) > 1:
            raise LookupError(key)
        alive = [group for group in found if not group["is_deleted"]]
        if not alive and if_missing == "fail":
            raise LookupError(key)
        reached.append(any(group["participant_count"] >= target for group in alive))
    return (all(reached) if match == "all" else any(reached)), reached


class TestArguments:
    @pytest.mark.parametrize(("argument", "value"), [("match", "some"), ("if_missing", "ignore"), ("match", None)])
    def test_a_rule_that_does_not_exist_is_refused(self, argument, value):
        with pytest.raises(ProlificValueError, match=f"^{argument} must be "):
            Gate({"a": 1}, **{argument: value})

    @pytest.mark.parametrize("mapping", [dict, MappingProxyType, UserDict, ChainMap])
    def test_they_are_kept_in_a_form_that_is_the_same_after_json(self, mapping):
        gate = Gate(mapping({"A": " 5 ", "B": 6}), mapping({"project_id": "p1"}), "None", "any", "wait")

        arguments = json.loads(json.dumps(gate.arguments()))

        assert arguments == {
            "targets": {"A": 5, "B": 6},
            "filter": {"project_id": "p1"},
            "active": None,
            "match": "any",
            "if_missing": "wait",
        }
        assert Gate(**arguments).arguments() == arguments

    def test_what_asks_for_the_same_groups_is_the_same_question(self):
        questions = {
            Gate({"A": 5}).question(),
            Gate({"B": 6}, match="any", if_missing="wait").question(),
            Gate({"A": 5}, {"project_id": "p1"}).question(),
            Gate({"A": 5}, {"workspace_id": "p1"}).question(),
            Gate({"A": 5}, active=None).question(),
        }

        assert len(questions) == 4


class TestConfirm:
    STATUS = {"id": "g1", "name": "A", "participant_count": 12, "target_count": 10, "reached": True}

    @given(TARGETS, GROUPS, MATCH, IF_MISSING)
    def test_what_a_look_judged_is_confirmed_if_it_opens_the_gate_and_only_then(
        self, targets, groups, match, if_missing
    ):
        try:
            verdict = judge(targets, groups, match, if_missing)
        except ProlificError:
            return
        statuses = json.loads(json.dumps(verdict.statuses))

        if verdict.done:
            assert verdict.gate.confirm(statuses) == verdict.statuses
        else:
            with pytest.raises(ProlificError):
                verdict.gate.confirm(statuses)

    @pytest.mark.parametrize("key", ["g1", "A"])
    def test_a_target_is_known_by_id_or_name(self, key):
        assert Gate({key: 10}).confirm([self.STATUS]) == [self.STATUS]

    @pytest.mark.parametrize(
        "changes",
        [
            *({"target_count": 9}, {"target_count": 11}, {"target_count": "10"}, {"target_count": None}),
            *({"participant_count": count} for count in (9, "12", 12.0, None, True)),
            {"participant_count": 9, "reached": False},
            *({"reached": reached} for reached in (1, "true", None, False)),
            *({"id": "g2", "name": "B"}, {"extra": 1}),
        ],
        ids=str,
    )
    def test_a_status_that_does_not_open_the_gate_is_refused(self, changes):
        with pytest.raises(ProlificError, match=r"^the trigger reports success, but not for this wait"):
            Gate({"g1": 10}).confirm([{**self.STATUS, **changes}])

    @pytest.mark.parametrize("field", list(STATUS))
    def test_a_status_without_one_of_its_fields_is_refused(self, field):
        with pytest.raises(ProlificError):
            Gate({"g1": 10}).confirm([{key: value for key, value in self.STATUS.items() if key != field}])

    @pytest.mark.parametrize("junk", [None, "A", {}, {"id": "g2"}])
    def test_one_good_status_does_not_vouch_for_another(self, junk):
        for statuses in ([self.STATUS, junk], [junk, self.STATUS]):
            with pytest.raises(ProlificError, match=r"not for this wait"):
                Gate({"g1": 10, "A": 10}, match="any").confirm(statuses)

    def test_statuses_in_another_order_than_the_targets_are_refused(self):
        other = {**self.STATUS, "id": "g2", "name": "B"}

        with pytest.raises(ProlificError, match=r"not for this wait"):
            Gate({"A": 10, "B": 10}).confirm([other, self.STATUS])

    def test_a_success_is_confirmed_also_if_one_groups_name_is_the_id_of_another_that_is_gone(self, group):
        groups = [group("g1", "Old", is_deleted=True), group("g2", "g1", 12)]

        verdict = judge({"g1": 10, "g2": 10}, groups, "any", "wait")

        assert verdict.gate.confirm(verdict.statuses) == verdict.statuses

    @pytest.mark.parametrize("statuses", [None, [], {}, "success", [None], ["A"], [[]], [STATUS, STATUS], (STATUS,)])
    def test_what_is_no_list_of_one_status_per_target_is_refused(self, statuses):
        with pytest.raises(ProlificError):
            Gate({"g1": 10}).confirm(statuses)

    @given(JSON | st.lists(STATUS_LIKE | JSON, max_size=2))
    def test_nothing_made_up_is_confirmed_unless_it_opens_the_gate(self, statuses):
        try:
            [status] = Gate({"g1": 300}).confirm(statuses)
        except ProlificError:
            return
        assert status["id"] == "g1" or status["name"] == "g1"
        assert type(status["participant_count"]) is int
        assert status["participant_count"] >= status["target_count"] == 300
        assert status["reached"] is True


class TestCheckTargets:
    def test_several_groups_in_their_order(self):
        assert list(check_targets({"B": 2, "A": 1}, "targets").items()) == [("B", 2), ("A", 1)]

    @pytest.mark.parametrize("targets", [{}, [], ["A"], "A", "{'A': 1}", "{{ x }}", 3, True, [("A", 1)], None])
    def test_what_is_no_mapping_or_empty_is_refused(self, targets):
        with pytest.raises(ProlificValueError, match=r"^targets must map "):
            check_targets(targets, "targets")

    @pytest.mark.parametrize("key", ["", "  ", "\n", 7, None, True, ("a",)])
    def test_a_group_must_be_named(self, key):
        with pytest.raises(ProlificValueError, match=r"^a key of targets must be the id or the exact name"):
            check_targets({key: 1}, "targets")

    def test_a_bad_count_is_named_by_its_group(self):
        with pytest.raises(ProlificValueError, match=r"^targets\['B'\] must be a whole number .* not 0$"):
            check_targets({"A": 1, "B": 0}, "targets")

    @given(JSON)
    def test_any_json_is_either_understood_or_refused_in_words(self, targets):
        try:
            understood = check_targets(targets, "targets")
        except ProlificValueError as refusal:
            assert str(refusal).isprintable()  # noqa: PT017 - either is right
        else:
            assert understood
            assert all(isinstance(key, str) and type(count) is int and count >= 1 for key, count in understood.items())

    @given(st.dictionaries(NAMES, st.integers(1, 10**18 - 1), min_size=1))
    def test_every_good_mapping_is_understood_as_it_is_also_with_its_counts_as_text(self, targets):
        assert check_targets(targets, "targets") == targets
        assert check_targets({key: f" {count}\n" for key, count in targets.items()}, "targets") == targets


class TestLastGrowth:
    """When the last member joined one of the groups that are short."""

    class Hook:
        MEMBERS = {
            "g1": ["2026-03-01T10:00:00Z", "2026-03-02T10:00:00+00:00"],
            "g2": ["2026-03-03T10:00:00.123456"],
            "g3": [None, "yesterday"],
        }

        def list_participants(self, group_id):
            return [{"participant_id": "p", "datetime_created": joined} for joined in self.MEMBERS[group_id]]

    @staticmethod
    def status(group_id, reached=False):
        return {"id": group_id, "reached": reached}

    def test_it_is_that_of_the_newest_member(self):
        grown_at = Gate({"g1": 9}).last_growth(self.Hook(), [self.status("g1")])

        assert datetime.fromtimestamp(grown_at, UTC).isoformat() == "2026-03-02T10:00:00+00:00"

    def test_groups_that_have_reached_or_are_missing_do_not_count(self):
        statuses = [self.status("g1"), self.status("g2", reached=True), self.status(None)]

        assert Gate({"g1": 9}).last_growth(self.Hook(), statuses) == datetime(2026, 3, 2, 10, tzinfo=UTC).timestamp()

    def test_a_time_without_a_zone_is_utc(self):
        grown_at = Gate({"g2": 9}).last_growth(self.Hook(), [self.status("g2")])

        assert int(grown_at) == datetime(2026, 3, 3, 10, tzinfo=UTC).timestamp()

    def test_what_is_no_time_is_no_growth(self):
        assert not Gate({"g3": 9}).last_growth(self.Hook(), [self.status("g3")])


class TestWords:
    def test_a_standing_in_words(self, group):
        verdict = judge({"g1": 300}, [group("g1", "Screened", 120)])

        assert verdict.gate.measure(*verdict.statuses) == Measure("'Screened' has 120 of 300 (40%)", 120, 300)

    def test_short_of_the_target_is_never_a_hundred_percent(self, group):
        verdict = judge({"g1": 1000}, [group("g1", "Screened", 999)])

        assert verdict.gate.describe(verdict.statuses).endswith("(99%)")

    def test_a_missing_group_in_words(self):
        verdict = judge({"Screened": 300}, [], if_missing="wait")

        assert verdict.gate.measure(*verdict.statuses) == Measure(
            "'Screened' does not exist yet (target 300)", None, 300
        )

    def test_all_targets_or_only_those_that_are_short(self, group):
        verdict = judge({"A": 5, "B": 5}, [group("g1", "A", 5), group("g2", "B", 1)])

        assert verdict.gate.describe(verdict.statuses) == "'A' has 5 of 5 (100%); 'B' has 1 of 5 (20%)"
        assert verdict.gate.describe_short(verdict.statuses) == "'B' has 1 of 5 (20%)"

    def test_a_name_with_a_line_break_stays_in_its_line(self, group):
        verdict = judge({"g1": 5}, [group("g1", "Screened\nadults", 1)])

        assert verdict.gate.describe(verdict.statuses).isprintable()
