"""The emulator's starting point: read from TOML or JSON, and checked before anything is served."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

Seed = dict[str, Any]


class SeedError(ValueError):
    """A seed document that can't be served; the message names the entry and what is wrong with it."""


def default_seed() -> Seed:
    """Return the seed that comes with the package (``seed.toml``)."""
    return tomllib.loads(resources.files(__package__).joinpath("seed.toml").read_text(encoding="utf-8"))


def load_seed(path: str | Path) -> Seed:
    """Read and check a seed file.

    :param path: a TOML file; the package's own ``seed.toml`` shows every word that it may use.
    :raises SeedError: when the file can't be read, isn't TOML, or doesn't describe a state to serve.
    """
    try:
        seed = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedError(f"can't read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SeedError(f"{path} is not a TOML file: {error}") from error
    check_seed(seed)
    return seed


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number of zero or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_rate(value: object) -> bool:
    """Tell whether a value is a finite number of zero or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


# One entry per word of the seed: the check, and what the value ought to be, in words for the message.
Rule = tuple[Callable[[object], bool], str]
TEXT: Rule = (_is_text, "a text that is not empty")
TEXTS: Rule = (_is_text_list, "a list of texts")
COUNT: Rule = (is_count, "a whole number of 0 or more")
RATE: Rule = (is_rate, "a number of 0 or more")
FLAG: Rule = (lambda value: isinstance(value, bool), "true or false")
TABLES: Rule = (
    lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
    "a list of tables",
)
ACTION: Rule = (
    lambda value: value in ("ADD_TO_PARTICIPANT_GROUP", "REMOVE_FROM_PARTICIPANT_GROUP"),
    "ADD_TO_PARTICIPANT_GROUP or REMOVE_FROM_PARTICIPANT_GROUP",
)

SETTINGS: dict[str, Rule] = {
    "paging": (lambda value: value in ("full", "none"), '"full" or "none"'),
    "max_limit": (lambda value: is_count(value) and value != 0, "a whole number of 1 or more"),
    "ignore_scope": FLAG,
    "ignore_active": FLAG,
}
DEFAULT_SETTINGS: dict[str, Any] = {
    "paging": "full",
    "max_limit": 200,
    "ignore_scope": False,
    "ignore_active": False,
}

_SECTIONS: dict[str, dict[str, Rule]] = {
    "users": {
        "id": TEXT,
        "email": TEXT,
        "tokens": TEXTS,
        "first_name": TEXT,
        "last_name": TEXT,
        "workspaces": TEXTS,
        "organisations": TEXTS,
    },
    "workspaces": {"id": TEXT, "name": TEXT},
    "projects": {"id": TEXT, "name": TEXT, "workspace_id": TEXT},
    "studies": {"id": TEXT, "name": TEXT, "status": TEXT, "internal_name": TEXT},
    "groups": {
        "id": TEXT,
        "name": TEXT,
        "description": TEXT,
        "workspace_id": TEXT,
        "project_id": TEXT,
        "organisation_id": TEXT,
        "participant_count": COUNT,
        "participant_ids": TEXTS,
        "growth_per_second": RATE,
        "growth_limit": COUNT,
        "is_deleted": FLAG,
        "feeders": TABLES,
    },
}
_REQUIRED: dict[str, tuple[str, ...]] = {
    "users": ("id", "email", "tokens"),
    "workspaces": ("id", "name"),
    "projects": ("id", "name", "workspace_id"),
    "studies": ("id", "name", "status"),
    "groups": ("id", "name"),
}
_FEEDER: dict[str, Rule] = {"study": TEXT, "code": TEXT, "code_type": TEXT, "action": ACTION}


def check_seed(seed: Mapping[str, Any]) -> None:
    """Refuse a seed document that can't be served.

    :param seed: the document, as ``seed.toml`` shows it.
    :raises SeedError: with the first problem found.
    """
    if not isinstance(seed, Mapping):
        raise SeedError("a seed is a document of tables: users, workspaces, groups")
    check_fields("the seed", seed, {**dict.fromkeys(_SECTIONS, TABLES), "settings": _TABLE})
    check_fields("settings", seed.get("settings", {}), SETTINGS)
    for section, rules in _SECTIONS.items():
        seen: set[str] = set()
        for number, entry in enumerate(seed.get(section, []), start=1):
            place = _place(section, number, entry)
            check_fields(place, entry, rules, required=_REQUIRED[section])
            if entry["id"] in seen:
                raise SeedError(f"{place}: the id {entry['id']!r} is taken already")
            seen.add(entry["id"])
    if not seed.get("workspaces"):
        raise SeedError("workspaces: at least one is needed")
    _check_users(seed)
    for number, project in enumerate(seed.get("projects", []), start=1):
        _check_reference(seed, _place("projects", number, project), "workspaces", project["workspace_id"])
    for number, group in enumerate(seed.get("groups", []), start=1):
        _check_group(seed, _place("groups", number, group), group)


def _place(section: str, number: int, entry: Mapping[str, Any]) -> str:
    name = entry.get("name", entry.get("email"))
    return f"{section}, entry {number}" + (f" ({name!r})" if _is_text(name) else "")


_TABLE: Rule = (lambda value: isinstance(value, dict), "a table")


def check_fields(
    place: str, entry: Mapping[str, Any], rules: Mapping[str, Rule], *, required: tuple[str, ...] = ()
) -> None:
    """Refuse fields that are missing, unknown, or of the wrong kind.

    :param place: where the fields stand, for the message.
    :param entry: the fields.
    :param rules: the check and its wording for each field that may be there.
    :param required: the fields that must be there.
    :raises SeedError: with the first problem found.
    """
    for field in required:
        if field not in entry:
            raise SeedError(f"{place}: {field} is missing")
    for field, value in entry.items():
        if field not in rules:
            raise SeedError(f"{place}: {field!r} is not known here; known are {', '.join(rules)}")
        check, wanted = rules[field]
        if not check(value):
            raise SeedError(f"{place}: {field} must be {wanted}, not {value!r}")


def _check_reference(seed: Mapping[str, Any], place: str, section: str, wanted: str) -> None:
    if all(entry["id"] != wanted for entry in seed.get(section, [])):
        raise SeedError(f"{place}: {wanted!r} is not among the {section}")


def _check_users(seed: Mapping[str, Any]) -> None:
    tokens: set[str] = set()
    for number, user in enumerate(seed.get("users", []), start=1):
        place = _place("users", number, user)
        for token in user["tokens"]:
            if token in tokens:
                raise SeedError(f"{place}: the token {token!r} is taken already")
            tokens.add(token)
        for workspace in user.get("workspaces", []):
            _check_reference(seed, place, "workspaces", workspace)
    if not tokens:
        raise SeedError("users: at least one user with a token is needed")


def _check_group(seed: Mapping[str, Any], place: str, group: Mapping[str, Any]) -> None:
    owners = [owner for owner in ("workspace_id", "project_id", "organisation_id") if owner in group]
    if len(owners) != 1:
        raise SeedError(f"{place}: give one of workspace_id, project_id and organisation_id")
    if "workspace_id" in group:
        _check_reference(seed, place, "workspaces", group["workspace_id"])
    if "project_id" in group:
        _check_reference(seed, place, "projects", group["project_id"])
    if "participant_count" in group and "participant_ids" in group:
        raise SeedError(f"{place}: give participant_count or participant_ids, not both")
    for feeder in group.get("feeders", []):
        check_fields(f"{place}, feeders", feeder, _FEEDER, required=("study", "code", "action"))
        _check_reference(seed, f"{place}, feeders", "studies", feeder["study"])
