"""What waits for studies judge: which status ends a wait, which makes it vain, who counts, and what people are told."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.sensors import studies as sensors
from airflow_provider_prolific.triggers import studies as triggers
from airflow_provider_prolific.waiting.progress import Stall
from airflow_provider_prolific.waiting.studies import StudyWait, SubmissionWait

KINDS = (StudyWait, SubmissionWait)


def study(status="ACTIVE", places=30, **fields):
    return {
        "id": "s1",
        "name": "Screener",
        "internal_name": "screener v2",
        "status": status,
        "total_available_places": places,
        "places_taken": 12,
        "reward": 150,
        **fields,
    }


def answer(status="ACTIVE", counts=None, **fields):
    return study(status, **fields), counts or {}


def submissions(status="ACTIVE", **counts):
    """The statuses of a wait for 30 submissions."""
    return SubmissionWait("s1", 30).judge(answer(status, {name.replace("_", " "): n for name, n in counts.items()}))


class TestBothKinds:
    @pytest.mark.parametrize("wait", [StudyWait("s1"), SubmissionWait("s1", "30")], ids=KINDS)
    def test_an_equal_wait_is_made_from_the_arguments_after_json(self, wait):
        arguments = json.loads(json.dumps(wait.arguments()))

        assert type(wait)(**arguments).arguments() == arguments

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_argument_is_among_them(self, kind):
        assert set(kind("s1").arguments()) == set(inspect.signature(kind).parameters)

    def test_waits_for_one_study_ask_one_question_of_which_the_counts_are_the_broader_answer(self):
        assert StudyWait("s1").question() == SubmissionWait("s1", 7).question() != StudyWait("s2").question()
        assert StudyWait.breadth < SubmissionWait.breadth

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("status", ["SCHEDULED", "PUBLISHING", "PROCESSING", "UNKNOWN", "NEW STATUS", "ACTIVE"])
    def test_a_study_that_is_on_its_way_is_waited_for(self, kind, status):
        wait = kind("s1")

        statuses = wait.judge(answer(status))

        assert wait.is_over(statuses) is False
        assert wait.warning(statuses) is None

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("status", ["UNPUBLISHED", "unpublished"])
    def test_a_study_that_is_not_published_is_a_permanent_error(self, kind, status):
        with pytest.raises(ProlificError, match=r"^study 'screener v2' \(s1\) is not published: publish it") as failure:
            kind("s1").judge(answer(status))

        assert failure.value.transient is False

    @pytest.mark.parametrize("kind", KINDS)
    def test_or_is_waited_for_where_that_is_asked(self, kind):
        wait = kind("s1", wait_for_publish=True)

        assert wait.is_over(wait.judge(answer("UNPUBLISHED"))) is False

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_study_that_is_paused_is_waited_for_with_a_warning(self, kind):
        wait = kind("s1")

        statuses = wait.judge(answer("PAUSED"))

        assert wait.is_over(statuses) is False
        assert wait.warning(statuses) == (
            "study 'Screener' is paused: nobody can take part until somebody starts it again"
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_or_is_a_permanent_error_where_that_is_asked(self, kind):
        with pytest.raises(ProlificError, match=r"^study 'screener v2' \(s1\) is paused: start it again") as failure:
            kind("s1", fail_on_paused=True).judge(answer("PAUSED"))

        assert failure.value.transient is False

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["wait_for_publish", "fail_on_paused"])
    def test_a_switch_is_nothing_but_a_switch(self, kind, name):
        with pytest.raises(ProlificValueError, match=rf"^{name} must be True or False"):
            kind("s1", **{name: "maybe"})

    @pytest.mark.parametrize(
        ("sensor", "trigger", "wait"),
        [
            (sensors.ProlificStudySensor, triggers.ProlificStudyTrigger, StudyWait),
            (sensors.ProlificSubmissionSensor, triggers.ProlificSubmissionTrigger, SubmissionWait),
        ],
    )
    def test_a_kind_of_wait_has_no_rules_of_its_own_but_its_judgement(self, sensor, trigger, wait):
        assert sum(len(inspect.getsource(part).splitlines()) for part in (sensor, trigger, wait)) < 150


class TestStudyWait:
    @pytest.mark.parametrize("status", ["COMPLETED", "completed", " Completed"])
    def test_a_completed_study_ends_it(self, status):
        wait = StudyWait("s1")

        assert wait.is_over(wait.judge(answer(status))) is True

    @pytest.mark.parametrize("spelling", ["AWAITING REVIEW", "awaiting_review", "Awaiting-Review"])
    def test_a_status_that_may_last_for_a_moment_ends_it_at_the_second_look_in_a_row(self, spelling):
        wait = StudyWait("s1")

        looks = [wait.is_over(wait.judge(answer(status))) for status in (spelling, "ACTIVE", spelling, spelling)]

        assert looks == [False, False, False, True]

    def test_a_study_that_is_completed_meanwhile_ends_it_at_once(self):
        wait = StudyWait("s1")

        assert [wait.is_over(wait.judge(answer(status))) for status in ("AWAITING REVIEW", "COMPLETED")] == [
            False,
            True,
        ]

    @pytest.mark.parametrize("status", ["UNPUBLISHED", "PAUSED", "SCHEDULED", "NEW STATUS"])
    def test_any_status_can_be_waited_for_and_is_no_error_and_no_reason_to_warn_then(self, status):
        wait = StudyWait("s1", [status], fail_on_paused=True)

        statuses = wait.judge(answer(status))

        assert wait.is_over(statuses) is True
        assert wait.warning(statuses) is None

    def test_the_status_is_given_in_one_spelling_and_with_the_counters_in_a_fixed_order(self):
        [status] = StudyWait("s1").judge(answer("awaiting_review"))

        assert list(status.items()) == [
            ("id", "s1"),
            ("name", "Screener"),
            ("internal_name", "screener v2"),
            ("status", "AWAITING REVIEW"),
            ("total_available_places", 30),
            ("places_taken", 12),
        ]

    def test_what_the_api_leaves_out_is_null(self):
        wait = StudyWait("s1")

        [status] = wait.judge(({"id": "s1", "status": "ACTIVE"}, {}))

        assert status == dict.fromkeys(wait.keys) | {"id": "s1", "status": "ACTIVE"}
        assert wait.measure(status).text == "study None is ACTIVE"

    def test_people_are_told_how_many_places_are_taken(self):
        wait = StudyWait("s1")

        measure = wait.measure(wait.judge(answer())[0])

        assert (measure.text, measure.count, measure.target) == (
            "study 'screener v2' is ACTIVE, 12 of 30 places taken",
            12,
            30,
        )

    def test_a_stall_at_full_places_says_what_stands_still(self):
        wait = StudyWait("s1", ["COMPLETED"])
        measures = [wait.measure(wait.judge(answer("AWAITING REVIEW", places_taken=30))[0])]
        stall = Stall(60)
        stall.line(measures, 0)

        assert stall.line(measures, 60).endswith(": study 'screener v2' is AWAITING REVIEW, 30 of 30 places taken")

    def test_it_grew_last_when_the_last_person_began(self):
        starts = ["2026-03-01T09:00:00Z", "2026-03-01T09:00:10.5Z", None]
        rows = [{"id": str(n), "status": "RETURNED", "started_at": at} for n, at in enumerate(starts)]

        assert StudyWait("s1").last_growth(HookThatLists(rows), []) == 1772355610.5

    def test_it_never_grew_where_nobody_came(self):
        assert StudyWait("s1").last_growth(HookThatLists([]), []) is None


class HookThatLists:
    """A hook that lists these submissions."""

    def __init__(self, rows):
        self.list_submissions = {"s1": rows}.__getitem__


class TestSubmissionWait:
    def test_it_ends_when_enough_submissions_are_in_its_statuses(self):
        wait = SubmissionWait("s1", 30)

        [short] = wait.judge(answer(counts={"AWAITING REVIEW": 20, "APPROVED": 9, "ACTIVE": 5, "TOTAL": 34}))
        [enough] = wait.judge(answer(counts={"AWAITING REVIEW": 20, "APPROVED": 10, "TOTAL": 30}))

        assert (short["submission_count"], short["reached"], wait.is_over([short])) == (29, False, False)
        assert (enough["submission_count"], enough["reached"], wait.is_over([enough])) == (30, True, True)

    def test_the_statuses_that_count_may_be_others_in_any_spelling(self):
        wait = SubmissionWait("s1", 3, ["screened_out", "Approved"])

        [status] = wait.judge(answer(counts={"AWAITING REVIEW": 20, "APPROVED": 1, "SCREENED OUT": 2}))

        assert status["submission_count"] == 3

    @pytest.mark.parametrize(
        "status", ["TIMED-OUT", "TIMED_OUT", "timed out", "RETURNED", "returned", "TOTAL"], ids=repr
    )
    def test_who_makes_room_for_others_cannot_be_counted(self, status):
        with pytest.raises(ProlificValueError, match=r"^statuses must not have (TIMED-OUT|RETURNED|TOTAL): "):
            SubmissionWait("s1", 30, ["APPROVED", status])

    def test_without_a_target_it_is_all_places_also_if_there_are_more_later(self):
        wait = SubmissionWait("s1")
        counts = {"APPROVED": 30}

        statuses = [wait.judge(answer(counts=counts, places=places)) for places in (30, 40)]

        assert [(status["target_count"], wait.is_over([status])) for [status] in statuses] == [(30, True), (40, False)]

    @pytest.mark.parametrize("places", [None, 0, -1, "30", True, 2.5, []], ids=repr)
    def test_a_study_that_does_not_say_its_places_is_a_temporary_error(self, places):
        with pytest.raises(ProlificResponseError, match=r"^study 's1' came without total_available_places") as failure:
            SubmissionWait("s1").judge(answer(places=places))

        assert failure.value.transient is True

    def test_its_places_do_not_matter_where_there_is_a_target(self):
        [status] = SubmissionWait("s1", 30).judge(answer(places=None))

        assert status["target_count"] == 30

    def test_a_study_that_is_completed_with_fewer_is_a_permanent_error(self):
        with pytest.raises(
            ProlificError,
            match=r"^study 'screener v2' \(s1\) is completed with 12 of 30 submissions in AWAITING REVIEW or APPROVED: "
            r'no more will come; set if_ended="return"',
        ) as failure:
            submissions("COMPLETED", APPROVED=12)

        assert failure.value.transient is False

    def test_or_ends_it_with_what_there_is_where_that_is_asked(self):
        wait = SubmissionWait("s1", 30, if_ended="return")

        statuses = wait.judge(answer("completed", {"APPROVED": 12}))

        assert wait.is_over(statuses) is True
        assert (statuses[0]["submission_count"], statuses[0]["reached"]) == (12, False)

    @pytest.mark.parametrize("status", ["ACTIVE", "AWAITING REVIEW", "PAUSED"])
    def test_a_study_that_may_go_on_does_not_end_it(self, status):
        wait = SubmissionWait("s1", 30, if_ended="return")

        assert wait.is_over(wait.judge(answer(status, {"APPROVED": 12}))) is False

    @pytest.mark.parametrize("status", ["COMPLETED", "PAUSED", "UNPUBLISHED"])
    def test_enough_is_enough_whatever_the_study_does_then(self, status):
        wait = SubmissionWait("s1", 30, fail_on_paused=True)

        statuses = wait.judge(answer(status, {"APPROVED": 30}))

        assert wait.is_over(statuses) is True
        assert wait.warning(statuses) is None

    def test_counts_that_fall_are_judged_as_they_are(self):
        wait = SubmissionWait("s1", 30)

        looks = [wait.is_over(wait.judge(answer(counts={"APPROVED": count}))) for count in (29, 25, 30)]

        assert looks == [False, False, True]

    def test_the_status_holds_all_counts_in_a_fixed_order(self):
        [status] = submissions(APPROVED=1, RETURNED=2)

        assert list(status.items()) == [
            ("id", "s1"),
            ("name", "Screener"),
            ("status", "ACTIVE"),
            ("submission_count", 1),
            ("target_count", 30),
            ("counts", {"APPROVED": 1, "RETURNED": 2}),
            ("reached", False),
        ]

    def test_people_are_told_how_many_count(self):
        wait = SubmissionWait("s1", 30)

        measure = wait.measure(submissions(AWAITING_REVIEW=11, APPROVED=1)[0])

        assert (measure.text, measure.count, measure.target) == (
            "study 'Screener' (ACTIVE) has 12 of 30 submissions (40%)",
            12,
            30,
        )

    def test_the_study_is_read_before_the_counts_which_are_final_then_if_it_is_completed(self):
        asked = []

        class Hook:
            def get_study(self, study_id):
                asked.append(("study", study_id))

            def count_submissions(self, study_id):
                asked.append(("counts", study_id))

        SubmissionWait("s1").ask(Hook())

        assert asked == [("study", "s1"), ("counts", "s1")]

    def test_it_grew_last_when_the_last_one_that_counts_was_handed_in(self):
        rows = [
            {"id": "1", "status": "APPROVED", "started_at": "2026-03-01T08:00Z", "completed_at": "2026-03-01T09:00Z"},
            {"id": "2", "status": "awaiting_review", "completed_at": "2026-03-01T09:00:10Z"},
            {"id": "3", "status": "RETURNED", "completed_at": "2026-03-01T10:00Z"},
            {"id": "4", "status": "ACTIVE", "started_at": "2026-03-01T11:00Z", "completed_at": None},
        ]

        assert SubmissionWait("s1", 30).last_growth(HookThatLists(rows), []) == 1772355610
        assert SubmissionWait("s1", 30, ["ACTIVE"]).last_growth(HookThatLists(rows), []) == 1772362800

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"study_id": "a/b"}, r"^study_id must be an id"),
            ({"target_count": 0}, r"^target_count must be a whole number"),
            ({"statuses": []}, r"^statuses must have at least one status"),
            ({"if_ended": "wait"}, r"^if_ended must be 'fail' or 'return'"),
        ],
        ids=str,
    )
    def test_a_bad_argument_is_refused(self, arguments, words):
        with pytest.raises(ProlificValueError, match=words):
            SubmissionWait(**{"study_id": "s1", **arguments})


ENOUGH = SubmissionWait("s1", 30).judge(answer(counts={"APPROVED": 30}))[0]
FILLED = StudyWait("s1").judge(answer("AWAITING REVIEW"))[0]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats() | st.sampled_from(["s1", "COMPLETED", "ACTIVE"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


class TestConfirm:
    """Nothing but a success of the very wait is taken for one."""

    @pytest.mark.parametrize(("wait", "status"), [(StudyWait("s1"), FILLED), (SubmissionWait("s1", 30), ENOUGH)])
    def test_a_success_is_taken(self, wait, status):
        assert wait.confirm([status]) == [status]

    def test_an_early_end_is_taken_where_it_was_asked_for_only(self):
        early = ENOUGH | {"status": "COMPLETED", "submission_count": 12, "reached": False}

        assert SubmissionWait("s1", 30, if_ended="return").confirm([early]) == [early]
        with pytest.raises(ProlificError):
            SubmissionWait("s1", 30).confirm([early])

    @pytest.mark.parametrize("changes", [{"id": "s2"}, {"status": "ACTIVE"}, {"status": ["COMPLETED"]}], ids=str)
    def test_another_study_or_status_is_an_error(self, changes):
        with pytest.raises(ProlificError, match="not for this wait"):
            StudyWait("s1").confirm([FILLED | changes])

    @pytest.mark.parametrize(
        "changes",
        [
            *({"id": "s2"}, {"submission_count": 29}, {"reached": False}, {"reached": 1}, {"target_count": 29}),
            *({"submission_count": "30"}, {"submission_count": True}, {"target_count": None}),
        ],
        ids=str,
    )
    def test_another_target_or_too_few_submissions_are_an_error(self, changes):
        with pytest.raises(ProlificError, match="not for this wait"):
            SubmissionWait("s1", 30).confirm([ENOUGH | changes])

    @pytest.mark.parametrize(("wait", "status"), [(StudyWait("s1"), FILLED), (SubmissionWait("s1", 30), ENOUGH)])
    @pytest.mark.parametrize("times", [0, 2])
    def test_not_one_status_is_an_error(self, wait, status, times):
        with pytest.raises(ProlificError, match="not for this wait"):
            wait.confirm([status] * times)

    @given(st.lists(st.fixed_dictionaries(dict.fromkeys(ENOUGH, JSON)), max_size=2))
    def test_no_statuses_made_up_are_a_success(self, statuses):
        with pytest.raises(ProlificError):
            SubmissionWait("s1", 30).confirm(statuses)
