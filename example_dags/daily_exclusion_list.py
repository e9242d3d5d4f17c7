"""Keep an exclusion list in step with a warehouse."""

from __future__ import annotations

from airflow_provider_prolific.operators.participant_groups import ProlificCreateParticipantGroupOperator
from airflow_provider_prolific.operators.participants import ProlificSyncParticipantsOperator

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]


@dag(schedule=None, description="Keep an exclusion list in step with a warehouse", tags=["prolific"])
def daily_exclusion_list() -> None:
    """
    ### Daily exclusion list

    The members of the group *Exclusion list*, which studies exclude, become exactly the people who took part recently.
    Only the difference is sent. A query that returns nothing, or that would remove more than 50 people at once, fails
    the task and changes nothing.

    Give it `schedule="@daily"`.
    """
    exclusion_list = ProlificCreateParticipantGroupOperator(
        task_id="exclusion_list",
        name="Exclusion list",
        description="Took part in the last three months",
    )

    @task(show_return_value_in_logs=False)  # participant ids are personal data
    def took_part_recently() -> list[str]:
        """Replace this with a query of your warehouse."""
        return [f"5f{number:022x}" for number in range(1, 101)]

    ProlificSyncParticipantsOperator(
        task_id="sync",
        participant_group=exclusion_list.output["id"],
        participant_ids=took_part_recently(),
        max_removals=50,
    )


daily_exclusion_list()
