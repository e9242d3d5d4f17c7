"""Calls: what is sent, what is repeated and for how long, what a call may take, and what an error never shows."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import subprocess
import sys
import traceback
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.hooks.client import RETRY_AFTER_CEILING_SECONDS
from airflow_provider_prolific.hooks.limits import Limits

ENDPOINT = "/api/v1/things/"
#: Nothing listens here.
CLOSED = "http://127.0.0.1:1"
CHANGES = ("POST", "PATCH", "PUT", "DELETE")


def call(client, method="GET", read=lambda answer: answer, **arguments):
    return client.call(method, ENDPOINT, read, **arguments)


class TestSending:
    def test_parameters_are_sent_as_the_api_writes_them(self, local_api, make_client):
        local_api.answer()

        call(make_client(local_api.url), "get", params={"on": True, "off": False, "none": None, "n": 3, "t": "a b&c"})

        [asked] = local_api.asked
        assert (asked.method, asked.path) == ("GET", ENDPOINT)
        assert parse_qsl(urlsplit(asked.target).query) == [
            *(("on", "true"), ("off", "false"), ("n", "3"), ("t", "a b&c"))
        ]

    @pytest.mark.parametrize("method", CHANGES)
    def test_a_body_is_sent_as_json(self, local_api, make_client, method):
        local_api.answer(201, {"id": "s1"})

        assert call(make_client(local_api.url), method, json={"name": "Día 🎉"}) == {"id": "s1"}
        [asked] = local_api.asked
        assert (asked.method, json.loads(asked.body)) == (method, {"name": "Día 🎉"})
        assert asked.headers["Content-Type"] == "application/json"

    def test_without_a_body_nothing_is_sent(self, local_api, make_client):
        local_api.answer(204)

        assert call(make_client(local_api.url), "DELETE") is None
        assert local_api.asked[0].body == b""

    @pytest.mark.parametrize("body", [float("nan"), {"a": float("inf")}, {"a": object()}, {1, 2}])
    def test_a_body_that_is_not_json_is_an_error_of_the_caller(self, make_client, body):
        with pytest.raises(ProlificValueError, match=r"^the body of a request is not JSON: .* was not sent\)$"):
            call(make_client(CLOSED), "POST", json=body)

    @pytest.mark.parametrize(
        "endpoint",
        [
            *("api/v1/studies/", "", "https://evil.example/", "@evil.example/", ":8443/", ".evil.example/"),
            *("//evil.example/", "/api//v1/", "/\\evil.example/", "/api/v1/%2f%2fevil/", "/api/v1/a%5cb/"),
            *("/api/v1/../users/", "/api/v1/./users/", "/..", "/api/v1/%2e%2e/users/", "/api/v1/.%2E/", "/api/v1/%2E/"),
            *("/api/v1/studies/?a=b", "/api/v1/studies/%3Fa=b", "/api/v1/#x", "/api/v1/%23x"),
            *("/api/v1/a b/", "/api/v1/a\nb/", "/api/v1/a%0d%0ab/", "/api/v1/a%20b/", "/api/v1/a%00b/", "/\x7f/"),
            *(None, 7, b"/api/v1/studies/", ["/api/v1/studies/"]),
        ],
    )
    def test_what_is_not_a_plain_path_is_refused_before_any_request(self, local_api, make_client, endpoint):
        with pytest.raises(ProlificValueError, match=r"^endpoint must be a path of the API"):
            make_client(local_api.url).call("GET", endpoint, lambda answer: answer)
        assert not local_api.asked

    @pytest.mark.parametrize("endpoint", ["/api/v1/studies/", "/api/v1/studies", "/", "/api/v1/a.b/", "/api/v1/a%25b/"])
    def test_a_plain_path_goes_to_the_connections_host_as_it_is(self, local_api, make_client, endpoint):
        local_api.answer()

        make_client(local_api.url).call("GET", endpoint, lambda answer: answer)

        assert local_api.asked[0].target == endpoint


class TestReading:
    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_any_success_without_a_body_is_none(self, local_api, make_client, status):
        local_api.answer(status, body=b"")

        assert call(make_client(local_api.url), "POST") is None

    def test_an_answer_that_is_not_json_is_quoted_without_its_mark_up(self, local_api, make_client):
        local_api.answer(body=b"<h1>Sign in</h1>")

        with pytest.raises(ProlificResponseError) as failure:
            call(make_client(local_api.url))

        assert str(failure.value) == f"the answer is not JSON: Sign in (200 from GET {ENDPOINT})"

    def test_an_answer_that_may_hold_ids_is_not_quoted(self, local_api, make_client):
        local_api.answer(body=b"<h1>5f01</h1>")

        with pytest.raises(ProlificResponseError, match=r"^the answer is not JSON \(200 from "):
            call(make_client(local_api.url), personal=True)

    def test_ids_that_were_sent_are_shown_in_no_error(self, local_api, make_client):
        local_api.answer(400, {"error": {"title": "No 5f01", "detail": {"5f01": ["5f01 is unknown"]}}})

        with pytest.raises(ProlificApiError) as refusal:
            call(make_client(local_api.url), "POST", hidden_ids=["5f01"])

        assert "5f01" not in repr((refusal.value, vars(refusal.value)))

    def test_whatever_a_reader_trips_over_is_an_error_of_the_provider(self, local_api, make_client):
        local_api.answer(json_body={"feeder_studies": 7})

        with pytest.raises(ProlificError) as failure:
            call(make_client(local_api.url), read=lambda answer: list(answer["feeder_studies"]))

        assert failure.value.transient is True


class TestRepeats:
    """What a server answers first; then all is well."""

    @pytest.fixture
    def client(self, local_api, make_client, pauses):
        return make_client(local_api.url, max_retries=None)

    @pytest.mark.parametrize("status", [101, 302, 408, 425, 429, 500, 501, 502, 503, 504, 599])
    def test_a_get_is_repeated_after_a_temporary_error(self, local_api, client, status):
        local_api.answer(status, body=b"")
        local_api.answer(json_body={"id": "u1"})

        assert call(client) == {"id": "u1"}
        assert len(local_api.asked) == 2

    @pytest.mark.parametrize("how", [{"cut": "before"}, {"cut": "within"}, {"body": b"<html>"}])
    def test_a_get_is_repeated_after_a_broken_answer(self, local_api, client, how):
        local_api.answer(**how)
        local_api.answer(json_body={"id": "u1"})

        assert call(client) == {"id": "u1"}
        assert len(local_api.asked) == 2

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422])
    def test_a_get_is_not_repeated_after_a_permanent_error(self, local_api, client, status):
        local_api.answer(status)

        with pytest.raises(ProlificApiError) as refusal:
            call(client)

        assert refusal.value.status_code == status
        assert len(local_api.asked) == 1

    @pytest.mark.parametrize("method", CHANGES)
    @pytest.mark.parametrize("status", [425, 429])
    def test_a_change_is_repeated_where_the_server_cannot_have_acted(self, local_api, client, pauses, method, status):
        local_api.answer(status, headers={"Retry-After": "7"})
        local_api.answer(json_body={"done": True})

        assert call(client, method, json={"a": 1}) == {"done": True}
        assert [asked.body for asked in local_api.asked] == [b'{"a": 1}'] * 2
        assert pauses == [7]

    @pytest.mark.parametrize("method", ["GET", *CHANGES])
    def test_any_call_is_repeated_where_no_connection_was_made(self, make_client, pauses, method):
        with pytest.raises(ProlificConnectionError, match=r"^Prolific cannot be reached: Connection refused"):
            call(make_client(CLOSED, max_retries=3), method)

        assert len(pauses) == 3

    @pytest.mark.parametrize("method", CHANGES)
    @pytest.mark.parametrize(
        "how",
        [
            *({"status": status} for status in (302, 303, 408, 500, 502, 503, 504)),
            {"status": 503, "headers": {"Retry-After": "1"}},
            {"cut": "before"},
            {"cut": "within"},
            {"body": b"<html>"},
        ],
        ids=str,
    )
    def test_a_change_is_not_repeated_where_the_server_may_have_acted(self, local_api, client, method, how):
        local_api.answer(**how)

        with pytest.raises(ProlificError) as failure:
            call(client, method)

        assert failure.value.may_have_acted is True
        assert len(local_api.asked) == 1

    @pytest.mark.parametrize("how", [{"status": 503}, {"cut": "before"}, {"body": b"<html>"}])
    def test_a_change_that_may_be_made_twice_is_repeated(self, local_api, client, how):
        local_api.answer(**how)
        local_api.answer()

        call(client, "POST", repeatable=True)

        assert len(local_api.asked) == 2

    def test_after_the_last_repetition_its_error_is_raised(self, local_api, make_client, pauses):
        local_api.answer(503, {"detail": "Down for maintenance"}, times=2)
        local_api.answer(502, {"detail": "Still down"})

        with pytest.raises(ProlificApiError, match=r"502 .*: Still down"):
            call(make_client(local_api.url, max_retries=2))

        assert len(local_api.asked) == 3

    def test_a_poller_does_not_repeat(self, local_api, make_client, pauses):
        local_api.answer(503)

        with pytest.raises(ProlificApiError):
            call(make_client(local_api.url, max_retries=0))

        assert pauses == []

    def test_the_failures_of_one_call_do_not_count_for_the_next(self, local_api, make_client, pauses):
        local_api.answer(503, times=2)
        local_api.answer(json_body=1)
        local_api.answer(503, times=2)
        local_api.answer(json_body=2)
        client = make_client(local_api.url, max_retries=2)

        assert (call(client), call(client)) == (1, 2)

    def test_a_pause_is_told_to_the_log(self, local_api, client, caplog):
        local_api.answer(503, headers={"Retry-After": "7"})
        local_api.answer()

        call(client)

        assert f"Trying again in 7 s: Prolific has a temporary problem (503 from GET {ENDPOINT})" in caplog.text


class TestPatience:
    """How long a call is repeated, on a clock that only pauses move."""

    def wait(self, client, clock):
        with pytest.raises(ProlificError) as failure:
            call(client)
        return failure.value, clock.sleeps

    def test_a_rate_limit_is_waited_out_for_up_to_five_minutes(self, local_api, make_client, clock):
        local_api.answer(429)

        error, sleeps = self.wait(make_client(local_api.url, max_retries=None), clock)

        assert error.status_code == 429
        assert 180 < sum(sleeps) <= 300

    @pytest.mark.parametrize("how", [{"status": 503}, {"cut": "before"}, {"body": b"<html>"}])
    def test_other_temporary_errors_are_waited_out_for_about_a_minute(self, local_api, make_client, clock, how):
        local_api.answer(**how)

        _, sleeps = self.wait(make_client(local_api.url, max_retries=None), clock)

        assert 20 < sum(sleeps) <= 60

    @pytest.mark.parametrize("status", [429, 503])
    def test_pauses_that_the_api_asks_for_are_made_for_up_to_five_minutes(self, local_api, make_client, clock, status):
        local_api.answer(status, headers={"Retry-After": "70"})

        _, sleeps = self.wait(make_client(local_api.url, max_retries=None), clock)

        assert sleeps == [70] * 4

    def test_a_pause_is_not_longer_than_its_ceiling(self, local_api, make_client, clock):
        local_api.answer(429, headers={"Retry-After": "86400"})

        _, sleeps = self.wait(make_client(local_api.url, max_retries=None), clock)

        assert sleeps == [RETRY_AFTER_CEILING_SECONDS] * 2

    def test_the_time_that_attempts_take_counts(self, local_api, make_client, clock):
        local_api.answer()

        def read(answer):
            clock.passed += 30
            raise ProlificResponseError("wrong")

        with pytest.raises(ProlificResponseError):
            call(make_client(local_api.url, max_retries=None), read=read)

        assert len(clock.sleeps) == 2

    def test_the_limits_are_the_clients(self, local_api, make_client, clock):
        local_api.answer(503)

        _, sleeps = self.wait(make_client(local_api.url, max_retries=None, outage_seconds=5), clock)

        assert 1 < sum(sleeps) <= 5

    def test_pauses_grow_and_are_not_alike(self, local_api, make_client, clock):
        local_api.answer(503)

        _, sleeps = self.wait(make_client(local_api.url, max_retries=5), clock)

        assert all(
            0.75 * expected <= pause <= 1.25 * expected
            for pause, expected in zip(sleeps, (1, 2, 4, 8, 16), strict=True)
        )
        again = self.wait(make_client(local_api.url, max_retries=5), clock)[1]
        assert again[:5] != again[5:]

    def test_the_default_is_what_is_promised(self):
        assert (Limits().rate_limit_seconds, Limits().outage_seconds, Limits().attempt_seconds) == (300, 60, 60)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("0", 0),
            ("7", 7),
            (" 7 ", 7),
            ("120", 120),
            ("121", 120),
            ("999999999999999999999", 120),
            ("9" * 5000, None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 120),
            (None, None),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("7 seconds", None),
            ("Thu, 99 Foo 2020", None),
            ("- - - -", None),
        ],
    )
    def test_it_is_read_from_what_can_be_understood(self, local_api, make_client, header, seconds):
        local_api.answer(429, headers={} if header is None else {"Retry-After": header})

        with pytest.raises(ProlificApiError) as refusal:
            call(make_client(local_api.url))

        assert refusal.value.retry_after == seconds

    def test_it_may_be_a_date(self, local_api, make_client):
        at = datetime.now(UTC) + timedelta(seconds=60)
        local_api.answer(429, headers={"Retry-After": format_datetime(at, usegmt=True)})

        with pytest.raises(ProlificApiError) as refusal:
            call(make_client(local_api.url))

        assert 30 < refusal.value.retry_after <= 60


class TestThreads:
    def test_what_one_call_of_nine_may_do_another_does_not(self, make_client, start_local_api, pauses):
        server = start_local_api()
        server.answer_by(lambda asked, before: 200 if asked.method == "GET" and asked.target in before else 503)
        client = make_client(server.url, max_retries=None)

        def get(number):
            return call(client, params={"call": number})

        def post(number):
            with pytest.raises(ProlificApiError) as refusal:
                call(client, "POST", params={"call": number})
            return refusal.value.status_code

        with ThreadPoolExecutor(9) as threads:
            results = list(threads.map(lambda number: (post if number % 3 else get)(number), range(90)))

        assert results == [503 if number % 3 else {} for number in range(90)]
        sent = [asked.target for asked in server.asked if asked.method == "POST"]
        assert len(sent) == len(set(sent)) == 60
        assert len([asked for asked in server.asked if asked.method == "GET"]) == 60


OK = "HTTP/1.1 200 OK\r\n"


def with_length(status, body, headers=""):
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body.encode())}\r\n\r\n{body}"


#: Where a server may repeat a secret.
PLACES = {
    "reason phrase": lambda echo: f"HTTP/1.1 403 No {echo}\r\nContent-Length: 0\r\n\r\n",
    "status line": lambda echo: f"{echo} 200 OK\r\n\r\n",
    "status": lambda echo: f"HTTP/1.1 {echo} OK\r\n\r\n",
    "header": lambda echo: f"HTTP/1.1 401 No\r\nX-Token: {echo}\r\nWWW-Authenticate: {echo}\r\n\r\n",
    "name of a header": lambda echo: f"HTTP/1.1 401 No\r\n{echo}: x\r\n\r\n",
    "line that is no header": lambda echo: f"HTTP/1.1 401 No\r\n{echo}\r\nX: x\r\n\r\n",
    "location": lambda echo: f"HTTP/1.1 302 Found\r\nLocation: https://evil.example/{echo}\r\n\r\n",
    "retry-after": lambda echo: f"HTTP/1.1 429 Slow\r\nRetry-After: {echo}\r\n\r\n",
    "content-length": lambda echo: f"{OK}Content-Length: {echo}\r\n\r\n{{}}",
    "content-encoding": lambda echo: with_length("200 OK", "{}", f"Content-Encoding: {echo}\r\n"),
    "size of a chunk": lambda echo: f"{OK}Transfer-Encoding: chunked\r\n\r\n{echo}\r\n{{}}\r\n0\r\n\r\n",
    "error text": lambda echo: with_length("400 No", json.dumps({"error": f"wrong: {echo}"})),
    "error detail": lambda echo: with_length("400 No", json.dumps({"detail": {echo: [f"{echo}!", 1]}, "title": echo})),
    "error page": lambda echo: with_length("502 No", f"<html><b>{echo}</b>"),
    "error cut off": lambda echo: f'HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\n{{"detail": "{echo}',
    "long error": lambda echo: with_length("500 No", " " * 8150 + echo + " " * 200),
    "answer": lambda echo: with_length("200 OK", json.dumps({"headers": {"Authorization": echo}})),
    "answer that is not JSON": lambda echo: with_length("200 OK", f"you sent {echo}"),
    "answer cut off": lambda echo: f'{OK}Content-Length: 9999\r\n\r\n{{"results": [{{"id": "{echo}',
    "row": lambda echo: with_length("200 OK", json.dumps({"results": [{"headers": echo}]})),
    "count": lambda echo: with_length("200 OK", json.dumps({"results": [], "meta": {"count": echo}})),
}
#: In what form.
FORMS = {
    "as it is": lambda secret: secret,
    "as it was sent": lambda secret: f"Token {secret}",
    "upper case": str.upper,
    "quoted": lambda secret: quote("".join(f"%{ord(char):02x}" for char in secret)),
    "escaped": lambda secret: "".join(f"\\u{ord(char):04x}" for char in secret),
    "entities": lambda secret: "".join(f"&#{ord(char)};" for char in secret),
    "base64": lambda secret: base64.b64encode(f"ada:{secret}".encode()).decode(),
    "hexadecimal": lambda secret: secret.encode().hex(),
}


class TestSecrets:
    @given(
        st.sampled_from(sorted(PLACES)),
        st.sampled_from(sorted(FORMS)),
        st.text("ab .,:;=<>&%\\'\"é", max_size=6),
        st.text("ab .,:;=<>&%\\'\"é", max_size=6),
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_error_shows_what_a_server_repeats(self, echoing, token, place, form, before, behind):
        client, server, caplog = echoing
        form = FORMS[form](token)
        server.answer = lambda: [PLACES[place](f"{before}{form}{behind}").encode("latin-1", "replace")]
        caplog.clear()

        try:
            shown = repr(client.list(ENDPOINT, "things", lambda row: (row["id"], row)))
        except ProlificError as error:
            shown = "".join(
                [
                    *traceback.format_exception(error),
                    repr((error, error.args, vars(error), error.__cause__, error.__context__)),
                    pickle.dumps(error, 0).decode("latin-1"),
                ]
            )
        shown += caplog.text

        assert not any(token[start : start + 11] in shown for start in range(len(token) - 10))
        half = len(form) // 2
        assert not any(form[start : start + half] in shown for start in range(len(form) - half))

    @pytest.fixture
    def echoing(self, serve, make_client, caplog):
        server = serve(b"")
        return make_client(server.url), server, caplog

    def test_an_error_keeps_neither_the_request_nor_the_exception_under_it(self, make_client):
        with pytest.raises(ProlificConnectionError) as failure:
            call(make_client(CLOSED))

        assert failure.value.__cause__ is failure.value.__context__ is None


SMALL_LIMITS = {"attempt_seconds": 30, "body_bytes": 2**20, "memory_bytes": 24 * 2**20, "listing_seconds": 30}
#: Sends a request with limits, and prints how much more memory the process took for it.
MEASURE = r"""
import json, logging, re, sys
from pathlib import Path
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.hooks.client import Client
from airflow_provider_prolific.hooks.connection import ConnectionSettings
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.hooks.transport import Transport

taken = lambda: int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) // 1024
settings = ConnectionSettings("c", sys.argv[1], "token-that-nobody-may-see", {})
limits = Limits(outage_seconds=0, **json.loads(sys.argv[2]))
client = Client(settings, Transport(), limits, None, logging.getLogger())
before = taken()
try:
    client.list("/x/", "things", lambda row: (row["id"], row))
except ProlificError as error:
    print(taken() - before, error)
"""


def endless(head, piece):
    def answer(size):
        yield head
        while True:
            yield piece

    return answer


def of_json(piece):
    def answer(size):
        body = b'{"results": [' + piece * ((size - 100) // len(piece)) + b"0]}"
        return [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body]

    return answer


def rows_of_4_kib():
    for page in range(10**6):
        rows = [{"id": f"{page}-{number}", "text": "x" * 4096} for number in range(200)]
        body = json.dumps({"results": rows}).encode()
        yield [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body), body]


def nothing_compressed_twice(size):
    packer = zlib.compressobj(1, wbits=31)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    body = gzip.compress(packed)
    return [f"{OK}Content-Encoding: gzip, gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode(), body]


CHUNKED = OK.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
PAGES = rows_of_4_kib()
#: Answers that never end, or become large, by the size of the largest answer that is read; and what is said of them.
FLOODS = {
    "body": (endless(OK.encode() + b"\r\n", b" " * 65536), "larger than {} MiB"),
    "body of a redirect": (endless(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b" " * 65536), "302 from"),
    "body of an error": (endless(b"HTTP/1.1 503 Down\r\n\r\n", b" " * 65536), "503 from"),
    "chunks of two bytes": (endless(CHUNKED, b"2\r\n[]\r\n" * 5000), "larger than {} MiB"),
    "size of a chunk": (endless(CHUNKED, b"0" * 65536), "no answer from Prolific"),
    "headers": (endless(OK.encode(), b"X: x\r\n" * 10_000), "no answer from Prolific"),
    "one header": (endless(OK.encode() + b"X: ", b"x" * 65536), "no answer from Prolific"),
    "status line": (endless(b"HTTP/1.1 200 ", b"x" * 65536), "no answer from Prolific"),
    "nested lists": (of_json(b"[" * 400 + b"]" * 400 + b","), "too many values for the memory that it may take"),
    "nested objects": (of_json(b'{"":' * 400 + b"0" + b"}" * 400 + b","), "too many values"),
    "large rows on pages without an end": (lambda size: next(PAGES), "too many values"),
    "compressed twice": (nothing_compressed_twice, "is compressed"),
}


class TestMemory:
    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells the most memory")
    @pytest.mark.parametrize(("answer", "words"), FLOODS.values(), ids=FLOODS)
    @pytest.mark.parametrize(
        ("limits", "size", "most"),
        [(SMALL_LIMITS, 2**20, 50), pytest.param({}, 16 * 2**20, 300, marks=pytest.mark.full)],
        ids=["small limits", "the limits of the default"],
    )
    def test_whatever_comes_takes_little_memory(self, serve, answer, words, limits, size, most):
        url = serve(lambda: answer(size)).url

        printed = subprocess.run(
            [sys.executable, "-c", MEASURE, url, json.dumps(limits)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

        mebibytes, error = printed.split(" ", 1)
        assert words.format(size // 2**20) in error
        assert int(mebibytes) <= most

    def test_an_answer_of_the_largest_size_is_read(self, local_api, make_client):
        local_api.answer(body=b"[]".ljust(1000))
        local_api.answer(body=b"[]".ljust(1001))
        client = make_client(local_api.url, body_bytes=1000)

        assert call(client) == []
        with pytest.raises(ProlificResponseError, match=r"^the answer is larger than .* MiB \(200 from "):
            call(client)

    def test_the_limits_of_the_default_are_those_that_are_promised(self):
        assert (Limits().body_bytes, Limits().memory_bytes) == (16 * 2**20, 128 * 2**20)
