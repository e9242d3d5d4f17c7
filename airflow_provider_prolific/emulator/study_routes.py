"""Studies, as the API answers on the wire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_prolific.emulator.money import Cost
from airflow_provider_prolific.emulator.state import Scope
from airflow_provider_prolific.emulator.studies import Study
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
    request: Request, studies: list[Study], state: CurrentState, page: int, page_size: int, ordering: str
) -> Response:
    if ordering == "-date_created":
        studies.reverse()
    if not state.settings.ignore_state and (wanted := request.query_params.get("state")):
        statuses = {fold_status(status) for status in wanted.strip("()").split("|")}
        studies = [study for study in studies if study.status in statuses]
    return page_by_number(request, state, studies, Study.as_row, page, page_size)


@router.get("/studies/{study_id}/")
async def get_study(study: CurrentStudy) -> Response:
    return JSONResponse(study.as_detail())


@router.get("/studies/{study_id}/cost/")
async def get_cost(study: CurrentStudy, is_projected: bool = False) -> Response:
    rewards, bonuses = (
        (study.cost_of_a_place * study.places, Cost()) if is_projected else (study.rewards, study.bonuses)
    )
    currency = study.rates.currency_code
    return JSONResponse({"rewards": rewards.as_json(currency), "bonuses": bonuses.as_json(currency)})
