"""List a workspace's participant groups and run one task per group."""

# pyright: reportFunctionMemberAccess=false
# (the import of Airflow 2.11 hides the type of a task)

from __future__ import annotations

from typing import Any

from airflow_provider_prolific.operators.participant_groups import ProlificListParticipantGroupsOperator

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]


@dag(schedule=None, description="List participant groups, and run a task for each of them", tags=["prolific"])
def list_participant_groups() -> None:
    """
    ### List participant groups

    Lists the live groups of the connection's default workspace into XCom, and reports each group in a mapped task of
    its own. Then lists the groups of two scopes, one mapped task each. Airflow shows each mapped task by the name that
    its `map_index_template` gives.
    """
    groups = ProlificListParticipantGroupsOperator(task_id="list_groups", active=True)

    @task(map_index_template="{{ task.op_kwargs['group']['name'] }}")
    def report(group: dict[str, Any]) -> str:
        return f"{group['name']}: {group['participant_count']} participants"

    report.expand(group=groups.output)

    ProlificListParticipantGroupsOperator.partial(
        task_id="list_each_scope", map_index_template="{{ task.filter }}", active=None
    ).expand(
        filter=[
            {"workspace_id": "64a000000000000000000002"},
            {"project_id": "64b000000000000000000001"},
        ]
    )


list_participant_groups()
