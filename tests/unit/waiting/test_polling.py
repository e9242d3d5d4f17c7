"""Who asks, who waits and who is woken: the shared poll alone, with answers made up."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_prolific import polling
from airflow_provider_prolific.polling import Look, PollKey, shared_poll
from airflow_provider_prolific.targets import GroupIndex

KEY = PollKey("prolific_default", None, True)


class Questions:
    """The questions that were asked, and how long the next answers take."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    def ask(self, key: PollKey) -> GroupIndex:
        self.count += 1
        time.sleep(self.seconds)
        return GroupIndex([])


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Questions]:
    questions = Questions()
    monkeypatch.setattr(polling, "_list_groups", questions.ask)
    yield questions
    assert not any(polling._polls.values())


def run(program: Callable[[polling.SharedPoll, asyncio.AbstractEventLoop], object]) -> None:
    async def main() -> None:
        with shared_poll(KEY) as poll:
            await asyncio.wait_for(program(poll, asyncio.get_running_loop()), 10)

    asyncio.run(main())


def timers(loop: asyncio.AbstractEventLoop) -> int:
    return len([timer for timer in loop._scheduled if not timer.cancelled()])


def test_all_who_wait_for_a_beat_sleep_on_one_timer_and_share_one_answer(questions: Questions) -> None:
    async def program(poll, loop):
        before = timers(loop)
        beat = loop.time() + 0.1
        looks = [asyncio.create_task(poll.look(beat)) for _ in range(1000)]
        await asyncio.sleep(0)
        assert timers(loop) == before + 1
        answers = await asyncio.gather(*looks)
        assert questions.count == 1
        assert {id(answer) for answer in answers} == {id(answers[0])}
        assert answers[0].asked_at >= beat

    run(program)


def test_one_who_is_cancelled_in_the_moment_of_being_woken_passes_the_turn_on(questions: Questions) -> None:
    async def program(poll, loop):
        beat = loop.time() + 0.05
        first, second, third = (asyncio.create_task(poll.look(beat)) for _ in range(3))
        await asyncio.sleep(0)
        loop.call_at(beat, first.cancel)  # in the same turn of the loop that wakes it
        await asyncio.gather(second, third)
        assert first.cancelled()
        assert questions.count == 1

    run(program)


def test_one_who_is_cancelled_while_asking_is_replaced(questions: Questions) -> None:
    async def program(poll, loop):
        questions.seconds = 0.3
        first, second = (asyncio.create_task(poll.look(loop.time())) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        await second
        assert questions.count == 2

    run(program)


def test_a_beat_whose_answer_is_there_already_wakes_all_of_its_waiters(questions: Questions) -> None:
    async def program(poll, loop):
        beat = loop.time() + 0.05
        looks = [asyncio.create_task(poll.look(beat)) for _ in range(3)]
        await asyncio.sleep(0)
        poll._last = Look(loop.time() + 1, GroupIndex([]), None)  # asked by another one, later than the beat
        await asyncio.gather(*looks)
        assert questions.count == 0

    run(program)


def test_patience_ends_also_while_another_one_asks(questions: Questions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "PATIENCE_CHECK_SECONDS", 0.05)

    async def program(poll, loop):
        questions.seconds = 0.6
        patient = asyncio.create_task(poll.look(loop.time()))
        await asyncio.sleep(0)
        started = loop.time()
        with pytest.raises(TimeoutError):
            await poll.look(started, patience=0.2)
        assert loop.time() - started < 0.4
        await patient
        assert questions.count == 1

    run(program)


def test_patience_of_the_one_who_asks_ends_too(questions: Questions) -> None:
    async def program(poll, loop):
        questions.seconds = 0.3
        with pytest.raises(TimeoutError):
            await poll.look(loop.time(), patience=0.1)

    run(program)


@pytest.mark.parametrize("ending", ["answered", "failed", "out of patience", "cancelled"])
def test_one_who_has_asked_leaves_no_timer(questions: Questions, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    async def program(poll, loop):
        questions.seconds = 0.2
        if ending == "failed":
            monkeypatch.setattr(polling, "_list_groups", lambda key: 1 / 0)
        before = timers(loop)
        look = asyncio.create_task(poll.look(loop.time(), patience=0.1 if ending == "out of patience" else math.inf))
        await asyncio.sleep(0.05)
        if ending == "cancelled":
            look.cancel()
        await asyncio.gather(look, return_exceptions=True)
        assert timers(loop) == before

    run(program)


def test_the_last_one_to_leave_takes_the_timers_along(questions: Questions) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = timers(loop)

        async def wait() -> None:
            with shared_poll(KEY) as poll:
                await poll.look(loop.time() + 86_400)

        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert timers(loop) == before + 1
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert timers(loop) == before

    asyncio.run(main())
    assert questions.count == 0
