"""A Prolific that answers for each workspace whatever a test says, byte by byte: for what the emulator never says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit


def listing_of(group: bytes) -> bytes:
    """Return a listing with one group, whose JSON may be anything."""
    return b'{"results": [' + group + b'], "meta": {"count": 1}}'


def listing_of_count(participant_count: int) -> bytes:
    """Return a listing with the group ``pg``, which has so many participants."""
    return listing_of(b'{"id": "pg", "name": "Participants", "participant_count": %d}' % participant_count)


class Workspaces:
    """
    A server on a free port of this machine, for the time of a ``with`` block.

    :param answer: Returns the body for a workspace and the number of the request for it, counted from 1.
    """

    def __init__(self, answer: Callable[[str, int], bytes]) -> None:
        self.answer = answer
        self.requests: Counter[str] = Counter()
        self._lock = threading.Lock()
        workspaces = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = workspaces._body(parse_qs(urlsplit(self.path).query).get("workspace_id", [""])[0])
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)

    def _body(self, workspace_id: str) -> bytes:
        with self._lock:
            self.requests[workspace_id] += 1
            return self.answer(workspace_id, self.requests[workspace_id])

    def connection_json(self) -> str:
        """Return the connection for Airflow, without a default scope."""
        url = f"http://127.0.0.1:{self._server.server_port}"
        return json.dumps({"conn_type": "prolific", "host": url, "password": "a-token-of-no-worth"})

    def __enter__(self) -> Workspaces:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
