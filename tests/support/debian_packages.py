"""Programs that some tests need beside Python: found on this machine, or installed from Debian's packages.

From a shell: ``python tests/support/debian_packages.py chromium``. As root it installs what is missing; otherwise it
says how to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Program(NamedTuple):
    """A program under the names that it may have, and the packages that bring it."""

    names: tuple[str, ...]
    packages: tuple[str, ...]


PROGRAMS = {
    # Airflow's pages are set in Inter; without any font a page has boxes instead of letters.
    "chromium": Program(("chromium", "chromium-browser", "google-chrome"), ("chromium", "fonts-inter")),
    "redis-server": Program(("redis-server",), ("redis-server",)),
    "initdb": Program(("initdb",), ("postgresql",)),
    "postgres": Program(("postgres",), ("postgresql",)),
}


def find(program: str) -> Path | None:
    """Return where a program is; Debian keeps PostgreSQL's off the path, one folder per version."""
    for name in PROGRAMS[program].names:
        if found := shutil.which(name):
            return Path(found)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    return versions[-1] if versions else None


def need(program: str) -> Path:
    """Return where a program is, or raise with what to install."""
    if (found := find(program)) is None:
        raise FileNotFoundError(f"{program} is missing. On Debian: {install_command([program])}")
    return found


def install_command(programs: list[str]) -> str:
    """Return the command that installs programs, for people."""
    return " ".join(["apt-get install --no-install-recommends", *_packages(programs)])


def _packages(programs: list[str]) -> list[str]:
    return list(dict.fromkeys(package for program in programs for package in PROGRAMS[program].packages))


def main(programs: list[str]) -> None:
    if unknown := set(programs) - set(PROGRAMS):
        sys.exit(f"Known programs: {', '.join(PROGRAMS)}; not {', '.join(sorted(unknown))}")
    missing = [program for program in programs if find(program) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"Missing: {', '.join(missing)}. As root on Debian: {install_command(missing)}")
    packages = _packages(missing)
    print(f"Installing from Debian's packages: {', '.join(packages)}", flush=True)
    # Of a server only the program is wanted, not a service that starts by itself: none does in runlevel 1.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode != 0:
            sys.exit(f"apt-get {' '.join(arguments)} failed:\n{done.stdout}")


if __name__ == "__main__":
    main(sys.argv[1:])
