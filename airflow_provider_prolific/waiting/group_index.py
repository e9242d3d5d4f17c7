"""Finds the participant group that an id or a name means.

Pure: it uses neither Airflow nor HTTP, and a group needs only its ``id`` and its ``name``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.text import shorten

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook

#: How many groups a message suggests, and how many are compared to find close names: the comparison is slow.
MAX_SUGGESTIONS = 3
MAX_COMPARED = 500
MAX_COMPARED_LENGTH = 100


class GroupIndex:
    """The groups of one listing, found by id or by exact name.

    Names are compared in Unicode's composed form (NFC): "Día" is one name, however it was typed. A live group whose
    name only *looks* like the requested one (other case, other white space) is neither used nor ignored: it is an
    error that names the group.

    :param groups: Participant groups in the API's own field names.
    :param scope: The scope that they were listed in, for messages.
    """

    def __init__(self, groups: Iterable[Mapping[str, Any]], scope: str | None = None) -> None:
        self._scope = scope
        self._by_id: dict[str, Mapping[str, Any]] = {}
        self._by_name: dict[str, list[Mapping[str, Any]]] = {}
        for group in groups:
            self._by_id[group["id"]] = group
            self._by_name.setdefault(composed(group["name"]), []).append(group)

    @classmethod
    def read(cls, hook: ProlificHook, filter: Mapping[str, str] | None, active: bool | None = True) -> GroupIndex:
        """List the groups of a scope; ``None`` for the connection's default scope."""
        [(key, scope_id)] = filter.items() if filter else [hook.default_scope()]
        return cls(hook.list_participant_groups({key: scope_id}, active), f"{key.removesuffix('_id')} {scope_id}")

    def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the group with this id or else with exactly this name; ``None`` if there is none.

        :raises ProlificError: several live groups share the name, or there is only a live group with a similar name.
        """
        if (group := self._by_id.get(key) or self.named(key)) is not None:
            return group
        if similar := self.similar(key):
            raise self._absence(key, similar, "; upper and lower case and spaces matter")
        return None

    def named(self, name: str) -> Mapping[str, Any] | None:
        """Return the group with exactly this name, without regard to similar names; ``None`` if there is none.

        A live group is preferred to deleted ones of the same name.

        :raises ProlificError: several live groups share the name.
        """
        named = self._by_name.get(composed(name), [])
        live = [group for group in named if not group.get("is_deleted")]
        if len(live) > 1:
            ids = ", ".join(sorted(group["id"] for group in live))
            raise ProlificError(
                f"{len(live)} participant groups are named {shorten(name)}: {ids}. "
                "Name the one that you mean by its id, or rename the others"
            )
        return next(iter(live or named), None)

    def require(self, key: str) -> Mapping[str, Any]:
        """Return the live group with this id or exact name.

        :raises ProlificError: there is none (the error says which names are close), it has been deleted, or several
            share the name.
        """
        group = self.find(key)
        if group is None:
            raise self.missing(key)
        check_live(group)
        return group

    def missing(self, key: str) -> ProlificError:
        """Return the error for an id or a name that no group has; it says which names are close."""
        return self._absence(key, self._close(key), "; it may have been deleted, or be in another workspace")

    def _absence(self, key: str, nearest: list[Mapping[str, Any]], more: str) -> ProlificError:
        text = f"no participant group {shorten(key)}"
        if self._scope:
            count = sum(1 for _ in self._live())
            text += f" in {self._scope} ({count} group{'s' * (count != 1)})"
        return ProlificError(text + (f"; nearest: {describe_groups(nearest)}" if nearest else "") + more)

    def similar(self, key: str) -> list[Mapping[str, Any]]:
        """Return the live groups whose names only look like this one: other case or white space, same letters."""
        wanted = composed(key)
        return [group for group in self._by_look.get(_look(key), []) if composed(group["name"]) != wanted]

    @cached_property
    def _by_look(self) -> dict[str, list[Mapping[str, Any]]]:
        by_look: dict[str, list[Mapping[str, Any]]] = {}
        for group in self._live():
            by_look.setdefault(_look(group["name"]), []).append(group)
        return by_look

    def _live(self) -> Iterable[Mapping[str, Any]]:
        return (group for group in self._by_id.values() if not group.get("is_deleted"))

    def _close(self, key: str) -> list[Mapping[str, Any]]:
        """Return a few live groups whose names are close to this one, the closest first."""
        names = {
            look: group
            for group in islice(self._live(), MAX_COMPARED)
            if len(look := _look(group["name"])) <= MAX_COMPARED_LENGTH
        }
        import difflib  # it takes as long to import as the rest of this module

        close = difflib.get_close_matches(_look(key)[:MAX_COMPARED_LENGTH], names, MAX_SUGGESTIONS, cutoff=0.75)
        return [names[look] for look in close]


def check_live(group: Mapping[str, Any]) -> None:
    """Refuse a group that has been deleted.

    :raises ProlificError: with its name and id.
    """
    if group.get("is_deleted"):
        raise ProlificError(f"participant group {shorten(group['name'])} ({group['id']}) has been deleted")


def describe_groups(groups: Iterable[Mapping[str, Any]]) -> str:
    """Describe groups: ``'Wave 1 ' (64e…) or 'wave 1' (64e…)``."""
    return " or ".join(
        f"{shorten(group['name'])} ({shorten(group['id'])[1:-1]})" for group in islice(groups, MAX_SUGGESTIONS)
    )


def composed(name: str) -> str:
    """Return a name in the form in which names are compared: "Día" is one name, however it was typed."""
    return unicodedata.normalize("NFC", name)


def _look(name: str) -> str:
    """Return a name as people compare it by eye: without case, amounts of white space and invisible characters."""
    if name.isascii():
        return " ".join(name.casefold().split())
    shown = "".join(char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", shown.casefold()).split())
