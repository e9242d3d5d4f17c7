"""What a wait tells people while it lasts."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_prolific.targets import TargetStatus, describe

#: How long a wait whose counts don't change stays silent, in seconds.
SILENCE_SECONDS = 600


class Progress:
    """Turn what each look finds into lines for the task log: one when a count changes, and a sign of life now and then.

    Times are seconds on any clock that does not jump.
    """

    __slots__ = ("_counts", "_first_counts", "_first_time", "_told_at")

    def __init__(self) -> None:
        self._counts: list[int] | None = None
        self._first_counts: list[int] = []
        self._first_time = 0.0
        self._told_at = 0.0

    def line(self, statuses: Sequence[TargetStatus], now: float) -> str | None:
        """Return what to log after a look at ``now``, or ``None`` where there is nothing new to say."""
        counts = [status["participant_count"] or 0 for status in statuses]
        if self._counts is None:
            self._first_counts, self._first_time = counts, now
        elif counts == self._counts and now - self._told_at < SILENCE_SECONDS:
            return None
        before = self._counts or counts
        self._counts, self._told_at = counts, now
        elapsed = now - self._first_time
        return "; ".join(
            describe(status)
            + _growth(count - count_before)
            + _estimate(status["target_count"] - count, count - first, elapsed)
            for status, count, count_before, first in zip(statuses, counts, before, self._first_counts, strict=True)
        )


def _growth(change: int) -> str:
    return f", {change:+d}" if change else ""


def _estimate(missing: int, grown: int, elapsed: float) -> str:
    """Return when the target will be reached if growth goes on as it has since the first look."""
    if missing <= 0 or grown <= 0 or elapsed <= 0:
        return ""
    return f", about {_duration(missing * elapsed / grown)} to go"


def _duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 1:
        return f"{max(seconds, 1):.0f} s"
    if hours < 1.5:
        return f"{minutes:.0f} min"
    return f"{hours:.0f} h" if days < 2 else f"{days:.0f} days"
