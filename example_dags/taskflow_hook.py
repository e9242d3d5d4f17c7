"""Work with participant groups in Python, with the hook, in a task of your own."""

from __future__ import annotations

from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]


@dag(
    schedule=None,
    description="Copy the members of one group into another in a task of your own",
    tags=["prolific"],
)
def taskflow_hook() -> None:
    """
    ### The hook in a task of your own

    Adds everybody who completed wave 1 to a group that the studies of wave 2 exclude, and makes that group if it does
    not exist yet. The participants' ids stay inside the task: only numbers go to XCom.
    """

    @task(retries=2)  # existing members are kept
    def exclude_wave_1() -> dict[str, int]:
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with ProlificHook() as hook:
            ids = {group["name"]: group["id"] for group in hook.list_participant_groups()}
            members = hook.list_participants(ids["Wave 1 completed"])
            excluded_id = ids.get("Not for wave 2") or hook.create_participant_group("Not for wave 2")["id"]
            hook.add_participants(excluded_id, [member["participant_id"] for member in members])
            excluded = hook.get_participant_group(excluded_id)["participant_count"]
        return {"completed_wave_1": len(members), "excluded": excluded}

    @task
    def report(counts: Any) -> str:
        return f"{counts['completed_wave_1']} people completed wave 1, {counts['excluded']} are excluded"

    report(exclude_wave_1())


taskflow_hook()
