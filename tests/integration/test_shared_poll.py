"""What waiters in one process cost, together: real triggers, a real event loop, real HTTP."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger
from airflow_provider_prolific.waiting import polling
from airflow_provider_prolific.waiting import trigger as rules
from airflow_provider_prolific.waiting.targets import Gate


@pytest.fixture
def emulator(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    return prolific_emulator


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let triggers look soon after their start, whatever their interval is."""
    monkeypatch.setattr(rules, "FIRST_LOOK_SECONDS", 0.5)


@pytest.fixture
def never(emulator: Emulator) -> str:
    """A group that never grows."""
    return emulator.create_group("Never", participant_count=1)


async def wait(**arguments: Any) -> dict[str, Any]:
    """Run one trigger to its event."""
    arguments = {"deadline": time.time() + 60, "poke_interval": 1, **arguments}
    async for event in ProlificParticipantGroupTrigger(**arguments).run():
        return event.payload
    raise AssertionError("a trigger ended without an event")


@asynccontextmanager
async def waiting(count: int, **arguments: Any) -> AsyncIterator[list[asyncio.Task[dict[str, Any]]]]:
    """Many waiters, cancelled at the end."""
    tasks = [asyncio.create_task(wait(**arguments)) for _ in range(count)]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def nothing_to_collect() -> Iterator[None]:
    """Keep Python from going through what all earlier tests left in memory, which can take half a second."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def test_thousand_waiters_make_one_request_a_beat(emulator: Emulator, never: str) -> None:
    emulator.create_groups(142)

    async def main() -> None:
        async with waiting(1000, targets={never: 2}, poke_interval=4):
            await asyncio.sleep(6)
            emulator.clear_requests()
            await asyncio.sleep(16)

    asyncio.run(main())

    assert 3 <= emulator.request_count() <= 5


def test_intervals_that_nearly_agree_make_about_one_request_per_shortest_one(emulator: Emulator, never: str) -> None:
    async def main() -> None:
        waits = [wait(targets={never: 2}, poke_interval=2 + number / 100) for number in range(200)]
        tasks = [asyncio.create_task(one) for one in waits]
        await asyncio.sleep(5)
        emulator.clear_requests()
        await asyncio.sleep(10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())

    assert 3 <= emulator.request_count() <= 7


def test_waiters_that_join_within_a_second_share_one_request(emulator: Emulator, never: str, soon: None) -> None:
    async def main() -> None:
        tasks = []
        for _ in range(200):
            tasks.append(asyncio.create_task(wait(targets={never: 2}, poke_interval=60)))
            await asyncio.sleep(0.004)
        await asyncio.sleep(1.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())

    assert 1 <= emulator.request_count() <= 2  # a beat of theirs may fall into the time


def test_newcomers_take_the_answer_of_those_who_were_there(emulator: Emulator, never: str, soon: None) -> None:
    async def main() -> None:
        async with waiting(1000, targets={never: 2}, poke_interval=60):
            await asyncio.sleep(2)
            async with waiting(500, targets={never: 2}, poke_interval=60):
                await asyncio.sleep(2)

    asyncio.run(main())

    assert 1 <= emulator.request_count() <= 2


def test_newcomers_during_an_outage_share_its_answer(emulator: Emulator, never: str, soon: None) -> None:
    emulator.add_fault("status", status=500)

    async def main() -> None:
        async with waiting(500, targets={never: 2}, poke_interval=60):
            await asyncio.sleep(2)

    asyncio.run(main())

    assert 1 <= emulator.request_count() <= 2


def test_different_questions_do_not_mix(emulator: Emulator, never: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    other_scope = {"workspace_id": "64a000000000000000000002"}
    deleted = emulator.create_group("Gone", participant_count=9)
    emulator.set_group(deleted, is_deleted=True)

    async def main() -> list[dict[str, Any]]:
        return await asyncio.gather(
            wait(targets={never: 1}),
            wait(targets={never: 1}, prolific_conn_id="other"),
            wait(targets={"Bilingual readers": 1}, filter=other_scope),
            wait(targets={"Gone": 1}, active=None),
            wait(targets={"Bilingual readers": 1}),  # not in the default workspace
        )

    events = asyncio.run(main())

    assert [event["status"] for event in events] == ["success", "success", "success", "error", "error"]
    assert "has been deleted" in events[3]["message"]
    assert emulator.request_count() == 4


def test_waiter_that_leaves_disturbs_no_other_and_the_last_one_leaves_nothing(emulator: Emulator, never: str) -> None:
    filling = emulator.create_group("Filling")
    emulator.set_group(filling, growth_per_second=2)

    async def main() -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        async with waiting(20, targets={never: 2}) as staying:
            finishing = [asyncio.create_task(wait(targets={filling: 4})) for _ in range(20)]
            failing = [asyncio.create_task(wait(targets={"No such group": 1})) for _ in range(20)]
            events = await asyncio.gather(*finishing, *failing)
            assert not any(task.done() for task in staying)
            [poll] = polling._loops[loop].polls.values()
            assert poll.intervals == {1: 20}
        assert loop not in polling._loops
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return events

    events = asyncio.run(main())

    assert [event["status"] for event in events] == ["success"] * 20 + ["error"] * 20


def test_failing_poll_reaches_every_waiter_as_the_same_fact(emulator: Emulator, never: str) -> None:
    gate = Gate({never: 2})
    question = polling.Question("prolific_default", gate.question())

    async def main() -> list[dict[str, Any]]:
        # The poll stays open, also if the first waiters have left it when the last of them wake, on a busy machine.
        with polling.shared_poll(question, gate.ask, 1):
            tasks = [asyncio.create_task(wait(targets={never: 2})) for _ in range(50)]
            await asyncio.sleep(1.5)
            emulator.revoke_token()
            return await asyncio.gather(*tasks)

    events = asyncio.run(main())

    assert {event["status"] for event in events} == {"error"}
    assert len({event["message"] for event in events}) == 1
    assert "401" in events[0]["message"]
    assert [request["status"] for request in emulator.requests()].count(401) == 1


def test_retry_after_holds_for_all_waiters_and_newcomers(emulator: Emulator, never: str) -> None:
    emulator.add_fault("status", status=429, retry_after="4", count=1)

    async def main() -> None:
        async with waiting(20, targets={never: 2}, poke_interval=0.5):
            await asyncio.sleep(1.5)
            async with waiting(20, targets={never: 2}, poke_interval=0.5):
                await asyncio.sleep(1.5)
                assert emulator.request_count() == 1
                await asyncio.sleep(3)

    asyncio.run(main())

    times = [request["time"] for request in emulator.requests()]
    assert times[1] - times[0] >= 3.9


def test_outage_costs_one_request_a_beat(emulator: Emulator, never: str) -> None:
    emulator.add_fault("disconnect")

    async def main() -> None:
        async with waiting(100, targets={never: 2}, poke_interval=1):
            await asyncio.sleep(4.5)

    asyncio.run(main())

    assert 2 <= emulator.request_count() <= 6


def test_repaired_connection_is_not_hidden_by_an_old_failure(emulator: Emulator, never: str, soon: None) -> None:
    async def main() -> dict[str, Any]:
        async with waiting(1, targets={never: 2}, poke_interval=60, silent_fail=True):
            emulator.revoke_token()
            await asyncio.sleep(1.5)
            emulator.restore_token()
            await asyncio.sleep(polling.FAILURE_SHARED_SECONDS)
            return await wait(targets={never: 1}, poke_interval=60)

    assert asyncio.run(main())["status"] == "success"


def test_slow_server_does_not_block_the_event_loop(
    emulator: Emulator, never: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.5  # the answer takes three seconds
        began = loop.time()
        async with waiting(50, targets={never: 1}, poke_interval=0.5) as tasks:
            await asyncio.gather(*tasks)
        return loop.time() - began

    asyncio.run(wait(targets={never: 1}, poke_interval=0.5))  # imports on the first use are not the poll's
    emulator.add_fault("slow", seconds=3, count=1)
    with nothing_to_collect(), caplog.at_level(logging.WARNING, logger="asyncio"):
        assert asyncio.run(main(), debug=True) >= 3

    assert [record.getMessage() for record in caplog.records if "took" in record.getMessage()] == []


def test_target_is_seen_within_the_interval_and_one_request(emulator: Emulator) -> None:
    filling = emulator.create_group("Filling")
    emulator.set_group(filling, growth_per_second=1.5)

    async def main() -> list[float]:
        async def one(target: int) -> float:
            event = await wait(targets={filling: target}, poke_interval=1)
            assert event["status"] == "success"
            reached = emulator.reached_at(filling, target)
            assert reached is not None
            return time.time() - reached

        return await asyncio.gather(*(one(target) for target in range(2, 7)))

    delays = asyncio.run(main())

    assert min(delays) >= 0
    assert max(delays) < 2.5


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert not polling._loops
