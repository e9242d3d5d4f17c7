"""Run an example DAG that waits for a growing group, with a local Prolific and a real Airflow."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from local_airflow import ROOT, RealAirflow, stop_in_order, tell_page
from quick_examples import write_quick_examples

from airflow_provider_prolific.emulator import Emulator

DAG_ID = "gate_on_group_size"
GROUP = "Screened adults"
TARGET = 30
PROGRESS = re.compile(r"('.*' has \d+ of \d+) .*")


def main() -> None:
    """Run the demo, and stop everything at its end, also after an interruption."""
    with Emulator() as emulator:
        print(f"A local Prolific is running at {emulator.url}")
        print("Starting Airflow (scheduler, triggerer, API server, DAG processor) …")
        home = ROOT / ".demo" / f"airflow-{version('apache-airflow')}"
        settings = {"AIRFLOW_CONN_PROLIFIC_DEFAULT": emulator.connection_json()}
        dags = home / "dags"  # only this one: the growing group would start runs of another example
        write_quick_examples(dags, DAG_ID)
        with RealAirflow(home, dags, **settings) as airflow:
            tell_page(airflow)
            run_id = f"demo_{datetime.now(UTC):%Y%m%dT%H%M%S}"
            group_id = emulator.group_id(GROUP)
            emulator.set_group(group_id, participant_count=0, growth_per_second=0)
            print(f"Triggering the DAG {DAG_ID}: it waits until {TARGET} people are in {GROUP!r} …")
            airflow.trigger(DAG_ID, run_id, {"target_count": TARGET})
            follow(airflow, run_id, lambda: emulator.set_group(group_id, growth_per_second=1.5))
            state = airflow.wait_for_run(DAG_ID, run_id)
            if state != "success":
                sys.exit(f"The run ended as {state}:\n" + "\n".join(airflow.log_lines(DAG_ID, run_id)))
            print("\nWhat the sensor returned (XCom):\n")
            print_table(airflow.xcom(DAG_ID, run_id, "enough_participants"))
            print(f"\nThe next task returned: {airflow.xcom(DAG_ID, run_id, 'prepare_main_study')}")
            print(f"\n{emulator.request_count()} requests reached Prolific.")


def follow(airflow: RealAirflow, run_id: str, begin_growth: Callable[[], Any]) -> None:
    """Print the progress from the task log, and let the group grow after the first look."""
    printed: list[str] = []
    while airflow.run_state(DAG_ID, run_id) in ("queued", "running", None):
        for line in airflow.log_lines(DAG_ID, run_id):
            if (progress := PROGRESS.search(line)) and progress[1] not in printed:
                if not printed:
                    begin_growth()
                printed.append(progress[1])
                print(f"  {datetime.now():%H:%M:%S}  {progress[0]}", flush=True)
        time.sleep(0.5)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys as a table."""
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if line is columns:
            print("  " + "  ".join("-" * width for width in widths))


if __name__ == "__main__":
    stop_in_order()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; everything is stopped.")
