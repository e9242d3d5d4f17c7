"""What a connection says: read and checked; no refusal shows what may be a token in the wrong field."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.hooks.connection import SCOPE_LABELS, ConnectionSettings


class Connection(SimpleNamespace):
    @property
    def extra_dejson(self):
        return json.loads(self.extra or "{}")


def read(*, extra=None, **fields):
    known = {"conn_id": "c", "host": None, "port": None, "password": "token-that-nobody-may-see"}
    extra = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
    return ConnectionSettings.read(Connection(**known | fields, extra=extra))


def refusal(**fields):
    with pytest.raises(ProlificValueError) as failure:
        read(**fields)
    assert str(failure.value).startswith("connection 'c'")
    assert str(failure.value).isprintable()
    return str(failure.value)


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("fields", "base_url"),
        [
            ({}, "https://api.prolific.com"),
            ({"host": ""}, "https://api.prolific.com"),
            ({"host": "  "}, "https://api.prolific.com"),
            ({"host": "api.example.org"}, "https://api.example.org"),
            ({"host": " https://api.example.org/\n"}, "https://api.example.org"),
            ({"host": "HTTPS://API.example.org"}, "https://api.example.org"),
            ({"host": "https://api.example.org:8443"}, "https://api.example.org:8443"),
            ({"host": "api.example.org:8443"}, "https://api.example.org:8443"),
            ({"host": "api.example.org", "port": 8443}, "https://api.example.org:8443"),
            ({"host": "api.example.org", "port": 0}, "https://api.example.org"),
            ({"host": "https://api.example.org:8443", "port": 8443}, "https://api.example.org:8443"),
            ({"port": 8443}, "https://api.prolific.com:8443"),
            ({"host": "https://prolific"}, "https://prolific"),
            ({"host": "https://192.0.2.7"}, "https://192.0.2.7"),
            ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
            ({"host": "http://127.0.0.1", "port": 8080}, "http://127.0.0.1:8080"),
            ({"host": "http://localhost:8080"}, "http://localhost:8080"),
            ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ],
    )
    def test_it_is_read_from_host_and_port(self, fields, base_url):
        assert read(**fields).base_url == base_url

    @pytest.mark.parametrize(
        "host",
        [
            *("ftp://api.prolific.com", "file:///etc/passwd", "https:\\\\api.prolific.com", "https://", "https:///"),
            *("https://api.prolific.com/api", "api.prolific.com/api/v1/", "https://api.prolific.com//"),
            *("https://api.prolific.com?x=1", "https://api.prolific.com/?", "https://api.prolific.com#x"),
            *("https://user@api.prolific.com", "https://user:pass@api.prolific.com", "https://api.prolific.com@evil"),
            *("https://api.prolific.com\\evil.example", "https://api.prolific.com\\@evil.example", "not a host"),
            *("api..prolific.com", "-api.prolific.com", "api.prolific.com\x00", "api.prölific.com", "https://[::1"),
            *(
                "https://api.prolific.com:port",
                "https://api.prolific.com:99999",
                "https://api.prolific.com:",
                "x" * 300,
            ),
        ],
    )
    def test_what_is_not_one_is_refused_with_an_example(self, host):
        assert refusal(host=host) == (
            "connection 'c': Base URL must be an address like https://api.prolific.com, without user name, path or "
            "query. Leave it empty for Prolific. The token belongs in the field API token"
        )

    @pytest.mark.parametrize(
        "host",
        [
            *("http://api.prolific.com", "http://192.0.2.7", "http://127.0.0.1.example.org", "http://0.0.0.0"),
            *("http://localhost.example.org", "http://[::ffff:192.0.2.7]"),
        ],
    )
    def test_the_token_is_not_sent_to_another_machine_in_clear_text(self, host):
        assert "Base URL must begin with https://, because http:// would send the token in clear text" in refusal(
            host=host
        )

    def test_two_ports_are_refused(self):
        assert refusal(host="https://a.example:8443", port=9443) == (
            "connection 'c': Base URL has port 8443, but Port is 9443: write 8443 into Port, too"
        )

    @pytest.mark.parametrize("port", [70_000, -1])
    def test_a_port_that_does_not_exist_is_refused(self, port):
        assert f"Port must be from 1 to 65535, not {port}" in refusal(port=port)

    @pytest.mark.parametrize(
        "form",
        [
            *("{}", "{}:443", "{}@api.prolific.com", "https://{}@api.prolific.com", "https://user:{}@api.prolific.com"),
            *("https://user:p/{}@api.prolific.com", "https://api.prolific.com/{}", "https://api.prolific.com?token={}"),
            *(
                "https://api.prolific.com#{}",
                "Token {}",
                "http://{}",
                "ftp://{}",
                "https://api.prolific.com:{}",
                "{}\n{}",
            ),
        ],
    )
    @pytest.mark.parametrize("token", ["bK7x2QwZ81mNpR4tYvLs", "bK7-x2QwZ_81.mNpR4t=", "12345678901234567890"])
    def test_a_token_in_the_host_field_is_refused_and_not_shown(self, form, token):
        message = refusal(host=form.replace("{}", token))

        assert not any(token[start : start + 4].lower() in message.lower() for start in range(len(token) - 3))

    @given(st.text(max_size=20) | st.from_regex(r"(https?://)?[a-z0-9.:@/\[\]-]{1,20}", fullmatch=True))
    def test_any_text_is_a_base_url_or_refused(self, host):
        try:
            settings = read(host=host)
        except ProlificValueError:
            return
        scheme, _, rest = settings.base_url.partition("://")
        assert scheme in ("https", "http")
        assert rest
        assert not set(rest) & set("/?#@\\ ")


class TestToken:
    def test_white_space_around_it_is_dropped(self):
        assert read(password=" token-that-nobody-may-see\n").token == "token-that-nobody-may-see"

    @pytest.mark.parametrize("password", [None, "", "  \n"])
    def test_a_missing_one_is_refused_with_the_place_where_it_belongs(self, password):
        assert "connection 'c' has no API token: make one in Prolific" in refusal(password=password)

    @pytest.mark.parametrize(
        "password", ["Token SECRETPART", "SECRET\nPART", "SECRET\r\nX-Header: PART", "SECRET\x00PART", "SECRETPÄRT"]
    )
    def test_what_no_token_has_is_refused_and_not_shown(self, password):
        message = refusal(password=password)

        assert "connection 'c': API token has spaces or other characters that are not allowed: " in message
        assert "SECRET" not in message

    def test_settings_do_not_show_it(self):
        assert "token-that-nobody-may-see" not in repr(read())


class TestScope:
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
    def test_it_is_the_one_that_the_extra_fields_name(self, extra, scope):
        assert read(extra=extra).default_scope() == scope

    @pytest.mark.parametrize("extra", [None, {}, {"workspace_id": "", "project_id": None}])
    def test_without_one_the_error_says_where_to_set_it(self, extra):
        with pytest.raises(
            ProlificValueError, match=r"^no scope: pass filter=.* or set Workspace ID .* of connection 'c'$"
        ):
            read(extra=extra).default_scope()

    def test_without_one_a_mistyped_key_is_named(self):
        with pytest.raises(
            ProlificValueError,
            match=r"of connection 'c'; its Extra Fields have the unknown key 'worspace_id': the known",
        ):
            read(extra={"worspace_id": "w1"}).default_scope()

    def test_the_prefixed_keys_of_airflow_2s_form_are_not_unknown(self):
        extra = {"workspace_id": "w1", "extra__prolific__workspace_id": "w1", "extra__prolific__project_id": ""}

        assert read(extra=extra).unknown_keys == ()

    def test_beside_one_another_key_does_no_harm(self):
        settings = read(extra={"workspace_id": "w1", "note": "ours"})

        assert (settings.default_scope(), settings.unknown_keys) == (("workspace_id", "w1"), ("note",))

    def test_of_two_none_is_chosen(self):
        settings = read(extra={"workspace_id": "w1", "project_id": "p1"})

        with pytest.raises(ProlificValueError, match=r"^connection 'c' has both a Workspace ID and a Project ID"):
            settings.default_scope()

    def test_a_workspace_is_read_beside_a_project(self):
        assert read(extra={"workspace_id": "w1", "project_id": "p1"}).default_workspace_id() == "w1"

    @pytest.mark.parametrize("extra", [{}, {"project_id": "p1"}])
    def test_without_a_workspace_the_error_says_where_to_set_it(self, extra):
        with pytest.raises(
            ProlificValueError,
            match=r"^no workspace: pass workspace_id, or set Workspace ID in the Extra Fields of connection 'c'",
        ):
            read(extra=extra).default_workspace_id()

    @pytest.mark.parametrize("key", ["workspace_id", "project_id"])
    @pytest.mark.parametrize("scope_id", ["a/b", "a b", 7, ["w1"], False])
    def test_what_is_not_an_id_is_refused_by_its_field(self, key, scope_id):
        assert f"connection 'c': {SCOPE_LABELS[key]} must be an id" in refusal(extra={key: scope_id})

    @pytest.mark.parametrize("extra", [["w1"], "w1", 7, True, "{broken"])
    def test_extra_fields_that_are_not_a_json_object_are_refused(self, extra):
        extra = extra if extra == "{broken" else json.dumps(extra)

        assert "Extra Fields must be a JSON object with workspace_id or project_id" in refusal(extra=extra)
