"""What the endpoints of all resources share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_prolific.arguments import check_id

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.client import Client


class Endpoints:
    """The endpoints of one resource, as methods; the hook inherits those of all resources."""

    @property
    def _client(self) -> Client:
        raise NotImplementedError


def quote_id(value: Any, name: str) -> str:
    """Return an id for the path of an endpoint.

    :raises ProlificValueError: not an id; it begins with the argument's name.
    """
    return quote(check_id(value, name), safe="")
