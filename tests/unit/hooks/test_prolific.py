"""The hook: which requests it sends, which answers it believes, what it says when it cannot go on."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
import responses

from airflow_provider_prolific import __version__
from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.hooks import prolific
from airflow_provider_prolific.hooks.prolific import ProlificHook
from airflow_provider_prolific.version_compat import AirflowException

HOST = "https://api.prolific.com"
GROUPS_PATH = "/api/v1/participant-groups/"
GROUPS_URL = HOST + GROUPS_PATH
USER_URL = f"{HOST}/api/v1/users/me/"
ANYTHING = re.compile(".*")
#: Nothing listens here.
CLOSED_PORT = 1


@pytest.fixture
def hook(connection):
    """A hook that does not repeat its calls."""
    return ProlificHook(max_retries=0)


def query(request):
    return parse_qs(urlsplit(request.url).query, keep_blank_values=True)


class TestConnection:
    def test_the_json_form_of_the_environment_works(self, api, connect, token):
        connect(host="api.example.org", extra={"workspace_id": "w1"})
        api.get("https://api.example.org/api/v1/users/me/", json={"id": "u1"})

        hook = ProlificHook()

        assert hook.get_user() == {"id": "u1"}
        assert api.requests[0].headers["Authorization"] == f"Token {token}"
        assert hook.default_scope() == ("workspace_id", "w1")

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

    def test_a_port_of_zero_is_none(self, api, monkeypatch, token):
        monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", f"prolific://:{token}@api.example.org:0")
        api.get("https://api.example.org/api/v1/users/me/", json={"id": "u1"})

        assert ProlificHook.get_connection("prolific_default").port == 0
        assert ProlificHook().get_user() == {"id": "u1"}

    def test_a_connection_is_read_when_the_first_call_is_made(self, connect, api):
        hook = ProlificHook("later")
        connect("later")
        api.get(USER_URL, json={"id": "u1"})

        assert hook.get_user() == {"id": "u1"}

    @pytest.mark.parametrize(
        ("fields", "base_url"),
        [
            ({}, "https://api.prolific.com"),
            ({"host": None}, "https://api.prolific.com"),
            ({"host": "  "}, "https://api.prolific.com"),
            ({"host": "api.example.org"}, "https://api.example.org"),
            ({"host": " https://api.example.org/\n"}, "https://api.example.org"),
            ({"host": "HTTPS://API.example.org"}, "https://api.example.org"),
            ({"host": "https://api.example.org:8443"}, "https://api.example.org:8443"),
            ({"host": "api.example.org:8443"}, "https://api.example.org:8443"),
            ({"host": "api.example.org", "port": 8443}, "https://api.example.org:8443"),
            ({"host": "https://api.example.org:8443", "port": 8443}, "https://api.example.org:8443"),
            ({"port": 8443}, "https://api.prolific.com:8443"),
            ({"host": "https://192.0.2.7"}, "https://192.0.2.7"),
            ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
            ({"host": "http://127.0.0.1", "port": 8080}, "http://127.0.0.1:8080"),
            ({"host": "http://localhost:8080"}, "http://localhost:8080"),
            ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ],
    )
    def test_the_base_url_is_read_from_host_and_port(self, api, connect, fields, base_url):
        connect(**fields)
        api.get(ANYTHING, json={"id": "u1"})

        ProlificHook().get_user()

        assert api.requests[0].url == f"{base_url}/api/v1/users/me/"

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"host": "http://api.prolific.com"}, "clear text"),
            ({"host": "http://192.0.2.7"}, "clear text"),
            ({"host": "http://127.0.0.1.example.org"}, "clear text"),
            ({"host": "http://localhost.example.org"}, "clear text"),
            ({"host": "http://0.0.0.0"}, "clear text"),
            ({"host": "http://[::ffff:192.0.2.7]"}, "clear text"),
            ({"host": "ftp://api.prolific.com"}, "neither https nor http"),
            ({"host": "file:///etc/passwd"}, "neither https nor http"),
            ({"host": "https://api.prolific.com/api"}, "a path, a query or a fragment"),
            ({"host": "api.prolific.com/api/v1/"}, "a path, a query or a fragment"),
            ({"host": "https://api.prolific.com?x=1"}, "a path, a query or a fragment"),
            ({"host": "https://api.prolific.com/?"}, "a path, a query or a fragment"),
            ({"host": "https://api.prolific.com#x"}, "a path, a query or a fragment"),
            ({"host": "https://api.prolific.com/#"}, "a path, a query or a fragment"),
            ({"host": "https://user@api.prolific.com"}, "user name or password"),
            ({"host": "https://user:pass@api.prolific.com"}, "user name or password"),
            ({"host": "https://api.prolific.com@evil.example"}, "user name or password"),
            ({"host": "https://api.prolific.com\\evil.example"}, "no valid host name"),
            ({"host": "https://api.prolific.com\\@evil.example"}, ""),
            ({"host": "https:\\\\api.prolific.com"}, ""),
            ({"host": "https://"}, "no valid host name"),
            ({"host": "https:///"}, "no valid host name"),
            ({"host": "not a host"}, "no valid host name"),
            ({"host": "api..prolific.com"}, "no valid host name"),
            ({"host": "-api.prolific.com"}, "no valid host name"),
            ({"host": "api.prolific.com\x00"}, ""),
            ({"host": "api.prölific.com"}, "no valid host name"),
            ({"host": "https://[::1"}, "is not one"),
            ({"host": "https://api.prolific.com:port"}, "is not one"),
            ({"host": "https://api.prolific.com:99999"}, "is not one"),
            ({"host": "https://api.prolific.com:8443", "port": 9443}, "another port"),
            ({"port": 70000}, "port 70000"),
            ({"port": -1}, "port -1"),
        ],
        ids=str,
    )
    def test_a_host_that_is_no_base_url_is_refused_before_any_request(self, api, connect, token, fields, reason):
        connect(**fields)

        with pytest.raises(ProlificValueError) as refusal:
            ProlificHook().get_user()

        message = str(refusal.value)
        assert message.startswith("connection 'prolific_default': the host field must be a base URL like https://")
        assert reason in message
        assert message.isprintable()
        assert token not in message
        assert not api.requests

    @pytest.mark.parametrize(
        "host",
        [
            "https://{}@api.prolific.com",
            "https://user:{}@api.prolific.com",
            "{}@api.prolific.com",
            "https://user:p/{}@api.prolific.com",
        ],
    )
    def test_a_token_that_went_into_the_host_field_is_not_shown(self, connect, token, host):
        connect(host=host.format(token))

        with pytest.raises(ProlificValueError) as refusal:
            ProlificHook().get_user()

        assert token not in str(refusal.value)

    @pytest.mark.parametrize("password", [None, "", "  \n"])
    def test_a_missing_token_is_refused_with_the_place_where_it_belongs(self, connect, password):
        connect(password=password)

        with pytest.raises(
            ProlificValueError, match=r"^connection 'prolific_default' has no API token: put it into the password field"
        ):
            ProlificHook().get_user()

    @pytest.mark.parametrize(
        "password", ["Token SECRETPART", "SECRET\nPART", "SECRET\r\nX-Header: PART", "SECRET\x00PART", "SECRETPÄRT"]
    )
    def test_a_token_with_what_no_token_has_is_refused_and_not_shown(self, api, connect, password):
        connect(password=password)

        with pytest.raises(ProlificValueError) as refusal:
            ProlificHook().get_user()

        assert str(refusal.value).startswith("connection 'prolific_default': the API token in the password field has")
        assert "SECRET" not in str(refusal.value)
        assert not api.requests

    def test_white_space_around_a_token_is_dropped(self, api, connect, token):
        connect(password=f" {token}\n")
        api.get(USER_URL, json={"id": "u1"})

        ProlificHook().get_user()

        assert api.requests[0].headers["Authorization"] == f"Token {token}"

    @pytest.mark.parametrize("extra", [["w1"], "w1", 7, True])
    def test_an_extra_field_that_is_no_json_object_does_not_break_the_hook(self, connect, extra):
        connect(extra=json.dumps(extra))

        # Airflow 3.0 takes such a connection for none at all.
        refusal = r"connection 'prolific_default'.*workspace_id|The conn_id `prolific_default` isn't defined"
        with pytest.raises((ProlificValueError, AirflowException), match=refusal):
            ProlificHook().list_participant_groups()

    @pytest.mark.parametrize(
        ("extra", "scope"),
        [
            ({"workspace_id": "w1"}, ("workspace_id", "w1")),
            ({"project_id": "p1"}, ("project_id", "p1")),
            ({"workspace_id": " w1\n", "project_id": "  "}, ("workspace_id", "w1")),
            ({"workspace_id": None, "project_id": "p1"}, ("project_id", "p1")),
            ({"workspace_id": "", "project_id": "p1", "more": 1}, ("project_id", "p1")),
        ],
    )
    def test_the_default_scope_is_the_one_that_the_extra_fields_name(self, connect, extra, scope):
        connect(extra=extra)

        assert ProlificHook().default_scope() == scope

    @pytest.mark.parametrize("extra", [None, {}, {"workspace_id": "", "project_id": None}])
    def test_without_any_scope_the_error_says_where_to_set_it(self, api, connect, extra):
        connect(extra=extra)

        with pytest.raises(
            ProlificValueError,
            match=r"^no scope: pass filter=.* or set workspace_id .* of connection 'prolific_default'$",
        ):
            ProlificHook().list_participant_groups()
        assert not api.requests

    def test_two_scopes_are_refused_where_neither_is_chosen(self, api, connect):
        connect(extra={"workspace_id": "w1", "project_id": "p1"})

        with pytest.raises(
            ProlificValueError, match=r"^connection 'prolific_default' has both a workspace_id and a project_id"
        ):
            ProlificHook().list_participant_groups()
        assert not api.requests

    def test_a_filter_chooses_where_the_connection_has_two_scopes(self, api, connect):
        connect(extra={"workspace_id": "w1", "project_id": "p1"})
        api.lists()

        ProlificHook().list_participant_groups({"project_id": "p2"})

        assert query(api.requests[0])["project_id"] == ["p2"]

    @pytest.mark.parametrize("scope_id", ["a/b", "a b", 7, ["w1"], False])
    def test_a_default_scope_that_is_no_id_is_refused_by_its_field(self, connect, scope_id):
        connect(extra={"workspace_id": scope_id})

        with pytest.raises(
            ProlificValueError, match=r"^connection 'prolific_default': extra field workspace_id must be an id"
        ):
            ProlificHook().list_participant_groups()


class TestTestConnection:
    @pytest.mark.parametrize(
        ("user", "who"), [({"id": "u1", "email": "ada@example.org"}, "ada@example.org"), ({"id": "u1"}, "u1")]
    )
    def test_a_good_connection_tells_whose_the_token_is(self, api, hook, user, who):
        api.get(USER_URL, json=user)

        assert hook.test_connection() == (True, f"Connected to Prolific as {who}")

    def test_a_wrong_token_is_told_in_words(self, api, hook):
        api.get(USER_URL, status=401, json={"detail": "Invalid token."})

        works, message = hook.test_connection()

        assert works is False
        assert message == (
            "GET /api/v1/users/me/ was refused with 401 Unauthorized: Invalid token. "
            "(check the API token of this connection)"
        )

    def test_a_connection_that_cannot_be_used_is_told_in_words(self, connect):
        connect(password="")

        works, message = ProlificHook().test_connection()

        assert works is False
        assert "no API token" in message

    def test_a_connection_that_does_not_exist_is_told_in_words(self):
        works, message = ProlificHook("nobody_knows_me").test_connection()

        assert works is False
        assert "nobody_knows_me" in message

    def test_a_server_that_is_not_there_is_told_in_words(self, connect):
        connect(host=f"http://127.0.0.1:{CLOSED_PORT}")

        works, message = ProlificHook(max_retries=0).test_connection()

        assert works is False
        assert message.startswith("GET /api/v1/users/me/ got no answer: ")
        assert "refused" in message

    @pytest.mark.parametrize("answer", [{}, [], None, "ada", {"id": None}, {"email": "ada@example.org"}])
    def test_an_answer_without_a_user_is_no_good_connection(self, api, hook, answer):
        api.get(USER_URL, body=json.dumps(answer))

        works, message = hook.test_connection()

        assert works is False
        assert message.startswith("GET /api/v1/users/me/ answered without a user")


class TestRequests:
    def test_every_request_carries_the_token_and_says_who_is_asking(self, api, hook, token):
        api.lists()

        hook.list_participant_groups()

        headers = api.requests[0].headers
        assert headers["Authorization"] == f"Token {token}"
        assert headers["User-Agent"].startswith(f"airflow-provider-prolific/{__version__} ")
        assert headers["Accept"] == "application/json"

    def test_every_request_has_time_outs(self, api, hook):
        api.lists()

        hook.list_participant_groups()

        assert api.requests[0].req_kwargs["timeout"] == (10, 30)

    def test_a_body_is_sent_as_json(self, api, hook):
        api.post(f"{HOST}/api/v1/studies/", status=201, json={"id": "s1"})

        assert hook.request("POST", "/api/v1/studies/", json={"name": "Wave 2"}) == {"id": "s1"}
        assert json.loads(api.requests[0].body) == {"name": "Wave 2"}
        assert api.requests[0].headers["Content-Type"] == "application/json"

    def test_a_delete_carries_its_body_too(self, local_api):
        local_api.answer(204)

        assert ProlificHook().request("DELETE", "/api/v1/things/", json={"ids": ["a"]}) is None
        assert (local_api.asked[0].method, local_api.asked[0].body) == ("DELETE", b'{"ids": ["a"]}')

    def test_parameters_are_sent_as_the_api_writes_them(self, api, hook):
        api.get(f"{HOST}/api/v1/studies/", json={})

        hook.request("get", "/api/v1/studies/", params={"on": True, "off": False, "none": None, "n": 3, "t": "a b&c"})

        assert api.requests[0].method == "GET"
        assert parse_qsl(urlsplit(api.requests[0].url).query) == [
            *(("on", "true"), ("off", "false"), ("n", "3"), ("t", "a b&c"))
        ]

    def test_all_calls_of_a_hook_use_one_session(self, hook):
        assert hook.get_conn() is hook.get_conn()

    def test_all_calls_of_a_hook_use_one_connection_to_the_server(self, local_api):
        local_api.answer(json_body={"id": "u1"})
        hook = ProlificHook()

        hook.get_user()
        hook.get_user()

        assert len({asked.client_port for asked in local_api.asked}) == 1

    def test_a_closed_hook_can_be_used_again(self, local_api):
        local_api.answer(json_body={"id": "u1"})
        hook = ProlificHook()

        hook.get_user()
        hook.close()

        assert hook.get_user() == {"id": "u1"}

    def test_a_hook_that_was_never_used_can_be_closed(self):
        ProlificHook("nobody_knows_me").close()

    def test_nothing_about_a_hook_shows_the_token(self, api, hook, token):
        api.lists()
        hook.list_participant_groups()

        assert token not in repr(hook)
        assert token not in repr(vars(hook))
        assert token not in repr(vars(hook.get_conn()))

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(self, start_local_api, local_api, status):
        elsewhere = start_local_api()
        elsewhere.answer(json_body={"results": []})
        local_api.answer(status, headers={"Location": f"{elsewhere.url}{GROUPS_PATH}"})

        with pytest.raises(ProlificApiError, match=r"redirects are not followed") as refusal:
            ProlificHook().list_participant_groups()

        assert refusal.value.status_code == status
        assert len(local_api.asked) == 1
        assert not elsewhere.asked

    def test_a_netrc_file_does_not_replace_the_token(self, api, hook, token, tmp_path, monkeypatch):
        (tmp_path / "netrc").write_text("machine api.prolific.com login ada password other\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        api.lists()

        hook.list_participant_groups()

        assert api.requests[0].headers["Authorization"] == f"Token {token}"

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    def test_a_proxy_of_the_environment_does_not_get_what_is_sent_to_loopback(
        self, start_local_api, local_api, monkeypatch, variable
    ):
        proxy = start_local_api()
        proxy.answer(json_body={"id": "proxy"})
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, proxy.url)
        local_api.answer(json_body={"id": "u1"})

        assert ProlificHook().get_user() == {"id": "u1"}
        assert not proxy.asked


class TestPaths:
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
    def test_an_id_stays_one_segment_of_the_path_or_is_refused(self, local_api, group, hostile):
        local_api.answer(json_body=group())

        try:
            ProlificHook().get_participant_group(hostile)
        except ProlificValueError:
            assert not local_api.asked
        else:
            [asked] = local_api.asked
            segment = asked.target.removeprefix(GROUPS_PATH).removesuffix("/")
            assert asked.target == f"{GROUPS_PATH}{segment}/"
            assert not set(segment) & set("/?#\\")
            assert unquote(segment) == hostile

    @pytest.mark.parametrize("participant_group_id", [None, 7, ["g1"], {"id": "g1"}, b"g1"])
    def test_an_id_is_a_text(self, api, hook, participant_group_id):
        with pytest.raises(ProlificValueError, match=r"^participant_group_id must be an id"):
            hook.get_participant_group(participant_group_id)
        assert not api.requests

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
    def test_what_is_no_plain_path_of_the_api_is_refused_before_any_request(self, api, hook, endpoint):
        with pytest.raises(ProlificValueError, match=r"^endpoint must be a path of the API"):
            hook.request("GET", endpoint)
        assert not api.requests

    @pytest.mark.parametrize("endpoint", ["/api/v1/studies/", "/api/v1/studies", "/", "/api/v1/a.b/", "/api/v1/a%25b/"])
    def test_a_plain_path_goes_to_the_connections_host_as_it_is(self, local_api, endpoint):
        local_api.answer()

        ProlificHook().request("GET", endpoint)

        assert local_api.asked[0].target == endpoint


def serve_pages(api, rows, *, cap=200, describe=lambda offset, limit, total: {}):
    """Let the mocked API serve rows in pages, as many at a time as it likes, and say of paging what it likes."""

    def answer(request):
        asked = query(request)
        offset, limit = int(asked["offset"][0]), min(int(asked["limit"][0]), cap)
        page = {"results": rows[offset : offset + limit], **describe(offset, limit, len(rows))}
        return 200, {}, json.dumps(page)

    api.add_callback(responses.GET, GROUPS_URL, answer)


def next_link(offset, limit, total):
    more = offset + limit < total
    return {"_links": {"next": {"href": f"https://internal.invalid{GROUPS_PATH}?offset={offset}"} if more else None}}


PAGING = {
    "meta.count": lambda offset, limit, total: {"meta": {"count": total}},
    "meta.total": lambda offset, limit, total: {"meta": {"total": total}},
    "a null next": next_link,
    "a next without an address": lambda offset, limit, total: {
        "_links": {"next": {"href": "/somewhere" if offset + limit < total else None}}
    },
    "a next as text": lambda offset, limit, total: {"_links": {"next": "/x" if offset + limit < total else ""}},
    "count and next": lambda offset, limit, total: {"meta": {"count": total}, **next_link(offset, limit, total)},
}


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

        with pytest.raises(ProlificResponseError, match=r"'g2' of 'other': the scope was ignored$") as failure:
            hook.list_participant_groups({key: "asked"})

        assert failure.value.transient is False

    @pytest.mark.parametrize("key", ["workspace_id", "project_id"])
    def test_a_group_that_does_not_tell_its_scope_is_taken(self, api, hook, group, key):
        api.lists(group("g1", **{key: None}))

        assert len(hook.list_participant_groups({key: "asked"})) == 1

    @pytest.mark.parametrize("paging", PAGING.values(), ids=PAGING.keys())
    @pytest.mark.parametrize("cap", [200, 20])
    @pytest.mark.parametrize("count", [0, 1, 20, 21, 200, 201, 450])
    def test_every_page_is_read_however_the_api_pages(self, api, hook, group, paging, cap, count):
        rows = [group(f"g{number}") for number in range(count)]
        serve_pages(api, rows, cap=cap, describe=paging)

        assert hook.list_participant_groups() == rows
        assert len(api.requests) == max(1, -(-count // cap))

    @pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (199, 1), (200, 2), (201, 2), (400, 3)])
    def test_without_a_word_on_paging_a_page_shorter_than_the_limit_is_the_last(
        self, api, hook, group, count, requests
    ):
        rows = [group(f"g{number}") for number in range(count)]
        serve_pages(api, rows)

        assert hook.list_participant_groups() == rows
        assert [query(request)["offset"] for request in api.requests] == [
            [str(200 * number)] for number in range(requests)
        ]

    def test_a_server_without_paging_that_repeats_its_full_page_has_said_all(self, api, hook, group):
        rows = [group(f"g{number}") for number in range(200)]
        api.lists(*rows)

        assert hook.list_participant_groups() == rows
        assert len(api.requests) == 2

    def test_the_next_page_is_asked_for_at_the_connections_host_only(self, api, hook, group):
        rows = [group(f"g{number}") for number in range(60)]
        serve_pages(api, rows, cap=20, describe=next_link)

        hook.list_participant_groups()

        assert {request.url.split("?")[0] for request in api.requests} == {GROUPS_URL}

    def test_the_offset_grows_by_the_rows_received(self, api, hook, group):
        serve_pages(api, [group(f"g{number}") for number in range(45)], cap=20, describe=PAGING["meta.count"])

        hook.list_participant_groups()

        assert [query(request)["offset"] for request in api.requests] == [["0"], ["20"], ["40"]]

    def test_a_group_that_comes_twice_is_one(self, api, hook, group):
        api.lists(group("g1"), group("g2"), _links={"next": {"href": "/x"}})
        api.lists(group("g2", participant_count=7), group("g3"), _links={"next": None})

        found = hook.list_participant_groups()

        assert [one["id"] for one in found] == ["g1", "g2", "g3"]

    @pytest.mark.parametrize(
        "promise",
        [
            {"meta": {"count": 3}},
            {"meta": {"total": 3}},
            {"meta": {"count": 3}, "_links": {"next": None}},
            {"_links": {"next": {"href": "/more"}}},
        ],
        ids=str,
    )
    def test_a_partial_list_is_never_returned(self, api, hook, group, promise):
        api.lists(group("g1"), group("g2"), **promise)

        with pytest.raises(
            ProlificResponseError, match=r"brought 2 participant groups but promises (3|more)"
        ) as failure:
            hook.list_participant_groups()

        assert failure.value.transient is True

    def test_where_more_was_promised_a_second_listing_may_bring_it(self, api, hook, group):
        groups = [group("g1"), group("g2"), group("g3")]
        short = {"meta": {"count": 3}, "_links": {"next": None}}
        api.lists(*groups[:2], **short)
        api.lists(*groups, **short)

        assert hook.list_participant_groups() == groups
        assert len(api.requests) == 2

    def test_the_second_listing_does_not_mix_with_the_first(self, api, hook, group):
        api.lists(group("g1"), group("g2"), meta={"count": 3}, _links={"next": None})
        api.lists(group("g2"), group("g3"), meta={"count": 2}, _links={"next": None})

        assert [found["id"] for found in hook.list_participant_groups()] == ["g2", "g3"]

    def test_a_group_that_vanishes_between_two_pages_does_not_hide_another(self, api, hook, group):
        rows = [group(f"g{number}") for number in range(40)]
        api.lists(*rows[:20], meta={"count": 40})
        serve_pages(api, rows[1:], cap=20, describe=PAGING["meta.count"])

        assert {row["id"] for row in rows[1:]} <= {found["id"] for found in hook.list_participant_groups()}

    @pytest.mark.parametrize(
        "metadata",
        [
            {"meta": None},
            {"meta": []},
            {"meta": {"count": "2"}},
            {"meta": {"count": True}},
            {"meta": {"count": -1}},
            {"meta": {"count": 2.0}},
            {"_links": None},
            {"_links": []},
            {"_links": {}},
            {"_links": {"next": []}},
        ],
        ids=str,
    )
    def test_metadata_that_says_nothing_is_passed_over(self, api, hook, group, metadata):
        api.lists(group("g1"), group("g2"), **metadata)

        assert len(hook.list_participant_groups()) == 2

    @pytest.mark.parametrize(
        "page", [[], [{"id": "g1"}], None, "groups", 7, {}, {"results": None}, {"results": {}}, {"results": "g1"}]
    )
    def test_a_page_without_a_list_of_results_is_an_error(self, api, hook, page):
        api.get(GROUPS_URL, body=json.dumps(page))

        with pytest.raises(ProlificResponseError, match=r"without a list of results: ") as failure:
            hook.list_participant_groups()

        assert failure.value.transient is True

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"id": None}, "has no id"),
            ({"id": ""}, "has no id"),
            ({"id": 7}, "has no id"),
            ({"id": ["g1"]}, "has no id"),
            ({"name": None}, "has no name (id 'g2')"),
            ({"name": 7}, "has no name (id 'g2')"),
            ({"participant_count": None}, "has no participant_count (id 'g2')"),
            ({"participant_count": -1}, "has no participant_count (id 'g2')"),
            ({"participant_count": 1.0}, "has no participant_count (id 'g2')"),
            ({"participant_count": True}, "has no participant_count (id 'g2')"),
            ({"participant_count": "12"}, "has no participant_count (id 'g2')"),
            ({"participant_count": {}}, "has no participant_count (id 'g2')"),
            ({"is_deleted": "false"}, "has an is_deleted that is neither true nor false (id 'g2')"),
            ({"is_deleted": 0}, "has an is_deleted that is neither true nor false (id 'g2')"),
        ],
        ids=str,
    )
    def test_a_group_without_what_decisions_rest_on_is_an_error(self, api, hook, group, changes, problem):
        api.lists(group("g1"), {**group("g2"), **changes})

        with pytest.raises(ProlificResponseError) as failure:
            hook.list_participant_groups()

        assert str(failure.value) == f"GET {GROUPS_PATH} answered with a participant group that {problem}"

    @pytest.mark.parametrize("field", ["id", "name", "participant_count"])
    def test_a_group_that_lacks_a_field_is_an_error(self, api, hook, group, field):
        row = group("g1")
        del row[field]
        api.lists(row)

        with pytest.raises(ProlificResponseError, match=f"has no {field}"):
            hook.list_participant_groups()

    @pytest.mark.parametrize("row", [None, "g1", 7, [], True])
    def test_a_row_that_is_no_group_is_an_error(self, api, hook, row):
        api.lists(row)

        with pytest.raises(ProlificResponseError, match=r"a participant group that is no object$"):
            hook.list_participant_groups()


class TestOneGroup:
    def test_a_group_is_read_by_its_id(self, api, hook, group):
        api.get(f"{GROUPS_URL}g1/", json=group("g1", is_deleted=True))

        assert hook.get_participant_group("g1") == group("g1", is_deleted=True)

    def test_a_group_that_does_not_exist_is_an_error_with_a_hint(self, api, hook):
        api.get(f"{GROUPS_URL}g1/", status=404, json={"detail": "Not found."})

        with pytest.raises(ProlificApiError) as refusal:
            hook.get_participant_group("g1")

        assert str(refusal.value) == (
            f"GET {GROUPS_PATH}g1/ was refused with 404 Not Found: Not found. "
            "(it does not exist, or the token of connection 'prolific_default' has no access to its workspace)"
        )

    def test_what_is_no_group_is_an_error(self, api, hook):
        api.get(f"{GROUPS_URL}g1/", json={"results": []})

        with pytest.raises(ProlificResponseError, match=r"that has no id$"):
            hook.get_participant_group("g1")


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
        "Bad request: Unknown participant (error_code 140003)",
        id="wrapped",
    ),
    pytest.param(
        {"status": 400, "error_code": 140003, "title": "Bad request", "detail": "Unknown participant"},
        (140003, "Bad request", "Unknown participant"),
        "Bad request: Unknown participant (error_code 140003)",
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


class TestErrors:
    @pytest.mark.parametrize(("body", "fields", "reason"), ERROR_BODIES)
    def test_every_shape_of_a_refusal_is_understood(self, api, hook, body, fields, reason):
        api.get(GROUPS_URL, status=400, json=body)

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        error = refusal.value
        assert error.status_code == 400
        assert (error.error_code, error.title, error.detail) == fields
        assert str(error) == f"GET {GROUPS_PATH} was refused with 400 Bad Request" + (f": {reason}" if reason else "")

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("<html><head><title>502</title></head>\n<body><h1>Bad\n gateway</h1></body></html>", "502 Bad gateway"),
            ("plain text", "plain text"),
            ("", "an empty body"),
            ("<html></html>", "an empty body"),
            ("{broken", "{broken"),
            (b"\xff\xfe\x00", ""),
        ],
    )
    def test_a_refusal_that_is_no_json_is_told_without_its_mark_up(self, api, hook, body, reason):
        api.get(GROUPS_URL, status=502, body=body)

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        assert str(refusal.value).startswith(f"GET {GROUPS_PATH} was refused with 502 Bad Gateway: {reason}")

    @pytest.mark.parametrize(
        ("status", "hint"),
        [
            (401, "(check the API token of connection 'prolific_default')"),
            (403, "(the token of connection 'prolific_default' may have no access to this workspace)"),
            (404, "(it does not exist, or the token of connection 'prolific_default' has no access to its workspace)"),
        ],
    )
    def test_what_can_be_done_is_said(self, api, hook, status, hint):
        api.fails(status)

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        assert str(refusal.value).endswith(hint)

    def test_the_hint_stays_where_the_reason_is_long(self, api, hook):
        api.get(GROUPS_URL, status=401, json={"detail": "x" * 100_000})

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        assert len(str(refusal.value)) < 700
        assert str(refusal.value).endswith("(check the API token of connection 'prolific_default')")

    @pytest.mark.parametrize("detail", ["a\nb\r\nc", "a\x1b[31mb", {"a\n": ["b\n"]}, ["\x00"], "\u2028"])
    def test_a_refusal_is_one_printable_line(self, api, hook, detail):
        api.get(GROUPS_URL, status=400, json={"detail": detail})

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        assert str(refusal.value).isprintable()

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503, 504])
    def test_no_error_shows_the_token_and_each_tells_whether_it_may_pass(self, api, hook, token, status):
        api.fails(status, "nothing")

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        assert token not in repr((refusal.value, vars(refusal.value)))
        assert refusal.value.transient is (status == 429 or status >= 500)

    @pytest.mark.parametrize("status", [400, 401, 500])
    @pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
    def test_a_deeply_nested_refusal_is_still_a_refusal(self, api, hook, status, brackets):
        opening, closing = brackets
        for depth in (100, 300, 500, 700, 900, 100_000):
            api.get(GROUPS_URL, status=status, body=f'{{"detail": {opening * depth}1{closing * depth}}}')
            with pytest.raises(ProlificApiError):
                hook.list_participant_groups()

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("0", 0),
            ("7", 7),
            (" 7 ", 7),
            ("120", 120),
            ("121", 120),
            ("999999999999999999999", 120),
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
    def test_retry_after_is_read_from_what_can_be_understood(self, api, hook, header, seconds):
        api.get(GROUPS_URL, status=429, headers={} if header is None else {"Retry-After": header})

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        assert refusal.value.retry_after == seconds

    def test_retry_after_may_be_a_date(self, api, hook):
        at = datetime.now(UTC) + timedelta(seconds=60)
        api.get(GROUPS_URL, status=429, headers={"Retry-After": format_datetime(at, usegmt=True)})

        with pytest.raises(ProlificApiError) as refusal:
            hook.list_participant_groups()

        assert 50 < refusal.value.retry_after <= 60


class TestAnswers:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("", "an empty body"),
            ("<h1>Sign in</h1>", "Sign in"),
            ("{", "{"),
            ('{"results": [}', '{"results": [}'),
            (b"\xff", "�"),
            ("1" * 5000, "1"),
        ],
    )
    def test_an_answer_that_is_no_json_is_an_error_that_may_pass(self, api, hook, body, reason):
        api.get(GROUPS_URL, body=body)

        with pytest.raises(ProlificResponseError) as failure:
            hook.list_participant_groups()

        assert str(failure.value).startswith(f"GET {GROUPS_PATH} answered 200, but not with JSON: {reason}")
        assert len(str(failure.value)) < 400
        assert failure.value.transient is True

    @pytest.mark.parametrize("depth", [500, 900, 5000, 500_000])
    def test_a_deeply_nested_answer_is_an_error_that_may_pass(self, api, hook, depth):
        api.get(GROUPS_URL, body="[" * depth + "]" * depth)

        with pytest.raises(ProlificResponseError) as failure:
            hook.list_participant_groups()

        assert failure.value.transient is True

    def test_an_answer_without_content_is_none(self, api, hook):
        api.delete(f"{GROUPS_URL}g1/", status=204)

        assert hook.request("DELETE", f"{GROUPS_PATH}g1/") is None

    def test_an_answer_that_is_too_large_is_an_error(self, api, hook, monkeypatch):
        monkeypatch.setattr(prolific, "MAX_BODY_BYTES", 2**20)
        api.get(GROUPS_URL, body=b" " * (2**20 + 1))

        with pytest.raises(ProlificResponseError, match=r"^GET .* answered with more than 1 MiB$"):
            hook.list_participant_groups()

    def test_an_answer_of_the_largest_size_is_read(self, api, hook, monkeypatch):
        monkeypatch.setattr(prolific, "MAX_BODY_BYTES", 2**20)
        api.get(GROUPS_URL, body=b'{"results": []}'.ljust(2**20))

        assert hook.list_participant_groups() == []

    def test_an_answer_that_trickles_for_too_long_is_an_error_that_may_pass(self, api, hook, monkeypatch):
        monkeypatch.setattr(prolific, "BODY_TIMEOUT_SECONDS", -1)
        api.lists()

        with pytest.raises(ProlificConnectionError, match=r"was still answering after"):
            hook.list_participant_groups()

    @pytest.mark.parametrize("json_body", [float("nan"), {"a": float("inf")}, {"a": object()}, {1, 2}])
    def test_a_body_that_is_no_json_is_an_error_of_the_caller_not_of_the_network(self, api, hook, json_body):
        with pytest.raises((ProlificValueError, TypeError, ValueError)):
            hook.request("POST", "/api/v1/studies/", json=json_body)
        assert not api.requests


class TestRetries:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_a_get_is_repeated_after_what_may_pass(self, local_api, pauses, status):
        local_api.answer(status)
        local_api.answer(json_body={"id": "u1"})

        assert ProlificHook().get_user() == {"id": "u1"}
        assert len(local_api.asked) == 2

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422, 501])
    def test_a_get_is_not_repeated_after_what_will_not(self, local_api, pauses, status):
        local_api.answer(status)

        with pytest.raises(ProlificApiError) as refusal:
            ProlificHook().get_user()

        assert refusal.value.status_code == status
        assert len(local_api.asked) == 1

    def test_after_the_last_repetition_the_refusal_itself_is_raised(self, local_api, pauses):
        local_api.answer(503, {"detail": "Down for maintenance"})

        with pytest.raises(ProlificApiError, match=r"503 .*: Down for maintenance") as refusal:
            ProlificHook(max_retries=2).get_user()

        assert refusal.value.status_code == 503
        assert len(local_api.asked) == 3

    def test_a_poller_does_not_repeat(self, local_api, pauses):
        local_api.answer(503)

        with pytest.raises(ProlificApiError):
            ProlificHook(max_retries=0).get_user()

        assert len(local_api.asked) == 1
        assert pauses == []

    def test_the_pause_grows(self, local_api, pauses):
        local_api.answer(503)

        with pytest.raises(ProlificApiError):
            ProlificHook(max_retries=5).get_user()

        assert len(local_api.asked) == 6
        growing = pauses[-4:]
        assert all(
            0.5 * expected <= pause <= 1.5 * expected for pause, expected in zip(growing, (1, 2, 4, 8), strict=True)
        )

    def test_two_pauses_are_not_alike(self, local_api, pauses):
        local_api.answer(503)

        for _ in range(3):
            with pytest.raises(ProlificApiError):
                ProlificHook(max_retries=2).get_user()

        assert len(set(pauses)) == len(pauses) > 1

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(("header", "pause"), [("7", 7), ("99999", 120)])
    def test_retry_after_is_honoured_up_to_a_ceiling(self, local_api, pauses, status, header, pause):
        local_api.answer(status, headers={"Retry-After": header})
        local_api.answer(json_body={"id": "u1"})

        ProlificHook().get_user()

        assert pauses == [pause]

    def test_retry_after_may_be_a_date(self, local_api, pauses):
        at = datetime.now(UTC) + timedelta(seconds=60)
        local_api.answer(429, headers={"Retry-After": format_datetime(at, usegmt=True)})
        local_api.answer(json_body={"id": "u1"})

        ProlificHook().get_user()

        [pause] = pauses
        assert 50 < pause <= 60

    @pytest.mark.parametrize("header", ["soon", "-5", "", "1.5"])
    def test_a_retry_after_that_says_nothing_is_passed_over(self, local_api, pauses, header):
        local_api.answer(429, headers={"Retry-After": header})
        local_api.answer(json_body={"id": "u1"})

        assert ProlificHook().get_user() == {"id": "u1"}
        assert sum(pauses) < 2

    @pytest.mark.parametrize("cut", ["before", "within"])
    def test_a_get_is_repeated_after_a_broken_connection(self, local_api, pauses, cut):
        local_api.answer(cut=cut)
        local_api.answer(json_body={"id": "u1"})

        assert ProlificHook().get_user() == {"id": "u1"}
        assert len(local_api.asked) == 2

    @pytest.mark.parametrize("cut", ["before", "within"])
    def test_a_connection_that_keeps_breaking_is_an_error_that_may_pass(self, local_api, pauses, token, cut):
        local_api.answer(cut=cut)

        with pytest.raises(ProlificConnectionError, match=r"^GET /api/v1/users/me/ got no answer: ") as failure:
            ProlificHook(max_retries=2).get_user()

        assert len(local_api.asked) == 3
        assert sum(pauses) >= 0.5  # before the second repetition
        assert str(failure.value).isprintable()
        assert token not in str(failure.value)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_any_call_is_repeated_where_no_connection_came_about(self, connect, pauses, method):
        connect(host=f"http://127.0.0.1:{CLOSED_PORT}")

        with pytest.raises(ProlificConnectionError, match=r"got no answer: .*refused"):
            ProlificHook(max_retries=4).request(method, "/api/v1/things/")

        assert len(pauses) == 3  # the first of the four repetitions needs no pause

    def test_a_poller_does_not_repeat_where_no_connection_came_about(self, connect, pauses):
        connect(host=f"http://127.0.0.1:{CLOSED_PORT}")

        with pytest.raises(ProlificConnectionError):
            ProlificHook(max_retries=0).get_user()

        assert pauses == []

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
    def test_a_call_that_is_not_safe_to_repeat_is_repeated_after_a_rate_limit(self, local_api, pauses, method):
        local_api.answer(429, headers={"Retry-After": "7"})
        local_api.answer(json_body={"done": True})

        assert ProlificHook().request(method, "/api/v1/things/", json={"a": 1}) == {"done": True}
        assert [asked.body for asked in local_api.asked] == [b'{"a": 1}'] * 2
        assert pauses == [7]

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    @pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}], ids=["", "Retry-After"])
    def test_a_call_that_is_not_safe_to_repeat_is_not_repeated_where_the_server_may_have_acted(
        self, local_api, pauses, method, status, headers
    ):
        local_api.answer(status, headers=headers)

        with pytest.raises(ProlificApiError):
            ProlificHook().request(method, "/api/v1/things/")

        assert len(local_api.asked) == 1
        assert pauses == []

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
    @pytest.mark.parametrize("cut", ["before", "within"])
    def test_a_call_that_is_not_safe_to_repeat_is_not_repeated_after_a_broken_connection(
        self, local_api, pauses, method, cut
    ):
        local_api.answer(cut=cut)

        with pytest.raises(ProlificConnectionError, match=f"^{method} /api/v1/things/ got no answer: "):
            ProlificHook().request(method, "/api/v1/things/")

        assert len(local_api.asked) == 1

    def test_a_repetition_after_a_broken_body_does_not_make_the_next_call_less_patient(self, local_api, pauses):
        local_api.answer(cut="within")
        local_api.answer(json_body={"id": "u1"})
        local_api.answer(503, times=2)
        local_api.answer(json_body={"id": "u2"})
        hook = ProlificHook(max_retries=2)

        assert hook.get_user() == {"id": "u1"}
        assert hook.get_user() == {"id": "u2"}

    def test_no_error_of_the_network_is_airflows_or_pythons(self, local_api, pauses):
        local_api.answer(cut="before")

        with pytest.raises(ProlificError):
            ProlificHook().request("POST", "/api/v1/things/")
