"""A wait: a question to Prolific, and how its answer is judged.

A sensor on a worker and a trigger in a triggerer make the same `Wait` from the same arguments, so both judge in the
same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.text import shorten

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook

#: The status of one target of a wait, such as a group: an entry of the sensor's XCom and of the trigger's event.
Status = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """The progress of one target of a wait, for people: as text, and as numbers if there are any."""

    text: str
    count: int | None = None
    target: int | None = None


class Wait(ABC):
    """A question to Prolific and its judge. A subclass takes JSON arguments.

    It keeps each argument, in its normal form, in an attribute of the same name. The names of other attributes begin
    with an underscore.

    :raises ProlificValueError: an argument cannot be used.
    """

    #: The key of the statuses in the trigger's event.
    plural: ClassVar[str]
    #: The keys of each status.
    keys: ClassVar[frozenset[str]]
    #: How much it asks for: of waits with equal questions the broadest one asks, and its answer serves all of them.
    breadth: ClassVar[int] = 0

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, JSON only; they make an equal wait."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    @abstractmethod
    def question(self) -> Hashable:
        """Return what is asked; waits with equal questions on one connection share an answer."""

    @abstractmethod
    def ask(self, hook: ProlificHook) -> Any:
        """Ask Prolific, in a thread; the answer is shared and must not be changed."""

    @abstractmethod
    def judge(self, answer: Any) -> list[Status]:
        """Return the status of every target.

        :raises ProlificError: the answer shows that the wait cannot succeed.
        """

    @abstractmethod
    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether these statuses belong to this wait, and end it."""

    def is_over(self, statuses: list[Status]) -> bool:
        """Tell whether the wait is over after a look; a subclass may require the same result at two looks."""
        return self.opens(statuses)

    def warning(self, statuses: list[Status]) -> str | None:  # noqa: ARG002 - for subclasses
        """Return a warning for people, if there is one."""
        return None

    @abstractmethod
    def measure(self, status: Status) -> Measure:
        """Return the progress of one target."""

    def last_growth(self, hook: ProlificHook, statuses: list[Status]) -> float | None:  # noqa: ARG002 - for subclasses
        """Return when a count below its target grew last, in seconds since the epoch, if Prolific shows it."""
        return None

    def describe(self, statuses: Iterable[Status]) -> str:
        """Describe the progress of all targets."""
        return "; ".join(self.measure(status).text for status in statuses)

    def describe_short(self, statuses: Iterable[Status]) -> str:
        """Describe the progress of the targets that are not reached."""
        return self.describe(statuses)

    def confirm(self, statuses: Any) -> list[Status]:
        """Return the statuses of a success event, after checking that they end this wait.

        :raises ProlificError: they do not.
        """
        if (
            isinstance(statuses, list)
            and all(isinstance(status, dict) and status.keys() == self.keys for status in statuses)
            and self.opens(statuses)
        ):
            return statuses
        raise ProlificError(f"the trigger reports success, but not for this wait: {shorten(statuses, 300)}")


def read_time(text: Any) -> float:
    """Return a time of the API's in seconds since the epoch; ``0.0`` if it is not a time."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return 0.0
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
