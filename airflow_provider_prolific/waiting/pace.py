"""How often a wait looks: the arithmetic of its intervals. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_prolific.arguments import MIN_POKE_INTERVAL_SECONDS

#: The longest time between two looks of a wait with back-off but without ``max_wait``, in seconds.
MAX_BACKOFF_SECONDS = 86_400.0
#: The longest time between two looks of a watch with a permanent error, in seconds.
MAX_FAILING_INTERVAL_SECONDS = 900.0


@dataclass(frozen=True)
class Pace:
    """How often a wait looks.

    :param poke_interval: Seconds between two looks.
    :param exponential_backoff: Whether the interval is doubled after each look.
    :param max_wait: The longest interval then, in seconds; ``None`` for a day.
    """

    poke_interval: float
    exponential_backoff: bool = False
    max_wait: float | None = None

    @property
    def beat(self) -> float:
        """The seconds between two beats of the wait; a minimum prevents a busy loop."""
        return max(self.poke_interval, MIN_POKE_INTERVAL_SECONDS)

    def pauses(self) -> Iterator[float]:
        """Yield, without end, the seconds to wait in addition to the beat before each look."""
        longest = MAX_BACKOFF_SECONDS if self.max_wait is None else self.max_wait
        interval = self.beat
        while True:
            yield interval - self.beat
            if self.exponential_backoff:
                interval = max(min(interval * 2, longest), self.beat)

    def failing_pause(self, failures: int) -> float:
        """Return these additional seconds for a watch after a number of permanent errors in a row."""
        interval = min(self.beat * 2.0 ** min(failures, 20), MAX_FAILING_INTERVAL_SECONDS)
        return max(interval - self.beat, 0)
