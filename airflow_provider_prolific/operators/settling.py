"""Operators whose requests take effect later: they send the request, then wait for the effect."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.configuration import conf

from airflow_provider_prolific.arguments import check_flag, check_seconds
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.operators.base import ProlificOperator
from airflow_provider_prolific.waiting.progress import Journal
from airflow_provider_prolific.waiting.sensor import DEFER_GRACE_SECONDS, load_trigger
from airflow_provider_prolific.waiting.wait import Status, Wait

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.version_compat import Context


class SettlingOperator(ProlificOperator):
    """An operator that sends a request and waits until its effect is visible; the answer alone proves little.

    A subclass implements :meth:`perform`: look, act if that is still needed, and return what to wait for. A retry calls
    it again, so it must not do anything twice. :meth:`settled` returns the result, or the next wait.

    :param timeout: How long to wait at most: a ``timedelta``, or seconds.
    :param poke_interval: The time between two looks: a ``timedelta``, or seconds.
    :param deferrable: Wait in the triggerer instead of on a worker; default: Airflow's ``default_deferrable``.
    """

    #: The trigger that waits for it, as ``module.Class``.
    trigger_path: ClassVar[str]
    #: What to wait for; it is created again from its arguments when the task resumes.
    wait_class: ClassVar[type[Wait]]

    def __init__(
        self,
        *,
        timeout: timedelta | float = timedelta(minutes=15),
        poke_interval: timedelta | float = 10,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.timeout = check_seconds(timeout, "timeout")
        self.poke_interval = check_seconds(poke_interval, "poke_interval")
        self.deferrable = check_flag(deferrable, "deferrable")

    def perform(self, hook: ProlificHook, *args: Any, **arguments: Any) -> Wait | Any:
        """Look, act if it is still needed, and return what to wait for, or the result if there is nothing."""
        raise NotImplementedError

    def settled(self, hook: ProlificHook, wait: Wait, statuses: list[Status]) -> Wait | Any:
        """Return the result, or what to wait for next."""
        raise NotImplementedError

    def unsettled(self, wait: Wait, statuses: list[Status], reason: str) -> ProlificError:  # noqa: ARG002
        """Return the error to raise if it has not settled in time.

        :param statuses: What the last look found, if there was one.
        :param reason: The reason in words.
        """
        return ProlificError(reason)

    def execute(self, context: Context) -> Any:
        """Check the arguments, do the work, wait until it has settled, return the result."""
        arguments = self.checked_arguments()
        with self.opened_hook() as hook:
            return self._finish(context, hook, self.perform(hook, **arguments))

    def execute_complete(
        self, context: Context, event: Any, wait: Mapping[str, Any] | None = None, deadline: float = 0
    ) -> Any:
        """Resume when the trigger has ended; the worker looks once more, and that look decides.

        :param event: The trigger's event.
        :param wait: The arguments of the wait. ``dag.test()`` loses them: then the work starts again, as in a retry.
        :param deadline: When the wait ends, in seconds since the epoch.
        """
        if wait is None:
            if event["status"] != "success":
                raise ProlificError(str(event["message"]))
            return self.execute(context)
        failure = str(event.get("message")) if isinstance(event, dict) and event.get("status") == "error" else None
        with self.opened_hook() as hook:
            settling = self.wait_class(**wait)
            statuses = self._look_until(hook, settling, deadline, failure)
            return self._finish(context, hook, self.settled(hook, settling, statuses))

    def _finish(self, context: Context, hook: ProlificHook, outcome: Any) -> Any:
        """Wait until everything has settled; each wait has the whole ``timeout``."""
        while isinstance(outcome, Wait):
            statuses = self._look_until(hook, outcome, time.time() + self.timeout)
            outcome = self.settled(hook, outcome, statuses)
        return self.delivered(context, outcome)

    def _look_until(self, hook: ProlificHook, wait: Wait, deadline: float, failure: str | None = None) -> list[Status]:
        """Look until the wait is over. If ``deferrable``, the worker looks once, and then the trigger takes over.

        :param failure: Why the trigger failed, if it did: then the worker looks only once.
        """
        journal = Journal(self.log)
        statuses: list[Status] = []
        while True:
            is_last = time.time() >= deadline
            try:
                statuses = wait.judge(wait.ask(hook))
            except ProlificError as error:
                if is_last or failure or not error.transient:
                    raise self.unsettled(wait, statuses, str(error)) from error
                journal.failed(error, time.monotonic())
            else:
                journal.found(wait, statuses, time.monotonic())
                if wait.is_over(statuses):
                    return statuses
                if is_last or failure:
                    passed = f"not settled after {self.timeout:g} seconds: {wait.describe_short(statuses)}"
                    raise self.unsettled(wait, statuses, failure or passed)
            left = max(deadline - time.time(), 0)
            if self.deferrable:
                self._hand_over(wait, deadline, left)
            time.sleep(min(self.poke_interval, left))

    def _hand_over(self, wait: Wait, deadline: float, left: float) -> None:
        self.defer(
            trigger=load_trigger(self.trigger_path)(
                **wait.arguments(),
                deadline=deadline,
                prolific_conn_id=self.prolific_conn_id,
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            kwargs={"wait": wait.arguments(), "deadline": deadline},
            timeout=timedelta(seconds=left + DEFER_GRACE_SECONDS),
        )
