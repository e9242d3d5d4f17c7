"""Which milestones a growing count has passed: the arithmetic of event-driven runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_prolific.arguments import check_count
from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.text import shorten

#: The most milestones that one event names: the highest ones.
MAX_NAMED = 100


class Milestones:
    """A list of counts, or the multiples of a step.

    :param counts: Participant counts, in any order.
    :param every: Or a step: each multiple of it is a milestone.
    :raises ProlificValueError: both or neither, or a count that is not a whole number from 1 upwards.
    """

    def __init__(self, counts: Sequence[Any] | None, every: Any) -> None:
        if (counts is None) == (every is None):
            raise ProlificValueError(
                "give either milestones=[count, …] or every=step: got "
                f"milestones={shorten(counts)}, every={shorten(every)}"
            )
        self.every = None if every is None else check_count(every, "every")
        self.counts: list[int] | None = None
        if counts is not None:
            if isinstance(counts, (str, bytes)) or not isinstance(counts, Sequence) or not counts:
                raise ProlificValueError(f"milestones must be a list of at least one count, not {shorten(counts)}")
            self.counts = sorted({check_count(count, f"milestones[{index}]") for index, count in enumerate(counts)})

    def passed(self, announced: int, count: int) -> list[int]:
        """Return the milestones above the last announced one, up to the count, in ascending order.

        At most the highest `MAX_NAMED` are returned.

        :param announced: The highest milestone that was announced, 0 before the first.
        :param count: The participant count now.
        """
        if self.every is not None:
            first = (announced // self.every + 1) * self.every
            highest = count // self.every * self.every
            return list(range(max(first, highest - (MAX_NAMED - 1) * self.every), highest + 1, self.every))
        return [milestone for milestone in self.counts or () if announced < milestone <= count][-MAX_NAMED:]
