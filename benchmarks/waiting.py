"""What it costs to wait: many triggers on one workspace, beside the http provider's ``HttpSensorTrigger``.

    python benchmarks/waiting.py [--quick]

N triggers run in one event loop, in a process that does nothing else, as they do in a triggerer. The emulator, with a
workspace of 150 groups, is another process, and all speak https with it, as with Prolific: a third process ends TLS
before it. After all have started, evenly over one interval, and have looked, it measures four beats of nothing but
waiting; then the groups fill up, one waiter's target after the other, evenly over one more interval.

* requests: how many a beat the emulator counted.
* CPU: seconds of the triggers' process (all its threads) per beat, a beat being the time in which each waiter has
  looked once.
* delay: from the moment at which the emulator says that the target was reached to the trigger's event. Whoever looks
  once in an interval is half an interval late in the median.
* memory: what the Python allocator handed out for N waiters that have looked and wait, by ``tracemalloc``, over N
  (so that the one listing which ours share shows where N is small); and the same for trigger objects that don't run.
  Measured in processes of their own, for it slows everything down.
* TLS: the processor time of one waiter's beat over https, over that of one over http, both at the same time. The
  handshake is made once and the connection kept, so the median of the rounds must be at most `MAX_TLS_RATIO`.

How the other one is made comparable: ``HttpSensorTrigger`` knows one condition, "no longer 404". So each asks for a
group of its own that doesn't exist yet, at the same emulator, with the token in its connection; the groups are then
created one after the other. This favours it: its answer is 185 bytes that it doesn't read, while ours is the 150
groups, 34 KB, read, checked and compared. The log is off, so that the warning which it writes at each look costs it
nothing. Neither gets what a triggerer adds around every trigger alike.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import multiprocessing
import os
import random
import statistics
import time
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from setting import has_http_provider, print_table, print_versions, use_throwaway_airflow, workspace
from tls import Address, over_tls

from airflow_provider_prolific.emulator import EmulatorClient
from airflow_provider_prolific.emulator.client import connection_json

GROUPS = 150
OURS, PEER = "prolific", "http"
TITLES = {OURS: "ProlificParticipantGroupTrigger", PEER: "HttpSensorTrigger"}
#: What a poll over https may cost in processor time, over one over http.
MAX_TLS_RATIO = 1.5
#: The targets are reached in so many steps; a step is what the emulator is told at once.
STEPS = 100
#: Ours look first so long after their start, where the interval is longer than that.
FIRST_LOOK_SECONDS = 10


@dataclass(frozen=True)
class Case:
    """Some waiters of one kind."""

    kind: str
    count: int
    interval: float
    beats: int = 4
    secure: bool = True


@dataclass(frozen=True)
class Waited:
    """What one case measured: in ``seconds`` of waiting, and of the ``delays`` afterwards."""

    seconds: float
    cpu: float
    requests: int
    delays: list[float]


# --- the process that waits ---


def use_environment(environment: dict[str, str]) -> None:
    """Begin a process that waits."""
    os.environ.update(environment)
    logging.disable()  # for Airflow 2; in Airflow 3 the logging level says it


def make_triggers(case: Case, targets: Sequence[Any]) -> list[Any]:
    """Make a trigger for each target: a count of the filling group, or the id of a group to come."""
    if case.kind == PEER:
        from airflow.providers.http.triggers.http import HttpSensorTrigger

        return [
            HttpSensorTrigger(
                endpoint=f"/api/v1/participant-groups/{group_id}/", http_conn_id="peer", poke_interval=case.interval
            )
            for group_id in targets
        ]
    from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger

    deadline = time.time() + 3600
    return [
        ProlificParticipantGroupTrigger(targets={group_id: count}, deadline=deadline, poke_interval=case.interval)
        for group_id, count in targets
    ]


async def start(triggers: Sequence[Any], seconds: float, fired_at: dict[int, float]) -> list[asyncio.Task[None]]:
    """Start the triggers, evenly over some seconds; they note when they fire."""

    async def follow(number: int, trigger: Any) -> None:
        async for _ in trigger.run():
            fired_at[number] = time.time()
            return

    loop = asyncio.get_running_loop()
    begun = loop.time()
    tasks = []
    for number, trigger in enumerate(triggers):
        if (pause := begun + seconds * number / len(triggers) - loop.time()) > 0:
            await asyncio.sleep(pause)
        tasks.append(loop.create_task(follow(number, trigger)))
    return tasks


def wait_in_process(
    case: Case, url: str, targets: Sequence[Any], environment: dict[str, str], channel: Connection
) -> None:
    """Wait, and tell the other process what it took and when each trigger fired."""
    use_environment(environment)

    async def main() -> None:
        client = EmulatorClient(url)
        fired_at: dict[int, float] = {}
        tasks = await start(make_triggers(case, targets), case.interval, fired_at)
        await asyncio.sleep(case.interval * 2.5)  # ours look first up to two intervals after their start
        requests = await asyncio.to_thread(client.request_count)
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(case.interval * case.beats)
        cpu, seconds = time.process_time() - cpu, time.monotonic() - began
        requests = await asyncio.to_thread(client.request_count) - requests
        channel.send((seconds, cpu, requests))
        await asyncio.wait(tasks, timeout=case.interval * 4)
        failures = [task.exception() for task in tasks if task.done() and task.exception()]
        channel.send((fired_at, len(failures), repr(failures[:1])))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def weigh_in_process(
    kind: str, counts: Sequence[int], targets: Sequence[Any], environment: dict[str, str], channel: Connection
) -> None:
    """Start more and more triggers and tell after each step how many bytes they hold, running and not."""
    use_environment(environment)

    async def main() -> None:
        case = Case(kind, 0, interval=120)
        # Import everything and fill all caches first.
        warm_up = await start(make_triggers(case, targets[:1]), 0, {})
        await asyncio.sleep(FIRST_LOOK_SECONDS + 1)
        for task in warm_up:
            task.cancel()
        await asyncio.gather(*warm_up, return_exceptions=True)
        del warm_up
        tracemalloc.start()
        first = held()
        objects = make_triggers(case, targets)
        bare = (held() - first) / len(objects)
        del objects
        first = held()
        tasks = []
        running = 0
        results = {}
        for count in counts:
            tasks += await start(make_triggers(case, targets[running:count]), (count - running) / 400, {})
            running = count
            await asyncio.sleep(FIRST_LOOK_SECONDS + 1)
            assert not any(task.done() for task in tasks)
            results[count] = (held() - first) / count
        channel.send((bare, results))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    asyncio.run(main())


# --- the process that looks on ---


def run_case(case: Case) -> Waited:
    """Run one case with an emulator of its own."""
    with ExitStack() as stack:
        emulator = stack.enter_context(workspace(GROUPS - 1))
        filling = emulator.create_group("Filling")
        if case.kind == OURS:
            targets: list[Any] = [(filling, number) for number in range(1, case.count + 1)]
        else:
            targets = coming_ids(filling, case.count)
        order = list(range(case.count))
        random.Random(case.count).shuffle(order)  # who starts first is not who is reached first
        shuffled = [targets[number] for number in order]
        address = stack.enter_context(over_tls(emulator.url)) if case.secure else Address(emulator.url, {})
        process, channel = start_process(wait_in_process, emulator, address, case, emulator.url, shuffled)
        stack.callback(process.kill)
        seconds, cpu, requests = channel.recv()
        reached_at = reach(emulator, case, filling)
        fired_at, failed, failure = channel.recv()
        process.join()
        if failed:
            print(f"{TITLES[case.kind]}, {case.count}: {failed} ended with an error, such as {failure}")
        delays = sorted(fired - reached_at[order[number]] for number, fired in fired_at.items())
        if len(delays) + failed < case.count:
            print(f"{TITLES[case.kind]}, {case.count}: {case.count - failed - len(delays)} did not fire in time")
        return Waited(seconds, cpu, requests, delays)


def coming_ids(newest_id: str, count: int) -> list[str]:
    """Return the ids of the groups that the emulator will create next: it counts upwards."""
    newest = int(newest_id, 16)
    return [f"{newest + number:024x}" for number in range(1, count + 1)]


def reach(emulator: EmulatorClient, case: Case, filling: str) -> list[float]:
    """Let each waiter's target be reached, evenly over one interval, and return when each was."""
    if case.kind == OURS:
        emulator.set_group(filling, growth_per_second=case.count / case.interval, growth_limit=case.count)
        time.sleep(case.interval + 0.1)
        return list(emulator.members(filling).values())
    steps = min(STEPS, case.count)
    expected = coming_ids(filling, case.count)
    began = time.monotonic()
    firsts: dict[str, int] = {}
    done = 0
    for step in range(1, steps + 1):
        time.sleep(max(began + case.interval * step / steps - time.monotonic(), 0))
        size = case.count * step // steps - done
        ids = emulator.create_groups(size)
        assert ids == expected[done : done + size]
        firsts[ids[0]] = size
        done += size
    return [emulator.reached_at(first, 0) or 0.0 for first, size in firsts.items() for _ in range(size)]


def start_process(target: Any, emulator: EmulatorClient, address: Address, *arguments: Any) -> tuple[Any, Connection]:
    """Start a process that knows the emulator, at an address, as both connections."""
    peer = {"conn_type": "http", "host": address.url, "extra": {"Authorization": f"Token {emulator.token}"}}
    environment = {
        "AIRFLOW_CONN_PROLIFIC_DEFAULT": connection_json(address.url, emulator.token, emulator.workspace_id),
        "AIRFLOW_CONN_PEER": json.dumps(peer),
        **address.environment,
    }
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(*arguments, environment, theirs))
    process.start()
    theirs.close()
    return process, ours


def weigh(kinds: Sequence[str], counts: Sequence[int]) -> dict[str, tuple[float, dict[int, float]]]:
    """Return for each kind the bytes of a trigger object, and of a waiter by their number."""
    with ExitStack() as stack:
        channels = {}
        for kind in kinds:
            emulator = stack.enter_context(workspace(GROUPS - 1))
            filling = emulator.create_group("Filling")
            ours = [(filling, number) for number in range(1, counts[-1] + 1)]
            targets = ours if kind == OURS else coming_ids(filling, counts[-1])
            address = stack.enter_context(over_tls(emulator.url))
            process, channels[kind] = start_process(weigh_in_process, emulator, address, kind, counts, targets)
            stack.callback(process.kill)
        return {kind: channel.recv() for kind, channel in channels.items()}


def main() -> None:
    """Run all cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer waiters, a beat of two seconds: about a minute")
    quick = parser.parse_args().quick
    use_throwaway_airflow()
    counts = [1, 100, 1000] if quick else [1, 10, 100, 1000, 5000]
    interval = 2.0 if quick else 5.0
    kinds = [OURS, PEER] if has_http_provider() else [OURS]

    cases = [Case(kind, count, interval) for kind in kinds for count in counts]
    # What needs a few percent of a processor runs side by side; what may need a whole one runs alone.
    batches = [[case for case in cases if case.kind == OURS or case.count < 1000]]
    batches += [[case] for case in cases if case not in batches[0]]
    results: dict[tuple[str, int], Waited] = {}
    for batch in batches:
        with ThreadPoolExecutor(len(batch)) as pool:
            for done, waited in zip(batch, pool.map(run_case, batch), strict=True):
                results[done.kind, done.count] = waited
    memory = weigh(kinds, counts)
    show(results, memory, counts, interval)
    show_tls(rounds=1 if quick else 5)


def show(
    results: dict[tuple[str, int], Waited],
    memory: dict[str, tuple[float, dict[int, float]]],
    counts: Sequence[int],
    interval: float,
) -> None:
    """Print what was measured."""
    print_versions(
        *("apache-airflow-core", "airflow-provider-prolific"),
        *(["apache-airflow-providers-http"] if PEER in memory else []),
    )
    print(f"Waiters on a workspace of {GROUPS} groups, a beat of {interval:g} s\n")
    rows = []
    for (kind, count), waited in sorted(results.items(), key=lambda item: (item[0][1], item[0][0] != OURS)):
        beats = beats_done(kind, count, waited, interval)
        bare, per_waiter = memory[kind]
        rows.append(
            (
                TITLES[kind],
                f"{count:,}",
                f"{waited.requests / beats:,.1f}",
                f"{waited.cpu / beats * 1000:,.1f}",
                f"{waited.cpu / beats / count * 1e6:,.0f}",
                f"{per_waiter[count] / 1024:,.1f}",
                f"{bare / 1024:,.1f}",
                f"{percentile(waited.delays, 50):.2f}",
                f"{percentile(waited.delays, 99):.2f}",
            )
        )
        due = waited.seconds / interval
        if beats < 0.95 * due:
            print(f"{TITLES[kind]}, {count:,}: could not keep up, {beats:.1f} beats in the time of {due:.1f}")
    print_table(
        (
            "trigger",
            "waiters",
            "requests/beat",
            "CPU ms/beat",
            "µs each",
            "KiB each",
            "KiB at rest",
            "delay s, median",
            "99th",
        ),
        rows,
    )
    if PEER not in memory:
        print("apache-airflow-providers-http is not installed: nothing to compare with")
        return
    ratios = []
    for count in counts:
        ours, peer = results[OURS, count], results[PEER, count]
        our_beats, peer_beats = (beats_done(kind, count, results[kind, count], interval) for kind in (OURS, PEER))
        ratios.append(
            (
                f"{count:,}",
                f"{peer.requests / peer_beats / (ours.requests / our_beats):,.0f}",
                f"{peer.cpu / peer_beats / (ours.cpu / our_beats):,.1f}",
                f"{(memory[OURS][1][count] - memory[OURS][0]) / 1024:,.1f}",
                f"{(memory[PEER][1][count] - memory[PEER][0]) / 1024:,.1f}",
            )
        )
    print_table(
        ("waiters", "times fewer requests", "times less CPU", "KiB over one at rest", f"{TITLES[PEER]}'s"), ratios
    )


def show_tls(rounds: int) -> None:
    """Print what one poll costs over http and over https, and whether the ratio is good."""
    cases = [Case(OURS, 1, interval=1.0, beats=20, secure=secure) for secure in (False, True)]
    costs: list[list[float]] = []
    with ThreadPoolExecutor(len(cases)) as pool:
        while len(costs) < rounds:
            costs.append([waited.cpu / cases[0].beats * 1000 for waited in pool.map(run_case, cases)])
    plain, secure = (statistics.median(cost) for cost in zip(*costs, strict=True))
    ratio = statistics.median(secure / plain for plain, secure in costs)
    rows = [("http", f"{plain:.1f}"), ("https", f"{secure:.1f}"), ("ratio, the median of the rounds", f"{ratio:.2f}")]
    print(f"One waiter, a beat of {cases[0].interval:g} s, {rounds} rounds of {cases[0].beats} beats\n")
    print_table(("poll", "CPU ms"), rows)
    print(f"At most {MAX_TLS_RATIO} is right: {'yes' if ratio <= MAX_TLS_RATIO else 'NO'}")


def beats_done(kind: str, count: int, waited: Waited, interval: float) -> float:
    """Return how often each waiter has looked: by the clock where they look together, else by their requests."""
    return waited.seconds / interval if kind == OURS else waited.requests / count


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of sorted values; of few values the 99th is the largest."""
    if not values:
        return float("nan")
    return (
        statistics.quantiles(values, n=100)[percent - 1]
        if len(values) >= 100
        else values[min(len(values) * percent // 100, len(values) - 1)]
    )


if __name__ == "__main__":
    main()
