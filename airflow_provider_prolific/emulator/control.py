"""The emulator's control calls, under ``/_emulator/``. They are not part of the imitated API, and need no token.

``EmulatorClient`` has a method for each of them, which describes it.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from airflow_provider_prolific.emulator import models
from airflow_provider_prolific.emulator.errors import ApiError
from airflow_provider_prolific.emulator.faults import AnyFault, Fault
from airflow_provider_prolific.emulator.groups import Group
from airflow_provider_prolific.emulator.middleware import CONTROL_PREFIX, RequestLog
from airflow_provider_prolific.emulator.seed import Seed
from airflow_provider_prolific.emulator.state import State


class _Reset(models.Model):
    seed: Seed | None = None


class _NewGroups(models.GroupFields):
    count: Annotated[int, Field(ge=0, le=models.MAX_GROUPS)] = 1


class _GroupChanges(models.Model):
    name: models.Text = ""
    description: models.AnyText | None = None
    growth_per_second: models.Rate = 0
    growth_limit: models.Count | None = None
    participant_count: models.Count = 0
    add_members: models.Count = 0
    remove_members: models.Count = 0
    is_deleted: bool = False


class _Token(models.Model):
    token: models.Text


class _Rotation(_Token):
    new_token: models.Text


def control_router(state: State, faults: list[Fault], log: RequestLog) -> APIRouter:
    """Build the control endpoints."""
    router = APIRouter(prefix=CONTROL_PREFIX.rstrip("/"))

    @router.get("/state")
    async def get_state() -> Response:
        return JSONResponse(
            {
                "started_at": state.started_at,
                "now": state.now(),
                "settings": state.settings.model_dump(),
                "default_token": state.default_token,
                "default_workspace_id": state.default_workspace_id,
                "tokens": [token for token in state.tokens if token not in state.revoked_tokens],
                "users": [user.as_json() for user in state.users],
                "workspaces": [{"id": id_, "name": name} for id_, name in state.workspaces.items()],
                "projects": [project.model_dump() for project in state.projects.values()],
                "studies": [study.as_feeder() for study in state.studies.values()],
                "group_count": len(state.groups),
                "message_count": len(state.messages),
                "request_count": log.total,
                "fault_count": len(faults),
            }
        )

    @router.post("/reset")
    async def reset(body: _Reset = Body(default=_Reset())) -> Response:  # noqa: B008
        state.reset(body.seed)
        faults.clear()
        log.clear()
        return await get_state()

    @router.patch("/settings")
    async def change_settings(changes: models.Settings) -> Response:
        changed = {name: getattr(changes, name) for name in changes.model_fields_set}
        state.settings = state.settings.model_copy(update=changed)
        return JSONResponse(state.settings.model_dump())

    @router.get("/groups")
    async def find_groups(name: str | None = None, workspace_id: str | None = None) -> Response:
        groups = [group for group in state.groups.values() if name in (None, group.name)]
        groups = [group for group in groups if workspace_id in (None, group.workspace_id)]
        return JSONResponse({"groups": [group_view(group) for group in groups]})

    def group_view(group: Group) -> dict[str, Any]:
        growth = {"growth_per_second": group.growth_per_second, "growth_limit": group.growth_limit}
        return state.group_json(group) | growth

    @router.post("/groups")
    async def create_groups(new: _NewGroups) -> Response:
        if new.workspace_id is new.organisation_id is new.project_id is None:
            new.workspace_id = next(iter(state.workspaces))
        if new.workspace_id is not None and new.workspace_id not in state.workspaces:
            raise ApiError(400, f"there is no workspace {new.workspace_id!r}")
        if new.project_id is not None and new.project_id not in state.projects:
            raise ApiError(400, f"there is no project {new.project_id!r}")
        groups = state.create_groups(**new.model_dump())
        return JSONResponse({"ids": [group.id for group in groups]}, 201)

    @router.get("/groups/{group_id}")
    async def get_group(group_id: str) -> Response:
        return JSONResponse(group_view(state.group(group_id)))

    @router.patch("/groups/{group_id}")
    async def change_group(group_id: str, body: _GroupChanges) -> Response:
        group = state.group(group_id)
        now = state.now()
        changes = body.model_dump(exclude_unset=True)
        count: int = changes.get("participant_count", group.participant_count) + body.add_members - body.remove_members
        if count > models.MAX_PARTICIPANTS:
            raise ApiError(400, f"a group can have at most {models.MAX_PARTICIPANTS} members")
        group.resize(max(count, 0), now)
        group.name = changes.get("name", group.name)
        group.description = changes.get("description", group.description)
        if changes.get("is_deleted", group.is_deleted) != group.is_deleted:
            state.set_deleted(group, body.is_deleted)
        if changes.keys() & {"growth_per_second", "growth_limit"}:
            per_second = changes.get("growth_per_second", group.growth_per_second)
            group.set_growth(per_second, changes.get("growth_limit", group.growth_limit), now)
            group.is_by_hand = True
        state.life.group_changed(group.id, now)
        return JSONResponse(group_view(group))

    @router.get("/groups/{group_id}/members")
    async def get_members(group_id: str) -> Response:
        return JSONResponse({"members": state.group(group_id).members()})

    @router.get("/groups/{group_id}/reached")
    async def get_reached(group_id: str, count: Annotated[models.Whole, Query()]) -> Response:
        group = state.group(group_id)
        return JSONResponse({"reached_at": group.reached_at(count, state.now())})

    @router.get("/messages")
    async def get_messages() -> Response:
        return JSONResponse({"messages": list(state.messages)})

    @router.post("/tokens/revoke")
    async def revoke_token(body: _Token) -> Response:
        check_token(body.token)
        state.revoked_tokens.add(body.token)
        return Response(status_code=204)

    @router.post("/tokens/restore")
    async def restore_token(body: _Token) -> Response:
        check_token(body.token)
        state.revoked_tokens.discard(body.token)
        return Response(status_code=204)

    @router.post("/tokens/rotate")
    async def rotate_token(body: _Rotation) -> Response:
        check_token(body.token)
        if body.new_token in state.tokens:
            raise ApiError(400, "the new token is taken already")
        state.tokens = {body.new_token if old == body.token else old: user for old, user in state.tokens.items()}
        return Response(status_code=204)

    def check_token(token: str) -> None:
        if token not in state.tokens:
            raise ApiError(404, "there is no such token")

    @router.get("/faults")
    async def get_faults() -> Response:
        return ascii_answer({"faults": [rule.as_json() for rule in faults]})

    @router.post("/faults")
    async def add_fault(fault: Annotated[AnyFault, Body(discriminator="kind")]) -> Response:
        if len(faults) >= 100:
            raise ApiError(400, "there can be at most 100 faults at a time")
        faults.append(fault)
        return ascii_answer(fault.as_json(), 201)

    def ascii_answer(document: object, status: int = 200) -> Response:
        """Answer with a document whose texts may have no UTF-8 form."""
        return Response(json.dumps(document), status, media_type="application/json")

    @router.delete("/faults")
    async def clear_faults() -> Response:
        faults.clear()
        return Response(status_code=204)

    @router.get("/requests")
    async def get_requests(newest: Annotated[models.Whole | None, Query()] = None) -> Response:
        entries = list(log.entries)
        if newest is not None:
            entries = entries[max(len(entries) - newest, 0) :]
        return JSONResponse({"total": log.total, "requests": entries})

    @router.delete("/requests")
    async def clear_requests() -> Response:
        log.clear()
        return Response(status_code=204)

    return router
