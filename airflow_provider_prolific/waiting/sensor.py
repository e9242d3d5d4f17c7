"""The rules of a wait on a worker, and of the hand-over to the triggerer and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.configuration import conf

from airflow_provider_prolific.arguments import (
    MIN_POKE_INTERVAL_SECONDS,
    CheckedArguments,
    check_flag,
    check_seconds,
)
from airflow_provider_prolific.exceptions import (
    ProlificError,
    ProlificStalledError,
    ProlificUnreadableConnectionError,
    ProlificValueError,
)
from airflow_provider_prolific.text import one_line, shorten
from airflow_provider_prolific.version_compat import (
    DEFER_TIMEOUT_REASONS,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
    first_look_at,
)
from airflow_provider_prolific.waiting.metrics import Gauges
from airflow_provider_prolific.waiting.progress import Journal, Stall, describe_stall
from airflow_provider_prolific.waiting.wait import Status, Wait

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.version_compat import Context
    from airflow_provider_prolific.waiting.trigger import WaitTrigger

#: How long after the deadline Airflow's own defer time-out ends a wait that no triggerer ends, in seconds.
DEFER_GRACE_SECONDS = 300
#: The pause between two looks in one process, for a wait that must see the same result twice, in seconds.
SECOND_LOOK_SECONDS = 5
#: The longest time-out or pause that is passed to Airflow, in seconds: databases cannot store times far beyond it.
MAX_AIRFLOW_SECONDS = 10 * 365 * 86_400


class WaitSensor(CheckedArguments, BaseSensorOperator):
    """A sensor in every mode. A subclass defines its arguments, its wait, and the trigger for the same wait.

    Temporary errors (no connection, a rate limit, an outage, an answer that cannot be read) are logged; the sensor
    looks again after the next interval, or later if the API asks for that. Permanent errors (a wrong token, something
    that is missing or deleted) end the wait at once. A time-out means that the last look succeeded but the wait was not
    over: it raises ``AirflowSensorTimeout``, skips under ``soft_fail``, and is not retried. If the last look failed,
    the wait ends with an error instead. Each try of the task has the whole ``timeout``; ``execution_timeout`` also
    counts while deferred.

    :param prolific_conn_id: The Prolific connection. (templated)
    :param stalled_after: End the wait with ``ProlificStalledError`` if no count below its target has grown for this
        time; a ``timedelta``, or seconds. With ``retries`` and ``on_retry_callback``, people get a message and the wait
        goes on.
    :param deferrable: Wait in the triggerer instead of on a worker; the default is Airflow's ``default_deferrable``.
    :param sensor_arguments: What every sensor takes: ``poke_interval`` and ``timeout`` (seconds), ``mode``,
        ``soft_fail``, ``never_fail``, ``silent_fail``, ``exponential_backoff``, ``max_wait``.
    :raises ProlificValueError: a bad argument: while the DAG is parsed if it is not templated, else when the task
        runs.
    """

    prolific_conn_id: str
    #: The wait, if its arguments are those of the sensor.
    wait_class: ClassVar[type[Wait]]
    #: The trigger, as ``module.Class``; it is imported when the sensor defers.
    trigger_path: ClassVar[str]

    def __init__(
        self,
        *,
        stalled_after: timedelta | float | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **sensor_arguments: Any,
    ) -> None:
        for name in ("poke_interval", "timeout", "max_wait"):
            if sensor_arguments.get(name) is not None:
                sensor_arguments[name] = check_seconds(sensor_arguments[name], name)
        self.check_keywords(sensor_arguments)
        super().__init__(**sensor_arguments)
        self.stalled_after = None if stalled_after is None else check_seconds(stalled_after, "stalled_after")
        self.deferrable = check_flag(deferrable, "deferrable")
        if self.deferrable and type(self).poke is not WaitSensor.poke:
            raise ProlificValueError(
                f"{type(self).__name__} overrides poke(), which the triggerer does not call: set deferrable=False, or "
                "override wait() and use a trigger of your own"
            )
        self._begin()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task, with the same rule for its keywords."""
        cls.check_keywords(kwargs)
        return super().partial(**kwargs)

    if TYPE_CHECKING:

        @property
        def output(self) -> Any:
            """The output, as ``Any``: the type that Airflow annotates does not fit the arguments of tasks."""

    def wait(self) -> Wait:
        """Return the wait, once the templates are rendered."""
        return self.wait_class(**self.checked_arguments())

    def note_first_look(self, context: Context, answer: Any, statuses: list[Status]) -> None:
        """Act once, after the first successful look; a subclass may override this."""

    def _begin(self) -> None:
        """Forget what an earlier run saw: Airflow may run copies of one operator object."""
        self._journal = Journal(self.log)
        self._gauges = Gauges()
        self._wait: Wait | None = None
        self._stall = Stall(self.stalled_after)
        self._statuses: list[Status] = []
        self._failed_look: Exception | None = None
        self._has_read_connection = False

    def execute(self, context: Context) -> list[Status]:
        """Wait on the worker; if deferrable, look once here and then defer to the trigger."""
        self._begin()
        now = time.time()
        if self.deferrable or not self.reschedule or first_look_at(context) is None:
            interval = max(self.poke_interval, MIN_POKE_INTERVAL_SECONDS)
            self._journal.begins(interval, now + self._longest_wait(), bool(self.exponential_backoff))
        with self._softened():
            if self.deferrable:
                statuses = self._look_and_defer(context)
            else:
                try:
                    statuses = super().execute(context)
                except (AirflowSensorTimeout, AirflowSkipException) as error:
                    if error.__cause__ is not None:  # skipped because poke() raised an error, not for a time-out
                        raise
                    self._raise_timeout()
            if self._wait is not None:  # the poke() of a subclass may not set it
                self.log.info("Reached: %s", self._wait.describe(self._statuses))
            return statuses

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; a temporary error counts as not over."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        self._failed_look = None
        try:
            wait = self._wait = self._wait or self.wait()
            with ProlificHook(self.prolific_conn_id, max_retries=0) as hook:
                hook.get_conn()
                self._has_read_connection = True
                answer = wait.ask(hook)
                statuses = wait.judge(answer)
                is_over = wait.is_over(statuses)
                if self.reschedule and not is_over and wait.opens(statuses):
                    # If the same must be seen twice, look twice now: the next look is another process.
                    time.sleep(min(self.poke_interval, SECOND_LOOK_SECONDS))
                    statuses = wait.judge(answer := wait.ask(hook))
                    is_over = wait.is_over(statuses)
                stalled = None if is_over else self._stalled(hook, wait, statuses, context)
        except Exception as error:
            self._failed_look = error
            if not self._is_temporary(error, context):
                raise
            self._journal.failed(error, time.monotonic())
            return PokeReturnValue(False)
        if not self._statuses:
            self.note_first_look(context, answer, statuses)
        self._statuses = statuses
        self._journal.found(wait, statuses, time.monotonic())
        self._gauges.found(statuses, time.monotonic())
        if stalled:
            raise ProlificStalledError(stalled)
        return PokeReturnValue(is_over, statuses if is_over else None)

    def _stalled(self, hook: ProlificHook, wait: Wait, statuses: list[Status], context: Context) -> str | None:
        """Describe the stall; ``None`` if the wait has not stalled."""
        now, measures = time.time(), [*map(wait.measure, statuses)]
        if self.reschedule and not self.deferrable and self.stalled_after is not None:
            # Each look is another process, so the growth cannot be remembered.
            since = first_look_at(context) or now
            if now - since >= self.stalled_after:
                since = max(since, wait.last_growth(hook, statuses) or 0)
            return describe_stall(measures, since, now) if now - since >= self.stalled_after else None
        return self._stall.line(measures, now)

    def _is_temporary(self, error: Exception, context: Context) -> bool:
        """Tell whether the wait goes on after an error."""
        if isinstance(error, ProlificUnreadableConnectionError):
            return self._has_read_connection or (self.reschedule and first_look_at(context) is not None)
        return getattr(error, "transient", False)

    def _look_and_defer(self, context: Context) -> list[Status]:
        deadline = time.time() + self._longest_wait()
        try:
            result = self.poke(context)
        except Exception as error:  # the rules of BaseSensorOperator.execute
            if self.silent_fail:
                self.log.exception("This look failed, the wait goes on (silent_fail)")
                result = PokeReturnValue(False)
            elif self.never_fail:
                raise self._skipped("never_fail", error) from error
            else:
                raise
        if result.is_done:
            return self._statuses
        now = time.time()
        if (left := deadline - now) <= 0:
            self._raise_timeout()
        retry_after = getattr(self._failed_look, "retry_after", None)
        self.defer(
            trigger=load_trigger(self.trigger_path)(
                **self.wait().arguments(),
                deadline=deadline,
                prolific_conn_id=self.prolific_conn_id,
                poke_interval=self.poke_interval,
                exponential_backoff=bool(self.exponential_backoff),
                max_wait=self.max_wait.total_seconds() if self.max_wait else None,
                silent_fail=self.silent_fail,
                not_before=now + retry_after if retry_after else None,
                stalled_after=self.stalled_after,
                grown_at=self._stall.since,
                grown_counts=list(self._stall.counts),
            ),
            method_name="execute_complete",
            timeout=None if left > MAX_AIRFLOW_SECONDS else timedelta(seconds=left + DEFER_GRACE_SECONDS),
        )

    def _longest_wait(self) -> float:
        """Return the seconds that the wait may take: Airflow does not count ``execution_timeout`` while deferred."""
        return min(self.timeout, self._execution_seconds())

    def _execution_seconds(self) -> float:
        limit = self.execution_timeout
        return float("inf") if limit is None else limit.total_seconds()

    def execute_complete(self, context: Context, event: Any = None) -> list[Status]:  # noqa: ARG002
        """Judge the trigger's event; only a success of this wait counts as one.

        :param event: ``{"status", "message"}`` and the statuses.
        :return: The same list as in the other modes.
        """
        with self._softened():
            status = event.get("status") if isinstance(event, dict) else None
            if status == "success":
                wait = self.wait()
                statuses = wait.confirm(event.get(wait.plural))
                self.log.info("Reached: %s", wait.describe(statuses))
                return statuses
            if status == "timeout":
                self._raise_timeout(str(event.get("message")))
            if status == "stalled":
                raise ProlificStalledError(str(event.get("message")))
            if status == "error":
                raise ProlificError(str(event.get("message") or "the trigger reported an error without a cause"))
            raise ProlificError(f"the trigger ended with an event that this trigger does not send: {shorten(event)}")

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> list[Status]:
        """Resume after the deferral, by the same rules on every version of Airflow, also if Airflow itself ended it.

        Airflow's own method skips a crashed trigger under ``soft_fail``, and some versions ignore ``never_fail`` here.
        """
        self._mask_token()
        if next_method != "__fail__":
            statuses: list[Status] = BaseOperator.resume_execution(self, next_method, next_kwargs, context)
            return statuses
        failure = next_kwargs or {}
        traceback = "".join(failure.get("traceback") or ())
        if traceback:
            self.log.error("The trigger failed:\n%s", traceback)
        reason = str(getattr(failure.get("error"), "value", failure.get("error")))
        if reason in DEFER_TIMEOUT_REASONS:
            event = {"status": "timeout", "message": "Airflow ended the wait before the trigger reported"}
        else:
            event = {"status": "error", "message": f"the trigger failed: {_describe_crash(traceback, reason)}"}
        return self.execute_complete(context, event)

    def _mask_token(self) -> None:
        """Let Airflow hide the token in the logs of this process: it does so when it reads the connection."""
        from airflow_provider_prolific.version_compat import BaseHook

        with suppress(Exception):
            BaseHook.get_connection(self.prolific_conn_id)

    def _raise_timeout(self, message: str | None = None) -> NoReturn:
        if self._failed_look is not None:
            raise ProlificError(f"the last look before the deadline failed: {self._failed_look}") from self._failed_look
        if message is None:
            message = self.wait().describe_short(self._statuses)
        if self.deferrable and self._execution_seconds() < self.timeout:
            raise AirflowTaskTimeout(f"execution_timeout of {self._execution_seconds():g} seconds passed: {message}")
        raise AirflowSensorTimeout(f"timed out after {self.timeout:g} seconds: {message}")

    @contextmanager
    def _softened(self) -> Iterator[None]:
        """Skip the task after a time-out if ``soft_fail`` is set, and after any error if ``never_fail`` is set."""
        try:
            yield
        except AirflowSensorTimeout as error:
            if self.soft_fail or self.never_fail:
                raise self._skipped("soft_fail" if self.soft_fail else "never_fail", error) from error
            raise
        except ProlificError as error:
            if self.never_fail:
                raise self._skipped("never_fail", error) from error
            raise

    def _skipped(self, flag: str, error: Exception) -> AirflowSkipException:
        """Log a skip as a warning, because Airflow itself hardly mentions it, and return the exception that skips."""
        message = f"Skipped ({flag}): {error}"
        self.log.warning("%s", message)
        return AirflowSkipException(message)

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Return the seconds to the next look on the worker: Airflow's, or more if the API asks for more."""
        retry_after = getattr(self._failed_look, "retry_after", None) or 0
        interval = min(super()._get_next_poke_interval(*args, **kwargs), MAX_AIRFLOW_SECONDS)
        return max(interval, retry_after, MIN_POKE_INTERVAL_SECONDS)


def load_trigger(path: str) -> type[WaitTrigger]:
    """Import the trigger class with this path; the import takes time, so it happens only when a sensor defers."""
    module, _, name = path.rpartition(".")
    trigger_class: type[WaitTrigger] = getattr(import_module(module), name)
    return trigger_class


def _describe_crash(traceback: str, reason: str) -> str:
    """Return why a trigger failed: the last line of its traceback, or Airflow's own words."""
    if not traceback.strip():
        return f"{reason}; see its log"
    cause = one_line(traceback.strip().splitlines()[-1], 300)
    is_import = cause.startswith(("ModuleNotFoundError", "ImportError"))
    return cause + " (is the package installed where the triggerer runs?)" * is_import
