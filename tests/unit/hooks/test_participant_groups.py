"""Participant groups: which requests are sent, which answers are believed, and what an error says."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
import responses
from answers import LISTINGS
from hypothesis import given

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.hooks.participant_groups import GROUPS_ENDPOINT
from airflow_provider_prolific.hooks.prolific import ProlificHook

GROUPS_URL = f"https://api.prolific.com{GROUPS_ENDPOINT}"
GROUP_URL = f"{GROUPS_URL}g1/"
PARTICIPANTS_URL = f"{GROUP_URL}participants/"
MESSAGES_URL = "https://api.prolific.com/api/v1/messages/participant-group/"
ORGANISATION = "64f000000000000000000001"


def participants(count, first=1):
    return [f"5f{number:022x}" for number in range(first, first + count)]


def bodies(api):
    return [json.loads(request.body) for request in api.requests]


def query(request):
    return parse_qs(urlsplit(request.url).query, keep_blank_values=True)


@pytest.fixture
def hook(connection, pauses):
    """A hook that repeats its calls; nobody sleeps."""
    with ProlificHook() as hook:
        yield hook


class TestListing:
    @pytest.mark.parametrize(
        ("filter", "scope"),
        [
            (
                None,
                {"workspace_id": ["64a000000000000000000001"], "filter[workspace_id]": ["64a000000000000000000001"]},
            ),
            ({"workspace_id": "w2"}, {"workspace_id": ["w2"], "filter[workspace_id]": ["w2"]}),
            ({"project_id": "p1"}, {"project_id": ["p1"], "filter[project_id]": ["p1"]}),
        ],
    )
    @pytest.mark.parametrize(
        ("active", "sent"), [(True, {"active": ["true"]}), (False, {"active": ["false"]}), (None, {})]
    )
    def test_the_request_names_the_scope_in_both_spellings(self, api, hook, filter, scope, active, sent):
        api.lists()

        assert hook.list_participant_groups(filter, active) == []

        [request] = api.requests
        assert request.method == "GET"
        assert request.url.split("?")[0] == GROUPS_URL
        assert query(request) == {**scope, **sent, "limit": ["200"], "offset": ["0"]}
        assert request.body is None

    def test_live_groups_are_the_default(self, api, hook):
        api.lists()

        hook.list_participant_groups()

        assert query(api.requests[0])["active"] == ["true"]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"filter": {}}, "filter must be"),
            ({"filter": {"workspace": "w1"}}, "filter must be"),
            ({"filter": {"workspace_id": "w1", "project_id": "p1"}}, "filter must be"),
            ({"filter": {"workspace_id": "a/b"}}, "must be an id"),
            ({"active": "yes"}, "active must be"),
            ({"active": 1}, "active must be"),
        ],
        ids=str,
    )
    def test_a_bad_argument_is_refused_before_any_request(self, api, hook, arguments, words):
        with pytest.raises(ProlificValueError, match=words):
            hook.list_participant_groups(**arguments)
        assert not api.requests

    def test_groups_come_back_in_the_apis_own_fields(self, api, hook, group):
        groups = [group("g1", "A", 1, feeder_studies=[{"id": "s1"}], new_field=[1]), group("g2", "B", 2)]
        api.lists(*groups)

        assert hook.list_participant_groups() == groups

    @pytest.mark.parametrize(("active", "ids"), [(True, ["live", "unmarked"]), (False, ["gone"])])
    def test_what_the_server_should_have_filtered_is_filtered_again(self, api, hook, group, active, ids):
        unmarked = group("unmarked")
        del unmarked["is_deleted"]
        api.lists(group("live"), group("gone", is_deleted=True), unmarked)

        assert [found["id"] for found in hook.list_participant_groups(active=active)] == ids

    def test_both_live_and_deleted_groups_come_back_where_both_are_asked_for(self, api, hook, group):
        api.lists(group("live"), group("gone", is_deleted=True))

        assert [found["id"] for found in hook.list_participant_groups(active=None)] == ["live", "gone"]

    @pytest.mark.parametrize("key", ["workspace_id", "project_id"])
    def test_a_group_of_another_scope_means_that_the_scope_was_ignored(self, api, hook, group, key):
        api.lists(group("g1", **{key: "asked"}), group("g2", **{key: "other"}))

        with pytest.raises(
            ProlificResponseError,
            match=rf"^the scope was ignored: .*'g2' of 'other' came \(200 from GET {GROUPS_ENDPOINT}\)$",
        ) as failure:
            hook.list_participant_groups({key: "asked"})

        assert failure.value.transient is False

    @pytest.mark.parametrize("key", ["workspace_id", "project_id"])
    def test_a_group_that_does_not_tell_its_scope_is_taken(self, api, hook, group, key):
        api.lists(group("g1", **{key: None}))

        assert len(hook.list_participant_groups({key: "asked"})) == 1

    @pytest.mark.parametrize(
        "row",
        [
            *(None, "g1", 7, [], True, {}),
            *({"id": row_id, "name": "A"} for row_id in (None, "", 7, ["g1"])),
            *({"id": "g1", "name": name} for name in (None, 7, ["A"])),
        ],
    )
    def test_a_row_without_an_id_or_a_name_is_a_temporary_error(self, api, hook, group, row):
        api.lists(group("g1"), row)

        with pytest.raises(ProlificResponseError) as failure:
            ProlificHook(max_retries=0).list_participant_groups()

        assert str(failure.value) == (
            f"the answer has a participant group without an id or a name: {row!r} (200 from GET {GROUPS_ENDPOINT})"
        )
        assert failure.value.transient is True

    def test_a_row_that_lacks_what_nobody_asked_for_is_taken(self, api, hook, group):
        api.lists({"id": "pg-1", "name": "pg", "project_id": "p"}, group("g1"))

        assert [found["id"] for found in hook.list_participant_groups()] == ["pg-1", "g1"]

    def test_every_page_is_read(self, api, hook, group):
        api.lists(group("g1"), group("g2"), meta={"count": 3})
        api.lists(group("g3"), meta={"count": 3})

        assert [found["id"] for found in hook.list_participant_groups()] == ["g1", "g2", "g3"]
        assert [query(request)["offset"] for request in api.requests] == [["0"], ["2"]]


@pytest.fixture(scope="module")
def lone_hook():
    """A hook of a connection without a default scope, for many examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ALONE", json.dumps({"conn_type": "prolific", "password": "t"}))
        yield ProlificHook("alone", max_retries=0)


@given(LISTINGS)
def test_whatever_comes_a_listing_is_right_or_refused(lone_hook, body):
    with responses.RequestsMock() as api:
        api.get(GROUPS_URL, body=body)
        try:
            groups = lone_hook.list_participant_groups({"workspace_id": "w"})
        except ProlificResponseError as error:
            assert str(error).isprintable()  # noqa: PT017 - either is right
            return

    for group in groups:
        assert isinstance(group["id"], str)
        assert group["id"]
        assert isinstance(group["name"], str)
        assert not group.get("is_deleted")
        assert group.get("workspace_id") in (None, "w")
    assert len({group["id"] for group in groups}) == len(groups)
    json.dumps(groups, allow_nan=False).encode()


class TestOneGroup:
    def test_a_group_is_read_by_its_id(self, api, hook, group):
        api.get(GROUP_URL, json=group("g1", is_deleted=True))

        assert hook.get_participant_group("g1") == group("g1", is_deleted=True)

    def test_what_is_not_a_group_is_an_error(self, api, hook):
        api.get(GROUP_URL, json={"results": []})

        with pytest.raises(ProlificResponseError, match=r"a participant group without an id or a name: {'results': "):
            hook.get_participant_group("g1")

    @pytest.mark.parametrize(
        "hostile",
        [
            *("../x", "a/b", "a\\b", "a?b", "a#b", "a%2Fb", "a%2fb", "%2e%2e", "..%2f", "a%00b", "a;b", "a&b=c", "a@b"),
            *(
                "a b",
                "a\nb",
                "a\r\nX: y",
                "a\x00b",
                "ünïcode",
                "\ud800",
                "x" * 300,
                "",
                ".",
                "..",
                "...",
                "//evil",
                "%",
            ),
        ],
    )
    def test_an_id_stays_one_segment_of_the_path_or_is_refused(self, connect, local_api, group, hostile):
        connect(host=local_api.url)
        local_api.answer(json_body=group())

        try:
            ProlificHook().get_participant_group(hostile)
        except ProlificValueError:
            assert not local_api.asked
        else:
            [asked] = local_api.asked
            segment = asked.target.removeprefix(GROUPS_ENDPOINT).removesuffix("/")
            assert asked.target == f"{GROUPS_ENDPOINT}{segment}/"
            assert not set(segment) & set("/?#\\")
            assert unquote(segment) == hostile

    @pytest.mark.parametrize("participant_group_id", [None, 7, ["g1"], {"id": "g1"}, b"g1"])
    def test_an_id_is_a_text(self, api, hook, participant_group_id):
        with pytest.raises(ProlificValueError, match=r"^participant_group_id must be an id"):
            hook.get_participant_group(participant_group_id)
        assert not api.requests


class TestCreate:
    def test_only_what_was_given_is_sent(self, api, hook, group, workspace):
        api.post(GROUPS_URL, status=201, json=group(name="New"))
        assert hook.create_participant_group("New")["name"] == "New"
        assert bodies(api) == [{"name": "New", "description": "New", "workspace_id": workspace}]

    def test_everything_that_was_given_is_sent(self, api, hook, group):
        api.post(GROUPS_URL, status=201, json=group())
        ids = participants(2)
        hook.create_participant_group("New", workspace_id="w2", description="Passed", participant_ids=[*ids, ids[0]])
        assert bodies(api) == [{"name": "New", "description": "Passed", "workspace_id": "w2", "participant_ids": ids}]

    def test_a_group_of_an_organisation_needs_no_workspace(self, api, hook, group, connect):
        connect()
        api.post(GROUPS_URL, status=201, json=group())
        hook.create_participant_group("New", organisation_id=ORGANISATION)
        assert bodies(api) == [{"name": "New", "description": "New", "organisation_id": ORGANISATION}]

    @pytest.mark.parametrize("extra", [{}, {"project_id": "p1"}])
    def test_without_a_workspace_the_error_says_where_to_set_it(self, api, hook, connect, extra):
        connect(extra=extra)
        with pytest.raises(ProlificValueError, match="pass workspace_id, or set Workspace ID in the Extra"):
            hook.create_participant_group("New")
        assert api.requests == []

    @pytest.mark.parametrize(
        "bad",
        [
            {"name": ""},
            {"name": " "},
            {"name": " New"},
            {"name": "New\n"},
            {"name": None},
            {"workspace_id": "w1", "organisation_id": ORGANISATION},
            {"workspace_id": ""},
            {"organisation_id": "a/b"},
            {"description": ""},
            {"description": 5},
            {"participant_ids": "5f"},
            {"participant_ids": [""]},
        ],
    )
    def test_a_bad_argument_is_refused_before_any_request(self, api, hook, bad):
        with pytest.raises(ProlificValueError, match=next(reversed(bad))):
            hook.create_participant_group(**{"name": "New", **bad})
        assert api.requests == []

    def test_a_creation_that_may_have_happened_is_not_repeated(self, api, hook):
        api.post(GROUPS_URL, status=503)
        with pytest.raises(ProlificApiError) as failure:
            hook.create_participant_group("New")
        assert failure.value.may_have_acted is True
        assert len(api.requests) == 1

    @pytest.mark.parametrize("answer", [{"body": "<html>"}, {"json": {}}, {"json": [1]}, {"body": b""}])
    def test_an_answer_without_the_group_leaves_it_open_whether_it_was_created(self, api, hook, answer):
        api.post(GROUPS_URL, status=201, **answer)
        with pytest.raises(ProlificResponseError) as failure:
            hook.create_participant_group("New")
        assert failure.value.may_have_acted is True
        assert len(api.requests) == 1

    def test_an_answer_with_id_and_name_alone_is_enough(self, api, hook):
        api.post(GROUPS_URL, status=201, json={"id": "g1", "name": "New", "project_id": "p1"})
        assert hook.create_participant_group("New")["id"] == "g1"

    def test_a_rate_limited_creation_is_repeated_for_nothing_was_made(self, api, hook, group):
        api.post(GROUPS_URL, status=429)
        api.post(GROUPS_URL, status=201, json=group())
        hook.create_participant_group("New")
        assert len(api.requests) == 2

    def test_a_refused_creation_says_nothing_of_a_group(self, api, hook):
        ids = participants(2)
        api.post(
            GROUPS_URL,
            status=400,
            json={"error": {"error_code": 140003, "title": "Unknown", "detail": f"No such participant: {ids[1]}"}},
        )
        with pytest.raises(ProlificApiError, match=r"^Prolific refuses .*No such participant: \*\*\* \(400 from "):
            hook.create_participant_group("New", participant_ids=ids)


class TestUpdate:
    @pytest.mark.parametrize(
        "change",
        [{"name": "Renamed"}, {"participant_ids": []}, {"name": "Renamed", "participant_ids": participants(2)}],
    )
    def test_only_what_changes_is_sent(self, api, hook, group, change):
        api.patch(GROUP_URL, json=group())
        assert hook.update_participant_group("g1", **change)["id"] == "g1"
        assert bodies(api) == [change]

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_a_success_without_a_body_is_followed_by_a_look(self, api, hook, group, status):
        api.patch(GROUP_URL, status=status)
        api.get(GROUP_URL, json=group("g1", "Renamed"))
        assert hook.update_participant_group("g1", name="Renamed") == group("g1", "Renamed")
        assert [request.method for request in api.requests] == ["PATCH", "GET"]

    def test_nothing_to_change_is_refused(self, api, hook):
        with pytest.raises(ProlificValueError, match=r"^nothing to change"):
            hook.update_participant_group("g1")
        assert api.requests == []

    @pytest.mark.parametrize("bad", [{"name": ""}, {"participant_ids": "5f"}, {"participant_ids": [None]}])
    def test_a_bad_argument_is_refused_before_any_request(self, api, hook, bad):
        with pytest.raises(ProlificValueError, match=next(iter(bad))):
            hook.update_participant_group("g1", **bad)
        assert api.requests == []

    def test_a_new_name_is_sent_again_after_an_outage(self, api, hook, group):
        api.patch(GROUP_URL, status=503)
        api.patch(GROUP_URL, json=group())
        hook.update_participant_group("g1", name="Renamed")
        assert len(api.requests) == 2

    def test_a_whole_membership_is_not_sent_again(self, api, hook):
        api.patch(GROUP_URL, status=503)
        with pytest.raises(ProlificApiError):
            hook.update_participant_group("g1", participant_ids=participants(1))
        assert len(api.requests) == 1


class TestDelete:
    def test_one_request_is_sent_and_none_is_repeated(self, api, hook):
        api.delete(GROUP_URL, status=204)
        assert hook.delete_participant_group("g1") is None
        api.replace(responses.DELETE, GROUP_URL, status=503)
        with pytest.raises(ProlificApiError):
            hook.delete_participant_group("g1")
        assert [(request.method, request.url, request.body) for request in api.requests] == [
            ("DELETE", GROUP_URL, None)
        ] * 2


def rows(ids):
    return [{"participant_id": participant_id, "datetime_created": "2026-01-01T00:00:00Z"} for participant_id in ids]


class TestList:
    def test_members_come_in_the_fields_of_the_api(self, api, hook):
        api.get(PARTICIPANTS_URL, json={"results": rows(participants(2))})
        assert hook.list_participants("g1") == rows(participants(2))
        assert api.requests[0].url == f"{PARTICIPANTS_URL}?limit=200&offset=0"

    def test_a_member_listed_twice_comes_once(self, api, hook):
        api.get(PARTICIPANTS_URL, json={"results": rows([*participants(2), *participants(1)])})
        assert hook.list_participants("g1") == rows(participants(2))

    def test_a_server_that_knows_no_pages_is_asked_until_nothing_new_comes(self, api, hook):
        api.get(PARTICIPANTS_URL, json={"results": rows(participants(450))})
        assert len(hook.list_participants("g1")) == 450
        assert len(api.requests) == 2

    def test_a_server_that_begins_to_page_is_read_to_the_end(self, api, hook):
        ids = participants(45)

        def page(request):
            offset = int(request.params["offset"])
            following = "http://internal/?offset=9" if offset + 20 < len(ids) else None
            body = {
                "results": rows(ids[offset : offset + 20]),
                "meta": {"count": len(ids)},
                "_links": {"next": {"href": following}},
            }
            return 200, {}, json.dumps(body)

        api.add_callback(responses.GET, PARTICIPANTS_URL, page)
        assert [row["participant_id"] for row in hook.list_participants("g1")] == ids

    @pytest.mark.parametrize(
        "metadata", [{"meta": {"count": 3}}, {"meta": {"total": 3}}, {"_links": {"next": {"href": "http://more"}}}]
    )
    def test_a_part_is_never_returned(self, api, hook, metadata):
        api.get(PARTICIPANTS_URL, json={"results": rows(participants(2)), **metadata})
        with pytest.raises(ProlificResponseError, match=r"^a partial list is not used: 2 participants came"):
            hook.list_participants("g1")

    @pytest.mark.parametrize(
        "row", [None, "secret", {}, {"participant_id": None}, {"participant_id": ""}, {"participant_id": 5}]
    )
    def test_a_row_without_a_participant_is_an_error(self, api, hook, row):
        api.get(PARTICIPANTS_URL, json={"results": [*rows(participants(1)), row]})
        with pytest.raises(
            ProlificResponseError, match=r"^the answer has a member without a participant_id \(200 from GET .*\)$"
        ):
            hook.list_participants("g1")

    @pytest.mark.parametrize(
        "body", ['{"results": null, "5f01": 1}', '["5f01"]', '{"results": [{"participant_id": "5f01']
    )
    def test_an_answer_that_cannot_be_read_is_not_quoted(self, api, hook, body):
        api.get(PARTICIPANTS_URL, body=body)
        with pytest.raises(
            ProlificResponseError, match=r"^the answer (has no list of results|is not JSON) \(200 from "
        ):
            hook.list_participants("g1")

    @pytest.mark.parametrize("bad", ["", "a/b", None])
    def test_a_bad_group_is_refused_before_any_request(self, api, hook, bad):
        with pytest.raises(ProlificValueError, match=r"^participant_group_id must be an id"):
            hook.list_participants(bad)
        assert api.requests == []


@pytest.fixture(params=["add", "remove"])
def change(request, hook):
    return getattr(hook, f"{request.param}_participants"), {"add": "POST", "remove": "DELETE"}[request.param]


class TestAddAndRemove:
    def test_ids_go_in_chunks_one_after_the_other(self, api, change):
        call, method = change
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        ids = participants(1001)
        assert call("g1", [*ids, *ids]) is None
        assert [request.method for request in api.requests] == [method] * 3
        assert bodies(api) == [{"participant_ids": ids[start : start + 500]} for start in (0, 500, 1000)]

    def test_nobody_needs_no_request(self, api, change):
        call, _ = change
        call("g1", [])
        assert api.requests == []

    @pytest.mark.parametrize(
        "bad",
        [
            {"participant_group_id": "a/b"},
            {"participant_ids": "5f"},
            {"participant_ids": [*participants(600), ""]},
        ],
    )
    def test_a_bad_argument_is_refused_before_any_request(self, api, change, bad):
        call, _ = change
        with pytest.raises(ProlificValueError, match=next(iter(bad))):
            call(**{"participant_group_id": "g1", "participant_ids": participants(1), **bad})
        assert api.requests == []

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_a_chunk_is_sent_again_after_an_outage(self, api, change, status):
        call, method = change
        api.add(method, PARTICIPANTS_URL, status=status)
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        call("g1", participants(1))
        assert bodies(api) == [{"participant_ids": participants(1)}] * 2

    @pytest.mark.parametrize(
        ("status", "body"),
        [*((status, "") for status in (200, 201, 202, 204)), (200, '{"results": null, "added": 0}')],
    )
    def test_a_success_is_one_whatever_its_body(self, api, change, status, body):
        call, method = change
        api.add(method, PARTICIPANTS_URL, status=status, body=body)
        assert call("g1", participants(2)) is None
        assert len(api.requests) == 1

    def test_an_unknown_participant_is_told_by_chunk_and_by_what_was_done_before_it(self, api, change):
        call, method = change
        ids = participants(1200)
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        api.add(
            method,
            PARTICIPANTS_URL,
            status=400,
            json={
                "error": {
                    "status": 400,
                    "error_code": 140003,
                    "title": f"Unknown participant {ids[600]}",
                    "detail": {"participant_ids": [f"{ids[600]} does not exist"], ids[700]: [ids[701]]},
                }
            },
        )
        with pytest.raises(ProlificApiError) as failure:
            call("g1", ids)
        error = failure.value
        assert str(error).startswith(
            "chunk 2 of 3 (participants 501 to 1000) failed, 500 had been applied before it: "
            "Prolific refuses this request: Unknown participant ***: "
        )
        assert (error.status_code, error.error_code) == (400, 140003)
        assert error.title == "Unknown participant ***"
        assert error.detail == {"participant_ids": ["*** does not exist"], "***": ["***"]}
        assert str(error).endswith(
            f"(400 from {method} /api/v1/participant-groups/g1/participants/, error_code 140003)"
        )
        assert "5f0" not in str(error)
        assert len(api.requests) == 2

    @pytest.mark.parametrize(
        "make",
        [
            lambda ids: {"error": ", ".join(ids)},
            lambda ids: {"message": ids[0], "detail": ids},
            lambda ids: {"detail": " ".join(ids)},
            lambda ids: {
                "type": "bad",
                "issues": [{"path": ["participant_ids", participant_id]} for participant_id in ids],
            },
            lambda ids: {"error": {"title": ids[0], "detail": [{"unknown": {"ids": ids}}]}},
            lambda ids: ids,
            lambda ids: f"<html><body>{'<p>' * 1355}{'</p>'.join(ids)}",
        ],
    )
    def test_no_shape_of_an_error_shows_an_id_that_was_sent(self, api, change, make):
        call, method = change
        ids = ["5f01", "5f01aa", *participants(100)]  # one is the beginning of another
        body = make(ids)
        api.add(method, PARTICIPANTS_URL, status=400, body=body if isinstance(body, str) else json.dumps(body))
        with pytest.raises(ProlificApiError) as failure:
            call("g1", ids)
        shown = f"{failure.value} {failure.value.title} {failure.value.detail!r}"
        assert "5f0" not in shown
        assert "aa" not in shown

    def test_an_answer_that_cannot_be_read_is_not_quoted(self, api, change):
        call, method = change
        api.add(method, PARTICIPANTS_URL, body=f"<p>{participants(1)[0]}</p>")
        with pytest.raises(ProlificResponseError, match=r"^the answer is not JSON \(200 from "):
            call("g1", participants(1))

    def test_a_lost_connection_is_told_with_the_chunk(self, api, change):
        call, method = change
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        api.add(method, PARTICIPANTS_URL, body=requests.ConnectionError("gone"))
        with pytest.raises(ProlificConnectionError, match=r"^chunk 2 of 2 \(participants 501 to 501\) failed, 500 had"):
            call("g1", participants(501))


class TestMessage:
    @pytest.mark.parametrize("study", [{}, {"study_id": "s1"}])
    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_it_is_sent_once(self, api, hook, study, status):
        api.post(MESSAGES_URL, status=status)
        assert hook.message_participant_group("g1", "Hello", **study) is None
        assert bodies(api) == [{"participant_group_id": "g1", "body": "Hello", **study}]

    @pytest.mark.parametrize(
        "bad",
        [{"participant_group_id": ""}, {"body": ""}, {"body": "\n"}, {"body": None}, {"study_id": ""}, {"study_id": 5}],
    )
    def test_a_bad_argument_is_refused_before_any_request(self, api, hook, bad):
        with pytest.raises(ProlificValueError, match=next(iter(bad))):
            hook.message_participant_group(**{"participant_group_id": "g1", "body": "Hello", **bad})
        assert api.requests == []

    @pytest.mark.parametrize(
        "answer",
        [
            {"status": 302},
            {"status": 408},
            {"status": 500},
            {"status": 502, "body": "<html>"},
            {"status": 503},
            {"status": 504},
            {"status": 200, "body": "<html>"},
            {"body": requests.ReadTimeout("no answer")},
            {"body": requests.ConnectionError("reset")},
        ],
    )
    def test_an_unknown_outcome_is_not_repeated_and_the_error_says_so(self, api, hook, answer):
        api.post(MESSAGES_URL, **answer)
        with pytest.raises(ProlificError, match=r"^the message may have been sent; look .*POST /api/v1/messages/"):
            hook.message_participant_group("g1", "Hello")
        assert len(api.requests) == 1

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
    def test_a_refusal_does_not_speak_of_a_message_sent(self, api, hook, status):
        api.post(MESSAGES_URL, status=status, json={"detail": "no"})
        with pytest.raises(ProlificApiError, match=rf"^(?!the message).*{status} from POST /api/v1/messages/"):
            hook.message_participant_group("g1", "Hello")
        assert len(api.requests) == 1

    def test_a_rate_limit_is_waited_for_and_is_no_message_sent(self, api, hook):
        api.post(MESSAGES_URL, status=429)
        with pytest.raises(ProlificApiError, match=r"^Prolific's rate limit is reached"):
            hook.message_participant_group("g1", "Hello")
        assert len(api.requests) > 1
