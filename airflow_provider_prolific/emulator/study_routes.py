"""Studies, as the API answers on the wire."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi import Body as InBody
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from airflow_provider_prolific.emulator import course
from airflow_provider_prolific.emulator.errors import ApiError, not_found
from airflow_provider_prolific.emulator.models import MAX_PARTICIPANTS, Text, Whole
from airflow_provider_prolific.emulator.money import Cost, whole
from airflow_provider_prolific.emulator.state import Scope, State
from airflow_provider_prolific.emulator.studies import Study
from airflow_provider_prolific.emulator.study_models import Body, NewStudy, StudyChanges
from airflow_provider_prolific.emulator.wire import (
    DEFAULT_LIMIT,
    CurrentState,
    CurrentUser,
    Limit,
    page_by_number,
)
from airflow_provider_prolific.text import fold_status

router = APIRouter()


async def _study(study_id: str, state: CurrentState, user: CurrentUser) -> Study:
    return state.study(study_id, user)


CurrentStudy = Annotated[Study, Depends(_study)]


class _Clone(Body):
    block_previous_participants: bool = True


class _Transition(Body):
    action: Literal["PUBLISH", "SCHEDULE_PUBLISH", "CANCEL_PUBLISH", "PAUSE", "START", "STOP"]
    publish_at: Text | None = None


class _Cost(Body):
    reward: Whole
    total_available_places: Annotated[int, Field(ge=1, le=MAX_PARTICIPANTS)]


@router.get("/studies/")
async def list_studies(
    request: Request,
    state: CurrentState,
    user: CurrentUser,
    page: Limit = 1,
    page_size: Limit = DEFAULT_LIMIT,
    ordering: str = "",
) -> Response:
    return _studies(request, state.studies_of(user), state, page, page_size, ordering)


@router.get("/projects/{project_id}/studies/")
async def list_project_studies(
    project_id: str,
    request: Request,
    state: CurrentState,
    user: CurrentUser,
    page: Limit = 1,
    page_size: Limit = DEFAULT_LIMIT,
    ordering: str = "",
) -> Response:
    state.check_scope(Scope("project_id", project_id), user)
    return _studies(request, state.studies_of(user, project_id), state, page, page_size, ordering)


def _studies(
    request: Request, studies: list[Study], state: State, page: int, page_size: int, ordering: str
) -> Response:
    if ordering == "-date_created":
        studies.reverse()
    if not state.settings.ignore_state and (wanted := request.query_params.get("state")):
        statuses = {fold_status(status) for status in wanted.strip("()").split("|")}
        studies = [study for study in studies if study.status in statuses]
    return page_by_number(request, state, studies, Study.as_row, page, page_size)


@router.post("/studies/")
async def create_study(new: NewStudy, state: CurrentState, user: CurrentUser) -> Response:
    return JSONResponse(course.create(state, user, new).as_detail(), 201)


@router.get("/studies/{study_id}/")
async def get_study(study: CurrentStudy) -> Response:
    return JSONResponse(study.as_detail())


@router.patch("/studies/{study_id}/")
async def update_study(changes: StudyChanges, study: CurrentStudy, state: CurrentState, user: CurrentUser) -> Response:
    course.change(state, user, study, changes)
    return JSONResponse(study.as_detail())


@router.delete("/studies/{study_id}/")
async def delete_study(study: CurrentStudy, state: CurrentState) -> Response:
    _delete(study, state)
    return JSONResponse({}) if state.settings.delete_status == 200 else Response(status_code=204)


@router.delete("/projects/{project_id}/studies/{study_id}/")
async def delete_project_study(project_id: str, study: CurrentStudy, state: CurrentState) -> Response:
    if study.project_id != project_id:
        raise not_found()
    _delete(study, state)
    return Response(status_code=204)


def _delete(study: Study, state: State) -> None:
    if not study.is_draft:
        raise ApiError(400, "Only draft studies can be deleted.")
    state.remove_study(study)


@router.post("/studies/{study_id}/clone/")
async def clone_study(
    study: CurrentStudy,
    state: CurrentState,
    body: _Clone = InBody(default=_Clone()),  # noqa: B008
) -> Response:
    return JSONResponse(course.clone(state, study, body.block_previous_participants).as_detail())


@router.post("/studies/{study_id}/transition/")
async def transition_study(transition: _Transition, study: CurrentStudy, state: CurrentState) -> Response:
    course.act(state, study, transition.action, transition.publish_at)
    return JSONResponse(study.as_detail())


@router.post("/study-cost-calculator/")
async def calculate_cost(study: _Cost, user: CurrentUser) -> Response:
    # With the rates of the account, not those of the workspace.
    cost = user.rates().cost(study.reward) * study.total_available_places
    return JSONResponse({"total_cost": whole(cost.total)})


@router.get("/studies/{study_id}/cost/")
async def get_cost(study: CurrentStudy, is_projected: bool = False) -> Response:
    rewards, bonuses = (
        (study.cost_of_a_place * study.places, Cost()) if is_projected else (study.rewards, study.bonuses)
    )
    currency = study.rates.currency_code
    return JSONResponse({"rewards": rewards.as_json(currency), "bonuses": bonuses.as_json(currency)})
