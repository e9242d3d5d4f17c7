"""The REST API of an Airflow 3, which answers a hundred times faster than its command line starts."""

from __future__ import annotations

import json
import urllib.request
from functools import cached_property
from typing import Any


class AirflowApi:
    """
    Airflow's REST API, for an Airflow where nobody has to sign in.

    :param url: Where Airflow's pages are.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """Send a request, with a JSON document if one is given, and return the JSON that comes."""
        return self._send(method, path, document, Authorization=f"Bearer {self._token}")

    @cached_property
    def _token(self) -> str:
        return str(self._send("GET", "auth/token")["access_token"])

    def _send(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.url}/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
