"""Assumptions about participant groups: each check returns what it finds, or raises ``Unclear``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from airflow_provider_prolific.arguments import is_id
from airflow_provider_prolific.check.probe import USER, Finding, Probe, Unclear, as_assumed, differs, reason
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError, ProlificResponseError
from airflow_provider_prolific.hooks.listing import PAGE_SIZE, Page, read_page

GROUPS = "/api/v1/participant-groups/"
NOBODYS_ID = "0" * 24
#: After the last row of any listing that the hook reads.
FAR_OFFSET = 100_000
FLAT, BRACKETS = "{}", "filter[{}]"


def check_scope(probe: Probe) -> Finding:
    """Tell whether the connection's scope can be listed."""
    page = _list(probe)
    if isinstance(page, ProlificError):
        return differs(reason(page), "fails to list groups", matters=True)
    if _is_foreign(probe, page):
        return differs("groups of another scope came", "refuses the listing", matters=True)
    return as_assumed()


def _list(
    probe: Probe, *spellings: str, limit: int = PAGE_SIZE, offset: int = 0, scope_id: str = "", **params: str
) -> Page | ProlificError:
    """Return a page of the scope's groups, or the error; both spellings of the scope are sent if none is given."""
    answer = probe.ask(
        GROUPS, {**_scope(probe, *spellings, scope_id=scope_id), **params, "limit": limit, "offset": offset}
    )
    if isinstance(answer, ProlificError):
        return answer
    try:
        return read_page(answer, lambda _: "")
    except ProlificResponseError as error:
        return error


def _scope(probe: Probe, *spellings: str, scope_id: str = "") -> dict[str, str]:
    return {each.format(probe.scope_key): scope_id or probe.scope_id for each in spellings or (FLAT, BRACKETS)}


def _first_page(probe: Probe) -> Page:
    """Return the first page of all groups, live and deleted ones."""
    page = _list(probe)
    if isinstance(page, ProlificError):
        raise Unclear("the scope cannot be listed")
    return page


def _is_whole(probe: Probe, page: Page) -> bool:
    """Tell whether the first page is the whole listing: it says so, or the next one brings nothing new."""
    if not page.rows or page.has_next is False or page.total == len(page.rows):
        return True
    return _ids(_list(probe, offset=len(page.rows))) <= _ids(page)


def _rows(page: Page | ProlificError) -> list[dict[str, Any]]:
    """Return the rows that have an id."""
    rows = [] if isinstance(page, ProlificError) else page.rows
    return [row for row in rows if isinstance(row, dict) and is_id(row.get("id"))]


def _ids(page: Page | ProlificError) -> set[str]:
    return {row["id"] for row in _rows(page)}


def _is_foreign(probe: Probe, page: Page) -> bool:
    return any(row.get(probe.scope_key) not in (None, probe.scope_id) for row in _rows(page))


def check_spelling(spelling: str, probe: Probe) -> Finding:
    """Compare the right id, which must lead to the right groups, with a wrong one, which must lead to none."""
    right, wrong = _list(probe, spelling), _list(probe, spelling, scope_id=NOBODYS_ID)
    if isinstance(right, ProlificError):
        return differs(f"alone it is {reason(right)}", "relies on the other spelling, because it sends both")
    if _is_foreign(probe, right) or _rows(wrong):
        return differs("alone it is ignored", "relies on the other spelling, because it sends both")
    if not right.rows and isinstance(wrong, Page):
        raise Unclear("there are no groups")
    return as_assumed()


def check_active(probe: Probe) -> Finding:
    """Tell whether live and deleted groups can be listed apart."""
    live, deleted = _list(probe, active="true"), _list(probe, active="false")
    if isinstance(live, ProlificError) or isinstance(deleted, ProlificError):
        return differs("it is refused", "fails to list live groups", matters=True)
    said = [(row.get("is_deleted"), page is deleted) for page in (live, deleted) for row in _rows(page)]
    if _ids(live) & _ids(deleted) or any(is_deleted is (not asked) for is_deleted, asked in said):
        if all(isinstance(is_deleted, bool) for is_deleted, _ in said):
            return differs("it is ignored", "tells the groups apart by is_deleted")
        return differs("it is ignored", "treats deleted groups as live ones", matters=True)
    if not live.rows and any(row.get("is_deleted") is False for row in _rows(_first_page(probe))):
        return differs("active=true leaves out live groups", "does not find them", matters=True)
    if not said:
        raise Unclear("there are no groups")
    return as_assumed()


def check_deleted(probe: Probe) -> Finding:
    """Tell whether deleted groups are listed, and whether listing and single group say that they are deleted."""
    listed, asked_for = _rows(_first_page(probe)), _rows(_list(probe, active="false"))
    silent = {row["id"] for row in asked_for if not isinstance(row.get("is_deleted"), bool)}
    if silent - _ids(_list(probe, active="true")):
        return differs("rows do not say is_deleted", "treats them as live ones", matters=True)
    ids = [row["id"] for row in listed + asked_for if row.get("is_deleted") is True]
    if not ids:
        raise Unclear("there are no deleted groups")
    if ids[0] not in _ids(_first_page(probe)):
        if not _is_whole(probe, _first_page(probe)):
            raise Unclear("the first page has no deleted groups")
        return differs("only active=false lists them", "calls a deleted group missing")
    group = probe.ask(f"{GROUPS}{quote(ids[0], safe='')}/")
    if isinstance(group, ProlificError):
        return differs(f"listed, but alone it is {reason(group)}", "finds it in the listing")
    if not isinstance(group, dict) or group.get("is_deleted") is not True:
        return differs("listed, but alone it does not say is_deleted", "learns it when the API refuses a change")
    return as_assumed()


def check_metadata(probe: Probe) -> Finding:
    """Tell whether a page says how many rows there are, and whether another page follows."""
    page = _list(probe, limit=1)
    if isinstance(page, ProlificApiError):
        raise Unclear(reason(page))
    if isinstance(page, ProlificError):
        return differs("it is not of a known kind", "fails to list groups", matters=True)
    if page.total is None and page.has_next is None:
        return differs("there is none", "continues until a page brings nothing new")
    if page.has_next is False and (page.total or 0) > len(page.rows):
        return differs("the count promises more than the links", "fails to list groups", matters=True)
    if page.total is None:
        return differs("there is no count", "continues while a next page is named")
    if page.has_next is None:
        return differs("no next page is named", "continues until the count is reached")
    return as_assumed()


def check_paging(probe: Probe) -> Finding:
    """Tell whether ``limit`` and ``offset`` lead to the next rows."""
    if len(_ids(_first_page(probe))) < 2:
        raise Unclear("there are fewer than two groups")
    first, second = _list(probe, limit=1), _list(probe, limit=1, offset=1)
    if isinstance(first, ProlificError):
        raise Unclear(reason(first))
    if _ids(second) <= _ids(first):
        if len(first.rows) > 1 and not first.has_next and (first.total or 0) <= len(first.rows):
            return differs("all rows come at once", "treats the first page as the whole listing")
        how = "offset leads to nothing new"
        return differs(how, "fails to list more than one page, or ends too early", matters=True)
    if len(first.rows) > 1:
        return differs("limit is ignored", "continues after the rows that came")
    return as_assumed()


def check_largest_page(probe: Probe) -> Finding:
    """Tell whether as many rows come as are asked for."""
    page = _first_page(probe)
    rows = len(page.rows)
    if rows == PAGE_SIZE:
        return as_assumed()
    if rows > PAGE_SIZE:
        return differs("more rows come than are asked for", "takes them as they are")
    if not _is_whole(probe, page):
        # Others follow, so this is the number of rows in a page, and not that of all groups.
        return differs(f"{rows} rows come", "continues after the rows that came")
    if (page.total or 0) > rows:
        return differs("fewer rows come than are promised", "refuses the listing", matters=True)
    raise Unclear("all groups fit into one page")


def check_behind_the_end(probe: Probe) -> Finding:
    """Tell what is answered for a page after the last one."""
    first, page = _first_page(probe), _list(probe, offset=FAR_OFFSET)
    if isinstance(page, Page):
        if page.rows:
            return differs("it brings rows", "ends a listing at a page that brings nothing new")
        return as_assumed("an empty page")
    if isinstance(page, ProlificApiError) and page.status_code == 404:
        return as_assumed("404")
    if first.total is None and first.has_next is None:
        return differs(reason(page), "fails to list groups", matters=True)
    return differs(reason(page), "does not ask for it, because the pages say where the end is")


def check_slash(probe: Probe) -> Finding:
    """Tell whether a GET without the slash at its end is answered, as some programs send it."""
    for answer in (probe.ask(USER.rstrip("/")), probe.ask(GROUPS.rstrip("/"), {**_scope(probe), "limit": 1})):
        if isinstance(answer, ProlificError):
            return differs(reason(answer), "works as before, because it always sends the slash")
    return as_assumed("it is answered, too")


def check_fields(probe: Probe) -> Finding:
    """Tell which documented fields the rows lack, or have with another type than is needed."""
    from airflow_provider_prolific.hooks.participant_groups import ParticipantGroup

    rows = [row if isinstance(row, dict) else {} for row in _first_page(probe).rows]
    if not rows:
        raise Unclear("there are no groups")
    needed = {"id": str, "name": str, "participant_count": int}
    lacking = [
        field
        for field in ParticipantGroup.__annotations__
        if not all(field in row and isinstance(row[field], needed.get(field, object)) for row in rows)
    ]
    how = f"some lack {', '.join(lacking)}"
    if {"id", "name"} & {*lacking}:
        return differs(how, "refuses the listing", matters=True)
    if "participant_count" in lacking:
        return differs(how, "fails where it waits for such a group", matters=True)
    return differs(how, "leaves them out, too") if lacking else as_assumed()


def check_missing_group(probe: Probe) -> Finding:
    """Tell what is answered for a group that does not exist."""
    answer = probe.ask(f"{GROUPS}{NOBODYS_ID}/")
    if not isinstance(answer, ProlificApiError):
        return differs("it is answered", "treats it as a group", matters=True)
    if answer.status_code != 404:
        return differs(reason(answer), "fails where it should ignore such a group")
    return as_assumed()


#: What is assumed, in the order in which it is asked.
CHECKS: tuple[tuple[str, Callable[[Probe], Finding]], ...] = (
    ("the scope can be listed", check_scope),
    ("the scope counts, spelled flat", partial(check_spelling, FLAT)),
    ("the scope counts, spelled in brackets", partial(check_spelling, BRACKETS)),
    ("active=true and active=false are honoured", check_active),
    ("deleted groups are listed and say so", check_deleted),
    ("pages have metadata", check_metadata),
    ("limit and offset are honoured", check_paging),
    (f"a page has up to {PAGE_SIZE} rows", check_largest_page),
    ("a page after the last one is empty or 404", check_behind_the_end),
    ("GET works without the slash at its end", check_slash),
    ("rows have all documented fields", check_fields),
    ("a group that does not exist is 404", check_missing_group),
)
