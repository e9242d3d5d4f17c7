"""A person is asked before a study is published, and answers in Airflow's own page: ``docs/approval.md``."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from quick_examples import write_quick_examples
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator

DAG_ID = "publish_after_approval"
ASKED = "SELECT 1 FROM hitl_detail JOIN task_instance ON ti_id = id WHERE run_id = ?"


@pytest.fixture(scope="module")
def airflow(prolific: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    folder = tmp_path_factory.mktemp("airflow")
    write_quick_examples(folder / "dags", DAG_ID)
    settings = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": prolific.connection_json(),
        # The test answers faster than a person: Airflow must have noticed by then that the asking task has deferred.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }
    with RealAirflow(folder / "home", folder / "dags", **settings) as airflow:
        airflow.create_wallet_pool()
        yield airflow


@pytest.mark.parametrize(
    ("button", "end", "is_published"), [("Reject", "skipped", False), ("Approve", "success", True)]
)
def test_the_study_is_published_after_a_yes_only(
    page: Page,
    airflow: RealAirflow,
    prolific: Emulator,
    screenshot: Callable[..., None],
    button: str,
    end: str,
    is_published: bool,
) -> None:
    airflow.trigger(DAG_ID, run_id := button.lower())
    airflow.wait_for("the question", lambda: airflow.query(ASKED, run_id), seconds=240)
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/{run_id}/tasks/approve/required_actions")

    expect(page.get_by_text("Publish the main study for Wave 1 completed?")).to_be_visible()
    for name, value in {"People in it": "40", "Places": "20", "Cost, fees and VAT included": "42.00 GBP"}.items():
        expect(page.get_by_role("row").filter(has_text=name)).to_contain_text(value)
    screenshot(page, f"approval-{run_id}", height=600)
    study_id = prolific.study_id(f"Main study {run_id}")
    assert prolific.study(study_id)["published_at"] is None

    page.get_by_role("button", name=button, exact=True).click()
    assert airflow.wait_for_run(DAG_ID, run_id, seconds=240) == "success"
    assert airflow.task_states(DAG_ID, run_id)["publish", -1] == end
    assert (prolific.study(study_id)["published_at"] is not None) == is_published
