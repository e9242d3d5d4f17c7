"""How people take part in studies, with a clock that the test turns."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_prolific.emulator import life
from airflow_provider_prolific.emulator.groups import synthetic_participant_id
from airflow_provider_prolific.emulator.models import Recruitment
from airflow_provider_prolific.emulator.study_models import StudyFields

ALLOWED = "64e000000000000000000002"  # "Wave 1 completed", 40 people
EMPTY = "64e000000000000000000003"  # "Wave 2 invited"


@pytest.fixture
def begin(state):
    """Create a study that recruits one person a second, from now on."""

    def create(**fields):
        fields = {"name": "A study", "status": "ACTIVE", "arrivals_per_second": 1, "total_available_places": 5} | fields
        return state.create_study(StudyFields(**fields))

    return create


@pytest.fixture
def after(state, clock):
    """Let so many seconds pass, and return what became of a study's submissions."""

    def wait(seconds, study):
        clock.now += seconds
        state.now()
        return +study.counts

    return wait


def code(text="DONE", *actions, **fields):
    return {"code": text, "code_type": "COMPLETED", "actions": list(actions), **fields}


def adding(group_id, action="ADD_TO_PARTICIPANT_GROUP"):
    return {"action": action, "participant_group": group_id}


def allowlist(*group_ids, kind="participant_group_allowlist"):
    return {"filter_id": kind, "selected_values": list(group_ids)}


class TestArrivals:
    @pytest.mark.parametrize(("seconds", "count"), [(0, 0), (0.9, 0), (1, 1), (3.5, 3), (1000, 5)])
    def test_people_come_at_the_rate_until_all_places_are_taken(self, begin, after, seconds, count):
        study = begin()
        after(seconds, study)
        assert len(study.submissions) == count

    def test_a_moment_is_exact_however_late_somebody_looks(self, begin, after, state):
        study = begin(arrivals_per_second=4, seconds_taken=1.5)
        after(1000, study)
        first = next(iter(study.submissions.values()))
        assert (first.started_at, first.completed_at) == (state.started_at + 0.25, state.started_at + 1.75)

    def test_looking_often_changes_nothing(self, begin, after, state):
        shares = {"returned": 0.2, "timed_out": 0.1, "late": 0.1, "no_code": 0.1}
        seldom, often = (begin(total_available_places=50, **shares) for _ in range(2))
        often.id = seldom.id  # chance depends on it
        for _ in range(400):
            after(0.5, often)

        def course(study):
            return [(each.status, each.started_at, each.completed_at) for each in study.submissions.values()]

        assert course(often) == course(seldom)

    @pytest.mark.parametrize("status", ["UNPUBLISHED", "SCHEDULED", "PAUSED", "COMPLETED", "AWAITING REVIEW"])
    def test_nobody_comes_to_a_study_that_is_not_active(self, begin, after, status):
        study = begin(status=status)
        assert not after(100, study)

    def test_a_paused_study_lets_people_finish_and_nobody_in(self, begin, after, state):
        study = begin(seconds_taken=10)
        after(2, study)
        study.phase = "PAUSED"
        assert after(20, study) == {"AWAITING REVIEW": 2}
        state.life.open(study, state.now())
        assert after(1, study) == {"AWAITING REVIEW": 2, "ACTIVE": 1}

    def test_another_rate_holds_from_the_moment_at_which_it_is_set(self, begin, after, state):
        study = begin(arrivals_per_second=0.001)
        after(10, study)
        study.recruitment = Recruitment(arrivals_per_second=1)
        state.life.restart_arrivals(study, state.now())
        assert after(2, study) == {"ACTIVE": 2}

    def test_everybody_is_somebody_else_and_the_same_in_each_run(self, begin, after):
        study = begin()
        after(100, study)
        expected = [synthetic_participant_id(study.id, number) for number in range(1, 6)]
        assert [each.participant_id for each in study.submissions.values()] == expected

    def test_people_stop_coming_where_there_is_no_room_for_submissions(self, begin, after, monkeypatch):
        monkeypatch.setattr(life, "MAX_SUBMISSIONS", 500)
        study = begin(returned=1, arrivals_per_second=10_000, seconds_taken=0)
        after(1_000_000, study)
        assert len(study.submissions) < 500


class TestWays:
    @pytest.mark.parametrize(
        ("share", "seconds", "status"),
        [("returned", 3, "RETURNED"), ("timed_out", 7, "TIMED-OUT"), ("no_code", 3, "AWAITING REVIEW")],
    )
    def test_a_share_ends_otherwise_after_its_time(self, begin, after, share, seconds, status):
        study = begin(seconds_taken=3, seconds_to_time_out=7, total_available_places=1, **{share: 1})
        assert after(1 + seconds - 0.01, study)["ACTIVE"] == 1
        assert after(0.01, study)[status] == 1

    def test_who_has_no_code_says_so_and_gets_into_no_group(self, begin, after, state):
        study = begin(no_code=1, completion_codes=[code("DONE", adding(EMPTY))])
        after(100, study)
        assert {each.study_code for each in study.submissions.values()} == {"NOCODE"}
        assert state.group(EMPTY).participant_count == 0

    def test_shares_hold_on_average(self, begin, after):
        study = begin(total_available_places=2000, arrivals_per_second=100, no_code=0.25)
        after(1000, study)
        codes = Counter(each.study_code for each in study.submissions.values())
        assert codes["NOCODE"] == pytest.approx(500, abs=60)

    def test_people_enter_codes_in_shares_and_the_completed_one_for_the_rest(self, begin, after):
        codes = [{**code("OUT"), "code_type": "SCREENED_OUT"}, code("IN")]
        study = begin(
            total_available_places=1000, arrivals_per_second=100, completion_codes=codes, code_shares={"OUT": 0.3}
        )
        after(1000, study)
        counts = Counter(each.study_code for each in study.submissions.values())
        assert counts == {"OUT": pytest.approx(300, abs=50), "IN": pytest.approx(700, abs=50)}

    def test_another_people_seed_brings_other_ends(self, begin, after):
        fields = {"total_available_places": 30, "returned": 0.5}
        ends = []
        for seed in (1, 2):
            study = begin(people_seed=seed, **fields)
            after(1000, study)
            ends.append([each.status for each in study.submissions.values()])
        assert ends[0] != ends[1]


class TestPlaces:
    @pytest.mark.parametrize("share", ["returned", "timed_out"])
    def test_a_place_that_becomes_free_is_taken_again(self, begin, after, share):
        study = begin(total_available_places=20, **{share: 0.4})
        after(1000, study)
        assert study.counts["AWAITING REVIEW"] == 20
        assert len(study.submissions) > 20

    def test_a_study_is_filled_for_the_moment_only(self, begin, after):
        study = begin(total_available_places=1, returned=1, seconds_taken=5)
        after(1, study)
        assert study.status == "AWAITING REVIEW"
        after(5, study)
        assert study.status == "ACTIVE"

    @pytest.mark.parametrize(("late_return", "count"), [("always", 2), ("if_free", 1)])
    def test_who_comes_back_late_may_find_the_place_taken(self, begin, after, state, late_return, count):
        state.settings.late_return = late_return
        study = begin(total_available_places=1, late=1, seconds_to_time_out=5, seconds_late=5)
        after(6, study)
        study.recruitment.late = 0
        assert after(100, study)["AWAITING REVIEW"] == count

    def test_who_comes_back_late_finishes_where_the_place_is_free(self, begin, after):
        study = begin(total_available_places=1, late=1, seconds_to_time_out=5, seconds_late=5)
        after(1, study)
        study.recruitment.arrivals_per_second = 0
        assert after(5, study) == {"TIMED-OUT": 1}
        assert after(5, study) == {"AWAITING REVIEW": 1}


class TestStatus:
    def test_a_published_study_is_publishing_for_a_moment(self, begin, after, state):
        state.settings.publishing_seconds = 2
        study = begin(status="UNPUBLISHED")
        state.life.publish(study, state.now())
        after(1.9, study)
        assert (study.status, len(study.submissions)) == ("PUBLISHING", 0)
        after(1.2, study)
        assert (study.status, len(study.submissions)) == ("ACTIVE", 1)

    def test_it_is_completed_only_when_all_places_are_approved(self, begin, after, state):
        study = begin(total_available_places=2)
        after(100, study)
        first, second = study.submissions.values()
        state.life.move(first, "APPROVED", state.now())
        assert study.status == "AWAITING REVIEW"
        state.life.move(second, "APPROVED", state.now())
        assert study.status == "COMPLETED"

    @pytest.mark.parametrize("stopped_status", ["AWAITING REVIEW", "COMPLETED"])
    def test_a_stopped_study_may_await_review_or_not(self, begin, after, state, stopped_status):
        state.settings.stopped_status = stopped_status
        study = begin()
        after(3, study)
        state.life.stop(study)
        after(100, study)
        assert study.status == stopped_status
        for submission in study.submissions.values():
            state.life.move(submission, "APPROVED", state.now())
        assert study.status == "COMPLETED"

    @pytest.mark.parametrize("outcome", ["ACTIVE", "AWAITING REVIEW", "PAUSED"])
    @pytest.mark.parametrize("status", ["REJECTED", "RETURNED"])
    def test_what_a_reject_or_a_return_does_to_a_filled_study_is_a_setting(self, begin, after, state, outcome, status):
        state.settings.after_reject = outcome
        study = begin()
        after(100, study)
        state.life.move(next(iter(study.submissions.values())), status, state.now())
        assert study.status == outcome
        assert after(100, study)["AWAITING REVIEW"] == (5 if outcome == "ACTIVE" else 4)

    @pytest.mark.parametrize("outcome", ["ACTIVE", "AWAITING REVIEW", "PAUSED"])
    def test_a_reject_leaves_a_study_alone_that_still_has_places(self, begin, after, state, outcome):
        state.settings.after_reject = outcome
        study = begin(seconds_taken=0.5)
        after(3.7, study)
        state.life.move(next(iter(study.submissions.values())), "REJECTED", state.now())
        assert study.status == "ACTIVE"

    def test_whoever_awaits_review_for_21_days_is_approved(self, begin, after):
        study = begin()
        after(20 * 86400, study)
        assert study.status == "AWAITING REVIEW"
        assert after(2 * 86400, study) == {"APPROVED": 5}


class TestCodes:
    def test_a_code_adds_to_a_group_at_the_moment_of_finishing(self, begin, after, state):
        study = begin(completion_codes=[code("DONE", adding(EMPTY))], seconds_taken=4)
        after(100, study)
        people = [each.participant_id for each in study.submissions.values()]
        members = state.group(EMPTY).members()
        assert list(members) == people
        assert list(members.values()) == [state.started_at + number + 4 for number in range(1, 6)]
        assert state.group(EMPTY).reached_at(3, state.now()) == state.started_at + 7

    def test_a_code_removes_from_a_group(self, begin, after, state):
        before = list(state.group(ALLOWED).members())
        study = begin(
            filters=[allowlist(ALLOWED)],
            completion_codes=[code("DONE", adding(ALLOWED, "REMOVE_FROM_PARTICIPANT_GROUP"), adding(EMPTY))],
        )
        after(100, study)
        assert list(state.group(ALLOWED).members()) == before[5:]
        assert list(state.group(EMPTY).members()) == before[:5]

    def test_a_code_approves(self, begin, after):
        study = begin(completion_codes=[code("DONE", {"action": "AUTOMATICALLY_APPROVE"})])
        assert after(100, study) == {"APPROVED": 5}

    def test_a_code_asks_for_a_return(self, begin, after, state):
        study = begin(completion_codes=[code("DONE", {"action": "REQUEST_RETURN", "return_reason": "No"})])
        after(12, study)
        assert next(iter(study.submissions.values())).return_requested == state.started_at + 11

    @pytest.mark.parametrize("is_shown", [True, False])
    def test_a_code_screens_out_for_a_smaller_pay_until_the_slots_are_used(self, begin, after, state, is_shown):
        state.settings.screen_out_as_bonus = is_shown
        action = {"action": "FIXED_SCREEN_OUT_PAYMENT", "fixed_screen_out_reward": 20, "slots": 3}
        study = begin(completion_codes=[code("OUT", action)], seconds_taken=0.1)
        assert after(100, study) == {"SCREENED OUT": 3}
        assert (study.status, study.rewards.rewards) == ("PAUSED", 60)
        assert next(iter(study.submissions.values())).bonus_payments == ([20] if is_shown else [])

    def test_a_group_whose_growth_is_set_by_hand_is_left_alone(self, begin, after, state):
        state.group(EMPTY).is_by_hand = True
        after(100, begin(completion_codes=[code("DONE", adding(EMPTY))]))
        assert state.group(EMPTY).participant_count == 0

    def test_the_seeds_screener_fills_its_group(self, state, clock):
        group_id = "64e000000000000000000001"
        clock.now += 31
        assert state.group(group_id).participant_count == 60
        clock.now += 1000
        assert state.group(group_id).participant_count == 120
        [feeder] = state.group_json(state.group(group_id))["feeder_studies"]
        assert (feeder["internal_name"], feeder["status"]) == ("Screener", "AWAITING REVIEW")


class TestAllowlists:
    def test_only_members_come_as_they_joined(self, begin, after, state):
        study = begin(filters=[allowlist(ALLOWED)], total_available_places=100)
        after(1000, study)
        assert list(study.people) == list(state.group(ALLOWED).members())
        assert study.status == "ACTIVE"

    @pytest.mark.parametrize(("late_members", "count"), [(True, 42), (False, 40)])
    def test_whether_members_that_join_later_may_come_is_a_setting(self, begin, after, state, late_members, count):
        state.settings.late_members = late_members
        study = begin(filters=[allowlist(ALLOWED)], total_available_places=100)
        after(1000, study)
        for number in range(2):
            state.group(ALLOWED).join(f"5f{number:022x}", state.now())
        state.life.group_changed(ALLOWED, state.now())
        after(1000, study)
        assert len(study.people) == count

    def test_people_whom_growth_brings_come(self, begin, after, state):
        study = begin(filters=[allowlist(EMPTY)])
        state.group(EMPTY).set_growth(0.1, None, state.now())
        state.life.group_changed(EMPTY, state.now())
        after(29.9, study)
        assert [each.started_at - state.started_at for each in study.submissions.values()] == [11, 21]

    def test_people_whom_another_study_brings_come(self, begin, after, state):
        main = begin(filters=[allowlist(EMPTY)])
        screener = begin(completion_codes=[code("IN", adding(EMPTY))], total_available_places=3)
        after(100, main)
        assert list(main.people) == list(screener.people)

    def test_several_groups_in_one_filter_are_an_or_and_two_filters_are_an_and(self, begin, after, state):
        third = next(iter(state.group(ALLOWED).members()))
        state.group(EMPTY).join("5f0000000000000000000001", state.now())
        state.group(EMPTY).join(third, state.now())
        either = begin(filters=[allowlist(ALLOWED, EMPTY)], total_available_places=100)
        both = begin(filters=[allowlist(ALLOWED), allowlist(EMPTY)], total_available_places=100)
        after(1000, both)
        assert (len(either.people), list(both.people)) == (41, [third])

    def test_who_took_a_study_before_or_is_on_a_blocklist_does_not_come(self, begin, after, state):
        first = begin(filters=[allowlist(ALLOWED)])
        after(100, first)
        blocked = list(state.group(ALLOWED).members())[6]
        state.group(EMPTY).join(blocked, state.now())
        second = begin(
            filters=[
                allowlist(ALLOWED),
                allowlist(EMPTY, kind="participant_group_blocklist"),
                allowlist(first.id, kind="previous_studies_blocklist"),
            ],
            total_available_places=100,
        )
        after(1000, second)
        assert len(second.people) == 34
        assert not second.people.keys() & {*first.people, blocked}

    def test_an_allowlist_inside_a_filter_set_counts(self, begin, after, state):
        state.filter_sets["f"] = {"filters": [allowlist(ALLOWED)]}
        study = begin(filter_set_id="f", total_available_places=100)
        after(1000, study)
        assert len(study.people) == 40

    def test_a_custom_allowlist_names_the_people(self, begin, after):
        study = begin(filters=[allowlist("5f0000000000000000000001", kind="custom_allowlist")])
        after(1000, study)
        assert list(study.people) == ["5f0000000000000000000001"]


class TestWallet:
    def test_a_study_locks_what_its_places_cost_and_approval_pays_from_it(self, begin, after, state):
        before = state.available("64a000000000000000000001")
        study = begin(reward=100, total_available_places=5)
        one = study.cost_of_a_place.total
        assert state.available(study.workspace_id) == before - 5 * one
        after(100, study)
        balance = state.wallets[study.workspace_id].balance
        state.life.move(next(iter(study.submissions.values())), "APPROVED", state.now())
        assert state.wallets[study.workspace_id].balance == balance - one
        assert state.available(study.workspace_id) == before - 5 * one

    @pytest.mark.parametrize("status", ["REJECTED", "RETURNED", "TIMED-OUT", "SCREENED OUT", "ACTIVE"])
    def test_who_is_not_approved_is_not_paid(self, begin, after, state, status):
        study = begin()
        after(100, study)
        balance = state.wallets[study.workspace_id].balance
        state.life.move(next(iter(study.submissions.values())), status, state.now())
        assert (state.wallets[study.workspace_id].balance, study.rewards.total) == (balance, 0)

    def test_a_stopped_study_locks_what_may_still_have_to_be_paid(self, begin, after, state):
        before = state.available("64a000000000000000000001")
        study = begin()
        after(2, study)
        state.life.stop(study)
        assert state.available(study.workspace_id) == before - 2 * study.cost_of_a_place.total
