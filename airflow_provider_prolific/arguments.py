"""What callers may pass, checked in the same words wherever it arrives.

Operators and the sensor call these while a DAG file is parsed (so: no imports that cost time), the hook calls them
again with the rendered values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_prolific.exceptions import ProlificValueError

#: The scopes that Prolific's listing of participant groups knows.
SCOPES = ("workspace_id", "project_id")

#: The shortest time between two looks, in seconds; shorter intervals are lengthened to it, so that no wait spins.
MIN_POKE_INTERVAL_SECONDS = 0.1

_ID = re.compile(r"[^\s/\\]{1,255}")
_ACTIVE_TEXTS = {"true": True, "false": False, "none": None}


def check_id(value: Any, what: str) -> str:
    """Return an id that can stand in a URL's path.

    :param value: The id as the caller gave it.
    :param what: What the id is of, for the message, such as ``"participant_group_id"``.
    :raises ProlificValueError: not a text, empty, over 255 characters, a dot segment, or with a slash, white space
        or a control character.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value) or not value.isprintable() or value in (".", ".."):
        raise ProlificValueError(
            f"{what} must be an id as Prolific shows it (a text without slashes, spaces or control characters), "
            f"not {shorten(value)}"
        )
    return value


def check_filter(value: Any) -> tuple[str, str] | None:
    """Return the scope that a ``filter`` names, as ``(key, id)``, or ``None`` for the connection's default scope.

    :param value: ``None``, ``{"workspace_id": …}`` or ``{"project_id": …}``.
    :raises ProlificValueError: anything else.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in SCOPES:
        raise ProlificValueError(
            f'filter must be {{"workspace_id": …}} or {{"project_id": …}} with exactly one of the two keys, '
            f"not {shorten(value)}; leave it out to use the connection's default scope"
        )
    [(key, scope_id)] = value.items()
    return key, check_id(scope_id, f"filter[{key!r}]")


def check_active(value: Any) -> bool | None:
    """Return which groups are meant: ``True`` live ones, ``False`` deleted ones, ``None`` both.

    :param value: one of these, or its name as a rendered template brings it (``"True"``, ``"false"``, ``"None"``).
    :raises ProlificValueError: anything else.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _ACTIVE_TEXTS:
        return _ACTIVE_TEXTS[value.strip().lower()]
    raise ProlificValueError(
        f"active must be True (live groups), False (deleted groups) or None (both), not {shorten(value)}"
    )


def check_choice(what: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices.

    :raises ProlificValueError: with the choices and the value.
    """
    if not isinstance(value, str) or value not in choices:
        raise ProlificValueError(f"{what} must be {' or '.join(map(repr, choices))}, not {shorten(value)}")


def is_templated(value: Any) -> bool:
    """Tell whether a value is only known at run time: a Jinja template, an XCom, or something that holds one."""
    if isinstance(value, str):
        return any(opening in value for opening in ("{{", "{%", "{#"))
    if isinstance(value, Mapping):
        return any(is_templated(key) or is_templated(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(is_templated(item) for item in value)
    return hasattr(value, "resolve")


def check_unless_templated(check: Callable[..., Any], *values: Any) -> None:
    """Apply a check at parse time, unless one of its values is only known at run time."""
    if not any(is_templated(value) for value in values):
        check(*values)


def shorten(value: Any, limit: int = 100) -> str:
    """Return a value's ``repr`` for a message: one line, printable, of at most ``limit`` characters."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a foreign __repr__ must not replace the message it was wanted for
        text = f"an object of type {type(value).__name__}"
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: limit * 2])
    return text if len(text) <= limit else text[: limit - 1] + "…"
