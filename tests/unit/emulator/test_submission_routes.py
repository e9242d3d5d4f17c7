"""Submissions, approvals and bonuses, call by call."""

from __future__ import annotations

import pytest

SCREENER = "64d000000000000000000001"
TEMPLATE = "64d000000000000000000005"
MISSING = "66ffffffffffffffffffffff"
MEMORY_LAB = "64a000000000000000000001"
PERSON = "5f0000000000000000000001"
REASON = "The answers to both attention checks were wrong, as the instructions at the beginning had announced them." * 2


@pytest.fixture
def study_id(prolific_emulator):
    return prolific_emulator.create_study("Quiet", status="ACTIVE", reward=100, total_available_places=400)


@pytest.fixture
def add(prolific_emulator, study_id):
    def add_one(status="AWAITING REVIEW", **fields):
        return prolific_emulator.add_submissions(study_id, status, **fields)[0]

    return add_one


@pytest.fixture
def act(api):
    def transition(submission_id, action, **fields):
        return api.post(f"submissions/{submission_id}/transition/", action=action, **fields)

    return transition


@pytest.fixture
def status_of(api):
    def get(submission_id):
        return api.get(f"submissions/{submission_id}/").json()["status"]

    return get


class TestReading:
    def test_a_row_and_the_submission_itself_name_things_differently(self, api, add, study_id):
        submission_id = add(participant_id=PERSON, study_code="DONE.")
        [row] = api.shape(api.get("submissions/", study=study_id), 200, "submissions")["results"]
        alone = api.shape(api.get(f"submissions/{submission_id}/"), 200, "submission")
        assert (row["participant_id"], row["study_code"]) == (alone["participant"], alone["entered_code"])
        assert alone["study_id"] == study_id

    def test_the_reward_of_a_row_is_in_hundredths_of_hundredths(self, api, add, study_id):
        add()
        assert api.get("submissions/", study=study_id).json()["results"][0]["reward"] == 10_000

    def test_siblings_are_submissions_of_one_person(self, api, prolific_emulator, study_id):
        prolific_emulator.add_submissions(study_id, count=2, participant_id=PERSON)
        prolific_emulator.add_submissions(study_id)
        rows = api.get("submissions/", study=study_id).json()["results"]
        assert [row["has_siblings"] for row in rows] == [True, True, False]

    def test_counts_name_every_status_and_all_together(self, api, add, study_id):
        for status in ("ACTIVE", "APPROVED", "APPROVED", "TIMED-OUT", "PARTIALLY APPROVED"):
            add(status)
        counts = api.shape(api.get(f"studies/{study_id}/submissions/counts/"), 200, "counts")
        assert {name: number for name, number in counts.items() if number} == {
            "ACTIVE": 1,
            "APPROVED": 2,
            "TIMED-OUT": 1,
            "PARTIALLY APPROVED": 1,
            "TOTAL": 5,
        }
        assert len(counts) == 10

    def test_a_listing_needs_a_study_unless_that_is_switched_off(self, api, add, prolific_emulator):
        add()
        assert list(api.error(api.get("submissions/"), 400, flat=True)["detail"]) == ["study"]
        prolific_emulator.set(study_required=False)
        assert api.get("submissions/").json()["meta"]["count"] > 40

    @pytest.mark.parametrize("status", ["TIMED-OUT", "timed_out", "awaiting_review"])
    def test_a_status_can_be_asked_for_in_any_spelling(self, api, add, study_id, status):
        for each in ("TIMED-OUT", "AWAITING REVIEW"):
            add(each)
        [row] = api.get("submissions/", study=study_id, status=status).json()["results"]
        assert row["status"][:5].casefold() == status[:5].casefold()

    def test_numbered_pages_of_twenty_hold_everything_once_and_404_is_behind_them(
        self, api, prolific_emulator, study_id
    ):
        ids = prolific_emulator.add_submissions(study_id, count=45)
        pages = [api.get("submissions/", study=study_id, page=number).json()["results"] for number in (1, 2, 3)]
        assert [row["id"] for page in pages for row in page] == ids
        api.error(api.get("submissions/", study=study_id, page=4), 404)

    def test_a_studys_own_listing_pages_by_offset(self, api, prolific_emulator, study_id):
        ids = prolific_emulator.add_submissions(study_id, count=45)
        url = f"studies/{study_id}/submissions/"
        assert len(api.get(url).json()["results"]) == 20
        page = api.shape(api.get(url, limit=200, offset=40), 200, "submissions")
        assert ([row["id"] for row in page["results"]], page["meta"]["count"]) == (ids[40:], 45)
        assert [row["id"] for row in api.get(url, ordering="-started_at", limit=200).json()["results"]] == ids[::-1]

    @pytest.mark.parametrize("path", ["", "submissions/", "submissions/counts/"])
    def test_what_another_user_owns_is_not_found(self, api, add, study_id, path):
        submission_id = add()
        api.session.headers["Authorization"] = "Token colleague-token"
        api.error(api.get(f"studies/{study_id}/{path}"), 404)
        api.error(api.get("submissions/", study=study_id), 404)
        api.error(api.get(f"submissions/{submission_id}/"), 404)


class TestTransitions:
    @pytest.mark.parametrize(
        ("status", "action", "result"),
        [
            ("AWAITING REVIEW", "APPROVE", "APPROVED"),
            ("APPROVED", "APPROVE", "APPROVED"),
            ("ACTIVE", "RETURN", "RETURNED"),
            ("RESERVED", "START", "ACTIVE"),
            ("AWAITING REVIEW", "SCREEN_OUT", "SCREENED OUT"),
            ("REJECTED", "UNREJECT", "AWAITING REVIEW"),
            ("RETURNED", "UNRETURN", "AWAITING REVIEW"),
        ],
    )
    def test_an_action_leads_on(self, api, act, add, status, action, result):
        assert api.shape(act(add(status), action), 200, "submission")["status"] == result

    @pytest.mark.parametrize(
        ("status", "action"), [("TIMED-OUT", "APPROVE"), ("REJECTED", "APPROVE"), ("APPROVED", "RETURN")]
    )
    def test_an_action_that_does_not_fit_is_refused(self, api, act, add, status_of, status, action):
        submission_id = add(status)
        assert status in api.error(act(submission_id, action), 400)["detail"]
        assert status_of(submission_id) == status

    def test_an_approval_is_paid_once(self, api, act, add):
        before = api.get(f"workspaces/{MEMORY_LAB}/balance/").json()["total_balance"]
        submission_id = add()
        for _ in range(3):
            assert act(submission_id, "APPROVE").status_code == 200
        assert before - api.get(f"workspaces/{MEMORY_LAB}/balance/").json()["total_balance"] == 140

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"message": "Too short", "rejection_category": "NO_DATA"}, "message"),
            ({"message": REASON}, "rejection_category"),
            ({"message": REASON, "rejection_category": "BORING"}, "rejection_category"),
            ({"message": REASON, "rejection_category": ["NO_DATA"]}, "rejection_category"),
        ],
    )
    def test_a_reject_needs_a_reason_and_a_category(self, api, act, add, fields, field):
        assert list(api.error(act(add(), "REJECT", **fields), 400)["detail"]) == [field]

    def test_a_reject_frees_the_place_and_is_ignored_when_repeated(self, act, add, prolific_emulator, study_id):
        submission_id = add()
        for _ in range(2):
            assert act(submission_id, "REJECT", message=REASON, rejection_category="NO_DATA").status_code == 200
        assert prolific_emulator.study(study_id)["counts"]["REJECTED"] == 1

    def test_a_code_of_the_researchers_pays_a_part(self, api, act, prolific_emulator, study_id):
        code = {
            "code": "PART",
            "code_type": "OTHER",
            "actor": "researcher",
            "actions": [{"action": "DYNAMIC_PAYMENT"}],
        }
        prolific_emulator.set_study(study_id, completion_codes=[code])
        [submission_id] = prolific_emulator.add_submissions(study_id)
        assert list(api.error(act(submission_id, "COMPLETE"), 400)["detail"]) == ["completion_code"]
        answer = act(submission_id, "COMPLETE", completion_code="PART")
        assert list(api.error(answer, 400)["detail"]) == ["completion_code_data"]
        data = {"percentage_of_reward": 40}
        answer = act(submission_id, "COMPLETE", completion_code="PART", completion_code_data=data)
        assert api.shape(answer, 200, "submission")["status"] == "PARTIALLY APPROVED"
        assert api.get(f"studies/{study_id}/cost/").json()["rewards"]["rewards"]["amount"] == 40

    def test_a_return_request_keeps_its_first_moment_and_sends_a_message_each_time(self, api, add, prolific_emulator):
        url = f"submissions/{add()}/request-return/"
        moments = set()
        for _ in range(2):
            answer = api.post(url, request_return_reasons=["Withdrew consent"])
            moments.add(api.shape(answer, 200, "return_requested")["return_requested"])
        assert len(moments) == 1
        assert [each["request_return_reasons"] for each in prolific_emulator.messages()] == [["Withdrew consent"]] * 2

    def test_a_return_request_needs_a_reason_and_something_to_return(self, api, add):
        api.error(api.post(f"submissions/{add()}/request-return/", request_return_reasons=[]), 400)
        api.error(api.post(f"submissions/{add('APPROVED')}/request-return/", request_return_reasons=["No"]), 400)

    def test_an_unknown_submission_is_not_found(self, api, act):
        api.error(api.get(f"submissions/{MISSING}/"), 404)
        api.error(act(MISSING, "APPROVE"), 404)
        api.error(api.post(f"submissions/{MISSING}/request-return/", request_return_reasons=["No"]), 404)


class TestBulkApproval:
    def test_it_is_done_some_time_later(self, api, prolific_emulator, add, status_of):
        prolific_emulator.set(approval_seconds=30)
        ids = [add() for _ in range(3)]
        answer = api.post("submissions/bulk-approve/", submission_ids=ids)
        assert (answer.status_code, type(answer.json())) == (200, str)
        assert {status_of(each) for each in ids} == {"AWAITING REVIEW"}
        prolific_emulator.advance(30)
        assert {status_of(each) for each in ids} == {"APPROVED"}

    def test_who_is_no_longer_awaiting_review_then_is_passed_over(self, api, act, prolific_emulator, add, status_of):
        prolific_emulator.set(approval_seconds=30)
        submission_id = add()
        api.post("submissions/bulk-approve/", submission_ids=[submission_id])
        act(submission_id, "RETURN")
        prolific_emulator.advance(30)
        assert status_of(submission_id) == "RETURNED"

    def test_it_takes_participants_of_a_study_instead(self, api, prolific_emulator, add, study_id, status_of):
        submission_id, other = add(participant_id=PERSON), add()
        api.post("submissions/bulk-approve/", study_id=study_id, participant_ids=[PERSON])
        prolific_emulator.advance(1)
        assert (status_of(submission_id), status_of(other)) == ("APPROVED", "AWAITING REVIEW")

    @pytest.mark.parametrize(("others", "code"), [("skip", 200), ("refuse", 400)])
    def test_what_happens_to_others_in_the_list_is_a_setting(
        self, api, prolific_emulator, add, status_of, others, code
    ):
        prolific_emulator.set(bulk_approve_others=others)
        ids = [add(), add("TIMED-OUT"), add("APPROVED")]
        assert api.post("submissions/bulk-approve/", submission_ids=ids).status_code == code
        prolific_emulator.advance(1)
        assert [status_of(each) for each in ids] == [
            "APPROVED" if others == "skip" else "AWAITING REVIEW",
            "TIMED-OUT",
            "APPROVED",
        ]

    @pytest.mark.parametrize("ids", [[], [MISSING], "x", [1]])
    def test_bad_ids_are_refused_without_the_envelope_and_nobody_is_approved(
        self, api, prolific_emulator, add, status_of, ids
    ):
        submission_id = add()
        sent = [submission_id, *ids] if ids == [MISSING] else ids
        answer = api.post("submissions/bulk-approve/", submission_ids=sent)
        assert list(api.error(answer, 400, flat=True)["detail"]) == ["submission_ids"]
        prolific_emulator.advance(1)
        assert status_of(submission_id) == "AWAITING REVIEW"

    def test_calls_for_one_wallet_contend_where_that_is_switched_on(self, api, prolific_emulator, add):
        prolific_emulator.set(contention=True, approval_seconds=30)
        first, second = add(), add()
        assert api.post("submissions/bulk-approve/", submission_ids=[first]).status_code == 200
        answer = api.post("submissions/bulk-approve/", submission_ids=[second])
        assert answer.status_code == 429
        prolific_emulator.advance(30)
        assert api.post("submissions/bulk-approve/", submission_ids=[second]).status_code == 200


class TestBonuses:
    @pytest.fixture
    def set_up(self, api, study_id):
        def create(*rows):
            csv = "".join(f"{each},{amount}\n" for each, amount in rows)
            return api.post("submissions/bonus-payments/", study_id=study_id, csv_bonuses=csv)

        return create

    @pytest.fixture
    def pay(self, api):
        return lambda batch: api.post(f"bulk-bonus-payments/{batch['id']}/pay/")

    @pytest.fixture
    def bonuses_of(self, api):
        return lambda submission_id: api.get(f"submissions/{submission_id}/").json()["bonus_payments"]

    def test_amounts_come_in_major_units_and_are_echoed_in_hundredths(self, api, set_up, add, bonuses_of):
        first, second = add("APPROVED"), add("RETURNED")
        batch = api.shape(set_up((first, "4.25"), (second, "30")), 201, "bulk_bonus")
        assert (batch["amount"], batch["fees"], batch["vat"], batch["total_amount"]) == (
            3425.0,
            1141.67,
            228.33,
            4795.0,
        )
        assert bonuses_of(first) == []

    def test_paying_shows_later(self, api, set_up, pay, add, bonuses_of, prolific_emulator, study_id):
        prolific_emulator.set(bonus_seconds=60)
        submission_id = add("APPROVED")
        before = api.get(f"workspaces/{MEMORY_LAB}/balance/").json()
        answer = pay(set_up((submission_id, "1.50")).json())
        assert (answer.status_code, type(answer.json())) == (202, str)
        during = api.get(f"workspaces/{MEMORY_LAB}/balance/").json()
        assert before["available_balance"] - during["available_balance"] == 210
        assert (before["total_balance"], bonuses_of(submission_id)) == (during["total_balance"], [])
        prolific_emulator.advance(60)
        after = api.get(f"workspaces/{MEMORY_LAB}/balance/").json()
        assert before["total_balance"] - after["total_balance"] == 210
        assert before["available_balance"] - after["available_balance"] == 210
        assert bonuses_of(submission_id) == [150]
        assert api.get("submissions/", study=study_id).json()["results"][0]["bonus_payments"] == [150]
        assert api.get(f"studies/{study_id}/cost/").json()["bonuses"]["rewards"]["amount"] == 150

    def test_paying_again_pays_again(self, set_up, pay, add, bonuses_of, prolific_emulator):
        submission_id = add("APPROVED")
        batch = set_up((submission_id, "1.50")).json()
        assert [pay(batch).status_code for _ in range(2)] == [202, 202]
        assert [each["amount"] for each in prolific_emulator.payments()] == [150, 150]
        prolific_emulator.advance(1)
        assert bonuses_of(submission_id) == [150, 150]

    def test_paying_again_may_be_refused(self, api, set_up, pay, add, prolific_emulator):
        prolific_emulator.set(repeated_pay="refused")
        batch = set_up((add("APPROVED"), "1.50")).json()
        assert pay(batch).status_code == 202
        api.error(pay(batch), 400)
        assert len(prolific_emulator.payments()) == 1

    def test_setting_up_pays_nothing(self, set_up, add, prolific_emulator):
        for _ in range(3):
            set_up((add("APPROVED"), "1.50"))
        assert prolific_emulator.payments() == []

    def test_an_unpaid_batch_may_expire(self, api, set_up, pay, add, prolific_emulator):
        prolific_emulator.set(bonus_expiry_seconds=100)
        batch = set_up((add("APPROVED"), "1")).json()
        prolific_emulator.advance(101)
        api.error(pay(batch), 404)

    def test_a_participant_stands_for_the_newest_submission(self, set_up, pay, bonuses_of, prolific_emulator, study_id):
        older, newer = prolific_emulator.add_submissions(study_id, count=2, participant_id=PERSON)
        pay(set_up((PERSON, "2")).json())
        prolific_emulator.advance(1)
        assert (bonuses_of(older), bonuses_of(newer)) == ([], [200])

    def test_too_little_balance_is_refused_and_nobody_is_paid(self, api, set_up, pay, add, prolific_emulator):
        batch = set_up((add("APPROVED"), "5000")).json()
        assert "balance" in api.error(pay(batch), 400)["detail"]
        assert prolific_emulator.payments() == []

    @pytest.mark.parametrize("amount", ["", "0", "-1", "1.234", "1,50", "1e3", "NaN", "amount", "٣", "1" * 5000])
    def test_an_amount_that_is_none_is_refused(self, api, set_up, add, amount):
        assert list(api.error(set_up((add(), amount)), 400)["detail"]) == ["csv_bonuses"]

    def test_unknown_ids_are_named(self, api, set_up, add):
        [words] = api.error(set_up((add(), "1"), (MISSING, "1")), 400)["detail"]["csv_bonuses"]
        assert MISSING in words

    def test_no_rows_and_an_unknown_study_or_batch_are_refused(self, api, set_up, pay):
        api.error(set_up(), 400)
        api.error(api.post("submissions/bonus-payments/", study_id=MISSING, csv_bonuses="a,1"), 404)
        api.error(pay({"id": MISSING}), 404)
