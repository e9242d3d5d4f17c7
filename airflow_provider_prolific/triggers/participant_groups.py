"""Triggers that wait for participant groups in the triggerer; they only read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_prolific.arguments import MIN_POKE_INTERVAL_SECONDS, check_filter
from airflow_provider_prolific.exceptions import ProlificConnectionError, ProlificError
from airflow_provider_prolific.polling import PollKey, SharedPoll, shared_poll
from airflow_provider_prolific.progress import Progress
from airflow_provider_prolific.targets import Gate, TargetStatus, Verdict, describe_all, describe_short

#: How long after the deadline the last look may still be answered, in seconds.
LAST_LOOK_SECONDS = 90
#: How old the answer may be on which a wait ends at its deadline, in seconds.
LAST_LOOK_MAX_AGE_SECONDS = 5
#: The longest time between two looks of a wait that backs off without a ``max_wait``, in seconds.
MAX_BACKOFF_SECONDS = 86_400.0


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
                since = poll.next_beat(next(intervals))
                while (seconds := min(since - loop.time(), self.deadline - time.time())) > 0:  # noqa: ASYNC110 - two clocks
                    await asyncio.sleep(seconds)

    async def _look(self, poll: SharedPoll, since: float, gate: Gate) -> tuple[Verdict, None] | tuple[None, Exception]:
        """Return what a look says, or why it says nothing."""
        patience = max(self.deadline - time.time(), 0) + LAST_LOOK_SECONDS
        try:
            async with asyncio.timeout(patience):
                look = await poll.look(since)
        except TimeoutError:
            return None, ProlificConnectionError(f"Prolific did not answer within {patience:.0f} seconds")
        if look.error is not None:
            return None, look.error
        try:
            return gate.judge(look.groups), None
        except ProlificError as error:
            return None, error

    def _intervals(self) -> Iterator[float]:
        """Yield the seconds between two looks, for ever."""
        longest = MAX_BACKOFF_SECONDS if self.max_wait is None else self.max_wait
        interval = self.poke_interval
        while True:
            yield max(interval, MIN_POKE_INTERVAL_SECONDS)
            if self.exponential_backoff:
                interval = min(interval * 2, longest)


def _event(status: str, groups: list[TargetStatus], message: str) -> dict[str, Any]:
    return {"status": status, "groups": groups, "message": message}
