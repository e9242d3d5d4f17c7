"""All pages of a listing, or an error: never a part of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificResponseError
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.text import shorten

PAGE_SIZE = 200
_T = TypeVar("_T")


def by_offset(offset: int, number: int) -> dict[str, int]:  # noqa: ARG001
    """Return the query parameters of a page, by the number of rows before it."""
    return {"limit": PAGE_SIZE, "offset": offset}


def by_page(offset: int, number: int) -> dict[str, int]:  # noqa: ARG001
    """Return the query parameters of a page, by its number."""
    return {"page": number, "page_size": PAGE_SIZE // 2}


@dataclass
class Listing(Generic[_T]):
    """The pages of one listing, within its limits."""

    call: Callable[..., Any]
    endpoint: str
    what: str
    read_row: Callable[[Any], tuple[str, _T]]
    params: Mapping[str, Any]
    personal: bool
    paging: Callable[[int, int], dict[str, int]]
    limits: Limits

    def __post_init__(self) -> None:
        self._ends_at = time.monotonic() + self.limits.listing_seconds

    def read(self) -> tuple[list[_T], str | None]:
        """Return the rows of all pages, and how many rows were promised if some of them are missing."""
        rows: dict[str, _T] = {}
        self._memory_left = self.limits.memory_bytes
        number = promised = 0
        while True:
            number += 1
            page, new_rows = self._read_page(self.paging(len(rows), number), len(rows))
            brings_new = not new_rows.keys() <= rows.keys()
            rows |= new_rows
            if len(rows) > self.limits.listing_rows:
                raise self._too_much(f"{self.limits.listing_rows:,} rows", len(rows))
            # If the total falls, a row was deleted, and others moved to a page that had been read already.
            promised = max(promised, page.total or 0)
            is_short = len(rows) < promised
            if brings_new and (page.has_next or (page.has_next is None and (is_short or not promised))):
                continue
            if page.has_next and page.rows:  # the same rows again, although more are promised
                return list(rows.values()), "more"
            return list(rows.values()), str(promised) if is_short else None

    def _read_page(self, position: dict[str, int], known: int) -> tuple[Page, dict[str, _T]]:
        if (seconds := self._ends_at - time.monotonic()) <= 0:
            raise self._too_much(f"{self.limits.listing_seconds:g} seconds", known)

        def read(document: Any) -> tuple[Page, dict[str, _T]]:
            page = read_page(document, lambda answer: "" if self.personal else shorten(answer))
            return page, dict(map(self.read_row, page.rows))

        def weighed(weight: int) -> None:
            self._memory_left -= weight

        limits = replace(
            self.limits,
            attempt_seconds=min(self.limits.attempt_seconds, seconds),
            rate_limit_seconds=min(self.limits.rate_limit_seconds, seconds),
            outage_seconds=min(self.limits.outage_seconds, seconds),
            memory_bytes=self._memory_left,
        )
        try:
            page_and_rows: tuple[Page, dict[str, _T]] = self.call(
                "GET",
                self.endpoint,
                read,
                params={**self.params, **position},
                personal=self.personal,
                limits=limits,
                weighed=weighed,
            )
            return page_and_rows
        except ProlificApiError as error:
            if error.status_code == 404 and known:  # some servers answer like this after the last page
                return Page([], None, False), {}
            raise

    def _too_much(self, limit: str, known: int) -> ProlificResponseError:
        return ProlificResponseError(
            f"the list of {self.what} did not end within {limit} ({known:,} came); it is not used (GET {self.endpoint})"
        )


class Page(NamedTuple):
    """A page of a listing: its rows, which are not checked yet, and its metadata."""

    rows: list[Any]
    #: The number of rows of all pages; ``None`` if the metadata does not say.
    total: int | None
    #: Whether there is a next page; ``None`` if the metadata does not say.
    has_next: bool | None


def read_page(document: Any, quote: Callable[[Any], str]) -> Page:
    """Return a page of a listing.

    :param document: The answer's JSON.
    :param quote: Returns the part of the answer that a message may show.
    :raises ProlificResponseError: the results are not a list, or a count is not a whole number.
    """
    rows = document.get("results") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        shown = quote(document)
        raise ProlificResponseError("the answer has no list of results" + (f": {shown}" if shown else ""))
    meta, links = document.get("meta"), document.get("_links")
    total = None
    for count in (meta.get("count"), meta.get("total")) if isinstance(meta, dict) else ():
        if count is None:
            continue
        if type(count) is not int or count < 0:
            raise ProlificResponseError(f"the answer has a count that is not a whole number: {shorten(count)}")
        total = max(total or 0, count)
    following = links.get("next") if isinstance(links, dict) else None
    following = following.get("href") if isinstance(following, dict) else following
    has_next = bool(following) if isinstance(links, dict) and "next" in links else None
    return Page(rows, total, has_next)
