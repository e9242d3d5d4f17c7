"""Asks the API and describes the answers, without showing anything of their contents."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificUnreadableConnectionError,
    ProlificValueError,
)

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook

MAX_CALLS = 20
#: No call begins later than this; each may take ``ATTEMPT_SECONDS``.
MAX_SECONDS = 120
ATTEMPT_SECONDS = 15

USER = "/api/v1/users/me/"


class Finding(NamedTuple):
    """What was found about one assumption, and whether tasks can fail or go wrong because of it."""

    words: str
    matters: bool = False


class Unclear(Exception):  # noqa: N818 - an outcome, not an error
    """An assumption cannot be checked; the text says why."""


def as_assumed(more: str = "") -> Finding:
    """Return that the API does what this package assumes."""
    return Finding(f"as assumed ({more})" if more else "as assumed")


def differs(how: str, consequence: str, *, matters: bool = False) -> Finding:
    """Return that the API does something else, and what this package does then."""
    return Finding(f"differs: {how}. This package then {consequence}.", matters)


def reason(error: ProlificError) -> str:
    """Return why there is no usable answer, without showing anything of the answer or the connection."""
    match error:
        case ProlificApiError():
            return f"refused with {error.status_code}"
        case ProlificConnectionError():
            return "no answer came"
        case ProlificUnreadableConnectionError():
            return "the connection cannot be read; does it exist?"
        case ProlificValueError():
            return "the connection cannot be used, or does not name one default scope; see docs/connection.md"
    return "the answer cannot be read"


class Probe:
    """Asks the API each question once, with a limit on calls and time.

    :param hook: A hook that does not repeat its calls.
    :raises ProlificError: its connection cannot be used, or does not name one default scope.
    """

    def __init__(self, hook: ProlificHook) -> None:
        self.scope_key, self.scope_id = hook.default_scope()
        self.answers: dict[tuple[Any, ...], Any] = {}
        self._hook = hook
        self._ends_at = time.monotonic() + MAX_SECONDS

    def ask(self, endpoint: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON that a GET answers, or a permanent refusal as a ``ProlificApiError``.

        :raises Unclear: no answer, an unreadable answer, a temporary error, or no calls or time left.
        """
        question = (endpoint, *(params or {}).items())
        if question not in self.answers:
            if len(self.answers) >= MAX_CALLS or time.monotonic() > self._ends_at:
                raise Unclear("the calls or the time of this check were used up")
            try:
                self.answers[question] = self._hook.request("GET", endpoint, params=params)
            except ProlificError as error:
                self.answers[question] = error
        answer = self.answers[question]
        if not isinstance(answer, ProlificError):
            return answer
        # A redirect counts as a temporary error elsewhere; here it tells how the API treats this path.
        if isinstance(answer, ProlificApiError) and (answer.status_code < 400 or not answer.transient):
            return answer
        raise Unclear(reason(answer))
