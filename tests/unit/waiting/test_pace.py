"""How often a wait looks."""

from __future__ import annotations

from itertools import islice

import pytest

from airflow_provider_prolific.waiting.pace import MAX_BACKOFF_SECONDS, MAX_FAILING_INTERVAL_SECONDS, Pace


def intervals(pace, count):
    """Return the seconds from beat to beat."""
    return [pace.beat + pause for pause in islice(pace.pauses(), count)]


def test_the_interval_stays_as_it_is():
    assert intervals(Pace(60), 4) == [60, 60, 60, 60]


@pytest.mark.parametrize("interval", [0, 0.01, 0.1])
def test_no_wait_spins(interval):
    assert intervals(Pace(interval), 2) == [0.1, 0.1]


def test_with_back_off_the_interval_doubles_up_to_the_longest():
    assert intervals(Pace(60, True, 300), 5) == [60, 120, 240, 300, 300]


@pytest.mark.parametrize("max_wait", [0, 10, 60])
def test_a_longest_wait_below_the_interval_shortens_nothing(max_wait):
    assert intervals(Pace(60, True, max_wait), 3) == [60, 60, 60]


def test_without_a_longest_wait_it_is_a_day_and_never_endless():
    assert intervals(Pace(60, True), 5000)[-1] == MAX_BACKOFF_SECONDS


@pytest.mark.parametrize(("failures", "pause"), [(0, 0), (1, 60), (2, 180), (10, 840), (10**9, 840)])
def test_a_watch_that_fails_for_good_looks_ever_more_rarely_up_to_a_limit(failures, pause):
    assert (
        Pace(60).failing_pause(failures) == pause == min(60 * 2 ** min(failures, 9), MAX_FAILING_INTERVAL_SECONDS) - 60
    )


def test_a_watch_with_a_long_interval_keeps_it():
    assert Pace(3600).failing_pause(5) == 0
