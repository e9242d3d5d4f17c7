"""Which milestones a growing count has passed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.waiting.milestones import MAX_NAMED, Milestones


@pytest.mark.parametrize(
    ("counts", "every", "announced", "count", "passed"),
    [
        ([100, 300], None, 0, 99, []),
        ([100, 300], None, 0, 100, [100]),
        ([100, 300], None, 100, 299, []),
        ([300, 100, 300], None, 0, 1000, [100, 300]),
        ([100, 300], None, 300, 1000, []),
        (None, 50, 0, 49, []),
        (None, 50, 0, 149, [50, 100]),
        (None, 50, 100, 149, []),
        (None, 50, 120, 150, [150]),
    ],
)
def test_passed_milestones(
    counts: list[int] | None, every: int | None, announced: int, count: int, passed: list[int]
) -> None:
    assert Milestones(counts, every).passed(announced, count) == passed


@given(every=st.integers(1, 50), announced=st.integers(0, 1500), count=st.integers(0, 1500))
def test_step_is_the_same_as_all_its_multiples(every: int, announced: int, count: int) -> None:
    listed = Milestones(range(every, 1501, every), None)

    assert Milestones(None, every).passed(announced, count) == listed.passed(announced, count)


@pytest.mark.parametrize(
    ("counts", "every", "reason"),
    [
        (None, None, "either milestones"),
        ([1], 2, "either milestones"),
        ([], None, "at least one count"),
        ("100", None, "at least one count"),
        (100, None, "at least one count"),
        ([100, 0], None, r"milestones\[1\]"),
        ([True], None, r"milestones\[0\]"),
        (None, 0, "every"),
        (None, 1.5, "every"),
    ],
)
def test_bad_milestones_are_refused(counts: Any, every: Any, reason: str) -> None:
    with pytest.raises(ProlificValueError, match=reason):
        Milestones(counts, every)


@pytest.mark.parametrize("every", [1, 7, 10**6])
def test_a_count_of_any_size_names_the_highest_milestones_at_once(every: int) -> None:
    count = 10**18 - 1

    passed = Milestones(None, every).passed(0, count)

    assert len(passed) == MAX_NAMED
    assert passed[-1] == count // every * every
    assert passed == list(range(passed[0], count + 1, every))


def test_of_a_long_list_the_highest_are_named_too() -> None:
    assert Milestones(range(1, 1001), None).passed(0, 1000) == list(range(1001 - MAX_NAMED, 1001))
