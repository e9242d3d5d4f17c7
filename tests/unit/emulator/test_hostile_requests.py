"""What the emulator refuses: web pages from elsewhere, malformed requests, and calls that would eat the memory."""

from __future__ import annotations

import json
import socket

import pytest
import requests

from airflow_provider_prolific.emulator import EmulatorError
from airflow_provider_prolific.emulator.middleware import LocalOnlyMiddleware, RequestLog

PATHS = ["/api/v1/users/me/", "/_emulator/state", "/nowhere"]
GROUPS = "/api/v1/participant-groups/"
WORKSPACE = "64a000000000000000000001"


@pytest.fixture
def send(prolific_emulator):
    def send(method, path, **arguments):
        headers = {"Authorization": f"Token {prolific_emulator.token}"} | arguments.pop("headers", {})
        return requests.request(method, prolific_emulator.url + path, headers=headers, timeout=20, **arguments)

    yield send
    assert "Traceback" not in prolific_emulator.output()


def refused(answer, status):
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (status, status)
    return error["detail"]


class TestWebPages:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "localhost.evil.example:80",
            "evil.example:8765",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "127.0.0.256",
            "127.1",
            "0.0.0.0",
            "[::2]",
            "::1",
            "localhost:80@evil.example",
            "",
        ],
    )
    def test_a_foreign_host_is_refused(self, send, path, host):
        assert "Host" in refused(send("GET", path, headers={"Host": host}), 403)

    @pytest.mark.parametrize(
        "host", ["localhost", "LocalHost:1", "127.0.0.1", "127.9.9.255:80", "[::1]", "[::1]:99999"]
    )
    def test_every_name_of_this_machine_is_served(self, send, host):
        assert send("GET", "/api/v1/users/me/", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://localhost:1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "something new"},
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
    def test_a_page_of_another_origin_is_refused(self, send, method, path, headers):
        assert "other web pages" in refused(send(method, path, headers=headers), 403)

    def test_a_page_of_another_origin_changes_nothing(self, send, prolific_emulator):
        headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        body = json.dumps({"token": prolific_emulator.token})
        refused(send("POST", "/_emulator/tokens/revoke", headers=headers, data=body), 403)
        assert send("GET", "/api/v1/users/me/").status_code == 200

    @pytest.mark.parametrize("site", ["none", "same-origin"])
    def test_what_a_person_opens_in_the_browser_is_served(self, send, prolific_emulator, site):
        headers = {"Origin": prolific_emulator.url, "Sec-Fetch-Site": site}
        assert send("GET", "/_emulator/state", headers=headers).status_code == 200

    def test_a_request_without_a_host_is_refused(self, prolific_emulator):
        address = prolific_emulator.url.removeprefix("http://").split(":")
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET /_emulator/state HTTP/1.0\r\n\r\n")
            assert b" 403 " in connection.recv(65536)


STUDY = "64d000000000000000000004"
CONTROL_CALLS = [
    ("POST", "/_emulator/reset"),
    ("PATCH", "/_emulator/settings"),
    ("POST", "/_emulator/groups"),
    ("PATCH", "/_emulator/groups/64e000000000000000000001"),
    ("POST", "/_emulator/tokens/rotate"),
    ("POST", "/_emulator/faults"),
    ("POST", "/_emulator/advance"),
    ("POST", "/_emulator/studies"),
    ("PATCH", f"/_emulator/studies/{STUDY}"),
    ("POST", f"/_emulator/studies/{STUDY}/submissions"),
]
API_CALLS = [
    ("POST", GROUPS),
    ("PATCH", f"{GROUPS}64e000000000000000000001/"),
    ("POST", f"{GROUPS}64e000000000000000000001/participants/"),
    ("DELETE", f"{GROUPS}64e000000000000000000001/participants/"),
    ("POST", "/api/v1/messages/participant-group/"),
    ("POST", "/api/v1/studies/"),
    ("PATCH", f"/api/v1/studies/{STUDY}/"),
    ("POST", f"/api/v1/studies/{STUDY}/clone/"),
    ("POST", f"/api/v1/studies/{STUDY}/transition/"),
    ("POST", "/api/v1/study-cost-calculator/"),
    ("POST", "/api/v1/submissions/bulk-approve/"),
    ("POST", "/api/v1/submissions/bonus-payments/"),
    ("POST", "/api/v1/filter-sets/"),
]


class TestMalformed:
    @pytest.mark.parametrize(("method", "path"), CONTROL_CALLS + API_CALLS)
    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[]",
            b"5",
            b'"text"',
            b"\xff",
            b'{"name": "\xed\xa0\x80"}',
            '{"name": "x"}'.encode("utf-16"),
            '{"name": "x"}'.encode("utf-16-le"),
            b"[" * 100_000,
            b'{"name":' * 50_000,
            b'{"name": ' + b"9" * 5000 + b"}",
        ],
        ids=range(11),
    )
    def test_a_body_that_is_not_a_json_object_in_utf_8_is_refused(self, send, method, path, body):
        answer = send(method, path, data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()

    @pytest.mark.parametrize("name", ["a\0b", "\ud800", "\udfff x", " ", "", 5, None, [], {}, True, "x" * 1001, 1e400])
    def test_a_name_that_no_database_stores_is_refused(self, send, name):
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"name": name, "workspace_id": WORKSPACE})
        group = "64e000000000000000000001"
        for path, method in (("/_emulator/groups", "POST"), (f"/_emulator/groups/{group}", "PATCH"), (GROUPS, "POST")):
            assert "name" in refused(send(method, path, data=body, headers=headers), 400)
        assert "name" in refused(send("PATCH", f"{GROUPS}{group}/", data=body, headers=headers), 400)

    @pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 100_000])
    def test_a_key_that_is_odd_is_refused_where_unknown_fields_are(self, send, key):
        headers = {"Content-Type": "application/json"}
        body = json.dumps({key: 1})
        assert len(refused(send("PATCH", "/_emulator/settings", data=body, headers=headers), 400)) < 1000

    @pytest.mark.parametrize("participant", ["\ud800", "a\0b", 5, None, ["x"]])
    def test_an_odd_participant_id_is_refused(self, send, participant):
        body = json.dumps({"participant_ids": [participant]})
        for method, path in API_CALLS[1:4]:
            answer = send(method, path, data=body, headers={"Content-Type": "application/json"})
            assert "participant_ids" in refused(answer, 400)

    @pytest.mark.parametrize("kind", [["status"], {}, None, 5, True, "", "\ud800", 10**400, 1e400])
    def test_a_kind_of_fault_that_does_not_exist_is_refused(self, prolific_emulator, kind):
        with pytest.raises(EmulatorError, match="kind"):
            prolific_emulator.add_fault(kind)

    @pytest.mark.parametrize(
        "fields",
        [
            {"kind": "status", "status": 500, "path": "("},
            {"kind": "status", "status": 500, "path": []},
            {"kind": "status", "status": 500, "after": 2**63},
            {"kind": "status", "status": 500, "probability": float("nan")},
            {"kind": "status", "status": 10**30},
            {"kind": "status", "status": 500, "retry_after": "a\r\nSet-Cookie: b"},
            {"kind": "status", "status": 500, "retry_after": "€"},
            {"kind": "status", "status": 500, "retry_after": []},
            {"kind": "body", "text": "x", "content_type": "\n"},
            {"kind": "body", "text": []},
            {"kind": "slow", "seconds": float("inf")},
        ],
        ids=str,
    )
    def test_a_fault_with_an_odd_field_is_refused(self, prolific_emulator, fields):
        with pytest.raises(EmulatorError, match=" must "):
            prolific_emulator.add_fault(**fields)
        assert prolific_emulator.faults() == []

    def test_a_document_to_be_served_may_hold_odd_text_but_not_be_deep(self, send, prolific_emulator):
        prolific_emulator.add_fault("body", json={"name": "\ud800\0"})
        assert send("GET", "/api/v1/users/me/").json() == {"name": "\ud800\0"}
        assert prolific_emulator.faults()[0]["json"] == {"name": "\ud800\0"}
        deep = []
        for _ in range(200):
            deep = [deep]
        for kind, field in (("body", {"json": deep}), ("status", {"status": 500, "detail": deep})):
            with pytest.raises(EmulatorError, match="100 levels"):
                prolific_emulator.add_fault(kind, **field)

    @pytest.mark.parametrize(
        "query",
        ["newest=-1", "newest=x", f"newest={'9' * 5000}", "newest=1e3", "newest=", "newest=%00", "newest=%ED%A0%80"],
    )
    def test_a_bad_query_of_a_control_call_is_refused(self, send, query):
        assert "newest" in refused(send("GET", f"/_emulator/requests?{query}"), 400)

    @pytest.mark.parametrize("value", ["9" * 5000, "9" * 30, "-1", "x", "", "%00"])
    @pytest.mark.parametrize("name", ["limit", "offset"])
    def test_a_bad_limit_or_offset_is_refused(self, send, name, value):
        path = f"{GROUPS}?workspace_id={WORKSPACE}&{name}={value}"
        assert list(refused(send("GET", path), 400)) == [name]

    @pytest.mark.parametrize(
        "path", ["/x%00", "/%ED%A0%80", "/" + "x" * 50_000, GROUPS + "%00/", "/_emulator/groups/%FF"]
    )
    def test_an_odd_path_is_not_found(self, send, path):
        assert len(refused(send("GET", path), 404)) < 1000

    @pytest.mark.parametrize("target", ["[x", "http://evil.example/", "*"])
    def test_a_target_that_is_not_a_path_is_refused(self, prolific_emulator, target):
        address = prolific_emulator.url.removeprefix("http://").split(":")
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(f"OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            assert b" 40" in connection.recv(65536)
        assert "Traceback" not in prolific_emulator.output()


class TestMemory:
    def test_a_body_that_is_too_large_is_refused(self, send):
        body = b" " * (LocalOnlyMiddleware.MAX_BODY + 1)
        for method, path in (("POST", "/_emulator/faults"), ("POST", GROUPS)):
            refused(send(method, path, data=body, headers={"Content-Type": "application/json"}), 413)

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"count": 10**9}, "count"),
            ({"count": 10**400}, "count"),
            ({"participant_count": 10**9}, "participant_count"),
            ({"growth_per_second": 1e300}, "growth_per_second"),
            ({"growth_per_second": float("inf")}, "growth_per_second"),
            ({"growth_limit": 10**18}, "growth_limit"),
            ({"count": 199_999}, "too much"),
            ({"count": 100_000, "name": "x" * 1000}, "too much"),
            ({"count": 1000, "participant_ids": ["x"] * 10_000}, "too much"),
        ],
        ids=range(9),
    )
    def test_one_call_can_not_make_more_than_there_is_room_for(self, prolific_emulator, fields, words):
        with pytest.raises(EmulatorError, match=words):
            prolific_emulator.create_groups(**{"count": 1, **fields})
        assert prolific_emulator.state()["group_count"] == 13

    @pytest.mark.parametrize("changes", [{"participant_count": 10**9}, {"participant_count": 99_999, "add_members": 2}])
    def test_one_call_can_not_fill_a_group_with_more_than_there_is_room_for(self, prolific_emulator, changes):
        with pytest.raises(EmulatorError, match=r"participant_count|100000"):
            prolific_emulator.set_group("64e000000000000000000003", **changes)
        assert prolific_emulator.group("64e000000000000000000003")["participant_count"] == 0

    def test_growth_without_a_limit_ends_where_a_group_is_full(self, prolific_emulator):
        group_id = prolific_emulator.create_group("Endless", participant_count=99_999, growth_per_second=10_000)
        while (count := prolific_emulator.group(group_id)["participant_count"]) < 100_000:
            assert count >= 99_999
        assert len(prolific_emulator.members(group_id)) == 100_000

    def test_faults_are_limited_in_number(self, prolific_emulator):
        for _ in range(100):
            prolific_emulator.add_fault("empty")
        with pytest.raises(EmulatorError, match="100 faults"):
            prolific_emulator.add_fault("empty")

    def test_of_messages_the_latest_thousand_are_kept(self, prolific_emulator, send):
        with requests.Session() as session:
            session.headers["Authorization"] = f"Token {prolific_emulator.token}"
            for number in range(1002):
                body = {"participant_group_id": "64e000000000000000000003", "body": str(number)}
                session.post(f"{prolific_emulator.url}/api/v1/messages/participant-group/", json=body, timeout=10)
        messages = prolific_emulator.messages()
        assert (len(messages), messages[0]["body"]) == (1000, "2")


class TestLog:
    @staticmethod
    def note(log, path=b"/"):
        scope = {
            "headers": [(b"user-agent", path)],
            "method": "GET",
            "path": "/",
            "raw_path": path,
            "query_string": path,
        }
        return log.open(scope, None)

    def test_the_log_is_bounded_in_number(self):
        log = RequestLog(size=3)
        for _ in range(5):
            self.note(log)
        assert (len(log.entries), log.total) == (3, 5)

    def test_of_a_long_path_the_beginning_is_kept(self):
        entry = self.note(RequestLog(), b"/" + b"x" * 50_000)
        assert (len(entry["path"]), len(entry["user_agent"])) == (1000, 200)

    def test_the_log_is_bounded_in_bytes(self):
        log = RequestLog(max_bytes=100_000)
        for _ in range(500):
            self.note(log, b"/" + b"x" * 50_000)
        assert 40 < len(log.entries) < 100
        assert log.total == 500
        log.clear()
        self.note(log)
        assert len(log.entries) == 1
