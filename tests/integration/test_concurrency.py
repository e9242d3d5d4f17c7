"""What each of two tasks sees that meet at one group."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.operators.participant_groups import (
    ProlificCreateParticipantGroupOperator,
    ProlificDeleteParticipantGroupOperator,
)
from airflow_provider_prolific.operators.participants import ProlificSyncParticipantsOperator
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger

IDS = [f"5e{number:022x}" for number in range(60)]


@pytest.fixture
def emulator(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    return prolific_emulator


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls at the same moment; return what each returned or raised."""
    results: list[Any] = [None] * len(calls)

    def run(index: int, call: Callable[[], Any]) -> None:
        try:
            results[index] = call()
        except Exception as error:  # noqa: BLE001 - it is what is asked for
            results[index] = error

    threads = [threading.Thread(target=run, args=(index, call)) for index, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def execute(operator: Any) -> Any:
    """Run an operator in any thread: Airflow 2.11's guard around ``execute`` works in the main one alone."""
    return inspect.unwrap(type(operator).execute)(operator, {})


def create() -> dict[str, Any]:
    return execute(ProlificCreateParticipantGroupOperator(task_id="create", name="New"))


def test_two_creations_at_once_are_told_by_the_next_one(emulator: Emulator) -> None:
    emulator.add_fault("slow", seconds=1, method="POST", count=2)  # so that both have looked before either creates

    first, second = at_once(create, create)

    assert first["id"] != second["id"]
    with pytest.raises(ProlificError) as told:
        create()
    assert first["id"] in str(told.value)
    assert second["id"] in str(told.value)


def test_creations_one_after_the_other_make_one_group(emulator: Emulator) -> None:
    assert create()["id"] == create()["id"]
    assert len(emulator.groups(name="New")) == 1


def test_two_syncs_at_once_lose_nobody_whom_both_want_and_a_later_one_ends_right(emulator: Emulator) -> None:
    group_id = emulator.create_group("Mirrored", participant_ids=IDS[:30])

    def sync(ids: list[str]) -> dict[str, Any]:
        return execute(
            ProlificSyncParticipantsOperator(task_id="sync", participant_group=group_id, participant_ids=ids)
        )

    results = at_once(lambda: sync(IDS[10:40]), lambda: sync(IDS[20:50]))

    assert all(set(result) == {"id", "name", "added", "removed", "unchanged"} for result in results), results
    assert set(IDS[20:30]) <= set(emulator.members(group_id)) <= set(IDS[:50])
    sync(IDS[5:15])
    assert set(emulator.members(group_id)) == set(IDS[5:15])


@pytest.mark.parametrize(("if_missing", "status"), [("fail", "error"), ("wait", "timeout")])
def test_wait_for_a_group_that_is_deleted_meanwhile(emulator: Emulator, if_missing: str, status: str) -> None:
    group_id = emulator.create_group("Short-lived", participant_count=1)

    async def main() -> dict[str, Any]:
        trigger = ProlificParticipantGroupTrigger(
            targets={group_id: 2}, deadline=time.time() + 4, poke_interval=0.5, if_missing=if_missing
        )

        async def wait() -> list[Any]:
            return [event.payload async for event in trigger.run()]

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(1)
        delete = ProlificDeleteParticipantGroupOperator(task_id="delete", participant_group=group_id)
        await asyncio.to_thread(execute, delete)
        [event] = await waiting
        return event

    event = asyncio.run(main())

    assert event["status"] == status
    if status == "error":
        assert "it may have been deleted" in event["message"]
