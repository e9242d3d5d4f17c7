"""
Approving over real HTTP: who is listed and eligible is approved once, whatever is killed, lost or contended for.

A task retry is a second `execute` of the same operator. `kill -9` hits a process of its own.
"""

import multiprocessing
import threading
from collections.abc import Callable
from typing import Any

import pytest
from kills import run_killed

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError, ProlificValueError
from airflow_provider_prolific.operators import submissions as module
from airflow_provider_prolific.operators.submissions import ProlificApproveSubmissionsOperator

PEOPLE = 5


@pytest.fixture(autouse=True)
def _quick(prolific: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    prolific.set(approval_seconds=0.05)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)


@pytest.fixture
def study_id(prolific: Emulator) -> str:
    return prolific.create_study("Screener", status="ACTIVE", completion_codes=[_code("DONE")])


@pytest.fixture
def ids(prolific: Emulator, study_id: str) -> list[str]:
    """People who have handed in."""
    return hand_in(prolific, study_id, PEOPLE)


def _code(code: str) -> dict[str, Any]:
    return {"code": code, "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}


def hand_in(prolific: Emulator, study_id: str, count: int = 1, **fields: Any) -> list[str]:
    fields = {"study_code": "DONE", "is_complete": True, **fields}
    return prolific.add_submissions(study_id, fields.pop("status", "AWAITING REVIEW"), count, **fields)


def approve(study_id: str, ids: list[str], **arguments: Any) -> Any:
    arguments = {"poke_interval": 0.02, "timeout": 20, **arguments}
    return ProlificApproveSubmissionsOperator(
        task_id="approve", study_id=study_id, submission_ids=ids, **arguments
    ).execute({})


def approved(prolific: Emulator, study_id: str) -> list[str]:
    return [each["id"] for each in prolific.submissions(study_id, "APPROVED")]


def sent(prolific: Emulator) -> int:
    """Return how many requests to approve reached Prolific."""
    return sum("/bulk-approve/" in request["path"] for request in prolific.requests())


class TestWhoIsApproved:
    def test_those_who_are_listed_and_nobody_else(self, prolific: Emulator, study_id: str, ids: list[str]) -> None:
        result = approve(study_id, ids[:3])

        assert sorted(approved(prolific, study_id)) == sorted(ids[:3])
        assert result == {
            "study_id": study_id,
            "submission_count": 3,
            "approved_count": 3,
            "skipped_count": 0,
            "counts": {"APPROVED": 3},
        }

    def test_a_second_run_sends_nothing(self, prolific: Emulator, study_id: str, ids: list[str]) -> None:
        first = approve(study_id, ids)
        prolific.clear_requests()

        assert approve(study_id, ids) == first
        assert sent(prolific) == 0

    def test_nobody_is_nothing_to_do(self, prolific: Emulator, study_id: str) -> None:
        prolific.clear_requests()

        assert approve(study_id, [])["approved_count"] == 0
        assert prolific.request_count() == 0

    def test_one_of_another_study_is_an_error_and_nothing_is_sent(
        self, prolific: Emulator, study_id: str, ids: list[str]
    ) -> None:
        other = hand_in(prolific, prolific.create_study("Other", status="ACTIVE"))

        with pytest.raises(
            ProlificValueError, match=r"1 of 6 submissions do not belong to study .*; nothing was approv"
        ):
            approve(study_id, ids + other)
        assert approved(prolific, study_id) == []

    def test_more_than_was_allowed_is_an_error_and_nothing_is_sent(
        self, prolific: Emulator, study_id: str, ids: list[str]
    ) -> None:
        with pytest.raises(ProlificError, match=r"5 submissions are more than max_submissions \(4\); nothing was appr"):
            approve(study_id, ids, max_submissions=4)
        assert sent(prolific) == 0


INELIGIBLE: dict[str, tuple[Callable[[Emulator, str], list[str]], str]] = {
    "returned": (lambda prolific, study: hand_in(prolific, study, status="RETURNED"), "1 RETURNED"),
    "timed out": (lambda prolific, study: hand_in(prolific, study, status="TIMED-OUT"), "1 TIMED-OUT"),
    "still at it": (lambda prolific, study: hand_in(prolific, study, status="ACTIVE", is_complete=False), "1 ACTIVE"),
    "no code": (lambda prolific, study: hand_in(prolific, study, study_code="NOCODE"), "1 without a completion code"),
    "a dot behind": (lambda prolific, study: hand_in(prolific, study, study_code="NOCODE."), "1 without a completion"),
    "not complete": (lambda prolific, study: hand_in(prolific, study, is_complete=False), "1 not complete"),
}


class TestEligibility:
    @pytest.mark.parametrize("kind", INELIGIBLE)
    def test_one_who_is_not_is_an_error_with_numbers_and_nothing_is_sent(
        self, prolific: Emulator, study_id: str, ids: list[str], kind: str
    ) -> None:
        make, reason = INELIGIBLE[kind]
        other = make(prolific, study_id)

        with pytest.raises(
            ProlificError, match=rf"1 of 6 submissions cannot be approved: {reason}.*nothing was approved"
        ):
            approve(study_id, ids + other)
        assert approved(prolific, study_id) == []

    @pytest.mark.parametrize("kind", INELIGIBLE)
    def test_one_who_is_not_can_be_left_out(self, prolific: Emulator, study_id: str, ids: list[str], kind: str) -> None:
        other = INELIGIBLE[kind][0](prolific, study_id)

        result = approve(study_id, ids + other, on_ineligible="skip")

        assert sorted(approved(prolific, study_id)) == sorted(ids)
        assert (result["approved_count"], result["skipped_count"]) == (5, 1)

    def test_one_whose_return_was_requested_is_not(self, prolific: Emulator, study_id: str, ids: list[str]) -> None:
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with ProlificHook() as hook:
            hook.request(
                "POST",
                f"/api/v1/submissions/{ids[0]}/request-return/",
                json={"request_return_reasons": ["Withdrew consent"]},
            )

        with pytest.raises(ProlificError, match="1 with a return request"):
            approve(study_id, ids)

    def test_one_who_has_just_come_to_the_last_page_is_waited_for(
        self, prolific: Emulator, study_id: str, ids: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LOOK_SECONDS", 1)
        prolific.set_submission(ids[0], status="ACTIVE")
        hand_in_soon = threading.Timer(0.5, prolific.set_submission, (ids[0],), {"status": "AWAITING REVIEW"})
        hand_in_soon.start()

        assert approve(study_id, ids)["approved_count"] == 5
        hand_in_soon.join()


class TestTrouble:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_killed_around_any_request_and_between_chunks_a_retry_comes_to_the_same_end(
        self, prolific: Emulator, monkeypatch: pytest.MonkeyPatch, when: Any
    ) -> None:
        monkeypatch.setattr(module, "CHUNK_SIZE", 2)
        kills, was_killed = 0, True
        while was_killed:
            prolific.reset()
            prolific.set(approval_seconds=0.05)
            study_id = prolific.create_study("Screener", status="ACTIVE", completion_codes=[_code("DONE")])
            ids = hand_in(prolific, study_id, PEOPLE)
            others = hand_in(prolific, study_id, 2)

            was_killed = run_killed(lambda: approve(study_id, ids), at=kills + 1, when=when)  # noqa: B023
            kills += was_killed

            assert approve(study_id, ids)["approved_count"] == PEOPLE
            assert sorted(approved(prolific, study_id)) == sorted(ids)
            assert {prolific.submissions(study_id, "AWAITING REVIEW")[n]["id"] for n in (0, 1)} == set(others)
        assert kills >= 7  # a listing, three chunks with their listings, and the looks

    @pytest.mark.parametrize("fault", ["lost_answer", "truncate", "disconnect"])
    @pytest.mark.parametrize("others", ["skip", "refuse"])
    def test_a_lost_answer_approves_nobody_twice_and_forgets_nobody(
        self, prolific: Emulator, study_id: str, ids: list[str], fault: str, others: str
    ) -> None:
        prolific.set(bulk_approve_others=others)
        prolific.add_fault(fault, path="bulk-approve", count=1)

        assert approve(study_id, ids)["approved_count"] == 5
        assert sorted(approved(prolific, study_id)) == sorted(ids)

    def test_the_wallet_that_another_payment_occupies_is_waited_for(
        self, prolific: Emulator, study_id: str, ids: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prolific.set(contention=True, approval_seconds=1)
        monkeypatch.setattr(module, "CHUNK_SIZE", 2)

        assert approve(study_id, ids)["approved_count"] == 5
        assert 429 in {request["status"] for request in prolific.requests()}

    @pytest.mark.parametrize("others", ["skip", "refuse"])
    def test_two_tasks_at_once_come_to_the_same_end(
        self, prolific: Emulator, study_id: str, ids: list[str], others: str
    ) -> None:
        prolific.set(bulk_approve_others=others)
        tasks = [multiprocessing.get_context("fork").Process(target=approve, args=(study_id, ids)) for _ in range(2)]
        for task in tasks:
            task.start()
        for task in tasks:
            task.join(60)

        assert [task.exitcode for task in tasks] == [0, 0]
        assert sorted(approved(prolific, study_id)) == sorted(ids)

    def test_one_whom_another_task_has_approved_meanwhile_is_no_reason_to_refuse_the_others(
        self, prolific: Emulator, study_id: str, ids: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        prolific.set(bulk_approve_others="refuse")
        send = ProlificHook.approve_submissions

        def send_late(hook: ProlificHook, study_id: str, submission_ids: list[str]) -> None:
            if len(submission_ids) == PEOPLE:
                prolific.set_submission(ids[0], status="APPROVED")
            send(hook, study_id, submission_ids)

        monkeypatch.setattr(ProlificHook, "approve_submissions", send_late)

        assert approve(study_id, ids)["approved_count"] == 5

    def test_a_refusal_that_has_another_reason_is_raised(
        self, prolific: Emulator, study_id: str, ids: list[str]
    ) -> None:
        prolific.add_fault("status", path="bulk-approve", status=400, detail="No.")

        with pytest.raises(ProlificApiError, match="No"):
            approve(study_id, ids)

    def test_what_has_not_settled_in_time_is_said(self, prolific: Emulator, study_id: str, ids: list[str]) -> None:
        prolific.set(approval_seconds=600)

        with pytest.raises(ProlificError, match=r"5 of 5 submissions have not settled \(5 AWAITING REVIEW\)"):
            approve(study_id, ids, timeout=0.1)

    def test_one_who_returns_meanwhile_is_told_of(self, prolific: Emulator, study_id: str, ids: list[str]) -> None:
        prolific.set(approval_seconds=2)
        returns_soon = threading.Timer(0.5, prolific.set_submission, (ids[0],), {"status": "RETURNED"})
        returns_soon.start()

        result = approve(study_id, ids)

        returns_soon.join()
        assert result["counts"] == {"APPROVED": 4, "RETURNED": 1}


DAG_FILE = """
from __future__ import annotations
from datetime import datetime
from typing import Any
try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.decorators import task
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.submissions import (
    ProlificApproveSubmissionsOperator,
    ProlificListSubmissionsOperator,
)

STUDY_ID = "64d000000000000000000001"

with DAG("approvals", schedule=None, start_date=datetime(2026, 1, 1)) as dag:

    @task
    def passes_quality_check(submissions: list[dict[str, Any]]) -> list[str]:
        return [submission["id"] for submission in submissions if submission["study_code"] == "DONE"]

    submissions = ProlificListSubmissionsOperator(
        task_id="submissions",
        study_id=STUDY_ID,
        statuses=["AWAITING REVIEW", "APPROVED"],
    )
    approve = ProlificApproveSubmissionsOperator(
        task_id="approve",
        study_id=STUDY_ID,
        submission_ids=passes_quality_check(submissions.output),
        max_submissions=200,
        on_ineligible="skip",
        pool="prolific_wallet",
        deferrable=True,
    )
"""


def test_deferred_it_settles_in_the_triggerer(
    prolific: Emulator, study_id: str, ids: list[str], run_dag: Callable[..., Any]
) -> None:
    prolific.set(approval_seconds=1)
    others = hand_in(prolific, study_id, study_code="OTHER")

    quick = "deferrable=True, poke_interval=0.2, timeout=300"
    run = run_dag(DAG_FILE.replace("64d000000000000000000001", study_id).replace("deferrable=True", quick))

    assert run.state == "success"
    assert run.xcom("approve")["approved_count"] == 5
    assert sorted(approved(prolific, study_id)) == sorted(ids)
    assert [each["id"] for each in prolific.submissions(study_id, "AWAITING REVIEW")] == others
