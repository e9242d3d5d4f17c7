"""The provider's errors.

None of them derives from ``AirflowException``: a sensor's ``soft_fail`` may skip a time-out, it must never hide a
broken token. What they all share is :class:`ProlificError`, and whether time may heal them: ``transient``.
"""

from __future__ import annotations

from typing import Any


class ProlificError(Exception):
    """Something about Prolific that stops the work; the message says what, and what to do.

    ``transient`` is true for what may pass by itself (network, rate limit, outage), so that a wait goes on.
    """

    transient: bool = False
    #: Seconds to wait before the next request, where the API named a time.
    retry_after: float | None = None


class ProlificValueError(ProlificError, ValueError):
    """An argument or a connection that cannot be used: the message names the value and the way to mend it."""


class ProlificConnectionError(ProlificError):
    """No answer came: no connection, a time-out, or a connection that broke half-way."""

    transient = True


class ProlificResponseError(ProlificError):
    """An answer that cannot be right: not JSON, a wrong shape, an ignored scope, a partial list.

    :param message: One line, with method and path.
    :param transient: Whether asking again may bring a right answer.
    """

    def __init__(self, message: str, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class ProlificApiError(ProlificError):
    """The API refused a request.

    :param message: One line, with method, path, status and the API's own reason.
    :param status_code: The HTTP status.
    :param error_code: Prolific's own error number, where it sent one.
    :param title: Prolific's short name of the error, where it sent one.
    :param detail: Prolific's explanation as it came: a text, a list, or a mapping of fields to problems.
    :param retry_after: Seconds to wait before the next request, where the API named a time.
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
        self.transient = status_code in (408, 425, 429) or status_code >= 500
