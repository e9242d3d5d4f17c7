"""The emulator's control calls for studies, under ``/_emulator/``; ``EmulatorClient`` describes each of them."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import ConfigDict, ValidationError

from airflow_provider_prolific.emulator import models
from airflow_provider_prolific.emulator.errors import ApiError, in_words
from airflow_provider_prolific.emulator.middleware import CONTROL_PREFIX
from airflow_provider_prolific.emulator.state import State, check_submission_status
from airflow_provider_prolific.emulator.studies import Study, Submission
from airflow_provider_prolific.emulator.study_models import RECRUITMENT_FIELDS, StudyChanges, StudyFields


class _Advance(models.Model):
    seconds: models.Seconds


class _StudyChanges(StudyChanges, models.Recruitment):
    model_config = ConfigDict(extra="forbid")

    status: models.Text | None = None


class _SubmissionFields(models.Model):
    study_code: models.Text | None = None
    is_complete: bool = False


class _NewSubmissions(_SubmissionFields):
    participant_id: models.Text = ""
    status: models.Text = "AWAITING REVIEW"
    count: models.Count = 1


class _SubmissionChanges(_SubmissionFields):
    status: models.Text = ""


def study_control_router(state: State) -> APIRouter:
    """Build the control endpoints."""
    router = APIRouter(prefix=CONTROL_PREFIX.rstrip("/"))

    @router.post("/advance")
    async def advance(body: _Advance) -> Response:
        return JSONResponse({"now": state.advance(body.seconds)})

    @router.get("/studies")
    async def get_studies() -> Response:
        state.now()
        return JSONResponse({"studies": [study_view(study) for study in state.studies.values()]})

    def study_view(study: Study) -> dict[str, Any]:
        return {
            **study.as_detail(),
            **study.recruitment.model_dump(),
            "counts": study.counts_json(),
            "locked": float(study.locked),
            "spent": float(study.rewards.total + study.bonuses.total),
        }

    @router.post("/studies")
    async def create_study(new: StudyFields) -> Response:
        if new.project is not None and new.project not in state.projects:
            raise ApiError(400, f"there is no project {new.project!r}")
        return JSONResponse({"id": state.create_study(new).id}, 201)

    @router.get("/studies/{study_id}")
    async def get_study(study_id: str) -> Response:
        return JSONResponse(study_view(state.study(study_id)))

    @router.patch("/studies/{study_id}")
    async def change_study(study_id: str, body: _StudyChanges) -> Response:
        study = state.study(study_id)
        now = state.now()
        changes = body.sent()
        people = {name: changes.pop(name) for name in RECRUITMENT_FIELDS if name in changes}
        has_status, status = "status" in changes, changes.pop("status", None)
        if changes.keys() & {"project", "publish_at"}:
            raise ApiError(400, "project and publish_at of an existing study cannot be changed")
        if people:
            try:
                study.recruitment = models.Recruitment(**study.recruitment.model_dump() | people)
            except ValidationError as error:
                raise ApiError(400, in_words("the request", people, (), error.errors()[0])) from None
            state.life.restart_arrivals(study, now)
        study.fields |= changes
        state.forget_feeders()
        if has_status:
            state.set_status(study, status)
        state.life.expect(study, now)
        return JSONResponse(study_view(study))

    @router.delete("/studies/{study_id}")
    async def delete_study(study_id: str) -> Response:
        state.remove_study(state.study(study_id))
        return Response(status_code=204)

    @router.get("/studies/{study_id}/submissions")
    async def get_submissions(study_id: str, status: str | None = None) -> Response:
        submissions = state.study(study_id).submissions.values()
        return JSONResponse(
            {"submissions": [submission_view(each) for each in submissions if status in (None, each.status)]}
        )

    def submission_view(submission: Submission) -> dict[str, Any]:
        moments = ("started_at", "completed_at", "return_requested")
        return {
            **submission.as_row(),
            **{name: getattr(submission, name) for name in moments},
            "study_id": submission.study.id,
        }

    @router.post("/studies/{study_id}/submissions")
    async def add_submissions(study_id: str, new: _NewSubmissions) -> Response:
        fields = new.model_dump(exclude_unset=True, exclude={"status", "count"})
        added = state.add_submissions(state.study(study_id), new.status, new.count, **fields)
        return JSONResponse({"ids": [submission.id for submission in added]}, 201)

    @router.patch("/submissions/{submission_id}")
    async def change_submission(submission_id: str, body: _SubmissionChanges) -> Response:
        submission = state.submission(submission_id)
        changes = body.model_dump(exclude_unset=True)
        status = changes.pop("status", submission.status)
        check_submission_status(status)
        state.life.move(submission, status, state.now())
        for name, value in changes.items():
            setattr(submission, name, value)
        return JSONResponse(submission_view(submission))

    @router.get("/payments")
    async def get_payments() -> Response:
        return JSONResponse({"payments": state.payments.log})

    return router
