"""The sensor that gates a pipeline on the size of participant groups."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.configuration import conf

from airflow_provider_prolific.arguments import (
    MIN_POKE_INTERVAL_SECONDS,
    check_active,
    check_choice,
    check_filter,
    check_unless_templated,
    shorten,
)
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.links import FeederStudyLink, name_feeder_study
from airflow_provider_prolific.progress import Progress
from airflow_provider_prolific.targets import (
    IF_MISSING,
    MATCHES,
    Gate,
    GroupIndex,
    TargetStatus,
    check_targets,
    describe_all,
    describe_short,
    parse_targets,
)
from airflow_provider_prolific.version_compat import (
    DEFER_TIMEOUT_REASONS,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
)

if TYPE_CHECKING:
    from airflow_provider_prolific.version_compat import Context

#: How long after the deadline Airflow's own defer time-out ends a wait that no triggerer ends, in seconds.
DEFER_GRACE_SECONDS = 300


class ProlificParticipantGroupSensor(BaseSensorOperator):
    """Wait until participant groups have reached their target counts.

    .. code-block:: python

        enough = ProlificParticipantGroupSensor(
            task_id="enough_participants",
            participant_group="Screened adults",
            target_count=100,
            deferrable=True,
        )

    Name one group, or give several in ``targets``; never both. (Airflow renders the values of a mapping, not its
    keys: an id that comes from an upstream task goes into ``participant_group``, or the whole mapping comes as an
    XCom.)

    What may pass (no connection, a rate limit, an outage, an answer that cannot be read) is logged and looked at
    again after the next interval, or later where the API names a time. What will not pass (a wrong token, a group
    that is missing or deleted, an ignored scope) ends the wait at once. A time-out means that the last look found
    the groups short: it raises ``AirflowSensorTimeout``, skips under ``soft_fail``, and is not retried; where the
    last look failed, the wait ends as an error instead. Each try of the task has the whole ``timeout``.

    :param participant_group: One group, by id or exact name. (templated)
    :param target_count: Its target participant count, at least 1; a number or its text. (templated)
    :param targets: Several groups instead: id or exact name to target participant count. (templated)
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; without it the connection's default scope.
        (templated)
    :param active: ``True`` for live groups, ``False`` for deleted ones, ``None`` for both. (templated)
    :param match: ``"all"``: every group must reach its target; ``"any"``: one is enough. (templated)
    :param if_missing: ``"fail"``: a missing or deleted group is an error; ``"wait"``: another pipeline will create
        it. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :param deferrable: Wait in the triggerer instead of on a worker; the default is Airflow's ``default_deferrable``.
    :param sensor_arguments: What every sensor takes: ``poke_interval`` and ``timeout`` (seconds), ``mode``,
        ``soft_fail``, ``never_fail``, ``silent_fail``, ``exponential_backoff``, ``max_wait``.
    :return: A list with an entry per target, in every mode:
        ``{"id", "name", "participant_count", "target_count", "reached"}``.
    :raises ProlificValueError: a bad argument: while the DAG is parsed where it is not templated, else when the
        task runs.
    :raises ProlificError: what will not pass, with its cause.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
    """

    template_fields: Sequence[str] = (
        "participant_group",
        "target_count",
        "targets",
        "filter",
        "active",
        "match",
        "if_missing",
        "prolific_conn_id",
    )
    operator_extra_links = (FeederStudyLink(),)

    def __init__(
        self,
        *,
        participant_group: str | None = None,
        target_count: int | str | None = None,
        targets: dict[str, int | str] | None = None,
        filter: dict[str, str] | None = None,
        active: bool | str | None = True,
        match: str = "all",
        if_missing: str = "fail",
        prolific_conn_id: str = "prolific_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **sensor_arguments: Any,
    ) -> None:
        super().__init__(**sensor_arguments)
        check_targets(participant_group, target_count, targets)
        check_unless_templated(check_filter, filter)
        check_unless_templated(check_active, active)
        check_unless_templated(check_choice, "match", match, MATCHES)
        check_unless_templated(check_choice, "if_missing", if_missing, IF_MISSING)
        self.participant_group = participant_group
        self.target_count = target_count
        self.targets = targets
        self.filter = filter
        self.active = active
        self.match = match
        self.if_missing = if_missing
        self.prolific_conn_id = prolific_conn_id
        self.deferrable = deferrable
        self._begin()

    def _begin(self) -> None:
        """Forget what an earlier run saw: Airflow may run copies of one operator object."""
        self._progress = Progress()
        self._statuses: list[TargetStatus] = []
        self._failed_look: Exception | None = None

    def execute(self, context: Context) -> list[TargetStatus]:
        """Wait on the worker or, deferrable, look once here and hand over to the trigger."""
        self._begin()
        with self._softened():
            if self.deferrable:
                return self._look_and_defer(context)
            try:
                statuses: list[TargetStatus] = super().execute(context)
            except (AirflowSensorTimeout, AirflowSkipException) as error:
                if error.__cause__ is not None:  # skipped because of what poke() raised, not for a time-out
                    raise
                self._raise_timeout()
            return statuses

    def _look_and_defer(self, context: Context) -> list[TargetStatus]:
        from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger

        deadline = time.time() + self.timeout
        try:
            result = self.poke(context)
        except Exception as error:  # the rules of BaseSensorOperator.execute
            if self.silent_fail:
                self.log.exception("This look failed, the wait goes on (silent_fail)")
                result = PokeReturnValue(False)
            elif self.never_fail:
                raise AirflowSkipException(f"skipped, for never_fail is set: {error}") from error
            else:
                raise
        if result.is_done:
            return self._statuses
        now = time.time()
        if now >= deadline:
            self._raise_timeout()
        scope = check_filter(self.filter)
        retry_after = getattr(self._failed_look, "retry_after", None)
        self.defer(
            trigger=ProlificParticipantGroupTrigger(
                targets=dict(self._gate().targets),
                deadline=deadline,
                filter=dict([scope]) if scope else None,
                active=check_active(self.active),
                match=self.match,
                if_missing=self.if_missing,
                prolific_conn_id=self.prolific_conn_id,
                poke_interval=self.poke_interval,
                exponential_backoff=bool(self.exponential_backoff),
                max_wait=self.max_wait.total_seconds() if self.max_wait else None,
                silent_fail=self.silent_fail,
                not_before=now + retry_after if retry_after else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=deadline - now + DEFER_GRACE_SECONDS),
        )

    def execute_complete(self, context: Context, event: Any = None) -> list[TargetStatus]:  # noqa: ARG002
        """Judge the trigger's event; nothing but a success that fits the targets is taken for one.

        :param event: ``{"status", "groups", "message"}``.
        :return: The same list as in the other modes.
        """
        with self._softened():
            status = event.get("status") if isinstance(event, dict) else None
            if status == "success":
                statuses = self._gate().confirm(event.get("groups"))
                self.log.info("Reached: %s", describe_all(statuses))
                return statuses
            if status == "timeout":
                raise AirflowSensorTimeout(f"timed out after {self.timeout:g} seconds: {event.get('message')}")
            if status == "error":
                raise ProlificError(str(event.get("message") or "the trigger reported an error without a cause"))
            raise ProlificError(f"the trigger ended with an event that is none of its own: {shorten(event)}")

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> list[TargetStatus]:
        """Resume after the deferral; also where Airflow ends it, by the same rules on every version.

        Airflow's own way would skip a crashed trigger under ``soft_fail`` and forget ``never_fail`` on some.
        """
        if next_method != "__fail__":
            statuses: list[TargetStatus] = BaseOperator.resume_execution(self, next_method, next_kwargs, context)
            return statuses
        failure = next_kwargs or {}
        if traceback := failure.get("traceback"):
            self.log.error("The trigger failed:\n%s", "".join(traceback))
        reason = str(getattr(failure.get("error"), "value", failure.get("error")))
        if reason in DEFER_TIMEOUT_REASONS:
            event = {"status": "timeout", "message": "Airflow ended the wait before the trigger reported"}
        else:
            event = {"status": "error", "message": f"the trigger failed: {reason}; its log says why"}
        return self.execute_complete(context, event)

    def _raise_timeout(self) -> NoReturn:
        if self._failed_look is not None:
            raise ProlificError(f"the last look before the deadline failed: {self._failed_look}") from self._failed_look
        raise AirflowSensorTimeout(f"timed out after {self.timeout:g} seconds: {describe_short(self._statuses)}")

    @contextmanager
    def _softened(self) -> Iterator[None]:
        """Skip what ``soft_fail`` (a time-out) and ``never_fail`` (anything) ask to skip."""
        try:
            yield
        except AirflowSensorTimeout as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"skipped, for soft_fail or never_fail is set: {error}") from error
            raise
        except ProlificError as error:
            if self.never_fail:
                raise AirflowSkipException(f"skipped, for never_fail is set: {error}") from error
            raise

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Return the seconds to the next look on the worker: Airflow's, or more where the API names a time."""
        retry_after = getattr(self._failed_look, "retry_after", None) or 0
        return max(super()._get_next_poke_interval(*args, **kwargs), retry_after, MIN_POKE_INTERVAL_SECONDS)

    def _gate(self) -> Gate:
        """Return the targets, once the templates are rendered."""
        return Gate(
            parse_targets(self.participant_group, self.target_count, self.targets),
            self.match,
            self.if_missing,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; what may pass counts as not reached."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        self._failed_look = None
        try:
            gate = self._gate()
            with closing(ProlificHook(self.prolific_conn_id, max_retries=0)) as hook:
                groups = hook.list_participant_groups(self.filter, check_active(self.active))
            verdict = gate.judge(GroupIndex(groups))
        except Exception as error:
            self._failed_look = error
            if not getattr(error, "transient", False):
                raise
            self.log.warning("This look failed, the wait goes on: %s", error)
            return PokeReturnValue(False)
        if not self._statuses:  # at the first good look
            found = {status["id"] for status in verdict.statuses}
            name_feeder_study(context, [group for group in groups if group["id"] in found])
        self._statuses = verdict.statuses
        if line := self._progress.line(verdict.statuses, time.monotonic()):
            self.log.info("%s", line)
        return PokeReturnValue(verdict.done, verdict.statuses if verdict.done else None)
