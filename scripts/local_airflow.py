"""What the demo and ``make try`` share: where things are, and an end in order."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from real_airflow import RealAirflow  # noqa: E402

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_in_order() -> None:
    """Let the first signal end this program as Ctrl-C does, and none come between while it ends what it started."""

    def stop(*_: object) -> NoReturn:
        for sign in SIGNALS:
            signal.signal(sign, signal.SIG_IGN)
        raise KeyboardInterrupt

    for sign in SIGNALS:
        signal.signal(sign, stop)


def make_wallet_pool(airflow: RealAirflow) -> None:
    """Make the pool in which the examples put the tasks that spend money."""
    airflow.command("pools", "set", "prolific_wallet", "1", "One payment at a time")


def tell_page(airflow: RealAirflow) -> None:
    """Print where the page "Recruitment" is, on an Airflow that has it."""
    if not version("apache-airflow").startswith(("2.", "3.0.")):
        print(f"Open {airflow.url}/plugin/recruitment to watch it", flush=True)
