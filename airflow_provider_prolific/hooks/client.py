"""One request to Prolific and its answer: token, limits, repeats, pages. It does not know any endpoint.

Every failure becomes a :class:`.ProlificError` in one place, ``Client._attempt``, which removes the token from it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry, Timeout

from airflow_provider_prolific.exceptions import (
    MAX_ERROR_BODY_BYTES,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
    describe_body,
    error_of_answer,
)
from airflow_provider_prolific.hooks.body import parse_body, read_body, weigh
from airflow_provider_prolific.hooks.connection import ConnectionSettings
from airflow_provider_prolific.hooks.failures import error_without_answer
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.hooks.listing import Listing, by_offset
from airflow_provider_prolific.hooks.transport import Session, Transport
from airflow_provider_prolific.text import Redaction, one_line, shorten

RETRY_AFTER_CEILING_SECONDS = 120

_REPEATABLE_METHODS = ("GET", "HEAD")
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Call(Generic[_T]):
    """One call, which may be sent several times."""

    name: str
    request: dict[str, Any]
    read: Callable[[Any], _T] | None
    limits: Limits
    hide: Redaction
    personal: bool
    weighed: Callable[[int], None]

    def quote(self, body: bytes) -> str:
        """Return the part of a success's body that an error may show."""
        return "" if self.personal else describe_body(body, self.hide)


class Client:
    """Speaks HTTP to the server of a connection. Several threads may use it.

    :param settings: The settings of the connection.
    :param transport: Keeps the HTTP connections; its owner closes it.
    :param limits: The limits of a call.
    :param max_retries: How often a failed call is repeated at most, within the limits; ``None`` for no other limit.
    :param log: The log for pauses before a repetition.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        transport: Transport,
        limits: Limits,
        max_retries: int | None,
        log: Any,
    ) -> None:
        self.settings = settings
        self.session = Session(settings, transport)
        self._limits = limits
        self._max_retries = max_retries
        self._log = log

    def call(
        self,
        method: str,
        endpoint: str,
        read: Callable[[Any], _T] | None,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        repeatable: bool = False,
        personal: bool = False,
        hidden_ids: Collection[str] = (),
        limits: Limits | None = None,
        weighed: Callable[[int], None] = lambda _: None,
    ) -> _T:
        """Call an endpoint, and repeat the call while that is safe, may help, and is within the limits.

        :param method: The HTTP method.
        :param endpoint: The path, with its trailing slash.
        :param read: Takes the answer's JSON (``None`` for an empty body) and returns the result, or raises
            :class:`.ProlificResponseError` if the answer cannot be right. With ``None`` instead, the body of a success
            is not read, and the result is ``None``.
        :param params: Query parameters; booleans are sent as ``true`` and ``false``, ``None`` is left out.
        :param json: What to send as the JSON body.
        :param repeatable: Whether the call may be sent again although the server may have acted already.
        :param personal: Whether the answer may hold participants' ids, so that no error quotes it.
        :param hidden_ids: Participants' ids in the request, which no error shows.
        :param limits: The limits of this call, if they differ from those of the client.
        :param weighed: Called with the estimated bytes of memory that the answer takes.
        :raises ProlificError: the last failure.
        """
        method = method.upper()
        repeatable = repeatable or method in _REPEATABLE_METHODS
        request = {
            "method": method,
            "url": self.settings.base_url + _check_endpoint(endpoint),
            "params": _encode_params(params),
            "data": None if json is None else _encode(json, f"{method} {endpoint}"),
            "headers": None if json is None else {"Content-Type": "application/json"},
        }
        limits = limits or self._limits
        hide = Redaction([self.settings.token], hidden_ids)
        call = _Call(f"{method} {endpoint}", request, read, limits, hide, personal, weighed)
        failures, paused, failing_since = 0, 0.0, None
        while True:
            outcome = self._attempt(call)
            if not isinstance(outcome, ProlificError):
                return outcome
            failures += 1
            failing_since = failing_since or time.monotonic()
            pause = outcome.retry_after or min(2.0 ** (failures - 1), 30) * random.uniform(0.75, 1.25)  # noqa: S311
            is_rate_limit = outcome.retry_after or getattr(outcome, "status_code", None) == 429
            patience = limits.rate_limit_seconds if is_rate_limit else limits.outage_seconds
            if (
                not outcome.transient
                or (outcome.may_have_acted and not repeatable)
                or (self._max_retries is not None and failures > self._max_retries)
                or max(time.monotonic() - failing_since, paused) + pause > patience
            ):
                raise outcome
            self._log.warning("Trying again in %.0f s: %s", pause, outcome)
            time.sleep(pause)
            paused += pause

    def list(
        self,
        endpoint: str,
        what: str,
        read_row: Callable[[Any], tuple[str, _T]],
        params: Mapping[str, Any] | None = None,
        personal: bool = False,
        paging: Callable[[int, int], dict[str, int]] = by_offset,
    ) -> list[_T]:
        """Return all rows of a listing, each once: every page, never a part of them.

        :param endpoint: The path, with its trailing slash.
        :param what: The rows' name in the plural, for messages.
        :param read_row: Checks a row and returns it with its id.
        :param params: Query parameters, in addition to those of the paging.
        :param personal: Whether the rows may hold participants' ids, so that no error quotes them.
        :param paging: Returns the query parameters of a page.
        :raises ProlificResponseError: the answer cannot be right, is incomplete, or exceeds the limits.
        """
        listing = Listing(self.call, endpoint, what, read_row, params or {}, personal, paging, self._limits)
        rows, promised = listing.read()
        if promised:  # a row may have been deleted meanwhile, which shifts the pages: look a second time
            rows = []  # there is no memory for both
            rows, promised = listing.read()
        if promised:
            raise ProlificResponseError(
                f"a partial list is not used: {len(rows)} {what} came, but Prolific promises {promised} "
                f"(GET {endpoint})"
            )
        return rows

    # -- one attempt ------------------------------------------------------------------------------------------

    def _attempt(self, call: _Call[_T]) -> _T | ProlificError:
        """Send a request once; return the result, or the error.

        The error is returned, not raised, so that it does not carry exceptions of ``requests``: they hold the token.
        """
        try:
            return self._send(call)
        except ProlificError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with a request is an error of the provider
            failure = error_without_answer(call.name, error, self.settings.base_url)
        failure.args = tuple(one_line(call.hide(text), 1000) for text in failure.args)
        failure.__cause__ = failure.__context__ = failure.__traceback__ = None
        return failure

    def _send(self, call: _Call[_T]) -> _T:
        limits = call.limits
        # The listing of a page may have less time left than an attempt may take.
        timeout = Timeout(total=limits.attempt_seconds, connect=min(limits.connect_seconds, limits.attempt_seconds))
        with self.session.request(
            **call.request,
            timeout=timeout,  # type: ignore[arg-type] # requests hands it to urllib3 as it is
            allow_redirects=False,
            stream=True,
        ) as response:
            status = response.status_code
            if not 200 <= status < 300:
                raise error_of_answer(
                    call.name,
                    status,
                    response.reason or "",
                    _read_error_body(response),
                    conn_id=self.settings.conn_id,
                    hide=call.hide,
                    retry_after=_read_retry_after(response.headers.get("Retry-After")),
                )
            if call.read is None:
                return None  # type: ignore[return-value]
            body = read_body(response, limits.body_bytes)
            try:
                if len(body) > limits.body_bytes:
                    raise ProlificResponseError(f"the answer is larger than {limits.body_bytes / 2**20:g} MiB")
                if (weight := weigh(body)) > limits.memory_bytes:
                    raise ProlificResponseError("the answer has too many values for the memory that it may take")
                encoding = response.headers.get("Content-Encoding")
                result = call.read(parse_body(body, encoding, call.hide.secrets, call.quote))
            except ProlificResponseError as error:
                error.args = (f"{error} ({status} from {call.name})",)
                raise
            call.weighed(weight)
            return result


def _read_error_body(response: requests.Response) -> bytes:
    """Return the beginning of an error's body, or nothing if that fails: the status says enough.

    The body of a redirect is not read.
    """
    if response.status_code < 400:
        return b""
    try:
        return read_body(response, MAX_ERROR_BODY_BYTES)
    except Exception:  # noqa: BLE001 - a broken body must not replace the status
        return b""


def _read_retry_after(header: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, at most the ceiling; ``None`` without a usable one."""
    if header is None:
        return None
    try:
        seconds = Retry().parse_retry_after(header)
    except (InvalidHeader, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_CEILING_SECONDS)


def _check_endpoint(endpoint: str) -> str:
    """Refuse anything but a plain path, so that no id and no typing error can reach another endpoint or host."""
    if (
        not isinstance(endpoint, str)
        or not endpoint.startswith("/")
        or not (path := unquote(endpoint)).isprintable()
        or re.search(r"[?#\\\s]|//", path)
        or any(segment in (".", "..") for segment in path.split("/"))
    ):
        raise ProlificValueError(
            "endpoint must be a path of the API such as '/api/v1/studies/', without query, spaces or dot segments, "
            f"not {shorten(endpoint)}"
        )
    return endpoint


def _encode(document: Any, call: str) -> bytes:
    try:
        return dumps(document, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)
    raise ProlificValueError(f"the body of a request is not JSON: {one_line(reason)} ({call} was not sent)")


def _encode_params(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if params is None:
        return None
    return {key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()}
