"""The wait for a publication: what ends it, and when a draft is believed to be one."""

from __future__ import annotations

import inspect
import json

import pytest

from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.waiting.publishing import DRAFT_LOOKS, PublishWait
from airflow_provider_prolific.waiting.studies import StudyWait


def answer(status, **fields):
    return {"id": "s1", "name": "Screener", "internal_name": "screener v2", "status": status, **fields}, {}


def test_an_equal_wait_is_made_from_the_arguments_after_json():
    arguments = PublishWait("s1", asked=True, refusal="no money").arguments()

    assert PublishWait(**json.loads(json.dumps(arguments))).arguments() == arguments
    assert set(arguments) == set(inspect.signature(PublishWait).parameters)


@pytest.mark.parametrize(
    "arguments", [{"study_id": ""}, {"study_id": "s1", "asked": 1}, {"study_id": "s1", "refusal": ""}]
)
def test_arguments_that_cannot_be_right_are_refused(arguments):
    with pytest.raises(ProlificValueError):
        PublishWait(**arguments)


def test_it_asks_what_other_waits_for_the_study_ask():
    assert PublishWait("s1").question() == StudyWait("s1").question()


@pytest.mark.parametrize("status", ["ACTIVE", "PAUSED", "AWAITING REVIEW", "awaiting_review", "COMPLETED"])
def test_a_published_study_ends_it(status):
    wait = PublishWait("s1")

    statuses = wait.judge(answer(status))

    assert wait.is_over(statuses)
    assert wait.confirm(statuses) == statuses


@pytest.mark.parametrize("status", ["PUBLISHING", "PROCESSING", "UNKNOWN", "NEW STATUS"])
def test_a_study_that_is_on_its_way_is_waited_for_however_long(status):
    wait = PublishWait("s1")

    assert not any(wait.is_over(wait.judge(answer(status))) for _ in range(2 * DRAFT_LOOKS))


def test_another_study_does_not_end_it():
    assert not PublishWait("s2").opens(PublishWait("s1").judge(answer("ACTIVE")))


def test_a_draft_is_believed_to_be_one_at_the_third_look_in_a_row():
    wait = PublishWait("s1")
    for status in ("UNPUBLISHED", "UNPUBLISHED", "PUBLISHING", "UNPUBLISHED", "UNPUBLISHED"):
        assert not wait.is_over(wait.judge(answer(status)))

    with pytest.raises(ProlificError, match=r"^study 'screener v2' \(s1\) has not been published") as failure:
        wait.judge(answer("UNPUBLISHED"))

    assert not failure.value.transient


def test_a_study_that_somebody_has_scheduled_meanwhile_ends_it_as_an_error():
    with pytest.raises(ProlificError, match="scheduled by somebody else"):
        PublishWait("s1").judge(answer("SCHEDULED"))


def test_people_read_the_status():
    wait = PublishWait("s1")

    assert wait.describe(wait.judge(answer("PUBLISHING"))) == "study 'screener v2' is PUBLISHING"
    assert wait.last_growth(None, wait.judge(answer("PUBLISHING"))) is None
