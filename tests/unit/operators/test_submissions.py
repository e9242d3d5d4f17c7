"""The operators for submissions: what they return, in which order, and what their log says of people."""

from __future__ import annotations

import pytest

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.operators.submissions import (
    ProlificApproveSubmissionsOperator,
    ProlificListSubmissionsOperator,
    _reason_against,
)

URL = "https://api.prolific.com/api/v1/submissions/"
PERSON = "5f0000000000000000000001"


def row(submission_id, status="APPROVED", started_at="2026-03-01T09:00:00Z", **fields):
    return {"id": submission_id, "participant_id": PERSON, "status": status, "started_at": started_at, **fields}


@pytest.fixture
def listed(api, run):
    """List these rows, and return the ids of what comes."""

    def list_submissions(*rows, **arguments):
        api.get(URL, json={"results": list(rows), "meta": {"count": len(rows)}})
        return [each["id"] for each in run(ProlificListSubmissionsOperator, study_id="s1", **arguments)]

    return list_submissions


class TestList:
    def test_all_are_returned_whatever_their_status(self, listed):
        assert listed(row("u1"), row("u2", "RETURNED"), row("u3", "NEW STATUS")) == ["u1", "u2", "u3"]

    def test_or_those_of_some_statuses_in_any_spelling_whatever_the_server_filters(self, api, listed):
        rows = (row("u1"), row("u2", "AWAITING_REVIEW"), row("u3", "awaiting review"), row("u4", "TIMED-OUT"))

        assert listed(*rows, statuses=["Awaiting_Review", "timed out"]) == ["u2", "u3", "u4"]
        assert "status" not in api.requests[0].params

    @pytest.mark.parametrize("statuses", [None, "None"])
    def test_statuses_that_are_rendered_to_nothing_are_all(self, listed, statuses):
        assert listed(row("u1"), row("u2", "RETURNED"), statuses=statuses) == ["u1", "u2"]

    def test_they_are_ordered_by_their_start_and_then_by_their_id(self, listed):
        rows = (
            row("u5", started_at="2026-03-01T09:00:01Z"),
            row("u4", started_at="2026-03-01T09:00:00.250Z"),  # written longer, but not later than the one before
            row("u3"),
            row("u2"),
            row("u1", started_at="2026-03-01T10:30:00+02:00"),
            row("u0", started_at=None),
        )

        assert listed(*rows) == ["u0", "u1", "u2", "u3", "u4", "u5"]

    def test_the_log_has_numbers_by_status_and_nobody(self, listed, run):
        listed(row("u1"), row("u2", "RETURNED"), row("u3", "awaiting_review"), row("u4"), statuses=["APPROVED"])

        assert run.log == [
            "info: Study s1 has 4 submissions (2 APPROVED, 1 AWAITING REVIEW, 1 RETURNED); 2 of them are listed"
        ]

    def test_a_study_without_submissions_is_an_empty_list(self, listed, run):
        assert listed() == []
        assert run.log == ["info: Study s1 has 0 submissions (none); 0 of them are listed"]

    def test_a_status_cannot_forge_a_line_of_the_log(self, listed, run):
        listed(row("u1", "APPROVED\n2026 ERROR \x1b[31mforged" + "x" * 900))

        assert run.log[0].isprintable()
        assert len(run.log[0]) < 200

    def test_a_study_that_does_not_exist_is_an_error(self, api, run):
        api.get(URL, status=404)

        with pytest.raises(ProlificApiError):
            run(ProlificListSubmissionsOperator, study_id="s1")

    def test_a_part_of_them_is_an_error(self, api, run):
        api.get(URL, json={"results": [row("u1")], "meta": {"count": 2}})

        with pytest.raises(ProlificResponseError, match="a partial list is not used"):
            run(ProlificListSubmissionsOperator, study_id="s1")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [({"study_id": ""}, r"^study_id must be an id"), ({"statuses": []}, r"^statuses must have at least one")],
        ids=str,
    )
    def test_a_bad_argument_is_refused_while_the_dag_is_parsed(self, arguments, words):
        with pytest.raises(ProlificValueError, match=words):
            ProlificListSubmissionsOperator(task_id="list", **{"study_id": "s1", **arguments})


class TestWhoMayBeApproved:
    """The rows as production sends them; what follows from them is shown in ``tests/integration/test_approvals.py``."""

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"status": "AWAITING REVIEW", "is_complete": True}, None),
            ({"status": "awaiting_review", "is_complete": True, "study_code": "DONE."}, None),
            ({"status": "AWAITING REVIEW", "is_complete": True, "study_code": None, "completed_at": None}, None),
            ({"status": "AWAITING REVIEW", "completed_at": "2026-03-01T09:05:00Z"}, None),
            ({"status": "APPROVED", "is_complete": False, "study_code": "NOCODE"}, None),
            ({"status": "AWAITING REVIEW", "is_complete": False, "study_code": "DONE"}, "not complete"),
            ({"status": "AWAITING REVIEW", "completed_at": None}, "not complete"),
            ({"status": "AWAITING REVIEW"}, "not complete"),
            ({"status": "AWAITING REVIEW", "is_complete": True, "study_code": "nocode."}, "without a completion code"),
            ({"status": "AWAITING REVIEW", "is_complete": True, "return_requested": "2026"}, "with a return request"),
            ({"status": "PARTIALLY_APPROVED", "is_complete": True}, "PARTIALLY APPROVED"),
            ({"status": "NEW STATUS", "is_complete": True}, "NEW STATUS"),
        ],
    )
    def test_what_is_against_it(self, fields, reason):
        against = _reason_against({"id": "u1", **fields})

        assert against is None if reason is None else against.startswith(reason)


class TestApproveArguments:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"submission_ids": [""]}, "submission_ids"),
            ({"submission_ids": "u1"}, "submission_ids"),
            ({"on_ineligible": "ignore"}, "on_ineligible"),
            ({"max_submissions": -1}, "max_submissions"),
            ({"max_submissions": "many"}, "max_submissions"),
        ],
    )
    def test_a_bad_argument_is_refused_while_the_dag_is_parsed(self, arguments, words):
        arguments = {"study_id": "s1", "submission_ids": ["u1"], **arguments}

        with pytest.raises(ProlificValueError, match=words):
            ProlificApproveSubmissionsOperator(task_id="approve", **arguments)
