"""What parsing a DAG file costs: our modules load nothing heavy that Airflow itself has not loaded already."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MODULES = [
    "airflow_provider_prolific.operators.participant_groups",
    "airflow_provider_prolific.operators.participants",
    "airflow_provider_prolific.sensors.participant_groups",
    "airflow_provider_prolific.triggers.participant_groups",
]
HEAVY = {"requests", "urllib3", "aiohttp", "httpx", "fastapi"}

# First what every provider needs of Airflow, then ours: what that loads, and what our own modules ask for by name,
# whether it is loaded already or not.
PROGRAM = """
import builtins, importlib, json, sys

import airflow.configuration, airflow.triggers.base
try:
    from airflow.sdk import BaseOperator, BaseSensorOperator
except ImportError:
    import airflow.models.baseoperator, airflow.sensors.base

loaded_before = set(sys.modules)
asked_for = set()
original_import = builtins.__import__

def noting_import(name, globals=None, *arguments, **keywords):
    if globals and globals.get("__name__", "").startswith("airflow_provider_prolific"):
        asked_for.add(name)
    return original_import(name, globals, *arguments, **keywords)

builtins.__import__ = noting_import
for module in sys.argv[1:]:
    importlib.import_module(module)
print(json.dumps([sorted(set(sys.modules) - loaded_before), sorted(asked_for)]))
"""


@pytest.fixture(scope="module")
def imported() -> tuple[list[str], list[str]]:
    """The modules that a fresh process loaded for ours, beyond Airflow's, and those that ours asked for."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *MODULES], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    loaded, asked_for = json.loads(done.stdout.splitlines()[-1])
    return loaded, asked_for


def packages(modules: list[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_our_modules_load_no_http_library_that_airflow_has_not_loaded(imported: tuple[list[str], list[str]]) -> None:
    loaded, _ = imported

    assert set(MODULES) <= set(loaded)
    assert packages(loaded) & HEAVY == set()


def test_our_modules_ask_for_no_http_library_even_where_airflow_has_loaded_it(
    imported: tuple[list[str], list[str]],
) -> None:
    _, asked_for = imported

    assert "airflow_provider_prolific.version_compat" in asked_for
    assert packages(asked_for) & HEAVY == set()


def test_our_modules_leave_the_hook_alone_until_they_run(imported: tuple[list[str], list[str]]) -> None:
    loaded, asked_for = imported

    assert not [module for module in {*loaded, *asked_for} if module.startswith("airflow_provider_prolific.hooks")]
