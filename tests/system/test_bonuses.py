"""Bonuses in a real Airflow: the process of a task is killed, Airflow tries again, and nobody is paid twice."""

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator

WISHED = {0: "1.50", 1: "4.25"}
DAGS = """
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.bonuses import ProlificPayBonusesOperator


class Deadly(ProlificPayBonusesOperator):
    def _pay(self, hook, ledger, study_id, entry):
        if self.task_id == "killed_before":
            self.die_once()
        wait = super()._pay(hook, ledger, study_id, entry)
        if self.task_id == "killed_after":
            self.die_once()
        return wait

    def die_once(self):
        mark = Path({folder!r}) / self.task_id
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


for task_id, study_id, amounts in {rounds!r}:
    with DAG(task_id, schedule=None, start_date=datetime(2026, 1, 1)):
        Deadly(
            task_id=task_id, study_id=study_id, amounts=amounts, max_each="10 GBP", max_total="20 GBP",
            payment_key="wave-1", deferrable=True, timeout=30,
            poke_interval=5,  # shorter, and Airflow itself may fail a task that is resumed before it hears of its end
            retries=2, retry_delay=timedelta(0),
        )
"""


@pytest.fixture
def studies(prolific_emulator: Emulator) -> dict[str, str]:
    """A study with two submissions for each task."""
    prolific_emulator.set(bonus_seconds=3)
    return {
        task_id: prolific_emulator.create_study(task_id, submissions={"APPROVED": len(WISHED)})
        for task_id in ("killed_before", "killed_after", "twice")
    }


@pytest.fixture
def airflow(
    prolific_emulator: Emulator, studies: dict[str, str], restless_airflow: RealAirflow, tmp_path: Path
) -> RealAirflow:
    rounds = [
        (task_id, study_id, {each["id"]: WISHED[n] for n, each in enumerate(prolific_emulator.submissions(study_id))})
        for task_id, study_id in studies.items()
    ]
    (restless_airflow.dags_folder / "bonuses.py").write_text(DAGS.format(folder=str(tmp_path), rounds=rounds))
    return restless_airflow


def paid(emulator: Emulator, study_id: str) -> list[int]:
    sums: Counter[str] = Counter()
    for payment in emulator.payments():
        if payment["study_id"] == study_id:
            sums[payment["submission_id"]] += payment["amount"]
    return [sums[each["id"]] for each in emulator.submissions(study_id)]


@pytest.mark.skipif(
    version("apache-airflow").startswith("3.0."), reason="Airflow 3.0 does not try a killed task again, whatever it is"
)
def test_a_task_that_is_killed_is_tried_again_and_pays_once_or_hands_over_to_a_person(
    prolific_emulator: Emulator, airflow: RealAirflow, studies: dict[str, str]
) -> None:
    airflow.trigger("killed_before", "one")
    airflow.trigger("killed_after", "one")
    airflow.trigger("twice", "one")
    airflow.trigger("twice", "two")
    states = {
        (dag_id, run_id): airflow.wait_for_run(dag_id, run_id, seconds=240)
        for dag_id, run_id in (("killed_before", "one"), ("killed_after", "one"), ("twice", "one"), ("twice", "two"))
    }

    # Killed after the payment: the next try finds it. Killed before: no try can know, and the last is not repeated.
    assert states == {
        ("killed_before", "one"): "failed",
        ("killed_after", "one"): "success",
        ("twice", "one"): "success",
        ("twice", "two"): "success",
    }
    assert paid(prolific_emulator, studies["killed_after"]) == [150, 425]
    assert paid(prolific_emulator, studies["twice"]) == [150, 425]
    assert paid(prolific_emulator, studies["killed_before"]) == [0, 0]
    tries = airflow.query("SELECT max(try_number) FROM task_instance WHERE dag_id = 'killed_before'")
    assert tries == [(2,)]

    # A person looks, finds that nobody was paid, says so in the ledger, and clears the task.
    name = f"prolific_bonuses_{studies['killed_before']}"
    entry = json.loads(airflow.query("SELECT val FROM variable WHERE key = ?", name)[0][0])
    airflow.command("variables", "set", name, json.dumps(entry | {"state": "not paid"}))
    airflow.command("tasks", "clear", "killed_before", "--yes")
    airflow.wait_for("the second payment", lambda: airflow.run_state("killed_before", "one") == "success", seconds=120)

    assert paid(prolific_emulator, studies["killed_before"]) == [150, 425]
