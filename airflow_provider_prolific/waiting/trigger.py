"""The rules of a wait in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_prolific.exceptions import ProlificError, ProlificUnreadableConnectionError
from airflow_provider_prolific.text import one_line
from airflow_provider_prolific.waiting.pace import Pace
from airflow_provider_prolific.waiting.polling import Question, SharedPoll, shared_poll
from airflow_provider_prolific.waiting.progress import Journal, Stall
from airflow_provider_prolific.waiting.wait import Status, Wait

#: The longest pause before the first look here, in seconds: the worker has just looked when it defers.
FIRST_LOOK_SECONDS = 10.0
#: That pause if two intervals are at least as long. Airflow's scheduler learns of the worker's end up to 5 seconds
#: later (``[workers] min_heartbeat_interval``), and it marks a task that was resumed before then as failed.
SETTLED_SECONDS = 8.0
#: How long after the deadline the last look may still be answered, in seconds.
LAST_LOOK_SECONDS = 15.0
#: The greatest age of an answer that ends a wait at its deadline, in seconds.
LAST_LOOK_MAX_AGE_SECONDS = 5.0
#: The longest pause before the first look for a ``Retry-After``, in seconds.
MAX_NOT_BEFORE_SECONDS = 120.0
#: How long a wait goes on if this triggerer has never been able to read its Airflow connection, in seconds.
UNSEEN_CONNECTION_SECONDS = 300.0


class WaitTrigger(BaseTrigger):
    """Wait in the triggerer; it only reads.

    It yields one event, flat JSON: ``status`` is ``"success"``, ``"timeout"``, ``"stalled"`` or ``"error"``; the
    statuses are those of the last successful look; ``message`` describes the result. The arguments are checked when
    the trigger runs, and a bad one becomes an error event: an exception in the constructor would end the whole
    triggerer.

    :param deadline: When the wait ends, in seconds since the epoch: absolute, so that a restart does not extend it.
    :param prolific_conn_id: The Prolific connection; its token never leaves the connection.
    :param poke_interval: Seconds between two looks.
    :param exponential_backoff: Double the interval after each look.
    :param max_wait: The longest interval then, in seconds; ``None`` for a day.
    :param silent_fail: Log permanent errors and go on, instead of ending the wait.
    :param not_before: The earliest time of the first look, in seconds since the epoch, if the API sent a
        ``Retry-After``.
    :param stalled_after: End the wait if no count has grown for this number of seconds.
    :param grown_at: When the worker last saw a count grow, in seconds since the epoch.
    :param grown_counts: The counts that the worker saw; the first line of the log shows the growth since then.
    :param arguments: The arguments of the wait.
    """

    #: The wait, whose arguments the trigger takes in addition to its own.
    wait_class: ClassVar[type[Wait]]

    def __init__(
        self,
        *,
        deadline: float,
        prolific_conn_id: str = "prolific_default",
        poke_interval: float = 60,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        silent_fail: bool = False,
        not_before: float | None = None,
        stalled_after: float | None = None,
        grown_at: float | None = None,
        grown_counts: list[int] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.deadline = deadline
        self.prolific_conn_id = prolific_conn_id
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.silent_fail = silent_fail
        self.not_before = not_before
        self.stalled_after = stalled_after
        self.grown_at = grown_at
        self.grown_counts = grown_counts
        try:
            self.arguments = self.wait_class(**arguments).arguments()
        except (ProlificError, TypeError):
            self.arguments = arguments

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the constructor's arguments, JSON only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                **self.arguments,
                "deadline": self.deadline,
                "prolific_conn_id": self.prolific_conn_id,
                "poke_interval": self.poke_interval,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "silent_fail": self.silent_fail,
                "not_before": self.not_before,
                "stalled_after": self.stalled_after,
                "grown_at": self.grown_at,
                "grown_counts": self.grown_counts,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at each beat until the wait is over, the deadline passes, or an error is permanent."""
        try:
            wait = self.wait_class(**self.arguments)
            status, statuses, message = await self._run(wait)
        except Exception as error:
            self.log.exception("The wait ends with an unexpected error")
            status, statuses, message = "error", [], f"{type(error).__name__}: {error}"
        event = {"status": status, self.wait_class.plural: statuses, "message": one_line(message, 1000)}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _run(self, wait: Wait) -> tuple[str, list[Status], str]:
        loop = asyncio.get_running_loop()
        pace = Pace(self.poke_interval, self.exponential_backoff, self.max_wait)
        pauses = pace.pauses()
        journal = Journal(self.log, self.grown_counts or ())
        stall = Stall(self.stalled_after, self.grown_at, self.grown_counts or ())
        statuses: list[Status] = []
        started_at = loop.time()
        await asyncio.sleep(self._first_pause(pace))
        question = Question(self.prolific_conn_id, wait.question())
        with shared_poll(question, wait.ask, pace.beat, wait.breadth) as poll:
            since = loop.time() - pace.beat
            while True:
                is_last = time.time() >= self.deadline
                if is_last:
                    # If the same must be seen twice, one answer must not count twice.
                    is_seen_once = bool(statuses) and wait.opens(statuses)
                    since = loop.time() - (0 if is_seen_once else min(pace.beat, LAST_LOOK_MAX_AGE_SECONDS))
                found = await self._look(poll, since, wait, is_last)
                if not isinstance(found, Exception):
                    statuses = found
                    measures = journal.found(wait, statuses, loop.time())
                    if wait.is_over(statuses):
                        return "success", statuses, wait.describe(statuses)
                    if is_last:
                        return "timeout", statuses, wait.describe_short(statuses)
                    if (line := stall.line(measures, time.time())) and not self.silent_fail:
                        return "stalled", statuses, line
                elif is_last:
                    return "error", statuses, f"the last look before the deadline failed: {found}"
                elif reason := self._lasting(found, poll, loop.time() - started_at):
                    return "error", statuses, reason
                else:
                    journal.failed(found, loop.time())
                since = poll.next_beat(pace.beat, next(pauses))
                # The look sleeps until the beat, with one timer for all waits; an earlier deadline needs its own.
                while 0 < (left := self.deadline - time.time()) < since - loop.time():  # noqa: ASYNC110 - two clocks
                    await asyncio.sleep(left)

    def _first_pause(self, pace: Pace) -> float:
        """Return the seconds before the first look: the worker has just looked, and there may be a ``Retry-After``."""
        asked_for = 0 if self.not_before is None else min(self.not_before - time.time(), MAX_NOT_BEFORE_SECONDS)
        settled = min(max(pace.beat, SETTLED_SECONDS), 2 * pace.beat, FIRST_LOOK_SECONDS)
        return min(max(settled, asked_for), self.deadline - time.time())

    async def _look(self, poll: SharedPoll, since: float, wait: Wait, is_last: bool) -> list[Status] | Exception:
        """Return the statuses that a look has found, or its error."""
        patience = LAST_LOOK_SECONDS if is_last else max(self.deadline - time.time(), 0)
        try:
            look = await poll.look(since, patience, breadth=wait.breadth, is_last=is_last)
            if look.error is not None:
                return look.error
            statuses = wait.judge(look.answer)
        except ProlificError as error:
            return error
        poll.gauges.found(statuses, look.asked_at, asyncio.get_running_loop().call_soon)
        return statuses

    def _lasting(self, error: Exception, poll: SharedPoll, waited: float) -> str | None:
        """Return why the wait ends with this error, or ``None`` if it goes on."""
        if self.silent_fail or getattr(error, "transient", False):
            return None
        if isinstance(error, ProlificUnreadableConnectionError):
            if poll.line.was_read or waited <= UNSEEN_CONNECTION_SECONDS:
                return None
            return f"set the connection where the triggerer runs, too: {error}"
        return str(error)
