"""Events when a group grows past milestones: a real event loop, real HTTP."""

import asyncio
import json
import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.polling import PollKey, shared_poll
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupEventTrigger
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS

needs_airflow_3 = pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="event-driven scheduling came with Airflow 3")


class Store:
    """As much of Airflow's asset state store as a trigger uses; it outlives the trigger."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


@pytest.fixture
def group(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the count of a group named Filling."""
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    group_id = prolific_emulator.create_group("Filling")
    return lambda count: prolific_emulator.set_group(group_id, participant_count=count) and None


def trigger(**arguments: Any) -> ProlificParticipantGroupEventTrigger:
    arguments = {"participant_group": "Filling", "milestones": [10, 20, 30], "poke_interval": 0.2, **arguments}
    if arguments.get("every"):
        del arguments["milestones"]
    return ProlificParticipantGroupEventTrigger(**arguments)


async def watch(
    steps: list[Callable[[], Any]], seconds: float = 0.6, store: Store | None = None, **arguments: Any
) -> list[dict[str, Any]]:
    """Collect the events of a trigger while steps are taken, one every so many seconds."""
    events: list[dict[str, Any]] = []
    watching = trigger(**arguments)
    watching.asset_state_store = store  # type: ignore[assignment]

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


@needs_airflow_3
def test_each_milestone_is_announced_once_upwards(group: Callable[[int], None]) -> None:
    counts = [0, 9, 10, 15, 5, 12, 25, 31, 40]
    events = asyncio.run(watch([lambda count=count: group(count) for count in counts]))

    assert [(event["milestone"], event["participant_count"]) for event in events] == [(10, 10), (20, 25), (30, 31)]
    assert [event["previous_participant_count"] for event in events] == [None, 10, 25]
    assert set(events[0]) == {
        "id",
        "name",
        "participant_count",
        "milestone",
        "milestones",
        "previous_participant_count",
    }


@needs_airflow_3
def test_several_milestones_at_once_make_one_event_that_names_them(group: Callable[[int], None]) -> None:
    events = asyncio.run(watch([lambda: group(0), lambda: group(29)]))

    assert [(event["milestone"], event["milestones"]) for event in events] == [(20, [10, 20])]


@needs_airflow_3
def test_every_step_is_a_milestone(group: Callable[[int], None]) -> None:
    events = asyncio.run(watch([lambda: group(4), lambda: group(5), lambda: group(14)], every=5))

    assert [event["milestones"] for event in events] == [[5], [10]]


@needs_airflow_3
def test_first_participant_can_be_a_milestone(group: Callable[[int], None]) -> None:
    events = asyncio.run(watch([lambda: group(0), lambda: group(1), lambda: group(2)], every=1))

    assert [event["milestone"] for event in events] == [1, 2]


@needs_airflow_3
def test_restarted_trigger_goes_on_from_the_store(group: Callable[[int], None]) -> None:
    store = Store()
    before = asyncio.run(watch([lambda: group(12)], store=store))
    after = asyncio.run(watch([lambda: group(15), lambda: group(22)], store=store))

    assert [event["milestone"] for event in before] == [10]
    assert [(event["milestone"], event["previous_participant_count"]) for event in after] == [(20, 12)]


@needs_airflow_3
def test_without_a_store_a_restart_announces_once_more(group: Callable[[int], None]) -> None:
    first = asyncio.run(watch([lambda: group(12)]))
    second = asyncio.run(watch([lambda: group(12)]))

    assert [event["milestone"] for event in first + second] == [10, 10]
    assert second[0]["previous_participant_count"] is None


@needs_airflow_3
def test_store_that_fails_ends_no_watch(group: Callable[[int], None]) -> None:
    class BrokenStore(Store):
        async def aset(self, key: str, value: Any) -> None:
            raise RuntimeError("no database")

    events = asyncio.run(watch([lambda: group(12), lambda: group(21)], store=BrokenStore()))

    assert [event["milestone"] for event in events] == [10, 20]


@needs_airflow_3
def test_outage_is_waited_out(prolific_emulator: Emulator, group: Callable[[int], None]) -> None:
    def outage() -> None:
        prolific_emulator.add_fault("status", status=500, count=2)
        prolific_emulator.add_fault("disconnect", count=1)
        group(12)

    events = asyncio.run(watch([lambda: group(0), outage], seconds=1.5))

    assert [event["milestone"] for event in events] == [10]


@needs_airflow_3
def test_revoked_token_is_logged_at_growing_intervals_and_works_again_when_repaired(
    prolific_emulator: Emulator,
    group: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def repair() -> None:
        prolific_emulator.restore_token()
        group(12)

    with caplog.at_level(logging.ERROR):  # Airflow 2 logs through logging, Airflow 3 to stdout
        events = asyncio.run(watch([prolific_emulator.revoke_token, repair, lambda: None], seconds=2))

    failed = [request["time"] for request in prolific_emulator.requests() if request["status"] == 401]
    pauses = [after - before for before, after in pairwise(failed)]
    assert [event["milestone"] for event in events] == [10]
    assert 3 <= len(failed) <= 6
    assert pauses[-1] > 1.5 * pauses[0]
    logged = caplog.text + "".join(capfd.readouterr())
    assert "check the API token" in logged
    assert prolific_emulator.token not in logged


@needs_airflow_3
def test_watchers_share_their_poll_with_each_other(prolific_emulator: Emulator, group: Callable[[int], None]) -> None:
    group(5)

    async def main() -> None:
        await asyncio.gather(*(watch([lambda: None], seconds=3, poke_interval=1) for _ in range(20)))

    asyncio.run(main())

    assert 3 <= prolific_emulator.request_count() <= 5


@needs_airflow_3
def test_nothing_is_left_behind(group: Callable[[int], None]) -> None:
    async def main() -> int:
        await watch([lambda: group(12)])
        with shared_poll(PollKey("prolific_default", None, True)) as poll:
            return poll.waiters

    assert asyncio.run(main()) == 1


@needs_airflow_3
def test_arguments_are_json_and_survive() -> None:
    path, kwargs = trigger(milestones=[30, 10, 10], filter={"workspace_id": "abc"}).serialize()

    assert path == f"{ProlificParticipantGroupEventTrigger.__module__}.ProlificParticipantGroupEventTrigger"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert ProlificParticipantGroupEventTrigger(**kwargs).serialize() == (path, kwargs)


@needs_airflow_3
@pytest.mark.parametrize(
    "bad",
    [
        {"participant_group": " "},
        {"milestones": []},
        {"milestones": [0]},
        {"filter": {}},
        {"poke_interval": 0},
        {"every": True},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_while_the_dag_is_parsed(bad: dict[str, Any]) -> None:
    with pytest.raises(ProlificValueError):
        trigger(**bad)


@pytest.mark.skipif(HAS_EVENT_TRIGGERS, reason="this Airflow has event-driven scheduling")
def test_airflow_2_is_told_what_it_lacks() -> None:
    with pytest.raises(ProlificError, match="needs Airflow 3"):
        trigger()
