"""The trigger that waits in the triggerer until bonuses are visible; it only reads."""

from __future__ import annotations

from airflow_provider_prolific.waiting.bonuses import BonusWait
from airflow_provider_prolific.waiting.trigger import WaitTrigger


class ProlificBonusTrigger(WaitTrigger):
    """Wait until all bonuses of a batch are visible; its arguments are those of `WaitTrigger` and `BonusWait`."""

    wait_class = BonusWait
