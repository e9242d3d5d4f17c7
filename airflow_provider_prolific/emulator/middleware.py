"""What every request passes before the imitated API sees it: the request log, and the faults.

ASGI has no word for "close the connection now", so the server's protocol class remembers each connection by the
client's address; the address is in every request's scope.
"""

import asyncio
import time
import traceback
from collections import deque
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_prolific.emulator.errors import error_document
from airflow_provider_prolific.emulator.faults import AnswerFault, Fault, SlowFault, take_fault

CONTROL_PREFIX = "/_emulator/"
IGNORE_SCOPE = "emulator.ignore_scope"  # key in a request's scope: this one listing ignores what it is asked for

_transports: dict[tuple[str, int], asyncio.Transport] = {}


class TrackedConnection(H11Protocol):
    """Uvicorn's HTTP connection, to be found again by the client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection."""
        super().connection_made(transport)
        self._address = transport.get_extra_info("peername")
        _transports[self._address] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        # Looked up by identity: a new connection from the same address may have taken the place already.
        if _transports.get(self._address) is self.transport:
            del _transports[self._address]
        super().connection_lost(exc)


class RequestLog:
    """The latest requests, without their bodies and without their tokens.

    :param size: How many are kept.
    """

    def __init__(self, size: int = 100_000) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=size)
        self.total = 0

    def clear(self) -> None:
        """Forget all requests."""
        self.entries.clear()
        self.total = 0

    def open(self, scope: Any, fault: str | None) -> dict[str, Any]:
        """Note a request on its arrival; its status is filled in when there is one."""
        headers = dict(scope["headers"])
        path = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            path += b"?" + scope["query_string"]
        entry = {
            "time": time.time(),
            "method": scope["method"],
            "path": path.decode("latin-1"),
            "status": None,
            "user_agent": headers.get(b"user-agent", b"").decode("latin-1"),
            "has_token": b"authorization" in headers,
            "fault": fault,
        }
        self.entries.append(entry)
        self.total += 1
        return entry


class FaultMiddleware:
    """Notes each request, and spoils its answer where a fault rule hits.

    Requests to the control endpoints pass untouched.

    :param app: The imitated API, with the control endpoints.
    :param faults: The rules in force.
    :param log: Where requests are noted.
    """

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
            await _read_body(receive)
            await fault.answer()(scope, receive, send)
        elif isinstance(fault, SlowFault):
            await asyncio.sleep(fault.seconds)
            await self._application(scope, receive, send)
        elif fault.kind == "ignored_scope":
            await self._application({**scope, IGNORE_SCOPE: True}, receive, send)
        elif fault.kind == "truncate":
            await self._truncate(scope, receive, send)
        elif fault.kind == "lost_answer":
            await self._record(scope, receive)
            await _close(scope, receive)
        else:
            await _read_body(receive)
            await _close(scope, receive)

    async def _record(self, scope: Scope, receive: Receive) -> list[Message]:
        """Let the application answer, and keep the answer back."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._application(scope, receive, keep)
        return messages

    async def _truncate(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, *parts = await self._record(scope, receive)
        body = b"".join(part.get("body", b"") for part in parts)
        await send(start)
        if not body:  # nothing to cut, as in a 204
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _close(scope, receive)


async def _read_body(receive: Receive) -> None:
    """Read a request to its end: a connection closed with unread bytes is reset instead of ended."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _close(scope: Scope, receive: Receive) -> None:
    """Close the connection after what has been sent so far, and let the server notice it."""
    transport = _transports.get(tuple(scope["client"]))
    if transport is None:  # the client was faster
        return
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
