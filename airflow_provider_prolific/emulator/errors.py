"""Errors as the imitated API answers them, and problems of a document in plain words."""

import re
from collections.abc import Mapping, Sequence
from http.client import responses
from typing import Any

from airflow_provider_prolific.text import shorten

_WORDS = {"missing": "is missing", "extra_forbidden": "is not known here", "union_tag_not_found": "kind is missing"}


class ApiError(Exception):
    """An answer other than success, with a ``detail`` that is a text, or ``{"field": ["problem", ...]}``."""

    def __init__(self, status: int, detail: str | dict[str, list[str]], error_code: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.error_code = error_code


def not_found() -> ApiError:
    """Return the answer for what does not exist and for what the token may not see: they look the same."""
    return ApiError(404, "Nothing with this id is visible to your token.")


def invalid(**problems: str) -> ApiError:
    """Return a validation error: one problem for each field named."""
    return ApiError(400, {name: [problem] for name, problem in problems.items()})


def error_document(status: int, detail: object, error_code: int | None = None) -> dict[str, Any]:
    """Return an error body in the API's shape; of error codes only 140003 is known from real answers."""
    return {
        "error": {
            "status": status,
            "error_code": 140000 + status if error_code is None else error_code,
            "title": responses.get(status, "Error"),
            "detail": detail,
            "additional_information": "",
            "traceback": "",
            "interactive": False,
        }
    }


def problem(error: Mapping[str, Any]) -> str:
    """Return what pydantic found wrong with a value, as it reads behind the value's name: ``must be ...``."""
    message: str = error["msg"]
    if error["type"] in _WORDS:
        return _WORDS[error["type"]]
    if error["type"] == "value_error":
        return message.removeprefix("Value error, ")
    if error["type"] == "union_tag_invalid":
        return f"kind must be one of {error['ctx']['expected_tags']}, not {shorten(error['ctx']['tag'])}"
    if error["type"] in ("model_attributes_type", "model_type"):
        message = "must be a table (a JSON object)"
    return f"{re.sub(r'^[A-Z][a-z]+ should ', 'must ', message)}, not {shorten(error['input'])}"


def in_words(whole: str, document: Any, location: Sequence[str | int], error: Mapping[str, Any]) -> str:
    """Return where something is wrong, and what: ``groups, entry 1 ('Wave 1'): name is missing``."""
    places: list[str] = []
    field = ""
    for part in location:
        try:
            document = document[part]
        except (LookupError, TypeError):
            document = {}
        if isinstance(part, int):
            name = document.get("name") or document.get("email") if isinstance(document, dict) else None
            place = f"{field}, entry {part + 1}" + (f" ({shorten(name)})" if isinstance(name, str) else "")
            places, field = [*places, place], ""
        else:
            places, field = [*places, field], part if part.isidentifier() and len(part) < 50 else shorten(part)
    return " ".join(filter(None, [f"{', '.join(filter(None, places)) or whole}:", field, problem(error)]))
