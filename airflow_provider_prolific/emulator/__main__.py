"""Command line: ``python -m airflow_provider_prolific.emulator``."""

import argparse
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_prolific.emulator.client import connection_json

# Never another address: the emulator's control calls need no password.
ADDRESS = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted (exit code 0); 1 if serving is impossible, 2 for bad arguments or a bad seed."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_prolific.emulator",
        description="A local Prolific API for demos and tests. Listens on this machine only.",
    )
    parser.add_argument("--port", type=_port, default=8765, help="0 picks a free one; default %(default)s")
    parser.add_argument("--seed", metavar="FILE.toml", help="what to serve; default: the package's seed.toml")
    parser.add_argument("--token", help="the first user's token, instead of the one in the seed")
    parser.add_argument("--exit-with-parent", metavar="PID", type=int, help="end when this parent process has ended")
    options = parser.parse_args(arguments)

    if options.token is not None and not options.token.strip():
        return _fail("--token is empty", 2)
    try:
        from airflow_provider_prolific.emulator.app import create_app
        from airflow_provider_prolific.emulator.middleware import TrackedConnection
        from airflow_provider_prolific.emulator.seed import SeedError, load_seed
        from airflow_provider_prolific.emulator.state import State
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; try: pip install 'airflow-provider-prolific[emulator]'"
        return _fail(message, 1)
    try:
        state = State(load_seed(options.seed, options.token))
    except SeedError as error:
        return _fail(f"bad seed: {error}", 2)
    try:
        listener = _listen(options.port)
    except OSError as error:
        return _fail(f"cannot listen on {ADDRESS}:{options.port}: {error.strerror}", 1)
    with listener:
        url = f"http://{ADDRESS}:{listener.getsockname()[1]}"
        server = _server(create_app(state), TrackedConnection)

        def stop(*_: object) -> None:
            server.should_exit = True

        # While it serves, Uvicorn has its own handlers; afterwards it repeats the signal to these.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        if options.exit_with_parent is not None:
            threading.Thread(target=_watch_parent, args=(options.exit_with_parent, stop), daemon=True).start()
        sys.stdout.write(_greeting(url, state.default_token, state.default_workspace_id))
        sys.stdout.flush()
        server.run(sockets=[listener])
    return 0


def _greeting(url: str, token: str, workspace_id: str) -> str:
    """Return how to connect Airflow: in a shell, and in the form of Airflow's UI."""
    connection = shlex.quote(connection_json(url, token, workspace_id))
    base_url, _, port = url.rpartition(":")
    return f"""\
Prolific emulator: {url} (Ctrl+C ends it)
export AIRFLOW_CONN_PROLIFIC_DEFAULT={connection}
Or in the form for a connection in Airflow's UI:
  Connection Type  Prolific
  Base URL         {base_url}
  Port             {port}
  API token        {token}
  Workspace ID     {workspace_id} (under Extra Fields)
"""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a whole number from 0 to 65535, not {text!r}")
    return int(text)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"Prolific emulator: {message}\n")
    return code


def _listen(port: int) -> socket.socket:
    # The protocol must be named: asyncio turns Nagle's algorithm off only if it sees TCP. With that algorithm, every
    # answer waits about 40 ms for the client's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ADDRESS, port))
    listener.listen(2048)
    return listener


def _server(application: Any, protocol: Any) -> Any:
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            application,
            loop="asyncio",
            http=protocol,
            ws="none",
            lifespan="off",
            # Requests are logged for ``EmulatorClient.requests``, and the middleware prints the application's errors.
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # Longer than a client's pause between two polls, so that kept connections stay open.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
        )
    )


def _watch_parent(parent: int, stop: Callable[[], None]) -> None:
    # When the parent has ended, even if it was killed, this process gets another parent.
    while os.getppid() == parent:
        time.sleep(0.2)
    stop()


if __name__ == "__main__":
    sys.exit(main())
