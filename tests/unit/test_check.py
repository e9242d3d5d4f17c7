"""The check before the first real run: what it makes of each answer, and what it never does or says."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.check import __main__ as program
from airflow_provider_prolific.check import probe as probing
from airflow_provider_prolific.check.participant_groups import FAR_OFFSET, GROUPS, NOBODYS_ID
from airflow_provider_prolific.check.probe import USER, Probe, Unclear
from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificResponseError,
    ProlificValueError,
)

WORKSPACE = "64a000000000000000000001"
LIVE = [f"64e00000000000000000000{number}" for number in (1, 2)]
DELETED = "64e000000000000000000009"
REFUSED = {"error_code": 140404, "title": "Not Found", "detail": "There is nothing."}


def refusal(status=404, **fields):
    return ProlificApiError("secret words", status, **{**REFUSED, **fields})


class Prolific:
    """A hook whose API is exactly as assumed; ``change`` gives other answers."""

    def __init__(self, group):
        self.rows = [group(group_id, "Hidden name") for group_id in LIVE] + [group(DELETED, is_deleted=True)]
        self.largest_page = 200
        self.asked = []
        self._changes = []

    def default_scope(self):
        return "workspace_id", WORKSPACE

    def change(self, answer, endpoint=GROUPS, **params):
        """Answer requests with these parameters by a value, an error, or what a function makes of the right page."""
        self._changes.append((endpoint, params, answer))

    def request(self, method, endpoint, *, params=None, json=None):
        assert (method, json) == ("GET", None)
        self.asked.append((endpoint, dict(params or {})))
        answer = self._right_answer(endpoint, params or {})
        for changed, needed, other in self._changes:
            if endpoint == changed and needed.items() <= (params or {}).items():
                if not callable(other):
                    answer = other
                elif not isinstance(answer, Exception):
                    answer = other(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _right_answer(self, endpoint, params):
        match endpoint.strip("/").split("/")[2:]:
            case ["users", "me"]:
                return {"id": "u1", "email": "somebody@example.com", "name": "Some Body"}
            case ["participant-groups", group_id]:
                return next((row for row in self.rows if row["id"] == group_id), refusal())
        if NOBODYS_ID in params.values():
            return refusal()
        rows = [row for row in self.rows if params.get("active") in (None, str(not row["is_deleted"]).lower())]
        offset, limit = params.get("offset", 0), min(params["limit"], self.largest_page)
        following = "https://internal.invalid/" if offset + limit < len(rows) else None
        return {
            "results": rows[offset : offset + limit],
            "meta": {"count": len(rows)},
            "_links": {"next": {"href": following}},
        }


@pytest.fixture
def prolific(group):
    return Prolific(group)


def find(prolific):
    """Return what was found, by the titles."""
    return dict(program.examine(Probe(prolific)))


def found(prolific, title):
    [finding] = [finding for name, finding in find(prolific).items() if title in name]
    return finding


def each_row(**fields):
    """Return a change of a listing's rows; fields that are ``...`` are left out."""

    def change(page):
        rows = [{**row, **fields} for row in page["results"]]
        rows = [{name: value for name, value in row.items() if value is not ...} for row in rows]
        return {**page, "results": rows}

    return change


def without(*keys):
    return lambda page: {key: value for key, value in page.items() if key not in keys}


def test_an_api_as_assumed_has_no_differences(prolific):
    words = {title: finding.words for title, finding in find(prolific).items()}

    assert [title for title, text in words.items() if not text.startswith("as assumed")] == [
        "a page has up to 200 rows"
    ]
    assert words["a page has up to 200 rows"] == "could not tell: all groups fit into one page"


def test_no_question_is_asked_twice_and_there_are_at_most_twenty(prolific):
    prolific.rows = prolific.rows * 70
    prolific.change(without("meta", "_links"))
    find(prolific)

    assert len(prolific.asked) == len({repr(asked) for asked in prolific.asked}) <= 20


def test_it_stops_at_the_limit_of_calls(prolific, monkeypatch):
    monkeypatch.setattr(probing, "MAX_CALLS", 5)
    findings = find(prolific)

    assert len(prolific.asked) == 5
    assert findings["pages have metadata"].words.startswith("could not tell: the calls or the time")


def test_it_stops_at_the_limit_of_time(prolific, monkeypatch):
    monkeypatch.setattr(probing, "MAX_SECONDS", -1)

    with pytest.raises(Unclear, match="the time of this check"):
        find(prolific)
    assert prolific.asked == []


@pytest.mark.parametrize(
    ("title", "change", "words", "matters"),
    [
        ("token", (lambda _: {"email": "x"}, USER), "the account has no id", True),
        ("token", ({"id": "u", "user_type": "PARTICIPANT"}, USER), "it belongs to a participant", True),
        ("can be listed", (refusal(403), GROUPS), "refused with 403", True),
        ("can be listed", ({"results": None}, GROUPS), "the answer cannot be read", True),
        ("can be listed", (each_row(workspace_id="other"), GROUPS), "groups of another scope came", True),
        ("active=true", (refusal(400), GROUPS, ("active", "true")), "it is refused", True),
        ("active=true", (each_row(is_deleted=...), GROUPS), "as assumed", False),
        ("active=true", (each_row(is_deleted=False), GROUPS, ("active", "false")), "it is ignored", False),
        ("active=true", ({"results": []}, GROUPS, ("active", "true")), "active=true leaves out live groups", True),
        ("deleted", (each_row(is_deleted=...), GROUPS), "rows do not say is_deleted", True),
        ("deleted", (refusal(), f"{GROUPS}{DELETED}/"), "listed, but alone it is refused with 404", False),
        ("deleted", ({"id": DELETED}, f"{GROUPS}{DELETED}/"), "listed, but alone it does not say", False),
        ("metadata", (without("meta", "_links"), GROUPS), "there is none", False),
        ("metadata", (without("meta"), GROUPS), "there is no count", False),
        ("metadata", (without("_links"), GROUPS), "no next page is named", False),
        ("metadata", ({"results": [], "meta": {"count": "3"}}, GROUPS, ("limit", 1)), "not of a known kind", True),
        ("metadata", (lambda page: {**page, "_links": {"next": None}}, GROUPS), "promises more than the links", True),
        ("after", (refusal(404), GROUPS, ("offset", FAR_OFFSET)), "as assumed (404)", False),
        ("after", (refusal(400), GROUPS, ("offset", FAR_OFFSET)), "refused with 400", False),
        ("after", ({"results": [{}]}, GROUPS, ("offset", FAR_OFFSET)), "it brings rows", False),
        ("slash", (refusal(301), GROUPS.rstrip("/")), "refused with 301", False),
        ("fields", (each_row(feeder_studies=..., description=...), GROUPS), "lack description, feeder_studies", False),
        ("fields", (each_row(participant_count=None), GROUPS), "some lack participant_count", True),
        ("fields", (each_row(name=None), GROUPS), "some lack name", True),
        ("does not exist", ({"id": "x"}, f"{GROUPS}{NOBODYS_ID}/"), "it is answered", True),
        ("does not exist", (refusal(403), f"{GROUPS}{NOBODYS_ID}/"), "refused with 403", False),
        ("errors", (refusal(error_code=None), f"{GROUPS}{NOBODYS_ID}/"), "some lack error_code", False),
    ],
)
def test_a_difference_is_told_and_whether_it_matters(prolific, title, change, words, matters):
    answer, endpoint, *params = change
    prolific.change(answer, endpoint, **dict(params))
    finding = found(prolific, title)

    assert words in finding.words
    assert finding.words.startswith("as assumed" if "as assumed" in words else "differs: ")
    assert finding.matters is matters


def test_an_ignored_active_matters_where_rows_do_not_say_that_they_are_deleted(prolific):
    everything = prolific.request("GET", GROUPS, params={"limit": 200})
    for active in ("true", "false"):
        prolific.change(everything, active=active)
    assert found(prolific, "active=true").matters is False

    prolific.change(each_row(is_deleted=...))
    assert found(prolific, "active=true").matters is True


def test_deleted_groups_that_only_active_false_lists_are_told(prolific):
    live = prolific.request("GET", GROUPS, params={"limit": 200, "active": "true"})
    prolific.change(live, limit=200, offset=0)
    prolific.change({"results": [prolific.rows[-1]]}, active="false")

    assert "only active=false lists them" in found(prolific, "deleted").words


def test_a_page_that_is_smaller_than_asked_for_is_told_with_its_size(prolific, group):
    prolific.rows = [group(f"{number:024}") for number in range(120)]
    prolific.largest_page = 50
    finding = found(prolific, "up to 200")

    assert finding == ("differs: 50 rows come. This package then continues after the rows that came.", False)


def test_a_promise_that_no_page_keeps_matters_and_tells_no_number(prolific):
    prolific.change(lambda page: {**page, "meta": {"count": 7777}})
    finding = found(prolific, "up to 200")

    assert finding == (
        "differs: fewer rows come than are promised. This package then refuses the listing.",
        True,
    )


def test_an_offset_that_leads_nowhere_matters(prolific):
    prolific.change(prolific.request("GET", GROUPS, params={"limit": 1}), limit=1, offset=1)

    assert found(prolific, "limit and offset").words.startswith("differs: offset leads to nothing new")
    assert found(prolific, "limit and offset").matters is True


def test_all_rows_at_once_are_a_whole_listing(prolific):
    prolific.change({"results": prolific.rows})

    assert found(prolific, "limit and offset").words.startswith("differs: all rows come at once")
    assert found(prolific, "limit and offset").matters is False


def test_a_scope_without_groups_tells_nothing_about_them(prolific):
    prolific.rows = []
    prolific.change({"results": []})
    findings = find(prolific)

    for title in ("scope counts, spelled flat", "active=true", "deleted", "limit and offset", "up to 200", "fields"):
        [words] = [finding.words for name, finding in findings.items() if title in name]
        assert words.startswith("could not tell: ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal(429), "could not tell: refused with 429"),
        (refusal(503), "could not tell: refused with 503"),
        (ProlificConnectionError("secret words"), "could not tell: no answer came"),
        (ProlificResponseError("secret words"), "could not tell: the answer cannot be read"),
    ],
)
def test_temporary_errors_and_unreadable_answers_tell_nothing(prolific, error, words):
    prolific.change(error, limit=1, offset=0)

    assert found(prolific, "metadata").words == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*LIVE, DELETED, WORKSPACE, "", "/../x"]) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "meta", "count", "_links", "next", "id", "name", "is_deleted", "user_type"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(answers=st.lists(JSON | st.integers(100, 599).map(refusal), min_size=2, max_size=20))
def test_no_answer_breaks_the_check_or_gets_into_its_words(answers):
    class Hostile:
        default_scope = staticmethod(lambda: ("workspace_id", WORKSPACE))
        given = iter([{"id": "u1"}, {"results": [{"id": LIVE[0]}]}, *answers * 10])

        def request(self, *_, **__):
            if isinstance(answer := next(self.given), Exception):
                raise answer
            return answer

    for _, finding in program.examine(Probe(Hostile())):
        assert re.fullmatch(r"(as assumed|differs: |could not tell: )[\x20-\x7e]*", finding.words)
        assert not re.search(r"64[ae]0", finding.words)


class TestProgram:
    @pytest.fixture(autouse=True)
    def _answers(self, api, prolific):
        def answer(request):
            url = urlsplit(request.url)
            params = {name: value for name, [value] in parse_qs(url.query).items()}
            params |= {name: int(params[name]) for name in ("limit", "offset") if name in params}
            try:
                return 200, {}, json.dumps(prolific.request(request.method, url.path, params=params))
            except ProlificApiError as error:
                document = {name: getattr(error, name) for name in ("error_code", "title", "detail")}
                return error.status_code, {}, json.dumps({"error": document})

        api.add_callback("GET", re.compile("https://api.prolific.com/"), answer)

    def test_nothing_that_matters_is_0(self, connection, capsys):
        assert program.main([]) == 0

        output = capsys.readouterr().out
        assert re.search(r"^  the token works  +as assumed", output, re.MULTILINE)
        assert output.endswith("Nothing differs in a way that matters.\n")

    def test_something_that_matters_is_1_and_is_marked(self, connection, prolific, capsys):
        prolific.change(each_row(participant_count=...))

        assert program.main([]) == 1
        assert re.search(r"^! rows have all documented fields  +differs: ", capsys.readouterr().out, re.MULTILINE)

    def test_another_connection_can_be_named(self, connect):
        connect("other", extra={"workspace_id": WORKSPACE})

        assert program.main(["other"]) == 0

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({}, "does not name one default scope"),
            ({"extra": {"workspace_id": "a b"}}, "cannot be used"),
            ({"password": "", "extra": {"workspace_id": WORKSPACE}}, "cannot be used"),
        ],
    )
    def test_a_connection_that_cannot_be_used_is_2(self, connect, prolific, capsys, fields, words):
        connect(**fields)

        assert program.main([]) == 2
        out, err = capsys.readouterr()
        assert (out, words in err, prolific.asked) == ("", True, [])

    def test_a_refused_token_is_2(self, connection, prolific, capsys):
        prolific.change(refusal(401), USER)

        assert program.main([]) == 2
        assert capsys.readouterr() == (
            "",
            "The check could not run: refused with 401 (checked whether the token works)\n",
        )

    def test_nothing_is_logged_meanwhile_and_logging_works_again(self, connection, prolific, caplog):
        def answer(page):
            logging.getLogger("urllib3").error("a URL")
            return page

        prolific.change(answer)
        program.main([])

        assert caplog.text == ""
        assert logging.getLogger().isEnabledFor(logging.ERROR)


def test_a_hook_that_refuses_an_argument_is_no_crash(prolific):
    prolific.change(ProlificValueError("secret words"), f"{GROUPS}{DELETED}/")

    assert found(prolific, "deleted").words.startswith("could not tell: ")


def test_importing_it_loads_no_http_and_no_airflow():
    script = (
        "import sys, airflow_provider_prolific.check.__main__ as m; print({'requests', 'airflow'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "set()\n"
