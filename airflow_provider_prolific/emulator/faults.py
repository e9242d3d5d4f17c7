"""Faults on demand: rules that spoil answers, so that a client's behaviour under trouble can be seen.

Fields that every rule may have, apart from ``kind``:

``method``, ``path``
    which requests: an HTTP method, and a regular expression searched for in the path (without the query).
``after``
    let the first n matching requests pass.
``count``
    how many requests to hit; the rule is gone then. Without it the rule stays until it is cleared.
``probability``, ``seed``
    hit by chance, between 0 and 1; the same seed (0 if not given) gives the same series in every run.

Kinds, and their own fields:

=================  =====================================================================================
``status``         an error answer: ``status`` (400 to 599), ``detail``, ``error_code``, ``retry_after``
``html``           a gateway's page instead of JSON: ``status`` (502), ``retry_after``
``body``           ``json`` (any document) or ``text`` instead of the true answer: ``status`` (200),
                   ``content_type``, ``retry_after``
``empty``          no body at all: ``status`` (200)
``slow``           the true answer, after ``seconds``
``disconnect``     the connection closes before a byte of the answer; the request has no effect
``lost_answer``    the same, but the request has its effect
``truncate``       headers of the true answer and half of its body, then the connection closes
``ignored_scope``  a listing answers with the groups of another workspace
=================  =====================================================================================

``retry_after`` is sent as the header Retry-After: seconds, or an HTTP date. Rules are tried in the order in which
they were added; the first that hits wins.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any


class FaultError(ValueError):
    """A fault rule that can't be used; the message says why."""


def _is_whole(value: object, least: int, most: int | None = None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most)


def _is_number(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _is_pattern(value: object) -> bool:
    try:
        re.compile(value)  # type: ignore[call-overload]
    except (re.error, TypeError):
        return False
    return True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


Check = tuple[Callable[[object], bool], str]
_FIELDS: dict[str, Check] = {
    "method": (_is_text, "a text"),
    "path": (_is_pattern, "a regular expression"),
    "after": (lambda value: _is_whole(value, 0), "a whole number of 0 or more"),
    "count": (lambda value: _is_whole(value, 1), "a whole number of 1 or more"),
    "probability": (lambda value: _is_number(value, 0, 1), "a number from 0 to 1"),
    "seed": (lambda value: _is_whole(value, 0), "a whole number of 0 or more"),
    "status": (lambda value: _is_whole(value, 200, 599), "an HTTP status from 200 to 599"),
    "retry_after": (
        lambda value: _is_text(value) or _is_number(value, 0, float("inf")),
        "seconds or an HTTP date",
    ),
    "detail": (lambda value: isinstance(value, str | list | dict), "a text, a list or an object"),
    "error_code": (lambda value: _is_whole(value, 0), "a whole number"),
    "seconds": (lambda value: _is_number(value, 0, 3600), "a number from 0 to 3600"),
    "json": (lambda _: True, "a JSON document"),
    "text": (_is_text, "a text"),
    "content_type": (_is_text, "a text"),
}
_COMMON = {"method", "path", "after", "count", "probability", "seed"}
_OWN = {
    "status": {"status", "detail", "error_code", "retry_after"},
    "html": {"status", "retry_after"},
    "body": {"status", "json", "text", "content_type", "retry_after"},
    "empty": {"status"},
    "slow": {"seconds"},
    "disconnect": set[str](),
    "lost_answer": set[str](),
    "truncate": set[str](),
    "ignored_scope": set[str](),
}


class FaultRule:
    """One rule: which requests it hits, and how.

    :param kind: see the table of kinds above.
    :param fields: the rule's other fields.
    :raises FaultError: when a field is unknown, missing or wrong.
    """

    def __init__(self, kind: str, **fields: Any) -> None:
        _check_fields(kind, fields)
        self.kind = kind
        self.fields = fields
        self.hits = 0
        self._method = fields.get("method", "").upper()
        self._path = re.compile(fields.get("path", ""))
        self._to_pass = fields.get("after", 0)
        self._random = random.Random(fields.get("seed", 0))  # noqa: S311 - repeatable on purpose

    @property
    def is_spent(self) -> bool:
        """Whether the rule has hit as many requests as it was meant to."""
        count: int | None = self.fields.get("count")
        return count is not None and self.hits >= count

    def hit(self, method: str, path: str) -> bool:
        """Tell whether this request is hit, and count it."""
        if self._method not in ("", method) or not self._path.search(path):
            return False
        if self._to_pass:
            self._to_pass -= 1
            return False
        if self._random.random() >= self.fields.get("probability", 1):
            return False
        self.hits += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the rule as it was given, with its hits so far."""
        return {"kind": self.kind, **self.fields, "hits": self.hits}


def _check_fields(kind: str, fields: Mapping[str, Any]) -> None:
    if kind not in _OWN:
        raise FaultError(f"{kind!r} is no kind of fault; kinds are {', '.join(_OWN)}")
    known = _OWN[kind] | _COMMON
    for name, value in fields.items():
        if name not in known:
            raise FaultError(f"a fault of kind {kind!r} has no field {name!r}; it may have {', '.join(sorted(known))}")
        check, wanted = _FIELDS[name]
        if not check(value):
            raise FaultError(f"{name} must be {wanted}, not {value!r}")
    if kind == "status" and fields.get("status", 0) < 400:
        raise FaultError("a fault of kind 'status' needs a status from 400 to 599")
    if kind == "slow" and "seconds" not in fields:
        raise FaultError("a fault of kind 'slow' needs seconds")
    if kind == "body" and ("json" in fields) == ("text" in fields):
        raise FaultError("a fault of kind 'body' needs json or text")


class FaultPlan:
    """The rules in force."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def add(self, rule: FaultRule) -> None:
        """Put a rule behind those already there."""
        self.rules.append(rule)

    def clear(self) -> None:
        """Drop all rules."""
        self.rules.clear()

    def take(self, method: str, path: str) -> FaultRule | None:
        """Return the rule that hits this request, if one does."""
        for rule in self.rules:
            if rule.hit(method, path):
                if rule.is_spent:
                    self.rules.remove(rule)
                return rule
        return None
