"""Connections whose time-out holds for a whole answer, however slowly it trickles.

A socket's time-out is usually one for each piece that arrives, so that a server which sends a byte every second is
never too slow. Here it is a budget: what is set is what all pieces together may take, until it is set again. urllib3
sets it before it connects, before it sends, and before it reads, each time to what is left of the attempt's limit; so
the limit holds wherever the reading stands: status line, headers, interim answers, chunk sizes, body.
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
    """A socket whose time-out is a budget for all that follows."""

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
    """A connection over TLS; its handshake keeps the time-out as a whole by itself."""


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        # urllib3 would log what follows a header that cannot be read, whatever secret the server put there.
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
    """What keeps the connections to one server. It may be shared by threads, and it knows no token.

    :param connections: How many connections are kept open for the next request.
    """

    def __init__(self, connections: int = 10) -> None:
        # One pool: where the Airflow connection changes to another server, what was open to the old one is closed.
        super().__init__(pool_connections=1, pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Make the pools, of connections with a budget."""
        self._tls_context = create_urllib3_context()
        self._tls_context.sslsocket_class = _TlsSocket
        super().init_poolmanager(*arguments, **keywords, ssl_context=self._tls_context)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        """Name the CA file always: requests 2.32 leaves it to a context of its own, and this is ours."""
        file = DEFAULT_CA_BUNDLE_PATH if verify is True else verify
        super().cert_verify(conn, url, file, cert)  # type: ignore[no-untyped-call]

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        """Return what keeps the connections through a proxy, which are of the same kind."""
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
        # A compressed answer may be a thousand times larger than what arrives.
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # A plain http connection is local: a proxy from the environment would carry the token off the machine.
        self.trust_env = settings.base_url.startswith("https://")
        self.mount("https://", transport)
        self.mount("http://", transport)

    def get_redirect_target(self, response: requests.Response) -> None:
        """Return that there is none: requests would read a redirect's body to its end."""


class _TokenAuth(requests.auth.AuthBase):
    """Add the token to a request; as an ``auth`` object no ``.netrc`` can replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request

    def __reduce__(self) -> str:
        raise TypeError("the token of a connection is not pickled")
