"""Which milestones a growing count has passed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.milestones import Milestones


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


@given(every=st.integers(1, 50), announced=st.integers(0, 500), count=st.integers(0, 500))
def test_step_is_the_same_as_all_its_multiples(every: int, announced: int, count: int) -> None:
    listed = Milestones(range(every, 1001, every), None)

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
