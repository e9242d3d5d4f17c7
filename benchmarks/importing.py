"""What our modules add to the parsing of a DAG file, beside those of the http and the standard provider.

    python benchmarks/importing.py [--quick]

Each line is the median over fresh processes, one kind after the other in turns, of the time that an import statement
takes after the base has been imported: seconds of processor time, so that others on the machine matter little, and of
the clock. All modules are compiled beforehand. The base is what every DAG file pays for anyway: ``airflow.sdk``
(on Airflow 2 ``airflow.models``), and what a provider's sensors and triggers need of Airflow besides.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from setting import has_http_provider, print_table, print_versions, use_throwaway_airflow

from airflow_provider_prolific.get_provider_info import get_provider_info

TIMED = """
import json, sys, time
measured = []
for statement in sys.argv[1:]:
    code, modules = compile(statement, "<import>", "exec"), len(sys.modules)
    wall, cpu = time.perf_counter(), time.process_time()
    exec(code, {})
    measured.append((time.process_time() - cpu, time.perf_counter() - wall, len(sys.modules) - modules))
print(json.dumps(measured))
"""


def modules_of(*layers: str) -> list[str]:
    return [module for layer in layers for part in get_provider_info()[layer] for module in part["python-modules"]]


OURS = modules_of("operators", "sensors", "triggers")
HTTP = [f"airflow.providers.http.{kind}.http" for kind in ("operators", "sensors", "triggers")]
STANDARD = [
    "airflow.providers.standard.operators.bash",
    "airflow.providers.standard.sensors.filesystem",
    "airflow.providers.standard.triggers.file",
]
HOOK = ["airflow_provider_prolific.hooks.prolific"]


def measure(steps: Sequence[Sequence[str]]) -> list[tuple[float, float, int]]:
    """Import some modules, step by step, in a fresh process; return CPU and wall seconds and new modules per step."""
    statements = [f"import {', '.join(modules)}" for modules in steps]
    done = subprocess.run([sys.executable, "-c", TIMED, *statements], stdout=subprocess.PIPE, text=True, check=True)
    return [tuple(step) for step in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """Run all imports and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 processes of each kind instead of 15")
    rounds = 5 if parser.parse_args().quick else 15
    use_throwaway_airflow()
    compileall.compile_dir(Path(importlib.util.find_spec("airflow_provider_prolific").origin).parent, quiet=1)
    sdk = ["airflow.sdk" if importlib.util.find_spec("airflow.sdk") else "airflow.models.baseoperator"]
    rest = ["airflow.configuration", "airflow.triggers.base"]
    # What is imported step by step in one process: its title, or none where it is not shown.
    plans = [
        [
            (f"{sdk[0]} alone", sdk),
            (f"{' and '.join(rest)}, over it", rest),
            ("our operators, sensors and triggers, over all of these", OURS),
            ("our hook besides, which they import when they run", HOOK),
        ],
        [
            (None, sdk),
            (f"our operators and sensors, over {sdk[0]}", modules_of("operators", "sensors")),
            ("our triggers besides, with what they need of Airflow", modules_of("triggers")),
        ],
        [(None, sdk), (None, rest), ("standard provider: bash, filesystem, file, over all of these", STANDARD)],
    ]
    if has_http_provider():
        http = "http provider: operators, sensors and triggers, over all of these"
        plans.append([(None, sdk), (None, rest), (http, HTTP)])
    results: dict[str, list[tuple[float, float, int]]] = {}
    for number in range(rounds + 1):
        for plan in plans:
            for (title, _), measured in zip(plan, measure([modules for _, modules in plan]), strict=True):
                if title and number:  # the first round fills the file cache and compiles what is not compiled yet
                    results.setdefault(title, []).append(measured)
    names = ["apache-airflow-core", "airflow-provider-prolific"]
    if has_http_provider():
        names.append("apache-airflow-providers-http")
    print_versions(*names)
    print(f"Medians of {rounds} fresh processes each\n")
    rows = [
        (kind, *(f"{statistics.median(run[part] for run in runs) * 1000:,.1f}" for part in (0, 1)), f"{runs[0][2]:,}")
        for kind, runs in results.items()
    ]
    print_table(("import", "CPU ms", "wall ms", "new modules"), rows)


if __name__ == "__main__":
    main()
