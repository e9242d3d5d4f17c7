"""How values and texts are shown to people, and what is never shown."""

from __future__ import annotations

import base64
import html
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.text import MAX_SHOWN, Redaction, fold_status, is_storable, one_line, shorten

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


class TestOneLine:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("as it is", "as it is"),
            ("  two\n lines\r\n\t", "two lines"),
            ("\x1b[31mred\0\u2028\u202e\ud800", "[31mred"),
            ("Día 🎉", "Día 🎉"),
            ("", ""),
        ],
    )
    def test_it_has_no_breaks_and_nothing_unprintable(self, text, line):
        assert one_line(text) == line

    @given(st.text(), st.integers(2, 50))
    def test_any_text_becomes_one_storable_line_within_the_limit(self, text, limit):
        line = one_line(text, limit)

        assert line.isprintable()
        assert is_storable(line)
        assert len(line) <= limit

    def test_a_long_text_is_cut_before_it_is_worked_on(self):
        assert one_line("a" * 501) == "a" * 499 + "…"
        assert one_line(" " * 10**7 + "a", 10) == ""


@pytest.mark.parametrize(
    ("status", "folded"),
    [
        ("AWAITING REVIEW", "AWAITING REVIEW"),
        ("awaiting_review", "AWAITING REVIEW"),
        (" Awaiting-Review ", "AWAITING REVIEW"),
        ("TIMED-OUT", "TIMED-OUT"),
        ("timed_out", "TIMED-OUT"),
    ],
)
def test_a_status_has_one_spelling(status, folded):
    assert fold_status(status) == folded


SECRET = "bK7-x2QwZ_81.mNpR4tYvLs"
FORMS = {
    "as it is": SECRET,
    "upper case": SECRET.upper(),
    "lower case": SECRET.lower(),
    "backwards": SECRET[::-1],
    "torn by spaces": " ".join(SECRET),
    "torn by mark-up": "".join(f"<b>{char}</b>" for char in SECRET).replace("b>", "->"),
    "escaped for JSON": "".join(f"\\u{ord(char):04x}" for char in SECRET),
    "escaped for Python": "".join(f"\\x{ord(char):02x}" for char in SECRET),
    "escaped for a URL": "".join(f"%{ord(char):02X}" for char in SECRET),
    "escaped for a URL twice": quote("".join(f"%{ord(char):02x}" for char in SECRET)),
    "escaped for HTML": "".join(f"&#{ord(char)};" for char in SECRET),
    "escaped for HTML, hexadecimal": "".join(f"&#x{ord(char):x};" for char in SECRET),
    "escaped for HTML twice": html.escape("".join(f"&#{ord(char)};" for char in SECRET)),
    "hexadecimal": SECRET.encode().hex(),
    "hexadecimal with colons": SECRET.encode().hex(":").upper(),
    **{
        f"base64 behind {lead!r}": base64.b64encode(f"{lead}{SECRET}{tail}".encode()).decode()
        for lead, tail in [("", ""), ("a", ""), ("ab", "c"), ("Token ", "\n"), ("user:", "x")]
    },
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
}


def parts(text):
    """Return what is found of a text where a part of it is shown."""
    return {text[start : start + 8] for start in range(len(text) - 7)}


class TestRedaction:
    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    @pytest.mark.parametrize("around", ["{}", "Token {} is wrong", '{{"headers": {{"Authorization": "{}"}}}}', "é{}🎉"])
    def test_a_secret_is_not_shown_in_any_form(self, form, around):
        assert not parts(form) & parts(Redaction([SECRET])(around.format(form)))

    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    def test_what_a_cut_leaves_of_a_secret_is_not_shown(self, form):
        for gap in range(0, len(form) + 20, 10):
            shown = Redaction([SECRET])("-" * (MAX_SHOWN - gap) + form + "-" * MAX_SHOWN)
            assert not parts(form) & parts(shown)

    def test_many_secrets_before_a_cut_do_not_show_what_it_leaves(self):
        shown = Redaction([SECRET])(SECRET * MAX_SHOWN)

        assert set(shown) == {"*"}

    def test_what_is_around_a_secret_is_shown(self):
        assert Redaction([SECRET])(f"Token {SECRET} is wrong") == "Token *** is wrong"

    def test_a_text_without_a_secret_stays_as_it_is(self):
        assert Redaction([SECRET], ["5f01"])("Día 🎉 & <b>\n%41") == "Día 🎉 & <b>\n%41"

    def test_too_short_a_secret_is_a_word_like_others(self):
        assert Redaction(["token"])("Invalid token.") == "Invalid token."
        assert Redaction(["tokens"])("Invalid tokens.") == "Invalid ***."

    def test_ids_are_hidden_as_they_are_the_longer_before_the_shorter(self):
        hide = Redaction([], ["5f01", "5f01aa", "a", "5f02"])

        assert hide("5f01aa, 5f015f01 5f0x A") == "***, ****** 5f0x A"

    def test_hiding_100_000_ids_is_no_more_work_than_hiding_one(self):
        def count_calls(ids):
            hide = Redaction([], ids)
            hide("")  # what is made once
            calls = []
            sys.setprofile(lambda frame, event, argument: calls.append(event))
            try:
                assert hide(f"unknown: {7:024x}") == "unknown: ***"
            finally:
                sys.setprofile(None)
            return len(calls)

        assert count_calls([f"{number:024x}" for number in range(100_000)]) == count_calls([f"{7:024x}"])

    @given(st.text("abc", max_size=20), st.lists(st.text("abc", min_size=1, max_size=3), max_size=5))
    def test_no_id_is_shown_in_any_text(self, text, ids):
        shown = Redaction([], ids)(text)

        assert not any(participant_id in shown for participant_id in ids)
