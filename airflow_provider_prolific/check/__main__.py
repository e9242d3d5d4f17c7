"""Command line: ``python -m airflow_provider_prolific.check [connection id]``, once, before the first real run.

It makes at most 20 calls that only read, one after another, and prints a row for each assumption. The output has no
token, id, name, address or count of yours, so you can paste it into a report.

Exit code 0: nothing differs in a way that matters. 1: something does; its row is marked with ``!``. 2: the check could
not run: no usable connection or scope, a refused token, or no answer.
"""

from __future__ import annotations

import argparse
import logging
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence

from airflow_provider_prolific import __version__
from airflow_provider_prolific.check import participant_groups
from airflow_provider_prolific.check.probe import (
    ATTEMPT_SECONDS,
    USER,
    Finding,
    Probe,
    Unclear,
    as_assumed,
    differs,
    reason,
)
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a connection, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_prolific.check",
        description="Check whether Prolific answers as this package assumes. Makes at most 20 calls that only read.",
    )
    parser.add_argument("connection", metavar="connection id", nargs="?", default="prolific_default")
    conn_id = parser.parse_args(arguments).connection
    disabled = logging.root.manager.disable
    logging.disable()  # log lines of libraries may show URLs, which contain the id of a scope
    try:
        findings = _check_connection(conn_id)
    except Unclear as why:
        sys.stderr.write(f"The check could not run: {why}\n")
        return 2
    finally:
        logging.disable(disabled)
    sys.stdout.write(_table(findings))
    return int(any(finding.matters for _, finding in findings))


def _check_connection(conn_id: str) -> list[tuple[str, Finding]]:
    from airflow_provider_prolific.hooks.limits import Limits
    from airflow_provider_prolific.hooks.prolific import ProlificHook

    with ProlificHook(conn_id, max_retries=0, limits=Limits(attempt_seconds=ATTEMPT_SECONDS)) as hook:
        try:
            probe = Probe(hook)
        except ProlificError as error:
            raise Unclear(reason(error)) from None
        return examine(probe)


def examine(probe: Probe) -> list[tuple[str, Finding]]:
    """Return what was found about each assumption.

    :raises Unclear: no answer about the token or the scope; without it, the rest means nothing.
    """
    findings = []
    for title, check in CHECKS:
        try:
            findings.append((title, check(probe)))
        except Unclear as why:
            if check in (check_token, participant_groups.check_scope):
                raise Unclear(f"{why} (checked whether {title})") from None
            findings.append((title, Finding(f"could not tell: {why}")))
    return findings


def check_token(probe: Probe) -> Finding:
    """Tell what kind of account the token belongs to."""
    user = probe.ask(USER)
    if isinstance(user, ProlificError):
        raise Unclear(reason(user))
    if not isinstance(user, dict) or not isinstance(user.get("id"), str):
        return differs("the account has no id", "fails to test the connection", matters=True)
    kind = str(user.get("user_type")).lower()
    if kind == "participant":
        return differs("it belongs to a participant", "is refused what researchers may do", matters=True)
    return as_assumed("a researcher's account" if kind == "researcher" else "the kind of account is not said")


def check_error_bodies(probe: Probe) -> Finding:
    """Tell what is missing in the refusals that the other checks have received."""
    errors = [answer for answer in probe.answers.values() if isinstance(answer, ProlificApiError)]
    errors = [error for error in errors if error.status_code >= 400]
    if not errors:
        raise Unclear("nothing was refused")
    lacking = [name for name in ("error_code", "title", "detail") if not all(getattr(error, name) for error in errors)]
    return differs(f"some lack {', '.join(lacking)}", "shows what there is") if lacking else as_assumed()


#: What is assumed, in the order in which it is asked. Another resource adds a table of its own.
CHECKS: tuple[tuple[str, Callable[[Probe], Finding]], ...] = (
    ("the token works", check_token),
    *participant_groups.CHECKS,
    ("errors have error_code, title and detail", check_error_bodies),
)


def _table(findings: Iterable[tuple[str, Finding]]) -> str:
    width = max(len(title) for title, _ in CHECKS)
    lines = [f"airflow-provider-prolific {__version__} assumes of Prolific's API:", ""]
    for title, finding in findings:
        first = f"{'!' if finding.matters else ' '} {title:{width}}  "
        lines += textwrap.wrap(finding.words, 120, initial_indent=first, subsequent_indent=" " * len(first))
    matters = any(finding.matters for _, finding in findings)
    lines += ["", "Rows marked with ! matter: tasks may fail." if matters else "Nothing differs in a way that matters."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
