"""What waiters in one process cost, together: real triggers, a real event loop, real HTTP."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from airflow_provider_prolific import polling
from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificApiError
from airflow_provider_prolific.polling import PollKey, shared_poll
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger

DEFAULT = PollKey("prolific_default", None, True)


@pytest.fixture
def emulator(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    return prolific_emulator


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
        async with waiting(1000, targets={never: 2}, poke_interval=5):
            await asyncio.sleep(1)
            emulator.clear_requests()
            await asyncio.sleep(20)

    asyncio.run(main())

    assert 4 <= emulator.request_count() <= 5


def test_newcomers_share_one_request_then_the_snapshot(emulator: Emulator, never: str) -> None:
    async def main() -> None:
        async with waiting(1000, targets={never: 2}, poke_interval=60):
            await asyncio.sleep(1)
            async with waiting(500, targets={never: 2}, poke_interval=60):
                await asyncio.sleep(0.5)

    asyncio.run(main())

    assert emulator.request_count() == 1


def test_newcomers_during_an_outage_share_its_answer(emulator: Emulator, never: str) -> None:
    emulator.add_fault("status", status=500)

    async def main() -> None:
        async with waiting(500, targets={never: 2}, poke_interval=60):
            await asyncio.sleep(1)

    asyncio.run(main())

    assert emulator.request_count() == 1


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


def test_different_keys_beat_at_different_times() -> None:
    async def main() -> set[float]:
        beats = set()
        for number in range(100):
            with shared_poll(PollKey(f"connection_{number}", None, True)) as poll:
                beats.add(round(poll.next_beat(5), 2))
        return beats

    assert len(asyncio.run(main())) > 80


def test_waiters_of_one_key_wake_together_also_with_other_intervals() -> None:
    async def main() -> None:
        with shared_poll(DEFAULT) as poll:
            short, long = poll.next_beat(5), poll.next_beat(15)
            assert short == poll.next_beat(5)
            assert (long - short) % 5 == pytest.approx(0, abs=1e-6) or (long - short) % 5 == pytest.approx(5, abs=1e-6)

    asyncio.run(main())


def test_cancelled_leader_is_replaced(emulator: Emulator, never: str) -> None:
    emulator.add_fault("slow", seconds=1, count=1)

    async def main() -> dict[str, Any]:
        leader = asyncio.create_task(wait(targets={never: 1}))
        await asyncio.sleep(0.3)
        follower = asyncio.create_task(wait(targets={never: 1}))
        await asyncio.sleep(0.1)
        leader.cancel()
        return await asyncio.wait_for(follower, 5)

    assert asyncio.run(main())["status"] == "success"
    assert emulator.request_count() <= 2


def test_waiter_that_leaves_disturbs_no_other_and_the_last_one_leaves_nothing(emulator: Emulator, never: str) -> None:
    filling = emulator.create_group("Filling")
    emulator.set_group(filling, growth_per_second=2)

    async def main() -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        async with waiting(20, targets={never: 2}):
            finishing = [asyncio.create_task(wait(targets={filling: 4})) for _ in range(20)]
            failing = [asyncio.create_task(wait(targets={"No such group": 1})) for _ in range(20)]
            events = await asyncio.gather(*finishing, *failing)
            assert polling._polls[loop][DEFAULT].waiters == 20
        assert loop not in polling._polls
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return events

    events = asyncio.run(main())

    assert [event["status"] for event in events] == ["success"] * 20 + ["error"] * 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio")]


def test_loops_of_one_process_do_not_share_and_do_not_stay(emulator: Emulator, never: str) -> None:
    for _ in range(3):
        assert asyncio.run(wait(targets={never: 1}))["status"] == "success"

    assert emulator.request_count() == 3
    assert len(polling._polls) == 0


def test_failing_poll_reaches_every_waiter_as_the_same_fact(emulator: Emulator, never: str) -> None:
    async def main() -> list[dict[str, Any]]:
        tasks = [asyncio.create_task(wait(targets={never: 2})) for _ in range(50)]
        await asyncio.sleep(0.5)
        emulator.revoke_token()
        return await asyncio.gather(*tasks)

    events = asyncio.run(main())

    assert {event["status"] for event in events} == {"error"}
    assert len({event["message"] for event in events}) == 1
    assert "401" in events[0]["message"]
    assert [request["status"] for request in emulator.requests()].count(401) == 1


def test_retry_after_holds_for_all_waiters_and_newcomers(emulator: Emulator, never: str) -> None:
    emulator.add_fault("status", status=429, retry_after="3", count=1)

    async def main() -> None:
        async with waiting(20, targets={never: 2}, poke_interval=0.5):
            await asyncio.sleep(1.5)
            async with waiting(20, targets={never: 2}, poke_interval=0.5):
                await asyncio.sleep(1)
                assert emulator.request_count() == 1
                await asyncio.sleep(1)

    asyncio.run(main())

    times = [request["time"] for request in emulator.requests()]
    assert times[1] - times[0] >= 2.9


def test_outage_costs_one_request_a_beat(emulator: Emulator, never: str) -> None:
    emulator.add_fault("disconnect")

    async def main() -> None:
        async with waiting(100, targets={never: 2}, poke_interval=1):
            await asyncio.sleep(3.5)

    asyncio.run(main())

    assert 3 <= emulator.request_count() <= 5


def test_error_of_the_last_look_is_shared_by_identity(emulator: Emulator) -> None:
    emulator.add_fault("status", status=500, count=1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with shared_poll(DEFAULT) as poll:
            looks = await asyncio.gather(*(poll.look(loop.time() - 1) for _ in range(10)))
        assert len({id(look.error) for look in looks}) == 1
        assert isinstance(looks[0].error, ProlificApiError)

    asyncio.run(main())


def test_repaired_connection_is_not_hidden_by_an_old_failure(emulator: Emulator, never: str) -> None:
    async def main() -> dict[str, Any]:
        async with waiting(1, targets={never: 2}, poke_interval=60, silent_fail=True):
            emulator.revoke_token()
            await asyncio.sleep(0.5)
            emulator.restore_token()
            await asyncio.sleep(polling.FAILURE_SHARED_SECONDS)
            return await wait(targets={never: 1}, poke_interval=60)

    assert asyncio.run(main())["status"] == "success"


def test_rotated_token_is_used_from_the_next_poll_on(
    emulator: Emulator, never: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filling = emulator.create_group("Filling")

    async def main() -> dict[str, Any]:
        task = asyncio.create_task(wait(targets={filling: 1}))
        await asyncio.sleep(0.3)
        emulator.rotate_token("another-token")
        monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", emulator.connection_json())
        emulator.set_group(filling, participant_count=1)
        return await asyncio.wait_for(task, 5)

    assert asyncio.run(main())["status"] == "success"


def test_slow_server_does_not_block_the_event_loop(
    emulator: Emulator, never: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.05
        began = loop.time()
        async with waiting(50, targets={never: 1}) as tasks:
            await asyncio.gather(*tasks)
        return loop.time() - began

    asyncio.run(wait(targets={never: 1}))  # imports on the first use are not the poll's
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
    assert max(delays) < 1.5


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert not polling._polls
