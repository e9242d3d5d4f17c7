"""Requests that brought no answer: each is a temporary or a permanent error, with the cause in words."""

from __future__ import annotations

import socket

import pytest

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificConnectionError

#: Nothing listens here.
CLOSED = "http://127.0.0.1:1"
HTTPS_CLOSED = "https://127.0.0.1:1"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def failure_of(client, method="GET", **arguments):
    with pytest.raises(ProlificConnectionError) as failure:
        client.call(method, "/x/", lambda answer: answer, **arguments)
    message = str(failure.value)
    assert f"({method} /x/" in message
    assert message.isprintable()
    assert "127.0.0.1" not in message  # the host may be a token in the wrong field
    return failure.value


class TestNotConnected:
    @pytest.fixture(params=["closed", "unknown host"])
    def client(self, request, make_client, monkeypatch):
        if request.param == "closed":
            return make_client(CLOSED)

        def look_up(*arguments, **keywords):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return make_client("https://token-in-the-wrong-field.example")

    def test_it_is_temporary_and_prolific_cannot_have_acted(self, client):
        failure = failure_of(client, "POST")

        assert (failure.transient, failure.may_have_acted) == (True, False)

    def test_it_is_told_in_words(self, make_client):
        assert str(failure_of(make_client(CLOSED))) == (
            "Prolific cannot be reached: Connection refused; check Base URL and Port of the connection (GET /x/)"
        )

    def test_a_host_that_is_not_found_is_not_shown(self, make_client, monkeypatch):
        def look_up(*arguments, **keywords):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        failure = failure_of(make_client("https://token-in-the-wrong-field.example"))

        assert str(failure) == (
            "Prolific cannot be reached: the host name in the Base URL was not found; check Base URL and Port of the "
            "connection (GET /x/)"
        )


class TestBrokenAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"HTTP/1.1 2", id="part of a status line"),
            pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="another protocol"),
            pytest.param(b"HTTP/1.1 hello\r\n\r\n", id="status is not a number"),
            pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", id="status is too long"),
            pytest.param(b"HTTP/1.1 " + b"x" * 70_000, id="status line is too long"),
            pytest.param(OK + b"X: " + b"x" * 70_000, id="header is too long"),
            pytest.param(OK + b"X: x\r\n" * 200 + b"\r\n", id="too many headers"),
            pytest.param(OK + b"Content-Length: 100\r\n\r\n{}", id="body is cut off"),
            pytest.param(OK + b"Content-Length: 1, 2\r\n\r\n{}", id="two lengths"),
            pytest.param(
                OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n", id="chunk size is not a number"
            ),
            pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n", id="chunk size is negative"),
            pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000, id="chunk size is too long"),
            pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}", id="chunks are cut off"),
        ],
    )
    def test_an_answer_that_is_not_http_is_temporary_and_prolific_may_have_acted(self, serve, make_client, answer):
        failure = failure_of(make_client(serve(answer).url), "POST")

        assert (failure.transient, failure.may_have_acted) == (True, True)

    @pytest.mark.parametrize("status", [101, 103, 199, 300, 304, 306, 399])
    def test_a_status_that_is_neither_success_nor_refusal_is_temporary(self, serve, make_client, status):
        with pytest.raises(ProlificApiError) as failure:
            make_client(serve(b"HTTP/1.1 %d Odd\r\n\r\n" % status).url).call("GET", "/x/", lambda answer: answer)

        assert (failure.value.status_code, failure.value.transient) == (status, True)

    def test_a_time_out_is_told_in_words(self, make_client, start_silent_server):
        failure = failure_of(make_client(start_silent_server("http"), attempt_seconds=0.1))

        assert str(failure) == ("no answer from Prolific: it was not complete within the time limit (GET /x/)")


class TestPermanent:
    def check(self, failure, reason, advice):
        assert (failure.transient, failure.may_have_acted) == (False, False)
        assert reason in str(failure)
        assert str(failure).endswith(f"; {advice} (GET /x/ was not sent)")

    def test_a_refused_certificate(self, serve, make_client, certificate):
        failure = failure_of(make_client(serve(b"", certificate=certificate).url))

        self.check(
            failure,
            "the certificate of the server was refused: self-signed certificate",
            "if your proxy replaces certificates, set the variable REQUESTS_CA_BUNDLE to its CA file",
        )

    def test_a_certificate_of_another_host(self, serve, make_client, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        server = serve(b"", certificate=certificate)
        failure = failure_of(make_client(server.url.replace("127.0.0.1", "localhost")))

        assert (failure.transient, failure.may_have_acted) == (False, False)
        assert "the certificate of the server was refused: " in str(failure)

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_a_ca_file_that_does_not_exist(self, make_client, monkeypatch, variable):
        monkeypatch.setenv(variable, "/no/such/file.pem")

        self.check(
            failure_of(make_client(HTTPS_CLOSED)),
            "/no/such/file.pem",
            "correct the variable REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE",
        )

    @pytest.mark.parametrize(
        "content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    def test_a_ca_file_without_certificates(self, serve, make_client, certificate, monkeypatch, tmp_path, content):
        (tmp_path / "ca.pem").write_bytes(content)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))

        self.check(
            failure_of(make_client(serve(b"", certificate=certificate).url)),
            "X509",
            "correct the variable REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE",
        )

    @pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "http://"])
    def test_a_proxy_that_cannot_be_used(self, make_client, monkeypatch, proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy)

        self.check(failure_of(make_client(HTTPS_CLOSED)), "", "check the proxy variables of the environment")

    def test_a_proxy_that_is_away_is_temporary(self, make_client, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", CLOSED)
        failure = failure_of(make_client("https://api.example.org"), "POST")

        assert (failure.transient, failure.may_have_acted) == (True, False)
