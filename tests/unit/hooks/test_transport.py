"""Connections: what every request carries, whom it trusts, and a time-out that holds for a whole answer."""

from __future__ import annotations

import pickle

import pytest
import requests

from airflow_provider_prolific import __version__
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificConnectionError
from airflow_provider_prolific.hooks import transport

ENDPOINT = "/api/v1/things/"
BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def trusted(certificate, monkeypatch):
    """Let the test's certificate be trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return certificate


def get(client):
    return client.call("GET", ENDPOINT, lambda answer: answer)


class TestRequests:
    def test_every_request_carries_the_token_and_says_who_is_asking(self, local_api, make_client, token):
        local_api.answer()

        get(make_client(local_api.url))

        [asked] = local_api.asked
        assert asked.headers["Authorization"] == f"Token {token}"
        assert asked.headers["User-Agent"].startswith(f"airflow-provider-prolific/{__version__} ")
        assert asked.headers["Accept"] == "application/json"

    def test_no_compression_is_asked_for(self, local_api, make_client):
        local_api.answer()

        get(make_client(local_api.url))

        assert local_api.asked[0].headers["Accept-Encoding"] == "identity"

    def test_all_calls_use_one_connection(self, local_api, make_client):
        local_api.answer()
        client = make_client(local_api.url)

        get(client)
        get(client)

        assert len({asked.client_port for asked in local_api.asked}) == 1

    def test_no_cookie_is_kept(self, local_api, make_client):
        local_api.answer(headers={"Set-Cookie": "session=1; Path=/"})
        client = make_client(local_api.url)

        get(client)
        get(client)

        assert "Cookie" not in local_api.asked[1].headers

    def test_a_netrc_file_does_not_replace_the_token(self, local_api, make_client, token, tmp_path, monkeypatch):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password other\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        local_api.answer()

        get(make_client(local_api.url))

        assert local_api.asked[0].headers["Authorization"] == f"Token {token}"

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    def test_a_proxy_does_not_get_what_is_sent_to_this_machine(
        self, start_local_api, local_api, make_client, monkeypatch, variable
    ):
        proxy = start_local_api()
        proxy.answer(json_body="proxy")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, proxy.url)
        local_api.answer(json_body="server")

        assert get(make_client(local_api.url)) == "server"

    def test_a_proxy_of_an_https_connection_gets_the_host_alone(self, local_api, make_client, token, monkeypatch):
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", local_api.url)
        local_api.answer(403)

        with pytest.raises(ProlificConnectionError):
            get(make_client("https://prolific.example"))

        [asked] = local_api.asked
        assert (asked.method, asked.target, asked.body) == ("CONNECT", "prolific.example:443", b"")
        assert token not in repr(asked)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, start_local_api, local_api, make_client, status):
        elsewhere = start_local_api()
        elsewhere.answer()
        local_api.answer(status, headers={"Location": f"{elsewhere.url}{ENDPOINT}"})

        with pytest.raises(ProlificApiError, match=r"redirects are not followed") as refusal:
            get(make_client(local_api.url))

        assert refusal.value.status_code == status
        assert not elsewhere.asked

    def test_the_token_of_a_session_is_not_pickled(self, local_api, make_client):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(make_client(local_api.url).session)

    def test_a_header_that_cannot_be_read_is_not_logged(self, serve, make_client, token, caplog):
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAuthorization Token {token}\r\n\r\n{{}}"

        with caplog.at_level("DEBUG"):
            assert get(make_client(serve(answer.encode()).url)) == {}

        assert token not in caplog.text


class TestTrust:
    def test_a_server_is_trusted_by_the_file_that_requests_brings(self, serve, make_client, certificate, monkeypatch):
        for name in BUNDLE_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(transport, "DEFAULT_CA_BUNDLE_PATH", str(certificate))
        server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", certificate=certificate)

        assert get(make_client(server.url)) == {}

    def test_that_file_is_the_one_of_requests(self):
        assert requests.certs.where() == transport.DEFAULT_CA_BUNDLE_PATH

    @pytest.mark.parametrize("variable", BUNDLE_VARIABLES)
    def test_a_variable_names_another_file(self, serve, make_client, certificate, monkeypatch, variable):
        for name in BUNDLE_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, str(certificate))
        server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", certificate=certificate)

        assert get(make_client(server.url)) == {}


def slowly(before, slow, after):
    """Make an answer of which a part is sent byte by byte, or piece by piece."""
    pieces = [slow[index : index + 1] for index in range(len(slow))] if isinstance(slow, bytes) else slow
    return lambda: [before, *pieces, after]


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
REST = b"\r\nContent-Length: 2\r\n\r\n{}"
TRICKLES = {
    "status line": slowly(b"HTTP/1.1 200 ", b"O" * 60, REST),
    "header": slowly(OK + b"X-Header: ", b"x" * 60, REST),
    "headers": slowly(OK, [b"X-Header: x\r\n"] * 60, REST[2:]),
    "interim answers": slowly(b"", [b"HTTP/1.1 100 Continue\r\n\r\n"] * 60, OK + REST[2:]),
    "size of a chunk": slowly(CHUNKED, b"0" * 60, b"2\r\n{}\r\n0\r\n\r\n"),
    "chunks": slowly(CHUNKED, [b"1\r\n \r\n"] * 60, b"2\r\n{}\r\n0\r\n\r\n"),
    "trailers": slowly(CHUNKED + b"2\r\n{}\r\n0\r\n", [b"X-Trailer: x\r\n"] * 60, b"\r\n"),
    "body": slowly(OK + b"Content-Length: 62\r\n\r\n", b" " * 60, b"{}"),
    "body without a length": slowly(OK + b"\r\n", b" " * 60, b"{}"),
    "compressed nothing": slowly(
        OK + b"Content-Encoding: deflate\r\n\r\n\x78\x9c", [b"\0\0\0\xff\xff"] * 60, b"\1\2\0\xfd\xff{}\1\x75\0\xf9"
    ),
}


@pytest.fixture(params=["http", "https"])
def trickle(request, serve, trusted):
    """Start a server that sends an answer piece by piece, with a pause before each, plain or over TLS."""

    def start(answer):
        return serve(answer, pause=0.03, certificate=trusted if request.param == "https" else None)

    return start


class TestTimeOut:
    @pytest.mark.parametrize("answer", TRICKLES.values(), ids=TRICKLES)
    def test_an_answer_that_trickles_is_given_up(self, trickle, make_client, answer):
        server = trickle(answer)

        with pytest.raises(ProlificConnectionError, match=r"^no answer from Prolific: .* \(GET .*\)$"):
            get(make_client(server.url, attempt_seconds=0.3))

        server.stop()
        assert not server.answered

    def test_the_status_of_an_error_is_told_where_its_body_trickles(self, trickle, make_client):
        server = trickle(slowly(b"HTTP/1.1 503 Down\r\nContent-Length: 122\r\n\r\n", b" " * 120, b"{}"))

        with pytest.raises(ProlificApiError, match=r"\(503 from GET "):
            get(make_client(server.url, attempt_seconds=1))

        server.stop()
        assert not server.answered

    def test_each_attempt_has_the_limit_for_itself(self, serve, make_client, pauses):
        server = serve(slowly(OK + b"Content-Length: 62\r\n\r\n", b" " * 60, b"{}"), pause=0.03)

        with pytest.raises(ProlificConnectionError):
            get(make_client(server.url, max_retries=1, attempt_seconds=0.3))

        server.stop()
        assert (server.asked, server.answered) == (2, 0)

    def test_the_body_of_a_redirect_is_not_read(self, trickle, make_client):
        server = trickle(slowly(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 62\r\n\r\n", b" " * 60, b"{}"))

        with pytest.raises(ProlificApiError, match=r"\(302 from GET "):
            get(make_client(server.url))

        server.stop()
        assert not server.answered

    @pytest.mark.parametrize("limit", ["attempt_seconds", "connect_seconds"])
    def test_a_server_that_never_shakes_hands_is_given_up(self, make_client, start_silent_server, trusted, limit):
        with pytest.raises(ProlificConnectionError, match=r"within the time limit \((GET|POST) "):
            get(make_client(start_silent_server("https"), **{limit: 0.3}))

    def test_a_server_that_never_answers_is_given_up(self, make_client, start_silent_server):
        with pytest.raises(ProlificConnectionError, match=r"within the time limit \((GET|POST) "):
            get(make_client(start_silent_server("http"), attempt_seconds=0.3))

    def test_a_server_that_takes_no_request_is_given_up(self, make_client, start_silent_server):
        client = make_client(start_silent_server("http"), attempt_seconds=0.3)

        with pytest.raises(ProlificConnectionError, match=r"within the time limit \((GET|POST) "):
            client.call("POST", ENDPOINT, lambda answer: answer, json="x" * 2**24)

    def test_the_next_call_on_a_kept_connection_has_the_limit_for_itself(self, local_api, make_client, clock):
        local_api.answer()
        client = make_client(local_api.url, attempt_seconds=5)

        for _ in range(3):
            get(client)
            clock.sleep(4)

        assert len({asked.client_port for asked in local_api.asked}) == 1
