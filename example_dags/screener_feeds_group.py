"""Wait until a screener has filled, write its submissions into a table, and gate on the group that it feeds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_prolific.operators.submissions import ProlificListSubmissionsOperator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.sensors.studies import ProlificStudySensor

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]
    from airflow.models.param import Param  # type: ignore[import-not-found, no-redef]


@dag(
    schedule=None,
    description="Wait until a screener has filled, tabulate its submissions, and gate on the group that it feeds",
    params={
        "study_id": Param(
            "64d000000000000000000001",
            type="string",
            minLength=1,
            title="Study",
            description="The id of the screener: the last part of its address at Prolific.",
        ),
        "target_count": Param(
            100,
            type="integer",
            minimum=1,
            title="Target count",
            description="How many people must be in the group before the main study is prepared.",
        ),
        "csv_path": Param(
            "",
            type="string",
            title="Table",
            description="Where the table goes; empty for a new temporary folder that only Airflow's user can read.",
        ),
    },
    default_args={"retries": 2},
    tags=["prolific"],
)
def screener_feeds_group() -> None:
    """
    ### A screener that feeds a group

    Waits until all places of the screener *A short screening questionnaire* are taken, and writes its submissions into
    a table. A completion code of the screener adds the people who pass it to the group *Screened adults*. As soon as
    there are enough, the main study can be prepared.

    The table holds participant ids, which are personal data: keep it where only people who need it can read it.
    """
    screener_filled = ProlificStudySensor(
        task_id="screener_filled",
        study_id="{{ params.study_id }}",
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=7),
    )
    submissions = ProlificListSubmissionsOperator(
        task_id="submissions",
        study_id="{{ params.study_id }}",
        statuses=["AWAITING REVIEW", "APPROVED"],
    )

    @task
    def write_table(submissions: list[dict[str, Any]], csv_path: str) -> str:
        import csv
        import tempfile
        from pathlib import Path

        path = Path(csv_path or Path(tempfile.mkdtemp(prefix="prolific-"), "submissions.csv"))
        columns = ["participant_id", "status", "study_code", "started_at", "completed_at"]
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns, extrasaction="ignore")
            table.writeheader()
            table.writerows(submissions)
        return str(path)

    enough_screened = ProlificParticipantGroupSensor(
        task_id="enough_screened",
        participant_group="Screened adults",
        target_count="{{ params.target_count }}",
        deferrable=True,
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(days=2),
    )

    @task
    def prepare_main_study(groups: list[dict[str, Any]]) -> str:
        [group] = groups
        return f"Main study for {group['participant_count']} people of {group['name']!r}"

    screener_filled >> [submissions, enough_screened]
    write_table(submissions.output, "{{ params.csv_path }}")
    prepare_main_study(enough_screened.output)


screener_feeds_group()
