"""Run a whole pipeline with a local Prolific and a real Airflow: from a screener to bonuses."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from demo import print_table
from local_airflow import ROOT, RealAirflow, stop_in_order, tell_page
from quick_examples import write_quick_examples

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.money import Money

PIPELINE = "screener_to_main_study"
CONF = {
    "screened": 20,
    "passed": 10,
    "places": 6,
    "max_cost_of_screener": "20.00 GBP",
    "max_cost_of_main_study": "30.00 GBP",
}
STUDIES = {"Screener, round 1": CONF["max_cost_of_screener"], "Main study, round 1": CONF["max_cost_of_main_study"]}
MAX_BONUSES = "20.00 GBP"
BONUSES = f"""
from datetime import datetime
try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.bonuses import ProlificPayBonusesOperator

@task
def bonuses(study_id):
    from airflow_provider_prolific.hooks.prolific import ProlificHook

    with ProlificHook() as hook:
        return {{each["id"]: "1.50" for each in hook.list_submissions(study_id) if each["status"] == "APPROVED"}}

with DAG("bonuses", schedule=None, start_date=datetime(2026, 1, 1), params={{"study_id": ""}}):
    ProlificPayBonusesOperator(
        task_id="pay_bonuses", study_id="{{{{ params.study_id }}}}", amounts=bonuses("{{{{ params.study_id }}}}"),
        max_each="2.00 GBP", max_total="{MAX_BONUSES}", payment_key="round-1",
        deferrable=True, poke_interval=5, pool="prolific_wallet", retries=2,
    )
"""
PROGRESS = re.compile(r"(?:study )?('.*' has \d+ of \d+) .*")


def main() -> None:
    """Run the pipeline, and stop everything at its end, also after an interruption."""
    folder = ROOT / ".demo"
    folder.mkdir(exist_ok=True)
    # A new home each time: an old ledger of bonuses would not match a new local Prolific.
    with Emulator() as emulator, tempfile.TemporaryDirectory(prefix="pipeline-", dir=folder) as home:
        print(f"A local Prolific is running at {emulator.url}")
        print("Starting Airflow (scheduler, triggerer, API server, DAG processor) …", flush=True)
        dags = Path(home, "dags")
        write_quick_examples(dags, PIPELINE)
        (dags / "bonuses.py").write_text(BONUSES)
        with RealAirflow(Path(home), dags, AIRFLOW_CONN_PROLIFIC_DEFAULT=emulator.connection_json()) as airflow:
            tell_page(airflow)
            airflow.create_wallet_pool()
            print(f"Triggering the DAG {PIPELINE}: from a screener to a main study …", flush=True)
            run(airflow, PIPELINE, CONF)
            rows = [study_row(emulator, name, ceiling) for name, ceiling in STUDIES.items()]
            study_id = emulator.study_id("Main study, round 1")
            print("Triggering the DAG bonuses: each of these people gets one bonus …", flush=True)
            run(airflow, "bonuses", {"study_id": study_id})
            paid = airflow.xcom("bonuses", "demo", "pay_bonuses")
            rows.append(row("Bonuses", people=paid["bonus_count"], spent=paid["total_amount"], ceiling=MAX_BONUSES))
            print("\nPeople, and money with fees and VAT:\n")
            print_table(rows)
            print(f"\n{emulator.request_count()} requests reached Prolific.")


def run(airflow: RealAirflow, dag_id: str, conf: dict[str, Any]) -> None:
    """Run a DAG, and print the progress of each wait and the end of each task."""
    airflow.trigger(dag_id, "demo", conf)
    printed: set[str] = set()

    def tell(key: str, text: str) -> None:
        if key not in printed:
            printed.add(key)
            print(f"  {datetime.now():%H:%M:%S}  {text}", flush=True)

    state: str | None = None
    while state not in ("success", "failed"):
        state = airflow.run_state(dag_id, "demo")
        for line in airflow.log_lines(dag_id, "demo"):
            if progress := PROGRESS.search(line):
                tell(progress[1], progress[0])
        for (task_id, _), task_state in airflow.task_states(dag_id, "demo").items():
            if task_state in ("success", "failed"):
                tell(task_id, f"{task_id}: {task_state}")
        time.sleep(0.5)
    if state != "success":
        sys.exit(f"The run ended as {state}:\n" + "\n".join(airflow.log_lines(dag_id, "demo")))


def study_row(emulator: Emulator, name: str, ceiling: object) -> dict[str, object]:
    """Return the row of a study."""
    study = emulator.study(emulator.study_id(name))
    counts = study["counts"]
    spent = Money.of_hundredths(study["spent"], study["currency_code"], name)
    return row(
        name,
        people=counts["TOTAL"],
        returned=counts["RETURNED"],
        timed_out=counts["TIMED-OUT"],
        approved=counts["APPROVED"],
        spent=spent,
        ceiling=ceiling,
    )


def row(name: str, **cells: object) -> dict[str, object]:
    """Return a row of the table."""
    columns = ("people", "returned", "timed_out", "approved", "spent", "ceiling")
    return {"": name} | {column: cells.get(column, "") for column in columns}


if __name__ == "__main__":
    stop_in_order()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; everything is stopped.")
