"""How messages show values and texts: on one line, printable, and short.

The result can be stored in every database, and it cannot forge a line of a log.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import unquote

#: How many characters of a foreign text are read at most: redaction is slow.
MAX_SHOWN = 8192
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")


def shorten(value: Any, limit: int = 100) -> str:
    """Return a value's ``repr`` for a message: one line, printable, of at most ``limit`` characters."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__ must not replace the message
        text = f"an object of type {type(value).__name__}"
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: limit * 2])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def one_line(text: str, limit: int = 500) -> str:
    """Return a text of any origin without line breaks and unprintable characters, of at most ``limit`` characters."""
    text = text[: limit * 8]
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def fold_status(status: str) -> str:
    """Return a status in Prolific's usual spelling: ``awaiting_review`` becomes ``AWAITING REVIEW``."""
    folded = " ".join(status.upper().replace("_", " ").replace("-", " ").split())
    return "TIMED-OUT" if folded == "TIMED OUT" else folded


def is_storable(text: str) -> bool:
    """Tell whether every database can store a text: it has no NUL and no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Redaction:
    """Hides secrets in texts: the API token, in every form in which it may come back, and participants' ids.

    :param secrets: Texts that are hidden in every form: as they are, in another case, quoted or escaped for a URL,
        HTML or JSON, in hexadecimal digits or base64, split by punctuation, or reversed. A part of ``PART_LENGTH``
        letters and digits is hidden, too. Secrets shorter than ``MIN_SECRET_LENGTH`` are ignored: hiding them would
        hide ordinary words.
    :param ids: Texts that are hidden only as they are.
    """

    MIN_SECRET_LENGTH = 6
    PART_LENGTH = 10
    HIDDEN = "***"

    def __init__(self, secrets: Iterable[str], ids: Iterable[str] = ()) -> None:
        self.secrets = [secret for secret in secrets if len(secret) >= self.MIN_SECRET_LENGTH]
        self._ids = ids

    @cached_property
    def _hidden(self) -> dict[int, set[str]]:
        return _by_length({*self.secrets, *self._ids})

    @cached_property
    def _parts(self) -> dict[int, set[str]]:
        length = self.PART_LENGTH
        forms = {form for secret in self.secrets for form in _forms(secret) if len(form) >= self.MIN_SECRET_LENGTH}
        return _by_length(
            {form[start : start + length] for form in forms for start in range(max(1, len(form) - length + 1))}
        )

    def __call__(self, text: str) -> str:
        """Return a text without secrets, cut to a readable length."""
        is_cut = len(text) > MAX_SHOWN
        text = text[:MAX_SHOWN]
        for length, hidden in self._hidden.items():
            for start in range(len(text) - length, -1, -1):
                if text[start : start + length] in hidden:
                    text = text[:start] + self.HIDDEN + text[start + length :]
        if any(
            bare[start : start + length] in parts
            for bare in _bare(text)
            for length, parts in self._parts.items()
            for start in range(len(bare) - length + 1)
        ):
            return "(not shown: it repeats the API token)"
        # The end of a text that was cut may be the beginning of a secret in a longer form.
        return text[: -MAX_SHOWN // 8] if is_cut else text


def _by_length(texts: Iterable[str]) -> dict[int, set[str]]:
    """Group texts by their length; the longest come first, because one may be the beginning of another."""
    by_length: dict[int, set[str]] = {}
    for text in sorted(texts, key=len, reverse=True):
        by_length.setdefault(len(text), set()).add(text)
    return by_length


def _forms(secret: str) -> Iterator[str]:
    """Yield the letters and digits of a secret in the encodings that programs use."""
    data = secret.encode()
    yield from (_letters(form) for form in (secret, secret[::-1], data.hex()))
    for lead in range(3):  # the text before it shifts the groups of base64; both ends depend on the text around it
        encoded = base64.b64encode(b"\0" * lead + data)
        yield _letters(encoded[4 if lead else 0 : len(encoded) // 4 * 4 - 4].decode())


def _bare(text: str) -> Iterator[str]:
    """Yield the letters and digits of a text, as it is and with its escapes decoded."""
    for _ in range(3):  # a text may be escaped twice
        yield _letters(text)
        undone = html.unescape(unquote(_ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), text)))
        if undone == text:
            return
        text = undone


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
