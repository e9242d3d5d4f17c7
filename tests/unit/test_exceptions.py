"""The errors: what is temporary, what may have been done, and how an answer of the API becomes one."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
    ProlificUnreadableConnectionError,
    ProlificValueError,
    describe_body,
    error_of_answer,
)
from airflow_provider_prolific.text import Redaction

try:
    from airflow.sdk.exceptions import AirflowException
except (ImportError, AttributeError):  # before Airflow 3.2
    from airflow.exceptions import AirflowException

#: Each error, whether it is temporary, and whether Prolific may have acted.
ERRORS = [
    (ProlificError("why"), False, False),
    (ProlificValueError("why"), False, False),
    (ProlificUnreadableConnectionError("why"), False, False),
    (ProlificConnectionError("why"), True, True),
    (ProlificConnectionError("why", transient=False, may_have_acted=False), False, False),
    (ProlificResponseError("why"), True, True),
    (ProlificResponseError("why", transient=False), False, True),
    (ProlificApiError("why", 503), True, True),
]


@pytest.mark.parametrize(("error", "transient", "may_have_acted"), ERRORS)
class TestEveryError:
    def test_it_is_a_prolific_error_and_not_one_that_soft_fail_would_skip(self, error, transient, may_have_acted):
        assert isinstance(error, ProlificError)
        assert not isinstance(error, AirflowException)
        assert str(error) == "why"

    def test_it_tells_whether_it_is_temporary_and_whether_prolific_may_have_acted(
        self, error, transient, may_have_acted
    ):
        assert (error.transient, error.may_have_acted) == (transient, may_have_acted)

    def test_it_survives_the_way_between_processes(self, error, transient, may_have_acted):
        again = pickle.loads(pickle.dumps(error))

        assert (type(again), str(again), vars(again)) == (type(error), "why", vars(error))


def test_a_value_error_is_also_pythons():
    assert isinstance(ProlificValueError("why"), ValueError)


@pytest.mark.parametrize(
    ("statuses", "transient", "may_have_acted"),
    [
        ((101, 103, 199, 300, 301, 302, 303, 304, 307, 308, 399), True, True),
        ((400, 401, 403, 404, 405, 409, 410, 422), False, False),
        ((425, 429), True, False),
        ((408, 500, 501, 502, 503, 504, 599, 999), True, True),
    ],
)
def test_the_status_of_a_refusal_tells_both(statuses, transient, may_have_acted):
    for status in statuses:
        error = ProlificApiError("why", status)
        assert (status, error.transient, error.may_have_acted) == (status, transient, may_have_acted)


def test_a_refusal_carries_what_the_api_said():
    error = ProlificApiError("why", 400, 140003, "Validation error", {"name": ["too long"]}, 7.0)

    assert (error.status_code, error.error_code, error.title) == (400, 140003, "Validation error")
    assert (error.detail, error.retry_after) == ({"name": ["too long"]}, 7.0)


def refuse(body, status=400, phrase="Bad Request", hide=Redaction([])):  # noqa: B008
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_of_answer("GET /x/", status, phrase, body, conn_id="prolific_default", hide=hide)


ERROR_BODIES = [
    pytest.param(
        {
            "error": {
                "status": 400,
                "error_code": 140003,
                "title": "Bad request",
                "detail": "Unknown participant",
                "additional_information": "/docs",
                "traceback": "Traceback: SECRET",
                "interactive": False,
            }
        },
        (140003, "Bad request", "Unknown participant"),
        "Bad request: Unknown participant",
        id="wrapped",
    ),
    pytest.param(
        {"status": 400, "error_code": 140003, "title": "Bad request", "detail": "Unknown participant"},
        (140003, "Bad request", "Unknown participant"),
        "Bad request: Unknown participant",
        id="flat",
    ),
    pytest.param(
        {"message": "Bad request", "detail": "Why"}, (None, "Bad request", "Why"), "Bad request: Why", id="message"
    ),
    pytest.param({"detail": "Why"}, (None, None, "Why"), "Why", id="detail"),
    pytest.param(
        {"detail": ["Why", "and why"]}, (None, None, ["Why", "and why"]), "Why, and why", id="detail is a list"
    ),
    pytest.param(
        {"detail": {"name": ["too long", "taken"], "id": ["bad"]}},
        (None, None, {"name": ["too long", "taken"], "id": ["bad"]}),
        "name: too long, taken; id: bad",
        id="detail is a mapping",
    ),
    pytest.param(
        {"type": "invalid", "issues": [{"path": "name"}]},
        (None, "invalid", [{"path": "name"}]),
        "invalid: path: name",
        id="type and issues",
    ),
    pytest.param({"type": "invalid", "issues": []}, (None, "invalid", []), "invalid", id="no issues"),
    pytest.param({"error": "Why"}, (None, None, "Why"), "Why", id="error is a text"),
    pytest.param("Why", (None, None, "Why"), "Why", id="a text"),
    pytest.param({}, (None, None, None), None, id="empty object"),
    pytest.param([], (None, None, None), None, id="list"),
    pytest.param(7, (None, None, None), None, id="number"),
    pytest.param({"error": None}, (None, None, None), None, id="error is null"),
    pytest.param({"error": {"detail": None, "title": None}}, (None, None, None), None, id="nulls"),
    pytest.param({"error_code": "140003", "detail": "Why"}, (None, None, "Why"), "Why", id="code is a text"),
    pytest.param({"error_code": True, "detail": "Why"}, (None, None, "Why"), "Why", id="code is a boolean"),
    pytest.param({"title": ["Bad"], "detail": "Why"}, (None, None, "Why"), "Bad: Why", id="title is a list"),
]


class TestErrorOfAnswer:
    @pytest.mark.parametrize(("body", "fields", "reason"), ERROR_BODIES)
    def test_every_shape_of_a_refusal_is_understood(self, body, fields, reason):
        error = refuse(body)

        assert error.status_code == 400
        assert (error.error_code, error.title, error.detail) == fields
        code = f", error_code {error.error_code}" if error.error_code else ""
        assert str(error) == f"Prolific refuses this request: {reason or 'Bad Request'} (400 from GET /x/{code})"

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"<html><head><title>502</title></head>\n<body><h1>Bad\n gateway</h1></body></html>", "502 Bad gateway"),
            (b"plain text", "plain text"),
            (b"", "an empty body"),
            (b"<html></html>", "an empty body"),
            (b"{broken", "{broken"),
            (b"\xff\xfe", "��"),
            (b"1" * 5000, f"{'1' * 199}…"),
        ],
    )
    def test_a_refusal_that_is_not_json_is_told_without_its_mark_up(self, body, reason):
        assert str(refuse(body, 502, "Bad Gateway")).endswith(f" (502 from GET /x/): {reason}")

    def test_the_body_of_a_redirect_which_is_not_read_is_not_spoken_of(self):
        assert str(refuse(b"", 302, "Found")).endswith(" (302 from GET /x/)")

    @pytest.mark.parametrize(
        ("status", "cause"),
        [
            (103, "an answer without a result came, from Prolific or from a proxy in between"),
            (302, "redirects are not followed, check the Base URL of connection 'prolific_default'"),
            (401, "the API token of connection 'prolific_default' is wrong or was deleted"),
            (403, "the API token of connection 'prolific_default' has no access to this, or may not do this"),
            (404, "this does not exist, or the API token of connection 'prolific_default' has no access to it"),
            (408, "Prolific has a temporary problem"),
            (429, "Prolific's rate limit is reached, ask less often"),
            (503, "Prolific has a temporary problem"),
        ],
    )
    def test_the_cause_and_the_cure_come_first_the_reason_last(self, status, cause):
        assert str(refuse({"detail": "Why"}, status)) == f"{cause} ({status} from GET /x/): Why"
        assert str(refuse({}, status)) == f"{cause} ({status} from GET /x/)"

    @pytest.mark.parametrize("status", [400, 401, 404, 409])
    def test_a_long_reason_leaves_room_for_the_call(self, status):
        message = str(refuse({"detail": "x" * 10_000}, status))

        assert f"({status} from GET /x/)" in message
        assert len(message) < 700

    def test_a_refusal_without_a_reason_has_the_phrase_of_its_status(self):
        assert str(refuse({}, 409, "Conflict")) == "Prolific refuses this request: Conflict (409 from GET /x/)"
        assert str(refuse({}, 409, "")) == "Prolific refuses this request (409 from GET /x/)"

    @pytest.mark.parametrize(
        "detail", ["a\nb\r\nc", "a\x1b[31mb", {"a\n": ["b\n"]}, ["\0"], "\u2028", "\ud800", "right\u202eleft"]
    )
    def test_a_refusal_is_one_printable_line(self, detail):
        assert str(refuse({"detail": detail}, phrase="Bad\x85Request")).isprintable()

    @pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
    @pytest.mark.parametrize("depth", [100, 300, 500, 700, 900, 100_000])
    def test_a_deeply_nested_refusal_is_still_a_refusal(self, brackets, depth):
        opening, closing = brackets

        assert refuse(b'{"detail": ' + opening * depth + b"1" + closing * depth + b"}").status_code == 400

    def test_what_is_hidden_is_hidden_in_every_part(self):
        ids = ["5f01", "5f02"]
        error = refuse(
            {"title": "No 5f01", "detail": {"5f02": ["5f01", {"ids": ids}], "n": 1}},
            phrase="No",
            hide=Redaction([], ids),
        )

        assert error.title == "No ***"
        assert error.detail == {"***": ["***", {"ids": ["***", "***"]}], "n": 1}
        assert "5f0" not in str(error)

    @given(st.binary(max_size=40), st.integers(100, 599), st.text(max_size=10))
    def test_whatever_the_body_the_status_is_told_in_one_line(self, body, status, phrase):
        message = str(refuse(body, status, phrase))

        assert f"({status} from GET /x/" in message
        assert message.isprintable()


class TestDescribeBody:
    def test_mark_up_between_the_parts_of_what_is_hidden_does_not_show_it(self):
        hide = Redaction(["token-that-nobody-may-see"])

        assert "nobody" not in describe_body(b"<p>token-that-<b>nobody</b>-may-see</p>", hide)

    def test_what_is_hidden_beyond_what_is_looked_at_does_not_show_its_beginning(self):
        hide = Redaction([], ["personal-id"])
        for length in range(8170, 8200):
            assert "personal" not in describe_body(b"<" * 10 + b"p" * (length - 11) + b">personal-id", hide)
