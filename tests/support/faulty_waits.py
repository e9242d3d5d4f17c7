"""Waits under fire: what hits a third of their requests, and how their triggers are restarted meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.waiting.trigger import LAST_LOOK_MAX_AGE_SECONDS, WaitTrigger

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
]


@dataclass
class FaultyWait:
    """One wait, what it is for in the words of its test, and how it ended."""

    trigger: type[WaitTrigger]
    arguments: dict[str, Any]
    subject: str
    target: int
    restarts: int = 0
    event: dict[str, Any] | None = None
    ended_at: float = 0.0

    @property
    def deadline(self) -> float:
        return float(self.arguments["deadline"])


def set_connections(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the waits several connections, so that they do not all share their polls."""
    for number in range(CONNECTIONS):
        monkeypatch.setenv(f"AIRFLOW_CONN_PROLIFIC_{number}", emulator.connection_json())


def common_arguments(number: int, rng: random.Random, seconds: float) -> dict[str, Any]:
    """Return what the wait of a number is given whatever it waits for; it ends within so many seconds."""
    return {
        "deadline": time.time() + rng.uniform(seconds / 4, seconds),
        "poke_interval": POKE_INTERVAL,
        "prolific_conn_id": f"prolific_{number % CONNECTIONS}",
    }


async def _run(waits: list[FaultyWait], rng: random.Random) -> None:
    async def run(wait: FaultyWait) -> None:
        async for event in wait.trigger(**wait.arguments).run():
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
                _, kwargs = wait.trigger(**wait.arguments).serialize()
                wait.arguments = json.loads(json.dumps(kwargs))
                wait.restarts += 1
                tasks[asyncio.create_task(run(wait))] = wait


def judge(wait: FaultyWait, reached_at: float | None) -> str:
    """Return how a wait ended; fail where it ended wrongly.

    :param reached_at: When what it waits for came true, by the emulator's clock, if it has.
    """
    assert wait.event is not None, "a wait hangs"
    status = str(wait.event["status"])
    if status == "success":
        assert reached_at is not None
        assert reached_at <= wait.ended_at
    elif status == "timeout":
        assert wait.ended_at >= wait.deadline
        # The look it rests on was at most this old, and that look found too few.
        assert reached_at is None or reached_at >= wait.deadline - LAST_LOOK_MAX_AGE_SECONDS
    else:
        assert status == "error"
        assert "the last look before the deadline failed" in wait.event["message"]
        assert wait.ended_at >= wait.deadline
    return status


def run_under_faults(
    emulator: Emulator,
    capsys: pytest.CaptureFixture[str],
    waits: list[FaultyWait],
    rng: random.Random,
    judge: Callable[[FaultyWait], str],
    *,
    path: str,
    stall: float,
    more: tuple[tuple[str, dict[str, Any], float], ...] = (),
) -> None:
    """Run waits to their ends while requests to a path are spoilt, judge each, and print a line for people.

    :param path: Which requests are hit.
    :param stall: How many seconds a slow answer takes.
    :param more: Further faults.
    """
    for kind, fields, probability in (*FAULTS, *more):
        emulator.add_fault(kind, **fields, path=path, probability=probability, seed=rng.randint(1, 99))
    emulator.add_fault("slow", seconds=stall, path=path, probability=0.01, seed=8)

    asyncio.run(_run(waits, rng))

    outcomes = Counter(map(judge, waits))
    requests = emulator.requests()
    hit = sum(request["fault"] is not None for request in requests) / len(requests)
    restarts = sum(wait.restarts for wait in waits)
    with capsys.disabled():
        print(f"\n{path}, {len(waits)} waits: {dict(outcomes)};", end=" ")
        print(f"{len(requests)} requests, {hit:.0%} hit; {restarts} restarts")
    assert sum(outcomes.values()) == len(waits)
    assert outcomes["success"] >= len(waits) / 5
    assert outcomes["timeout"] >= len(waits) / 20
    assert 0.25 <= hit <= 0.42
    assert restarts >= len(waits) / 10
