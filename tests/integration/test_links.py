"""The link from a task to the study that fills its group."""

from collections.abc import Callable
from typing import Any

import pytest
from real_airflow import AIRFLOW_2

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.links import FeederStudyLink

DAG_FILE = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.participant_groups import ProlificListParticipantGroupsOperator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

with DAG("links", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    for task_id, name, deferrable in [
        ("fed", "Wave 1 completed", False),
        ("fed_deferred", "Wave 1 completed", True),
        ("unfed", "Exclusion list", False),
    ]:
        ProlificParticipantGroupSensor(
            task_id=task_id, participant_group=name, target_count=41 if deferrable else 1, deferrable=deferrable,
            poke_interval=1
        )
    ProlificListParticipantGroupsOperator(task_id="partly_fed", filter={"workspace_id": "64a000000000000000000002"})
    ProlificListParticipantGroupsOperator(task_id="several")
"""


@pytest.fixture
def link_of(
    prolific: Emulator, capfd: pytest.CaptureFixture[str], run_dag: Callable[..., Any]
) -> Callable[[str], str | None]:
    prolific.set_group(prolific.group_id("Wave 1 completed"), growth_per_second=0.5, growth_limit=41)
    run = run_dag(DAG_FILE)
    assert run.state == "success"

    def link(task_id: str) -> str | None:
        instance = run.instance(task_id)
        if AIRFLOW_2:  # asks when the page is shown; Airflow 3 when the task ends
            return FeederStudyLink().get_link(None, ti_key=instance.key)  # type: ignore[arg-type]
        return instance.xcom_pull(task_ids=task_id, key="_link_FeederStudyLink")  # type: ignore[no-any-return]

    return link


def test_link_leads_to_the_one_study_that_fills_the_groups(
    link_of: Callable[[str], str | None], capfd: pytest.CaptureFixture[str]
) -> None:
    pages = "https://app.prolific.com/researcher/workspaces/studies/"

    assert link_of("fed") == f"{pages}64d000000000000000000002"
    assert link_of("fed_deferred") == f"{pages}64d000000000000000000002"
    assert not link_of("partly_fed")  # a study fills one of the groups only
    assert not link_of("unfed")
    assert not link_of("several")
    assert "XCom not found" not in "".join(capfd.readouterr())  # Airflow's error for an XCom that a link misses
