"""The checks of arguments, with the same errors for every caller.

Every check is called as ``check(value, name)``: it returns the value in its normal form, or raises a
``ProlificValueError`` that begins with the argument's name. Operators and sensors call the checks while a DAG file
is parsed (so this module imports nothing slow) and again when the templates are rendered; the hook calls them with
its own arguments.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeGuard

from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.text import fold_status, is_storable, shorten

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    # What an author may write in a DAG file: the value, a template that renders it, or the output of a task.
    TextArgument: TypeAlias = str | XComArg
    FlagArgument: TypeAlias = bool | str | XComArg
    NumberArgument: TypeAlias = int | str | XComArg
    FilterArgument: TypeAlias = Mapping[str, str | XComArg] | str | XComArg
    ParticipantIdsArgument: TypeAlias = Iterable[str | XComArg] | str | XComArg

Check: TypeAlias = Callable[[Any, str], Any]

#: The scopes that Prolific's listing of participant groups accepts.
SCOPES = ("workspace_id", "project_id")
#: The fields of a study that are whole numbers.
STUDY_NUMBERS = {"total_available_places", "estimated_completion_time", "maximum_allowed_time", "reward"}

#: The largest participant count that is accepted: 18 digits fit into any database's integer.
MAX_COUNT = 10**18 - 1

#: The shortest time between two looks, in seconds; shorter intervals are raised to it, to avoid a busy loop.
MIN_POKE_INTERVAL_SECONDS = 0.1

#: The longest time span, in seconds: the whole days that a ``timedelta`` can hold.
MAX_SECONDS = timedelta.max.days * 86_400.0

_TEXT_HINT = "; put a single id into a list, and pass the output of an upstream task itself, not a template"
_ID = re.compile(r"[^\s/\\]{1,255}")
_STATUS = re.compile(r"[\s_-]*[A-Za-z][A-Za-z\s_-]*")
_RENDERED = {"true": True, "false": False, "none": None}


def check_id(value: Any, name: str) -> str:
    """Return an id that is safe in the path of a URL."""
    if not is_id(value):
        raise ProlificValueError(
            f"{name} must be an id as Prolific shows it (text without slashes, spaces or control characters), "
            f"not {shorten(value)}{_number_hint(value)}"
        )
    return value


def is_id(value: Any) -> TypeGuard[str]:
    """Tell whether a value can be an id: printable text of at most 255 characters, without slashes and spaces."""
    return (
        isinstance(value, str) and _ID.fullmatch(value) is not None and value.isprintable() and value not in (".", "..")
    )


def check_ids(value: Any, name: str) -> list[str]:
    """Return ids that are not personal data, in their order and without duplicates."""
    if not is_listing(value):
        hint = _TEXT_HINT * isinstance(value, str)
        raise ProlificValueError(f"{name} must be a list of ids, not {shorten(value)}{hint}")
    return list(dict.fromkeys(check_id(each, f"an id of {name}") for each in value))


def is_listing(value: Any) -> TypeGuard[Iterable[Any]]:
    """Tell whether a value is a collection or an iterator: an iterable that is neither text nor a mapping."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping))


def check_group(value: Any, name: str) -> str:
    """Return what names a participant group: its id or its exact name."""
    if not _is_filled_text(value):
        raise ProlificValueError(
            f"{name} must be the id or the exact name of a participant group, not {shorten(value)}{_number_hint(value)}"
        )
    return value


def _number_hint(value: Any) -> str:
    """Return a hint for an id that a template has turned into a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    return (
        "; render_template_as_native_obj=True turns ids such as 64e000000000000000000003 into numbers: pass the output "
        "of the upstream task itself, not a template"
    )


def check_filter(value: Any, name: str) -> dict[str, str] | None:
    """Return the scope that a filter names, as a dict with one key; ``None`` means the connection's default scope."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in SCOPES:
        raise ProlificValueError(
            f'{name} must be {{"workspace_id": …}} or {{"project_id": …}} with exactly one of the two keys, '
            f"not {shorten(value)}; leave it out to use the connection's default scope"
        )
    return {key: check_id(scope_id, f"{name}[{key!r}]") for key, scope_id in value.items()}


def check_active(value: Any, name: str) -> bool | None:
    """Return which groups are meant: ``True`` live ones, ``False`` deleted ones, ``None`` both."""
    active = _read_rendered(value)
    if active is None or isinstance(active, bool):
        return active
    raise ProlificValueError(
        f"{name} must be True (live groups), False (deleted groups) or None (both), not {shorten(value)}"
    )


def check_participant_ids(value: Any, name: str) -> list[str]:
    """Return the ids of participants, in their order and without duplicates.

    The ids are personal data: an error gives the position of a wrong one, never an id.
    """
    if not is_listing(value):
        kind = type(value).__name__ + _TEXT_HINT * isinstance(value, str)
        raise ProlificValueError(f"{name} must be a list of participant ids, not a value of type {kind}")
    ids: dict[str, None] = {}
    for position, participant_id in enumerate(value, 1):
        if not is_id(participant_id):
            raise ProlificValueError(
                f"{name}: the value at position {position} {_id_problem(participant_id)}; an id is text of at most 255 "
                "characters, without slashes, spaces or control characters"
            )
        ids[participant_id] = None
    return list(ids)


def _id_problem(value: Any) -> str:
    if not isinstance(value, str):
        return f"is not text but of type {type(value).__name__}"
    return "is not an id" if value.strip() else "is blank"


def check_name(value: Any, name: str) -> str:
    """Return the name of a group or of a study.

    White space around it is refused: Prolific might store the name without it, and it would not be found again.
    """
    if not _is_filled_text(value) or value != value.strip():
        raise ProlificValueError(
            f"{name} must be text that neither begins nor ends with white space, not {shorten(value)}"
        )
    return value


def check_text(value: Any, name: str) -> str:
    """Return text that is not blank."""
    if not _is_filled_text(value):
        raise ProlificValueError(f"{name} must be text that is not blank, not {shorten(value)}")
    return value


def _is_filled_text(value: Any) -> TypeGuard[str]:
    """Tell whether a value is text that is not blank and that every database can store."""
    return isinstance(value, str) and bool(value.strip()) and is_storable(value)


def check_flag(value: Any, name: str) -> bool:
    """Return ``True`` or ``False``, also from the text that a template renders."""
    flag = _read_rendered(value)
    if not isinstance(flag, bool):
        raise ProlificValueError(f"{name} must be True or False, not {shorten(value)}")
    return flag


def check_limit(value: Any, name: str) -> int | None:
    """Return an upper limit: a whole number from 0 upwards, also from text, or ``None`` for no limit."""
    if _read_rendered(value) is None:
        return None
    limit = _read_whole_number(value)
    if limit is None or not 0 <= limit <= MAX_COUNT:
        raise ProlificValueError(f"{name} must be a whole number from 0 upwards, or None, not {shorten(value)}")
    return limit


def check_count(value: Any, name: str) -> int:
    """Return a participant count: a whole number from 1 upwards, also from text."""
    count = _read_whole_number(value)
    if count is None or not 1 <= count <= MAX_COUNT:
        raise ProlificValueError(f"{name} must be a whole number of participants, at least 1, not {shorten(value)}")
    return count


def _read_rendered(value: Any) -> Any:
    """Return the value of a rendered ``True``, ``False`` or ``None``, and anything else as it is."""
    return _RENDERED.get(value.strip().lower(), value) if isinstance(value, str) else value


def _read_whole_number(value: Any) -> int | None:
    """Return a whole number, also from text; ``None`` for anything else, such as a fraction or a boolean."""
    if isinstance(value, bool):
        return None
    with suppress(TypeError, ValueError):
        return int(value) if isinstance(value, str) else operator.index(value)
    return None


def check_seconds(value: Any, name: str) -> float:
    """Return a time span in seconds: a number from 0 upwards, or a ``timedelta``."""
    seconds = min(value.total_seconds(), MAX_SECONDS) if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_SECONDS:
        raise ProlificValueError(
            f"{name} must be a timedelta or a number of seconds, from 0 upwards and finite, not {shorten(value)}"
        )
    return float(seconds)


def check_statuses(value: Any, name: str) -> list[str]:
    """Return statuses in Prolific's spelling, from any spelling: ``awaiting_review`` becomes ``AWAITING REVIEW``."""
    statuses = [value] if isinstance(value, str) else value
    if not is_listing(statuses):
        raise ProlificValueError(f"{name} must be a list of statuses, not {shorten(value)}")
    folded: dict[str, None] = {}
    for status in statuses:
        # A list that a template has rendered to text is not a status: a wait for it would never end.
        if not isinstance(status, str) or not _STATUS.fullmatch(status):
            raise ProlificValueError(
                f"a status of {name} must be letters, such as 'AWAITING REVIEW', not {shorten(status)}"
            )
        folded[fold_status(status)] = None
    if not folded:
        raise ProlificValueError(f"{name} must have at least one status")
    return list(folded)


def check_study_fields(value: Any, name: str) -> dict[str, Any]:
    """Return the fields of a study, with numbers read from text; fields that the API silently ignores are refused."""
    if not isinstance(value, Mapping) or not value:
        raise ProlificValueError(f"{name} must be a dict with the fields of a study, not {shorten(value)}")
    if "status" in value:
        raise ProlificValueError(f"{name} must not have 'status': publishing a study is a separate action")
    if "project_id" in value:
        raise ProlificValueError(
            f"{name} must have 'project' instead of 'project_id': Prolific ignores 'project_id', and the workspace of "
            "another project would pay"
        )
    read = {key: _read_whole_number(value[key]) for key in STUDY_NUMBERS & value.keys()}
    return dict(value) | {key: number for key, number in read.items() if number is not None}


def one_of(*choices: str) -> Check:
    """Return the check of an argument that is one of some texts."""

    def check_choice(value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ProlificValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {shorten(value)}")
        return value

    return check_choice


def optional(check: Check, *, rendered: bool = False) -> Check:
    """Return a check that lets ``None`` pass.

    :param rendered: Accept also the text that a template renders for ``None``.
    """

    def check_optional(value: Any, name: str) -> Any:
        return None if (_read_rendered(value) if rendered else value) is None else check(value, name)

    return check_optional


def is_templated(value: Any) -> bool:
    """Tell whether a value is only known at run time: a Jinja template, an XCom, or something that holds one."""
    if isinstance(value, str):
        # Prolific replaces "{{%PROLIFIC_PID%}}"; no template begins like that.
        return any(opening in value.replace("{{%", "") for opening in ("{{", "{%", "{#"))
    if isinstance(value, Mapping):
        return any(is_templated(key) or is_templated(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(is_templated(item) for item in value)
    return hasattr(value, "resolve")


class CheckedArguments:
    """The arguments of an operator or a sensor: checked while the DAG is parsed and again at run time.

    A class lists its own arguments in ``checks``; those of its bases are added. ``template_fields`` are made of them.
    """

    #: Each argument with its check, in the order of the template fields.
    checks: ClassVar[Mapping[str, Check]] = {}
    template_fields: Any = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.checks = {
            name: check for base in reversed(cls.__mro__) for name, check in vars(base).get("checks", {}).items()
        }
        cls.template_fields = (*cls.checks, "prolific_conn_id")

    @classmethod
    def check_keywords(cls, keywords: Collection[str]) -> None:
        """Refuse a scope that is given as a separate argument.

        :raises ProlificValueError: it says what to write instead.
        """
        for scope in SCOPES:
            if scope in keywords and "filter" in cls.checks and scope not in cls.checks:
                raise ProlificValueError(
                    f'{scope} is not an argument of {cls.__name__}: pass filter={{"{scope}": …}} instead'
                )

    def set_arguments(self, **arguments: Any) -> None:
        """Store the arguments as they are given, and check those that are known while the DAG is parsed.

        :raises ProlificValueError: one of them is wrong.
        """
        known = {}
        for name, given in arguments.items():
            value = list(given) if isinstance(given, Iterator) else given  # an iterator can be read once only
            setattr(self, name, value)
            if name in self.checks and not is_templated(value):
                known[name] = self.checks[name](value, name)
        if known.keys() == self.checks.keys():
            self.check_together(known)

    def checked_arguments(self) -> dict[str, Any]:
        """Return all arguments in their normal form, once the templates are rendered.

        :raises ProlificValueError: one of them is wrong, in the same words as while the DAG is parsed.
        """
        arguments = {name: check(getattr(self, name), name) for name, check in self.checks.items()}
        self.check_together(arguments)
        return arguments

    def check_together(self, arguments: Mapping[str, Any]) -> None:
        """Refuse values that do not fit together; a class with such a rule overrides this.

        It is called at run time, and also while the DAG is parsed if all values are known by then.

        :param arguments: All of them, in their normal form.
        :raises ProlificValueError: it names the arguments.
        """
