"""What the hook adds to a long listing, beside bare ``requests`` and ``json`` for the same pages.

    python benchmarks/listing.py [--quick]

Both send the same requests for all pages of a workspace (200 groups each) to the same emulator, which is another
process, over a session that is reused; they take turns. The bare one takes ``results`` until all are there and does
nothing else: no check, no limit, no retries, no error in words.

The second table is the most that the Python allocator had handed out at any time within the hook's call, beside what
its result holds, by ``tracemalloc``: a call must need a small multiple of what it returns, whatever the size.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from setting import print_table, print_versions, use_throwaway_airflow, workspace

from airflow_provider_prolific.emulator import Emulator

PAGE_SIZE = 200


def bare_reader(emulator: Emulator) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that lists all groups with requests and json alone."""
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Token {emulator.token}"
    session.trust_env = False
    url = f"{emulator.url}/api/v1/participant-groups/"

    def read() -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = []
        while True:
            params = {
                "workspace_id": emulator.workspace_id,
                "filter[workspace_id]": emulator.workspace_id,
                "active": "true",
                "limit": PAGE_SIZE,
                "offset": len(groups),
            }
            response = session.get(url, params=params, timeout=(10, 30))
            response.raise_for_status()
            page = json.loads(response.content)
            groups += page["results"]
            if len(groups) >= page["meta"]["count"]:
                return groups

    return read


def hook_reader(emulator: Emulator) -> Callable[[], list[Any]]:
    """Return the hook's method."""
    os.environ["AIRFLOW_CONN_PROLIFIC_DEFAULT"] = emulator.connection_json()
    from airflow_provider_prolific.hooks.prolific import ProlificHook

    return ProlificHook().list_participant_groups


def compare(group_count: int, runs: int) -> None:
    """Print the first table."""
    with workspace(group_count) as emulator:
        readers = {
            "requests and json": bare_reader(emulator),
            "ProlificHook.list_participant_groups": hook_reader(emulator),
        }
        first, second = (read() for read in readers.values())
        assert [group["id"] for group in first] == [group["id"] for group in second]
        assert len(first) == group_count
        del first, second
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
        for number in range(runs):
            for name in list(readers) if number % 2 else reversed(readers):
                gc.collect()
                wall, cpu = time.perf_counter(), time.process_time()
                readers[name]()
                times[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    rows = [
        (name, *(f"{statistics.median(run[part] for run in ran) * 1000:,.0f}" for part in (0, 1)))
        for name, ran in times.items()
    ]
    pairs = list(zip(*times.values(), strict=True))
    ratios = (statistics.median(ours[part] / bare[part] for bare, ours in pairs) for part in (0, 1))
    rows.append(("ratio, the median of the turns", *(f"{ratio:.2f}" for ratio in ratios)))
    print(f"{group_count:,} groups in {-(-group_count // PAGE_SIZE)} pages, medians of {runs} runs each\n")
    print_table(("reader", "CPU ms", "wall ms"), rows)


def weigh(sizes: list[int]) -> None:
    """Print the second table."""
    rows = []
    for size in sizes:
        with workspace(size) as emulator:
            read = hook_reader(emulator)
            read()
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            groups = read()
            held, peak = (value - before for value in tracemalloc.get_traced_memory())
            tracemalloc.stop()
            assert len(groups) == size
            rows.append((f"{size:,}", f"{held / 2**20:,.1f}", f"{peak / 2**20:,.1f}", f"{peak / held:.2f}"))
            del groups
    print_table(("groups", "result MiB", "peak MiB", "peak / result"), rows)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs, and no more than 10,000 groups")
    quick = parser.parse_args().quick
    use_throwaway_airflow()
    print_versions("airflow-provider-prolific", "requests")
    compare(10_000, runs=5 if quick else 15)
    weigh([1_000, 10_000] if quick else [1_000, 10_000, 100_000])


if __name__ == "__main__":
    main()
