"""The demo, from its start to its last process."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

DEMO = Path(__file__).parent.parent.parent / "scripts" / "demo.py"


def start_demo() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", str(DEMO)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def children(demo: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(demo.pid).children(recursive=True)


def test_demo_shows_the_wait_and_its_result() -> None:
    demo = start_demo()
    output, _ = demo.communicate(timeout=240)

    assert demo.returncode == 0, output
    assert len(re.findall(r"\d\d:\d\d:\d\d  'Screened adults' has \d+ of 30", output)) >= 3
    assert re.search(r"[0-9a-f]{24}  Screened adults  \d\d +30 +True", output)
    assert re.search(r"Main study for \d\d people of 'Screened adults'", output)


@pytest.mark.parametrize(
    ("moment", "sign"),
    [("Triggering the DAG", signal.SIGINT), ("Starting Airflow", signal.SIGTERM)],
    ids=["interrupted", "terminated while it starts"],
)
def test_demo_leaves_no_process_behind(moment: str, sign: int) -> None:
    demo = start_demo()
    assert demo.stdout is not None
    for line in demo.stdout:
        if moment in line:
            break
    while len(family := children(demo)) < 4:
        assert demo.poll() is None
        time.sleep(0.1)
    os.kill(demo.pid, sign)
    demo.communicate(timeout=60)

    assert demo.returncode != 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
