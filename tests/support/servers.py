"""PostgreSQL and Redis for the time of a test: in folders of their own, on free ports of this machine only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from debian_packages import need
from real_airflow import free_port

START_SECONDS = 60
STOP_SECONDS = 30


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run a Redis that keeps nothing, and yield its URL."""
    port = free_port()
    with _folder() as (folder, user):
        settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        with _running([str(need("redis-server")), *settings], folder, user):
            yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL with an empty database, and yield that database's address, without ``postgresql://``."""
    port = free_port()
    with _folder() as (folder, user):
        data = folder / "data"
        initdb = [str(need("initdb")), "--pgdata", str(data), "--username", "airflow", "--auth", "trust"]
        made = subprocess.run(
            [*initdb, "--encoding", "UTF8", "--no-locale", "--no-sync"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **user,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}")
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "fsync": "off"}
        command = [str(need("postgres")), "-D", str(data), "-p", str(port)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with _running(command, folder, user):
            yield f"airflow@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def _folder() -> Iterator[tuple[Path, dict[str, Any]]]:
    """
    Make a temporary folder, and yield it with the user to run a server as.

    PostgreSQL refuses to run as root, so root's servers run as the user that Debian's package made for it.
    """
    user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="server-"))
    try:
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(command: list[str], folder: Path, user: dict[str, Any]) -> Iterator[None]:
    """Start a server, wait until it says that it is ready, and end it on the way out."""
    log = folder / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # what interrupts the tests must not take the database away from them
            **user,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "ready to accept connections" not in (said := log.read_text(errors="replace")).lower():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{said}")
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: it waits for no client
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
