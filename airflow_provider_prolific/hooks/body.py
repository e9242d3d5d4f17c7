"""The body of an answer: read within limits, and parsed strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import requests

from airflow_provider_prolific.exceptions import ProlificResponseError
from airflow_provider_prolific.text import is_storable, shorten

#: How many characters a name, an id or a key may have, and any other text.
MAX_NAME_LENGTH = 1_000
MAX_TEXT_LENGTH = 100_000
#: Whole numbers beyond 64 bits fit into no database, nor into the messages between Airflow's processes.
MAX_NUMBER = 2**63
_BLOCK = MAX_NAME_LENGTH // 2


def read_body(response: requests.Response, most: int) -> bytes:
    """Return an answer's body as it came, or its first ``most + 1`` bytes."""
    body = b""
    while len(body) <= most and (part := response.raw.read(most + 1 - len(body), decode_content=False)):
        body += part
    return body


def parse_body(body: bytes, encoding: str | None, answered: str, token: str, quote: Callable[[bytes], str]) -> Any:
    """Return the JSON of a body; ``None`` for an empty one.

    :param body: The bytes.
    :param encoding: The answer's ``Content-Encoding``.
    :param answered: Method, path and status, for messages.
    :param token: The API token, which no answer may repeat.
    :param quote: Returns what a message may say of a body.
    :raises ProlificResponseError: not JSON in UTF-8, or what no database or log takes: a text with a NUL or with half
        of a surrogate pair, a number beyond 64 bits or without end, a name, id or text that is too long.
    """
    if encoding not in (None, "", "identity"):
        raise ProlificResponseError(f"{answered}, but compressed ({shorten(encoding)}), which it was not asked for")
    if not body:
        return None
    try:
        document = json.loads(
            body.decode(), parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int
        )
    except (ValueError, RecursionError):
        reason = quote(body)
    else:
        if problem := _problem(document, body, token):
            raise ProlificResponseError(f"{answered}, but with {problem}")
        return document
    # Raised out here, for the error of the JSON reader holds the whole body.
    raise ProlificResponseError(f"{answered}, but not with JSON" + (f": {reason}" if reason else ""))


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


def _problem(document: Any, body: bytes, token: str) -> str | None:
    """Return in words what no database, log or error can hold of a document, or ``None``.

    A listing has thousands of texts, so each is looked at only where the bytes give reason to: an escape, or a stretch
    so long without a quotation mark that it may be a text that is too long.
    """
    if token.encode() in body:
        return "the API token in it"
    if b"\\" in body or any(body.find(b'"', start, start + _BLOCK) < 0 for start in range(0, len(body), _BLOCK)):
        values = [("", document)]
        while values:
            key, value = values.pop()
            if isinstance(value, dict):
                for name, item in value.items():
                    values += [("name", name), (name, item)]
            elif isinstance(value, list):
                values += [(key, item) for item in value]
            elif isinstance(value, str):
                most = MAX_NAME_LENGTH if key.removesuffix("s").endswith(("id", "name")) else MAX_TEXT_LENGTH
                if len(value) > most:
                    return f"a text of {len(value):,} characters where {most:,} are the limit"
                if not is_storable(value):
                    return "a text that no database takes (a NUL, or half of a surrogate pair)"
                if token in value:
                    return "the API token in it"
    return None
