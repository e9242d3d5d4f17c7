"""What a connection of type ``prolific`` says: read, checked, and refused in plain words."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

from airflow_provider_prolific.arguments import SCOPES, check_id, shorten
from airflow_provider_prolific.exceptions import ProlificValueError

DEFAULT_HOST = "https://api.prolific.com"

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")


@dataclass(frozen=True)
class ConnectionSettings:
    """What a connection says, checked."""

    base_url: str
    token: str = field(repr=False)
    scopes: dict[str, str | None]

    @property
    def secrets(self) -> list[str]:
        """What no error may say, should the API echo it; a token too short to be one would hide ordinary words."""
        return [self.token] if len(self.token) >= 20 else []

    @classmethod
    def read(cls, connection: Any) -> ConnectionSettings:
        """Return what an Airflow connection says.

        :raises ProlificValueError: it cannot be used; the message names it, and says what to do.
        """
        where = f"connection {connection.conn_id!r}"
        extra = connection.extra_dejson
        if not isinstance(extra, dict):
            raise ProlificValueError(f"{where}: the extra field must be a JSON object with workspace_id or project_id")
        scopes: dict[str, str | None] = {}
        for key in SCOPES:
            value = extra.get(key)
            value = value.strip() if isinstance(value, str) else value
            scopes[key] = None if value in (None, "") else check_id(value, f"{where}: extra field {key}")
        return cls(_read_base_url(connection, where), _read_token(connection, where), scopes)


def _read_token(connection: Any, where: str) -> str:
    token = (connection.password or "").strip()
    if not token:
        raise ProlificValueError(
            f"{where} has no API token: put it into the password field (Prolific: Settings, then API tokens)"
        )
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ProlificValueError(
            f"{where}: the API token in the password field has spaces or characters that no token has; "
            "paste the token alone, without the word 'Token'"
        )
    return token


def _read_base_url(connection: Any, where: str) -> str:
    host = (connection.host or "").strip() or DEFAULT_HOST

    def refuse(reason: str) -> NoReturn:
        raise ProlificValueError(
            f"{where}: the host field must be a base URL like {DEFAULT_HOST} without path or query, "
            f"and {shorten(_without_userinfo(host))} {reason}"
        )

    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        port = parts.port
    except ValueError:
        refuse("is not one")
    if parts.scheme not in ("http", "https"):
        refuse("is neither https nor http")
    if "@" in parts.netloc:
        refuse("has a user name or password in it: the token belongs into the password field")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "?" in host or "#" in host:
        refuse("has a path, a query or a fragment")
    name = parts.hostname or ""
    if not (_is_ip_address(name) or _HOST_NAME.fullmatch(name)):
        refuse("has no valid host name")
    if parts.scheme == "http" and not _is_loopback(name):
        refuse("would send the token in clear text to another machine: use https://")
    connection_port = connection.port or None
    if port and connection_port and port != connection_port:
        refuse(f"names another port than the port field ({connection_port})")
    port = port or connection_port
    if port is not None and not 0 < port < 65536:
        refuse(f"has the port {port}, which does not exist")
    name = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "")


def _without_userinfo(host: str) -> str:
    """Return a URL without what stands before ``@``: it may be a token that went into the wrong field."""
    return re.sub(r"^(\w+://)?.*@", r"\1…@", host)


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_ip_address(name) and ipaddress.ip_address(name).is_loopback)
