"""What every request passes before the imitated API: the check of its sender, the request log, and the faults.

ASGI cannot say "close the connection now". So the server's protocol class remembers each connection by the client's
address, which is in every request's scope.
"""

import asyncio
import re
import time
import traceback
from collections import deque
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_prolific.emulator.errors import ApiError, error_document
from airflow_provider_prolific.emulator.faults import AnswerFault, Fault, SlowFault, take_fault
from airflow_provider_prolific.text import is_storable, shorten

CONTROL_PREFIX = "/_emulator/"
IGNORE_SCOPE = "emulator.ignore_scope"  # key in a request's scope: this listing ignores which groups it is asked for

_LOOPBACK = re.compile(r"(localhost|\[::1\]|127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3})(:\d{0,5})?", re.ASCII)
_transports: dict[tuple[str, int], asyncio.Transport] = {}


class TrackedConnection(H11Protocol):
    """Uvicorn's HTTP connection, which can be found by the client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection."""
        super().connection_made(transport)
        self._address = transport.get_extra_info("peername")
        _transports[self._address] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        # Compared by identity: a new connection from the same address may have replaced it already.
        if _transports.get(self._address) is self.transport:
            del _transports[self._address]
        super().connection_lost(exc)


class LocalOnlyMiddleware:
    """Refuses requests that a web page could send, and bodies that are too large or not UTF-8.

    A page of another origin can reach this machine, but it cannot hide its origin. Its requests have an ``Origin`` or
    ``Sec-Fetch-Site``, or another ``Host`` if its own host name points to this machine.
    """

    MAX_BODY = 4 * 1024 * 1024

    def __init__(self, app: ASGIApp) -> None:
        self._application = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        try:
            _check_sender(scope["headers"])
            body = await self._body(scope, receive)
        except ClientDisconnect:
            return
        except ApiError as refused:
            answer = JSONResponse(error_document(refused.status, refused.detail), refused.status)
            await answer(scope, receive, send)
            return
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await receive()

        await self._application(scope, replay, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        body = bytearray()
        async for chunk in Request(scope, receive).stream():
            body += chunk
            if len(body) > self.MAX_BODY:
                raise ApiError(413, f"A body can have at most {self.MAX_BODY} bytes.")
        if not is_storable(body.decode("utf-8", "surrogateescape")):  # bytes that are not UTF-8, or NUL as in UTF-16
            raise ApiError(400, "The body is not UTF-8.")
        return bytes(body)


def _check_sender(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuse a request that a web page elsewhere can have sent."""
    fields = [(name.decode("latin-1"), value.decode("latin-1").lower()) for name, value in headers]
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        raise ApiError(403, "The header Host must name this machine: 127.0.0.1, localhost or [::1], with a port.")
    own = {"origin": [f"http://{hosts[0]}"], "sec-fetch-site": ["same-origin", "none"]}
    for name, value in fields:
        if value not in own.get(name, [value]):
            raise ApiError(403, f"Requests from other web pages are refused ({name}: {shorten(value)}).")


class RequestLog:
    """The latest requests, without their bodies and tokens; long paths are cut."""

    def __init__(self, size: int = 100_000, max_bytes: int = 100_000_000) -> None:
        self.entries: deque[dict[str, Any]] = deque()
        self.total = 0
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0

    def clear(self) -> None:
        """Forget all requests."""
        self.entries.clear()
        self.total = self._bytes = 0

    def open(self, scope: Scope, fault: str | None) -> dict[str, Any]:
        """Log a request when it arrives; its status is filled in later."""
        headers = dict(scope["headers"])
        path = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            path += b"?" + scope["query_string"]
        entry = {
            "time": time.time(),
            "method": scope["method"][:20],
            "path": path[:1000].decode("latin-1"),
            "status": None,
            "user_agent": headers.get(b"user-agent", b"")[:200].decode("latin-1"),
            "has_token": b"authorization" in headers,
            "fault": fault,
        }
        self.entries.append(entry)
        self.total += 1
        self._bytes += _bytes_of(entry)
        while len(self.entries) > self._size or self._bytes > self._max_bytes:
            self._bytes -= _bytes_of(self.entries.popleft())
        return entry


def _bytes_of(entry: dict[str, Any]) -> int:
    return 500 + len(entry["path"]) + len(entry["user_agent"])


class FaultMiddleware:
    """Logs each request, and spoils its answer if a fault hits it; control calls pass unchanged."""

    def __init__(self, app: ASGIApp, faults: list[Fault], log: RequestLog) -> None:
        self._application = app
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["path"].startswith(CONTROL_PREFIX):
            await self._application(scope, receive, send)
            return
        fault = take_fault(self._faults, scope["method"], scope["path"])
        entry = self._log.open(scope, fault.kind if fault else None)

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        try:
            if fault is None:
                await self._application(scope, receive, send_and_note)
            else:
                await self._spoil(fault, scope, receive, send_and_note)
        except Exception:  # noqa: BLE001 - a bug in here must be seen, and the server goes on
            traceback.print_exc()
            if entry["status"] is None:
                answer = JSONResponse(error_document(500, "The emulator failed; its output says why."), 500)
                await answer(scope, receive, send_and_note)

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(fault, AnswerFault):
            answer = fault.answer()
            if fault.kind == "raw":
                await _close(scope, receive, bytes(answer.body))
            else:
                await answer(scope, receive, send)
        elif fault.kind == "ignored_scope":
            await self._application({**scope, IGNORE_SCOPE: True}, receive, send)
        elif fault.kind == "disconnect":
            await _close(scope, receive)
        elif isinstance(fault, SlowFault) and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self._application(scope, receive, send)
        else:
            await self._spoil_true_answer(fault, scope, receive, send)

    async def _spoil_true_answer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._application(scope, receive, keep)
        start, *parts = messages
        body = b"".join(part.get("body", b"") for part in parts)
        if fault.kind == "lost_answer":
            await _close(scope, receive)
            return
        await send(start)
        if isinstance(fault, SlowFault):
            for number in range(len(body)):
                await send({"type": "http.response.body", "body": body[number : number + 1], "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(fault.seconds):
                        await _wait_for_disconnect(receive)
                        return
        elif body:  # in a 204 there is nothing to cut
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await _close(scope, receive)
            return
        await send({"type": "http.response.body", "body": b""})


async def _close(scope: Scope, receive: Receive, last_words: bytes = b"") -> None:
    """Close the connection after what has been sent so far, and let the server notice it."""
    transport = _transports.get(tuple(scope["client"]))
    if transport is not None:  # else the client was faster
        transport.write(last_words)
        transport.close()
    await _wait_for_disconnect(receive)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
