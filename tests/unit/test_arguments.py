"""The checks of arguments: one rule and one set of words, wherever the argument arrives."""

from __future__ import annotations

import operator
from collections import deque
from types import MappingProxyType

import pytest

from airflow_provider_prolific.arguments import (
    CheckedArguments,
    check_active,
    check_count,
    check_filter,
    check_flag,
    check_group,
    check_id,
    check_limit,
    check_name,
    check_participant_ids,
    check_statuses,
    check_study_fields,
    check_text,
    is_templated,
    one_of,
    optional,
)
from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.version_compat import BaseOperator

#: What no database stores.
UNSTORABLE = ["a\x00b", "a\ud800b"]


class Upstream(BaseOperator):
    """A task whose result others take as an argument."""

    def execute(self, context):
        return None


class Whole:
    """A whole number of another program, as numpy has them."""

    def __index__(self):
        return 7


def xcom():
    return Upstream(task_id="upstream").output


def refused(check, value, beginning):
    """The check refuses the value in words that begin with the argument's name and end with the value."""
    with pytest.raises(ProlificValueError) as refusal:
        check(value, "it")
    assert str(refusal.value).startswith(beginning)
    return str(refusal.value)


class TestId:
    @pytest.mark.parametrize("value", ["64a000000000000000000001", "a", "not-24-hex", "a" * 255, "ünïcode", "a%2Fb"])
    def test_an_id_is_text_that_fits_into_one_segment_of_a_path(self, value):
        assert check_id(value, "it") == value

    @pytest.mark.parametrize(
        "value",
        [
            *("", " ", ".", "..", "../x", "a/b", "a\\b", "a b", "a\nb", "a\n", "a\x7f", "a\u200b", "a\u2028b"),
            *(*UNSTORABLE, "a" * 256, None, 1, True, b"a", ["a"], {"id": "a"}),
        ],
    )
    def test_anything_else_is_refused_with_the_value(self, value):
        assert shorten(value) in refused(check_id, value, "it must be an id as Prolific shows it")


class TestGroup:
    @pytest.mark.parametrize("value", ["g1", "Screened adults", " padded ", "🎉 a/b"])
    def test_a_group_is_named_by_its_id_or_exact_name(self, value):
        assert check_group(value, "it") == value

    @pytest.mark.parametrize("value", ["", "  ", "\n", 7, None, True, ["g1"], *UNSTORABLE])
    def test_anything_else_is_refused(self, value):
        refused(check_group, value, "it must be the id or the exact name of a participant group, not ")


@pytest.mark.parametrize("check", [check_id, check_group])
def test_an_id_of_which_airflow_made_a_number_is_refused_with_the_reason(check):
    assert "render_template_as_native_obj=True turns ids such as" in refused(check, 64e3, "it must be ")


class TestFilter:
    @pytest.mark.parametrize("key", ["workspace_id", "project_id"])
    @pytest.mark.parametrize("kind", [dict, MappingProxyType])
    def test_a_filter_names_one_scope_and_becomes_a_dict(self, key, kind):
        scope = check_filter(kind({key: "64a"}), "it")

        assert scope == {key: "64a"}
        assert type(scope) is dict

    def test_no_filter_means_the_connections_scope(self):
        assert check_filter(None, "it") is None

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
        refused(check_filter, value, 'it must be {"workspace_id": …} or {"project_id": …}')

    @pytest.mark.parametrize("scope_id", [None, "", " ", "a/b", 7])
    def test_the_id_in_a_filter_must_be_one(self, scope_id):
        refused(check_filter, {"project_id": scope_id}, "it['project_id'] must be an id")


class TestActive:
    @pytest.mark.parametrize(
        ("value", "meaning"),
        [
            *((True, True), (False, False), (None, None)),
            *(("True", True), ("true", True), (" TRUE\n", True), ("False", False), ("false", False), ("None", None)),
        ],
    )
    def test_live_deleted_or_both_also_as_a_template_renders_them(self, value, meaning):
        assert check_active(value, "it") is meaning

    @pytest.mark.parametrize("value", [0, 1, "", "yes", "1", "null", [], {}, 1.0])
    def test_anything_else_is_refused(self, value):
        refused(check_active, value, "it must be True (live groups), False (deleted groups) or None (both), not ")


class TestFlag:
    @pytest.mark.parametrize(
        ("value", "meaning"), [(True, True), (False, False), ("True", True), (" false\n", False), ("FALSE", False)]
    )
    def test_a_switch_also_as_a_template_renders_it(self, value, meaning):
        assert check_flag(value, "it") is meaning

    @pytest.mark.parametrize("value", [None, "None", 0, 1, "", "yes", "1", []])
    def test_anything_else_is_refused(self, value):
        refused(check_flag, value, "it must be True or False, not ")


class TestParticipantIds:
    @pytest.mark.parametrize("kind", [list, tuple, iter])
    def test_ids_are_kept_in_their_order_each_once(self, kind):
        assert check_participant_ids(kind(["b", "a", "b"]), "it") == ["b", "a"]

    def test_whatever_yields_ids_is_a_list_of_them(self):
        assert check_participant_ids({"b": 1, "a": 2}.keys(), "it") == ["b", "a"]

    def test_nobody_is_a_list_too(self):
        assert check_participant_ids([], "it") == []

    @pytest.mark.parametrize("value", ["64a", b"64a", {"64a": 1}, None, 7, float("nan")])
    def test_what_is_not_a_list_is_refused_without_being_shown(self, value):
        message = refused(check_participant_ids, value, "it must be a list of participant ids, not a value of type ")

        assert "64a" not in message

    def test_rendered_text_is_refused_with_the_way_to_a_list(self):
        assert "the output of an upstream task itself" in refused(check_participant_ids, "['64a']", "it must be a list")

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            *((None, "is not text but of type NoneType"), (float("nan"), "is not text but of type float")),
            *((7, "is not text but of type int"), (b"64a", "is not text but of type bytes")),
            *(("", "is blank"), (" ", "is blank")),
            *(("64a/b", "is not an id"), ("64a b", "is not an id"), ("64a\r", "is not an id")),
            *(("\ufeff64a", "is not an id"), ("64a\x00", "is not an id"), ("64a" * 90, "is not an id")),
        ],
    )
    def test_a_wrong_one_is_refused_by_its_position_without_being_shown(self, value, problem):
        message = refused(check_participant_ids, ["ok", "ok", value], f"it: the value at position 3 {problem}; ")

        assert "64a" not in message

    @pytest.mark.parametrize("value", ["nan", "CONSENT_REVOKED", "64a@email.prolific.com"])
    def test_text_that_can_be_an_id_is_left_to_prolific(self, value):
        assert check_participant_ids([value], "it") == [value]


class TestName:
    @pytest.mark.parametrize("value", ["New", "a b", "🎉", "D\u00eda 2", "Di\u0301a 2"])
    def test_a_name_is_kept_as_it_is(self, value):
        assert check_name(value, "it") == value

    @pytest.mark.parametrize("value", ["", " ", " New", "New ", "New\n", "\u00a0New", None, 5, ["New"], *UNSTORABLE])
    def test_anything_else_is_refused(self, value):
        refused(check_name, value, "it must be text that neither begins nor ends with white space, not ")


class TestText:
    @pytest.mark.parametrize("value", ["Hello", " Hello\n"])
    def test_text_is_kept_as_it_is(self, value):
        assert check_text(value, "it") == value

    @pytest.mark.parametrize("value", ["", " \n", None, 5, b"Hello", *UNSTORABLE])
    def test_anything_else_is_refused(self, value):
        refused(check_text, value, "it must be text that is not blank, not ")


class TestNumbers:
    @pytest.mark.parametrize("check", [check_count, check_limit])
    @pytest.mark.parametrize(
        ("value", "number"),
        [
            (1, 1),
            (Whole(), 7),
            ("40", 40),
            (" 40\n", 40),
            ("040", 40),
            (10**18 - 1, 10**18 - 1),
            ("9" * 18, 10**18 - 1),
        ],
    )
    def test_a_whole_number_or_its_text_as_a_template_renders_it(self, check, value, number):
        assert check(value, "it") == number
        assert type(check(value, "it")) is int

    @pytest.mark.parametrize("check", [check_count, check_limit])
    @pytest.mark.parametrize(
        "value",
        [
            *(-1, "-1", 1.5, 3.0, "1.5", "3.0", True, False, "True", "", " ", float("nan"), float("inf")),
            *("many", "1e3", "1,000", "0x10", "³", 10**18, "9" * 19, "9" * 5000, [], [3], {}, b"3"),
        ],
    )
    def test_anything_else_is_refused_with_the_value(self, check, value):
        assert refused(check, value, "it must be a whole number ").endswith(f"not {shorten(value)}")

    @pytest.mark.parametrize("value", [0, "0", None])
    def test_a_count_is_at_least_one(self, value):
        refused(check_count, value, "it must be a whole number of participants, at least 1, not ")

    @pytest.mark.parametrize(("value", "limit"), [(0, 0), ("0", 0), (None, None), ("None", None), (" none", None)])
    def test_a_limit_may_be_zero_or_none(self, value, limit):
        assert check_limit(value, "it") == limit


class TestStudyFields:
    def test_numbers_may_come_as_text_as_a_template_renders_them(self):
        fields = {"total_available_places": "20", "reward": "150", "name": "20", "estimated_completion_time": 5}

        assert check_study_fields(fields, "it") == {
            "total_available_places": 20,
            "reward": 150,
            "name": "20",
            "estimated_completion_time": 5,
        }


class TestFactories:
    def test_one_of_the_choices_passes(self):
        assert one_of("all", "any")("any", "it") == "any"

    @pytest.mark.parametrize("value", ["", "ALL", "some", None, True, ["all"], 0])
    def test_anything_else_is_refused_with_the_choices(self, value):
        assert refused(one_of("all", "any"), value, "it must be 'all' or 'any', not ").endswith(shorten(value))

    def test_an_optional_argument_may_be_none(self):
        assert optional(check_id)(None, "it") is None

    def test_an_optional_argument_is_checked_otherwise(self):
        assert optional(check_id)("64a", "it") == "64a"
        refused(optional(check_id), "", "it must be an id")
        refused(optional(check_count), "None", "it must be a whole number of participants")

    @pytest.mark.parametrize("value", [None, "None", " none "])
    def test_it_may_be_the_text_that_a_template_makes_of_none_where_that_is_no_value(self, value):
        assert optional(check_count, rendered=True)(value, "it") is None
        assert optional(check_count, rendered=True)("7", "it") == 7


class TestStatuses:
    @pytest.mark.parametrize(
        ("value", "statuses"),
        [
            ("COMPLETED", ["COMPLETED"]),
            (["awaiting_review", "Awaiting Review", " AWAITING-REVIEW "], ["AWAITING REVIEW"]),
            (("timed out", "TIMED_OUT", "timed-out", "TIMED-OUT"), ["TIMED-OUT"]),
            (deque(["Returned", "APPROVED"]), ["RETURNED", "APPROVED"]),
            (dict.fromkeys(["NEW STATUS"]).keys(), ["NEW STATUS"]),
        ],
        ids=str,
    )
    def test_any_spelling_is_brought_into_that_of_prolific_each_once(self, value, statuses):
        assert check_statuses(value, "it") == statuses

    @pytest.mark.parametrize("value", [None, 7, b"ACTIVE", {"ACTIVE": 1}, True], ids=repr)
    def test_what_is_not_a_list_is_refused(self, value):
        refused(check_statuses, value, "it must be a list of statuses, not ")

    def test_none_at_all_are_refused(self):
        refused(check_statuses, [], "it must have at least one status")

    @pytest.mark.parametrize("status", ["", " ", "_", "['ACTIVE']", "ACTIVE, PAUSED", "{}", "7", 7, None, ["ACTIVE"]])
    def test_what_is_not_letters_is_refused(self, status):
        refused(check_statuses, ["ACTIVE", status], "a status of it must be letters, such as 'AWAITING REVIEW', not ")


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
            "{{%PROLIFIC_PID%}} {{ x }}",
        ],
    )
    def test_a_template_anywhere_inside_makes_a_value_templated(self, value):
        assert is_templated(value)

    @pytest.mark.parametrize(
        "value",
        [
            *(None, True, 3, 1.5, "", "Screened {adults}", "a } b", [], {}, {"a": ["b", 1]}, ("a",), {"a"}),
            "https://example.com/?id={{%PROLIFIC_PID%}}&study={{%STUDY_ID%}}",
        ],
    )
    def test_a_plain_value_is_not_templated(self, value):
        assert not is_templated(value)

    def test_the_output_of_a_task_is_only_known_at_run_time(self):
        assert is_templated(xcom())
        assert is_templated({"workspace_id": xcom()})


class Base(CheckedArguments):
    checks = {"group": check_group}


class Example(Base):
    checks = {"low": check_count, "high": check_count}

    def __init__(self, group="A", low=1, high=2, prolific_conn_id="prolific_default"):
        self.set_arguments(group=group, low=low, high=high, prolific_conn_id=prolific_conn_id)

    def check_together(self, arguments):
        if arguments["low"] > arguments["high"]:
            raise ProlificValueError("low must not be above high")


class TestCheckedArguments:
    def test_the_template_fields_are_the_arguments_of_all_classes_and_the_connection(self):
        assert Example.template_fields == ("group", "low", "high", "prolific_conn_id")
        assert Base.template_fields == ("group", "prolific_conn_id")

    def test_arguments_are_kept_as_they_were_given(self):
        example = Example(low="3", high="40", prolific_conn_id="other")

        assert operator.attrgetter(*Example.template_fields)(example) == ("A", "3", "40", "other")

    def test_at_run_time_they_are_in_their_normal_form(self):
        assert Example(low="3", high="40").checked_arguments() == {"group": "A", "low": 3, "high": 40}

    def test_an_iterator_is_kept_as_a_list_for_it_can_be_read_once_only(self):
        class Ids(CheckedArguments):
            checks = {"ids": check_participant_ids}

        ids = Ids()
        ids.set_arguments(ids=iter(["b", "a"]))

        assert ids.ids == ["b", "a"]

    def test_a_wrong_one_is_refused_at_once(self):
        with pytest.raises(ProlificValueError, match=r"^low must be a whole number"):
            Example(group="{{ group }}", low=0)

    def test_a_template_is_checked_when_it_is_rendered_in_the_same_words(self):
        example = Example(low="{{ low }}")
        example.low = "0"

        with pytest.raises(ProlificValueError) as at_run_time:
            example.checked_arguments()
        with pytest.raises(ProlificValueError) as at_parse_time:
            Example(low="0")
        assert str(at_run_time.value) == str(at_parse_time.value)

    def test_a_rule_over_several_arguments_is_applied_to_their_normal_form(self):
        Example(low="3", high="40")
        with pytest.raises(ProlificValueError, match=r"^low must not be above high$"):
            Example(low="5", high="4")

    def test_it_waits_while_one_of_them_is_templated(self):
        example = Example(group="{{ group }}", low=5, high=4)
        example.group = "A"

        with pytest.raises(ProlificValueError, match=r"^low must not be above high$"):
            example.checked_arguments()
