"""The hook's calls that change groups and their members: what is sent, what is believed, what an error says."""

from __future__ import annotations

import json
import re

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.arguments import check_participant_ids
from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.hooks.prolific import ProlificHook, may_have_acted

GROUPS_URL = "https://api.prolific.com/api/v1/participant-groups/"
GROUP_URL = f"{GROUPS_URL}g1/"
PARTICIPANTS_URL = f"{GROUP_URL}participants/"
MESSAGES_URL = "https://api.prolific.com/api/v1/messages/participant-group/"
ORGANISATION = "64f000000000000000000001"


def participants(count, first=1):
    return [f"5f{number:022x}" for number in range(first, first + count)]


def bodies(api):
    return [json.loads(request.body) for request in api.requests]


@pytest.fixture
def hook(connection, pauses):
    return ProlificHook()


class TestParticipantIds:
    @pytest.mark.parametrize(
        "make",
        [
            list,
            tuple,
            iter,
            lambda ids: dict.fromkeys(ids).keys(),
            lambda ids: (participant_id for participant_id in ids),
        ],
    )
    def test_anything_that_yields_ids_is_a_list_of_them(self, make):
        assert check_participant_ids(make(participants(3))) == participants(3)

    def test_duplicates_are_dropped_and_the_order_stays(self):
        first, second = participants(2)
        assert check_participant_ids([second, first, second, first]) == [second, first]

    @pytest.mark.parametrize("value", [None, 5, "5f0000000000000000000001", b"5f", {"5f": 1}, True, object()])
    def test_what_is_no_list_is_refused_by_its_type_alone(self, value):
        with pytest.raises(ProlificValueError, match=r"^participant_ids must be a list of participant ids") as refusal:
            check_participant_ids(value)
        assert type(value).__name__ in str(refusal.value)
        assert "5f" not in str(refusal.value)

    def test_a_text_is_refused_with_the_way_to_make_a_list_of_a_template(self):
        with pytest.raises(ProlificValueError, match="render_template_as_native_obj=True"):
            check_participant_ids("['5f0000000000000000000001']")

    @pytest.mark.parametrize(
        ("bad", "problem"),
        [
            ("", "is blank"),
            (" ", "is blank"),
            ("\t", "is blank"),
            ("personal/secret", "is no id"),
            ("personal secret", "is no id"),
            ("personal\nsecret", "is no id"),
            ("personal\x00secret", "is no id"),
            ("personal\\secret", "is no id"),
            ("s" * 256, "is no id"),
            (None, "is no text but of type NoneType"),
            (123456, "is no text but of type int"),
            (b"secret", "is no text but of type bytes"),
        ],
    )
    def test_a_bad_id_is_refused_by_its_position_and_never_shown(self, bad, problem):
        with pytest.raises(ProlificValueError, match=f"position 3 {problem}") as refusal:
            check_participant_ids([*participants(2), bad, *participants(1)])
        assert not re.search(r"secret|personal|123456|5f0|ssss", str(refusal.value))

    @given(st.lists(st.text(max_size=5) | st.integers() | st.none()))
    def test_a_list_is_taken_or_refused_and_nothing_else_happens(self, value):
        try:
            ids = check_participant_ids(value)
        except ProlificValueError:
            return
        assert ids == list(dict.fromkeys(value))


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
        with pytest.raises(ProlificValueError, match="pass workspace_id or set it in the extra fields of connection"):
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

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_creation_that_may_have_happened_is_not_repeated_and_the_error_says_so(self, api, hook, status):
        api.post(GROUPS_URL, status=status)
        with pytest.raises(ProlificApiError, match=r"^the group may have been created") as failure:
            hook.create_participant_group("New")
        assert len(api.requests) == 1
        assert failure.value.status_code == status

    @pytest.mark.parametrize("answer", [{"body": "<html>"}, {"json": {}}, {"json": [1]}, {"json": {"id": "g1"}}])
    def test_an_answer_without_the_group_says_that_it_may_have_been_created(self, api, hook, answer):
        api.post(GROUPS_URL, status=201, **answer)
        with pytest.raises(ProlificResponseError, match=r"^the group may have been created.*: POST /api"):
            hook.create_participant_group("New")

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
        with pytest.raises(ProlificApiError, match=r"^POST .*No such participant: \*\*\* \(error_code 140003\)"):
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
        with pytest.raises(ProlificResponseError, match="brought 2 participants but promises"):
            hook.list_participants("g1")

    @pytest.mark.parametrize(
        "row", [None, "secret", {}, {"participant_id": None}, {"participant_id": ""}, {"participant_id": 5}]
    )
    def test_a_row_without_a_participant_is_an_error(self, api, hook, row):
        api.get(PARTICIPANTS_URL, json={"results": [*rows(participants(1)), row]})
        with pytest.raises(ProlificResponseError, match=r"a member that has no participant_id$"):
            hook.list_participants("g1")

    @pytest.mark.parametrize(
        "body", ['{"results": null, "5f01": 1}', '["5f01"]', '{"results": [{"participant_id": "5f01']
    )
    def test_an_answer_that_cannot_be_read_is_not_quoted(self, api, hook, body):
        api.get(PARTICIPANTS_URL, body=body)
        with pytest.raises(ProlificResponseError, match=r"(without a list of results|not with JSON)$"):
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

    def test_the_size_of_a_chunk_can_be_chosen(self, api, change):
        call, method = change
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        ids = participants(5)
        call("g1", ids, chunk_size=2)
        assert [body["participant_ids"] for body in bodies(api)] == [ids[:2], ids[2:4], ids[4:]]

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
            {"chunk_size": 0},
            {"chunk_size": -1},
            {"chunk_size": 1.5},
            {"chunk_size": True},
            {"chunk_size": None},
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

    def test_the_answers_are_not_counted(self, api, change):
        call, method = change
        api.add(method, PARTICIPANTS_URL, json={"results": None, "added": 0})
        call("g1", participants(2))

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
            f"{method} /api/v1/participant-groups/g1/participants/ was refused with 400 Bad Request: "
        )
        assert (error.status_code, error.error_code) == (400, 140003)
        assert error.title == "Unknown participant ***"
        assert error.detail == {"participant_ids": ["*** does not exist"], "***": ["***"]}
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
        with pytest.raises(ProlificResponseError, match=r"answered 200, but not with JSON$"):
            call("g1", participants(1))

    def test_a_lost_connection_is_told_with_the_chunk(self, api, change):
        call, method = change
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        api.add(method, PARTICIPANTS_URL, body=requests.ConnectionError("gone"))
        with pytest.raises(ProlificConnectionError, match=r"^chunk 2 of 2 \(participants 3 to 3\) failed, 2 had been"):
            call("g1", participants(3), chunk_size=2)


class TestMessage:
    @pytest.mark.parametrize("study", [{}, {"study_id": "s1"}])
    def test_it_is_sent_once(self, api, hook, study):
        api.post(MESSAGES_URL, status=204)
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
        with pytest.raises(ProlificError, match=r"^the message may have been sent; look .*: POST /api/v1/messages/"):
            hook.message_participant_group("g1", "Hello")
        assert len(api.requests) == 1

    @pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 422])
    def test_a_refusal_does_not_speak_of_a_message_sent(self, api, hook, status):
        api.post(MESSAGES_URL, status=status, json={"detail": "no"})
        with pytest.raises(ProlificApiError, match=r"^POST /api/v1/messages/participant-group/ was refused"):
            hook.message_participant_group("g1", "Hello")
        assert len(api.requests) == 1

    def test_a_rate_limit_is_waited_for_and_is_no_message_sent(self, api, hook):
        api.post(MESSAGES_URL, status=429)
        with pytest.raises(ProlificApiError, match=r"^POST /api/v1/messages/participant-group/ was refused with 429"):
            hook.message_participant_group("g1", "Hello")
        assert len(api.requests) == 5


class TestMayHaveActed:
    def test_a_server_that_was_not_reached_did_not_act(self, connect, pauses):
        connect(host="http://127.0.0.1:1")
        with pytest.raises(ProlificConnectionError, match=r"^POST ") as failure:
            ProlificHook().message_participant_group("g1", "Hello")
        assert not may_have_acted(failure.value)

    def test_a_server_that_broke_off_may_have_acted(self, local_api, pauses):
        local_api.answer(cut="before")
        with pytest.raises(ProlificConnectionError, match=r"^the message may have been sent") as failure:
            ProlificHook().message_participant_group("g1", "Hello")
        assert may_have_acted(failure.value)
        assert len(local_api.asked) == 1

    def test_a_bad_argument_never_reached_it(self):
        assert not may_have_acted(ProlificValueError("bad"))
