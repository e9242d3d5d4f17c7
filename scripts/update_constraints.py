"""Write constraints/airflow-*.txt: the tested dependencies of each supported Airflow."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints"


def main() -> None:
    lines = (CONSTRAINTS / "versions.txt").read_text().splitlines()
    versions = [line.split() for line in lines if line and not line.startswith("#")]
    newest = versions[-1][0]
    for airflow, release, date, _python, resolution, urllib3 in versions:
        target = CONSTRAINTS / f"airflow-{airflow}.txt"
        extras = [
            "emulator",
            "test",
            *(["lint", "release", "docs", "test-ui", "test-celery"] if airflow == newest else []),
        ]
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        command += ["--exclude-newer", date, "--resolution", resolution, "--no-header", "--no-annotate"]
        command += [f"--extra={extra}" for extra in extras]
        command += ["--constraints", "-", "--output-file", str(target), "pyproject.toml"]
        target.unlink(missing_ok=True)
        pins = f"apache-airflow=={release}\nurllib3{urllib3}\n"
        subprocess.run(command, cwd=ROOT, check=True, text=True, input=pins)
        print(f"{target.relative_to(ROOT)}: {len(target.read_text().splitlines())} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
