"""
Waits under fire: a third of all requests meets a fault, and triggers are restarted from their serialised form.

Every wait must end right. The judge is the emulator, whose clock knows when a group truly reached a count.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.hooks.client import Limits
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger
from airflow_provider_prolific.waiting import polling
from airflow_provider_prolific.waiting.trigger import LAST_LOOK_MAX_AGE_SECONDS

CONNECTIONS = 30
POKE_INTERVAL = 0.5

#: What hits a third of the requests: kind, fields, share of all requests.
FAULTS: list[tuple[str, dict[str, Any], float]] = [
    ("status", {"status": 429}, 0.04),
    ("status", {"status": 429, "retry_after": "1"}, 0.04),
    ("status", {"status": 500}, 0.05),
    ("html", {"status": 502}, 0.05),
    ("disconnect", {}, 0.05),
    ("truncate", {}, 0.05),
    ("empty", {}, 0.03),
    ("body", {"json": []}, 0.01),
    ("body", {"json": {"results": None}}, 0.01),
    ("body", {"json": {"results": [{"id": "x", "name": "x", "participant_count": "many"}]}}, 0.01),
    ("html", {"status": 200}, 0.02),
    ("ignored_scope", {}, 0.003),
]


@dataclass
class Wait:
    """One wait and how it ended."""

    arguments: dict[str, Any]
    group_id: str
    target: int
    restarts: int = 0
    event: dict[str, Any] | None = None
    ended_at: float = 0.0


@pytest.fixture
def emulator(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    for number in range(CONNECTIONS):
        monkeypatch.setenv(f"AIRFLOW_CONN_PROLIFIC_{number}", prolific_emulator.connection_json())
    return prolific_emulator


async def run_waits(emulator: Emulator, count: int, rng: random.Random, seconds: float) -> list[Wait]:
    waits = []
    now = time.time()
    groups = [emulator.create_group(f"Growing {number}", participant_count=0) for number in range(20)]
    for group_id in groups:
        emulator.set_group(group_id, growth_per_second=rng.uniform(0.2, 5))
    for number in range(count):
        group_id = rng.choice(groups)
        target = rng.randint(1, int(3 * seconds))
        waits.append(
            Wait(
                arguments={
                    "targets": {group_id: target},
                    "deadline": now + rng.uniform(seconds / 4, seconds),
                    "poke_interval": POKE_INTERVAL,
                    "prolific_conn_id": f"prolific_{number % CONNECTIONS}",
                },
                group_id=group_id,
                target=target,
            )
        )

    async def run(wait: Wait) -> None:
        async for event in ProlificParticipantGroupTrigger(**wait.arguments).run():
            wait.event, wait.ended_at = event.payload, time.time()

    tasks = {asyncio.create_task(run(wait)): wait for wait in waits}
    while tasks:
        done, _ = await asyncio.wait(tasks, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            del tasks[task]
        for task in rng.sample(list(tasks), k=len(tasks) // 20):  # a triggerer restart, for some
            wait = tasks.pop(task)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if wait.event is None:
                _, kwargs = ProlificParticipantGroupTrigger(**wait.arguments).serialize()
                wait.arguments = json.loads(json.dumps(kwargs))
                wait.restarts += 1
                tasks[asyncio.create_task(run(wait))] = wait
    return waits


def judge(emulator: Emulator, wait: Wait) -> str:
    """Return how a wait ended; fail where it ended wrongly."""
    assert wait.event is not None, "a wait hangs"
    status, message = wait.event["status"], wait.event["message"]
    reached_at = emulator.reached_at(wait.group_id, wait.target)
    deadline = wait.arguments["deadline"]
    if status == "success":
        assert reached_at is not None
        assert reached_at <= wait.ended_at
        [group] = wait.event["groups"]
        assert group["participant_count"] >= wait.target
    elif status == "timeout":
        assert wait.ended_at >= deadline
        # The look it rests on was at most this old, and that look found the group short.
        assert reached_at is None or reached_at >= deadline - LAST_LOOK_MAX_AGE_SECONDS
    else:
        assert status == "error"
        if "the scope was ignored" not in message:
            assert "the last look before the deadline failed" in message
            assert wait.ended_at >= deadline
    return str(status)


def run_program(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], count: int, seconds: float, stall: float
) -> None:
    rng = random.Random(7)
    for kind, fields, probability in FAULTS:
        emulator.add_fault(kind, **fields, path="participant-groups", probability=probability, seed=rng.randint(1, 99))
    emulator.add_fault("slow", seconds=stall, path="participant-groups", probability=0.01, seed=8)

    waits = asyncio.run(run_waits(emulator, count, rng, seconds))

    outcomes = Counter(judge(emulator, wait) for wait in waits)
    requests = emulator.requests()
    hit = sum(request["fault"] is not None for request in requests) / len(requests)
    restarts = sum(wait.restarts for wait in waits)
    with capsys.disabled():
        print(f"\n{count} waits: {dict(outcomes)}; {len(requests)} requests, {hit:.0%} hit; {restarts} restarts")
    assert sum(outcomes.values()) == count
    assert outcomes["success"] >= count / 5
    assert outcomes["timeout"] >= count / 20
    assert 0.25 <= hit <= 0.42
    assert restarts >= count / 10


def test_every_wait_ends_right_under_faults(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(polling, "ASK_SECONDS", 2)

    run_program(emulator, capsys, count=90, seconds=20, stall=3)


@pytest.mark.full
def test_every_wait_ends_right_under_faults_at_full_length(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    run_program(emulator, capsys, count=400, seconds=120, stall=Limits().attempt_seconds + 1)
