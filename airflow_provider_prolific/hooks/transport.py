"""HTTP connections whose time-out covers a whole answer, however slowly it arrives.

The time-out of a socket normally applies to each piece that arrives, so a server that sends a byte every second never
times out. Here it is a budget for all pieces together, until it is set again. ``urllib3`` sets it before it connects,
before it sends and before it reads, each time to the rest of the attempt's limit. So the limit covers every part of an
answer: status line, headers, interim answers, chunk sizes, body.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager
from urllib3.util.ssl_ import create_urllib3_context

from airflow_provider_prolific import __version__
from airflow_provider_prolific.hooks.connection import ConnectionSettings


class _Budget:
    """A socket whose time-out is a budget for everything that follows."""

    _spent_at: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._spent_at = None if seconds is None else time.monotonic() + seconds
        super().settimeout(seconds)  # type: ignore[misc]

    def recv_into(self, *arguments: Any, **keywords: Any) -> int:
        self._set_what_is_left()
        received: int = super().recv_into(*arguments, **keywords)  # type: ignore[misc]
        return received

    def send(self, *arguments: Any, **keywords: Any) -> int:
        self._set_what_is_left()
        sent: int = super().send(*arguments, **keywords)  # type: ignore[misc]
        return sent

    def _set_what_is_left(self) -> None:
        if self._spent_at is not None:
            if (left := self._spent_at - time.monotonic()) <= 0:
                raise TimeoutError("timed out")
            super().settimeout(left)  # type: ignore[misc]


class _Socket(_Budget, socket.socket):
    """A plain connection."""


class _TlsSocket(_Budget, ssl.SSLSocket):
    """A connection over TLS; Python itself applies the time-out to the whole handshake."""


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        # urllib3 would log the text after an unreadable header, which may contain a secret.
        self.msg.defects.clear()
        self.msg.set_payload("")


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _with_budget(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _with_budget(super()._new_conn())


def _with_budget(connected: socket.socket) -> socket.socket:
    seconds = connected.gettimeout()
    budgeted = _Socket(fileno=connected.detach())
    budgeted.settimeout(seconds)
    return budgeted


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class Transport(HTTPAdapter):
    """Keeps the connections to one server open. Threads may share it, and it does not know the token.

    :param connections: How many connections are kept open for the next request.
    """

    def __init__(self, connections: int = 10) -> None:
        # One pool: if the Airflow connection changes to another server, connections to the old one are closed.
        super().__init__(pool_connections=1, pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Make pools whose connections have a budget."""
        self._tls_context = create_urllib3_context()
        self._tls_context.sslsocket_class = _TlsSocket
        super().init_poolmanager(*arguments, **keywords, ssl_context=self._tls_context)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        """Always set the CA file: ``requests`` 2.32 sets it only in its own TLS context, and this one is ours."""
        file = DEFAULT_CA_BUNDLE_PATH if verify is True else verify
        super().cert_verify(conn, url, file, cert)  # type: ignore[no-untyped-call]

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        """Return a proxy manager whose connections have a budget, too."""
        manager = super().proxy_manager_for(proxy, **keywords, ssl_context=self._tls_context)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class Session(requests.Session):
    """A session with the token of a connection."""

    def __init__(self, settings: ConnectionSettings, transport: Transport) -> None:
        super().__init__()
        self.auth = _TokenAuth(settings.token)
        self.headers["User-Agent"] = f"airflow-provider-prolific/{__version__} {requests.utils.default_user_agent()}"
        self.headers["Accept"] = "application/json"
        # A compressed answer may be a thousand times larger than the bytes that arrive.
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # A plain http connection is local: a proxy from the environment would take the token off the machine.
        self.trust_env = settings.base_url.startswith("https://")
        self.mount("https://", transport)
        self.mount("http://", transport)

    def get_redirect_target(self, response: requests.Response) -> None:
        """Return no target: ``requests`` would read the whole body of a redirect."""


class _TokenAuth(requests.auth.AuthBase):
    """Add the token to a request; as an ``auth`` object no ``.netrc`` can replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request

    def __reduce__(self) -> str:
        raise TypeError("the token of a connection is not pickled")
