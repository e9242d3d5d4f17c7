"""A server on loopback that lists participant groups, or hangs, or trickles; it tells what it saw."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Seen(NamedTuple):
    """A request: when it came, on which connection, and with which token."""

    time: float
    client_port: int
    token: str


class ListingServer:
    """It answers every request with the same groups.

    :param count: The participant count of its one group, which is named Filling.
    :param hanging: How many requests, from the first on, are never answered.
    :param trickling: How many are answered a byte at a time, without an end.
    """

    def __init__(self, count: int = 0, hanging: int = 0, trickling: int = 0) -> None:
        self.count = count
        self.hanging = hanging
        self.trickling = trickling
        self.seen: list[Seen] = []
        self.open_connections = 0
        self.closes_after_each = False
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def connection_json(self, token: str = "token") -> str:
        extra = {"workspace_id": "64a000000000000000000001"}
        return json.dumps({"conn_type": "prolific", "host": self.url, "password": token, "extra": extra})

    @property
    def connections(self) -> int:
        """How many connections the requests came on."""
        return len({seen.client_port for seen in self.seen})

    def add_open(self, change: int) -> None:
        with self._lock:
            self.open_connections += change

    def note(self, seen: Seen) -> int:
        """Keep a request and return its number, from 1 on."""
        with self._lock:
            self.seen.append(seen)
            return len(self.seen)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    owner: ListingServer
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def setup(self) -> None:
        super().setup()
        self.server.owner.add_open(1)

    def finish(self) -> None:
        self.server.owner.add_open(-1)
        super().finish()

    def do_GET(self) -> None:
        owner: ListingServer = self.server.owner
        token = self.headers["Authorization"].removeprefix("Token ")
        number = owner.note(Seen(time.monotonic(), self.client_address[1], token))
        if number <= owner.hanging:
            owner.stopped.wait(60)
            self.close_connection = True
            return
        group = {"id": "g1", "name": "Filling", "participant_count": owner.count}
        body = json.dumps({"results": [group], "meta": {"count": 1}}).encode()
        if number <= owner.trickling:
            body = b" " * 100_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if owner.closes_after_each:
            self.send_header("Connection", "close")
        self.end_headers()
        if number > owner.trickling:
            self.wfile.write(body)
            return
        self.close_connection = True
        with suppress(OSError):  # the client has gone
            while not owner.stopped.wait(0.1):
                self.wfile.write(b" ")

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""
