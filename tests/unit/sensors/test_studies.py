"""The sensors of studies and submissions: their arguments, and that every mode ends alike with the same value.

The rules that they share with other waits are shown in tests/unit/waiting.
"""

from __future__ import annotations

import inspect
from datetime import timedelta

import pytest
from waits import MODES

from airflow_provider_prolific.exceptions import ProlificError, ProlificStalledError, ProlificValueError
from airflow_provider_prolific.sensors.studies import ProlificStudySensor, ProlificSubmissionSensor
from airflow_provider_prolific.triggers.studies import ProlificStudyTrigger, ProlificSubmissionTrigger
from airflow_provider_prolific.version_compat import AirflowSensorTimeout
from airflow_provider_prolific.waiting import sensor as rules

SENSORS = (ProlificStudySensor, ProlificSubmissionSensor)
STUDY_URL = "https://api.prolific.com/api/v1/studies/s1/"
COUNTS_URL = f"{STUDY_URL}submissions/counts/"
SUBMISSIONS_URL = "https://api.prolific.com/api/v1/submissions/"

#: One value of each argument that is not its default, and one that is refused.
ARGUMENTS = {
    "study_id": ("s2", "a/b", r"^study_id must be an id"),
    "statuses": (["COMPLETED"], [], r"^statuses must have at least one status"),
    "target_count": (7, 0, r"^target_count must be a whole number"),
    "if_ended": ("return", "wait", r"^if_ended must be 'fail' or 'return'"),
    "wait_for_publish": (True, "maybe", r"^wait_for_publish must be True or False"),
    "fail_on_paused": (True, "maybe", r"^fail_on_paused must be True or False"),
}
EACH_ARGUMENT = [(kind, name) for kind in SENSORS for name in kind.checks]


@pytest.fixture(autouse=True)
def _short_second_look(monkeypatch):
    monkeypatch.setattr(rules, "SECOND_LOOK_SECONDS", 0.01)


@pytest.fixture
def studies(api):
    """Answer the next looks at the study with these statuses; the last one stays."""

    def answer(*statuses, **fields):
        for status in statuses:
            api.get(
                STUDY_URL,
                json={"id": "s1", "name": "Screener", "status": status, "total_available_places": 30, **fields},
            )

    return answer


@pytest.fixture
def counts(api):
    """Answer the next looks at the submissions with so many that are approved; the last one stays."""

    def answer(*approved):
        for number in approved:
            api.get(COUNTS_URL, json={"APPROVED": number, "RETURNED": 40, "TOTAL": number + 40})

    return answer


def study_sensor(**arguments):
    return ProlificStudySensor(task_id="wait", **{"study_id": "s1", **arguments})


def submission_sensor(**arguments):
    return ProlificSubmissionSensor(task_id="wait", **{"study_id": "s1", **arguments})


class TestArguments:
    @pytest.mark.parametrize("kind", SENSORS)
    def test_all_are_keyword_only_and_templated(self, kind):
        parameters = [*inspect.signature(kind.__init__).parameters.values()][1:-1]

        assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}
        assert {parameter.name for parameter in parameters} == set(kind.template_fields)

    @pytest.mark.parametrize(("kind", "name"), EACH_ARGUMENT)
    def test_a_bad_one_is_refused_while_the_dag_is_parsed(self, kind, name):
        _, bad, words = ARGUMENTS[name]

        with pytest.raises(ProlificValueError, match=words):
            kind(task_id="wait", **{"study_id": "s1", name: bad})

    @pytest.mark.parametrize(("kind", "name"), EACH_ARGUMENT)
    def test_one_that_is_bad_once_it_is_rendered_is_refused_in_the_same_words(self, api, connection, kind, name):
        _, bad, words = ARGUMENTS[name]
        task = kind(task_id="wait", **{"study_id": "s1", name: "{{ x }}"})
        setattr(task, name, bad)

        with pytest.raises(ProlificValueError, match=words):
            task.execute({})
        assert not api.requests

    @pytest.mark.parametrize(("kind", "name"), EACH_ARGUMENT)
    def test_each_reaches_what_is_waited_for(self, kind, name):
        good, _, _ = ARGUMENTS[name]

        assert kind(task_id="wait", **{"study_id": "s1", name: good}).wait().arguments()[name] == good

    @pytest.mark.parametrize("kind", SENSORS)
    def test_the_defaults_are_those_of_what_is_waited_for(self, kind):
        assert kind(task_id="wait", study_id="s1").wait().arguments() == kind.wait_class("s1").arguments()

    def test_a_sensor_as_documented_counts_to_its_target_and_takes_what_there_is(self):
        enough = ProlificSubmissionSensor(
            task_id="enough_submissions",
            study_id="64d000000000000000000001",
            target_count=30,
            if_ended="return",
            stalled_after=timedelta(hours=2),
            deferrable=True,
        )

        assert (enough.wait().target_count, enough.wait().if_ended, enough.stalled_after) == (30, "return", 7200)

    @pytest.mark.parametrize("rendered", ["None", "none", None])
    def test_a_target_that_is_rendered_to_nothing_is_all_places(self, rendered):
        task = submission_sensor(target_count="{{ params.target }}")
        task.target_count = rendered

        assert task.wait().target_count is None

    @pytest.mark.parametrize("kind", SENSORS)
    def test_statuses_that_a_template_made_text_of_are_not_waited_for_in_vain(self, kind):
        task = kind(task_id="wait", study_id="s1", statuses="{{ params.statuses }}")
        task.statuses = "['APPROVED', 'COMPLETED']"

        with pytest.raises(ProlificValueError, match=r"^a status of statuses must be letters"):
            task.wait()

    @pytest.mark.parametrize(
        ("make", "trigger"),
        [(study_sensor, ProlificStudyTrigger), (submission_sensor, ProlificSubmissionTrigger)],
        ids=["study", "submissions"],
    )
    def test_a_deferred_wait_is_handed_to_its_trigger_with_all_arguments(
        self, studies, counts, connection, defer, make, trigger
    ):
        studies("ACTIVE")
        counts(1)
        task = make(deferrable=True, wait_for_publish=True)

        handed_over = defer(task).trigger

        assert type(handed_over) is trigger
        assert handed_over.arguments == task.wait().arguments()


@pytest.mark.parametrize("mode", MODES)
class TestStudySensor:
    def test_it_ends_with_the_same_value(self, studies, connection, run_in, mode):
        studies("PUBLISHING", "ACTIVE", "PROCESSING", "COMPLETED", places_taken=30, internal_name="screener v2")

        assert run_in(mode, study_sensor, timeout=10) == [
            {
                "id": "s1",
                "name": "Screener",
                "internal_name": "screener v2",
                "status": "COMPLETED",
                "total_available_places": 30,
                "places_taken": 30,
            }
        ]

    def test_a_study_that_is_filled_for_a_moment_does_not_end_it(self, api, studies, connection, run_in, mode):
        studies("AWAITING REVIEW", "ACTIVE", "AWAITING REVIEW", "ACTIVE", "COMPLETED")

        [study] = run_in(mode, study_sensor, timeout=10)

        assert study["status"] == "COMPLETED"
        assert len(api.requests) == 5

    def test_a_study_that_stays_filled_ends_it(self, api, studies, connection, run_in, mode):
        studies("ACTIVE", "AWAITING REVIEW")

        [study] = run_in(mode, study_sensor, timeout=10)

        assert study["status"] == "AWAITING REVIEW"
        assert len(api.requests) == 3

    def test_a_draft_is_an_error_at_once(self, api, studies, connection, run_in, mode):
        studies("UNPUBLISHED")

        with pytest.raises(ProlificError, match=r"is not published: publish it first"):
            run_in(mode, study_sensor, timeout=30)
        assert len(api.requests) == 1

    def test_a_draft_can_be_waited_for(self, studies, connection, run_in, mode):
        studies("UNPUBLISHED", "SCHEDULED", "COMPLETED")

        assert run_in(mode, study_sensor, timeout=10, wait_for_publish=True)[0]["status"] == "COMPLETED"

    def test_a_study_whose_publishing_was_refused_is_an_error(self, studies, connection, run_in, mode):
        studies("PUBLISHING", "UNPUBLISHED")

        with pytest.raises(ProlificError, match=r"is not published"):
            run_in(mode, study_sensor, timeout=30)

    def test_a_pause_ends_it_where_that_is_asked(self, studies, connection, run_in, mode):
        studies("ACTIVE", "PAUSED")

        with pytest.raises(ProlificError, match=r"is paused: start it again"):
            run_in(mode, study_sensor, timeout=30, fail_on_paused=True)

    @pytest.mark.parametrize("looks", [0, 1])
    def test_a_study_that_does_not_exist_is_an_error_at_once(self, api, studies, connection, run_in, mode, looks):
        studies(*["ACTIVE"] * looks)
        api.get(STUDY_URL, status=404)

        with pytest.raises(ProlificError, match=r"^this does not exist, .*404 from GET /api/v1/studies/s1/"):
            run_in(mode, study_sensor, timeout=30)
        assert len(api.requests) == looks + 1

    def test_a_wait_in_which_nobody_comes_ends_as_stalled(self, api, studies, connection, run_in, mode):
        studies("ACTIVE", places_taken=12)
        api.get(SUBMISSIONS_URL, json={"results": [], "meta": {"count": 0}})

        with pytest.raises(ProlificStalledError, match=r"study 'Screener' is ACTIVE, 12 of 30 places taken$"):
            run_in(mode, study_sensor, timeout=30, stalled_after=0.3)


class TestPause:
    def test_it_is_warned_of_once_as_long_as_it_lasts(self, studies, connection, record_log):
        log = record_log(ProlificStudySensor)
        studies("PAUSED", "PAUSED", "PAUSED", "ACTIVE", "PAUSED", "COMPLETED")

        study_sensor(poke_interval=0.1).execute({})

        assert [line for line in log.of_level("warning") if "cannot be called outside" not in line] == [
            "warning: study 'Screener' is paused: nobody can take part until somebody starts it again"
        ] * 2


@pytest.mark.parametrize("mode", MODES)
class TestSubmissionSensor:
    def test_it_ends_with_the_same_value(self, studies, counts, connection, run_in, mode):
        studies("ACTIVE")
        counts(3, 29, 25, 31)

        assert run_in(mode, submission_sensor, timeout=10) == [
            {
                "id": "s1",
                "name": "Screener",
                "status": "ACTIVE",
                "submission_count": 31,
                "target_count": 30,
                "counts": {"APPROVED": 31, "RETURNED": 40, "TOTAL": 71},
                "reached": True,
            }
        ]

    def test_a_look_is_two_requests(self, api, studies, counts, connection, run_in, mode):
        studies("ACTIVE")
        counts(30)

        run_in(mode, submission_sensor)

        assert [request.url for request in api.requests] == [STUDY_URL, COUNTS_URL]

    def test_a_study_that_is_completed_with_fewer_is_an_error_at_once(self, studies, counts, connection, run_in, mode):
        studies("ACTIVE", "COMPLETED")
        counts(12)

        with pytest.raises(ProlificError, match=r"is completed with 12 of 30 submissions in "):
            run_in(mode, submission_sensor, timeout=30, soft_fail=True)

    def test_or_ends_it_with_what_there_is(self, studies, counts, connection, run_in, mode):
        studies("ACTIVE", "COMPLETED")
        counts(12)

        [study] = run_in(mode, submission_sensor, timeout=10, if_ended="return")

        assert (study["submission_count"], study["target_count"], study["reached"]) == (12, 30, False)

    def test_a_time_out_says_what_is_short(self, studies, counts, connection, run_in, mode):
        studies("AWAITING REVIEW")
        counts(12)

        with pytest.raises(
            AirflowSensorTimeout, match=r": study 'Screener' \(AWAITING REVIEW\) has 12 of 30 submissions \(40%\)$"
        ):
            run_in(mode, submission_sensor)

    def test_a_study_that_does_not_exist_is_an_error_at_once_also_under_soft_fail(self, api, connection, run_in, mode):
        api.get(STUDY_URL, status=404)

        with pytest.raises(ProlificError, match=r"^this does not exist, .*404 from GET /api/v1/studies/s1/"):
            run_in(mode, submission_sensor, timeout=30, soft_fail=True)

    def test_a_wait_in_which_too_few_hand_in_ends_as_stalled(self, api, studies, counts, connection, run_in, mode):
        studies("ACTIVE")
        counts(12)
        # People begin and return: for those that count it stands still all the same.
        began = {"id": "u1", "status": "RETURNED", "started_at": "2100-01-01T00:00:00Z"}
        api.get(SUBMISSIONS_URL, json={"results": [began], "meta": {"count": 1}})

        with pytest.raises(ProlificStalledError, match=r"has 12 of 30 submissions \(40%\)$"):
            run_in(mode, submission_sensor, timeout=30, stalled_after=0.3)
