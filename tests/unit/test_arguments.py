"""The checks of arguments: one rule and one set of words, wherever the argument arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.arguments import (
    check_active,
    check_choice,
    check_count,
    check_filter,
    check_group,
    check_id,
    check_unless_templated,
    is_templated,
    shorten,
)
from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.version_compat import BaseOperator

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class Upstream(BaseOperator):
    """A task whose result others take as an argument."""

    def execute(self, context):
        return None


def xcom():
    return Upstream(task_id="upstream").output


class UnprintableError(Exception):
    pass


class Unprintable:
    def __repr__(self):
        raise UnprintableError


class TestId:
    @pytest.mark.parametrize("value", ["64a000000000000000000001", "a", "not-24-hex", "a" * 255, "ünïcode", "a%2Fb"])
    def test_an_id_is_a_text_that_fits_into_one_segment_of_a_path(self, value):
        assert check_id(value, "participant_group_id") == value

    @pytest.mark.parametrize(
        "value",
        [
            *("", " ", ".", "..", "../x", "a/b", "a\\b", "a b", "a\nb", "a\n", "a\x00", "a\x7f", "a\u200b", "a\u2028b"),
            *("\ud800", "a" * 256, None, 1, True, b"a", ["a"], {"id": "a"}),
        ],
    )
    def test_what_is_no_id_is_refused_by_its_name_and_value(self, value):
        with pytest.raises(ProlificValueError, match=r"^participant_group_id must be an id") as refusal:
            check_id(value, "participant_group_id")
        assert shorten(value) in str(refusal.value)


class TestFilter:
    @pytest.mark.parametrize("key", ["workspace_id", "project_id"])
    def test_a_filter_names_one_scope(self, key):
        assert check_filter({key: "64a"}) == (key, "64a")

    def test_no_filter_means_the_connections_scope(self):
        assert check_filter(None) is None

    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"workspace_id": "a", "project_id": "b"},
            {"workspace": "a"},
            {None: "a"},
            "workspace_id",
            ["workspace_id"],
            [("workspace_id", "a")],
            1,
            False,
        ],
    )
    def test_any_other_filter_is_refused_with_the_two_that_exist(self, value):
        with pytest.raises(ProlificValueError, match=r'^filter must be \{"workspace_id": …\} or \{"project_id": …\}'):
            check_filter(value)

    @pytest.mark.parametrize("scope_id", [None, "", " ", "a/b", 7])
    def test_the_id_in_a_filter_must_be_one(self, scope_id):
        with pytest.raises(ProlificValueError, match=r"^filter\['project_id'\] must be an id"):
            check_filter({"project_id": scope_id})


class TestActive:
    @pytest.mark.parametrize(
        ("value", "meaning"),
        [
            *((True, True), (False, False), (None, None)),
            *(("True", True), ("true", True), (" TRUE\n", True), ("False", False), ("false", False), ("None", None)),
        ],
    )
    def test_live_deleted_or_both_also_as_a_template_renders_them(self, value, meaning):
        assert check_active(value) is meaning

    @pytest.mark.parametrize("value", [0, 1, "", "yes", "1", "null", [], {}, 1.0])
    def test_anything_else_is_refused(self, value):
        with pytest.raises(ProlificValueError, match=r"^active must be True .* False .* or None"):
            check_active(value)


class TestChoice:
    def test_one_of_the_choices_passes(self):
        assert check_choice("match", "any", ("all", "any")) is None

    @pytest.mark.parametrize("value", ["", "ALL", "some", None, True, ["all"], 0])
    def test_anything_else_is_refused_with_the_choices(self, value):
        with pytest.raises(ProlificValueError, match=r"^match must be 'all' or 'any', not ") as refusal:
            check_choice("match", value, ("all", "any"))
        assert str(refusal.value).endswith(shorten(value))


class TestGroup:
    @pytest.mark.parametrize("value", ["g1", "Screened adults", " padded "])
    def test_a_group_is_named_by_its_id_or_exact_name(self, value):
        assert check_group(value, "participant_group") == value

    @pytest.mark.parametrize("value", ["", "  ", "\n", 7, None, True, ["g1"]])
    def test_what_names_no_group_is_refused(self, value):
        with pytest.raises(ProlificValueError, match=r"^participant_group must be the id or the exact name"):
            check_group(value, "participant_group")


class TestCount:
    @pytest.mark.parametrize(
        ("value", "count"), [(1, 1), (300, 300), ("300", 300), (" 300\n", 300), ("0300", 300), ("9" * 18, 10**18 - 1)]
    )
    def test_a_whole_number_or_its_text(self, value, count):
        assert check_count(value, "target_count") == count

    @pytest.mark.parametrize("value", [0, -1, "0", "-1", 1.5, 3.0, "1.5", "3.0", True, False, "True", "", " ", None])
    def test_zero_negative_fractional_boolean_and_empty_are_refused(self, value):
        with pytest.raises(ProlificValueError, match=r"^target_count must be a whole number of participants, at least"):
            check_count(value, "target_count")

    @pytest.mark.parametrize(
        "value", ["many", "1e3", "1_000", "1,000", "+3", "0x10", "٣", "³", "9" * 19, "9" * 5000, [], [3], {}, b"3"]
    )
    def test_what_is_no_plain_number_is_refused_with_the_value(self, value):
        with pytest.raises(ProlificValueError, match=r"^target_count must be ") as refusal:
            check_count(value, "target_count")
        assert str(refusal.value).endswith(f"not {shorten(value)}")


class TestTemplated:
    @pytest.mark.parametrize(
        "value",
        [
            "{{ params.group }}",
            "before {{ x }}",
            "{% if x %}a{% endif %}",
            "{# note #}",
            ["a", "{{ x }}"],
            ("a", ("b", "{{ x }}")),
            {"workspace_id": "{{ x }}"},
            {"{{ x }}": 1},
            {"a": [{"b": "{{ x }}"}]},
            {"{{ x }}"},
        ],
    )
    def test_a_template_anywhere_inside_makes_a_value_templated(self, value):
        assert is_templated(value)

    @pytest.mark.parametrize(
        "value", [None, True, 3, 1.5, "", "Screened {adults}", "a } b", [], {}, {"a": ["b", 1]}, ("a",), {"a"}]
    )
    def test_a_plain_value_is_not_templated(self, value):
        assert not is_templated(value)

    def test_the_result_of_a_task_is_only_known_at_run_time(self):
        assert is_templated(xcom())
        assert is_templated({"workspace_id": xcom()})

    def test_a_check_is_applied_to_values_that_are_known(self):
        with pytest.raises(ProlificValueError):
            check_unless_templated(check_active, "yes")

    def test_a_check_waits_for_a_value_that_is_only_known_at_run_time(self):
        assert check_unless_templated(check_active, "{{ yes }}") is None


class TestShorten:
    @pytest.mark.parametrize("value", ["a", 1, None, ["a"], {"a": 1}])
    def test_a_short_value_is_shown_as_python_writes_it(self, value):
        assert shorten(value) == repr(value)

    @pytest.mark.parametrize("value", ["a" * 101, ["a"] * 1000, "\n" * 1000, "\u2028" * 90])
    def test_a_long_value_is_cut_at_the_limit(self, value):
        assert len(shorten(value)) == 100
        assert shorten(value).endswith("…")

    def test_the_limit_is_the_callers(self):
        assert shorten("abcdef", 5) == "'abc…"

    def test_a_repr_that_raises_does_not_replace_the_message(self):
        assert shorten(Unprintable()) == "an object of type Unprintable"

    def test_control_characters_of_a_foreign_repr_are_escaped(self):
        class Hostile:
            def __repr__(self):
                return "line\nline\x1b[31m\ud800"

        assert shorten(Hostile()) == r"line\nline\x1b[31m\ud800"

    @given(JSON, st.integers(5, 200))
    def test_any_value_becomes_one_printable_line_within_the_limit(self, value, limit):
        text = shorten(value, limit)

        assert text.isprintable()
        assert 0 < len(text) <= limit
