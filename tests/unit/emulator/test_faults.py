"""Faults on demand: what a client sees of each kind on a real socket, and which requests a rule hits."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from pydantic import TypeAdapter

from airflow_provider_prolific.emulator import EmulatorError
from airflow_provider_prolific.emulator.faults import AnyFault, take_fault

GROUPS = "participant-groups/"
MEMORY_LAB = "64a000000000000000000001"
NEW_GROUP = {"name": "New", "workspace_id": MEMORY_LAB}


def raw_answer(api, request_line="GET /api/v1/users/me/ HTTP/1.1"):
    """Everything that comes over the wire until the server closes."""
    address = api.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=10) as connection:
        connection.sendall(
            f"{request_line}\r\nHost: localhost\r\nAuthorization: Token emulator-token\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 502, 503])
def test_status_answers_with_the_error_body(api, prolific_emulator, status):
    prolific_emulator.add_fault("status", status=status)
    api.error(api.get("users/me/"), status)


def test_status_can_carry_a_detail_and_an_error_code(api, prolific_emulator):
    prolific_emulator.add_fault("status", status=400, detail={"name": ["Too long."]}, error_code=140003)
    error = api.error(api.get("users/me/"), 400)
    assert (error["detail"], error["error_code"]) == ({"name": ["Too long."]}, 140003)


@pytest.mark.parametrize("retry_after", ["7", 7, "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_status_can_carry_retry_after(api, prolific_emulator, retry_after):
    prolific_emulator.add_fault("status", status=429, retry_after=retry_after)
    assert api.get("users/me/").headers["Retry-After"] == str(retry_after)


@pytest.mark.parametrize(("fields", "status"), [({}, 502), ({"status": 504}, 504), ({"status": 200}, 200)])
def test_html_answers_with_a_gateways_page(api, prolific_emulator, fields, status):
    prolific_emulator.add_fault("html", **fields)
    answer = api.get("users/me/")
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_slow_gives_the_true_answer_late_and_holds_up_nobody_else(api, prolific_emulator):
    prolific_emulator.add_fault("slow", seconds=0.5, path="users", count=1)
    with ThreadPoolExecutor() as pool:
        started = time.monotonic()
        slow = pool.submit(requests.get, f"{api.url}/api/v1/users/me/", headers=api.session.headers, timeout=10)
        while not prolific_emulator.requests():
            time.sleep(0.01)
        assert api.get(GROUPS, workspace_id=MEMORY_LAB).status_code == 200
        assert time.monotonic() - started < 0.5
        assert slow.result().status_code == 200
        assert time.monotonic() - started >= 0.5


def test_disconnect_closes_before_a_byte_of_the_answer_and_nothing_has_happened(api, prolific_emulator):
    prolific_emulator.add_fault("disconnect", count=1)
    assert raw_answer(api) == b""
    prolific_emulator.add_fault("disconnect", count=1)
    with pytest.raises(requests.ConnectionError):
        api.call("POST", GROUPS, json=NEW_GROUP)
    assert prolific_emulator.groups(name="New") == []


def test_lost_answer_closes_before_a_byte_of_the_answer_but_the_server_has_acted(api, prolific_emulator):
    prolific_emulator.add_fault("lost_answer", count=2)
    assert raw_answer(api) == b""
    with pytest.raises(requests.ConnectionError):
        api.call("POST", GROUPS, json=NEW_GROUP)
    assert len(prolific_emulator.groups(name="New")) == 1


def test_truncate_promises_the_whole_body_and_sends_half(api, prolific_emulator):
    prolific_emulator.add_fault("truncate", count=2)
    head, _, body = raw_answer(api).partition(b"\r\n\r\n")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api.get("users/me/")
    whole = api.get("users/me/").content
    assert f"content-length: {len(whole)}".encode() in head.lower()
    assert body == whole[: len(whole) // 2]


def test_truncate_lets_an_answer_without_a_body_pass(api, prolific_emulator):
    prolific_emulator.add_fault("truncate")
    group_id = prolific_emulator.group_id("Wave 2 invited")
    assert api.call("DELETE", f"{GROUPS}{group_id}/").status_code == 204


def test_empty_answers_200_with_no_body(api, prolific_emulator):
    prolific_emulator.add_fault("empty")
    answer = api.get("users/me/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("document", [[], {"results": None}, {"results": [{"id": "x"}]}, None, 5, "text"])
def test_body_answers_with_any_json_document(api, prolific_emulator, document):
    prolific_emulator.add_fault("body", json=document)
    answer = api.get(GROUPS, workspace_id=MEMORY_LAB)
    assert (answer.status_code, answer.json()) == (200, document)


def test_body_answers_with_any_text_status_and_type(api, prolific_emulator):
    prolific_emulator.add_fault("body", text='{"results": [', status=503, content_type="text/plain")
    answer = api.get("users/me/")
    assert (answer.status_code, answer.text) == (503, '{"results": [')
    assert answer.headers["Content-Type"] == "text/plain"


def test_body_answers_with_any_bytes(api, prolific_emulator):
    prolific_emulator.add_fault("body", hex="7b22eda080", count=1)
    assert api.get("users/me/").content == b'{"\xed\xa0\x80'
    prolific_emulator.add_fault("body", text="\ud800")
    assert api.get("users/me/").content == b"\xed\xa0\x80"


@pytest.mark.parametrize("kind", ["status", "html", "body", "empty"])
def test_an_answer_that_is_made_up_can_carry_headers(api, prolific_emulator, kind):
    fields = {"status": {"status": 500}, "body": {"json": 1}}.get(kind, {})
    prolific_emulator.add_fault(kind, **fields, headers={"X-Request-Id": "a b", "Location": "/elsewhere"})
    answer = api.call("GET", "users/me/", allow_redirects=False)
    assert (answer.headers["X-Request-Id"], answer.headers["Location"]) == ("a b", "/elsewhere")


def test_raw_is_the_whole_answer(api, prolific_emulator):
    whole = b"HTTP/1.1 299 Odd reason\r\nX: \xff\r\n\r\nabc"
    prolific_emulator.add_fault("raw", hex=whole.hex(), count=1)
    assert raw_answer(api) == whole
    prolific_emulator.add_fault("raw", text="HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", count=1)
    answer = api.get("users/me/")
    assert (answer.reason, answer.json()) == ("OK", {})


def test_trickle_gives_the_true_answer_byte_by_byte(api, prolific_emulator):
    whole = api.get("users/me/").content
    prolific_emulator.add_fault("trickle", seconds=0.01)
    with api.session.get(f"{api.url}/api/v1/users/me/", stream=True, timeout=10) as answer:
        started = time.monotonic()
        received = list(answer.raw.stream(1))
    assert b"".join(received) == whole
    assert time.monotonic() - started >= 0.01 * (len(whole) - 1)


def test_trickle_ends_when_the_client_has_gone(api, prolific_emulator):
    prolific_emulator.add_fault("trickle", seconds=3600)
    with pytest.raises(requests.RequestException):
        api.session.get(f"{api.url}/api/v1/users/me/", timeout=0.3).content  # noqa: B018
    assert prolific_emulator.requests()[0]["status"] == 200
    assert "Traceback" not in prolific_emulator.output()


def test_ignored_scope_answers_a_listing_with_another_workspaces_groups(api, prolific_emulator):
    prolific_emulator.add_fault("ignored_scope", count=1)
    rows = api.get(GROUPS, workspace_id=MEMORY_LAB).json()["results"]
    assert {row["workspace_id"] for row in rows} == {"64a000000000000000000002"}
    rows = api.get(GROUPS, workspace_id=MEMORY_LAB).json()["results"]
    assert {row["workspace_id"] for row in rows} == {MEMORY_LAB}


def test_a_broken_connection_leaves_the_next_one_alone(api, prolific_emulator):
    for kind in ("disconnect", "lost_answer", "truncate"):
        prolific_emulator.add_fault(kind, count=1)
        with pytest.raises(requests.RequestException):
            api.get("users/me/")
        assert api.get("users/me/").status_code == 200
    assert "Traceback" not in prolific_emulator.output()


def test_a_fault_comes_before_the_token_is_looked_at(api, prolific_emulator):
    prolific_emulator.add_fault("status", status=503)
    api.session.headers["Authorization"] = "Token wrong"
    api.error(api.get("users/me/"), 503)


def test_the_control_endpoints_are_never_hit(prolific_emulator):
    prolific_emulator.add_fault("disconnect")
    assert prolific_emulator.state()["fault_count"] == 1


def test_clearing_and_resetting_drop_all_rules(api, prolific_emulator):
    for drop in (prolific_emulator.clear_faults, prolific_emulator.reset):
        prolific_emulator.add_fault("status", status=500)
        drop()
        assert api.get("users/me/").status_code == 200


def test_the_rules_in_force_are_told_with_their_hits(api, prolific_emulator):
    prolific_emulator.add_fault("status", status=500, path="users")
    api.get("users/me/")
    api.get(GROUPS, workspace_id=MEMORY_LAB)
    assert prolific_emulator.faults() == [{"kind": "status", "status": 500, "path": "users", "hits": 1}]


def rule(kind, **fields):
    return TypeAdapter(AnyFault).validate_python({"kind": kind, **fields})


def hits(rule, requests_):
    rules = [rule]
    return [take_fault(rules, method, path) is rule for method, path in requests_]


LIST = ("GET", "/api/v1/participant-groups/")
CREATE = ("POST", "/api/v1/participant-groups/")
ME = ("GET", "/api/v1/users/me/")


@pytest.mark.parametrize(
    ("fields", "requests_", "expected"),
    [
        ({}, [LIST, CREATE, ME], [True, True, True]),
        ({"method": "post"}, [LIST, CREATE], [False, True]),
        ({"path": "participant-groups/$"}, [LIST, ME, CREATE], [True, False, True]),
        ({"count": 2}, [ME, ME, ME], [True, True, False]),
        ({"after": 1, "count": 1}, [ME, ME, ME], [False, True, False]),
        ({"after": 1, "path": "users"}, [LIST, ME, ME], [False, False, True]),
        ({"probability": 0}, [ME, ME], [False, False]),
        ({"probability": 1}, [ME, ME], [True, True]),
    ],
)
def test_a_rule_hits_the_requests_that_it_names(fields, requests_, expected):
    assert hits(rule("empty", **fields), requests_) == expected


def test_chance_is_the_same_in_every_run():
    def series(seed):
        return hits(rule("empty", probability=0.5, seed=seed), [ME] * 50)

    assert series(1) == series(1) != series(2)
    assert 10 < sum(series(1)) < 40


def test_the_first_rule_that_hits_wins_and_the_next_takes_over():
    rules = [rule("status", status=429, count=1), rule("status", status=500)]
    assert [take_fault(rules, *ME).status for _ in range(3)] == [429, 500, 500]


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("explode", {}, "kind"),
        (["status"], {}, "the request: kind must be one of 'status'"),
        ("status", {}, "status: status is missing"),
        ("status", {"status": 200}, "status must be greater than or equal to 400, not 200"),
        ("status", {"status": "500"}, "status must be a valid integer, not '500'"),
        ("html", {"headers": {"a b": "c"}}, "headers"),
        ("html", {"headers": {"a": "b\r\nc"}}, "headers: a must be what a header can hold"),
        ("raw", {}, "raw needs json, text or hex"),
        ("body", {"hex": "0"}, "hex must match"),
        ("trickle", {}, "seconds is missing"),
        ("html", {"retry_after": "a\r\nb"}, "retry_after must be what a header can hold"),
        ("slow", {}, "seconds is missing"),
        ("slow", {"seconds": -1}, "seconds must be"),
        ("body", {}, "body needs json, text or hex"),
        ("body", {"json": 1, "text": "x"}, "body needs json, text or hex"),
        ("empty", {"seconds": 1}, "empty: seconds is not known here"),
        ("empty", {"path": "("}, "path must be a regular expression"),
        ("empty", {"count": 0}, "count must be"),
        ("empty", {"probability": 2}, "probability must be"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(prolific_emulator, kind, fields, words):
    with pytest.raises(EmulatorError, match=re.escape(words)):
        prolific_emulator.add_fault(kind, **fields)
    assert prolific_emulator.faults() == []
