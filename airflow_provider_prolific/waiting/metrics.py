"""Gauges of the groups and studies that are waited for, in Airflow's own metrics; see ``docs/metrics.md``."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from functools import cache

from airflow.configuration import conf

from airflow_provider_prolific.version_compat import get_stats
from airflow_provider_prolific.waiting.wait import Status

logger = logging.getLogger(__name__)


class Gauges:
    """The gauges of the groups and studies in the answers to one question.

    Each answer is reported once, however many waits use it. If they have different targets, or count different statuses
    of a study's submissions, the largest number is reported.
    """

    __slots__ = ("_asked_at", "_due", "_growth", "_largest")

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._largest: dict[str, tuple[int, int]] = {}  # count and target of this answer, by id
        self._due: dict[str, Status] = {}  # what is to be reported, by id
        self._growth: dict[str, tuple[int, float]] = {}  # the last count, and since when it has not grown, by id

    def found(
        self,
        statuses: Iterable[Status],
        asked_at: float,
        call_soon: Callable[[Callable[[], None]], object] = lambda report: report(),
    ) -> None:
        """Take the statuses that one wait has found in an answer.

        :param asked_at: When the question was asked, on a monotonic clock.
        :param call_soon: Calls the report; on an event loop, after all waits that the answer has woken have judged it.
        """
        if _form() is None:
            return
        if asked_at != self._asked_at:
            self._asked_at, self._largest = asked_at, {}
        was_due = bool(self._due)
        for status in statuses:
            count = status.get("participant_count", status.get("submission_count"))
            if count is None:  # a group that does not exist yet, or a study whose submissions are not counted
                continue
            before = self._largest.get(status["id"], (-1, -1))
            largest = (max(count, before[0]), max(status["target_count"], before[1]))
            if largest != before:
                self._largest[status["id"]] = largest
                self._due[status["id"]] = status
        if self._due and not was_due:
            call_soon(self._report)

    def _report(self) -> None:
        due, self._due = self._due, {}
        try:
            for id_, status in due.items():
                count, target = self._largest[id_]
                if "submission_count" in status:
                    _gauge("submission_count", count, "study_id", id_)
                    continue
                _gauge("participant_count", count, "participant_group_id", id_)
                _gauge("target_count", target, "participant_group_id", id_)
                self._report_growth(id_, count, self._asked_at or 0.0)
        except Exception:
            logger.debug("The gauges could not be reported", exc_info=True)

    def _report_growth(self, id_: str, count: int, now: float) -> None:
        """Report how long a count has not grown, from the second look on: the first has no count to compare with."""
        last = self._growth.get(id_)
        since = now if last is None or count > last[0] else last[1]
        self._growth[id_] = (count, since)
        if last is not None:
            _gauge("seconds_since_growth", now - since, "participant_group_id", id_)


def _gauge(name: str, value: float, tag: str, id_: str) -> None:
    id_ = re.sub(r"[^\w-]", "_", id_[:100], flags=re.ASCII)
    name = f"prolific.{name}" if _form() == "tags" else f"prolific.{name}.{id_}"
    get_stats().gauge(name, value, tags={tag: id_})


@cache
def _form() -> str | None:
    """Return where Airflow's metrics carry an id: in ``"tags"`` or in the ``"name"``; ``None`` if they are off."""

    def is_on(option: str, fallback: bool = False) -> bool:
        return conf.getboolean("metrics", option, fallback=fallback)

    if is_on("statsd_datadog_enabled"):
        return "tags" if is_on("statsd_datadog_metrics_tags", True) else "name"
    if is_on("statsd_on"):
        return "tags" if is_on("statsd_influxdb_enabled") else "name"
    return "tags" if is_on("otel_on") else None
