"""The imitated API, as Prolific's researcher API answers on the wire.

Every path needs its trailing slash and every request the header ``Authorization: Token <token>``. What is left
undecided by Prolific's documents, and is decided here: groups are listed in the order of their creation; the links of
a page name a host that doesn't exist, because the real ones have named an internal one; adding and removing
participants answers with the whole membership that results.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_provider_prolific.emulator.control import control_router
from airflow_provider_prolific.emulator.faults import FaultPlan
from airflow_provider_prolific.emulator.gate import IGNORE_SCOPE, Gate, RequestLog, error_document
from airflow_provider_prolific.emulator.state import (
    ApiError,
    Group,
    Scope,
    State,
    User,
    format_datetime,
    invalid,
    not_found,
)

INTERNAL_HOST = "http://internal.prolific.invalid"
DEFAULT_LIMIT = 20


def create_app(state: State) -> Gate:
    """Build the application to be served.

    :param state: what it serves.
    """
    faults, log = FaultPlan(), RequestLog()
    # No pages of documentation and no redirects to the slash: the real API has neither.
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.emulated = state
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(StarletteHTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_bad_query)
    for path, methods in _ROUTES.items():
        for method, endpoint in methods.items():
            app.add_api_route(path, endpoint, methods=[method], response_model=None)
    app.include_router(control_router(state, faults, log))
    return Gate(app, faults, log)


async def _answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - for the type checker
    document = error_document(error.status, error.detail, error.error_code)
    # The one endpoint whose bad requests are documented without the envelope.
    is_flat = error.status == 400 and request.url.path.startswith("/api/v1/messages/")
    return JSONResponse(document["error"] if is_flat else document, error.status)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - for the type checker
    details = {
        404: f"No endpoint {request.url.path} (is the slash at its end missing?)",
        405: f"{request.method} is not possible here.",
    }
    detail = details.get(error.status_code, error.detail)
    return JSONResponse(error_document(error.status_code, detail), error.status_code, error.headers)


async def _answer_bad_query(_: Request, error: Exception) -> Response:
    return JSONResponse(error_document(400, str(error)), 400)


# --- what the endpoints need from a request ---


async def _state(request: Request) -> State:
    state: State = request.app.state.emulated
    return state


async def _user(request: Request) -> User:
    keyword, _, token = request.headers.get("authorization", "").partition(" ")
    user = request.app.state.emulated.user_of(token) if keyword == "Token" else None
    if user is None:
        raise ApiError(401, "Send a valid token: Authorization: Token <token>")
    assert isinstance(user, User)  # noqa: S101 - for the type checker
    return user


StateOfRequest = Depends(_state)
UserOfRequest = Depends(_user)


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise ApiError(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body is not a JSON object.")
    return body


def _text(body: Mapping[str, Any], field: str, *, required: bool = False) -> str | None:
    if body.get(field) is None and not required:
        return None
    if field not in body:
        raise invalid(**{field: "Required."})
    value = body[field]
    if not isinstance(value, str) or not value.strip():
        raise invalid(**{field: "Must be a text that is not empty."})
    return value


def _participant_ids(body: Mapping[str, Any], *, required: bool = False) -> list[str] | None:
    if "participant_ids" not in body and not required:
        return None
    value = body.get("participant_ids")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid(participant_ids="Must be a list of texts.")
    return value


def _one_value(request: Request, name: str) -> str | None:
    """Return a query parameter sent flat, in the bracket spelling, or in both with the same value."""
    values = {*request.query_params.getlist(name), *request.query_params.getlist(f"filter[{name}]")}
    if len(values) > 1:
        raise invalid(filter=f"Different values for {name}.")
    return values.pop() if values else None


def _scope(request: Request) -> Scope:
    scopes = [
        Scope(name, value)
        for name in ("workspace_id", "project_id")
        if (value := _one_value(request, name)) is not None
    ]
    if len(scopes) != 1 or not scopes[0].id:
        raise invalid(filter="Give either workspace_id or project_id.")
    return scopes[0]


def _active(request: Request) -> bool | None:
    value = request.query_params.get("active")
    if value not in (None, "true", "false"):
        raise invalid(active="Must be true or false.")
    return None if value is None else value == "true"


def _whole_number(request: Request, name: str, default: int, least: int) -> int:
    value = request.query_params.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 16 and int(value) >= least):
        raise invalid(**{name: f"Must be a whole number of {least} or more."})
    return int(value)


# --- endpoints ---


async def get_user(user: User = UserOfRequest) -> Response:
    return JSONResponse(user.as_json())


async def list_groups(request: Request, state: State = StateOfRequest, user: User = UserOfRequest) -> Response:
    scope, active = _scope(request), _active(request)
    limit = min(_whole_number(request, "limit", DEFAULT_LIMIT, 1), state.settings["max_limit"])
    offset = _whole_number(request, "offset", 0, 0)
    state.check_scope(scope, user)
    ignore_scope = state.settings["ignore_scope"] or request.scope.get(IGNORE_SCOPE, False)
    groups = state.list_groups(scope, active, ignore_scope=ignore_scope)
    if state.settings["paging"] == "none":
        return JSONResponse({"results": _rows(state, groups)})
    return JSONResponse(
        {
            "results": _rows(state, groups[offset : offset + limit]),
            "_links": _links(request, limit, offset, len(groups)),
            "meta": {"count": len(groups)},
        }
    )


def _rows(state: State, groups: list[Group]) -> list[dict[str, Any]]:
    now = state.clock()
    for group in groups:
        group.settle(now)
    return [group.as_json() for group in groups]


def _links(request: Request, limit: int, offset: int, count: int) -> dict[str, Any]:
    others = [(name, value) for name, value in request.query_params.multi_items() if name not in ("limit", "offset")]

    def link(title: str, start: int | None) -> dict[str, str | None]:
        if start is None:
            return {"href": None, "title": title}
        query = urlencode([*others, ("limit", limit), ("offset", start)])
        return {"href": f"{INTERNAL_HOST}{request.url.path}?{query}", "title": title}

    return {
        "self": link("Current", offset),
        "next": link("Next", offset + limit if offset + limit < count else None),
        "previous": link("Previous", max(offset - limit, 0) if offset else None),
        "last": link("Last", max(count - 1, 0) // limit * limit),
    }


async def create_group(request: Request, state: State = StateOfRequest, user: User = UserOfRequest) -> Response:
    body = await _body(request)
    name = _text(body, "name", required=True)
    assert name is not None  # noqa: S101 - for the type checker
    workspace_id, organisation_id = _text(body, "workspace_id"), _text(body, "organisation_id")
    if (workspace_id is None) == (organisation_id is None):
        raise invalid(workspace_id="Give either workspace_id or organisation_id.")
    if workspace_id is not None:
        state.check_scope(Scope("workspace_id", workspace_id), user)
    elif organisation_id not in user.organisations:
        raise ApiError(404, "No such organisation is visible to your token.")
    description = _text(body, "description")
    participant_ids = _participant_ids(body) or []
    state.check_participants(participant_ids)
    [group] = state.create_groups(
        1,
        name,
        description=description,
        workspace_id=workspace_id,
        organisation_id=organisation_id,
        participant_ids=participant_ids,
    )
    return JSONResponse(group.as_json(), 201)


async def get_group(group_id: str, state: State = StateOfRequest, user: User = UserOfRequest) -> Response:
    return JSONResponse(state.group(group_id, user).as_json())


async def update_group(
    group_id: str, request: Request, state: State = StateOfRequest, user: User = UserOfRequest
) -> Response:
    group = state.group(group_id, user, to_change=True)
    body = await _body(request)
    name = _text(body, "name", required="name" in body)
    participant_ids = _participant_ids(body)
    state.check_participants(participant_ids or [])
    if name is not None:
        group.name = name
    if participant_ids is not None:
        group.replace(participant_ids, state.clock())
    return JSONResponse(group.as_json())


async def delete_group(group_id: str, state: State = StateOfRequest, user: User = UserOfRequest) -> Response:
    state.set_deleted(state.group(group_id, user, to_change=True), True)
    return Response(status_code=204)


async def list_participants(group_id: str, state: State = StateOfRequest, user: User = UserOfRequest) -> Response:
    return _membership(state.group(group_id, user))


async def add_participants(
    group_id: str, request: Request, state: State = StateOfRequest, user: User = UserOfRequest
) -> Response:
    group = state.group(group_id, user, to_change=True)
    participant_ids = _participant_ids(await _body(request), required=True) or []
    state.check_participants(participant_ids)
    group.add(participant_ids, state.clock())
    return _membership(group)


async def remove_participants(
    group_id: str, request: Request, state: State = StateOfRequest, user: User = UserOfRequest
) -> Response:
    group = state.group(group_id, user, to_change=True)
    participant_ids = _participant_ids(await _body(request), required=True) or []
    group.remove(participant_ids, state.clock())
    return _membership(group)


def _membership(group: Group) -> Response:
    results = [
        {"participant_id": participant_id, "datetime_created": format_datetime(joined_at)}
        for participant_id, joined_at in group.members().items()
    ]
    return JSONResponse({"results": results})


async def message_group(request: Request, state: State = StateOfRequest, user: User = UserOfRequest) -> Response:
    body = await _body(request)
    group_id, text = _text(body, "participant_group_id", required=True), _text(body, "body", required=True)
    assert group_id is not None  # noqa: S101 - for the type checker
    assert text is not None  # noqa: S101
    study_id = _text(body, "study_id")
    state.send_message(user, state.group(group_id, user, to_change=True), text, study_id)
    return Response(status_code=204)


async def get_study(study_id: str, state: State = StateOfRequest, _: User = UserOfRequest) -> Response:
    if study_id not in state.studies:
        raise not_found()
    return JSONResponse(state.studies[study_id] | _STUDY_DETAILS)


# What a study must have besides by Prolific's document; nothing here depends on it.
_STUDY_DETAILS = {
    "description": "Made up by the emulator.",
    "external_study_url": "https://example.com/study?participant={{%PROLIFIC_PID%}}",
    "prolific_id_option": "url_parameters",
    "total_available_places": 100,
    "estimated_completion_time": 10,
    "reward": 150,
}

_ROUTES: dict[str, dict[str, Callable[..., Awaitable[Response]]]] = {
    "/api/v1/users/me/": {"GET": get_user},
    "/api/v1/participant-groups/": {"GET": list_groups, "POST": create_group},
    "/api/v1/participant-groups/{group_id}/": {
        "GET": get_group,
        "PATCH": update_group,
        "DELETE": delete_group,
    },
    "/api/v1/participant-groups/{group_id}/participants/": {
        "GET": list_participants,
        "POST": add_participants,
        "DELETE": remove_participants,
    },
    "/api/v1/messages/participant-group/": {"POST": message_group},
    "/api/v1/studies/{study_id}/": {"GET": get_study},
}
