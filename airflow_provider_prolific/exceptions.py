"""The provider's errors, and how an answer of the API becomes one.

None of them derives from ``AirflowException``: the ``soft_fail`` of a sensor may skip a time-out, but must never hide a
wrong token. All code that decides whether to repeat, to wait or to fail reads two attributes of
:class:`ProlificError`: ``transient`` and ``may_have_acted``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_prolific.text import one_line, shorten

#: How many bytes of an error's body are looked at.
MAX_ERROR_BODY_BYTES = 64 * 1024
_TEMPORARY_STATUSES = (408, 425, 429)


class ProlificError(Exception):
    """A problem that stops the work; the message says what is wrong and what to do."""

    #: Whether the error is temporary (network, rate limit, outage), so that a wait goes on.
    transient: bool = False
    #: Whether Prolific may have done what the failed call asked for.
    may_have_acted: bool = False
    #: Seconds to wait before the next request, if the API sent a ``Retry-After``.
    retry_after: float | None = None


class ProlificValueError(ProlificError, ValueError):
    """An argument or a connection that cannot be used: the message names it and says how to correct it."""


class ProlificUnreadableConnectionError(ProlificError):
    """The Airflow connection cannot be read: it is missing, or the secrets backend or the database is not available.

    It is a permanent error at the first look, and a temporary error once a wait is under way.
    """


class ProlificStalledError(ProlificError):
    """The counts of a wait have not grown within its ``stalled_after``; ``soft_fail`` does not hide this."""


class ProlificUndecidedError(ProlificError):
    """Money may have been spent, and Prolific does not show whether it was: a person must decide. Never retried."""


class ProlificConnectionError(ProlificError):
    """No answer came: no connection, a time-out, or a connection that broke.

    :param message: One line: what is wrong, then method and path.
    :param transient: Whether asking again may help; not for a refused certificate or a missing CA file.
    :param may_have_acted: Whether the request may have reached Prolific.
    """

    def __init__(self, message: str, transient: bool = True, may_have_acted: bool = True) -> None:
        super().__init__(message)
        self.transient = transient
        self.may_have_acted = may_have_acted


class ProlificResponseError(ProlificError):
    """An answer that cannot be right: not JSON, a wrong shape, an ignored scope, a partial list.

    :param message: One line: what is wrong. The client adds status, method and path at its end.
    :param transient: Whether asking again may bring a right answer.
    """

    may_have_acted = True

    def __init__(self, message: str, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class ProlificApiError(ProlificError):
    """The API refused a request.

    :param message: One line: what is wrong and what to do, then status, method and path, and the API's own reason.
    :param status_code: The HTTP status.
    :param error_code: Prolific's own error number, if it sent one.
    :param title: Prolific's short name of the error, if it sent one.
    :param detail: Prolific's explanation as it came: a text, a list, or a mapping of fields to problems.
    :param retry_after: Seconds to wait before the next request, if the API sent a ``Retry-After``.
    """

    def __init__(
        self,
        message: str,
        status_code: int = 0,
        error_code: int | None = None,
        title: str | None = None,
        detail: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error_code = error_code
        self.title = title
        self.detail = detail
        self.retry_after = retry_after
        # A status that is neither a success nor a refusal (1xx, 3xx) comes from a proxy, not from Prolific.
        self.transient = status_code < 400 or status_code in _TEMPORARY_STATUSES or status_code >= 500
        self.may_have_acted = status_code < 400 or status_code == 408 or status_code >= 500


def describe_body(body: bytes, hide: Callable[[str], str]) -> str:
    """Return the text of a body that is not JSON, without its mark-up and without what ``hide`` removes."""
    text = hide(body.decode("utf-8", "replace"))
    return one_line(hide(re.sub(r"<[^>]*>", " ", text)), 200) or "an empty body"


def error_of_answer(
    call: str,
    status: int,
    phrase: str,
    body: bytes,
    *,
    conn_id: str,
    hide: Callable[[str], str],
    retry_after: float | None = None,
) -> ProlificApiError:
    """Return the error for an answer that is not a success, whatever the shape of its body.

    The message begins with the cause and what to do, because Airflow's pages cut long lines.

    :param call: Method and path.
    :param status: The HTTP status.
    :param phrase: The reason phrase of the status line.
    :param body: The answer's body, or its beginning.
    :param conn_id: The Airflow connection, for the advice.
    :param hide: Removes secrets and participants' ids from a text.
    :param retry_after: Seconds to wait before the next request, if the API sent a ``Retry-After``.
    """
    title = detail = code = None
    try:
        document = json.loads(body.decode())
        error = document.get("error", document) if isinstance(document, dict) else document
        fields: dict[str, Any] = error if isinstance(error, dict) else {}
        title = _hide_in(fields.get("title") or fields.get("message") or fields.get("type"), hide)
        detail = _hide_in(error if isinstance(error, str) else fields.get("detail", fields.get("issues")), hide)
        code = fields.get("error_code")
        reason = ": ".join(text for text in (_flatten(title), _flatten(detail)) if text)
    except (ValueError, RecursionError):  # not JSON, or nested too deeply
        detail = reason = describe_body(body, hide) if status >= 400 else ""  # others are not read
    code = code if type(code) is int else None
    origin = f"({status} from {call}" + (f", error_code {code})" if code is not None else ")")
    reason = one_line(reason, 400)
    if cause := _cause(status, conn_id):
        message = f"{cause} {origin}" + (f": {reason}" if reason else "")
    else:  # what Prolific says is the cause
        reason = reason or one_line(phrase, 100)
        message = "Prolific refuses this request" + (f": {reason}" if reason else "") + f" {origin}"
    return ProlificApiError(
        message,
        status_code=status,
        error_code=code,
        title=title if isinstance(title, str) else None,
        detail=detail,
        retry_after=retry_after,
    )


def _cause(status: int, conn_id: str) -> str | None:
    """Return the cause that a status alone shows, and what to do; ``None`` if only the body shows it."""
    if status < 300:
        return "an answer without a result came, from Prolific or from a proxy in between"
    if status < 400:
        return f"redirects are not followed, check the Base URL of connection {conn_id!r}"
    if status == 429:
        return "Prolific's rate limit is reached, ask less often"
    if status in _TEMPORARY_STATUSES or status >= 500:
        return "Prolific has a temporary problem"
    return {
        401: f"the API token of connection {conn_id!r} is wrong or was deleted",
        403: f"the API token of connection {conn_id!r} has no access to this, or may not do this",
        404: f"this does not exist, or the API token of connection {conn_id!r} has no access to it",
    }.get(status)


def _flatten(detail: Any) -> str:
    """Return a text, a list, or a mapping of fields to problems as one text."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, Mapping):
        return "; ".join(f"{key}: {_flatten(value)}" for key, value in detail.items())
    if isinstance(detail, list):
        return ", ".join(filter(None, map(_flatten, detail)))
    return "" if detail is None else shorten(detail)


def _hide_in(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a JSON value with ``hide`` applied to all its texts, including keys."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {hide(key): _hide_in(item, hide) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide_in(item, hide) for item in value]
    return value
