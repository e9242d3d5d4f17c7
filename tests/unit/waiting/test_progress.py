"""What a wait tells people: a line when a count changes, a sign of life now and then, and that it has stalled."""

from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificConnectionError, ProlificError
from airflow_provider_prolific.waiting.progress import SILENCE_SECONDS, Journal, Progress, Stall, Trouble
from airflow_provider_prolific.waiting.wait import Measure

DAY = 86_400
#: 2026-03-02 10:00 UTC.
MORNING = 1_772_445_600


def status(count, target=300, name="adults"):
    """How far one of the things that are waited for is."""
    return Measure(f"{name}: {count} of {target}", count, target)


def test_the_first_look_is_told():
    assert Progress().line([status(120)], 0) == "adults: 120 of 300"


def test_a_look_that_finds_the_same_says_nothing():
    progress = Progress()
    progress.line([status(120)], 0)

    assert progress.line([status(120)], 60) is None


def test_a_change_is_told_with_its_size():
    progress = Progress()
    progress.line([status(120)], 0)

    assert progress.line([status(118)], 60) == "adults: 118 of 300, -2"


def test_growth_is_told_with_an_estimate_of_when_the_target_is_reached():
    progress = Progress()
    progress.line([status(120)], 5000)

    assert progress.line([status(150)], 5060) == "adults: 150 of 300, +30, about 5 min to go"


def test_the_growth_is_since_the_last_line_and_the_trend_since_the_first_look():
    progress = Progress()
    progress.line([status(100)], 0)
    progress.line([status(200)], 100)

    assert progress.line([status(220)], 120) == "adults: 220 of 300, +20, about 1 min to go"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0.2, "1 s"), (40, "40 s"), (60, "1 min"), (89 * 60, "89 min")),
        *((100 * 60, "2 h"), (47 * 3600, "47 h"), (72 * 3600, "3 days")),
    ],
)
def test_the_estimate_is_in_the_unit_that_people_would_use(seconds, words):
    progress = Progress()
    progress.line([status(0, target=2)], 0)

    assert progress.line([status(1, target=2)], seconds).endswith(f", about {words} to go")


def test_a_reached_target_needs_no_estimate():
    progress = Progress()
    progress.line([status(290)], 0)

    assert progress.line([status(310)], 60) == "adults: 310 of 300, +20"


def test_without_change_a_sign_of_life_comes_when_the_silence_was_long():
    progress = Progress()
    progress.line([status(120)], 0)

    assert progress.line([status(120)], SILENCE_SECONDS - 1) is None
    assert progress.line([status(120)], SILENCE_SECONDS) == "adults: 120 of 300"


def test_the_silence_begins_anew_with_every_line():
    progress = Progress()
    progress.line([status(120)], 0)
    progress.line([status(121)], SILENCE_SECONDS - 1)

    assert progress.line([status(121)], SILENCE_SECONDS + 1) is None


def test_several_groups_stand_in_one_line_in_the_order_of_the_targets():
    line = Progress().line([status(1, 4, "Beta"), status(2, 4, "Alpha")], 0)

    assert line == "Beta: 1 of 4; Alpha: 2 of 4"


def test_what_was_not_there_before_counts_from_nothing():
    progress = Progress()
    progress.line([status(None)], 0)

    assert progress.line([status(30)], 60).startswith("adults: 30 of 300, +30")


def test_growth_since_what_another_process_saw_is_told_but_no_trend():
    progress = Progress([120, 7])

    assert progress.line([status(150), status(7, name="elders")], 0) == "adults: 150 of 300, +30; elders: 7 of 300"


@pytest.mark.parametrize("counts", [[], [1, 2]])
def test_counts_of_another_process_that_do_not_fit_are_not_used(counts):
    assert Progress(counts).line([status(120)], 0) == "adults: 120 of 300"


def test_what_has_no_numbers_is_told_when_its_words_change():
    progress = Progress()
    progress.line([Measure("study is ACTIVE")], 0)

    assert progress.line([Measure("study is ACTIVE")], 60) is None
    assert progress.line([Measure("study is PAUSED")], 120) == "study is PAUSED"


class TestBeginning:
    """The line with which a wait begins: how often it looks, and until when."""

    @pytest.mark.parametrize(
        ("interval", "deadline", "backs_off", "line"),
        [
            (60, MORNING, False, "Looks every 60 s until 2026-03-02 10:00:00 UTC"),
            (0.5, MORNING, False, "Looks every 0.5 s until 2026-03-02 10:00:00 UTC"),
            (600, MORNING + 59, False, "Looks every 10 min until 2026-03-02 10:00:59 UTC"),
            (3 * DAY, MORNING, True, "Looks every 3 days at first until 2026-03-02 10:00:00 UTC"),
            (60, float("inf"), False, "Looks every 60 s"),
            (60, 1e15, False, "Looks every 60 s"),
        ],
    )
    def test_it_says_how_often_it_looks_and_until_when(self, interval, deadline, backs_off, line):
        log = Mock()
        Journal(log).begins(interval, deadline, backs_off)

        message, *arguments = log.info.call_args.args
        assert message % tuple(arguments) == line


class TestStall:
    def test_without_a_limit_nothing_stalls(self):
        stall = Stall(None)
        stall.line([status(120)], 0)

        assert stall.line([status(120)], 1000 * DAY) is None

    def test_a_count_that_has_not_grown_for_so_long_is_told_with_the_time_since(self):
        stall = Stall(2 * DAY)
        stall.line([status(120)], MORNING)

        assert stall.line([status(120)], MORNING + 2 * DAY - 1) is None
        assert (
            stall.line([status(120)], MORNING + 2 * DAY)
            == "no growth for 2 days, since 2026-03-02 10:00 UTC: adults: 120 of 300"
        )

    def test_each_growth_begins_the_time_anew(self):
        stall = Stall(DAY)
        stall.line([status(120)], 0)
        stall.line([status(121)], DAY - 1)

        assert stall.line([status(121)], 2 * DAY - 2) is None
        assert stall.line([status(121)], 2 * DAY - 1)

    def test_a_count_that_falls_is_no_growth(self):
        stall = Stall(DAY)
        stall.line([status(120)], 0)

        assert stall.line([status(119)], DAY)

    def test_growth_of_what_had_its_count_already_is_none(self):
        stall = Stall(DAY)
        stall.line([status(300), status(5, name="elders")], 0)

        assert stall.line([status(301), status(5, name="elders")], DAY).endswith("UTC: elders: 5 of 300")

    def test_one_of_several_that_grows_is_enough(self):
        stall = Stall(DAY)
        stall.line([status(1), status(5, name="elders")], 0)

        assert stall.line([status(1), status(6, name="elders")], DAY) is None

    def test_what_another_process_saw_counts(self):
        assert Stall(DAY, MORNING, [120]).line([status(120)], MORNING + DAY)
        assert Stall(DAY, MORNING, [119]).line([status(120)], MORNING + DAY) is None

    def test_without_it_the_time_begins_at_the_first_look(self):
        assert Stall(DAY).line([status(120)], MORNING) is None


class TestTrouble:
    def test_the_first_failure_is_told_and_then_silence(self):
        trouble = Trouble()

        assert trouble.failed(ProlificError("away"), 0) == "This look failed, the wait goes on: away"
        assert trouble.failed(ProlificError("away"), SILENCE_SECONDS - 1) is None

    def test_now_and_then_it_is_told_again_with_how_often(self):
        trouble = Trouble()
        trouble.failed(ProlificError("away"), 0)
        trouble.failed(ProlificError("away"), 60)

        line = trouble.failed(ProlificError("away"), SILENCE_SECONDS)

        assert line == "This look failed, the wait goes on (3 times in a row): away"

    def test_another_cause_is_told_at_once_but_not_another_number(self):
        trouble = Trouble()
        trouble.failed(ProlificConnectionError("no answer within 15 seconds"), 0)

        assert trouble.failed(ProlificConnectionError("no answer within 14 seconds"), 1) is None
        assert trouble.failed(ProlificApiError("refused", 503), 2)

    def test_the_recovery_is_told_once(self):
        trouble = Trouble()
        trouble.failed(ProlificError("away"), 0)
        trouble.failed(ProlificError("away"), 1)

        assert trouble.recovered() == "Prolific can be read again, after 2 failed looks"
        assert trouble.recovered() is None

    def test_after_a_recovery_the_same_failure_is_news(self):
        trouble = Trouble()
        trouble.failed(ProlificError("away"), 0)
        trouble.recovered()

        assert trouble.failed(ProlificError("away"), 1)


def test_what_a_look_finds_again_is_put_into_words_once():
    class Words:
        asked = 0

        def measure(self, found):
            self.asked += 1
            return status(found)

        def warning(self, statuses):
            return None

    words, journal = Words(), Journal(logging.getLogger())
    measures = [journal.found(words, [count], 0) for count in (120, 120, 121)]

    assert measures == [[status(120)], [status(120)], [status(121)]]
    assert words.asked == 2
