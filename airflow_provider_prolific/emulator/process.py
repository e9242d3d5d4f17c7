"""An emulator in a process of its own."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from airflow_provider_prolific.emulator.client import EmulatorClient, EmulatorError


class Emulator(EmulatorClient):
    """An emulator in a process of its own, on a free port of this machine.

    It ends with ``stop``, at the end of a ``with`` block, and soon after this process has ended, whatever the reason.

    .. code-block:: python

        with Emulator() as emulator:
            os.environ["AIRFLOW_CONN_PROLIFIC_DEFAULT"] = emulator.connection_json()

    :param seed: A TOML file to begin with, instead of the one that comes with the package.
    :param token: The first user's token, instead of the one in the seed.
    :param port: The port; 0 picks a free one.
    :param start_timeout: Seconds that the start may take.
    :raises EmulatorError: It does not start; the error has the output of the process.
    """

    def __init__(
        self, seed: str | Path | None = None, token: str | None = None, port: int = 0, start_timeout: float = 30
    ) -> None:
        command = [
            *(sys.executable, "-m", "airflow_provider_prolific.emulator"),
            *("--port", str(port), "--exit-with-parent", str(os.getpid())),
            *(() if seed is None else ("--seed", str(seed))),
            *(() if token is None else ("--token", token)),
        ]
        self._owner = os.getpid()
        # A file, not a pipe: a pipe that nobody reads would block the process.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in ``stop``
        self.process = subprocess.Popen(  # noqa: S603 - this Python, with our own arguments
            command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT
        )
        try:
            super().__init__(self._wait_for_url(start_timeout))
        except BaseException:
            self.stop()
            raise

    def output(self) -> str:
        """Return what the process has printed so far: its greeting, and the traceback of any bug in it."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def _call(self, method: str, path: str, document: object = None, **query: object) -> Any:
        try:
            return super()._call(method, path, document, **query)
        except EmulatorError as error:
            if self.process.poll() is None or self._output.closed:
                raise
            raise EmulatorError(f"the emulator ended with code {self.process.returncode}: {self.output()}") from error

    def _wait_for_url(self, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while True:
            has_ended = self.process.poll() is not None
            said = self.output()
            if found := re.search(r"http://127\.0\.0\.1:\d+(?= )", said):
                return found[0]
            if has_ended:
                raise EmulatorError(f"the emulator ended with code {self.process.returncode}: {said.strip()}")
            if time.monotonic() > deadline:
                raise EmulatorError(f"the emulator did not start within {timeout} seconds: {said.strip()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the process, and return when it is gone. Calling it again does nothing."""
        if os.getpid() != self._owner:  # a forked copy of this process: the emulator is not its own
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
