"""The fixtures, in a project of somebody else's."""

from __future__ import annotations

import subprocess
import sys

TESTS = """
def test_one_changes_everything(prolific_emulator):
    prolific_emulator.set_group(prolific_emulator.group_id("Exclusion list"), is_deleted=True, name="Gone")
    prolific_emulator.add_fault("status", status=500)
    prolific_emulator.rotate_token("another")
    print("process", prolific_emulator.process.pid)

def test_two_finds_everything_as_it_was(prolific_emulator):
    assert prolific_emulator.group_id("Exclusion list")
    assert prolific_emulator.faults() == []
    assert prolific_emulator.token == "emulator-token"
    print("process", prolific_emulator.process.pid)
"""


def test_each_test_gets_the_same_process_in_its_first_state(tmp_path):
    plugin = "airflow_provider_prolific.emulator.pytest_plugin"
    (tmp_path / "conftest.py").write_text(f"pytest_plugins = [{plugin!r}]\n")
    (tmp_path / "test_theirs.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-sq", "-p", "no:cacheprovider", "--rootdir", "."]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout
    processes = [line.split("process ")[1] for line in ended.stdout.splitlines() if "process " in line]
    assert len(processes) == 2
    assert len(set(processes)) == 1
