"""How values and texts are shown to people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.text import is_storable, shorten

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class UnprintableError(Exception):
    pass


class Unprintable:
    def __repr__(self):
        raise UnprintableError


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


@pytest.mark.parametrize(
    ("text", "storable"), [("", True), ("🎉\n", True), ("a\0b", False), ("a\ud800b", False), ("\udfff", False)]
)
def test_every_database_stores_what_has_no_nul_and_no_half_character(text, storable):
    assert is_storable(text) is storable
