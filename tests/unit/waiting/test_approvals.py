"""The wait for approvals: what is pending, what ends it, and what is said of it."""

from __future__ import annotations

import inspect
import json

import pytest

from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.waiting.approvals import ApprovalWait


def answer(*statuses):
    """Return a listing of submissions ``u1``, ``u2``, …, each in its status."""
    return [{"id": f"u{number}", "status": status} for number, status in enumerate(statuses, 1)]


@pytest.fixture
def wait():
    return ApprovalWait("s1", ["u1", "u2"])


def test_an_equal_wait_is_made_from_the_arguments_after_json():
    arguments = ApprovalWait("s1", ["u1", "u2"], ["u2"]).arguments()

    assert ApprovalWait(**json.loads(json.dumps(arguments))).arguments() == arguments
    assert set(arguments) == set(inspect.signature(ApprovalWait).parameters)


def test_arguments_that_cannot_be_right_are_refused():
    with pytest.raises(ProlificValueError):
        ApprovalWait("", ["u1"])


def test_waits_for_one_study_share_one_question_whatever_their_submissions(wait):
    assert wait.question() == ApprovalWait("s1", ["u3"]).question() != ApprovalWait("s2", ["u1"]).question()


@pytest.mark.parametrize("pending", ["AWAITING REVIEW", "awaiting_review", "PROCESSING"])
def test_one_that_is_pending_is_waited_for(wait, pending):
    statuses = wait.judge(answer("APPROVED", pending))

    assert not wait.is_over(statuses)
    assert statuses[0]["pending_count"] == 1


@pytest.mark.parametrize("other", ["APPROVED", "REJECTED", "RETURNED", "PARTIALLY APPROVED", "NEW STATUS"])
def test_whatever_else_has_settled(wait, other):
    statuses = wait.judge(answer("APPROVED", other, "AWAITING REVIEW"))

    assert wait.is_over(statuses)
    assert statuses[0]["counts"] == {status: ["APPROVED", other].count(status) for status in {"APPROVED", other}}


def test_one_that_was_left_out_is_counted_and_not_waited_for():
    wait = ApprovalWait("s1", ["u1", "u2"], left_out=["u2"])

    statuses = wait.judge(answer("APPROVED", "AWAITING REVIEW"))

    assert wait.is_over(statuses)
    assert statuses[0]["counts"] == {"APPROVED": 1, "AWAITING REVIEW": 1}


def test_another_study_does_not_end_it(wait):
    assert not ApprovalWait("s2", ["u1"]).opens(wait.judge(answer("APPROVED", "APPROVED")))


def test_one_that_is_no_longer_listed_is_an_error(wait):
    with pytest.raises(ProlificError, match="1 of 2 submissions are not listed any more"):
        wait.judge(answer("APPROVED"))


def test_people_read_how_many_are_approved_and_what_has_not_settled(wait):
    statuses = wait.judge(answer("APPROVED", "AWAITING REVIEW"))

    assert wait.describe(statuses) == "study 's1' has 1 of 2 submissions approved (50%)"
    assert wait.describe_short(statuses) == "1 of 2 submissions have not settled (1 APPROVED, 1 AWAITING REVIEW)"
    assert wait.last_growth(None, statuses) is None
