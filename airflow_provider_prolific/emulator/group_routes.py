"""Participant groups, their members and messages to them, as the API answers on the wire.

Groups are listed in the order of their creation. Adding and removing participants answers with the whole membership
after the change.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_prolific.emulator.errors import ApiError, invalid
from airflow_provider_prolific.emulator.groups import Group, format_datetime
from airflow_provider_prolific.emulator.middleware import IGNORE_SCOPE
from airflow_provider_prolific.emulator.models import AnyText, AnyTexts, LongText, Text
from airflow_provider_prolific.emulator.state import Scope
from airflow_provider_prolific.emulator.study_models import Body
from airflow_provider_prolific.emulator.wire import (
    DEFAULT_LIMIT,
    CurrentState,
    CurrentUser,
    Limit,
    Offset,
    page_by_offset,
)

router = APIRouter()


async def _group(request: Request, group_id: str, state: CurrentState, user: CurrentUser) -> Group:
    return state.group(group_id, user, to_change=request.method != "GET")


_Group = Annotated[Group, Depends(_group)]


class _NewGroup(Body):
    name: Text
    description: AnyText | None = None
    workspace_id: Text | None = None
    organisation_id: Text | None = None
    project_id: Text | None = None
    participant_ids: AnyTexts = []


class _GroupChanges(Body):
    name: Text = ""
    participant_ids: AnyTexts = []


class _Participants(Body):
    participant_ids: AnyTexts


class _Message(Body):
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


@router.get("/participant-groups/")
async def list_groups(
    request: Request,
    state: CurrentState,
    user: CurrentUser,
    active: Literal["true", "false"] | None = None,
    search: str = "",
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
) -> Response:
    scope = _scope(request, state.settings.scope_spelling)
    if state.settings.unknown_scope == "empty" and not state.sees(user, scope):
        return page_by_offset(request, state, [], state.group_json, limit, offset)
    state.check_scope(scope, user)
    ignore_scope = state.settings.ignore_scope or request.scope.get(IGNORE_SCOPE, False)
    groups = state.list_groups(scope, None if active is None else active == "true", ignore_scope=ignore_scope)
    if search:
        groups = [group for group in groups if search.casefold() in group.name.casefold()]
    return page_by_offset(request, state, groups, state.group_json, limit, offset)


@router.post("/participant-groups/")
async def create_group(new: _NewGroup, state: CurrentState, user: CurrentUser) -> Response:
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
    return JSONResponse(state.group_json(group), 201)


@router.get("/participant-groups/{group_id}/")
async def get_group(group: _Group, state: CurrentState) -> Response:
    hidden = () if state.settings.tell_deleted else ("is_deleted",)
    return JSONResponse({name: value for name, value in state.group_json(group).items() if name not in hidden})


@router.patch("/participant-groups/{group_id}/")
async def update_group(changes: _GroupChanges, group: _Group, state: CurrentState) -> Response:
    state.check_participants(changes.participant_ids)
    if "name" in changes.model_fields_set:
        group.name = changes.name
    if "participant_ids" in changes.model_fields_set:
        group.replace(changes.participant_ids, state.now())
        state.life.group_changed(group.id, state.now())
    return JSONResponse(state.group_json(group))


@router.delete("/participant-groups/{group_id}/")
async def delete_group(group: _Group, state: CurrentState) -> Response:
    state.set_deleted(group, True)
    return Response(status_code=204)


@router.get("/participant-groups/{group_id}/participants/")
async def list_participants(group: _Group) -> Response:
    return _membership(group)


@router.post("/participant-groups/{group_id}/participants/")
async def add_participants(participants: _Participants, group: _Group, state: CurrentState) -> Response:
    state.check_participants(participants.participant_ids)
    group.add(participants.participant_ids, state.now())
    state.life.group_changed(group.id, state.now())
    return Response() if state.settings.empty_success else _membership(group)


@router.delete("/participant-groups/{group_id}/participants/")
async def remove_participants(participants: _Participants, group: _Group, state: CurrentState) -> Response:
    group.remove(participants.participant_ids, state.now())
    state.life.group_changed(group.id, state.now())
    return Response() if state.settings.empty_success else _membership(group)


def _membership(group: Group) -> Response:
    results = [
        {"participant_id": participant_id, "datetime_created": format_datetime(joined_at)}
        for participant_id, joined_at in group.members().items()
    ]
    return JSONResponse({"results": results})


@router.post("/messages/participant-group/")
async def message_group(message: _Message, state: CurrentState, user: CurrentUser) -> Response:
    group = state.group(message.participant_group_id, user, to_change=True)
    sender = {"sender_id": user.id, "recipient_count": group.participant_count, "sent_at": state.now()}
    state.messages.append(message.model_dump() | sender)
    return Response(status_code=204)
