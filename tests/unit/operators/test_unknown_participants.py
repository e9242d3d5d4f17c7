"""Which of many participants Prolific does not know: found by halving, with few requests, and all others added."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError
from airflow_provider_prolific.operators.unknown_participants import (
    MAX_UNKNOWN_IN_A_CHUNK,
    add_known_participants,
    describe_positions,
    is_unknown_participant,
)


class Hook:
    """Adds participants as Prolific does: a chunk with one that it does not know is refused as a whole."""

    def __init__(self, unknown=()):
        self.unknown = set(unknown)
        self.added = set()
        self.requests = 0

    def add_participants(self, participant_group_id, participant_ids):
        for start in range(0, len(participant_ids), 500):
            chunk = participant_ids[start : start + 500]
            self.requests += 1
            if self.unknown & set(chunk):
                raise ProlificApiError("refused", status_code=400, error_code=140003)
            self.added |= set(chunk)


def ids(count, first=1):
    return [f"p{number}" for number in range(first, first + count)]


class TestAdd:
    def test_who_is_known_is_added_in_one_request_for_each_chunk(self):
        hook = Hook()

        assert add_known_participants(hook, "g1", ids(1200)) == []
        assert hook.added == set(ids(1200))
        assert hook.requests == 3

    def test_nobody_is_added_without_a_request(self):
        hook = Hook()

        assert add_known_participants(hook, "g1", []) == []
        assert hook.requests == 0

    @pytest.mark.parametrize("unknown", [[1], [500], [250, 251], [1, 2, 499, 500], [501], [7, 507, 1200]])
    def test_all_others_are_added_and_the_unknown_ones_returned(self, unknown):
        unknown = [f"p{number}" for number in unknown]
        hook = Hook(unknown)

        assert sorted(add_known_participants(hook, "g1", ids(1200))) == sorted(unknown)
        assert hook.added == set(ids(1200)) - set(unknown)

    @given(st.sets(st.integers(1, 60), max_size=12), st.integers(0, 60))
    def test_so_it_is_for_any_list(self, unknown, count):
        hook = Hook(f"p{number}" for number in unknown)

        assert set(add_known_participants(hook, "g1", ids(count))) == hook.unknown & set(ids(count))
        assert hook.added == set(ids(count)) - hook.unknown

    @pytest.mark.parametrize("count", [1, 2, 3, 10, 40, 50])
    def test_each_unknown_one_costs_few_requests(self, count):
        chooser = random.Random(count)
        for _ in range(20):
            hook = Hook(chooser.sample(ids(500), count))
            add_known_participants(hook, "g1", ids(500))
            assert hook.requests <= 2 * count * math.log2(500)

    def test_a_chunk_with_too_many_is_given_up_in_words(self):
        hook = Hook(ids(MAX_UNKNOWN_IN_A_CHUNK + 1))

        with pytest.raises(ProlificError, match=r"^more than 50 of 500 participants are unknown to Prolific"):
            add_known_participants(hook, "g1", ids(500))

    def test_as_many_as_that_are_found(self):
        hook = Hook(ids(MAX_UNKNOWN_IN_A_CHUNK))

        assert len(add_known_participants(hook, "g1", ids(500))) == MAX_UNKNOWN_IN_A_CHUNK

    @pytest.mark.parametrize("requests", [1, 2, 5])
    def test_another_error_ends_it(self, requests):
        class Closed(Hook):
            def add_participants(self, participant_group_id, participant_ids):
                super().add_participants(participant_group_id, participant_ids)
                if self.requests >= requests:
                    raise ProlificApiError("closed", status_code=403)

        with pytest.raises(ProlificApiError, match="closed"):
            add_known_participants(Closed(ids(1, first=7)), "g1", ids(10))

    def test_nobody_is_taken_for_unknown_who_is_accepted_alone(self):
        class Moody(Hook):
            def add_participants(self, participant_group_id, participant_ids):
                super().add_participants(participant_group_id, participant_ids)
                if self.requests <= 2:
                    raise ProlificApiError("refused", status_code=400, error_code=140003)

        assert add_known_participants(Moody(), "g1", ids(8)) == []


class TestWhichErrors:
    @pytest.mark.parametrize(
        "error",
        [
            ProlificApiError("refused (error_code 140003)", status_code=400, error_code=140003),
            ProlificApiError("refused: participant_ids: *** is unknown", status_code=400),
        ],
    )
    def test_a_refusal_with_the_number_or_with_an_id(self, error):
        assert is_unknown_participant(error)

    @pytest.mark.parametrize(
        "error",
        [
            ProlificApiError("refused: the group is full", status_code=400),
            ProlificApiError("refused: ***", status_code=403),
            ProlificApiError("away: ***", status_code=503),
            ProlificError("***"),
        ],
    )
    def test_no_other_one(self, error):
        assert not is_unknown_participant(error)


class TestPositions:
    def test_they_are_those_of_the_list_as_it_was_given(self):
        assert describe_positions(["b", "c"], iter(["a", "b", "a", "c", "b"])) == "positions 2, 4, 5"

    def test_one_of_them(self):
        assert describe_positions(["b"], ["a", "b"]) == "position 2"

    def test_a_hundred_are_shown(self):
        assert describe_positions(ids(103), ids(103)).endswith(" 99, 100 and 3 more")
