"""Who asks, who waits and who is woken: the shared poll alone, with answers made up."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time

import pytest

from airflow_provider_prolific.exceptions import (
    ProlificConnectionError,
    ProlificError,
    ProlificUnreadableConnectionError,
)
from airflow_provider_prolific.hooks.client import RETRY_AFTER_CEILING_SECONDS
from airflow_provider_prolific.waiting import polling
from airflow_provider_prolific.waiting.polling import Look, Question, shared_poll

#: How long after its beat a waiter thinks about the next one.
WAKING_SECONDS = 1e-4
QUESTION = Question("prolific_default", "how many?")


class Questions:
    """The questions that were asked, and how long the next answers take."""

    def __init__(self):
        self.count = 0
        self.seconds = 0.0
        self.error = None

    def ask(self, hook):
        self.count += 1
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return f"answer {self.count}"


@pytest.fixture
def questions(connection):
    yield Questions()
    assert not polling._loops


@pytest.fixture
def run(questions):
    """Run a program as the one waiter of a poll."""

    def run(program, interval=60):
        async def main():
            with shared_poll(QUESTION, questions.ask, interval) as poll:
                await asyncio.wait_for(program(poll, asyncio.get_running_loop()), 20)

        asyncio.run(main())

    return run


@pytest.fixture
def leap(monkeypatch):
    """Let the clock of a loop leap: what waits for a later time is woken in the loop's next turn, and not before."""

    def leap(loop, seconds):
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + seconds)

    return leap


def timers(loop):
    return len([timer for timer in loop._scheduled if not timer.cancelled()])


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prolific-poll")]


async def until(condition):
    """Wait until a condition holds, for ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition never held")


class TestBeats:
    def beats_of(self, intervals, seconds=3600):
        """Return how many beats waiters with such intervals have together within a time."""

        async def main():
            loop = asyncio.get_running_loop()
            now = loop.time()
            beats = set()
            with contextlib.ExitStack() as stack:
                polls = [stack.enter_context(shared_poll(QUESTION, None, interval)) for interval in intervals]
                for interval, poll in zip(intervals, polls, strict=True):
                    at = now
                    while at < now + seconds:
                        loop.time = lambda at=at: at + WAKING_SECONDS
                        at = poll.next_beat(interval)
                        beats.add(round(at, 3))
            return len(beats)

        return asyncio.run(main())

    def test_intervals_that_nearly_agree_share_their_beats(self, connection):
        assert self.beats_of([2 + number / 100 for number in range(200)]) <= 3600 / 2 + 8

    @pytest.mark.parametrize("interval", [2, 3.5, 60, 900])
    def test_one_interval_has_its_own_rate(self, connection, interval):
        assert self.beats_of([interval]) == pytest.approx(3600 / interval, abs=3)

    @pytest.mark.parametrize(("short", "long"), [(2, 60), (7, 60), (2, 3), (60, 3600), (50, 60), (0.3, 1)])
    def test_a_longer_interval_costs_nothing_beside_a_shorter_one(self, connection, short, long):
        assert self.beats_of([short, long]) == pytest.approx(3600 / short, abs=8)

    @pytest.mark.parametrize(("short", "long"), [(2, 60), (7, 60), (2, 3), (60, 3600), (50, 60)])
    def test_a_longer_interval_is_shortened_by_less_than_a_shorter_one(self, connection, short, long):
        async def main():
            loop = asyncio.get_running_loop()
            with shared_poll(QUESTION, None, short), shared_poll(QUESTION, None, long) as poll:
                at, gaps = 0.0, []
                for _ in range(50):
                    loop.time = lambda at=at: at + WAKING_SECONDS
                    at, before = poll.next_beat(long), at
                    gaps.append(at - before)
                return gaps[1:]

        gaps = asyncio.run(main())

        assert long - short < min(gaps) <= max(gaps) <= long + 1e-6

    def test_when_the_shortest_one_leaves_the_others_keep_their_own_rate(self, connection):
        async def main():
            loop = asyncio.get_running_loop()
            with shared_poll(QUESTION, None, 60) as poll:
                with shared_poll(QUESTION, None, 7):
                    pass
                first = poll.next_beat(60)
                loop.time = lambda: first + WAKING_SECONDS
                return poll.next_beat(60) - first

        assert asyncio.run(main()) == pytest.approx(60)

    def test_a_pause_is_let_pass_before_the_beat(self, connection):
        async def main():
            with shared_poll(QUESTION, None, 5) as poll:
                return poll.next_beat(5, 100) - asyncio.get_running_loop().time()

        assert 100 <= asyncio.run(main()) <= 105

    def test_different_questions_beat_at_different_times(self, connection):
        async def main():
            beats = set()
            for number in range(100):
                with shared_poll(Question("prolific_default", number), None, 5) as poll:
                    beats.add(round(poll.next_beat(5), 2))
            return beats

        assert len(asyncio.run(main())) > 80


class TestSharing:
    def test_all_who_wait_for_a_beat_sleep_on_one_timer_and_share_one_answer(self, questions, run, leap):
        async def program(poll, loop):
            before = timers(loop)
            beat = loop.time() + 10
            looks = [asyncio.create_task(poll.look(beat)) for _ in range(1000)]
            await asyncio.sleep(0)
            assert timers(loop) == before + 1
            leap(loop, 10)
            answers = await asyncio.gather(*looks)
            assert questions.count == 1
            assert {id(answer) for answer in answers} == {id(answers[0])}
            assert answers[0].asked_at >= beat

        run(program)

    def test_a_young_answer_serves_those_who_come_later(self, questions, run):
        async def program(poll, loop):
            first = await poll.look(loop.time() - 60)
            second = await poll.look(loop.time() - 60)
            third = await poll.look(loop.time())
            assert first is second
            assert third.answer == "answer 2"

        run(program)

    def test_a_failure_is_handed_to_all_as_it_is(self, questions, run):
        async def program(poll, loop):
            questions.error = ZeroDivisionError("division by zero")
            looks = await asyncio.gather(*(poll.look(loop.time()) for _ in range(10)))
            assert {id(look.error) for look in looks} == {id(questions.error)}
            assert questions.count == 1

        run(program)

    def test_an_old_failure_serves_nobody(self, questions, run, monkeypatch):
        monkeypatch.setattr(polling, "FAILURE_SHARED_SECONDS", 0.0)

        async def program(poll, loop):
            questions.error = ProlificError("away")
            assert (await poll.look(loop.time() - 60)).error
            questions.error = None
            assert (await poll.look(loop.time() - 60)).answer == "answer 2"

        run(program)

    def test_what_the_api_asked_for_holds_for_all(self, questions, run, monkeypatch):
        monkeypatch.setattr(polling, "FAILURE_SHARED_SECONDS", 0.0)

        async def program(poll, loop):
            questions.error = ProlificError("slow down")
            questions.error.retry_after = float(RETRY_AFTER_CEILING_SECONDS)
            refused_at = loop.time()
            await poll.look(refused_at)
            questions.error = None
            assert (await poll.look(loop.time(), is_last=True)).error
            assert questions.count == 1
            assert poll.next_beat(0.1) >= refused_at + RETRY_AFTER_CEILING_SECONDS

        run(program)

    def test_one_who_is_cancelled_in_the_moment_of_being_woken_passes_the_turn_on(self, questions, run, leap):
        async def program(poll, loop):
            beat = loop.time() + 10
            first, second, third = (asyncio.create_task(poll.look(beat)) for _ in range(3))
            await asyncio.sleep(0)
            loop.call_at(beat, first.cancel)  # in the same turn of the loop that wakes it
            leap(loop, 10)
            await asyncio.gather(second, third)
            assert first.cancelled()
            assert questions.count == 1

        run(program)

    def test_one_who_is_cancelled_while_asking_is_replaced(self, questions, run):
        async def program(poll, loop):
            questions.seconds = 0.5
            first, second = (asyncio.create_task(poll.look(loop.time())) for _ in range(2))
            await until(lambda: questions.count == 1)
            first.cancel()
            await second
            assert questions.count == 2

        run(program)

    def test_a_beat_wakes_each_of_its_waiters_once(self, questions, run, leap, monkeypatch):
        turns = []
        turn = polling.SharedPoll._turn
        monkeypatch.setattr(polling.SharedPoll, "_turn", lambda *sleeper: turns.append(sleeper) or turn(*sleeper))

        async def program(poll, loop):
            beat = loop.time() + 10
            looks = [asyncio.create_task(poll.look(beat)) for _ in range(10)]
            await asyncio.sleep(0)
            leap(loop, 10)
            await asyncio.gather(*looks)
            assert questions.count == 1
            assert len(turns) == 10

        run(program)

    def test_a_beat_whose_answer_is_there_already_wakes_all_of_its_waiters(self, questions, run, leap):
        async def program(poll, loop):
            beat = loop.time() + 10
            looks = [asyncio.create_task(poll.look(beat)) for _ in range(3)]
            await asyncio.sleep(0)
            leap(loop, 10)
            poll._last = Look(loop.time() + 1, "answer", None)  # asked by another one, later than the beat
            await asyncio.gather(*looks)
            assert questions.count == 0

        run(program)


class TestBreadth:
    """Some want to know more of the same thing than others: what is asked for them serves the others, too."""

    @pytest.fixture
    def asked(self):
        """The breadth of each ask, in their order."""
        return []

    @pytest.fixture
    def join(self, asked, connection):
        """Join the poll as one who asks with a breadth."""
        yield lambda breadth: shared_poll(QUESTION, lambda hook: asked.append(breadth) or breadth, 60, breadth)
        assert not polling._loops

    @pytest.mark.parametrize("breadths", [(0, 1), (1, 0), (1, 0, 2, 1)])
    def test_the_broadest_of_all_who_wait_is_asked_once(self, join, asked, breadths):
        async def main():
            with contextlib.ExitStack() as stack:
                polls = [stack.enter_context(join(breadth)) for breadth in breadths]
                since = asyncio.get_running_loop().time()
                looks = [poll.look(since, breadth=breadth) for poll, breadth in zip(polls, breadths, strict=True)]
                return {look.answer for look in await asyncio.gather(*looks)}

        assert asyncio.run(main()) == {max(breadths)}
        assert asked == [max(breadths)]

    def test_an_answer_that_holds_less_is_not_taken_by_one_who_comes_later_and_wants_more(self, join, asked):
        async def main():
            since = asyncio.get_running_loop().time()
            with join(0) as narrow:
                await narrow.look(since)
                with join(1) as broad:
                    return (await broad.look(since, breadth=1)).answer, (await narrow.look(since)).answer

        assert asyncio.run(main()) == (1, 1)
        assert asked == [0, 1]

    def test_when_they_have_gone_less_is_asked_again(self, join, asked):
        async def main():
            loop = asyncio.get_running_loop()
            with join(0) as poll:
                with join(1), join(1):
                    pass
                await poll.look(loop.time())

        asyncio.run(main())

        assert asked == [0]

    def test_a_failure_is_one_for_all(self, connection):
        asked = []

        def fail(hook):
            asked.append(hook)
            raise ProlificError("refused")

        async def main():
            since = asyncio.get_running_loop().time()
            with shared_poll(QUESTION, fail, 60, 0) as narrow:
                await narrow.look(since)
                with shared_poll(QUESTION, fail, 60, 1) as broad:
                    return (await broad.look(since, breadth=1)).error

        assert str(asyncio.run(main())) == "refused"
        assert len(asked) == 1


class TestPatience:
    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch):
        monkeypatch.setattr(polling, "PATIENCE_CHECK_SECONDS", 0.05)

    def test_it_ends_also_while_another_one_asks(self, questions, run):
        async def program(poll, loop):
            questions.seconds = 1.0
            patient = asyncio.create_task(poll.look(loop.time()))
            await until(lambda: questions.count == 1)
            with pytest.raises(ProlificConnectionError, match=r"^Prolific did not answer within 0 seconds$"):
                await poll.look(loop.time(), patience=0.2)
            assert not patient.done()
            await patient
            assert questions.count == 1

        run(program)

    def test_that_of_the_one_who_asks_ends_too_and_the_next_one_asks(self, questions, run):
        async def program(poll, loop):
            questions.seconds = 1.0
            hasty = asyncio.create_task(poll.look(loop.time(), patience=0.2))
            await until(lambda: questions.count == 1)
            questions.seconds = 0.0
            assert (await poll.look(loop.time())).answer == "answer 2"
            with pytest.raises(ProlificConnectionError, match=r"did not answer within"):
                await hasty

        run(program)

    def test_an_ask_has_a_limit_of_its_own_and_then_the_next_one_asks(self, questions, run, monkeypatch):
        monkeypatch.setattr(polling, "ASK_SECONDS", 0.3)

        async def program(poll, loop):
            questions.seconds = 2.0
            patient = asyncio.create_task(poll.look(loop.time()))
            await until(lambda: questions.count == 1)
            questions.seconds = 0.0
            look = await patient
            assert isinstance(look.error, ProlificConnectionError)
            assert str(look.error) == "Prolific did not answer within 0 seconds"
            assert (await poll.look(loop.time())).answer == "answer 2"

        run(program)

    def test_a_last_look_asks_beside_an_ask_that_hangs(self, questions, run):
        async def program(poll, loop):
            questions.seconds = 1.0
            hanging = asyncio.create_task(poll.look(loop.time()))
            await until(lambda: questions.count == 1)
            questions.seconds = 0.0
            assert (await poll.look(loop.time(), patience=5, is_last=True)).answer == "answer 2"
            assert not hanging.done()
            await hanging

        run(program)

    def test_a_question_that_was_not_asked_does_not_blame_prolific(self, questions, monkeypatch):
        """All threads of the connection wait for other answers."""
        release = threading.Event()
        busy = [Question("prolific_default", number) for number in range(polling.MAX_ASKS_PER_CONNECTION)]

        async def ask(question, ask, patience):
            with shared_poll(question, ask, 60) as poll:
                return await poll.look(asyncio.get_running_loop().time(), patience)

        async def main():
            hanging = [asyncio.create_task(ask(question, lambda hook: release.wait(20), 20)) for question in busy]
            await asyncio.sleep(0.1)
            try:
                with pytest.raises(ProlificConnectionError, match=r"^Prolific was not asked within 0 seconds: "):
                    await ask(QUESTION, questions.ask, 0.3)
                await asyncio.sleep(0.1)  # the loop takes the question back
            finally:
                release.set()
                await asyncio.gather(*hanging)
            assert (await ask(QUESTION, questions.ask, 5)).answer == "answer 1"
            assert questions.count == 1  # the one that nobody waited for any more was not asked

        asyncio.run(main())

    def test_other_connections_and_other_providers_are_not_held_up_by_it(self, questions, connect):
        release = threading.Event()
        connect("hung")
        busy = [Question("hung", number) for number in range(40)]

        async def ask(question, ask):
            with shared_poll(question, ask, 60) as poll:
                return await poll.look(asyncio.get_running_loop().time(), 20)

        async def main():
            before = {*threads()}  # asks of other tests that nobody waits for any more
            hanging = [asyncio.create_task(ask(question, lambda hook: release.wait(20))) for question in busy]
            await until(lambda: {*threads()} - before)
            try:
                assert (await asyncio.wait_for(ask(QUESTION, questions.ask), 10)).answer == "answer 1"
                await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, time.sleep, 0), 10)
                assert len({*threads()} - before) <= polling.MAX_ASKS_PER_CONNECTION + 1
            finally:
                release.set()
                await asyncio.gather(*hanging)

        asyncio.run(main())

    def test_the_limits_are_those_that_are_promised(self):
        assert (polling.ASK_SECONDS, polling.MAX_ASKS_PER_CONNECTION) == (150, 4)


class TestConnection:
    def test_one_that_cannot_be_read_is_a_failure_like_another(self, run, questions, monkeypatch):
        monkeypatch.delenv("AIRFLOW_CONN_PROLIFIC_DEFAULT")

        async def program(poll, loop):
            assert isinstance((await poll.look(loop.time())).error, ProlificUnreadableConnectionError)
            assert poll.line.was_read is False
            assert questions.count == 0

        run(program)

    def test_that_it_was_read_once_is_remembered(self, run, questions, monkeypatch):
        async def program(poll, loop):
            await poll.look(loop.time())
            monkeypatch.delenv("AIRFLOW_CONN_PROLIFIC_DEFAULT")
            assert isinstance((await poll.look(loop.time())).error, ProlificUnreadableConnectionError)
            assert poll.line.was_read is True

        run(program)


class TestNothingIsLeft:
    @pytest.mark.parametrize("ending", ["answered", "failed", "out of patience", "cancelled"])
    def test_one_who_has_asked_leaves_no_timer(self, questions, run, ending):
        async def program(poll, loop):
            questions.seconds = 0.3
            questions.error = ProlificError("away") if ending == "failed" else None
            before = timers(loop)
            patience = 0.1 if ending == "out of patience" else math.inf
            look = asyncio.create_task(poll.look(loop.time(), patience=patience))
            await until(lambda: questions.count == 1)
            if ending == "cancelled":
                look.cancel()
            await asyncio.gather(look, return_exceptions=True)
            assert timers(loop) == before

        run(program)

    def test_the_last_one_to_leave_takes_timers_and_threads_along(self, questions):
        async def main():
            loop = asyncio.get_running_loop()
            before, now = timers(loop), loop.time()

            async def wait():
                with shared_poll(QUESTION, questions.ask, 60) as poll:
                    await poll.look(now)
                    await poll.look(now + 86_400)

            waiters = [asyncio.create_task(wait()) for _ in range(3)]
            await until(lambda: timers(loop) == before + 1)
            assert threads()
            waiters[0].cancel()
            await asyncio.gather(waiters[0], return_exceptions=True)
            assert timers(loop) == before + 1
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
            assert timers(loop) == before
            await until(lambda: not threads())

        asyncio.run(main())
        assert questions.count == 1

    def test_a_connection_keeps_its_threads_as_long_as_one_of_its_questions_is_waited_for(self, questions):
        async def main():
            with shared_poll(QUESTION, questions.ask, 60) as poll:
                with shared_poll(Question("prolific_default", "another"), questions.ask, 60) as other:
                    assert other.line is poll.line
                assert (await poll.look(asyncio.get_running_loop().time())).answer == "answer 1"

        asyncio.run(main())

    def test_loops_of_one_process_do_not_share(self, questions, run):
        async def program(poll, loop):
            await poll.look(loop.time() - 60)

        run(program)
        run(program)

        assert questions.count == 2
