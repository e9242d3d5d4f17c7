"""The errors of requests without an answer."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)

from airflow_provider_prolific.exceptions import ProlificConnectionError
from airflow_provider_prolific.hooks.connection import DEFAULT_HOST
from airflow_provider_prolific.text import Redaction, one_line


def error_without_answer(call: str, error: Exception, base_url: str) -> ProlificConnectionError:
    """Return the error for a request without an answer.

    It does not show the host, because the field may hold the token by mistake.

    :param call: Method and path.
    :param error: The exception that was raised instead.
    :param base_url: The address of the server.
    """
    chain = list(_chain(error))
    root = chain[-1]
    hide = Redaction([urlsplit(base_url).hostname or ""])
    said = hide(one_line(str(root) or repr(root), 300))
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
        reason = hide(one_line(getattr(root, "verify_message", "") or str(root), 200))
        advice = "if your proxy replaces certificates, set the variable REQUESTS_CA_BUNDLE to its CA file"
        return _permanent(call, f"the certificate of the server was refused: {reason}", advice)
    if isinstance(root, OSError) and (
        "CA certificate bundle" in str(root) or any(getattr(link, "library", None) == "X509" for link in chain)
    ):
        return _permanent(call, said, "correct the variable REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE")
    if isinstance(error, (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL)):
        return _permanent(call, said, "check the proxy variables of the environment")
    has_not_connected = any(isinstance(link, (NewConnectionError, ConnectTimeoutError, ProxyError)) for link in chain)
    if any(isinstance(link, NameResolutionError) for link in chain):
        said = "the host name in the Base URL was not found"
    elif has_not_connected:
        said = said.rpartition("] ")[2]
    elif any(isinstance(link, (ReadTimeoutError, TimeoutError)) for link in chain):
        said = "it was not complete within the time limit"
    if not has_not_connected:
        return ProlificConnectionError(f"no answer from Prolific: {said} ({call})")
    if base_url != DEFAULT_HOST:
        said += "; check Base URL and Port of the connection"
    return ProlificConnectionError(f"Prolific cannot be reached: {said} ({call})", may_have_acted=False)


def _permanent(call: str, reason: str, advice: str) -> ProlificConnectionError:
    return ProlificConnectionError(f"{reason}; {advice} ({call} was not sent)", transient=False, may_have_acted=False)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, however ``requests`` and ``urllib3`` have wrapped them."""
    for _ in range(20):
        if error is None:
            return
        yield error
        wrapped = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
        error = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)
