"""One poll shared by all waiting triggers of a triggerer process.

Triggers that wait on the same connection and ask the same question share the answer::

    waiters   A   B   C   D      all sleep until a common beat, on one timer
              |   |   |   |
    beat      *   |   |   |      one of them (A) is woken, and asks in a thread;
              |-> ask |   |      B, C and D continue to sleep until the answer is there
              |   |   |   |
    answer    *   *   *   *      all of them take it, judge it, and sleep until the next beat

There is no background task: the one that asks is a waiter itself, and if it is cancelled the next one takes its place.
(The shared streams of Airflow 3.3 do not fit: they are for asset watchers only, and an exception restarts them every
second.)

Each connection has its own threads and open HTTP connections, so a server that does not answer delays neither the waits
on other servers nor other providers in the same triggerer.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from airflow_provider_prolific.exceptions import ProlificConnectionError
from airflow_provider_prolific.waiting.metrics import Gauges

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.transport import Transport

#: How long one ask may take, with all its pages, in seconds.
ASK_SECONDS = 150.0
#: How many asks of one connection may be under way at once.
MAX_ASKS_PER_CONNECTION = 4
#: How long the HTTP connections of a poll are kept open, in seconds: proxies and firewalls drop idle ones only later.
KEEP_OPEN_SECONDS = 180.0
#: How long a new waiter accepts a failure as its answer, in seconds: long enough for waiters that arrive together to
#: share it, and short enough to notice a repair.
FAILURE_SHARED_SECONDS = 2.0
#: How often those that wait for a slow answer check whether their patience is over, in seconds.
PATIENCE_CHECK_SECONDS = 2.0


class Question(NamedTuple):
    """What is asked of which connection; equal questions share an answer, whoever asks."""

    prolific_conn_id: str
    subject: Hashable


class Look(NamedTuple):
    """The result of one ask: the answer, or the error that came instead; ``asked_at`` is the event loop's time."""

    asked_at: float
    answer: Any
    error: Exception | None
    #: How much the answer holds.
    breadth: int = 0


class Beat(NamedTuple):
    """The waiters that sleep until one time of the event loop, and the timer that wakes them."""

    timer: asyncio.TimerHandle
    sleepers: list[asyncio.Future[None]]


class Line:
    """What the polls of one connection share: threads, open HTTP connections, and whether it was ever read."""

    def __init__(self, prolific_conn_id: str) -> None:
        self.prolific_conn_id = prolific_conn_id
        self.polls = 0
        self.executor = ThreadPoolExecutor(MAX_ASKS_PER_CONNECTION, thread_name_prefix="prolific-poll")
        #: Whether the Airflow connection could be read at least once.
        self.was_read = False
        self._transport: Transport | None = None
        self._opened_at = 0.0
        self._lock = threading.Lock()

    def ask(self, ask: Callable[[ProlificHook], Any]) -> Any:
        """Ask, in a thread; the Airflow connection is read again each time, so a rotated token works at once."""
        from airflow_provider_prolific.hooks.limits import Limits
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        limits = replace(Limits(), listing_seconds=ASK_SECONDS)
        with ProlificHook(self.prolific_conn_id, max_retries=0, limits=limits, transport=self._open()) as hook:
            hook.get_conn()
            self.was_read = True
            return ask(hook)

    def _open(self) -> Transport:
        from airflow_provider_prolific.hooks.transport import Transport

        with self._lock:
            now = time.monotonic()
            if self._transport is None or now - self._opened_at > KEEP_OPEN_SECONDS:
                if self._transport is not None:
                    self._transport.close()
                self._transport, self._opened_at = Transport(MAX_ASKS_PER_CONNECTION), now
            return self._transport

    def close(self) -> None:
        """Close the threads and the HTTP connections."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            if self._transport is not None:
                self._transport.close()


class _Ask:
    """One ask that is under way."""

    def __init__(self, asked_at: float) -> None:
        self.asked_at = asked_at
        self.is_heard = False  # whether a thread has started it
        self.patience_check: asyncio.TimerHandle | None = None


class SharedPoll:
    """The poll of one question on one event loop; made by :func:`shared_poll`.

    Thousands may wait here: no waiter has its own timer, and a beat wakes each of them once.
    """

    def __init__(self, question: Question, line: Line) -> None:
        self.line = line
        self.breadths: Counter[int] = Counter()
        self.ways: dict[int, Callable[[ProlificHook], Any]] = {}  # how to ask, by breadth
        self.intervals: Counter[float] = Counter()
        self.grid = math.inf  # the shortest of them
        self.gauges = Gauges()
        self._last: Look | None = None
        self._asks: list[_Ask] = []  # those under way, the newest last
        self._not_before = -math.inf
        self._beats: dict[float, Beat] = {}
        self._due: deque[asyncio.Future[None]] = deque()
        # Beats are on a grid whose phase depends on the question: the questions of a triggerer spread over time, and
        # the waiters of one question meet.
        self._phase = zlib.crc32(repr(question).encode()) / 2**32 * 3600

    def next_beat(self, interval: float, pause: float = 0) -> float:
        """Return the loop's time of the next beat, which is never before the end of a ``Retry-After``.

        The shortest interval of all waiters sets the beats. A longer interval is reduced to a multiple of it, so that
        nearly equal intervals share their answers.

        :param interval: Seconds between two beats, above zero.
        :param pause: Additional seconds before it, for a waiter that backs off.
        """
        grid = min(self.grid, interval)
        beats = math.floor(interval / grid + 1e-6)
        earliest = asyncio.get_running_loop().time() + pause + (beats - 1) * grid
        beat = self._phase + (math.floor((earliest - self._phase) / grid) + 1) * grid
        return max(beat, self._not_before)

    async def look(self, since: float, patience: float = math.inf, *, breadth: int = 0, is_last: bool = False) -> Look:
        """Return an answer to a question that was asked at ``since`` or later, by another waiter or by this one.

        Until a ``Retry-After`` has passed, the last answer, which is a failure, is returned whatever its age.

        :param since: The loop's time, past or future; a failure must also be recent.
        :param patience: Seconds after which to give up, or up to `PATIENCE_CHECK_SECONDS` sooner or later if another
            waiter asks.
        :param breadth: How much the answer must hold.
        :param is_last: Do not wait for an ask that began before ``since``, but ask at the same time.
        :raises ProlificConnectionError: there was no answer within the patience.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        give_up_at = now + patience
        failure_since = max(since, now - FAILURE_SHARED_SECONDS)
        waited_for: list[_Ask] = []
        try:
            while True:
                if now >= since:
                    last = self._last
                    if last is not None and (last.error is not None or last.breadth >= breadth):
                        wanted = since if last.error is None else failure_since
                        if last.asked_at >= wanted or now < self._not_before:
                            return last
                    # Many may have the same deadline: those that got no answer must not ask one after another.
                    if give_up_at - now <= (min(patience / 10, PATIENCE_CHECK_SECONDS) if waited_for else 0):
                        raise self._silence(patience, waited_for or self._asks)
                    if not self._asks or (is_last and self._asks[-1].asked_at < since):
                        return await self._ask(give_up_at - now)
                    waited_for = [*self._asks]
                await self._turn(since, now)
                now = loop.time()
        finally:
            if not self._asks:  # woken to ask, but cancelled, or satisfied by an answer: let the next one ask
                self._wake_next()

    def _silence(self, seconds: float, asks: list[_Ask]) -> ProlificConnectionError:
        """Return the error for asks without an answer: it blames Prolific only if Prolific was asked."""
        if any(ask.is_heard for ask in asks):
            return ProlificConnectionError(f"Prolific did not answer within {seconds:.0f} seconds")
        return ProlificConnectionError(
            f"Prolific was not asked within {seconds:.0f} seconds: earlier questions on connection "
            f"{self.line.prolific_conn_id!r} are still waiting for their answers"
        )

    def _turn(self, since: float, now: float) -> asyncio.Future[None]:
        """Return a future that is done when the waiter may ask, or when there may be an answer."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        if now >= since:
            self._due.append(turn)
        elif since in self._beats:
            self._beats[since].sleepers.append(turn)
        else:
            self._beats[since] = Beat(loop.call_at(since, self._begin_beat, since), [turn])
        return turn

    def _begin_beat(self, since: float) -> None:
        self._due.extend(self._beats.pop(since).sleepers)
        if not self._asks:
            self._wake_next()

    def _wake_next(self) -> None:
        while self._due:
            turn = self._due.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _wake_all(self) -> None:
        due, self._due = self._due, deque()
        for turn in due:
            if not turn.done():
                turn.set_result(None)

    async def _ask(self, patience: float) -> Look:
        """Ask, and keep the answer or the error for all waiters.

        :raises ProlificConnectionError: the patience of this waiter is over; the next one may ask.
        """
        loop = asyncio.get_running_loop()
        ask = _Ask(loop.time())
        breadth = max(self.ways)
        way = self.ways[breadth]

        def ask_in_thread() -> Any:
            ask.is_heard = True
            return self.line.ask(way)

        self._asks.append(ask)
        self._check_patience_later(ask)
        try:
            async with asyncio.timeout(min(patience, ASK_SECONDS)):
                answer = await sync_to_async(ask_in_thread, thread_sensitive=False, executor=self.line.executor)()
            look = Look(ask.asked_at, answer, None, breadth)
        except TimeoutError:
            silence = self._silence(min(patience, ASK_SECONDS), [ask])
            if patience < ASK_SECONDS:
                raise silence from None
            look = Look(ask.asked_at, None, silence)
        except Exception as error:  # noqa: BLE001 - whatever it is, every waiter must get it, or it hangs
            look = Look(ask.asked_at, None, error)
            self._not_before = loop.time() + (getattr(error, "retry_after", None) or -math.inf)
        finally:
            self._asks.remove(ask)
            if ask.patience_check is not None:
                ask.patience_check.cancel()
            self._wake_all()
        if self._last is None or self._last.asked_at <= look.asked_at:
            self._last = look
        return look

    def _check_patience_later(self, ask: _Ask) -> None:
        """While an ask is under way, wake the waiters regularly to check their patience."""
        loop = asyncio.get_running_loop()
        ask.patience_check = loop.call_later(PATIENCE_CHECK_SECONDS, self._check_patience, ask)

    def _check_patience(self, ask: _Ask) -> None:
        self._wake_all()
        self._check_patience_later(ask)

    def close(self) -> None:
        """Cancel the timers that nobody waits for any more."""
        for beat in self._beats.values():
            beat.timer.cancel()


class _Loop(NamedTuple):
    """The polls of one event loop, and the lines that they use."""

    polls: dict[Question, SharedPoll]
    lines: dict[str, Line]


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()


@contextmanager
def shared_poll(
    question: Question, ask: Callable[[ProlificHook], Any], interval: float, breadth: int = 0
) -> Iterator[SharedPoll]:
    """Join the poll of a question on the running event loop, and leave it at the end; the last waiter closes it.

    :param question: What is asked, and on which connection.
    :param ask: Asks it, in a thread.
    :param interval: The seconds between two beats of this waiter.
    :param breadth: How much it asks for: the broadest ask of all present waiters is made, and its answer serves all.
    """
    loop = asyncio.get_running_loop()
    polls, lines = _loops.setdefault(loop, _Loop({}, {}))
    if (poll := polls.get(question)) is None:
        if (line := lines.get(question.prolific_conn_id)) is None:
            line = lines[question.prolific_conn_id] = Line(question.prolific_conn_id)
        line.polls += 1
        poll = polls[question] = SharedPoll(question, line)
    poll.intervals[interval] += 1
    poll.grid = min(poll.grid, interval)
    poll.breadths[breadth] += 1
    poll.ways.setdefault(breadth, ask)
    try:
        yield poll
    finally:
        poll.intervals[interval] -= 1
        if not poll.intervals[interval]:
            del poll.intervals[interval]
            poll.grid = min(poll.intervals, default=math.inf)
        poll.breadths[breadth] -= 1
        if not poll.breadths[breadth]:
            del poll.breadths[breadth], poll.ways[breadth]
        if not poll.intervals:
            poll.close()
            del polls[question]
            poll.line.polls -= 1
            if not poll.line.polls:
                poll.line.close()
                del lines[question.prolific_conn_id]
            if not polls:
                del _loops[loop]
