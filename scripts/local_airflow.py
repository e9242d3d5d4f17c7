"""What the demos and ``make try`` share: paths, and an orderly end."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from real_airflow import ENDING_SIGNALS, RealAirflow  # noqa: E402


def stop_in_order() -> None:
    """End this program at the first signal as Ctrl-C does, and ignore further signals while it cleans up."""

    def stop(*_: object) -> NoReturn:
        for sign in ENDING_SIGNALS:
            signal.signal(sign, signal.SIG_IGN)
        raise KeyboardInterrupt

    for sign in ENDING_SIGNALS:
        signal.signal(sign, stop)


def tell_page(airflow: RealAirflow) -> None:
    """Print where the page "Recruitment" is, on an Airflow that has it."""
    if not version("apache-airflow").startswith(("2.", "3.0.")):
        print(f"Open {airflow.url}/plugin/recruitment to watch it", flush=True)
