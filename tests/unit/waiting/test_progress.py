"""What a wait tells people: a line when a count changes, and a sign of life now and then."""

from __future__ import annotations

import pytest

from airflow_provider_prolific.progress import SILENCE_SECONDS, Progress


def status(count, target=300, name="Screened adults"):
    return {
        "id": None if count is None else "g1",
        "name": name,
        "participant_count": count,
        "target_count": target,
        "reached": count is not None and count >= target,
    }


def test_the_first_look_is_told():
    assert Progress().line([status(120)], 0) == "'Screened adults' has 120 of 300 (40%)"


def test_a_look_that_finds_the_same_says_nothing():
    progress = Progress()
    progress.line([status(120)], 0)

    assert progress.line([status(120)], 60) is None


def test_a_change_is_told_with_its_size():
    progress = Progress()
    progress.line([status(120)], 0)

    assert progress.line([status(118)], 60) == "'Screened adults' has 118 of 300 (39%), -2"


def test_growth_is_told_with_an_estimate_of_when_the_target_is_reached():
    progress = Progress()
    progress.line([status(120)], 5000)

    assert progress.line([status(150)], 5060) == "'Screened adults' has 150 of 300 (50%), +30, about 5 min to go"


def test_the_growth_is_since_the_last_line_and_the_trend_since_the_first_look():
    progress = Progress()
    progress.line([status(100)], 0)
    progress.line([status(200)], 100)

    assert progress.line([status(220)], 120) == "'Screened adults' has 220 of 300 (73%), +20, about 1 min to go"


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

    assert progress.line([status(310)], 60) == "'Screened adults' has 310 of 300 (103%), +20"


def test_without_change_a_sign_of_life_comes_when_the_silence_was_long():
    progress = Progress()
    progress.line([status(120)], 0)

    assert progress.line([status(120)], SILENCE_SECONDS - 1) is None
    assert progress.line([status(120)], SILENCE_SECONDS) == "'Screened adults' has 120 of 300 (40%)"


def test_the_silence_begins_anew_with_every_line():
    progress = Progress()
    progress.line([status(120)], 0)
    progress.line([status(121)], SILENCE_SECONDS - 1)

    assert progress.line([status(121)], SILENCE_SECONDS + 1) is None


def test_several_groups_stand_in_one_line_in_the_order_of_the_targets():
    line = Progress().line([status(1, 4, "Beta"), status(2, 4, "Alpha")], 0)

    assert line == "'Beta' has 1 of 4 (25%); 'Alpha' has 2 of 4 (50%)"


def test_a_group_that_is_still_to_be_created_is_named():
    assert Progress().line([status(None)], 0) == "'Screened adults' does not exist yet (target 300)"


def test_a_group_that_was_created_meanwhile_counts_from_nothing():
    progress = Progress()
    progress.line([status(None)], 0)

    assert progress.line([status(30)], 60).startswith("'Screened adults' has 30 of 300 (10%), +30")


def test_a_name_with_a_line_break_stays_in_its_line():
    assert "\n" not in Progress().line([status(1, name="Screened\nadults")], 0)
