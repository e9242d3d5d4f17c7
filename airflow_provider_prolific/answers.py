"""What the API answers: its shapes, and how to tell a right answer from one that cannot be right."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, TypedDict

from airflow_provider_prolific.arguments import MAX_COUNT, shorten
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificResponseError

#: What stands in an error in the place of a participant's id or the token.
_HIDDEN = "***"


class FeederCompletionCode(TypedDict, total=False):
    """A completion code of a study that changes a group's members."""

    code: str
    code_type: str
    action: str


class FeederStudy(TypedDict, total=False):
    """A study that adds members to a group, or removes them."""

    id: str
    name: str
    internal_name: str
    status: str
    feeder_completion_codes: list[FeederCompletionCode]


class ParticipantGroup(TypedDict):
    """A participant group in the API's own field names."""

    id: str
    name: str
    description: str | None
    workspace_id: str | None
    organisation_id: str | None
    project_id: str | None
    participant_count: int
    is_deleted: bool
    feeder_studies: list[FeederStudy]


class ParticipantGroupMembership(TypedDict, total=False):
    """One member of a participant group in the API's own field names; ``participant_id`` is always there."""

    participant_id: str
    datetime_created: str


def parse_json(body: bytes, status: int, call: str, hidden: Collection[str], *, quote_answer: bool) -> Any:
    """Return the JSON of a body.

    :param call: Method and path, for the message.
    :param hidden: Texts that the message must not say.
    :param quote_answer: Whether the message may say what came instead; not where it may hold participants' ids.
    :raises ProlificResponseError: not JSON, or what no JSON of another program could hold: a number that is none, or
        a text that is none.
    """
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
        # Perhaps half of a character, which no database takes. (One byte is found many times faster than three.)
        if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except RecursionError:
        reason = "JSON nested too deeply"
    except ValueError:
        reason = _describe_text(body, hidden)
    # Raised out here, for the error of the JSON reader holds the whole body.
    raise ProlificResponseError(
        f"{call} answered {status}, but not with JSON" + (f": {reason}" if quote_answer else "")
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def read_results(page: Any, endpoint: str, quote_answer: bool) -> list[Any]:
    """Return the rows of a listing, each still to be read; refuse an answer that has none."""
    rows = page.get("results") if isinstance(page, dict) else None
    if not isinstance(rows, list):
        raise ProlificResponseError(
            f"GET {endpoint} answered without a list of results" + (f": {shorten(page)}" if quote_answer else "")
        )
    return rows


def read_group(row: Any, call: str) -> ParticipantGroup:
    """Return a row as a participant group, if all that decisions rest on is there and of the right type."""
    if (  # one expression, for it is asked of each of thousands
        isinstance(row, dict)
        and isinstance(group_id := row.get("id"), str)
        and group_id
        and isinstance(row.get("name"), str)
        and type(count := row.get("participant_count")) is int
        and 0 <= count <= MAX_COUNT
        and ((is_deleted := row.get("is_deleted")) is None or isinstance(is_deleted, bool))
    ):
        group: ParticipantGroup = row  # type: ignore[assignment]
        return group
    raise ProlificResponseError(f"{call} answered with a participant group that {one_line(_group_problem(row))}")


def _group_problem(row: Any) -> str:
    """Return in words what keeps a row from being a participant group."""
    if not isinstance(row, dict):
        return "is no object"
    if not isinstance(row.get("id"), str) or not row["id"]:
        return "has no id"
    if not isinstance(row.get("name"), str):
        return f"has no name (id {row['id']!r})"
    if type(row.get("participant_count")) is not int or not 0 <= row["participant_count"] <= MAX_COUNT:
        return f"has no participant_count (id {row['id']!r})"
    return f"has an is_deleted that is neither true nor false (id {row['id']!r})"


def read_membership(row: Any, call: str) -> ParticipantGroupMembership:
    """Return a row as a membership, if it names a participant; an error says no id."""
    participant_id = row.get("participant_id") if isinstance(row, dict) else None
    if not isinstance(participant_id, str) or not participant_id:
        raise ProlificResponseError(f"{call} answered with a member that has no participant_id")
    membership: ParticipantGroupMembership = row
    return membership


def read_paging(page: dict[str, Any]) -> tuple[int | None, bool | None]:
    """Return the total that the metadata promises and whether there is a next page; ``None`` where it is silent."""
    meta, links = page.get("meta"), page.get("_links")
    counts = [meta.get("count"), meta.get("total")] if isinstance(meta, dict) else []
    total = next((count for count in counts if type(count) is int and count >= 0), None)
    if not isinstance(links, dict) or "next" not in links:
        return total, None
    following = links["next"]
    return total, bool(following.get("href") if isinstance(following, dict) else following)


def api_error(
    call: str,
    status: int,
    phrase: str,
    body: bytes,
    *,
    conn_id: str,
    hidden: Collection[str],
    retry_after: float | None,
) -> ProlificApiError:
    """Return the API's refusal as an error, whichever of its shapes the body has, without what is hidden."""
    hidden = sorted(hidden, key=len, reverse=True)  # one may be the beginning of another
    title = code = None
    try:
        document = json.loads(body)
        error = document.get("error", document) if isinstance(document, dict) else document
        fields: dict[str, Any] = error if isinstance(error, dict) else {}
        title = _hide(fields.get("title") or fields.get("message") or fields.get("type"), hidden)
        detail = _hide(error if isinstance(error, str) else fields.get("detail", fields.get("issues")), hidden)
        code = fields.get("error_code")
        reason = ": ".join(text for text in (_flatten(title), _flatten(detail)) if text)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply
        detail = reason = _describe_text(body, hidden)
    if type(code) is int:
        reason += f" (error_code {code})"
    message = f"{call} was refused with {status} {phrase}".rstrip()
    if reason:
        message += f": {reason}"
    hint = {
        401: f"check the API token of connection {conn_id!r}",
        403: f"the token of connection {conn_id!r} may have no access to this workspace",
        404: f"it does not exist, or the token of connection {conn_id!r} has no access to its workspace",
    }.get(status, "redirects are not followed" if 300 <= status < 400 else None)
    return ProlificApiError(
        one_line(message) + (f" ({hint})" if hint else ""),
        status_code=status,
        error_code=code if type(code) is int else None,
        title=title if isinstance(title, str) else None,
        detail=detail,
        retry_after=retry_after,
    )


def _flatten(detail: Any) -> str:
    """Return a text, a list, or a mapping of fields to problems as one text."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, Mapping):
        return "; ".join(f"{key}: {_flatten(value)}" for key, value in detail.items())
    if isinstance(detail, list):
        return ", ".join(filter(None, map(_flatten, detail)))
    return "" if detail is None else shorten(detail)


def _hide(value: Any, hidden: Collection[str]) -> Any:
    """Return a JSON value whose texts have each of the hidden ones replaced, the keys of mappings too."""
    if isinstance(value, str):
        for text in hidden:
            value = value.replace(text, _HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {_hide(key, hidden): _hide(item, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide(item, hidden) for item in value]
    return value


def _describe_text(body: bytes, hidden: Collection[str]) -> str:
    """Return what a body that is not JSON says, without its mark-up and without what is hidden."""
    text = _hide(body.decode("utf-8", "replace"), hidden)[:4096]
    return one_line(re.sub(r"<[^>]*>", " ", text), 200) or "an empty body"


def one_line(text: str, limit: int = 500) -> str:
    """Return a text without line breaks and unprintable characters, so that it cannot forge lines in a log."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
