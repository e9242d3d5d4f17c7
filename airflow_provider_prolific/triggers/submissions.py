"""The trigger that waits for approvals in the triggerer; it only reads."""

from __future__ import annotations

from airflow_provider_prolific.waiting.approvals import ApprovalWait
from airflow_provider_prolific.waiting.trigger import WaitTrigger


class ProlificApprovalTrigger(WaitTrigger):
    """Wait until approvals have settled; its arguments are those of `WaitTrigger` and `ApprovalWait`."""

    wait_class = ApprovalWait
