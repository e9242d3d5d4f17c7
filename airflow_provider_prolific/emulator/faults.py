"""Faults on demand: rules that spoil answers, to test how a client behaves then.

Fields of every rule, apart from ``kind``: ``method`` and ``path`` (which requests: an HTTP method, and a
regular expression searched for in the path, without the query), ``after`` (let the first n of these pass), ``count``
(how many to hit; the rule is gone then), ``probability`` and ``seed`` (hit by chance, between 0 and 1; the same seed
gives the same series in every run). Rules are tried in the order in which they were added; the first that hits wins.

Kinds, and their own fields:

=================  =====================================================================================
``status``         an error answer: ``status`` (400 to 599), ``detail``, ``error_code``
``html``           a gateway's page instead of JSON: ``status`` (502)
``body``           ``json`` (any document), ``text`` or ``hex`` (the bytes in hexadecimal digits) instead of the
                   true answer: ``status`` (200)
``raw``            ``text`` or ``hex`` as the whole answer, status line and headers included; then the
                   connection closes
``empty``          no body at all: ``status`` (200)
``slow``           the true answer, after ``seconds``
``trickle``        the true answer, its body byte by byte, with ``seconds`` after each
``disconnect``     the connection closes before a byte of the answer; the request has no effect
``lost_answer``    the same, but the request has its effect
``truncate``       headers of the true answer and half of its body, then the connection closes
``ignored_scope``  a listing answers with the groups of another workspace
=================  =====================================================================================

A rule that makes up the whole answer may have ``headers`` (an object), ``content_type``, and ``retry_after`` (seconds,
or an HTTP date).
"""

import json
import random
import re
from typing import Annotated, Any, Literal, Self

from fastapi import Response
from pydantic import AfterValidator, Field, model_validator

from airflow_provider_prolific.emulator.errors import error_document
from airflow_provider_prolific.emulator.models import Model, Whole


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error:
        raise ValueError("must be a regular expression") from None
    return pattern


def _check_header(value: Any) -> Any:
    if not isinstance(value, str | int | float) or not re.fullmatch(r"[!-~]([ -~]*[!-~])?", str(value)):
        raise ValueError("must be what a header can hold: a number or printable ASCII")
    return value


def _check_depth(document: Any) -> Any:
    level = [document]
    for _ in range(100):  # far below what Python's own reader and writer of JSON can do
        level = [value for value in level if isinstance(value, list | dict)]
        level = [part for value in level for part in (value.values() if isinstance(value, dict) else value)]
    if level:
        raise ValueError("must not be nested deeper than 100 levels")
    return document


Document = Annotated[Any, AfterValidator(_check_depth)]
Header = Annotated[str, AfterValidator(_check_header)]
Status = Annotated[int, Field(ge=200, le=599)]


class Fault(Model):
    """The fields of all rules: which requests they hit, and how many they have hit."""

    kind: str
    method: str = ""
    path: Annotated[str, AfterValidator(_check_pattern)] = ""
    after: Whole = 0
    count: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1
    seed: Whole = 0
    _matched: int = 0
    _hits: int = 0
    _random: random.Random

    def model_post_init(self, _: Any, /) -> None:
        """Start the series of random numbers."""
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose

    @property
    def is_spent(self) -> bool:
        """Whether the rule has hit as many requests as it was meant to."""
        return self._hits == self.count

    def hit(self, method: str, path: str) -> bool:
        """Tell whether this request is hit, and count it."""
        if self.method.upper() not in ("", method) or not re.search(self.path, path):
            return False
        self._matched += 1
        if self._matched <= self.after or self._random.random() >= self.probability:
            return False
        self._hits += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the rule as it was given, with its hits so far."""
        return {**self.model_dump(exclude_unset=True, by_alias=True), "hits": self._hits}


class AnswerFault(Fault):
    """The fields of all rules that answer instead of the API."""

    status: Status = 200
    content_type: Header = "application/json"
    headers: dict[Annotated[str, Field(pattern="^[A-Za-z0-9-]+$")], Header] = {}
    retry_after: Annotated[Any, AfterValidator(_check_header)] = None

    def _body(self) -> bytes:
        return b""

    def answer(self) -> Response:
        """Return what to answer."""
        headers = {"content-type": self.content_type, **self.headers}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        return Response(self._body(), self.status, headers)


class _StatusFault(AnswerFault):
    kind: Literal["status"]
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Document = "A fault set on the emulator."
    error_code: Whole | None = None

    def _body(self) -> bytes:
        return json.dumps(error_document(self.status, self.detail, self.error_code)).encode()


class _HtmlFault(AnswerFault):
    kind: Literal["html"]
    status: Status = 502
    content_type: Header = "text/html; charset=utf-8"

    def _body(self) -> bytes:
        page = "<!DOCTYPE html>\n<title>{0}</title>\n<h1>{0}: gateway trouble</h1>\n"
        return page.format(self.status).encode()


class _BodyFault(AnswerFault):
    kind: Literal["body", "raw"]
    json_: Document = Field(None, alias="json")
    text: str | None = None
    hex: Annotated[str, Field(pattern="^([0-9a-fA-F]{2})*$")] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.model_fields_set & {"json_", "text", "hex"}) != 1:
            raise ValueError("needs json, text or hex")
        return self

    def _body(self) -> bytes:
        if self.hex is not None:
            return bytes.fromhex(self.hex)
        return (json.dumps(self.json_) if self.text is None else self.text).encode(errors="surrogatepass")


class _EmptyFault(AnswerFault):
    kind: Literal["empty"]


class SlowFault(Fault):
    """The true answer, late or slowly."""

    kind: Literal["slow", "trickle"]
    seconds: Annotated[float, Field(ge=0, le=3600)]


class _TrueAnswerFault(Fault):
    kind: Literal["disconnect", "lost_answer", "truncate", "ignored_scope"]


AnyFault = _StatusFault | _HtmlFault | _BodyFault | _EmptyFault | SlowFault | _TrueAnswerFault


def take_fault(rules: list[Fault], method: str, path: str) -> Fault | None:
    """Return the rule that hits this request, if there is one; remove the rule if it is spent."""
    hit = next((rule for rule in rules if rule.hit(method, path)), None)
    if hit is not None and hit.is_spent:
        rules.remove(hit)
    return hit
