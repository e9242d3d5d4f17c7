"""One poll shared by all waiting triggers of a triggerer process.

Triggers that wait on the same connection, scope and ``active`` ask the same question, so they share the answer: they
sleep until a common beat, one of them is woken to ask, and the others sleep on until its answer is there. There is no
background task: the one that asks is a waiter itself, and where it is cancelled the next one takes its place.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from airflow_provider_prolific.targets import GroupIndex

#: How long a newcomer may take an answer that was a failure, in seconds: enough to share it among those that arrive
#: together, too short to outlive a repair.
FAILURE_SHARED_SECONDS = 2.0
#: How often those who wait for a slow answer look whether their patience is at its end, in seconds.
PATIENCE_CHECK_SECONDS = 5.0


class PollKey(NamedTuple):
    """The question that waiters share."""

    prolific_conn_id: str
    scope: tuple[str, str] | None
    active: bool | None


class Look(NamedTuple):
    """The answer to one poll: the groups, or the error that came instead; asked at a time of the event loop."""

    asked_at: float
    groups: GroupIndex
    error: Exception | None


class Beat(NamedTuple):
    """Those who sleep until one time of the event loop, and what will wake them."""

    timer: asyncio.TimerHandle
    sleepers: list[asyncio.Future[None]]


class SharedPoll:
    """What one event loop knows of one key; made by :func:`shared_poll`.

    Thousands may wait here: nobody has a timer of one's own, and a beat wakes each of them once.
    """

    def __init__(self, key: PollKey) -> None:
        self.key = key
        self.waiters = 0
        self._last: Look | None = None
        self._is_asking = False
        self._not_before = -math.inf
        self._beats: dict[float, Beat] = {}
        self._due: deque[asyncio.Future[None]] = deque()
        # Beats lie on a grid whose phase depends on the key, so that a triggerer's many keys spread over time while
        # intervals of one key meet where they can.
        self._phase = zlib.crc32(repr(key).encode()) / 2**32 * 3600

    def next_beat(self, interval: float, pause: float = 0) -> float:
        """Return the loop's time of the next beat: on the key's grid, and not before a ``Retry-After`` has passed.

        :param interval: Seconds between two beats, above zero.
        :param pause: Seconds to let pass before, for a waiter that backs off.
        """
        earliest = asyncio.get_running_loop().time() + pause
        beat = self._phase + (math.floor((earliest - self._phase) / interval) + 1) * interval
        return max(beat, self._not_before)

    async def look(self, since: float, patience: float = math.inf) -> Look:
        """Return an answer whose question was asked at ``since`` or later, from another waiter or by asking.

        While a ``Retry-After`` has not passed the last answer, a failure, is returned whatever its age.

        :param since: The loop's time, past or to come; a failure is taken only if it is also young.
        :param patience: Seconds after which to give up; where another one asks, up to `PATIENCE_CHECK_SECONDS` later.
        :raises TimeoutError: there was no answer by then.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        give_up_at = now + patience
        failure_since = max(since, now - FAILURE_SHARED_SECONDS)
        try:
            while True:
                if now >= since:
                    if (last := self._last) is not None:
                        wanted = since if last.error is None else failure_since
                        if last.asked_at >= wanted or now < self._not_before:
                            return last
                    if now >= give_up_at:
                        raise TimeoutError
                    if not self._is_asking:
                        async with asyncio.timeout(None if give_up_at == math.inf else give_up_at - now):
                            return await self._ask()
                await self._turn(since, now)
                now = loop.time()
        finally:
            if not self._is_asking:  # woken to ask, but cancelled, or content with what there is: the next one's turn
                self._wake_next()

    def _turn(self, since: float, now: float) -> asyncio.Future[None]:
        """Return what to await until it may be one's turn to ask, or an answer may be there."""
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
        if not self._is_asking:
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

    async def _ask(self) -> Look:
        loop = asyncio.get_running_loop()
        self._is_asking = True
        self._patience_check = loop.call_later(PATIENCE_CHECK_SECONDS, self._check_patience)
        asked_at = loop.time()
        try:
            self._last = Look(asked_at, await sync_to_async(_list_groups, thread_sensitive=False)(self.key), None)
        except Exception as error:  # noqa: BLE001 - whatever it is, every waiter must get it, or it hangs
            self._last = Look(asked_at, GroupIndex([]), error)
            self._not_before = loop.time() + (getattr(error, "retry_after", None) or -math.inf)
        finally:
            self._is_asking = False
            self._patience_check.cancel()
            self._wake_all()
        return self._last

    def _check_patience(self) -> None:
        loop = asyncio.get_running_loop()
        self._patience_check = loop.call_later(PATIENCE_CHECK_SECONDS, self._check_patience)
        self._wake_all()

    def close(self) -> None:
        """Cancel the beats for which nobody is left."""
        for beat in self._beats.values():
            beat.timer.cancel()


def _list_groups(key: PollKey) -> GroupIndex:
    """List and index the groups, in a thread: the hook reads the connection anew and speaks HTTP there."""
    from airflow_provider_prolific.hooks.prolific import ProlificHook

    with closing(ProlificHook(key.prolific_conn_id, max_retries=0)) as hook:
        return GroupIndex(hook.list_participant_groups(dict([key.scope]) if key.scope else None, key.active))


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[PollKey, SharedPoll]] = WeakKeyDictionary()


@contextmanager
def shared_poll(key: PollKey) -> Iterator[SharedPoll]:
    """Join the poll of a key on the running event loop, and leave it at the end; the last one to leave removes it.

    :param key: The question.
    """
    loop = asyncio.get_running_loop()
    polls = _polls.setdefault(loop, {})
    if (poll := polls.get(key)) is None:
        poll = polls[key] = SharedPoll(key)
    poll.waiters += 1
    try:
        yield poll
    finally:
        poll.waiters -= 1
        if not poll.waiters:
            poll.close()
            del polls[key]
            if not polls:
                del _polls[loop]
