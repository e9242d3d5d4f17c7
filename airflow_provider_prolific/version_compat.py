"""Imports whose place differs between Airflow 2.11 and 3.x: the only module that knows of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, Context, PokeReturnValue
    from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout, AirflowSkipException
    from airflow.triggers.base import BaseEventTrigger

    HAS_EVENT_TRIGGERS: bool
else:
    try:
        from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, Context, PokeReturnValue
    except ImportError:  # Airflow 2.11
        from airflow.models.baseoperator import BaseOperator
        from airflow.models.baseoperatorlink import BaseOperatorLink
        from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
        from airflow.utils.context import Context
    try:
        from airflow.sdk import BaseHook
    except (ImportError, AttributeError):  # before Airflow 3.1
        from airflow.hooks.base import BaseHook
    try:
        from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout, AirflowSkipException
    except (ImportError, AttributeError):  # before Airflow 3.2
        from airflow.exceptions import AirflowException, AirflowSensorTimeout, AirflowSkipException
    try:
        from airflow.triggers.base import BaseEventTrigger

        HAS_EVENT_TRIGGERS = True
    except ImportError:  # Airflow 2.11
        from airflow.triggers.base import BaseTrigger as BaseEventTrigger

        HAS_EVENT_TRIGGERS = False

#: What Airflow says to a task whose trigger did not fire in time: 2.11, then 3.x.
DEFER_TIMEOUT_REASONS = ("Trigger/execution timeout", "Trigger timeout")


def get_xcom(key: str, ti_key: Any) -> Any:
    """Return what a task instance has pushed under a key, or ``None``."""
    try:
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:  # Airflow 2.11
        from airflow.models.xcom import XCom  # type: ignore[no-redef]
    return XCom.get_value(key=key, ti_key=ti_key)


__all__ = [
    "DEFER_TIMEOUT_REASONS",
    "HAS_EVENT_TRIGGERS",
    "AirflowException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseEventTrigger",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Context",
    "PokeReturnValue",
    "get_xcom",
]
