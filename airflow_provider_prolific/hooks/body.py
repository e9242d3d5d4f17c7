"""The body of an answer: read within limits, and parsed strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator
from itertools import chain, repeat
from typing import Any

import requests

from airflow_provider_prolific.exceptions import ProlificResponseError
from airflow_provider_prolific.text import is_storable, shorten

#: The most characters of a name, an id or a key, and of any other text.
MAX_NAME_LENGTH = 1_000
MAX_TEXT_LENGTH = 100_000
#: Whole numbers beyond 64 bits do not fit into a database, nor into the messages between Airflow's processes.
MAX_NUMBER = 2**63
_BLOCK = 64 * 1024
_STRETCH = MAX_NAME_LENGTH // 2


def read_body(response: requests.Response, most: int) -> bytes:
    """Return the raw body of an answer, or its first ``most + 1`` bytes."""
    body = bytearray()
    # Block by block: each chunk of a block becomes a separate object, and a chunk may be a single byte.
    while (left := most + 1 - len(body)) and (part := response.raw.read(min(left, _BLOCK), decode_content=False)):
        body += part
    return bytes(body)


def weigh(body: bytes) -> int:
    """Estimate the bytes of memory that the JSON of a body takes: up to 50 times its size, if it is nested."""
    return len(body) + 64 * body.count(b",") + 184 * body.count(b"{") + 88 * body.count(b"[")


def parse_body(body: bytes, encoding: str | None, secrets: Collection[str], quote: Callable[[bytes], str]) -> Any:
    """Return the JSON of a body; ``None`` for an empty one.

    :param body: The bytes.
    :param encoding: The answer's ``Content-Encoding``.
    :param secrets: The API token, which no answer may contain.
    :param quote: Returns the part of a body that a message may show.
    :raises ProlificResponseError: not JSON in UTF-8, or a value that databases or logs cannot store: a text with a NUL
        or with half of a surrogate pair, a number beyond 64 bits or not finite, a name, id or text that is too long.
    """
    if encoding not in (None, "", "identity"):
        raise ProlificResponseError(f"the answer is compressed ({shorten(encoding)}), which was not asked for")
    if not body:
        return None
    try:
        document = json.loads(
            body.decode(), parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int
        )
    except (ValueError, RecursionError):
        reason = quote(body)
    else:
        if problem := _problem(document, body, secrets):
            raise ProlificResponseError(f"the answer contains {problem}")
        return document
    # Raised after the ``except`` block, because the error of the JSON reader holds the whole body.
    raise ProlificResponseError("the answer is not JSON" + (f": {reason}" if reason else ""))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read_float(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a number that can be stored")
    return number


def _read_int(text: str) -> int:
    if not -MAX_NUMBER <= (number := int(text)) < MAX_NUMBER:
        raise ValueError("a number beyond 64 bits")
    return number


def _problem(document: Any, body: bytes, secrets: Collection[str]) -> str | None:
    """Describe the value of a document that databases, logs or errors must not hold; ``None`` if there is none.

    A listing has thousands of texts. They are checked one by one only if the bytes give a reason: an escape, or a
    stretch without a quotation mark that is long enough for a text that is too long.
    """
    if any(secret.encode() in body for secret in secrets):
        return "the API token"
    if b"\\" in body or any(body.find(b'"', start, start + _STRETCH) < 0 for start in range(0, len(body), _STRETCH)):
        for key, text in _texts(document):
            most = MAX_NAME_LENGTH if key.removesuffix("s").endswith(("id", "name")) else MAX_TEXT_LENGTH
            if len(text) > most:
                return f"a text of {len(text):,} characters (the limit is {most:,})"
            if not is_storable(text):
                return "a text that databases cannot store (a NUL, or half of a surrogate pair)"
            if any(secret in text for secret in secrets):
                return "the API token"
    return None


def _texts(document: Any) -> Iterator[tuple[str, str]]:
    """Yield every text of a document with its key, and every key as a name, without recursion and without copies."""
    levels: list[Iterator[tuple[str, Any]]] = [iter([("", document)])]
    while levels:
        for key, value in levels[-1]:
            if isinstance(value, str):
                yield key, value
            elif isinstance(value, dict):
                levels.append(chain(zip(repeat("name"), value), value.items()))
                break
            elif isinstance(value, list):
                levels.append(zip(repeat(key), value))
                break
        else:
            levels.pop()
