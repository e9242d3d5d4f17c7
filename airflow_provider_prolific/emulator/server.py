"""The emulator as seen from Python: start it, set it up, ask it what happened."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self


class EmulatorError(RuntimeError):
    """The emulator didn't start, or refused what was asked of it."""


def connection_json(url: str, token: str, workspace_id: str) -> str:
    """Return an Airflow connection to the emulator, as the variable ``AIRFLOW_CONN_<ID>`` takes it.

    :param url: where the emulator is.
    :param token: the token to send.
    :param workspace_id: the default scope.
    """
    extra = {"workspace_id": workspace_id}
    return json.dumps({"conn_type": "prolific", "host": url, "password": token, "extra": extra})


class EmulatorClient:
    """The handles of an emulator that runs somewhere on this machine.

    :param url: as the emulator printed it at its start, such as ``http://127.0.0.1:8765``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        #: A token that the imitated API accepts: the first one of the seed, or what `rotate_token` made of it.
        self.token = ""
        #: The first workspace that this token's user sees.
        self.workspace_id = ""
        self._take_over(self.state())

    def _take_over(self, state: Mapping[str, Any]) -> None:
        self.token = state["default_token"]
        self.workspace_id = state["default_workspace_id"]

    def _call(self, method: str, path: str, document: object = None, **query: object) -> Any:
        sent = {name: value for name, value in query.items() if value is not None}
        target = f"/_emulator/{path}" + (f"?{urlencode(sent)}" if sent else "")
        body = None if document is None else json.dumps(document)
        # Not `requests`: a proxy set in the environment must not come between, and importing this stays cheap.
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            raise EmulatorError(f"no answer from the emulator at {self.url}: {error}") from error
        finally:
            connection.close()
        answer: Any = json.loads(text) if text else None
        if response.status >= 400:
            raise EmulatorError(f"{method} {target}: {answer['error']['detail']}")
        return answer

    # --- the connection to it ---

    def connection_json(self, **extra: str) -> str:
        """Return the connection for Airflow, to be put in a variable such as ``AIRFLOW_CONN_PROLIFIC_DEFAULT``.

        :param extra: a default scope other than `workspace_id`, for example ``project_id="..."``.
        """
        connection = json.loads(connection_json(self.url, self.token, self.workspace_id))
        if extra:
            connection["extra"] = extra
        return json.dumps(connection)

    # --- the whole ---

    def state(self) -> dict[str, Any]:
        """Return what there is: tokens, users, workspaces, projects, studies, settings, and some counts."""
        state: dict[str, Any] = self._call("GET", "state")
        return state

    def reset(self, seed: Mapping[str, Any] | None = None) -> None:
        """Begin again; faults, messages and the request log are emptied too.

        :param seed: a document in the words of ``seed.toml``; without it, what the emulator was started with.
        """
        self._take_over(self._call("POST", "reset", {"seed": seed}))

    def set(self, **settings: object) -> None:
        """Change how the imitated API behaves.

        :param settings: ``paging`` (``"full"``; ``"none"``: all rows at once and no metadata), ``max_limit`` (the
            largest page, 200), ``ignore_scope`` (listings show another workspace's groups), ``ignore_active``
            (listings show live and deleted groups whatever was asked for).
        """
        self._call("PATCH", "settings", settings)

    # --- groups ---

    def groups(self, name: str | None = None, workspace_id: str | None = None) -> list[dict[str, Any]]:
        """Return all groups, or those of a name or workspace, in the API's fields plus their growth."""
        groups: list[dict[str, Any]] = self._call("GET", "groups", name=name, workspace_id=workspace_id)["groups"]
        return groups

    def group(self, group_id: str) -> dict[str, Any]:
        """Return one group, in the API's fields plus its growth."""
        group: dict[str, Any] = self._call("GET", f"groups/{quote(group_id, safe='')}")
        return group

    def group_id(self, name: str, workspace_id: str | None = None) -> str:
        """Return the id of the group with this name.

        :raises LookupError: when there is none, or more than one.
        """
        ids: list[str] = [group["id"] for group in self.groups(name, workspace_id)]
        if len(ids) != 1:
            raise LookupError(f"{len(ids)} groups are named {name!r}")
        return ids[0]

    def create_group(self, name: str, **fields: object) -> str:
        """Create a group and return its id.

        :param name: its name.
        :param fields: ``workspace_id`` (the first one of the seed if no owner is given), ``organisation_id`` or
            ``project_id``, ``description``, ``participant_count`` (made-up members), ``participant_ids``,
            ``growth_per_second``, ``growth_limit``.
        """
        return self.create_groups(1, name, **fields)[0]

    def create_groups(self, count: int, name: str = "Group {number}", **fields: object) -> list[str]:
        """Create many groups at once and return their ids.

        :param count: how many.
        :param name: ``{number}`` in it becomes 1, 2, 3 ...
        :param fields: as in `create_group`.
        """
        ids: list[str] = self._call("POST", "groups", {"count": count, "name": name, **fields})["ids"]
        return ids

    def set_group(self, group_id: str, **changes: object) -> dict[str, Any]:
        """Change a group behind the API's back, and return it.

        :param group_id: its id.
        :param changes: ``name``, ``description``, ``growth_per_second``, ``growth_limit`` (None: no limit),
            ``participant_count`` (filled up with made-up members, or the newest go), ``add_members`` and
            ``remove_members`` (how many), ``is_deleted``.
        """
        group: dict[str, Any] = self._call("PATCH", f"groups/{quote(group_id, safe='')}", changes)
        return group

    def members(self, group_id: str) -> dict[str, float]:
        """Return a group's participant ids with the epoch seconds at which they joined, the oldest first."""
        members: dict[str, float] = self._call("GET", f"groups/{quote(group_id, safe='')}/members")["members"]
        return members

    def reached_at(self, group_id: str, count: int) -> float | None:
        """Tell when a group first had this many members since the last reset.

        :return: epoch seconds, exact also for a growing group that nobody looked at; None: not yet.
        """
        answer = self._call("GET", f"groups/{quote(group_id, safe='')}/reached", count=count)
        reached_at: float | None = answer["reached_at"]
        return reached_at

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages sent to groups: ``participant_group_id``, ``body``, ``study_id`` and some more."""
        messages: list[dict[str, Any]] = self._call("GET", "messages")["messages"]
        return messages

    # --- tokens ---

    def revoke_token(self, token: str | None = None) -> None:
        """Let the API refuse a token (without an argument: `token`) from now on."""
        self._call("POST", "tokens/revoke", {"token": token or self.token})

    def restore_token(self, token: str | None = None) -> None:
        """Let the API accept a revoked token again."""
        self._call("POST", "tokens/restore", {"token": token or self.token})

    def rotate_token(self, new_token: str) -> None:
        """Replace `token`: the old one is refused, the new one belongs to the same user."""
        self._call("POST", "tokens/rotate", {"token": self.token, "new_token": new_token})
        self.token = new_token

    # --- faults ---

    def add_fault(self, kind: str, **fields: object) -> None:
        """Spoil answers of the API.

        :param kind: ``status``, ``html``, ``body``, ``empty``, ``slow``, ``disconnect``, ``lost_answer``,
            ``truncate`` or ``ignored_scope``.
        :param fields: see `airflow_provider_prolific.emulator.faults`; for example
            ``add_fault("status", status=429, retry_after=2, count=1)``.
        """
        self._call("POST", "faults", {"kind": kind, **fields})

    def faults(self) -> list[dict[str, Any]]:
        """Return the rules in force, with the number of their ``hits``."""
        faults: list[dict[str, Any]] = self._call("GET", "faults")["faults"]
        return faults

    def clear_faults(self) -> None:
        """Drop all rules."""
        self._call("DELETE", "faults")

    # --- requests ---

    def requests(self, newest: int | None = None) -> list[dict[str, Any]]:
        """Return the requests that the API got, the oldest first; the latest 100,000 are kept.

        Each has ``time`` (epoch seconds of its arrival), ``method``, ``path`` (with the query), ``status`` (None: no
        answer yet, or none at all), ``user_agent``, ``has_token``, and ``fault`` (the kind that hit it, or None).

        :param newest: only so many of the latest.
        """
        requests: list[dict[str, Any]] = self._call("GET", "requests", newest=newest)["requests"]
        return requests

    def request_count(self) -> int:
        """Return how many requests the API got since the last reset or `clear_requests`."""
        total: int = self._call("GET", "requests", newest=0)["total"]
        return total

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._call("DELETE", "requests")


class Emulator(EmulatorClient):
    """An emulator in a process of its own, on a free port of this machine.

    It ends with `stop`, at the end of a ``with`` block, and by itself soon after this process has ended, however
    that came about.

    .. code-block:: python

        with Emulator() as emulator:
            os.environ["AIRFLOW_CONN_PROLIFIC_DEFAULT"] = emulator.connection_json()

    :param seed: a TOML file to begin with, instead of the one that comes with the package.
    :param token: the first user's token, instead of the one in the seed.
    :param port: the port; 0 picks a free one.
    :param start_timeout: seconds that the start may take.
    :raises EmulatorError: when it doesn't start; with what the process said.
    """

    def __init__(
        self,
        seed: str | Path | None = None,
        token: str | None = None,
        port: int = 0,
        start_timeout: float = 30,
    ) -> None:
        command: Sequence[str] = [
            *(sys.executable, "-m", "airflow_provider_prolific.emulator"),
            *("--port", str(port), "--exit-with-parent", str(os.getpid())),
            *(() if seed is None else ("--seed", str(seed))),
            *(() if token is None else ("--token", token)),
        ]
        self._owner = os.getpid()
        # A file and no pipe: nobody has to read it for the process to go on.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
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

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
