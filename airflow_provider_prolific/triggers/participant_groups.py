"""Triggers that wait for participant groups in the triggerer; they only read."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_prolific.arguments import MIN_POKE_INTERVAL_SECONDS, check_filter, check_group, shorten
from airflow_provider_prolific.exceptions import ProlificConnectionError, ProlificError, ProlificValueError
from airflow_provider_prolific.milestones import Milestones
from airflow_provider_prolific.polling import PollKey, SharedPoll, shared_poll
from airflow_provider_prolific.progress import Progress
from airflow_provider_prolific.targets import Gate, TargetStatus, Verdict, describe_all, describe_short
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS, BaseEventTrigger

#: How long after the deadline the last look may still be answered, in seconds.
LAST_LOOK_SECONDS = 90
#: How old the answer may be on which a wait ends at its deadline, in seconds.
LAST_LOOK_MAX_AGE_SECONDS = 5
#: The longest time between two looks of a wait that backs off without a ``max_wait``, in seconds.
MAX_BACKOFF_SECONDS = 86_400.0
#: The longest time between two looks of a watch that fails for a reason that will not pass by itself, in seconds.
MAX_FAILING_INTERVAL_SECONDS = 900.0


class ProlificParticipantGroupTrigger(BaseTrigger):
    """Wait until participant groups reach their target counts.

    It yields one event, flat JSON: ``status`` is ``"success"``, ``"timeout"`` or ``"error"``; ``groups`` has an entry
    per target (``id``, ``name``, ``participant_count``, ``target_count``, ``reached``) as the last good look found
    them; ``message`` says it in words.

    :param targets: Participant group (id or exact name) to target participant count.
    :param deadline: When the wait ends, in seconds since the epoch: absolute, so that a restart does not prolong it.
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``, or ``None`` for the connection's default scope.
    :param active: ``True`` for live groups, ``False`` for deleted ones, ``None`` for both.
    :param match: ``"all"`` or ``"any"`` of the targets.
    :param if_missing: ``"fail"`` or ``"wait"`` for a group that is not there.
    :param prolific_conn_id: The Prolific connection; its token never leaves the connection.
    :param poke_interval: Seconds between two looks.
    :param exponential_backoff: Double the interval after each look.
    :param max_wait: The longest interval then, in seconds; ``None`` for no limit but the deadline.
    :param silent_fail: Log what will not pass and go on, instead of ending the wait.
    :param not_before: When the first look may happen, in seconds since the epoch, where the API named a time.
    """

    def __init__(
        self,
        *,
        targets: dict[str, int],
        deadline: float,
        filter: dict[str, str] | None = None,
        active: bool | None = True,
        match: str = "all",
        if_missing: str = "fail",
        prolific_conn_id: str = "prolific_default",
        poke_interval: float = 60,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        silent_fail: bool = False,
        not_before: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.targets = targets
        self.deadline = deadline
        self.filter = filter
        self.active = active
        self.match = match
        self.if_missing = if_missing
        self.prolific_conn_id = prolific_conn_id
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.silent_fail = silent_fail
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the constructor's arguments, JSON only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "targets": self.targets,
                "deadline": self.deadline,
                "filter": self.filter,
                "active": self.active,
                "match": self.match,
                "if_missing": self.if_missing,
                "prolific_conn_id": self.prolific_conn_id,
                "poke_interval": self.poke_interval,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "silent_fail": self.silent_fail,
                "not_before": self.not_before,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at each beat until the gate opens, the deadline passes, or something is wrong that will not pass."""
        try:
            event = await self._wait()
        except Exception as error:
            self.log.exception("The wait ends with an error that was not foreseen")
            event = _event("error", [], f"{type(error).__name__}: {error}")
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        gate = Gate(self.targets, self.match, self.if_missing)
        progress = Progress()
        intervals = self._intervals()
        statuses: list[TargetStatus] = []
        if self.not_before is not None:
            await asyncio.sleep(min(self.not_before, self.deadline) - time.time())
        with shared_poll(PollKey(self.prolific_conn_id, check_filter(self.filter), self.active)) as poll:
            since = loop.time() - self.poke_interval
            while True:
                is_last = time.time() >= self.deadline
                if is_last:
                    since = loop.time() - min(self.poke_interval, LAST_LOOK_MAX_AGE_SECONDS)
                verdict, error = await self._look(poll, since, gate)
                if verdict is not None:
                    statuses = verdict.statuses
                    if line := progress.line(statuses, loop.time()):
                        self.log.info("%s", line)
                    if verdict.done:
                        return _event("success", statuses, describe_all(statuses))
                    if is_last:
                        return _event("timeout", statuses, describe_short(statuses))
                elif not (getattr(error, "transient", False) or self.silent_fail):
                    return _event("error", statuses, str(error))
                elif is_last:
                    return _event("error", statuses, f"the last look before the deadline failed: {error}")
                else:
                    self.log.warning("This look failed, the wait goes on: %s", error)
                since = poll.next_beat(*next(intervals))
                # The look sleeps until the beat, with one timer for all; a deadline that comes first needs one's own.
                while 0 < (seconds := self.deadline - time.time()) < since - loop.time():  # noqa: ASYNC110 - two clocks
                    await asyncio.sleep(seconds)

    async def _look(self, poll: SharedPoll, since: float, gate: Gate) -> tuple[Verdict, None] | tuple[None, Exception]:
        """Return what a look says, or why it says nothing."""
        patience = max(self.deadline - time.time(), 0) + LAST_LOOK_SECONDS
        try:
            look = await poll.look(since, patience)
        except TimeoutError:
            return None, ProlificConnectionError(f"Prolific did not answer within {patience:.0f} seconds")
        if look.error is not None:
            return None, look.error
        try:
            return gate.judge(look.groups), None
        except ProlificError as error:
            return None, error

    def _intervals(self) -> Iterator[tuple[float, float]]:
        """Yield, for ever, the seconds between two beats and those to let pass before the next one."""
        beat = max(self.poke_interval, MIN_POKE_INTERVAL_SECONDS)
        longest = MAX_BACKOFF_SECONDS if self.max_wait is None else self.max_wait
        interval = beat
        while True:
            yield beat, interval - beat
            if self.exponential_backoff:
                interval = max(min(interval * 2, longest), beat)


class ProlificParticipantGroupEventTrigger(BaseEventTrigger):
    """Start DAG runs when a participant group grows past milestones (Airflow 3, for ``AssetWatcher``).

    .. code-block:: python

        screened = Asset(
            "screened_participants",
            watchers=[
                AssetWatcher(
                    name="screened",
                    trigger=ProlificParticipantGroupEventTrigger(
                        participant_group="Screened adults", milestones=[100, 300]
                    ),
                )
            ],
        )

    Each milestone is announced once: not again while the count stays above it, nor when it falls and rises again.
    Where several are passed between two looks there is one event, for the highest. A milestone that is already passed
    at the very first look is announced then.

    What was announced is remembered in the asset's state store on Airflow 3.3 and newer, where a restarted triggerer
    goes on as if nothing had happened. (An event and its note are two writes: a triggerer that is killed in the
    moment between may repeat or lose one event. Watchers of several assets with equal arguments are one trigger to
    Airflow, which has no single store: give them different arguments.) **Airflow 3.0 to 3.2 have no store**: there
    each start of the triggerer announces the highest milestone passed so far once more, with
    ``previous_participant_count`` null; make the runs harmless to repeat.

    The event's payload, in the asset event's ``extra["payload"]``, is
    ``{"id", "name", "participant_count", "milestone", "milestones", "previous_participant_count"}``:
    the group, its count, the highest milestone passed, all those passed since the event before, and that event's
    count.

    The watch never ends by itself: what may pass is looked at again after the interval, or later where the API names
    a time; what will not pass (a wrong token, a deleted group) is logged as an error at growing intervals of up to
    15 minutes, and works again when it is repaired.

    :param participant_group: The group, by id or exact name.
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; without it the connection's default scope.
    :param milestones: Participant counts, each at least 1.
    :param every: Or a step: each further so many participants are a milestone.
    :param poke_interval: Seconds between two looks.
    :param prolific_conn_id: The Prolific connection; its token never leaves the connection.
    :raises ProlificValueError: a bad argument, while the DAG is parsed.
    :raises ProlificError: this is Airflow 2, which has no event-driven scheduling.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
    """

    def __init__(
        self,
        *,
        participant_group: str,
        filter: dict[str, str] | None = None,
        milestones: list[int] | None = None,
        every: int | None = None,
        poke_interval: float = 60,
        prolific_conn_id: str = "prolific_default",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not HAS_EVENT_TRIGGERS:
            raise ProlificError(
                "ProlificParticipantGroupEventTrigger needs Airflow 3: on Airflow 2 wait with "
                "ProlificParticipantGroupSensor instead"
            )
        self._milestones = Milestones(milestones, every)
        self._scope = check_filter(filter)
        self.participant_group = check_group(participant_group, "participant_group")
        self.filter = filter
        self.milestones = self._milestones.counts
        self.every = self._milestones.every
        if isinstance(poke_interval, bool) or not poke_interval >= MIN_POKE_INTERVAL_SECONDS:
            raise ProlificValueError(
                f"poke_interval must be at least {MIN_POKE_INTERVAL_SECONDS} seconds, not {shorten(poke_interval)}"
            )
        self.poke_interval = poke_interval
        self.prolific_conn_id = prolific_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the constructor's arguments, JSON only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "participant_group": self.participant_group,
                "filter": self.filter,
                "milestones": self.milestones,
                "every": self.every,
                "poke_interval": self.poke_interval,
                "prolific_conn_id": self.prolific_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at each beat, for ever; yield an event when milestones were passed."""
        loop = asyncio.get_running_loop()
        announced: dict[str, Any] | None = None
        failures = 0
        with shared_poll(PollKey(self.prolific_conn_id, self._scope, True)) as poll:
            since = loop.time() - self.poke_interval
            while True:
                try:
                    if announced is None:
                        announced = await self._read_announced()
                    look = await poll.look(since)
                    if look.error is not None:
                        raise look.error.with_traceback(None)
                    group = look.groups.require(self.participant_group)
                except Exception as error:  # noqa: BLE001 - the watch outlives whatever it meets
                    if getattr(error, "transient", False):
                        self.log.warning("This look failed, the watch goes on: %s", error)
                    else:
                        failures += 1
                        self.log.error("The watch cannot see its group, and tries again: %s", error)
                else:
                    failures = 0
                    count = group["participant_count"]
                    if passed := self._milestones.passed(announced["milestone"], count):
                        yield TriggerEvent(  # type: ignore[no-untyped-call]
                            {
                                "id": group["id"],
                                "name": group["name"],
                                "participant_count": count,
                                "milestone": passed[-1],
                                "milestones": passed,
                                "previous_participant_count": announced["participant_count"],
                            }
                        )
                        announced = {"milestone": passed[-1], "participant_count": count}
                        await self._write_announced(announced)
                since = poll.next_beat(self.poke_interval, self._backoff(failures))
                await asyncio.sleep(since - loop.time())

    def _backoff(self, failures: int) -> float:
        """Return the seconds by which the next look comes later than it would after a good one."""
        interval = min(self.poke_interval * 2.0 ** min(failures, 20), MAX_FAILING_INTERVAL_SECONDS)
        return max(interval - self.poke_interval, 0)

    @property
    def _store_key(self) -> str:
        """The key of what was announced: one per watched group, whichever milestones are asked for."""
        watched = repr((self.prolific_conn_id, self._scope, self.participant_group))
        return f"prolific_participant_group_{hashlib.sha256(watched.encode()).hexdigest()[:32]}"

    async def _read_announced(self) -> dict[str, Any]:
        store = getattr(self, "asset_state_store", None)
        stored = await store.aget(self._store_key) if store is not None else None
        return stored or {"milestone": 0, "participant_count": None}

    async def _write_announced(self, announced: dict[str, Any]) -> None:
        if (store := getattr(self, "asset_state_store", None)) is None:
            return
        try:
            await store.aset(self._store_key, announced)
        except Exception as error:  # noqa: BLE001 - the watch outlives whatever it meets
            self.log.warning("Milestone %d may be announced again after a restart: %s", announced["milestone"], error)


def _event(status: str, groups: list[TargetStatus], message: str) -> dict[str, Any]:
    return {"status": status, "groups": groups, "message": message}
