"""Write constraints/airflow-*.txt: for each supported Airflow a set of dependencies that is known to run.

An Airflow resolved with dependencies much newer than itself may install and yet not run a task, so each is resolved
as it would have been shortly after its own release. The oldest Airflow also gets the oldest versions of this package's
own requirements, the newest Airflow the newest: together they show the range that pyproject.toml declares.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# Airflow: (patch release, resolved as of, how this package's own requirements are resolved)
VERSIONS = {
    "2.11": ("2.11.2", "2026-03-25", "lowest-direct"),
    "3.0": ("3.0.6", "2025-09-08", "highest"),
    "3.1": ("3.1.8", "2026-03-20", "highest"),
    "3.2": ("3.2.2", "2026-06-05", "highest"),
    "3.3": ("3.3.2", "2026-11-20", "highest"),
}


def main() -> None:
    for version, (patch, date, resolution) in VERSIONS.items():
        target = ROOT / "constraints" / f"airflow-{version}.txt"
        extras = ["emulator", "test"] + (
            ["lint", "release", "test-ui", "test-celery"] if version == list(VERSIONS)[-1] else []
        )
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        command += ["--exclude-newer", date, "--resolution", resolution, "--no-header", "--no-annotate"]
        command += [f"--extra={extra}" for extra in extras]
        command += ["--constraints", "-", "--output-file", str(target), "pyproject.toml"]
        target.unlink(missing_ok=True)
        subprocess.run(command, cwd=ROOT, check=True, text=True, input=f"apache-airflow=={patch}\n")
        print(f"{target.relative_to(ROOT)}: {len(target.read_text().splitlines())} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
