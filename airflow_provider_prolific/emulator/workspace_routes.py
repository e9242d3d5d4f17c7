"""The user, workspaces, their projects and money, and filter sets, as the API answers on the wire."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from airflow_provider_prolific.emulator.errors import ApiError, not_found
from airflow_provider_prolific.emulator.models import Text
from airflow_provider_prolific.emulator.seed import FilterSet, Project, User
from airflow_provider_prolific.emulator.state import Scope, State
from airflow_provider_prolific.emulator.study_models import Body, Filter
from airflow_provider_prolific.emulator.wire import CurrentState, CurrentUser

router = APIRouter()


class _FilterSet(Body):
    name: Text
    workspace_id: Text
    filters: Annotated[list[Filter], Field(max_length=100)]


@router.get("/users/me/")
async def get_user(state: CurrentState, user: CurrentUser) -> Response:
    # The account's balance is that of its first workspace.
    balance = _balance(state, user.workspaces[0]) if user.workspaces else {}
    money = {"balance": balance.get("total_balance", 0), "available_balance": balance.get("available_balance", 0)}
    return JSONResponse(user.as_json() | money)


@router.get("/workspaces/")
async def list_workspaces(state: CurrentState, user: CurrentUser) -> Response:
    return JSONResponse({"results": [_workspace(state, user, workspace_id) for workspace_id in user.workspaces]})


@router.get("/workspaces/{workspace_id}/")
async def get_workspace(workspace_id: str, state: CurrentState, user: CurrentUser) -> Response:
    state.check_scope(Scope("workspace_id", workspace_id), user)
    return JSONResponse(
        _workspace(state, user, workspace_id)
        | {"projects": _projects(state, user, workspace_id), "wallet": f"67{workspace_id[2:]}"}
    )


@router.get("/workspaces/{workspace_id}/balance/")
async def get_balance(workspace_id: str, state: CurrentState, user: CurrentUser) -> Response:
    state.check_scope(Scope("workspace_id", workspace_id), user)
    return JSONResponse(_balance(state, workspace_id))


@router.get("/workspaces/{workspace_id}/projects/")
async def list_projects(workspace_id: str, state: CurrentState, user: CurrentUser) -> Response:
    state.check_scope(Scope("workspace_id", workspace_id), user)
    return JSONResponse({"results": _projects(state, user, workspace_id)})


@router.get("/projects/{project_id}/")
async def get_project(project_id: str, state: CurrentState, user: CurrentUser) -> Response:
    state.check_scope(Scope("project_id", project_id), user)
    project = state.projects[project_id]
    return JSONResponse(_project(project, user) | {"workspace": project.workspace_id})


@router.get("/filter-sets/")
async def list_filter_sets(state: CurrentState, user: CurrentUser, workspace_id: Text | None = None) -> Response:
    visible = [each for each in state.filter_sets.values() if each["workspace_id"] in user.workspaces]
    return JSONResponse({"results": [each for each in visible if workspace_id in (None, each["workspace_id"])]})


@router.post("/filter-sets/")
async def create_filter_set(new: _FilterSet, state: CurrentState, user: CurrentUser) -> Response:
    state.check_scope(Scope("workspace_id", new.workspace_id), user)
    if len(state.filter_sets) >= 1000:
        raise ApiError(400, "There can be at most 1000 filter sets.")
    filter_set = FilterSet(id=f"68{len(state.filter_sets) + 1:022x}", **new.model_dump())
    state.filter_sets[filter_set.id] = filter_set.as_json()
    return JSONResponse(filter_set.as_json(), 201)


@router.get("/filter-sets/{filter_set_id}/")
async def get_filter_set(filter_set_id: str, state: CurrentState, user: CurrentUser) -> Response:
    filter_set = state.filter_sets.get(filter_set_id)
    if filter_set is None or filter_set["workspace_id"] not in user.workspaces:
        raise not_found()
    return JSONResponse(filter_set)


def _balance(state: State, workspace_id: str) -> dict[str, Any]:
    state.now()
    return state.wallets[workspace_id].as_json(state.locked(workspace_id))


def _workspace(state: State, user: User, workspace_id: str) -> dict[str, Any]:
    users = [_member(each) for each in state.users if workspace_id in each.workspaces]
    name = state.workspaces[workspace_id]
    return {"id": workspace_id, "title": name, "description": "", "owner": user.id, "users": users}


def _projects(state: State, user: User, workspace_id: str) -> list[dict[str, Any]]:
    return [_project(each, user) for each in state.projects.values() if each.workspace_id == workspace_id]


def _project(project: Project, user: User) -> dict[str, Any]:
    return {
        "id": project.id,
        "title": project.name,
        "description": "",
        "owner": user.id,
        "type": "PRIVATE",
        "public_details": None,
        "users": [_member(user)],
    }


def _member(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "email": user.email, "roles": ["WORKSPACE_ADMIN"]}
