"""The hook: a connection of Airflow, read when it is needed, and calls that are those of the client."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificResponseError,
    ProlificUnreadableConnectionError,
    ProlificValueError,
)
from airflow_provider_prolific.hooks import prolific
from airflow_provider_prolific.hooks.connection import SCOPE_LABELS
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.hooks.prolific import ProlificHook
from airflow_provider_prolific.hooks.transport import Transport

GROUPS_URL = "https://api.prolific.com/api/v1/participant-groups/"
USER_URL = "https://api.prolific.com/api/v1/users/me/"


@pytest.fixture
def hook(connection):
    with ProlificHook(max_retries=0) as hook:
        yield hook


class TestConnection:
    def test_the_json_form_of_the_environment_works(self, api, connect, token):
        connect(host="api.example.org", extra={"workspace_id": "w1"})
        api.get("https://api.example.org/api/v1/users/me/", json={"id": "u1"})

        hook = ProlificHook()

        assert hook.get_user() == {"id": "u1"}
        assert api.requests[0].headers["Authorization"] == f"Token {token}"
        assert hook.default_scope() == ("workspace_id", "w1")
        assert hook.default_workspace_id() == "w1"

    @pytest.mark.parametrize(
        "uri",
        [
            "prolific://:{}@api.example.org:8443/?workspace_id=w1",
            "prolific://https://:{}@api.example.org:8443/?workspace_id=w1",
            "prolific://:{}@https%3A%2F%2Fapi.example.org%3A8443/?workspace_id=w1",
        ],
    )
    def test_the_uri_form_of_the_environment_works(self, api, monkeypatch, token, uri):
        monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", uri.format(token))
        api.get("https://api.example.org:8443/api/v1/users/me/", json={"id": "u1"})

        hook = ProlificHook()

        assert hook.get_user() == {"id": "u1"}
        assert api.requests[0].headers["Authorization"] == f"Token {token}"
        assert hook.default_scope() == ("workspace_id", "w1")

    def test_it_is_read_when_the_first_call_is_made(self, connect, api):
        hook = ProlificHook("later")
        connect("later")
        api.get(USER_URL, json={"id": "u1"})

        assert hook.get_user() == {"id": "u1"}

    def test_one_that_cannot_be_used_is_refused_before_any_request(self, connect, api):
        connect(password="")

        with pytest.raises(ProlificValueError, match=r"^connection 'prolific_default' has no API token"):
            ProlificHook().get_user()
        assert not api.requests

    @pytest.mark.parametrize("extra", [["w1"], "w1", 7, True])
    def test_an_extra_field_that_is_not_a_json_object_is_refused(self, connect, extra):
        connect(extra=json.dumps(extra))

        # Airflow 3.0 takes such a connection for none at all.
        with pytest.raises((ProlificValueError, ProlificUnreadableConnectionError), match=r"'prolific_default'"):
            ProlificHook().default_scope()

    def test_one_that_does_not_exist_cannot_be_read(self):
        with pytest.raises(ProlificUnreadableConnectionError, match=r"^connection 'nobody' cannot be read: .*nobody"):
            ProlificHook("nobody").get_user()

    @pytest.mark.parametrize("raised", [RuntimeError("backend\nis away"), KeyError(), OSError("gone")])
    def test_whatever_a_secrets_backend_raises_is_an_error_of_the_provider(self, monkeypatch, raised):
        def get_connection(conn_id):
            raise raised

        hook = ProlificHook()
        monkeypatch.setattr(hook, "get_connection", get_connection)

        with pytest.raises(ProlificUnreadableConnectionError) as failure:
            hook.get_conn()

        assert str(failure.value).isprintable()
        assert failure.value.__context__ is None

    def test_after_a_failure_it_is_read_again(self, connect, api):
        hook = ProlificHook("later")
        with pytest.raises(ProlificUnreadableConnectionError):
            hook.get_user()
        connect("later")
        api.get(USER_URL, json={"id": "u1"})

        assert hook.get_user() == {"id": "u1"}


class TestLife:
    def test_all_calls_use_one_session(self, hook):
        assert hook.get_conn() is hook.get_conn()

    def test_threads_share_one_client(self, hook, monkeypatch):
        made = []
        make = prolific.Client
        monkeypatch.setattr(prolific, "Client", lambda *arguments: made.append(1) or make(*arguments))

        with ThreadPoolExecutor(9) as threads:
            sessions = set(threads.map(lambda _: id(hook.get_conn()), range(90)))

        assert len(sessions) == len(made) == 1

    def test_what_is_open_is_closed_at_the_end(self, connect, local_api):
        connect(host=local_api.url)
        local_api.answer(json_body={"id": "u1"})

        with ProlificHook() as hook:
            hook.get_user()
        hook.get_user()
        hook.close()

        assert len({asked.client_port for asked in local_api.asked}) == 2

    def test_a_hook_that_was_never_used_can_be_closed(self):
        with ProlificHook("nobody"):
            pass

    def test_a_transport_of_its_owner_stays_open(self, connect, local_api):
        connect(host=local_api.url)
        local_api.answer(json_body={"id": "u1"})
        transport = Transport()

        for _ in range(2):
            with ProlificHook(transport=transport) as hook:
                hook.get_user()
        transport.close()

        assert len({asked.client_port for asked in local_api.asked}) == 1

    def test_limits_and_retries_are_those_that_are_given(self, connect, local_api, pauses):
        connect(host=local_api.url)
        local_api.answer(503, times=2)
        local_api.answer(json_body={"text": "x" * 100})
        hook = ProlificHook(max_retries=1, limits=Limits(body_bytes=50))

        with pytest.raises(ProlificApiError):
            hook.get_user()
        with pytest.raises(ProlificResponseError, match=r"^the answer is larger than"):
            hook.get_user()
        assert len(local_api.asked) == 4

    @pytest.mark.parametrize("again", [lambda hook: pickle.loads(pickle.dumps(hook)), copy.deepcopy, copy.copy])
    def test_a_copy_of_it_works_and_has_no_token_with_it(self, connect, local_api, pauses, token, again):
        connect(host=local_api.url)
        local_api.answer(503)
        hook = ProlificHook(max_retries=1, limits=Limits(outage_seconds=7))
        with pytest.raises(ProlificApiError):
            hook.get_user()

        copied = again(hook)

        assert token.encode() not in pickle.dumps(copied, 0)
        assert (copied.prolific_conn_id, copied.max_retries, copied.limits) == (
            "prolific_default",
            1,
            Limits(outage_seconds=7),
        )
        with pytest.raises(ProlificApiError):
            copied.get_user()
        assert len(local_api.asked) == 4

    def test_nothing_about_it_shows_the_token(self, api, hook, token):
        api.get(USER_URL, json={"id": "u1"})
        hook.get_user()

        assert token not in repr((hook, vars(hook), vars(hook.get_conn())))
        assert token not in repr(vars(hook._client))


class TestTestConnection:
    @pytest.mark.parametrize(
        ("user", "who"),
        [
            ({"id": "u1", "email": "ada@example.org"}, "ada@example.org"),
            ({"id": "u1"}, "u1"),
            ({"id": "u1\nforged"}, "u1 forged"),
        ],
    )
    def test_a_good_connection_tells_whose_the_token_is(self, api, hook, workspace, user, who):
        api.get(USER_URL, json=user)
        api.get(GROUPS_URL, json={"results": [{"id": "g1", "name": "A"}]})

        assert hook.test_connection() == (True, f"Connected as {who}; workspace {workspace}: 1 participant group")

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            ({"workspace_id": "w1"}, "workspace w1: 2 participant groups"),
            ({"project_id": "p1"}, "project p1: 2 participant groups"),
            ({}, 'no default scope, so each task must name one: filter={"workspace_id": …}'),
        ],
    )
    def test_it_tells_how_many_groups_the_default_scope_has(self, api, connect, extra, words):
        connect(extra=extra)
        api.get(USER_URL, json={"id": "u1"})
        api.get(GROUPS_URL, json={"results": [{"id": "g1", "name": "A"}, {"id": "g2", "name": "B"}]})

        assert ProlificHook().test_connection() == (True, f"Connected as u1; {words}")

    @pytest.mark.parametrize("key", ["workspace_id", "project_id"])
    def test_an_unknown_scope_is_told_with_the_field_to_check(self, api, connect, key):
        connect(extra={key: "w1"})
        api.get(USER_URL, json={"id": "u1"})
        api.get(GROUPS_URL, status=404, json={"detail": "Not found"})

        assert ProlificHook().test_connection() == (
            False,
            (
                f"check {SCOPE_LABELS[key]} w1: this does not exist, or the API token of this connection has no access "
                "to it (404 from GET /api/v1/participant-groups/): Not found"
            ),
        )

    @pytest.mark.parametrize(("key", "endpoint"), [("workspace_id", "workspaces/w1/"), ("project_id", "projects/w1/")])
    @pytest.mark.parametrize(
        ("status", "works", "words"),
        [(200, True, "Connected as u1; {}: 0 participant groups"), (404, False, "check {}: this does not exist, or ")],
    )
    def test_a_scope_without_groups_is_told_from_an_unknown_one(
        self, api, connect, key, endpoint, status, works, words
    ):
        connect(extra={key: "w1"})
        api.get(USER_URL, json={"id": "u1"})
        api.get(GROUPS_URL, json={"results": []})
        api.get(f"https://api.prolific.com/api/v1/{endpoint}", status=status, json={})

        result, message = ProlificHook().test_connection()

        assert result is works
        label = key.removesuffix("_id") if works else SCOPE_LABELS[key]
        assert message.startswith(words.format(f"{label} w1"))

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            ({"workspace_id": "w1", "project_id": "p1"}, "this connection has both a Workspace ID and a Project ID"),
            ({"worspace_id": "w1"}, "this connection: its Extra Fields have the unknown key 'worspace_id': "),
            ({"workspace_id": "w1", "note": "ours"}, "this connection: its Extra Fields have the unknown key 'note': "),
            ({"workspace_id": "a b"}, "this connection: Workspace ID must be an id"),
        ],
    )
    def test_extra_fields_that_cannot_be_right_are_told_in_words(self, api, connect, extra, words):
        connect(extra=extra)
        api.get(USER_URL, json={"id": "u1"})

        works, message = ProlificHook().test_connection()

        assert works is False
        assert message.startswith(words)

    def test_a_wrong_token_is_told_in_words(self, api, hook):
        api.get(USER_URL, status=401, json={"detail": "Invalid token."})

        works, message = hook.test_connection()

        assert works is False
        assert message == (
            "the API token of this connection is wrong or was deleted (401 from GET /api/v1/users/me/): Invalid token."
        )

    def test_nobody_waits_for_repeats(self, api, connection, pauses):
        api.get(USER_URL, status=503)

        assert ProlificHook().test_connection()[0] is False
        assert pauses == []

    def test_a_connection_that_cannot_be_used_is_told_in_words(self, connect):
        connect(password="")

        works, message = ProlificHook().test_connection()

        assert works is False
        assert message.startswith("this connection has no API token")

    def test_a_connection_that_does_not_exist_is_told_in_words(self):
        works, message = ProlificHook("nobody").test_connection()

        assert works is False
        assert message.startswith("this connection cannot be read: ")

    def test_a_server_that_is_not_there_is_told_in_words(self, connect):
        connect(host="http://127.0.0.1:1")

        assert ProlificHook().test_connection() == (
            False,
            (
                "Prolific cannot be reached: Connection refused; check Base URL and Port of the connection "
                "(GET /api/v1/users/me/)"
            ),
        )

    @pytest.mark.parametrize("answer", [{}, [], None, "ada", {"id": None}, {"email": "ada@example.org"}])
    def test_an_answer_without_a_user_is_not_a_good_connection(self, api, hook, answer):
        api.get(USER_URL, body=json.dumps(answer))

        works, message = hook.test_connection()

        assert works is False
        assert message.startswith("the answer is not a user: ")

    @pytest.mark.parametrize("echo", ["{}", "Token {}"])
    def test_an_answer_with_the_token_in_it_is_not_shown(self, api, hook, token, echo):
        api.get(USER_URL, json={"id": "u1", "email": echo.format(token)})

        works, message = hook.test_connection()

        assert works is False
        assert token not in message


class TestRequest:
    def test_any_endpoint_can_be_called(self, connect, local_api):
        connect(host=local_api.url)
        local_api.answer(json_body={"id": "s1"})

        answer = ProlificHook().request("PATCH", "/api/v1/studies/s1/", params={"on": True}, json={"name": "Wave 2"})

        assert answer == {"id": "s1"}
        [asked] = local_api.asked
        assert (asked.method, asked.target) == ("PATCH", "/api/v1/studies/s1/?on=true")
        assert json.loads(asked.body) == {"name": "Wave 2"}

    @pytest.mark.parametrize(("method", "times"), [("GET", 3), ("HEAD", 3), ("POST", 1), ("DELETE", 1)])
    def test_reading_is_repeated_and_changing_is_not(self, connect, local_api, pauses, method, times):
        connect(host=local_api.url)
        local_api.answer(cut="before")

        with pytest.raises(ProlificConnectionError):
            ProlificHook(max_retries=2).request(method, "/api/v1/studies/")

        assert len(local_api.asked) == times
