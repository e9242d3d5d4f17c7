"""The imitated API, as Prolific's researcher API answers on the wire.

Every request needs the header ``Authorization: Token <token>``. Where Prolific's documents leave more than one
possibility there is a setting (``airflow_provider_prolific.emulator.models.Settings``), or it is decided here: groups
are listed in the order of their creation; the links of a page name a host that does not exist, because the real ones
have named an internal one; adding and removing participants answers with the whole membership that results.
"""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ConfigDict
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from airflow_provider_prolific.emulator.control import control_router
from airflow_provider_prolific.emulator.errors import ApiError, error_document, in_words, invalid, not_found, problem
from airflow_provider_prolific.emulator.faults import Fault
from airflow_provider_prolific.emulator.groups import Group, format_datetime
from airflow_provider_prolific.emulator.middleware import (
    CONTROL_PREFIX,
    IGNORE_SCOPE,
    FaultMiddleware,
    LocalOnlyMiddleware,
    RequestLog,
)
from airflow_provider_prolific.emulator.models import AnyText, AnyTexts, LongText, Model, Text, Whole
from airflow_provider_prolific.emulator.seed import User
from airflow_provider_prolific.emulator.state import Scope, State
from airflow_provider_prolific.text import shorten

INTERNAL_HOST = "http://internal.prolific.invalid"
DEFAULT_LIMIT = 20

router = APIRouter(prefix="/api/v1")


def create_app(state: State) -> FastAPI:
    """Build the application to be served."""
    faults: list[Fault] = []
    log = RequestLog()
    # No pages of documentation and no redirects to the slash: the real API has neither.
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.emulated = state
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(StarletteHTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.include_router(router)
    app.include_router(control_router(state, faults, log))
    app.add_middleware(_serve_slashless, state=state)
    app.add_middleware(FaultMiddleware, faults=faults, log=log)
    app.add_middleware(LocalOnlyMiddleware)
    return app


def _serve_slashless(app: ASGIApp, state: State) -> ASGIApp:
    async def served(scope: ASGIScope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(router.prefix) and scope["method"] == "GET" and state.settings.slashless_get:
            scope = {**scope, "path": path.removesuffix("/") + "/"}
        await app(scope, receive, send)

    return served


async def _answer_api_error(request: Request, error: Any) -> Response:
    document = error_document(error.status, error.detail, error.error_code)
    # The one endpoint whose bad requests are documented without the envelope.
    is_flat = error.status == 400 and request.scope["path"].startswith("/api/v1/messages/")
    return JSONResponse(document["error"] if is_flat else document, error.status)


async def _answer_http_error(request: Request, error: Any) -> Response:
    path = request.scope["path"]
    details = {
        404: f"No endpoint {shorten(path)} (is the slash at its end missing?)",
        405: f"{shorten(request.method)} is not possible here.",
    }
    detail = details.get(error.status_code, error.detail)
    return JSONResponse(error_document(error.status_code, detail), error.status_code, error.headers)


async def _answer_invalid_request(request: Request, error: Any) -> Response:
    errors: list[dict[str, Any]] = error.errors()
    location, document = errors[0]["loc"][1:], error.body
    if errors[0]["type"] == "json_invalid":
        return await _answer_api_error(request, ApiError(400, "The body is not JSON."))
    if request.scope["path"].startswith(CONTROL_PREFIX):
        if location[:1] == ("seed",):
            location, document = location[1:], document["seed"]
        return await _answer_api_error(request, ApiError(400, in_words("the request", document, location, errors[0])))
    if not location:
        return await _answer_api_error(request, ApiError(400, "The body is not a JSON object."))
    problems: dict[str, list[str]] = {}
    for each in errors:
        words = problem(each)
        problems.setdefault(str(each["loc"][1]), []).append(f"{words[0].upper()}{words[1:]}.")
    return await _answer_api_error(request, ApiError(400, problems))


async def _state(request: Request) -> State:
    state: State = request.app.state.emulated
    return state


_State = Annotated[State, Depends(_state)]


async def _user(request: Request, state: _State) -> User:
    keyword, _, token = request.headers.get("authorization", "").partition(" ")
    user = state.user_of(token) if keyword == "Token" else None
    if user is None:
        raise ApiError(401, "Send a valid token: Authorization: Token <token>")
    return user


_User = Annotated[User, Depends(_user)]


async def _group(request: Request, group_id: str, state: _State, user: _User) -> Group:
    return state.group(group_id, user, to_change=request.method != "GET")


_Group = Annotated[Group, Depends(_group)]


class _Body(Model):
    model_config = ConfigDict(extra="ignore")  # as the real API does


class _NewGroup(_Body):
    name: Text
    description: AnyText | None = None
    workspace_id: Text | None = None
    organisation_id: Text | None = None
    project_id: Text | None = None
    participant_ids: AnyTexts = []


class _GroupChanges(_Body):
    name: Text = ""
    participant_ids: AnyTexts = []


class _Participants(_Body):
    participant_ids: AnyTexts


class _Message(_Body):
    participant_group_id: Text
    body: LongText
    study_id: Text | None = None


def _one_value(request: Request, name: str, spelling: str) -> str | None:
    """Return a query parameter sent flat, in the bracket spelling, or in both with the same value."""
    names = {"flat": [name], "brackets": [f"filter[{name}]"], "both": [name, f"filter[{name}]"]}[spelling]
    values = {value for each in names for value in request.query_params.getlist(each)}
    if len(values) > 1:
        raise invalid(filter=f"Different values for {name}.")
    return values.pop() if values else None


def _scope(request: Request, spelling: str) -> Scope:
    values = [(name, _one_value(request, name, spelling)) for name in ("workspace_id", "project_id")]
    scopes = [Scope(name, value) for name, value in values if value is not None]
    if len(scopes) != 1 or not scopes[0].id:
        raise invalid(filter="Give either workspace_id or project_id.")
    return scopes[0]


@router.get("/users/me/")
async def get_user(user: _User) -> Response:
    return JSONResponse(user.as_json())


@router.get("/participant-groups/")
async def list_groups(
    request: Request,
    state: _State,
    user: _User,
    active: Literal["true", "false"] | None = None,
    search: str = "",
    limit: Annotated[Whole, Query(ge=1)] = DEFAULT_LIMIT,
    offset: Annotated[Whole, Query()] = 0,
) -> Response:
    settings = state.settings
    scope = _scope(request, settings.scope_spelling)
    state.check_scope(scope, user)
    ignore_scope = settings.ignore_scope or request.scope.get(IGNORE_SCOPE, False)
    groups = state.list_groups(scope, None if active is None else active == "true", ignore_scope=ignore_scope)
    if search:
        groups = [group for group in groups if search.casefold() in group.name.casefold()]
    limit = min(limit, settings.max_limit)
    if settings.paging == "none":
        limit, offset = len(groups), 0
    if offset >= max(len(groups), 1) and settings.past_end == "404":
        raise not_found()
    shown = groups[offset : offset + limit]
    for group in shown:
        group.settle(state.clock())
    page: dict[str, Any] = {"results": [group.as_json() for group in shown]}
    if settings.paging in ("full", "links"):
        page |= {"_links": _links(request, limit, offset, len(groups)), "meta": {}}
    if settings.paging in ("full", "count"):
        page["meta"] = {"count": len(groups)}
    return JSONResponse(page)


def _links(request: Request, limit: int, offset: int, count: int) -> dict[str, Any]:
    others = [(name, value) for name, value in request.query_params.multi_items() if name not in ("limit", "offset")]

    def link(title: str, start: int | None) -> dict[str, str | None]:
        query = urlencode([*others, ("limit", limit), ("offset", start)])
        href = None if start is None else f"{INTERNAL_HOST}/api/v1/participant-groups/?{query}"
        return {"href": href, "title": title}

    return {
        "self": link("Current", offset),
        "next": link("Next", offset + limit if offset + limit < count else None),
        "previous": link("Previous", max(offset - limit, 0) if offset else None),
        "last": link("Last", max(count - 1, 0) // limit * limit),
    }


@router.post("/participant-groups/")
async def create_group(new: _NewGroup, state: _State, user: _User) -> Response:
    if not state.settings.project_owner:
        new.project_id = None
    if [new.workspace_id, new.organisation_id, new.project_id].count(None) != 2:
        raise invalid(workspace_id="Give either workspace_id, organisation_id or project_id.")
    if new.organisation_id is None:
        owner = "workspace_id" if new.project_id is None else "project_id"
        state.check_scope(Scope(owner, new.workspace_id or new.project_id or ""), user)
    elif new.organisation_id not in user.organisations:
        raise ApiError(404, "No such organisation is visible to your token.")
    if new.description is not None and not new.description.strip() and not state.settings.empty_description:
        raise invalid(description="Must be a text that is not empty.")
    state.check_participants(new.participant_ids)
    [group] = state.create_groups(1, **new.model_dump())
    return JSONResponse(group.as_json(), 201)


@router.get("/participant-groups/{group_id}/")
async def get_group(group: _Group, state: _State) -> Response:
    hidden = () if state.settings.tell_deleted else ("is_deleted",)
    return JSONResponse({name: value for name, value in group.as_json().items() if name not in hidden})


@router.patch("/participant-groups/{group_id}/")
async def update_group(changes: _GroupChanges, group: _Group, state: _State) -> Response:
    state.check_participants(changes.participant_ids)
    if "name" in changes.model_fields_set:
        group.name = changes.name
    if "participant_ids" in changes.model_fields_set:
        group.replace(changes.participant_ids, state.clock())
    return JSONResponse(group.as_json())


@router.delete("/participant-groups/{group_id}/")
async def delete_group(group: _Group, state: _State) -> Response:
    state.set_deleted(group, True)
    return Response(status_code=204)


@router.get("/participant-groups/{group_id}/participants/")
async def list_participants(group: _Group) -> Response:
    return _membership(group)


@router.post("/participant-groups/{group_id}/participants/")
async def add_participants(participants: _Participants, group: _Group, state: _State) -> Response:
    state.check_participants(participants.participant_ids)
    group.add(participants.participant_ids, state.clock())
    return Response() if state.settings.empty_success else _membership(group)


@router.delete("/participant-groups/{group_id}/participants/")
async def remove_participants(participants: _Participants, group: _Group, state: _State) -> Response:
    group.remove(participants.participant_ids, state.clock())
    return Response() if state.settings.empty_success else _membership(group)


def _membership(group: Group) -> Response:
    results = [
        {"participant_id": participant_id, "datetime_created": format_datetime(joined_at)}
        for participant_id, joined_at in group.members().items()
    ]
    return JSONResponse({"results": results})


@router.post("/messages/participant-group/")
async def message_group(message: _Message, state: _State, user: _User) -> Response:
    group = state.group(message.participant_group_id, user, to_change=True)
    sender = {"sender_id": user.id, "recipient_count": group.participant_count, "sent_at": state.clock()}
    state.messages.append(message.model_dump() | sender)
    return Response(status_code=204)


@router.get("/studies/{study_id}/")
async def get_study(study_id: str, state: _State, _: _User) -> Response:
    if study_id not in state.studies:
        raise not_found()
    return JSONResponse(state.studies[study_id] | _STUDY_DETAILS)


# What a study must have besides by Prolific's document; nothing here depends on it.
_URL = "https://example.com/study?participant={{%PROLIFIC_PID%}}"
_NUMBERS = {"total_available_places": 100, "estimated_completion_time": 10, "reward": 150}
_STUDY_DETAILS = {"description": "", "external_study_url": _URL, "prolific_id_option": "url_parameters", **_NUMBERS}
