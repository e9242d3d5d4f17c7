"""How values and texts are shown to people: on one line, printable, not longer than needed.

Whatever passes through here can be stored by every database and cannot forge a line of a log.
"""

from __future__ import annotations

from typing import Any


def shorten(value: Any, limit: int = 100) -> str:
    """Return a value's ``repr`` for a message: one line, printable, of at most ``limit`` characters."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a foreign __repr__ must not replace the message that it was wanted for
        text = f"an object of type {type(value).__name__}"
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: limit * 2])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def one_line(text: str, limit: int = 500) -> str:
    """Return a text of any origin without line breaks and unprintable characters, of at most ``limit`` characters."""
    text = text[: limit * 8]
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_storable(text: str) -> bool:
    """Tell whether every database takes a text: it has no NUL and no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
