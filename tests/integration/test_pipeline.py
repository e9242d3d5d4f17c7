"""The whole way from a screener to a main study, with people who arrive, return and time out."""

from collections.abc import Callable
from typing import Any

from airflow_provider_prolific.emulator import Emulator


def approved(prolific: Emulator, internal_name: str) -> int:
    return len(prolific.submissions(prolific.study_id(internal_name), "APPROVED"))


def test_people_are_screened_and_take_part_and_are_paid(prolific: Emulator, run_example: Callable[..., Any]) -> None:
    run = run_example("screener_to_main_study", screened=12, passed=6, places=4)

    assert run.state == "success"
    assert run.xcom("approve_screened")["approved_count"] == approved(prolific, "Screener, round 1") >= 12
    assert run.xcom("approve_main_study")["approved_count"] == approved(prolific, "Main study, round 1") >= 4
    members = prolific.members(prolific.group_id("Wave 2 invited"))
    main_study = prolific.study_id("Main study, round 1")
    assert {submission["participant_id"] for submission in prolific.submissions(main_study)} <= members.keys()
    assert prolific.study(main_study)["total_available_places"] == 4
