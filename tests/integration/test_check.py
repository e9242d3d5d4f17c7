"""The check before the first real run tells the truth about the emulator, whatever it is set to, and nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_prolific.check.__main__ import main
from airflow_provider_prolific.emulator import Emulator

#: What has no bearing on reading, so that no row is about it.
SETTINGS_OF_CHANGES = {"project_owner", "empty_description", "empty_success"}
SETTINGS = [
    ({}, {}),
    ({"paging": "count"}, {"metadata": "no next page is named"}),
    ({"paging": "links"}, {"metadata": "there is no count"}),
    ({"paging": "bare"}, {"metadata": "there is none"}),
    ({"paging": "none"}, {"metadata": "there is none", "limit and offset": "all rows come at once", "after": "rows"}),
    ({"max_limit": 3}, {"up to 200 rows": "3 rows come"}),
    ({"max_limit": 3, "paging": "bare"}, {"up to 200 rows": "3 rows come", "metadata": "there is none"}),
    ({"past_end": "404"}, {}),
    ({"next_on_last_page": True}, {}),
    ({"unknown_scope": "empty"}, {}),
    ({"scope_spelling": "flat"}, {"in brackets": "alone it is "}),
    ({"scope_spelling": "brackets"}, {"flat": "alone it is "}),
    ({"ignore_active": True}, {"active=": "it is ignored"}),
    ({"slashless_get": False}, {"slash": "refused with 404"}),
    ({"tell_deleted": False}, {"deleted": "alone it does not say is_deleted"}),
    (
        {"ignore_scope": True},
        {"can be listed": "groups of another scope came", "flat": "ignored", "brackets": "ignored"},
    ),
]


@pytest.fixture
def check(prolific: Emulator, capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[int, str]]:
    """Run the check against the emulator as it is; return the exit code and the output, once that has no secret."""

    def run() -> tuple[int, str]:
        prolific.clear_requests()
        code = main([])
        requests = prolific.requests()
        assert {request["method"] for request in requests} <= {"GET"}
        assert len(requests) <= 20
        output = capsys.readouterr()
        assert_says_nothing_secret(output.out + output.err, prolific)
        return code, output.out

    return run


def assert_says_nothing_secret(output: str, prolific: Emulator) -> None:
    state = prolific.state()
    secrets = [*state["tokens"], *state["projects"][0].values(), "emulator-token", prolific.url]
    for entry in [*state["users"], *state["workspaces"], *prolific.groups()]:
        secrets += [entry[field] for field in ("id", "name", "email", "first_name", "last_name") if entry.get(field)]
    assert [secret for secret in secrets if secret in output] == []


def differences(output: str) -> dict[str, str]:
    rows = [line[2:].split("  ", 1) for line in output.splitlines() if "differs: " in line]
    return {title.strip(): words.strip() for title, words in rows}


@pytest.mark.parametrize(("settings", "expected"), SETTINGS, ids=[str(settings) for settings, _ in SETTINGS])
def test_it_tells_each_setting_of_the_emulator_and_no_other(
    prolific: Emulator, check: Callable[[], tuple[int, str]], settings: dict[str, object], expected: dict[str, str]
) -> None:
    prolific.set(**settings)
    code, output = check()
    found = differences(output)

    for title, words in expected.items():
        assert [words in text for name, text in found.items() if title in name] == [True], output
    assert len(found) == len(expected), output
    assert code == ("ignore_scope" in settings)
    assert output.count("\n! ") == ("ignore_scope" in settings)


def test_every_setting_has_its_test(prolific: Emulator) -> None:
    tested = {name for settings, _ in SETTINGS for name in settings}
    # What the emulator's studies do comes behind the settings of groups; the check asks for groups only.
    names = [*prolific.state()["settings"]]
    of_groups = {*names[: names.index("people")]} - {"page_overlap"}

    assert tested | SETTINGS_OF_CHANGES == of_groups


def test_the_page_size_is_seen_where_there_are_enough_groups(
    prolific: Emulator, check: Callable[[], tuple[int, str]]
) -> None:
    prolific.create_groups(250)

    code, output = check()
    assert (code, differences(output)) == (0, {})
    assert "could not tell" not in output


def test_a_project_can_be_the_scope(
    prolific: Emulator, check: Callable[[], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = prolific.state()["projects"][0]["id"]
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific.connection_json(project_id=project))

    code, output = check()
    assert (code, differences(output)) == (0, {})
    assert "deleted groups are listed and say so" in output
    assert "could not tell: there are no deleted groups" in output


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "retry_after": 3},
        {"kind": "html"},
        {"kind": "html", "status": 200},
        {"kind": "empty"},
        {"kind": "disconnect"},
        {"kind": "truncate"},
        {"kind": "body", "json": {"results": [[], {"id": 7}, None], "meta": [], "_links": {"next": {}}}},
        {"kind": "body", "json": [[[]]]},
        {"kind": "body", "text": '{"results": [{"id": "\\u0000"}]}'},
    ],
    ids=str,
)
def test_a_bad_answer_to_any_of_its_calls_is_survived(
    prolific: Emulator, check: Callable[[], tuple[int, str]], fault: dict[str, object]
) -> None:
    for after in (0, 1, 2, 5, 8, 11):
        prolific.clear_faults()
        prolific.add_fault(**fault, after=after)
        code, _ = check()

        assert code in (0, 1, 2)
        assert [each["hits"] for each in prolific.faults()] > [0]


@pytest.mark.parametrize(
    ("connection", "code"), [({}, 0), ({"password": "wrong-token"}, 2), ({"host": "http://127.0.0.1:1"}, 2)]
)
def test_it_runs_as_a_program(
    prolific_emulator: Emulator, tmp_path: Path, connection: dict[str, str], code: int
) -> None:
    text = json.dumps({**json.loads(prolific_emulator.connection_json()), **connection})
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": os.defpath, "AIRFLOW_CONN_PROLIFIC_DEFAULT": text}
    ran = subprocess.run(
        [sys.executable, "-m", "airflow_provider_prolific.check"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == code, ran.stderr
    assert ("Nothing differs" in ran.stdout) == (code == 0)
    assert ("The check could not run: " in ran.stderr) == (code == 2)
    assert "Traceback" not in ran.stderr
    assert "wrong-token" not in ran.stdout + ran.stderr
    assert_says_nothing_secret(ran.stdout + ran.stderr, prolific_emulator)
