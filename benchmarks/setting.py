"""What the benchmarks share: a throw-away Airflow home, a workspace on the emulator, and tables."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from airflow_provider_prolific.emulator import Emulator


def use_throwaway_airflow() -> None:
    """Give this process, and those that it starts, an Airflow home of its own; call it before Airflow is imported."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    home = tempfile.mkdtemp(prefix="airflow-provider-prolific-benchmark-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__LOGGING__LOGGING_LEVEL="CRITICAL",
        AIRFLOW__CORE__UNIT_TEST_MODE="False",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
    )


@contextmanager
def workspace(group_count: int) -> Iterator[Emulator]:
    """Start an emulator in a process of its own, with so many live groups in its first workspace."""
    with Emulator() as emulator:
        present = [group for group in emulator.groups(workspace_id=emulator.workspace_id) if not group["is_deleted"]]
        emulator.create_groups(
            group_count - len(present), "Wave {number}", participant_count=40, description="Benchmark"
        )
        emulator.clear_requests()
        yield emulator


def has_http_provider() -> bool:
    """Tell whether the peer is installed; where it is not, its lines are left out."""
    try:
        version("apache-airflow-providers-http")
    except PackageNotFoundError:
        return False
    return True


def print_versions(*distributions: str) -> None:
    """Say what was measured."""
    print("; ".join(f"{name} {version(name)}" for name in distributions))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, the first column to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        texts = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        return "| " + " | ".join(texts) + " |"

    print(line(header))
    print("|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|")
    for row in rows:
        print(line(row))
    print()
