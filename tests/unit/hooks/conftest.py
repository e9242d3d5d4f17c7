"""What the tests of the hook share: clients, and servers on loopback that are told what to answer, or which bytes."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_prolific.hooks.client import Client
from airflow_provider_prolific.hooks.connection import ConnectionSettings
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.hooks.transport import Transport


@pytest.fixture
def make_client(token: str, workspace: str) -> Iterator[Callable[..., Client]]:
    """Make a client of a server; it does not repeat its calls unless it is told to."""
    transports = []

    def make(url: str, max_retries: int | None = 0, **limits: float) -> Client:
        settings = ConnectionSettings("prolific_default", url, token, {"workspace_id": workspace, "project_id": None})
        transports.append(Transport())
        return Client(settings, transports[-1], Limits(**limits), max_retries, logging.getLogger("client"))

    yield make
    for transport in transports:
        transport.close()


@dataclass
class Answer:
    """What the local server is to answer; ``cut`` breaks the connection ``"before"`` the answer or ``"within"`` it."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None


@dataclass
class Asked:
    """What the local server was asked."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    client_port: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


class LocalApi:
    """A real HTTP server on loopback that gives its answers one after the other, and the last one for ever."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self._answers: list[Answer] = []
        self._choose: Callable[[Asked, list[str]], int] | None = None
        self._lock = threading.Lock()

    def answer(self, status: int = 200, json_body: Any = None, *, times: int = 1, cut: str | None = None, **more: Any):
        body = more.get("body", json.dumps({} if json_body is None else json_body).encode())
        self._answers += [Answer(status, body, more.get("headers", {}), cut)] * times

    def answer_by(self, choose: Callable[[Asked, list[str]], int]) -> None:
        """Answer with the status that is chosen from what is asked, and from what was asked before."""
        self._choose = choose

    def take(self, asked: Asked) -> Answer:
        with self._lock:
            before = [earlier.target for earlier in self.asked]
            self.asked.append(asked)
        if self._choose is not None:
            return Answer(self._choose(asked, before))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, dict(self.headers), body, self.client_address[1])
        answer = self.server.api.take(asked)
        if answer.cut == "before":
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) + (100 if answer.cut == "within" else 0)
        if answer.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.cut == "within":
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Keep the test's output clean."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *arguments: Any) -> None:
        """Say nothing of a client that went away."""


@pytest.fixture
def start_local_api() -> Iterator[Callable[[], LocalApi]]:
    servers: list[ThreadingHTTPServer] = []

    def start() -> LocalApi:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.api = LocalApi(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server.api

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def local_api(start_local_api: Callable[[], LocalApi]) -> LocalApi:
    return start_local_api()


class ByteServer:
    """A server on loopback that sends bytes after each request, whatever they are; over TLS with a certificate.

    :param answer: Yields the pieces of an answer.
    :param pause: Seconds before each piece.
    """

    def __init__(
        self, answer: Callable[[], Iterable[bytes]], pause: float = 0, certificate: Path | None = None
    ) -> None:
        self.answer = answer
        self.pause = pause
        #: How many requests came, and how many answers went out as a whole.
        self.asked = self.answered = 0
        self._tls = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """End all connections, so that what was asked and answered is final."""
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connected, _ = self._listener.accept()
                connected.settimeout(10)
                thread = threading.Thread(target=self._serve, args=(connected,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connected: socket.socket) -> None:
        with connected, suppress(OSError):
            client = self._tls.wrap_socket(connected, server_side=True) if self._tls else connected
            with client:
                received = b""
                while b"\r\n\r\n" not in received:
                    if not (part := client.recv(65536)):
                        return
                    received += part
                self.asked += 1
                for piece in self.answer():
                    if self._stopped.wait(self.pause):
                        return
                    client.sendall(piece)
                self.answered += 1
                if not self._tls:  # what was not read would make the kernel drop what was sent
                    client.shutdown(socket.SHUT_WR)


@pytest.fixture
def serve() -> Iterator[Callable[..., ByteServer]]:
    """Start a server that sends bytes."""
    servers: list[ByteServer] = []

    def start(answer: bytes | Callable[[], Iterable[bytes]], **how: Any) -> ByteServer:
        servers.append(ByteServer(answer if callable(answer) else lambda: [answer], **how))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def start_silent_server() -> Iterator[Callable[[str], str]]:
    """Start a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield lambda scheme: f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate of 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
