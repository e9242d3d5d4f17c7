"""What parsing a DAG file costs: our modules load nothing heavy that Airflow itself has not loaded already."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_provider_prolific.get_provider_info import get_provider_info


def modules_of(*layers: str) -> list[str]:
    return [module for layer in layers for part in get_provider_info()[layer] for module in part["python-modules"]]


MODULES = modules_of("operators", "sensors", "triggers")
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


def imports_of(modules: list[str]) -> tuple[list[str], list[str]]:
    """Return the modules that a fresh process loads for ours, beyond Airflow's, and those that ours ask for."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *modules], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    loaded, asked_for = json.loads(done.stdout.splitlines()[-1])
    return loaded, asked_for


@pytest.fixture(scope="module")
def imported() -> tuple[list[str], list[str]]:
    """What is loaded and asked for by all modules that DAG files import."""
    return imports_of(MODULES)


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


def test_a_dag_file_without_triggers_does_not_load_those_of_airflow() -> None:
    _, asked_for = imports_of(modules_of("operators", "sensors"))

    assert "airflow_provider_prolific.version_compat" in asked_for
    assert not [module for module in asked_for if module.startswith("airflow.triggers")]
