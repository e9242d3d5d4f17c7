"""One poll shared by all waiting triggers of a triggerer process.

Triggers that wait on the same connection and ask the same question share the answer::

    waiters   A   B   C   D      all sleep until a common beat, on one timer
              |   |   |   |
    beat      *   |   |   |      one of them (A) is woken, and asks in a thread;
              |-> ask |   |      B, C and D sleep on until the answer is there
              |   |   |   |
    answer    *   *   *   *      all of them take it, judge it, and sleep until the next beat

There is no background task: the one that asks is a waiter itself, and if it is cancelled the next one takes its place.
(The shared streams of Airflow 3.3 do not serve here: they are for asset watchers only, and an exception restarts them
every second.)

Each connection has threads and open HTTP connections of its own, so a server that does not answer holds up neither the
waits on other servers nor other providers in the same triggerer.
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

#: How long one ask may take, whatever number of pages it reads, in seconds.
ASK_SECONDS = 150.0
#: How many asks of one connection may be under way at once.
MAX_ASKS_PER_CONNECTION = 4
#: How long the HTTP connections of a poll are kept open, in seconds: shorter than what lies between drops idle ones.
KEEP_OPEN_SECONDS = 180.0
#: How long a newcomer may take an answer that was a failure, in seconds: enough to share it among those that arrive
#: together, too short to outlive a repair.
FAILURE_SHARED_SECONDS = 2.0
#: How often those who wait for a slow answer look whether their patience is at its end, in seconds.
PATIENCE_CHECK_SECONDS = 2.0


class Question(NamedTuple):
    """What is asked of which connection; equal questions share an answer, whoever asks."""

    prolific_conn_id: str
    subject: Hashable


class Look(NamedTuple):
    """What one ask brought: the answer, or the error that came instead; asked at a time of the event loop."""

    asked_at: float
    answer: Any
    error: Exception | None
    #: How much the answer holds.
    breadth: int = 0


class Beat(NamedTuple):
    """Those who sleep until one time of the event loop, and what will wake them."""

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
        from airflow_provider_prolific.hooks.client import Limits
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
        """Leave nothing open."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            if self._transport is not None:
                self._transport.close()


class _Ask:
    """One ask that is under way."""

    def __init__(self, asked_at: float) -> None:
        self.asked_at = asked_at
        self.is_heard = False  # whether a thread has taken it up
        self.patience_check: asyncio.TimerHandle | None = None


class SharedPoll:
    """What one event loop knows of one question; made by :func:`shared_poll`.

    Thousands may wait here: no waiter has a timer of its own, and a beat wakes each of them once.
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
        # Beats lie on a grid whose phase depends on the question, so that a triggerer's many questions spread over
        # time while the intervals of one question meet.
        self._phase = zlib.crc32(repr(question).encode()) / 2**32 * 3600

    def next_beat(self, interval: float, pause: float = 0) -> float:
        """Return the loop's time of the next beat, and not before a ``Retry-After`` has passed.

        Beats are those of the shortest interval of all who wait here; longer intervals take the largest multiple of it
        that is not longer than they are, so that intervals that nearly agree share their answers.

        :param interval: Seconds between two beats, above zero.
        :param pause: Seconds to let pass before, for a waiter that backs off.
        """
        grid = min(self.grid, interval)
        beats = math.floor(interval / grid + 1e-6)
        earliest = asyncio.get_running_loop().time() + pause + (beats - 1) * grid
        beat = self._phase + (math.floor((earliest - self._phase) / grid) + 1) * grid
        return max(beat, self._not_before)

    async def look(self, since: float, patience: float = math.inf, *, breadth: int = 0, is_last: bool = False) -> Look:
        """Return an answer whose question was asked at ``since`` or later, from another waiter or by asking.

        While a ``Retry-After`` has not passed the last answer, a failure, is returned whatever its age.

        :param since: The loop's time, past or to come; a failure is taken only if it is also young.
        :param patience: Seconds after which to give up; if another one asks, `PATIENCE_CHECK_SECONDS` sooner or later.
        :param breadth: How much the answer must hold.
        :param is_last: Do not wait for an ask that began before ``since``, but ask beside it.
        :raises ProlificConnectionError: there was no answer by then.
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
                    # Many may have one deadline: those who have waited in vain do not ask one after another.
                    if give_up_at - now <= (min(patience / 10, PATIENCE_CHECK_SECONDS) if waited_for else 0):
                        raise self._silence(patience, waited_for or self._asks)
                    if not self._asks or (is_last and self._asks[-1].asked_at < since):
                        return await self._ask(give_up_at - now)
                    waited_for = [*self._asks]
                await self._turn(since, now)
                now = loop.time()
        finally:
            if not self._asks:  # woken to ask, but cancelled, or content with what there is: the next one's turn
                self._wake_next()

    def _silence(self, seconds: float, asks: list[_Ask]) -> ProlificConnectionError:
        """Return the error for asks that brought nothing: it blames Prolific only if Prolific was asked."""
        if any(ask.is_heard for ask in asks):
            return ProlificConnectionError(f"Prolific did not answer within {seconds:.0f} seconds")
        return ProlificConnectionError(
            f"Prolific was not asked within {seconds:.0f} seconds: earlier questions on connection "
            f"{self.line.prolific_conn_id!r} are still waiting for their answers"
        )

    def _turn(self, since: float, now: float) -> asyncio.Future[None]:
        """Return what to await until it may be the waiter's turn to ask, or an answer may be there."""
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
        """Ask, and keep what comes for all.

        :raises ProlificConnectionError: the patience of the one who asks is at its end; the next one may ask.
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
        """Let those who wait look at their clocks now and then, while an ask is under way."""
        loop = asyncio.get_running_loop()
        ask.patience_check = loop.call_later(PATIENCE_CHECK_SECONDS, self._check_patience, ask)

    def _check_patience(self, ask: _Ask) -> None:
        self._wake_all()
        self._check_patience_later(ask)

    def close(self) -> None:
        """Cancel the beats for which nobody is left."""
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
    """Join the poll of a question on the running event loop, and leave it at the end; the last one closes it.

    :param question: What is asked of which connection.
    :param ask: Asks it, in a thread.
    :param interval: The seconds between two beats of the one who joins.
    :param breadth: How much it asks: of those who are there the broadest is asked, and its answer serves them all.
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
