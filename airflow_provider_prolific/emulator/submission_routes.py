"""Submissions, as the API answers on the wire."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from airflow_provider_prolific.emulator.errors import ApiError, invalid, not_found
from airflow_provider_prolific.emulator.models import AnyText, AnyTexts, Text, Texts
from airflow_provider_prolific.emulator.state import State
from airflow_provider_prolific.emulator.studies import Submission
from airflow_provider_prolific.emulator.study_models import Body
from airflow_provider_prolific.emulator.study_routes import CurrentStudy
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

#: From which statuses an action leads to which one.
_ACTIONS = {
    "APPROVE": (("AWAITING REVIEW",), "APPROVED"),
    "REJECT": (("AWAITING REVIEW",), "REJECTED"),
    "RETURN": (("ACTIVE", "AWAITING REVIEW", "RESERVED"), "RETURNED"),
    "START": (("RESERVED",), "ACTIVE"),
    "SCREEN_OUT": (("ACTIVE", "AWAITING REVIEW"), "SCREENED OUT"),
    "UNREJECT": (("REJECTED",), "AWAITING REVIEW"),
    "UNRETURN": (("RETURNED",), "AWAITING REVIEW"),
    "COMPLETE": (("ACTIVE", "AWAITING REVIEW"), ""),
}
_REJECTION_CATEGORIES = (
    *("TOO_QUICKLY", "TOO_SLOWLY", "FAILED_INSTRUCTIONS", "INCOMP_LONGITUDINAL", "FAILED_CHECK", "LOW_EFFORT"),
    *("MALINGERING", "NO_CODE", "BAD_CODE", "NO_DATA", "UNSUPP_DEVICE", "OTHER"),
)


class _CodeData(Body):
    percentage_of_reward: Annotated[int, Field(ge=8, le=99)]
    message_to_participant: AnyText = ""


class _Transition(Body):
    action: Literal["APPROVE", "COMPLETE", "REJECT", "RETURN", "START", "SCREEN_OUT", "UNREJECT", "UNRETURN"]
    message: AnyText = ""
    rejection_category: Literal[_REJECTION_CATEGORIES] | None = None  # type: ignore[valid-type]
    completion_code: Text | None = None
    completion_code_data: _CodeData | None = None


class _BulkApproval(Body):
    submission_ids: AnyTexts = []
    study_id: Text = ""
    participant_ids: AnyTexts = []


class _ReturnRequest(Body):
    request_return_reasons: Annotated[Texts, Field(min_length=1)]


class _Bonuses(Body):
    study_id: Text
    csv_bonuses: Annotated[str, Field(max_length=200_000)]


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


@router.post("/submissions/{submission_id}/transition/")
async def transition_submission(
    submission_id: str, transition: _Transition, state: CurrentState, user: CurrentUser
) -> Response:
    submission = state.submission(submission_id, user)
    origins, result = _ACTIONS[transition.action]
    if transition.action == "REJECT":
        if len(transition.message) < 100:
            raise invalid(message="Must have at least 100 characters.")
        if transition.rejection_category is None:
            raise invalid(rejection_category="This field is required.")
    if submission.status != result:  # doing it again is ignored
        if submission.status not in origins:
            raise ApiError(400, f"The action {transition.action} is not possible: it is {submission.status}.")
        if transition.action == "COMPLETE":
            _complete(state, submission, transition)
        else:
            state.life.move(submission, result, state.now())
    return JSONResponse(submission.as_detail())


def _complete(state: State, submission: Submission, transition: _Transition) -> None:
    code = submission.study.code_entered(transition.completion_code)
    if code is None or code["actor"] != "researcher":
        raise invalid(completion_code="Must be a code of the study whose actor is the researcher.")
    is_dynamic = any(action["action"] == "DYNAMIC_PAYMENT" for action in code["actions"])
    if is_dynamic and transition.completion_code_data is None:
        raise invalid(completion_code_data="This field is required.")
    now = state.now()
    state.life.finish(submission, transition.completion_code, now)
    if is_dynamic and transition.completion_code_data is not None:
        share = Decimal(transition.completion_code_data.percentage_of_reward) / 100
        state.life.pay_part(submission, submission.study.fields["reward"] * share)
        state.life.move(submission, "PARTIALLY APPROVED", now)


@router.post("/submissions/bulk-approve/")
async def approve_submissions(body: _BulkApproval, state: CurrentState, user: CurrentUser) -> Response:
    if "submission_ids" not in body.model_fields_set:
        study = state.study(body.study_id, user)
        wanted = set(body.participant_ids)
        submissions = [each for each in study.submissions.values() if each.participant_id in wanted]
        unknown = wanted - study.people.keys()
    else:
        found = {each: state.life.submissions.get(each) for each in body.submission_ids}
        submissions = [each for each in found.values() if each and each.study.workspace_id in user.workspaces]
        unknown = found.keys() - {each.id for each in submissions}
    if unknown or not submissions:
        raise invalid(submission_ids=f"Not found: {', '.join(sorted(unknown))[:1000] or 'there is none'}")
    state.payments.approve(submissions, state.now())
    return JSONResponse("The request to bulk approve has been made successfully.")


@router.post("/submissions/{submission_id}/request-return/")
async def request_return(submission_id: str, body: _ReturnRequest, state: CurrentState, user: CurrentUser) -> Response:
    submission = state.submission(submission_id, user)
    if submission.status not in ("ACTIVE", "AWAITING REVIEW", "TIMED-OUT"):
        raise ApiError(400, f"A return cannot be requested: it is {submission.status}.")
    state.life.request_return(submission, state.now())
    sent = {"submission_id": submission.id, "sender_id": user.id, "sent_at": state.now()}
    state.messages.append(body.model_dump() | sent)
    shown = submission.as_detail()
    return JSONResponse({name: shown[name] for name in ("id", "status", "participant", "return_requested")})


@router.post("/submissions/bonus-payments/")
async def create_bonus_payments(bonuses: _Bonuses, state: CurrentState, user: CurrentUser) -> Response:
    study = state.study(bonuses.study_id, user)
    return JSONResponse(state.payments.set_up(study, bonuses.csv_bonuses, state.now()).as_json(), 201)


@router.post("/bulk-bonus-payments/{batch_id}/pay/")
async def pay_bonus_payments(batch_id: str, state: CurrentState, user: CurrentUser) -> Response:
    batch = state.payments.batches.get(batch_id)
    if batch is None or batch.study.workspace_id not in user.workspaces:
        raise not_found()
    state.payments.pay(batch, state.now())
    return JSONResponse("The bonuses will be paid in the following minutes.", 202)
