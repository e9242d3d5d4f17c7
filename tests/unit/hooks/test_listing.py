"""Listings: whole or an error, however a server pages."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificResponseError
from airflow_provider_prolific.hooks.client import Client
from airflow_provider_prolific.hooks.connection import ConnectionSettings
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.hooks.listing import PAGE_SIZE, by_page, read_page
from airflow_provider_prolific.hooks.transport import Transport

ENDPOINT = "/api/v1/things/"
CONNECTION = ConnectionSettings("c", "https://api.example.org", "token-that-nobody-may-see", {})


def read_row(row):
    return row["id"], row


def rows(*ids):
    return [{"id": str(row_id)} for row_id in ids]


class ClientOfServer(Client):
    """A client whose calls a function answers, from what is asked of a page."""

    def __init__(self, answer, **limits):
        super().__init__(CONNECTION, Transport(), Limits(**limits), 0, logging.getLogger())
        self.answer = answer
        self.asked = []
        self.limits = []

    def call(self, method, endpoint, read, *, params=None, personal=False, limits=None, weighed=None, **_):
        assert (method, endpoint) == ("GET", ENDPOINT)
        self.asked.append(params)
        self.limits.append(limits)
        answer = self.answer(params)
        if isinstance(answer, int):
            raise ProlificApiError("refused", answer)
        weighed(1000)
        return read(answer)

    def ids(self, **how):
        return [row["id"] for row in self.list(ENDPOINT, "things", read_row, **how)]


def answers(*pages):
    """Give these pages one after the other, and the last one for ever."""
    left = list(pages)
    return lambda params: left.pop(0) if len(left) > 1 else left[0]


def link(href):
    return {"_links": {"next": {"href": href}}}


@dataclass
class Server:
    """A server that pages in one of many ways.

    :param count: How many rows it has.
    :param cap: How many it gives at most, whatever limit it is asked for.
    :param total: The field of ``meta`` that counts them, if any.
    :param links: Its links: none, a ``next`` that is null on the last page, or one that never is; an object or a text.
    :param behind: What it answers behind the last page: an empty page, or 404.
    :param overlap: How many rows before the offset it gives again.
    :param ignores_offset: Whether it gives the first page always.
    :param deleted: Before which requests which rows are deleted.
    """

    count: int
    cap: int
    total: str | None
    links: str | None
    as_text: bool
    behind: int
    overlap: int = 0
    ignores_offset: bool = False
    deleted: dict[int, int] = field(default_factory=dict)

    def __post_init__(self):
        self.rows = rows(*range(self.count))
        self.asked = 0

    def __call__(self, params):
        self.asked += 1
        if self.rows and self.asked in self.deleted:
            del self.rows[self.deleted[self.asked] % len(self.rows)]
        offset = 0 if self.ignores_offset else params["offset"]
        if offset >= len(self.rows) and offset and self.behind == 404:
            return 404
        end = offset + min(params["limit"], self.cap)
        page = {"results": self.rows[max(0, offset - self.overlap) : end]}
        if self.total:
            page["meta"] = {self.total: len(self.rows)}
        if self.links:
            following = "http://internal/?page=2" if end < len(self.rows) or self.links == "always" else None
            page["_links"] = {"next": following if self.as_text else {"href": following}}
        return page


WAYS = {
    "count": st.integers(0, 12),
    "cap": st.integers(1, 5),
    "total": st.sampled_from([None, "count", "total"]),
    "links": st.sampled_from([None, "null at the end", "always"]),
    "as_text": st.booleans(),
    "behind": st.sampled_from([200, 404]),
}


class TestEveryWay:
    @given(st.builds(Server, **WAYS))
    def test_a_server_that_does_not_change_is_read_as_a_whole(self, server):
        assert ClientOfServer(server).list(ENDPOINT, "things", read_row) == server.rows

    @given(st.builds(Server, **WAYS | {"links": st.sampled_from([None, "null at the end"])}, overlap=st.integers(1, 3)))
    def test_a_server_whose_pages_overlap_is_read_as_a_whole(self, server):
        assert ClientOfServer(server).list(ENDPOINT, "things", read_row) == server.rows

    @given(
        st.builds(
            Server,
            **WAYS | {"total": st.sampled_from(["count", "total"])},
            deleted=st.dictionaries(st.integers(1, 6), st.integers(0, 12), max_size=3),
        )
    )
    def test_where_rows_are_deleted_meanwhile_those_that_stay_are_all_there_or_it_is_an_error(self, server):
        try:
            found = ClientOfServer(server).list(ENDPOINT, "things", read_row)
        except ProlificResponseError as error:
            assert "a partial list is not used" in str(error)  # noqa: PT017 - either is right
        else:
            assert [row for row in server.rows if row not in found] == []

    @given(st.builds(Server, **WAYS, overlap=st.integers(0, 3), ignores_offset=st.booleans()))
    def test_a_server_that_gives_the_same_rows_again_is_read_as_a_whole_or_is_an_error(self, server):
        if server.ignores_offset and server.count > server.cap and not server.total and not server.links:
            return  # nothing tells that there is more
        try:
            found = ClientOfServer(server).list(ENDPOINT, "things", read_row)
        except ProlificResponseError as error:
            assert "a partial list is not used" in str(error)  # noqa: PT017 - either is right
        else:
            assert found == server.rows


class TestEnd:
    def test_without_metadata_it_is_a_page_that_brings_nothing_new(self):
        client = ClientOfServer(answers({"results": rows(1, 2)}, {"results": rows(3)}, {"results": rows(3)}))

        assert client.ids() == ["1", "2", "3"]
        assert len(client.asked) == 3

    def test_an_empty_list_needs_one_request(self):
        client = ClientOfServer(answers({"results": []}))

        assert client.ids() == []
        assert len(client.asked) == 1

    @pytest.mark.parametrize("field", ["count", "total"])
    def test_it_is_the_count(self, field):
        client = ClientOfServer(answers({"results": rows(1, 2), "meta": {field: 2}}))

        assert client.ids() == ["1", "2"]
        assert len(client.asked) == 1

    @pytest.mark.parametrize("following", [None, "", {"href": None}, {"href": ""}, {}])
    def test_it_is_where_no_page_follows(self, following):
        client = ClientOfServer(answers({"results": rows(1, 2), "_links": {"next": following}}))

        assert client.ids() == ["1", "2"]
        assert len(client.asked) == 1

    def test_a_page_that_follows_is_asked_for_whatever_a_count_says(self):
        first = {"results": rows(1, 2), "meta": {"count": 2}, **link("/more")}
        client = ClientOfServer(answers(first, {"results": rows(3), "meta": {"count": 1}, **link(None)}))

        assert client.ids() == ["1", "2", "3"]

    def test_behind_the_first_page_it_is_a_404(self):
        assert ClientOfServer(answers({"results": rows(1, 2)}, 404)).ids() == ["1", "2"]

    def test_a_404_on_the_first_page_is_an_error(self):
        with pytest.raises(ProlificApiError):
            ClientOfServer(answers(404)).ids()

    def test_another_refusal_behind_the_first_page_is_an_error(self):
        with pytest.raises(ProlificApiError):
            ClientOfServer(answers({"results": rows(1, 2)}, 400)).ids()


class TestPages:
    def test_the_offset_is_the_number_of_rows_that_are_known(self):
        client = ClientOfServer(answers({"results": rows(1, 2)}, {"results": rows(2, 3, 4)}, 404))

        client.ids(params={"active": "true"})

        assert client.asked == [{"active": "true", "limit": PAGE_SIZE, "offset": offset} for offset in (0, 2, 4)]

    def test_pages_may_be_asked_for_by_number(self):
        client = ClientOfServer(answers({"results": rows(1, 2)}, {"results": rows(3)}, 404))

        assert client.ids(paging=by_page) == ["1", "2", "3"]
        assert client.asked == [{"page": number, "page_size": PAGE_SIZE // 2} for number in (1, 2, 3)]

    def test_a_row_that_comes_twice_is_one_as_it_came_last_in_its_first_place(self):
        client = ClientOfServer(answers({"results": [{"id": "1"}, {"id": "2"}]}, {"results": [{"id": "1", "new": 1}]}))

        assert client.list(ENDPOINT, "things", read_row) == [{"id": "1", "new": 1}, {"id": "2"}]


class TestPart:
    @pytest.mark.parametrize(
        ("promise", "words"),
        [
            ({"meta": {"count": 3}}, "promises 3"),
            ({"meta": {"total": 3}}, "promises 3"),
            ({"meta": {"count": 2, "total": 3}}, "promises 3"),
            ({"meta": {"count": 3}, **link(None)}, "promises 3"),
            (link("/more"), "promises more"),
            ({"meta": {"count": 2}, **link("/more")}, "promises more"),
        ],
        ids=str,
    )
    def test_fewer_rows_than_promised_are_a_temporary_error(self, promise, words):
        client = ClientOfServer(answers({"results": rows(1, 2), **promise}))

        with pytest.raises(ProlificResponseError) as failure:
            client.ids()

        assert str(failure.value) == f"a partial list is not used: 2 things came, but Prolific {words} (GET {ENDPOINT})"
        assert failure.value.transient is True

    def test_a_second_look_may_bring_them(self):
        short = {"meta": {"count": 3}, **link(None)}
        client = ClientOfServer(answers({"results": rows(1, 2), **short}, {"results": rows(1, 2, 3), **short}))

        assert client.ids() == ["1", "2", "3"]

    def test_the_second_look_does_not_mix_with_the_first(self):
        first = {"results": rows(1, 2), "meta": {"count": 3}, **link(None)}
        client = ClientOfServer(answers(first, {"results": rows(2, 3), "meta": {"count": 2}, **link(None)}))

        assert client.ids() == ["2", "3"]

    def test_a_total_that_falls_between_two_pages_means_that_one_may_have_been_missed(self):
        client = ClientOfServer(
            answers(
                {"results": rows(1, 2), "meta": {"count": 4}},
                {"results": rows(4), "meta": {"count": 3}},
                {"results": [], "meta": {"count": 3}},
                {"results": rows(2, 3, 4), "meta": {"count": 3}},
            )
        )

        assert client.ids() == ["2", "3", "4"]


def read(document, quote=repr):
    return read_page(document, quote)


class TestAPage:
    @pytest.mark.parametrize(
        ("metadata", "total", "has_next"),
        [
            ({}, None, None),
            ({"meta": None, "_links": None}, None, None),
            ({"meta": [], "_links": []}, None, None),
            ({"meta": {}, "_links": {}}, None, None),
            ({"meta": {"count": None, "total": None}}, None, None),
            ({"meta": {"count": 0}}, 0, None),
            ({"meta": {"count": 2, "total": 7}}, 7, None),
            ({"_links": {"next": None}}, None, False),
            ({"_links": {"next": "/2"}}, None, True),
            (link("/2"), None, True),
            (link(None), None, False),
        ],
        ids=str,
    )
    def test_metadata_says_what_follows_or_nothing(self, metadata, total, has_next):
        assert read({"results": [1], **metadata}) == ([1], total, has_next)

    @pytest.mark.parametrize("field", ["count", "total"])
    @pytest.mark.parametrize("count", ["301", "", True, -1, 2.0, [], {}])
    def test_a_count_that_is_not_a_whole_number_is_a_temporary_error(self, field, count):
        with pytest.raises(
            ProlificResponseError, match=r"^the answer has a count that is not a whole number: "
        ) as failure:
            read({"results": [], "meta": {field: count}})

        assert failure.value.transient is True

    @pytest.mark.parametrize(
        "page", [[], [{"id": "g1"}], None, "groups", 7, {}, {"results": None}, {"results": {}}, {"results": "g1"}]
    )
    def test_a_page_without_a_list_of_results_is_a_temporary_error(self, page):
        with pytest.raises(ProlificResponseError) as failure:
            read(page)

        assert str(failure.value) == f"the answer has no list of results: {page!r}"
        assert failure.value.transient is True

    def test_such_a_page_is_not_quoted_where_it_is_personal(self):
        with pytest.raises(ProlificResponseError, match=r"^the answer has no list of results$"):
            ClientOfServer(answers({"5f01": 1})).ids(personal=True)


class TestLimits:
    def test_more_rows_than_the_limit_are_an_error(self):
        numbers = iter(range(10**6))
        client = ClientOfServer(lambda params: {"results": rows(next(numbers), next(numbers))}, listing_rows=5)

        with pytest.raises(
            ProlificResponseError,
            match=r"^the list of things did not end within 5 rows \(6 came\); it is not used \(GET /",
        ):
            client.ids()

        assert len(client.asked) == 3

    def test_as_many_rows_as_the_limit_are_read(self):
        client = ClientOfServer(answers({"results": rows(1, 2)}, {"results": rows(3)}, 404), listing_rows=3)

        assert client.ids() == ["1", "2", "3"]

    def test_more_time_than_the_limit_is_an_error(self, clock):
        numbers = iter(range(10**6))

        def answer(params):
            clock.sleep(10)
            return {"results": rows(next(numbers))}

        client = ClientOfServer(answer, listing_seconds=25)

        with pytest.raises(
            ProlificResponseError,
            match=r"^the list of things did not end within 25 seconds \(3 came\); it is not used \(GET /",
        ):
            client.ids()

    def test_a_page_may_take_what_is_left_of_the_time_with_its_repeats(self, clock):
        page = {"results": rows(1), **link("/2")}

        def answer(params):
            clock.sleep(10)
            return page if params["offset"] < 1 else {"results": rows(2), **link(None)}

        client = ClientOfServer(answer, listing_seconds=25)
        client.ids()

        assert [
            (limits.attempt_seconds, limits.rate_limit_seconds, limits.outage_seconds) for limits in client.limits
        ] == [(25, 25, 25), (15, 15, 15)]

    def test_the_pages_share_the_memory_and_a_second_look_has_it_for_itself(self):
        short = {"results": rows(2), "meta": {"count": 3}, **link(None)}
        client = ClientOfServer(answers({"results": rows(1), **link("/2")}, short), memory_bytes=10_000)

        with pytest.raises(ProlificResponseError, match="partial list"):
            client.ids()

        assert [limits.memory_bytes for limits in client.limits] == [10_000, 9_000, 10_000]

    def test_the_limits_of_the_default_are_those_that_are_promised(self):
        assert (Limits().listing_rows, Limits().listing_seconds) == (100_000, 600)
