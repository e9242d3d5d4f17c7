"""A wait ends when its time is up, not earlier and not never, whatever the clocks, the server and Airflow do."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger
from airflow_provider_prolific.version_compat import AirflowSensorTimeout
from airflow_provider_prolific.waiting import trigger as rules
from airflow_provider_prolific.waiting.polling import PATIENCE_CHECK_SECONDS


@pytest.fixture
def group_id(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    return prolific_emulator.create_group("Filling", participant_count=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The wall clock as the trigger sees it, to be set wrong."""
    clock = SimpleNamespace(wrong_by=0.0)
    monkeypatch.setattr(rules, "time", SimpleNamespace(time=lambda: time.time() + clock.wrong_by))
    return clock


async def wait(group_id: str, target: int = 2, **arguments: Any) -> dict[str, Any]:
    arguments = {"targets": {group_id: target}, "poke_interval": 0.5, **arguments}
    [event] = [event async for event in ProlificParticipantGroupTrigger(**arguments).run()]
    return event.payload


def test_clock_set_forward_past_the_deadline_ends_the_wait_after_a_look(group_id: str, clock: SimpleNamespace) -> None:
    async def main() -> dict[str, Any]:
        task = asyncio.create_task(wait(group_id, deadline=time.time() + 300))
        await asyncio.sleep(1)
        clock.wrong_by = 600
        return await asyncio.wait_for(task, 5)

    assert asyncio.run(main())["status"] == "timeout"


def test_clock_set_back_does_not_end_the_wait_early_nor_blind_it(
    prolific_emulator: Emulator, group_id: str, clock: SimpleNamespace
) -> None:
    async def main() -> dict[str, Any]:
        task = asyncio.create_task(wait(group_id, deadline=time.time() + 2))
        await asyncio.sleep(1)
        clock.wrong_by = -600
        await asyncio.sleep(2)
        assert not task.done()
        prolific_emulator.set_group(group_id, participant_count=2)
        return await asyncio.wait_for(task, 5)

    assert asyncio.run(main())["status"] == "success"


@pytest.mark.parametrize("first_look", [0.5, 10.0])
def test_clock_set_back_while_a_wait_sleeps_until_its_deadline_holds_up_no_look(
    prolific_emulator: Emulator,
    group_id: str,
    clock: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    first_look: float,
) -> None:
    monkeypatch.setattr(rules, "FIRST_LOOK_SECONDS", first_look)

    async def main() -> dict[str, Any]:
        task = asyncio.create_task(wait(group_id, deadline=time.time() + 2, poke_interval=3))
        await asyncio.sleep(1)
        clock.wrong_by = -600
        prolific_emulator.set_group(group_id, participant_count=2)
        return await asyncio.wait_for(task, 20)

    assert asyncio.run(main())["status"] == "success"


@pytest.mark.parametrize(("target", "status"), [(1, "success"), (2, "timeout")])
def test_trigger_started_anew_after_the_deadline_looks_once(
    prolific_emulator: Emulator, group_id: str, target: int, status: str
) -> None:
    event = asyncio.run(wait(group_id, target, deadline=time.time() - 3600))

    assert event["status"] == status
    assert prolific_emulator.request_count() == 1


def test_look_that_hangs_over_the_deadline_ends_as_an_error(
    prolific_emulator: Emulator, group_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "LAST_LOOK_SECONDS", 1)
    prolific_emulator.add_fault("slow", seconds=20)
    started = time.monotonic()

    async def main() -> list[dict[str, Any]]:
        return await asyncio.gather(*(wait(group_id, deadline=time.time() + 0.5) for _ in range(20)))

    events = asyncio.run(main())

    assert {event["status"] for event in events} == {"error"}
    assert all("did not answer within" in event["message"] for event in events)
    assert prolific_emulator.request_count() <= 3  # a look, the last look, and at most one more
    assert time.monotonic() - started < 12 + PATIENCE_CHECK_SECONDS


def test_slow_answer_around_the_deadline_still_counts(prolific_emulator: Emulator, group_id: str) -> None:
    prolific_emulator.add_fault("slow", seconds=2, count=1)

    event = asyncio.run(wait(group_id, 1, deadline=time.time() + 1))

    assert event["status"] == "success"


def test_interval_longer_than_the_time_still_looks_at_the_deadline(prolific_emulator: Emulator, group_id: str) -> None:
    prolific_emulator.set_group(group_id, growth_per_second=0.25)
    started = time.time()

    reached = asyncio.run(wait(group_id, 2, deadline=started + 6, poke_interval=3600))
    short = asyncio.run(wait(group_id, 99, deadline=time.time() + 1, poke_interval=3600))

    assert reached["status"] == "success"
    assert 5 < time.time() - started < 15
    assert short["status"] == "timeout"


@pytest.mark.parametrize("arguments", [{"deferrable": True}, {"mode": "poke"}], ids=str)
def test_no_time_at_all_is_one_look(prolific_emulator: Emulator, group_id: str, arguments: dict[str, Any]) -> None:
    reached = ProlificParticipantGroupSensor(
        task_id="reached", participant_group=group_id, target_count=1, timeout=0, **arguments
    )
    short = ProlificParticipantGroupSensor(
        task_id="short", participant_group=group_id, target_count=2, timeout=0, **arguments
    )

    assert reached.execute({})[0]["reached"] is True
    with pytest.raises(AirflowSensorTimeout, match="'Filling' has 1 of 2"):
        short.execute({})
    assert prolific_emulator.request_count() == 2
