"""What all routes share: who asks, and pages of a listing.

The links of a page have a host that does not exist, because the real API has used an internal host there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_prolific.emulator.errors import ApiError, not_found
from airflow_provider_prolific.emulator.models import Whole
from airflow_provider_prolific.emulator.seed import User
from airflow_provider_prolific.emulator.state import State

INTERNAL_HOST = "http://internal.prolific.invalid"
DEFAULT_LIMIT = 20
_Row = TypeVar("_Row")


async def _state(request: Request) -> State:
    state: State = request.app.state.emulated
    return state


CurrentState = Annotated[State, Depends(_state)]


async def _user(request: Request, state: CurrentState) -> User:
    keyword, _, token = request.headers.get("authorization", "").partition(" ")
    user = state.user_of(token) if keyword == "Token" else None
    if user is None:
        raise ApiError(401, "Send a valid token: Authorization: Token <token>")
    return user


CurrentUser = Annotated[User, Depends(_user)]

Limit = Annotated[Whole, Query(ge=1)]
Offset = Annotated[Whole, Query()]


def page_by_offset(
    request: Request, state: State, rows: Sequence[_Row], show: Callable[[_Row], Any], limit: int, offset: int
) -> Response:
    """Answer with a page that was asked for by the number of rows before it."""
    limit = min(limit, state.settings.max_limit)
    if offset >= max(len(rows), 1) and state.settings.past_end == "404":
        raise not_found()
    last = max(len(rows) - 1, 0) // limit * limit
    starts = {
        "self": offset,
        "next": offset + limit if offset + limit < len(rows) or state.settings.next_on_last_page else None,
        "previous": max(offset - limit, 0) if offset else None,
        "last": last,
    }
    positions = {name: None if start is None else {"limit": limit, "offset": start} for name, start in starts.items()}
    return _page(request, state, rows, show, slice(offset, offset + limit), positions)


def page_by_number(
    request: Request, state: State, rows: Sequence[_Row], show: Callable[[_Row], Any], number: int, size: int
) -> Response:
    """Answer with a page that was asked for by its own number."""
    size = min(size, state.settings.max_limit)
    last = max(-(-len(rows) // size), 1)
    if number > last and state.settings.past_end != "empty":
        raise not_found()
    numbers = {
        "self": number,
        "next": number + 1 if number < last or state.settings.next_on_last_page else None,
        "previous": number - 1 if number > 1 else None,
        "last": last,
    }
    positions = {name: None if each is None else {"page": each, "page_size": size} for name, each in numbers.items()}
    start = (number - 1) * size
    return _page(
        request, state, rows, show, slice(max(start - state.settings.page_overlap, 0), start + size), positions
    )


def _page(
    request: Request,
    state: State,
    rows: Sequence[_Row],
    show: Callable[[_Row], Any],
    part: slice,
    positions: Mapping[str, Mapping[str, int] | None],
) -> Response:
    paging = state.settings.paging
    shown = rows if paging == "none" else rows[part]
    page: dict[str, Any] = {"results": [show(row) for row in shown]}
    if paging in ("full", "links"):
        page |= {"_links": _links(request, positions), "meta": {}}
    if paging in ("full", "count"):
        page["meta"] = {"count": len(rows)}
    return JSONResponse(page)


def _links(request: Request, positions: Mapping[str, Mapping[str, int] | None]) -> dict[str, Any]:
    ways = {"limit", "offset", "page", "page_size"}
    others = [(name, value) for name, value in request.query_params.multi_items() if name not in ways]
    titles = {"self": "Current"}
    return {
        name: {
            "href": None
            if position is None
            else f"{INTERNAL_HOST}{request.url.path}?{urlencode([*others, *position.items()])}",
            "title": titles.get(name, name.title()),
        }
        for name, position in positions.items()
    }
