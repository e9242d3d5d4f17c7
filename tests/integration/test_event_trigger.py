"""Events when a group grows past milestones: a real event loop, real HTTP."""

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupEventTrigger
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS
from airflow_provider_prolific.waiting import polling

pytestmark = pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="event-driven scheduling came with Airflow 3")


#: When a look that should come is taken for one that never does.
NEVER_SECONDS = 60


class Watch:
    """A watch of a group named Filling, and the events that it has sent."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.group_id = emulator.create_group("Filling")
        self.events: list[dict[str, Any]] = []

    async def run(self, *steps: Callable[[], Any], looks: int = 2) -> list[dict[str, Any]]:
        """Take steps, each followed by some looks, and return the events."""
        watching = ProlificParticipantGroupEventTrigger(
            participant_group="Filling", milestones=[10, 20, 30], poke_interval=0.2
        )

        async def collect() -> None:
            async for event in watching.run():
                self.events.append(event.payload)

        task = asyncio.create_task(collect())
        for step in steps:
            await asyncio.to_thread(step)
            await self._looks(looks)
        assert not task.done(), task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return self.events

    async def _looks(self, count: int) -> None:
        """Wait for some looks; the first of them is judged when the second one comes."""
        enough = self.emulator.request_count() + count
        ends_at = time.monotonic() + NEVER_SECONDS
        while await asyncio.to_thread(self.emulator.request_count) < enough:
            assert time.monotonic() < ends_at, "no look came"
            await asyncio.sleep(0.05)

    def grow(self, count: int) -> Callable[[], Any]:
        """Return the step that sets the group's count."""
        return lambda: self.emulator.set_group(self.group_id, participant_count=count)


@pytest.fixture
def watch(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    return Watch(prolific_emulator)


def test_each_milestone_is_announced_once_upwards(watch: Watch) -> None:
    events = asyncio.run(watch.run(*(watch.grow(count) for count in (0, 10, 15, 5, 12, 25, 40))))

    assert [(event["milestone"], event["participant_count"]) for event in events] == [(10, 10), (20, 25), (30, 40)]
    assert [event["previous_participant_count"] for event in events] == [None, 10, 25]


def test_outage_is_waited_out(watch: Watch) -> None:
    def outage() -> None:
        watch.emulator.add_fault("status", status=500, count=2)
        watch.emulator.add_fault("disconnect", count=1)
        watch.grow(12)()

    events = asyncio.run(watch.run(watch.grow(0), outage, looks=5))

    assert [event["milestone"] for event in events] == [10]


def test_revoked_token_is_logged_at_growing_intervals_and_works_again_when_repaired(
    watch: Watch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    emulator = watch.emulator

    def repair() -> None:
        emulator.restore_token()
        watch.grow(12)()

    with caplog.at_level(logging.ERROR):  # Airflow 3 logs to stdout, and in tests through logging
        events = asyncio.run(watch.run(emulator.revoke_token, repair, looks=4))

    failed = [request["time"] for request in emulator.requests() if request["status"] == 401]
    pauses = [after - before for before, after in pairwise(failed)]
    assert [event["milestone"] for event in events] == [10]
    assert pauses[-1] > 1.2  # from a fifth of a second on, doubled each time
    logged = caplog.text + "".join(capfd.readouterr())
    assert "the API token of connection 'prolific_default' is wrong or was deleted" in logged
    assert emulator.token not in logged


def test_watchers_share_their_poll_with_each_other(watch: Watch) -> None:
    async def main() -> None:
        watching = [
            ProlificParticipantGroupEventTrigger(participant_group="Filling", every=5, poke_interval=1)
            for _ in range(20)
        ]
        tasks = [asyncio.create_task(anext(one.run())) for one in watching]
        await asyncio.sleep(4)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())

    assert 2 <= watch.emulator.request_count() <= 6


def test_nothing_is_left_behind(watch: Watch) -> None:
    asyncio.run(watch.run(watch.grow(12)))

    assert not polling._loops
