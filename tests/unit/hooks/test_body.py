"""Bodies of answers: read within limits, parsed strictly, and clean enough for every database and log."""

from __future__ import annotations

import io
import json
import tracemalloc
from types import SimpleNamespace

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificResponseError
from airflow_provider_prolific.hooks.body import MAX_NAME_LENGTH, MAX_TEXT_LENGTH, parse_body, read_body, weigh
from airflow_provider_prolific.text import is_storable

SECRET = "token-that-nobody-may-see"
TEXTS = st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def parse(body, encoding=None):
    return parse_body(body, encoding, [SECRET], lambda body: f"{len(body)} bytes")


def texts(value):
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for text in texts(list(item))]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def refusal(body):
    with pytest.raises(ProlificResponseError) as failure:
        parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert failure.value.transient is True
    return str(failure.value)


class TestReading:
    @pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 1000, 300_000])
    def test_one_byte_more_than_the_limit_is_read_at_most(self, length):
        response = SimpleNamespace(raw=urllib3.HTTPResponse(io.BytesIO(b"x" * length), preload_content=False))

        assert read_body(response, 100) == b"x" * min(length, 101)

    def test_nothing_is_decompressed(self):
        raw = urllib3.HTTPResponse(io.BytesIO(b"not gzip"), headers={"Content-Encoding": "gzip"}, preload_content=False)

        assert read_body(SimpleNamespace(raw=raw), 100) == b"not gzip"


class TestWeighing:
    @pytest.mark.parametrize(
        "unit",
        [
            b"[],",
            b"{},",
            b'{"":0},',
            b"[" * 400 + b"]" * 400 + b",",
            b'{"":' * 400 + b"0" + b"}" * 400 + b",",
            b'"ab",',
            '"ééé",'.encode(),
            '"🎉🎉",'.encode(),
            b"0.1,",
            b"4294967296,",
        ],
        ids=lambda unit: unit[:12].decode(),
    )
    def test_json_takes_hardly_more_memory_than_its_weight(self, unit):
        body = b"[" + unit * (50_000 // len(unit)) + b"0]"
        tracemalloc.start()
        try:
            document = json.loads(body)
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert document
        assert taken < 1.3 * weigh(body)


class TestParsing:
    def test_json_in_utf_8_is_read(self):
        assert parse('{"name": "Día 🎉", "n": [1, 1.5, null, true]}'.encode()) == {
            "name": "Día 🎉",
            "n": [1, 1.5, None, True],
        }

    def test_an_empty_body_is_none(self):
        assert parse(b"") is None

    @pytest.mark.parametrize(
        "body",
        [
            b"<h1>Sign in</h1>",
            b"{",
            b'{"results": [}',
            b"\xff",
            b"\xed\xa0\x80",
            b'"\xed\xa0\x80"',
            '"x"'.encode("utf-16"),
            b"\xef\xbb\xbf{}",
            b'"\0"',
            b"NaN",
            b'{"n": Infinity}',
            b"[-Infinity]",
            b"1e999",
            b"-1e999",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"1" * 5000,
            b"[" * 100_000 + b"]" * 100_000,
        ],
        ids=lambda body: repr(body[:20]),
    )
    def test_what_is_not_json_that_can_be_stored_is_refused(self, body):
        assert refusal(body) == f"the answer is not JSON: {len(body)} bytes"

    @pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 1.5e308])
    def test_a_number_that_can_be_stored_is_read(self, number):
        assert parse(json.dumps(number).encode()) == number

    @pytest.mark.parametrize("text", ["a\0b", "\ud800", "\udc00\ud800"])
    @pytest.mark.parametrize("place", [lambda text: text, lambda text: [{"a": [text]}], lambda text: [{text: 1}]])
    def test_a_text_that_no_database_takes_is_refused_wherever_it_stands(self, text, place):
        assert "a text that databases cannot store" in refusal(place(text))

    def test_a_whole_pair_of_surrogates_is_a_character(self):
        assert parse(rb'"\ud83c\udf89"') == "🎉"

    @pytest.mark.parametrize(
        ("key", "most"),
        [
            *((key, MAX_NAME_LENGTH) for key in ("id", "name", "workspace_id", "internal_name", "participant_ids")),
            *((key, MAX_TEXT_LENGTH) for key in ("description", "detail", "")),
        ],
    )
    @pytest.mark.parametrize("place", [lambda text: text, lambda text: [text, text]], ids=["value", "list"])
    @pytest.mark.parametrize("character", ["a", "é", "\n"])
    def test_texts_have_a_length(self, key, most, place, character):
        document = {"first": 1, key: place(character * most)}
        assert parse(json.dumps(document).encode()) == document
        assert parse(json.dumps(document, ensure_ascii=False).encode()) == document

        for ensure_ascii in (True, False):
            body = json.dumps({key: place(character * (most + 1))}, ensure_ascii=ensure_ascii).encode()
            assert f"a text of {most + 1:,} characters (the limit is {most:,})" in refusal(body)

    def test_keys_have_the_length_of_names(self):
        assert parse(json.dumps({"k" * MAX_NAME_LENGTH: 1}).encode())
        assert "a text of 1,001 characters" in refusal({"k" * (MAX_NAME_LENGTH + 1): 1})

    @pytest.mark.parametrize(
        "body",
        [
            {"headers": {"Authorization": f"Token {SECRET}"}},
            {SECRET: 1},
            [SECRET],
            f'["\\u{ord(SECRET[0]):04x}{SECRET[1:]}"]'.encode(),
        ],
    )
    def test_an_answer_that_repeats_the_token_is_refused(self, body):
        assert refusal(body) == "the answer contains the API token"

    def test_what_is_compressed_is_refused_for_nobody_asked_for_it(self):
        with pytest.raises(
            ProlificResponseError, match=r"^the answer is compressed \('gzip, gzip'\), which was not asked for$"
        ):
            parse(b"\x1f\x8b", "gzip, gzip")

    @pytest.mark.parametrize("encoding", [None, "", "identity"])
    def test_what_is_not_compressed_is_read(self, encoding):
        assert parse(b"{}", encoding) == {}

    def test_an_error_does_not_keep_the_body(self):
        with pytest.raises(ProlificResponseError) as failure:
            parse(b"{broken")

        assert failure.value.__context__ is None

    @given(JSON, st.booleans())
    def test_whatever_is_read_can_be_stored(self, document, ensure_ascii):
        body = json.dumps(document, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
        try:
            parsed = parse(body)
        except ProlificResponseError:
            return
        assert parsed == document
        assert all(map(is_storable, texts(parsed)))
        json.dumps(parsed, allow_nan=False)
