"""Submissions: all of them or an error, in one set of field names, without what nobody needs to know of a person."""

from __future__ import annotations

import json

import pytest

from airflow_provider_prolific.exceptions import ProlificResponseError, ProlificValueError
from airflow_provider_prolific.hooks.prolific import ProlificHook

URL = "https://api.prolific.com/api/v1/submissions/"
COUNTS_URL = "https://api.prolific.com/api/v1/studies/s1/submissions/counts/"
PERSON = "5f0000000000000000000001"
#: The same submission, as a listing shows it and as it is shown alone.
ROW = {
    "id": "u1",
    "participant_id": PERSON,
    "status": "AWAITING REVIEW",
    "started_at": "2026-03-01T09:00:00Z",
    "completed_at": "2026-03-01T09:10:00Z",
    "study_code": "C1",
    "return_requested": None,
    "has_siblings": False,
    "reward": 15_000,
    "ip": "192.0.2.7",
}
DETAIL = {
    "id": "u1",
    "participant": PERSON,
    "status": "AWAITING REVIEW",
    "started_at": "2026-03-01T09:00:00Z",
    "completed_at": "2026-03-01T09:10:00Z",
    "entered_code": "C1",
    "study_id": "s1",
    "return_requested": None,
    "bonus_payments": [],
    "reward": 150,
    "ip": "192.0.2.7",
}


def row(number, **fields):
    return ROW | {"id": f"u{number}"} | fields


@pytest.fixture
def hook(connection):
    with ProlificHook(connection, max_retries=0) as hook:
        yield hook


@pytest.fixture
def lists(api):
    """Answer the next page with these rows; the last such answer stays."""
    return lambda *rows, **page: api.get(URL, json={"results": list(rows), **page})


class TestFieldNames:
    def test_they_are_the_same_from_both_endpoints(self, api, hook, lists):
        lists(ROW, meta={"count": 1})
        api.get(f"{URL}u1/", json=DETAIL)
        [listed] = hook.list_submissions("s1")

        alone = hook.get_submission("u1")

        common = ("id", "participant_id", "status", "started_at", "completed_at", "study_code", "study_id")
        assert [listed[name] for name in common] == [alone[name] for name in common]
        assert set(alone) - set(listed) == {"bonus_payments"}
        assert set(listed) - set(alone) == {"has_siblings"}

    def test_the_address_of_the_person_and_the_reward_of_doubtful_unit_are_dropped(self, api, hook, lists):
        lists(ROW, meta={"count": 1})
        api.get(f"{URL}u1/", json=DETAIL)

        for submission in (*hook.list_submissions("s1"), hook.get_submission("u1")):
            assert not {"ip", "reward"} & set(submission)


class TestList:
    def test_those_of_one_study_are_asked_for_page_by_page_whatever_their_status(self, api, hook, lists):
        lists(row(1), row(2))
        lists(row(2), row(3))
        api.get(URL, status=404)

        assert [submission["id"] for submission in hook.list_submissions("s1")] == ["u1", "u2", "u3"]
        assert [request.params for request in api.requests] == [
            {"study": "s1", "page": str(number), "page_size": "100"} for number in (1, 2, 3)
        ]

    def test_a_part_is_an_error(self, hook, lists):
        lists(row(1), meta={"count": 2})

        with pytest.raises(ProlificResponseError, match="a partial list is not used"):
            hook.list_submissions("s1")

    @pytest.mark.parametrize("field", ["study_id", "study"])
    def test_a_submission_of_another_study_is_a_permanent_error(self, hook, lists, field):
        lists(row(1), row(2, **{field: "s2"}))

        with pytest.raises(
            ProlificResponseError,
            match=r"^the filter was ignored: study 's1' was asked for, but a submission of 's2' came",
        ) as failure:
            hook.list_submissions("s1")

        assert failure.value.transient is False

    @pytest.mark.parametrize("fields", [{}, {"study_id": None}, {"study_id": "s1"}, {"study": "s1"}], ids=str)
    def test_the_study_is_named_whether_the_row_names_it_or_not(self, hook, lists, fields):
        lists(row(1, **fields), meta={"count": 1})

        assert [submission["study_id"] for submission in hook.list_submissions("s1")] == ["s1"]

    def test_submissions_of_the_parts_of_a_study_belong_to_it(self, hook, lists):
        lists(row(1, study_id="s1-women", parent_study_id="s1"), meta={"count": 1})

        assert [submission["study_id"] for submission in hook.list_submissions("s1")] == ["s1-women"]

    @pytest.mark.parametrize("bad", [{"id": None}, {"id": ""}, {"status": None}, {"status": 7}], ids=str)
    def test_a_row_without_id_or_status_spoils_the_list_and_nobody_is_named(self, hook, lists, bad):
        lists(row(1), ROW | bad)

        with pytest.raises(
            ProlificResponseError, match=r"^the answer has a submission without an id or a status \(200 from "
        ) as failure:
            hook.list_submissions("s1")

        assert PERSON not in str(failure.value)

    @pytest.mark.parametrize("page", [{"submissions": [ROW]}, [ROW], {"results": [ROW], "meta": {"count": "1"}}])
    def test_no_error_quotes_an_answer(self, api, hook, page):
        api.get(URL, json=page)

        with pytest.raises(ProlificResponseError) as failure:
            hook.list_submissions("s1")

        assert PERSON not in str(failure.value)


class TestGet:
    @pytest.mark.parametrize("submission_id", ["", "u1/transition", None])
    def test_what_is_not_an_id_is_refused(self, api, hook, submission_id):
        with pytest.raises(ProlificValueError, match=r"^submission_id must be an id"):
            hook.get_submission(submission_id)

    @pytest.mark.parametrize("answer", [{}, [DETAIL], None, {"participant": PERSON}], ids=str)
    def test_an_answer_without_id_or_status_is_an_error_that_names_nobody(self, api, hook, answer):
        api.get(f"{URL}u1/", json=answer)

        with pytest.raises(ProlificResponseError) as failure:
            hook.get_submission("u1")

        assert PERSON not in str(failure.value)

    def test_an_answer_that_is_not_json_is_not_quoted_either(self, api, hook):
        api.get(f"{URL}u1/", body=f"<html>{PERSON}</html>")

        with pytest.raises(ProlificResponseError) as failure:
            hook.get_submission("u1")

        assert PERSON not in str(failure.value)


class TestCounts:
    def test_statuses_are_spelled_in_one_way(self, api, hook):
        api.get(COUNTS_URL, json={"AWAITING_REVIEW": 4, "Timed-Out": 2, "screened out": 1, "NEW": 3, "TOTAL": 10})

        assert hook.count_submissions("s1") == {
            "AWAITING REVIEW": 4,
            "TIMED-OUT": 2,
            "SCREENED OUT": 1,
            "NEW": 3,
            "TOTAL": 10,
        }

    def test_numbers_that_come_with_a_fraction_of_nothing_are_whole(self, api, hook):
        api.get(COUNTS_URL, json={"APPROVED": 7.0, "TOTAL": 7.0})

        assert repr(hook.count_submissions("s1")) == "{'APPROVED': 7, 'TOTAL': 7}"

    @pytest.mark.parametrize(
        "answer",
        [
            *({}, [], None, "7", {"results": []}, {"APPROVED": -1}, {"APPROVED": 7.5}, {"APPROVED": "7"}),
            *({"APPROVED": True}, {"APPROVED": None}, {"APPROVED": 7, "TOTAL": {}}),
        ],
        ids=str,
    )
    def test_what_is_not_whole_counts_is_a_temporary_error(self, api, hook, answer):
        api.get(COUNTS_URL, json=answer)

        with pytest.raises(ProlificResponseError, match=r"^the answer has no whole counts: ") as failure:
            hook.count_submissions("s1")

        assert failure.value.transient is True


class TestApprove:
    @pytest.fixture
    def approved(self, api, lists):
        """Answer with two submissions and with an approval; return the bodies of the approvals."""
        lists(row(1), row(2), meta={"count": 2})
        api.post(f"{URL}bulk-approve/", body="a text that is not JSON", status=200)
        return lambda: [json.loads(request.body) for request in api.requests if request.method == "POST"]

    def test_the_ids_are_sent_each_once(self, hook, approved):
        assert hook.approve_submissions("s1", ["u2", "u1", "u2"]) is None
        assert approved() == [{"submission_ids": ["u2", "u1"]}]

    def test_one_of_another_study_keeps_all_from_being_sent(self, hook, approved):
        with pytest.raises(
            ProlificValueError, match=r"1 of 2 submissions do not belong to study 's1': \['u9'\]; nothing"
        ):
            hook.approve_submissions("s1", ["u1", "u9"])
        assert approved() == []

    def test_none_is_nothing_to_do(self, api, hook):
        hook.approve_submissions("s1", [])

        assert not api.requests

    @pytest.mark.parametrize("ids", ["u1", {"u1": "u1"}, None, ["u1", 2], ["a/b"]], ids=repr)
    def test_what_is_not_a_list_of_ids_is_refused(self, api, hook, ids):
        with pytest.raises(ProlificValueError, match=r"submission_ids"):
            hook.approve_submissions("s1", ids)
        assert not api.requests

    def test_an_unclear_answer_is_asked_again_for_approving_twice_pays_once(self, api, connection, pauses, lists):
        lists(row(1), meta={"count": 1})
        api.post(f"{URL}bulk-approve/", status=502)
        api.post(f"{URL}bulk-approve/", json="accepted")

        with ProlificHook(connection) as hook:
            hook.approve_submissions("s1", ["u1"])

        assert [request.method for request in api.requests] == ["GET", "POST", "POST"]
