"""Growth and membership, with a clock that the test turns."""

from __future__ import annotations

import pytest

from airflow_provider_prolific.emulator.errors import ApiError
from airflow_provider_prolific.emulator.groups import (
    format_datetime,
    is_known_participant,
    synthetic_participant_id,
)
from airflow_provider_prolific.emulator.seed import load_seed
from airflow_provider_prolific.emulator.state import Scope, State

START = 1_750_000_000.0


def grow(state, **fields):
    [group] = state.create_groups(1, "Growing", workspace_id="64a000000000000000000001", **fields)
    return group


def count_now(state, group):
    return state.group(group.id).participant_count


@pytest.mark.parametrize(("seconds", "count"), [(0, 0), (0.49, 0), (0.5, 1), (0.99, 1), (10, 20), (59.9, 119)])
def test_a_group_grows_by_its_rate(state, clock, seconds, count):
    group = grow(state, growth_per_second=2, growth_limit=120)
    clock.now += seconds
    assert count_now(state, group) == count


def test_growth_stops_at_the_limit(state, clock):
    group = grow(state, growth_per_second=2, growth_limit=120)
    clock.now += 1000
    assert count_now(state, group) == 120


def test_the_limit_counts_all_members_and_not_only_the_grown_ones(state, clock):
    group = grow(state, participant_count=44, growth_per_second=1, growth_limit=50)
    clock.now += 1000
    assert count_now(state, group) == 50


def test_growth_goes_on_from_the_moment_at_which_a_full_group_has_room(state, clock):
    group = grow(state, growth_per_second=1, growth_limit=3)
    clock.now += 1000
    state.group(group.id).resize(2, clock.now)
    assert count_now(state, group) == 2
    clock.now += 1
    assert count_now(state, group) == 3


def test_a_count_is_reached_at_its_exact_moment_however_late_somebody_looks(state, clock):
    group = grow(state, participant_count=10, growth_per_second=4)
    clock.now += 100.1
    assert group.reached_at(13, clock.now) == START + 0.75
    assert group.reached_at(410, clock.now) == START + 100
    assert group.reached_at(411, clock.now) is None


def test_what_a_group_began_with_was_reached_at_its_creation(state, clock):
    group = grow(state, participant_count=10)
    clock.now += 5
    assert group.reached_at(10, clock.now) == START
    assert group.reached_at(11, clock.now) is None


def test_the_first_time_counts_also_when_the_group_shrinks_and_grows_again(state, clock):
    group = grow(state)
    group.add(["5f0000000000000000000001"], START + 1)
    group.remove(["5f0000000000000000000001"], START + 2)
    group.add(["5f0000000000000000000001"], START + 3)
    assert group.reached_at(1, START + 4) == START + 1


def test_who_is_added_again_keeps_the_moment_of_joining(state):
    group = grow(state)
    group.add(["5f0000000000000000000001"], START + 1)
    group.add(["5f0000000000000000000001", "5f0000000000000000000002"], START + 2)
    assert list(group.members().values()) == [START + 1, START + 2]


def test_a_deleted_group_stands_still(state, clock):
    group = grow(state, growth_per_second=1)
    clock.now += 2
    state.set_deleted(group, True)
    clock.now += 100
    assert count_now(state, group) == 2
    state.set_deleted(group, False)
    clock.now += 1
    assert count_now(state, group) == 3


def test_counting_and_naming_the_members_agree(state, clock):
    group = grow(state, participant_count=5, growth_per_second=1)
    clock.now += 3
    count = count_now(state, group)
    members = group.members()
    assert len(members) == count == 8
    assert list(members.values()) == sorted(members.values())


def test_the_same_seed_has_the_same_members_in_every_run(state):
    again = State(load_seed(None), lambda: START + 999)
    group_id = "64e000000000000000000002"
    assert list(state.group(group_id).members()) == list(again.group(group_id).members())


def test_shrinking_lets_the_newest_go_and_new_members_are_new_people(state, clock):
    group = grow(state, participant_count=3)
    group.resize(1, clock.now)
    group.resize(2, clock.now)
    assert list(group.members()) == [synthetic_participant_id(group.id, number) for number in (1, 4)]


def test_made_up_members_are_known_participants():
    assert all(is_known_participant(synthetic_participant_id("g", number)) for number in range(100))


@pytest.mark.parametrize("participant_id", ["ffff00000000000000000000", "", "5f", "5F0000000000000000000001", "x" * 24])
def test_an_unknown_participant_is_refused_by_its_id(state, participant_id):
    with pytest.raises(ApiError) as refused:
        state.check_participants([participant_id])
    assert refused.value.error_code == 140003


def test_a_moment_on_the_full_second_is_written_without_a_fraction():
    assert format_datetime(START) == "2025-06-15T15:06:40Z"
    assert format_datetime(START + 0.25) == "2025-06-15T15:06:40.250000Z"


def test_a_listing_follows_creation_deletion_and_return(state):
    scope = Scope("workspace_id", "64a000000000000000000002")
    assert len(state.list_groups(scope, True)) == 2
    [group] = state.create_groups(1, "New", workspace_id=scope.id)
    assert group in state.list_groups(scope, True)
    state.set_deleted(group, True)
    assert group not in state.list_groups(scope, True)
    assert state.list_groups(scope, False) == [group]
    state.set_deleted(group, False)
    assert group in state.list_groups(scope, True)


def test_reset_forgets_everything_that_happened(state, clock):
    group = grow(state)
    state.settings = state.settings.model_copy(update={"paging": "none"})
    state.revoked_tokens.add("emulator-token")
    clock.now += 60
    state.reset()
    assert group.id not in state.groups
    assert state.settings.paging == "full"
    assert state.user_of("emulator-token") is not None
    assert state.group("64e000000000000000000001").participant_count == 0
