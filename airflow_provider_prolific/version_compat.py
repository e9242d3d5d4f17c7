"""Imports that differ between Airflow 2.11 and 3.x: the only module that depends on the version.

Private parts of Airflow that are used because there is no public alternative:

- ``BaseSensorOperator._get_next_poke_interval``, overridden: a ``Retry-After`` must extend the interval of a sensor;
- ``resume_execution("__fail__", …)`` and the texts of `DEFER_TIMEOUT_REASONS`: how Airflow ends a deferral by itself;
- ``_orig_start_date`` (2.11): the time of the first look of a sensor in reschedule mode.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, Context, PokeReturnValue
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
    from airflow.triggers.base import BaseEventTrigger

    HAS_EVENT_TRIGGERS: bool
else:
    try:
        from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, Context, PokeReturnValue

        HAS_EVENT_TRIGGERS = True
    except ImportError:  # Airflow 2.11
        from airflow.models.baseoperator import BaseOperator
        from airflow.models.baseoperatorlink import BaseOperatorLink
        from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
        from airflow.utils.context import Context

        HAS_EVENT_TRIGGERS = False
    try:
        from airflow.sdk import BaseHook
    except (ImportError, AttributeError):  # before Airflow 3.1
        from airflow.hooks.base import BaseHook
    try:
        from airflow.sdk.exceptions import (
            AirflowFailException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
        )
    except (ImportError, AttributeError):  # before Airflow 3.2
        from airflow.exceptions import (
            AirflowFailException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
        )

    def __getattr__(name: str) -> Any:
        """Import late what only triggers need: it takes as long as all other imports of this package together."""
        if name != "BaseEventTrigger":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from airflow.triggers import base

        return base.BaseEventTrigger if HAS_EVENT_TRIGGERS else base.BaseTrigger


#: The reason that Airflow gives if a trigger did not fire in time: 2.11, then 3.x.
DEFER_TIMEOUT_REASONS = ("Trigger/execution timeout", "Trigger timeout")


def get_xcom(key: str, ti_key: Any) -> Any:
    """Return what a task instance has pushed under a key, or ``None``."""
    try:
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:  # Airflow 2.11
        from airflow.models.xcom import XCom  # type: ignore[no-redef]
    return XCom.get_value(key=key, ti_key=ti_key)


def get_variable(key: str) -> str | None:
    """Return the text of an Airflow Variable; ``None`` if it does not exist, and also if Airflow cannot read it."""
    try:
        from airflow.sdk import Variable
    except ImportError:  # Airflow 2.11
        from airflow.models.variable import Variable

        return Variable.get(key, None)  # type: ignore[no-any-return]
    return Variable.get(key, default=None)  # type: ignore[no-any-return]


def set_variable(key: str, value: str, description: str) -> None:
    """Write an Airflow Variable; if that fails, Airflow 3.0 only logs the error."""
    try:
        from airflow.sdk import Variable
    except ImportError:  # Airflow 2.11
        from airflow.models.variable import Variable
    Variable.set(key, value, description=description)


@cache
def get_stats() -> Any:
    """Return Airflow's client for metrics."""
    try:
        from airflow.sdk.observability.stats import Stats
    except ImportError:  # before Airflow 3.2
        from airflow.stats import Stats
    return Stats


def first_look_at(context: Context) -> float | None:
    """Return the time of the first look of this try in reschedule mode (seconds since the epoch), if it has looked."""
    ti: Any = context["ti"]
    try:
        from airflow.sensors.base import _orig_start_date  # type: ignore[import-not-found]
    except ImportError:  # Airflow 3
        first = ti.get_first_reschedule_date(context)
    else:
        first = _orig_start_date(ti.dag_id, ti.task_id, ti.run_id, ti.map_index, ti.try_number)
    return first.timestamp() if first else None


__all__ = [
    "DEFER_TIMEOUT_REASONS",
    "HAS_EVENT_TRIGGERS",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "BaseEventTrigger",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Context",
    "PokeReturnValue",
    "first_look_at",
    "get_stats",
    "get_variable",
    "get_xcom",
    "set_variable",
]
