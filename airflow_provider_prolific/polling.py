"""One poll shared by all waiting triggers of a triggerer process.

Triggers that wait on the same connection, scope and ``active`` ask the same question, so they share the answer: they
wake on a common beat, the first of a beat asks and the others of that beat take what it got. There is no background
task: the one that asks is a waiter itself, and where it is cancelled the next one takes its place.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from airflow_provider_prolific.targets import GroupIndex

#: How long a newcomer may take an answer that was a failure, in seconds: enough to share it among those that arrive
#: together, too short to outlive a repair.
FAILURE_SHARED_SECONDS = 2.0


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


class SharedPoll:
    """What one event loop knows of one key; made by :func:`shared_poll`."""

    def __init__(self, key: PollKey) -> None:
        self.key = key
        self.waiters = 0
        self._last: Look | None = None
        self._arrival: asyncio.Event | None = None
        self._not_before = -math.inf
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

    async def look(self, since: float) -> Look:
        """Return an answer whose question was asked at ``since`` or later, from another waiter or by asking.

        While a ``Retry-After`` has not passed the last answer, a failure, is returned whatever its age.

        :param since: The loop's time; a failure is taken only if it is also young.
        """
        now = asyncio.get_running_loop().time()
        failure_since = max(since, now - FAILURE_SHARED_SECONDS)
        while True:
            if (last := self._last) is not None:
                wanted = since if last.error is None else failure_since
                if last.asked_at >= wanted or now < self._not_before:
                    return last
            if self._arrival is None:
                return await self._ask()
            await self._arrival.wait()

    async def _ask(self) -> Look:
        loop = asyncio.get_running_loop()
        arrival = self._arrival = asyncio.Event()
        asked_at = loop.time()
        try:
            self._last = Look(asked_at, await sync_to_async(_list_groups, thread_sensitive=False)(self.key), None)
        except Exception as error:  # noqa: BLE001 - whatever it is, every waiter must get it, or it hangs
            self._last = Look(asked_at, GroupIndex([]), error)
            self._not_before = loop.time() + (getattr(error, "retry_after", None) or -math.inf)
        finally:
            self._arrival = None
            arrival.set()
        return self._last


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
    polls = _polls.setdefault(asyncio.get_running_loop(), {})
    poll = polls.setdefault(key, SharedPoll(key))
    poll.waiters += 1
    try:
        yield poll
    finally:
        poll.waiters -= 1
        if not poll.waiters:
            polls.pop(key, None)
