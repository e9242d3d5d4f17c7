"""What callers may pass, checked in the same words wherever it arrives.

Operators and the sensor call these while a DAG file is parsed (so: no imports that cost time), the hook calls them
again with the rendered values.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeGuard

from airflow_provider_prolific.exceptions import ProlificValueError

#: The scopes that Prolific's listing of participant groups knows.
SCOPES = ("workspace_id", "project_id")

#: The largest participant count that is taken for one: 18 digits fit into any database's integer.
MAX_COUNT = 10**18 - 1

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
    if not _is_id(value):
        raise ProlificValueError(
            f"{what} must be an id as Prolific shows it (a text without slashes, spaces or control characters), "
            f"not {shorten(value)}"
        )
    return value


def _is_id(value: Any) -> TypeGuard[str]:
    return (
        isinstance(value, str) and _ID.fullmatch(value) is not None and value.isprintable() and value not in (".", "..")
    )


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


def check_participant_ids(value: Any) -> list[str]:
    """Return the ids of participants: each once, in their order.

    The ids are personal data: a message names the position of a bad one, never an id.

    :param value: A list, a tuple, or anything else that yields ids and is no text and no mapping.
    :raises ProlificValueError: it is not that, or one of its items is no id.
    """
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        hint = (
            "; a single id goes into a list, and a template becomes a list by render_template_as_native_obj=True "
            "on the DAG, or where the upstream task's output itself is passed"
            if isinstance(value, str)
            else ""
        )
        raise ProlificValueError(
            f"participant_ids must be a list of participant ids, not a value of type {type(value).__name__}{hint}"
        )
    ids: dict[str, None] = {}
    for position, participant_id in enumerate(value, 1):
        if not _is_id(participant_id):
            raise ProlificValueError(
                f"participant_ids: the one at position {position} {_id_problem(participant_id)}; an id is a text "
                "without slashes, spaces or control characters, of at most 255 characters"
            )
        ids[participant_id] = None
    return list(ids)


def _id_problem(value: Any) -> str:
    if not isinstance(value, str):
        return f"is no text but of type {type(value).__name__}"
    return "is no id" if value.strip() else "is blank"


def check_owner(workspace_id: Any, organisation_id: Any) -> tuple[str, str] | None:
    """Return to whom a new group belongs, as ``(key, id)``, or ``None`` for the connection's default workspace.

    :raises ProlificValueError: both are given, or one is no id.
    """
    if workspace_id is not None and organisation_id is not None:
        raise ProlificValueError(
            "give workspace_id or organisation_id, not both: got "
            f"workspace_id={shorten(workspace_id)}, organisation_id={shorten(organisation_id)}"
        )
    if organisation_id is not None:
        return "organisation_id", check_id(organisation_id, "organisation_id")
    return None if workspace_id is None else ("workspace_id", check_id(workspace_id, "workspace_id"))


def check_name(value: Any) -> str:
    """Return the name of a group.

    White space around it is refused: Prolific might store the name without it, and the group would not be found
    again by its name.

    :raises ProlificValueError: not a text, blank, or with white space around it.
    """
    if not isinstance(value, str) or not value or value != value.strip():
        raise ProlificValueError(f"name must be a text that neither begins nor ends with a space, not {shorten(value)}")
    return value


def check_text(value: Any, what: str) -> str:
    """Return a text that says something.

    :param what: The argument's name, for the message.
    :raises ProlificValueError: not a text, or blank.
    """
    if not isinstance(value, str) or not value.strip():
        raise ProlificValueError(f"{what} must be a text that is not blank, not {shorten(value)}")
    return value


def check_flag(value: Any, what: str) -> bool:
    """Return a switch.

    :param value: ``True`` or ``False``, or its name as a rendered template brings it (``"True"``, ``"false"``).
    :param what: The argument's name, for the message.
    :raises ProlificValueError: anything else.
    """
    flag = _ACTIVE_TEXTS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        raise ProlificValueError(f"{what} must be True or False, not {shorten(value)}")
    return flag


def check_limit(value: Any, what: str) -> int | None:
    """Return an upper limit, or ``None`` for no limit.

    :param value: ``None`` or a whole number from 0 upwards, or its text as a template renders it.
    :param what: The argument's name, for the message.
    :raises ProlificValueError: anything else.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    limit = _read_decimal(value) if isinstance(value, str) else value
    if type(limit) is not int or limit < 0:
        raise ProlificValueError(f"{what} must be a whole number from 0 upwards, or None, not {shorten(value)}")
    return limit


def check_group(value: Any, what: str) -> str:
    """Return what names a participant group: an id or an exact name.

    :raises ProlificValueError: not a text, or a blank one.
    """
    if not isinstance(value, str) or not value.strip():
        raise ProlificValueError(
            f"{what} must be the id or the exact name of a participant group, not {shorten(value)}"
        )
    return value


def check_count(value: Any, what: str) -> int:
    """Return a participant count as a number.

    :param value: A whole number of at least 1, or its text in decimal digits, as a template renders it.
    :param what: The argument's name, for the message.
    :raises ProlificValueError: zero, negative, fractional, boolean, empty, or no number at all.
    """
    count = None
    if isinstance(value, str):
        count = _read_decimal(value)
    elif not isinstance(value, bool):
        with suppress(TypeError):
            count = operator.index(value)
    if count is None or not 1 <= count <= MAX_COUNT:
        raise ProlificValueError(f"{what} must be a whole number of participants, at least 1, not {shorten(value)}")
    return count


def _read_decimal(value: str) -> int | None:
    """Return the number that a text of up to 18 decimal digits means, or ``None`` for any other text."""
    text = value.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


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
