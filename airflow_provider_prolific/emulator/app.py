"""The imitated API, as Prolific's researcher API answers on the wire.

Every request needs the header ``Authorization: Token <token>``. If Prolific's documentation allows more than one
behaviour, there is a setting (``airflow_provider_prolific.emulator.models.Settings``), or the module of the route says
which one was chosen.
"""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from airflow_provider_prolific.emulator import group_routes, study_routes, submission_routes, workspace_routes
from airflow_provider_prolific.emulator.control import control_router
from airflow_provider_prolific.emulator.errors import ApiError, error_document, in_words, problem
from airflow_provider_prolific.emulator.faults import Fault
from airflow_provider_prolific.emulator.middleware import (
    CONTROL_PREFIX,
    FaultMiddleware,
    LocalOnlyMiddleware,
    RequestLog,
)
from airflow_provider_prolific.emulator.state import State
from airflow_provider_prolific.emulator.study_control import study_control_router
from airflow_provider_prolific.text import shorten

PREFIX = "/api/v1"
#: Where bad requests are documented without the envelope ``{"error": ...}``.
_FLAT = re.compile(
    PREFIX + r"/(messages/.*|studies/|projects/[^/]+/studies/|studies/[^/]+/(cost|submissions|submissions/counts)/"
    r"|study-cost-calculator/|submissions/|submissions/bulk-approve/)"
)


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
    for routes in (group_routes, study_routes, submission_routes, workspace_routes):
        app.include_router(routes.router, prefix=PREFIX)
    app.include_router(control_router(state, faults, log))
    app.include_router(study_control_router(state))
    app.add_middleware(_serve_slashless, state=state)
    app.add_middleware(FaultMiddleware, faults=faults, log=log)
    app.add_middleware(LocalOnlyMiddleware)
    return app


def _serve_slashless(app: ASGIApp, state: State) -> ASGIApp:
    async def served(scope: ASGIScope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(PREFIX) and scope["method"] == "GET" and state.settings.slashless_get:
            scope = {**scope, "path": path.removesuffix("/") + "/"}
        await app(scope, receive, send)

    return served


async def _answer_api_error(request: Request, error: Any) -> Response:
    document = error_document(error.status, error.detail, error.error_code)
    is_flat = error.status == 400 and _FLAT.fullmatch(request.scope["path"])
    return JSONResponse(document["error"] if is_flat else document, error.status)


async def _answer_http_error(request: Request, error: Any) -> Response:
    path = request.scope["path"]
    details = {
        404: f"No endpoint {shorten(path)} (is the slash at its end missing?)",
        405: f"{shorten(request.method)} is not allowed here.",
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
