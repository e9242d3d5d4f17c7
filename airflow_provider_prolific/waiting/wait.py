"""What a wait is for: a question to Prolific, and how its answer is judged.

A sensor on a worker and a trigger in a triggerer make the same `Wait` from the same arguments, so both judge alike.
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

#: How one of the things that are waited for stands: an entry of the sensor's XCom and of the trigger's event.
Status = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """How far one of the things that are waited for is, for people: in words, and as numbers where there are any."""

    text: str
    count: int | None = None
    target: int | None = None


class Wait(ABC):
    """What is waited for. A subclass is made from JSON arguments, which it keeps in their normal form.

    :raises ProlificValueError: an argument cannot be used.
    """

    #: What the statuses are called in the trigger's event.
    plural: ClassVar[str]
    #: The keys of each status.
    keys: ClassVar[frozenset[str]]
    #: How much it asks: of waits with equal questions the broadest asks, and its answer serves them all.
    breadth: ClassVar[int] = 0

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, JSON only, from which an equal wait is made."""

    @abstractmethod
    def question(self) -> Hashable:
        """Return what is asked; waits with equal questions on one connection share an answer."""

    @abstractmethod
    def ask(self, hook: ProlificHook) -> Any:
        """Ask Prolific, in a thread; the answer is shared and must not be changed."""

    @abstractmethod
    def judge(self, answer: Any) -> list[Status]:
        """Return how everything that is waited for stands.

        :raises ProlificError: the answer says that the wait is in vain.
        """

    @abstractmethod
    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether these statuses are those of this wait, and end it."""

    def is_over(self, statuses: list[Status]) -> bool:
        """Tell whether the wait is over after a look; a subclass may want to see the same at two looks."""
        return self.opens(statuses)

    def warning(self, statuses: list[Status]) -> str | None:  # noqa: ARG002 - for subclasses
        """Return what people should be warned of, if there is anything."""
        return None

    @abstractmethod
    def measure(self, status: Status) -> Measure:
        """Return how far one of them is."""

    def last_growth(self, hook: ProlificHook, statuses: list[Status]) -> float | None:  # noqa: ARG002 - for subclasses
        """Return when something that is still short grew last, in seconds since the epoch, if Prolific knows it."""
        return None

    def describe(self, statuses: Iterable[Status]) -> str:
        """Return in words how all of them stand."""
        return "; ".join(self.measure(status).text for status in statuses)

    def describe_short(self, statuses: Iterable[Status]) -> str:
        """Return in words those that the wait is not over for."""
        return self.describe(statuses)

    def confirm(self, statuses: Any) -> list[Status]:
        """Return the statuses of a success event, after checking that they end this very wait.

        :raises ProlificError: they do not.
        """
        if (
            isinstance(statuses, list)
            and all(isinstance(status, dict) and status.keys() == self.keys for status in statuses)
            and self.opens(statuses)
        ):
            return statuses
        raise ProlificError(f"the trigger reports success, but not for what is waited for: {shorten(statuses, 300)}")


def read_time(text: Any) -> float:
    """Return a time of the API's in seconds since the epoch; the beginning of time for what is not one."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return 0.0
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
