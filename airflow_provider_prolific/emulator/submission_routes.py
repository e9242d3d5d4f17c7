"""Submissions, as the API answers on the wire."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_prolific.emulator.errors import invalid
from airflow_provider_prolific.emulator.study_routes import CurrentStudy
from airflow_provider_prolific.emulator.submissions import Submission
from airflow_provider_prolific.emulator.wire import (
    DEFAULT_LIMIT,
    CurrentState,
    CurrentUser,
    Limit,
    Offset,
    page_by_number,
    page_by_offset,
)
from airflow_provider_prolific.text import fold_status

router = APIRouter()


@router.get("/studies/{study_id}/submissions/")
async def list_study_submissions(
    request: Request,
    study: CurrentStudy,
    state: CurrentState,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    ordering: str = "",
) -> Response:
    rows = _ordered(list(study.submissions.values()), ordering)
    return page_by_offset(request, state, rows, Submission.as_row, limit, offset)


@router.get("/studies/{study_id}/submissions/counts/")
async def count_submissions(study: CurrentStudy) -> Response:
    return JSONResponse(study.counts_json())


@router.get("/submissions/")
async def list_submissions(
    request: Request,
    state: CurrentState,
    user: CurrentUser,
    study: str = "",
    status: str = "",
    page: Limit = 1,
    page_size: Limit = DEFAULT_LIMIT,
    ordering: str = "",
) -> Response:
    if not study and state.settings.study_required:
        raise invalid(study="This field is required.")
    studies = [state.study(study, user)] if study else state.studies_of(user)
    rows = [submission for each in studies for submission in each.submissions.values()]
    if status:
        rows = [row for row in rows if row.status == fold_status(status)]
    return page_by_number(request, state, _ordered(rows, ordering), Submission.as_row, page, page_size)


def _ordered(rows: list[Submission], ordering: str) -> list[Submission]:
    name = ordering.removeprefix("-")
    if name in ("started_at", "completed_at", "status", "participant_id", "study_code"):
        rows.sort(key=lambda row: (getattr(row, name) is None, getattr(row, name) or 0))
    return rows[::-1] if ordering.startswith("-") else rows


@router.get("/submissions/{submission_id}/")
async def get_submission(submission_id: str, state: CurrentState, user: CurrentUser) -> Response:
    return JSONResponse(state.submission(submission_id, user).as_detail())
