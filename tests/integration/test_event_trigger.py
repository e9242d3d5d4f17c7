"""Events when a group grows past milestones: a real event loop, real HTTP."""

import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupEventTrigger
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS
from airflow_provider_prolific.waiting import polling

pytestmark = pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="event-driven scheduling came with Airflow 3")


@pytest.fixture
def group(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the count of a group named Filling."""
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    group_id = prolific_emulator.create_group("Filling")
    return lambda count: prolific_emulator.set_group(group_id, participant_count=count) and None


async def watch(steps: list[Callable[[], Any]], seconds: float = 0.8, poke_interval: float = 0.2) -> list[Any]:
    """Collect the events of a trigger while steps are taken, one every so many seconds."""
    events: list[dict[str, Any]] = []
    watching = ProlificParticipantGroupEventTrigger(
        participant_group="Filling", milestones=[10, 20, 30], poke_interval=poke_interval
    )

    async def collect() -> None:
        async for event in watching.run():
            events.append(event.payload)  # noqa: PERF401 - read while it is still being collected

    task = asyncio.create_task(collect())
    for step in steps:
        await asyncio.to_thread(step)
        await asyncio.sleep(seconds)
    assert not task.done(), task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return events


def test_each_milestone_is_announced_once_upwards(group: Callable[[int], None]) -> None:
    counts = [0, 10, 15, 5, 12, 25, 40]
    events = asyncio.run(watch([lambda count=count: group(count) for count in counts]))

    assert [(event["milestone"], event["participant_count"]) for event in events] == [(10, 10), (20, 25), (30, 40)]
    assert [event["previous_participant_count"] for event in events] == [None, 10, 25]


def test_outage_is_waited_out(prolific_emulator: Emulator, group: Callable[[int], None]) -> None:
    def outage() -> None:
        prolific_emulator.add_fault("status", status=500, count=2)
        prolific_emulator.add_fault("disconnect", count=1)
        group(12)

    events = asyncio.run(watch([lambda: group(0), outage], seconds=2))

    assert [event["milestone"] for event in events] == [10]


def test_revoked_token_is_logged_at_growing_intervals_and_works_again_when_repaired(
    prolific_emulator: Emulator,
    group: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def repair() -> None:
        prolific_emulator.restore_token()
        group(12)

    with caplog.at_level(logging.ERROR):  # Airflow 3 logs to stdout, and in tests through logging
        events = asyncio.run(watch([prolific_emulator.revoke_token, repair, lambda: None, lambda: None], seconds=2))

    failed = [request["time"] for request in prolific_emulator.requests() if request["status"] == 401]
    pauses = [after - before for before, after in pairwise(failed)]
    assert [event["milestone"] for event in events] == [10]
    assert 3 <= len(failed) <= 6
    assert pauses[-1] > 1.5 * pauses[0]
    logged = caplog.text + "".join(capfd.readouterr())
    assert "check the API token" in logged
    assert prolific_emulator.token not in logged


def test_watchers_share_their_poll_with_each_other(prolific_emulator: Emulator, group: Callable[[int], None]) -> None:
    group(5)

    async def main() -> None:
        await asyncio.gather(*(watch([lambda: None], seconds=4, poke_interval=1) for _ in range(20)))

    asyncio.run(main())

    assert 3 <= prolific_emulator.request_count() <= 6


def test_nothing_is_left_behind(group: Callable[[int], None]) -> None:
    asyncio.run(watch([lambda: group(12)]))

    assert not polling._loops
