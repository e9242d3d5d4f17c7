"""The lines that a wait logs for people. Times are seconds on a monotonic clock, unless stated otherwise.

The page "Recruitment" also reads these lines (``plugin/recruitment.js``), so their form is stable:

- ``Looks every 60 s until 2026-03-09 10:00:00 UTC``;
- ``'Screened adults' has 23 of 30 (76%), +10, about 4 s to go``: the text of a `Measure`, then its growth if it is
  known; a semicolon and a space separate several in one line;
- ``This look failed, the wait goes on: …`` and ``Prolific can be read again, …``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_prolific.waiting.wait import Measure, Status, Wait

#: How long a wait whose counts do not change stays silent, in seconds.
SILENCE_SECONDS = 600


class Journal:
    """The lines that one wait writes into its task's log.

    :param log: The log.
    :param counts: The counts that another process saw before.
    """

    def __init__(self, log: Any, counts: Sequence[int] = ()) -> None:
        self._log = log
        self._progress = Progress(counts)
        self._trouble = Trouble()
        self._statuses: list[Status] = []
        self._measures: list[Measure] = []
        self._warning: str | None = None

    def begins(self, interval: float, deadline: float, backs_off: bool = False) -> None:
        """Log how often the wait looks and until when.

        :param interval: The seconds between two looks.
        :param deadline: In seconds since the epoch.
        :param backs_off: Whether the interval grows.
        """
        every = f"{interval:g} s" if interval < 120 else _duration(interval)
        at_first = " at first" if backs_off else ""
        try:
            until = f" until {datetime.fromtimestamp(deadline, UTC):%Y-%m-%d %H:%M:%S} UTC"
        except (OverflowError, ValueError):  # too far for a calendar
            until = ""
        self._log.info("Looks every %s%s%s", every, at_first, until)

    def found(self, wait: Wait, statuses: list[Status], now: float) -> list[Measure]:
        """Log what a successful look has found, and return its measures."""
        if statuses != self._statuses:  # a thousand waits need not measure again: most looks find nothing new
            self._statuses, self._measures = statuses, [*map(wait.measure, statuses)]
        for line in (self._trouble.recovered(), self._progress.line(self._measures, now)):
            if line:
                self._log.info("%s", line)
        before, self._warning = self._warning, wait.warning(statuses)
        if self._warning and self._warning != before:
            self._log.warning("%s", self._warning)
        return self._measures

    def failed(self, error: Exception, now: float) -> None:
        """Log a look that failed."""
        if line := self._trouble.failed(error, now):
            self._log.warning("%s", line)


class Progress:
    """Turns looks into lines for the task log: one when a count changes, and a sign of life now and then.

    :param counts: The counts that another process saw before the first look, so that the first line shows the growth.
    """

    __slots__ = ("_counts", "_first", "_first_time", "_last", "_told_at")

    def __init__(self, counts: Sequence[int] = ()) -> None:
        self._counts = counts
        self._first: Sequence[Measure] = ()
        self._first_time = 0.0
        self._last: Sequence[Measure] = ()
        self._told_at = 0.0

    def line(self, measures: Sequence[Measure], now: float) -> str | None:
        """Return what to log after a look at ``now``, or ``None`` if there is nothing new to say."""
        if not self._last:
            self._first, self._first_time = measures, now
        elif measures == self._last and now - self._told_at < SILENCE_SECONDS:
            return None
        counts = [measure.count or 0 for measure in measures]
        before = self._counts if len(self._counts) == len(counts) else counts
        self._counts, self._last, self._told_at = counts, measures, now
        elapsed = now - self._first_time
        return "; ".join(
            measure.text + (f", {count - earlier:+d}" if count != earlier else "") + _estimate(measure, first, elapsed)
            for measure, count, earlier, first in zip(measures, counts, before, self._first, strict=True)
        )


def _estimate(measure: Measure, first: Measure, elapsed: float) -> str:
    """Return when the target will be reached if growth goes on as it has since the first look."""
    missing = (measure.target or 0) - (measure.count or 0)
    grown = (measure.count or 0) - (first.count or 0)
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


class Stall:
    """Detects that no count below its target has grown for too long.

    Its state passes from process to process, so its times are seconds since the epoch.

    :param after: Seconds without growth that end the wait; ``None`` for no such end.
    :param since: When a count grew last, as another process saw it.
    :param counts: The counts that the other process saw.
    """

    __slots__ = ("after", "counts", "since")

    def __init__(self, after: float | None, since: float | None = None, counts: Sequence[int] = ()) -> None:
        self.after = after
        self.since = since
        self.counts = counts

    def line(self, measures: Sequence[Measure], now: float) -> str | None:
        """Describe the stall; ``None`` if the wait has not stalled."""
        counts = [measure.count or 0 for measure in measures]
        has_grown = len(counts) != len(self.counts) or any(
            before < count and before < (measure.target or count)
            for measure, count, before in zip(measures, counts, self.counts, strict=True)
        )
        self.counts = counts
        if self.since is None or has_grown:
            self.since = now
        if self.after is None or now - self.since < self.after:
            return None
        return describe_stall(measures, self.since, now)


def describe_stall(measures: Sequence[Measure], since: float, now: float) -> str:
    """Describe what has not grown, and since when: what is below its target, or everything if there are no counts."""
    short = [measure for measure in measures if (measure.count or 0) < (measure.target or 0)]
    texts = "; ".join(measure.text for measure in short or measures)
    began = datetime.fromtimestamp(since, UTC)
    return f"no growth for {_duration(now - since)}, since {began:%Y-%m-%d %H:%M} UTC: {texts}"


class Trouble:
    """Turns failed looks into lines: at the first, at each new cause, every ten minutes, and at the recovery."""

    __slots__ = ("_cause", "_failures", "_told_at")

    def __init__(self) -> None:
        self._cause: object = None
        self._failures = 0
        self._told_at = 0.0

    def failed(self, error: Exception, now: float) -> str | None:
        """Return what to log after a look that failed at ``now``, or ``None`` if that was logged already."""
        cause = (type(error), re.sub(r"\d+", "", str(error)))
        self._failures += 1
        if cause == self._cause and now - self._told_at < SILENCE_SECONDS:
            return None
        self._cause, self._told_at = cause, now
        times = f" ({self._failures} times in a row)" if self._failures > 1 else ""
        return f"This look failed, the wait goes on{times}: {error}"

    def recovered(self) -> str | None:
        """Return what to log after a successful look, or ``None`` if the look before was successful, too."""
        failures, self._failures, self._cause = self._failures, 0, None
        return f"Prolific can be read again, after {failures} failed looks" if failures else None
