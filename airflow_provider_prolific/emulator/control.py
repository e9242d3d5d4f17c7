"""The handles of the emulator, under ``/_emulator/``: no part of the imitated API, and no token is needed.

=======================================  ==================================================================
``GET state``                            what there is: tokens, users, workspaces, settings, counts
``POST reset``                           begin again, from ``{"seed": {...}}`` or from where the emulator
                                         began; faults, messages and the request log are emptied too
``PATCH settings``                       ``paging`` (``full`` or ``none``), ``max_limit``,
                                         ``ignore_scope``, ``ignore_active``
``GET groups?name=&workspace_id=``       groups with their growth; both filters may be left out
``POST groups``                          create ``count`` groups alike; answers ``{"ids": [...]}``
``GET/PATCH groups/{id}``                one group; see `CHANGES` for what can be set
``GET groups/{id}/members``              ``{"members": {participant id: epoch seconds of joining}}``
``GET groups/{id}/reached?count=N``      ``{"reached_at": epoch seconds, or null}``
``GET messages``                         messages sent to groups
``POST tokens/revoke``, ``/restore``     ``{"token": ...}``
``POST tokens/rotate``                   ``{"token": ..., "new_token": ...}``
``GET/POST/DELETE faults``               the rules in force, see `airflow_provider_prolific.emulator.faults`
``GET/DELETE requests?newest=N``         the request log: ``{"total": ..., "requests": [...]}``
=======================================  ==================================================================
"""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_prolific.emulator.faults import FaultError, FaultPlan, FaultRule
from airflow_provider_prolific.emulator.gate import CONTROL_PREFIX, RequestLog
from airflow_provider_prolific.emulator.seed import (
    COUNT,
    FLAG,
    RATE,
    SETTINGS,
    TEXT,
    TEXTS,
    Rule,
    SeedError,
    check_fields,
)
from airflow_provider_prolific.emulator.state import ApiError, Group, State

OPTIONAL_COUNT: Rule = (
    lambda value: value is None or COUNT[0](value),
    "a whole number of 0 or more, or null",
)
OPTIONAL_TEXT: Rule = (lambda value: value is None or TEXT[0](value), "a text, or null")

NEW_GROUPS: dict[str, Rule] = {
    "count": COUNT,
    "name": TEXT,
    "description": OPTIONAL_TEXT,
    "workspace_id": OPTIONAL_TEXT,
    "organisation_id": OPTIONAL_TEXT,
    "project_id": OPTIONAL_TEXT,
    "participant_count": COUNT,
    "participant_ids": TEXTS,
    "growth_per_second": RATE,
    "growth_limit": OPTIONAL_COUNT,
}
CHANGES: dict[str, Rule] = {
    "name": TEXT,
    "description": OPTIONAL_TEXT,
    "growth_per_second": RATE,
    "growth_limit": OPTIONAL_COUNT,
    "participant_count": COUNT,  # by made-up members, or by letting the newest go
    "add_members": COUNT,
    "remove_members": COUNT,
    "is_deleted": FLAG,
}


def control_router(state: State, faults: FaultPlan, log: RequestLog) -> APIRouter:
    """Build the control endpoints.

    :param state: what the emulator serves.
    :param faults: the rules in force.
    :param log: the request log.
    """
    endpoints = _Control(state, faults, log)
    router = APIRouter(prefix=CONTROL_PREFIX.rstrip("/"))
    for method, path, endpoint in (
        ("GET", "/state", endpoints.get_state),
        ("POST", "/reset", endpoints.reset),
        ("PATCH", "/settings", endpoints.change_settings),
        ("GET", "/groups", endpoints.find_groups),
        ("POST", "/groups", endpoints.create_groups),
        ("GET", "/groups/{group_id}", endpoints.get_group),
        ("PATCH", "/groups/{group_id}", endpoints.change_group),
        ("GET", "/groups/{group_id}/members", endpoints.get_members),
        ("GET", "/groups/{group_id}/reached", endpoints.get_reached),
        ("GET", "/messages", endpoints.get_messages),
        ("POST", "/tokens/{action}", endpoints.change_token),
        ("GET", "/faults", endpoints.get_faults),
        ("POST", "/faults", endpoints.add_fault),
        ("DELETE", "/faults", endpoints.clear_faults),
        ("GET", "/requests", endpoints.get_requests),
        ("DELETE", "/requests", endpoints.clear_requests),
    ):
        router.add_api_route(path, endpoint, methods=[method], response_model=None)
    return router


async def _body(request: Request, rules: Mapping[str, Rule], *, required: tuple[str, ...] = ()) -> Any:
    """Return the request's JSON object, refused in words where a field of it is wrong."""
    body = await _any_body(request)
    try:
        check_fields("the request", body, rules, required=required)
    except SeedError as error:
        raise ApiError(400, str(error)) from None
    return body


async def _any_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        raise ApiError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body is not a JSON object")
    return body


class _Control:
    def __init__(self, state: State, faults: FaultPlan, log: RequestLog) -> None:
        self._state = state
        self._faults = faults
        self._log = log

    async def get_state(self) -> Response:
        state = self._state
        return JSONResponse(
            {
                "started_at": state.started_at,
                "now": state.clock(),
                "settings": state.settings,
                "default_token": state.default_token,
                "default_workspace_id": state.default_workspace_id,
                "tokens": [token for token in state.tokens if token not in state.revoked_tokens],
                "users": [user.as_json() for user in state.users.values()],
                "workspaces": [{"id": id_, "name": name} for id_, name in state.workspaces.items()],
                "projects": [{"id": id_, "workspace_id": owner} for id_, owner in state.projects.items()],
                "studies": list(state.studies.values()),
                "group_count": len(state.groups),
                "message_count": len(state.messages),
                "request_count": self._log.total,
                "fault_count": len(self._faults.rules),
            }
        )

    async def reset(self, request: Request) -> Response:
        body = await _any_body(request)
        try:
            self._state.reset(body.get("seed"))
        except SeedError as error:
            raise ApiError(400, str(error)) from None
        self._faults.clear()
        self._log.clear()
        return await self.get_state()

    async def change_settings(self, request: Request) -> Response:
        self._state.settings |= await _body(request, SETTINGS)
        return JSONResponse(self._state.settings)

    async def find_groups(self, name: str | None = None, workspace_id: str | None = None) -> Response:
        found = [
            group
            for group in self._state.groups.values()
            if name in (None, group.name) and workspace_id in (None, group.workspace_id)
        ]
        return JSONResponse({"groups": [self._group_view(group) for group in found]})

    def _group_view(self, group: Group) -> dict[str, Any]:
        group.settle(self._state.clock())
        return group.as_json() | {
            "growth_per_second": group.growth_per_second,
            "growth_limit": group.growth_limit,
        }

    async def create_groups(self, request: Request) -> Response:
        body = await _body(request, NEW_GROUPS, required=("name",))
        owners = [name for name in ("workspace_id", "organisation_id", "project_id") if body.get(name)]
        if len(owners) > 1:
            raise ApiError(400, "a group has one of workspace_id, organisation_id and project_id")
        if not owners:
            body["workspace_id"] = next(iter(self._state.workspaces))
        if body.get("workspace_id") and body["workspace_id"] not in self._state.workspaces:
            raise ApiError(400, f"there is no workspace {body['workspace_id']!r}")
        if body.get("project_id") and body["project_id"] not in self._state.projects:
            raise ApiError(400, f"there is no project {body['project_id']!r}")
        groups = self._state.create_groups(body.pop("count", 1), body.pop("name"), **body)
        return JSONResponse({"ids": [group.id for group in groups]}, 201)

    async def get_group(self, group_id: str) -> Response:
        return JSONResponse(self._group_view(self._state.group(group_id)))

    async def change_group(self, group_id: str, request: Request) -> Response:
        group = self._state.group(group_id)
        body = await _body(request, CHANGES)
        now = self._state.clock()
        group.settle(now)
        group.name = body.get("name", group.name)
        group.description = body.get("description", group.description)
        count = body.get("participant_count", group.participant_count)
        count += body.get("add_members", 0) - body.get("remove_members", 0)
        group.resize(max(count, 0), now)
        if body.get("is_deleted", group.is_deleted) != group.is_deleted:
            self._state.set_deleted(group, body["is_deleted"])
        if "growth_per_second" in body or "growth_limit" in body:
            group.growth_per_second = body.get("growth_per_second", group.growth_per_second)
            group.growth_limit = body.get("growth_limit", group.growth_limit)
            group.restart_growth(now)
        return JSONResponse(self._group_view(group))

    async def get_members(self, group_id: str) -> Response:
        return JSONResponse({"members": self._state.group(group_id).members()})

    async def get_reached(self, group_id: str, count: int) -> Response:
        group = self._state.group(group_id)
        return JSONResponse({"reached_at": group.reached_at(count, self._state.clock())})

    async def get_messages(self) -> Response:
        return JSONResponse({"messages": self._state.messages})

    async def change_token(self, action: str, request: Request) -> Response:
        rules = {"token": TEXT} | ({"new_token": TEXT} if action == "rotate" else {})
        body = await _body(request, rules, required=tuple(rules))
        state, token = self._state, body["token"]
        if token not in state.tokens:
            raise ApiError(404, "there is no such token")
        if action == "revoke":
            state.revoked_tokens.add(token)
        elif action == "restore":
            state.revoked_tokens.discard(token)
        elif action == "rotate":
            if body["new_token"] in state.tokens:
                raise ApiError(400, "the new token is taken already")
            state.rotate_token(token, body["new_token"])
        else:
            raise ApiError(404, f"tokens can be revoked, restored and rotated; {action!r} is none of these")
        return Response(status_code=204)

    async def get_faults(self) -> Response:
        return JSONResponse({"faults": [rule.as_json() for rule in self._faults.rules]})

    async def add_fault(self, request: Request) -> Response:
        body = await _any_body(request)
        try:
            rule = FaultRule(body.pop("kind", ""), **body)
        except FaultError as error:
            raise ApiError(400, str(error)) from None
        self._faults.add(rule)
        return JSONResponse(rule.as_json(), 201)

    async def clear_faults(self) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def get_requests(self, newest: int | None = None) -> Response:
        entries = list(self._log.entries)
        if newest is not None:
            entries = entries[max(len(entries) - newest, 0) :]
        return JSONResponse({"total": self._log.total, "requests": entries})

    async def clear_requests(self) -> Response:
        self._log.clear()
        return Response(status_code=204)
