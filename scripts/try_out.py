"""Run a local Prolific and a real Airflow until you stop them; groups grow while a task waits for them."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from local_airflow import ROOT, RealAirflow, stop_in_order, tell_page
from quick_examples import write_quick_examples

from airflow_provider_prolific.emulator import Emulator

DAG_ID = "recruitment_at_a_glance"
#: How many people per second join a group while a task waits for it; the default is 1.
GROWTH = {"Wave 1 completed": 0.3, "Quota: men 18-39": 0.1}
#: All waits let their groups grow, except the one that shows a stall.
WAITED_FOR = """
    SELECT rendered_fields FROM task_instance
    JOIN rendered_task_instance_fields USING (dag_id, run_id, task_id, map_index)
    WHERE operator LIKE '%Sensor' AND state IN ('running', 'deferred', 'up_for_reschedule') AND task_id != 'older_men'
"""


def main() -> None:
    """Start everything, let groups grow until a signal comes, then stop and remove everything."""
    folder = ROOT / ".demo"
    folder.mkdir(exist_ok=True)
    with Emulator() as emulator, tempfile.TemporaryDirectory(prefix="try-", dir=folder) as home:
        dags = Path(home, "dags")
        write_quick_examples(dags)
        recruiting = Recruiting(emulator)
        recruiting.go_on(waited_for=set())
        print("Starting Airflow (scheduler, triggerer, API server, DAG processor) …", flush=True)
        with RealAirflow(
            Path(home),
            dags,
            AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="True",
            AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        ) as airflow:
            port = urlsplit(emulator.url).port
            connection = json.loads(emulator.connection_json()) | {"host": "http://127.0.0.1", "port": port}
            airflow.command("connections", "add", "prolific_default", "--conn-json", json.dumps(connection))
            airflow.create_wallet_pool()
            airflow.trigger(DAG_ID, "first")
            airflow.command("dags", "unpause", DAG_ID)
            print(f"\nAirflow is at {airflow.url} (no sign-in); three tasks are waiting.")
            tell_page(airflow)
            print("\nThe local Prolific, with the values of the connection prolific_default:")
            values = {"Base URL": connection["host"], "Port": port, "API token": connection["password"]}
            for name, value in (values | {"Workspace ID": emulator.workspace_id}).items():
                print(f"  {name:<13} {value}")
            print("\nThe example DAGs, which look every 5 seconds instead of every 5 minutes:")
            print(f"  {dags.relative_to(ROOT)}")
            print("\nTo reset the local Prolific, with all groups at their first size:")
            print(f"  curl --request POST {emulator.url}/_emulator/reset")
            print("\nCtrl-C stops everything.", flush=True)
            airflow.wait_for("a signal", lambda: recruiting.go_on(waited_for(airflow)), seconds=math.inf)


class Recruiting:
    """Lets groups and studies of the local Prolific grow, but only while a task waits for them."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.started_at: float | None = None
        self.arrivals: dict[str, float] = {}  # of the studies that are published at the start, by id
        self.growing: set[str] = set()

    def go_on(self, waited_for: set[str]) -> None:
        """Let the groups and studies that tasks wait for grow, and stop all others.

        :param waited_for: Ids and names of groups, ids of studies.
        """
        if self.started_at != (started_at := self.emulator.state()["started_at"]):  # new, or reset by somebody
            self.started_at = started_at
            self._hold()
        for group in self.emulator.groups():
            if self._turns(group["id"], bool({group["id"], group["name"]} & waited_for)):
                is_growing = group["id"] in self.growing
                self.emulator.set_group(
                    group["id"], growth_per_second=GROWTH.get(group["name"], 1) if is_growing else 0
                )
        for study_id, arrivals in self.arrivals.items():
            if self._turns(study_id, study_id in waited_for):
                self.emulator.set_study(study_id, arrivals_per_second=arrivals if study_id in self.growing else 0)

    def _hold(self) -> None:
        self.growing.clear()
        for group in self.emulator.groups():
            self.emulator.set_group(group["id"], growth_per_second=0, growth_limit=None)
        # Drafts are templates: people take part in the studies that are made from them as soon as these are published.
        published = [study for study in self.emulator.studies() if study["status"] != "UNPUBLISHED"]
        self.arrivals = {study["id"]: study["arrivals_per_second"] for study in published}
        for study_id in self.arrivals:
            self.emulator.set_study(study_id, arrivals_per_second=0)

    def _turns(self, id_: str, is_waited_for: bool) -> bool:
        if (id_ in self.growing) == is_waited_for:
            return False
        self.growing ^= {id_}
        return True


def waited_for(airflow: RealAirflow) -> set[str]:
    """Return the ids and names of groups and the ids of studies that tasks wait for."""
    found: set[str] = set()
    for (text,) in airflow.query(WAITED_FOR):
        fields = json.loads(text)
        found |= {fields.get("participant_group") or "", fields.get("study_id") or "", *(fields.get("targets") or ())}
    return found


if __name__ == "__main__":
    stop_in_order()
    try:
        main()
    except KeyboardInterrupt:
        print("\nEverything is stopped.")
