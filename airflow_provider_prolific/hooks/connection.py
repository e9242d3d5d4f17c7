"""The settings in a connection of type ``prolific``. Errors use the words of the connection form."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_prolific.arguments import SCOPES, check_id
from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.text import shorten

DEFAULT_HOST = "https://api.prolific.com"
#: The labels of the scopes in the form.
SCOPE_LABELS = {"workspace_id": "Workspace ID", "project_id": "Project ID"}


@dataclass(frozen=True)
class ConnectionSettings:
    """The settings of a connection, checked."""

    conn_id: str
    base_url: str
    token: str = field(repr=False)
    scopes: dict[str, str | None]
    #: Keys of the extra fields that have no meaning here, such as misspelt ones.
    unknown_keys: tuple[str, ...] = ()

    @classmethod
    def read(cls, connection: Any) -> ConnectionSettings:
        """Read and check an Airflow connection.

        :raises ProlificValueError: it cannot be used; the message names it, and says what to do.
        """
        where = f"connection {connection.conn_id!r}"
        extra = _read_extra(connection, where)
        scopes: dict[str, str | None] = {}
        for key in SCOPES:
            value = extra.get(key)
            value = value.strip() if isinstance(value, str) else value
            scopes[key] = None if value in (None, "") else check_id(value, f"{where}: {SCOPE_LABELS[key]}")
        return cls(
            connection.conn_id,
            _read_base_url(connection, where),
            _read_token(connection, where),
            scopes,
            # Airflow 2's form sends each of its fields a second time, with a prefix.
            tuple(key for key in extra if key.removeprefix("extra__prolific__") not in SCOPES),
        )

    def default_scope(self) -> tuple[str, str]:
        """Return the scope that the connection names, as ``(key, id)``.

        :raises ProlificValueError: it names none, or both.
        """
        named = {key: value for key, value in self.scopes.items() if value is not None}
        if len(named) == 1:
            return next(iter(named.items()))
        where = f"connection {self.conn_id!r}"
        if named:
            raise ProlificValueError(
                f"{where} has both a Workspace ID and a Project ID in its Extra Fields: keep one of them, "
                'or pass filter={"workspace_id": …}'
            )
        raise ProlificValueError(
            'no scope: pass filter={"workspace_id": …}, or set Workspace ID (or Project ID) in the Extra Fields '
            f"of {where}" + (f"; {self.describe_unknown_keys()}" if self.unknown_keys else "")
        )

    def describe_unknown_keys(self) -> str:
        """Describe the keys of the extra fields that have no meaning."""
        keys = shorten(", ".join(self.unknown_keys), 60)
        return f"its Extra Fields have the unknown key {keys}: the known ones are {' and '.join(SCOPES)}"

    def default_workspace_id(self) -> str:
        """Return the workspace that the connection names.

        :raises ProlificValueError: it names none.
        """
        workspace_id = self.scopes["workspace_id"]
        if workspace_id is None:
            raise ProlificValueError(
                "no workspace: pass workspace_id, or set Workspace ID in the Extra Fields of connection "
                f"{self.conn_id!r} (in Prolific's documents, only a workspace or an organisation can own a new group)"
            )
        return workspace_id


def _read_extra(connection: Any, where: str) -> dict[str, Any]:
    try:
        extra = connection.extra_dejson
    except ValueError:  # the error of Airflow's JSON reader, which contains the text
        extra = None
    if not isinstance(extra, dict):
        raise ProlificValueError(f"{where}: Extra Fields must be a JSON object with workspace_id or project_id")
    return extra


def _read_token(connection: Any, where: str) -> str:
    token = (connection.password or "").strip()
    if not token:
        raise ProlificValueError(
            f"{where} has no API token: make one in Prolific (Settings, API tokens) and put it into the field API token"
        )
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ProlificValueError(
            f"{where}: API token has spaces or other characters that are not allowed: paste the token alone, without "
            "the word 'Token'"
        )
    return token


def _read_base_url(connection: Any, where: str) -> str:
    """Return ``scheme://host[:port]``. No message shows the field, because it may hold the token by mistake."""
    host = (connection.host or "").strip() or DEFAULT_HOST
    text = host if "://" in host else f"https://{host}"
    try:
        parts = urlsplit(text)
        name, port = parts.hostname or "", parts.port
        shown = f"[{name}]" if ":" in name else name
        base_url = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
        is_usable = base_url == text.removesuffix("/").lower() and (
            _is_address(name) or _is_host_name(name, with_dot=text != host)
        )
    except ValueError:
        is_usable = False
    if not is_usable or parts.scheme not in ("https", "http"):
        raise ProlificValueError(
            f"{where}: Base URL must be an address like {DEFAULT_HOST}, without user name, path or query. Leave it "
            "empty for Prolific. The token belongs in the field API token"
        )
    if parts.scheme == "http" and not _is_loopback(name):
        raise ProlificValueError(
            f"{where}: Base URL must begin with https://, because http:// would send the token in clear text to "
            "another machine"
        )
    if port and connection.port and port != connection.port:
        raise ProlificValueError(
            f"{where}: Base URL has port {port}, but Port is {connection.port}: write {port} into Port, too"
        )
    port = port or connection.port or None
    if port is not None and not 0 < port < 65536:
        raise ProlificValueError(f"{where}: Port must be from 1 to 65535, not {port}")
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def _is_host_name(name: str, *, with_dot: bool) -> bool:
    """Tell whether a text is a host name; without ``https://`` before it, only a dot distinguishes it from a token."""
    labels = name.removesuffix(".").split(".")
    return (name == "localhost" or len(labels) > with_dot) and all(
        re.fullmatch(r"(?!-)[a-z0-9-]{1,63}(?<!-)", label) for label in labels
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
