"""Pay the bonuses that a warehouse has computed, after a person has agreed, each exactly once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import __version__ as airflow_version

from airflow_provider_prolific.operators.bonuses import ProlificPayBonusesOperator

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task  # type: ignore[attr-defined, no-redef]
    from airflow.models.param import Param  # type: ignore[import-not-found, no-redef]

#: From Airflow 3.1 on a task can ask a person.
CAN_ASK = tuple(map(int, airflow_version.split(".")[:2])) >= (3, 1)


@dag(
    schedule=None,
    description="Pay bonuses from a warehouse, each exactly once",
    params={
        "study_id": Param("64d000000000000000000001", type="string", title="Study"),
        "payment_key": Param("wave-1", type="string", title="Payment key", description="Names this round of bonuses"),
        "max_each": Param("10.00 GBP", type="string", title="Ceiling for each submission"),
        "max_total": Param("200.00 GBP", type="string", title="Ceiling for this round, fees included"),
    },
    tags=["prolific"],
)
def pay_bonuses() -> None:
    """
    ### Bonuses, each paid exactly once

    Takes the total bonus of each submission from a warehouse, asks a person (Airflow 3.1 and newer), and pays the
    difference to what has been paid. Run it again as often as you like: nobody is paid twice. For a second round of
    bonuses, give higher totals.

    The pool *prolific_wallet* has one slot: `airflow pools set prolific_wallet 1 "One payment at a time"`.
    """

    @task
    def bonuses(study_id: str) -> dict[str, str]:
        """Replace this with a query of your warehouse. Here, each approved submission has 150 pence."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with ProlificHook() as hook:
            submissions = hook.list_submissions(study_id)
        rows = [(submission["id"], 150) for submission in submissions if submission["status"] == "APPROVED"]
        return {submission_id: f"{pence // 100}.{pence % 100:02}" for submission_id, pence in rows}

    @task
    def summary(amounts: dict[str, str]) -> str:
        from decimal import Decimal

        return f"{len(amounts)} submissions, bonuses of {sum(map(Decimal, amounts.values()), Decimal())} in all"

    amounts: Any = bonuses("{{ params.study_id }}")
    pay = ProlificPayBonusesOperator(
        task_id="pay",
        study_id="{{ params.study_id }}",
        amounts=amounts,
        max_each="{{ params.max_each }}",
        max_total="{{ params.max_total }}",
        payment_key="{{ params.payment_key }}",
        deferrable=True,
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(hours=1),
        pool="prolific_wallet",
        retries=2,
    )

    summed: Any = summary(amounts)
    if CAN_ASK:
        from airflow.providers.standard.operators.hitl import ApprovalOperator

        approve = ApprovalOperator(
            task_id="approve",
            subject="Pay bonuses of study {{ params.study_id }}?",
            body='{{ ti.xcom_pull("summary") }}; with fees at most {{ params.max_total }}.',
        )
        summed >> approve >> pay
    else:
        summed >> pay


pay_bonuses()
