"""The whole way from a screener to a main study, with people who arrive, return and time out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_prolific.emulator import Emulator

EXAMPLE = Path(__file__).parent.parent.parent / "example_dags" / "screener_to_main_study.py"
EVERY = "LOOK_EVERY = timedelta(minutes=5)"


def in_seconds() -> str:
    """Return the example as it is, but for its pace."""
    source = EXAMPLE.read_text()
    assert EVERY in source
    return source.replace(EVERY, "LOOK_EVERY = timedelta(seconds=1)").replace(
        "\nscreener_to_main_study()", "\ndag = screener_to_main_study()"
    )


def approved(prolific: Emulator, internal_name: str) -> int:
    return len(prolific.submissions(prolific.study_id(internal_name), "APPROVED"))


def test_people_are_screened_and_take_part_and_are_paid(prolific: Emulator, run_dag: Callable[..., Any]) -> None:
    run = run_dag(in_seconds(), screened=12, passed=6, places=4)

    assert run.state == "success"
    assert run.xcom("approve_screened")["approved_count"] == approved(prolific, "Screener, round 1") >= 12
    assert run.xcom("approve_main_study")["approved_count"] == approved(prolific, "Main study, round 1") >= 4
    members = prolific.members(prolific.group_id("Wave 2 invited"))
    main_study = prolific.study_id("Main study, round 1")
    assert {submission["participant_id"] for submission in prolific.submissions(main_study)} <= members.keys()
    assert prolific.study(main_study)["total_available_places"] == 4
