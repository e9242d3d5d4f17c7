"""What every request passes before the imitated API sees it: the request log, and the faults.

ASGI has no word for "close the connection now", so the server's protocol class remembers each connection by the
client's address; the address is in every request's scope.
"""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_prolific.emulator.faults import FaultPlan, FaultRule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Any, Receive, Send], Awaitable[None]]

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

    :param size: how many are kept.
    """

    def __init__(self, size: int = 100_000) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=size)
        self.total = 0

    def clear(self) -> None:
        """Forget all requests."""
        self.entries.clear()
        self.total = 0

    def open(self, scope: Any, fault: FaultRule | None) -> dict[str, Any]:
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
            "fault": fault and fault.kind,
        }
        self.entries.append(entry)
        self.total += 1
        return entry


class Gate:
    """The outermost layer: notes each request, and spoils its answer where a fault rule hits.

    Requests to the control endpoints pass untouched.

    :param application: the imitated API, with the control endpoints.
    :param faults: the rules in force.
    :param log: where requests are noted.
    """

    def __init__(self, application: Application, faults: FaultPlan, log: RequestLog) -> None:
        self._application = application
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["path"].startswith(CONTROL_PREFIX):
            await self._application(scope, receive, send)
            return
        fault = self._faults.take(scope["method"], scope["path"])
        entry = self._log.open(scope, fault)

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
                document = error_document(500, "The emulator failed; its output says why.")
                await _answer(send_and_note, 500, json.dumps(document).encode())

    async def _spoil(self, fault: FaultRule, scope: Any, receive: Receive, send: Send) -> None:
        fields = fault.fields
        match fault.kind:
            case "slow":
                await asyncio.sleep(fields["seconds"])
                await self._application(scope, receive, send)
            case "ignored_scope":
                await self._application({**scope, IGNORE_SCOPE: True}, receive, send)
            case "truncate":
                await self._truncate(scope, receive, send)
            case "lost_answer":
                await self._record(scope, receive)
                await _close(scope, receive)
            case "disconnect":
                await _read_body(receive)
                await _close(scope, receive)
            case _:
                await _read_body(receive)
                await _answer_instead(fault, send)

    async def _record(self, scope: Any, receive: Receive) -> list[Message]:
        """Let the application answer, and keep the answer back."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._application(scope, receive, keep)
        return messages

    async def _truncate(self, scope: Any, receive: Receive, send: Send) -> None:
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


async def _close(scope: Any, receive: Receive) -> None:
    """Close the connection after what has been sent so far, and let the server notice it."""
    transport = _transports.get(tuple(scope["client"]))
    if transport is None:  # the client was faster
        return
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(
    send: Send, status: int, body: bytes, content_type: str = "application/json", retry_after: object = None
) -> None:
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        (b"content-length", str(len(body)).encode()),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode("latin-1")))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer_instead(fault: FaultRule, send: Send) -> None:
    fields = fault.fields
    retry_after = fields.get("retry_after")
    status: int = fields.get("status", 200)
    if fault.kind == "status":
        document = error_document(
            status, fields.get("detail", "A fault set on the emulator."), fields.get("error_code")
        )
        await _answer(send, status, json.dumps(document).encode(), retry_after=retry_after)
    elif fault.kind == "html":
        status = fields.get("status", 502)
        page = (
            f"<!DOCTYPE html>\n<html><head><title>{status}</title></head>\n<body><h1>Gateway trouble</h1>"
            f"<p>The service behind this gateway gave no usable answer ({status}).</p></body></html>\n"
        )
        await _answer(send, status, page.encode(), "text/html; charset=utf-8", retry_after)
    elif "text" in fields:
        content_type = fields.get("content_type", "application/json")
        await _answer(send, status, fields["text"].encode(), content_type, retry_after)
    elif fault.kind == "empty":
        await _answer(send, status, b"")
    else:
        content_type = fields.get("content_type", "application/json")
        await _answer(send, status, json.dumps(fields["json"]).encode(), content_type, retry_after)


_TITLES = {
    400: "Bad request",
    401: "Unauthorised",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    422: "Unprocessable",
    429: "Too many requests",
    500: "Server error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway time-out",
}


def error_document(status: int, detail: object, error_code: int | None = None) -> dict[str, Any]:
    """Return an error body in the API's shape."""
    return {
        "error": {
            "status": status,
            "error_code": 140000 + status if error_code is None else error_code,
            "title": _TITLES.get(status, "Error"),
            "detail": detail,
            "additional_information": "",
            "traceback": "",
            "interactive": False,
        }
    }
