"""A process that is killed (``kill -9``) around one of its requests to Prolific."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Literal

from airflow_provider_prolific.hooks.transport import Session


def run_killed(work: Callable[[], object], *, at: int, when: Literal["before", "after"]) -> bool:
    """Run ``work`` in a process of its own that is killed around its request number ``at`` (from 1 on).

    :param when: Before the request is sent, or when its answer has come, which then nobody has read.
    :return: Whether it came to that; otherwise the work has ended by itself.
    :raises AssertionError: the work ended with an error.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _kill_around(at, when)
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the work ended with an error; see the captured output"
    return False


def _kill_around(at: int, when: str) -> None:
    sent = 0
    send = Session.request

    def request(self: Session, *arguments: object, **options: object) -> object:
        nonlocal sent
        sent += 1
        if sent == at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        response = send(self, *arguments, **options)  # type: ignore[arg-type]
        if sent == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return response

    Session.request = request  # type: ignore[method-assign, assignment]
