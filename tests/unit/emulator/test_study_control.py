"""The control calls for studies, as `Emulator` offers them."""

from __future__ import annotations

import time

import pytest

from airflow_provider_prolific.emulator import EmulatorError

SCREENER = "64d000000000000000000001"
TEMPLATE = "64d000000000000000000005"


def test_time_can_be_moved_on(api, prolific_emulator):
    before = time.time()
    assert prolific_emulator.advance(600) - before == pytest.approx(600, abs=5)
    assert prolific_emulator.group(prolific_emulator.group_id("Screened adults"))["participant_count"] == 120
    group_id = prolific_emulator.create_group("Growing", growth_per_second=1)
    assert prolific_emulator.group(group_id)["participant_count"] < 5
    prolific_emulator.advance(10)
    assert 10 <= prolific_emulator.group(group_id)["participant_count"] < 15
    prolific_emulator.reset()
    assert prolific_emulator.advance(0) - before < 100


def test_a_study_is_found_by_its_internal_name(prolific_emulator):
    assert prolific_emulator.study_id("Screener") == SCREENER
    assert {study["internal_name"] for study in prolific_emulator.studies()} >= {"Screener", "Template: screener"}
    with pytest.raises(LookupError, match="Nobody"):
        prolific_emulator.study_id("Nobody")


def test_a_study_is_made_with_people_and_submissions(api, prolific_emulator):
    study_id = prolific_emulator.create_study(
        "Made",
        internal_name="made-1",
        status="ACTIVE",
        total_available_places=10,
        arrivals_per_second=1,
        seconds_taken=2,
        submissions={"APPROVED": 2, "RETURNED": 1},
    )
    prolific_emulator.advance(4)
    study = prolific_emulator.study(study_id)
    assert (study["internal_name"], study["seconds_taken"]) == ("made-1", 2)
    assert study["counts"]["APPROVED"] == 2
    assert study["counts"]["AWAITING REVIEW"] >= 2
    assert study["spent"] == pytest.approx(420, abs=0.1)
    assert study["locked"] == pytest.approx(8 * 210, abs=0.1)


def test_a_study_of_the_apis_gets_the_people_of_the_settings(api, prolific_emulator):
    prolific_emulator.set(people={"arrivals_per_second": 50, "seconds_taken": 0})
    body = {
        "name": "By API",
        "description": "",
        "external_study_url": "https://example.com",
        "prolific_id_option": "not_required",
        "total_available_places": 3,
        "estimated_completion_time": 1,
        "reward": 10,
        "completion_codes": [{"code": "DONE", "code_type": "COMPLETED", "actions": []}],
    }
    study_id = api.post("studies/", **body).json()["id"]
    api.post(f"studies/{study_id}/transition/", action="PUBLISH")
    prolific_emulator.advance(2)
    assert api.get(f"studies/{study_id}/").json()["status"] == "AWAITING REVIEW"


@pytest.mark.parametrize("status", ["PROCESSING", "AWAITING REVIEW", "awaiting_review", "COMPLETED", "PUBLISHING"])
def test_any_status_can_be_shown_until_it_is_taken_back(api, prolific_emulator, status):
    prolific_emulator.set_study(SCREENER, status=status)
    assert api.get(f"studies/{SCREENER}/").json()["status"] == status
    prolific_emulator.set_study(SCREENER, status="ACTIVE")
    assert api.get(f"studies/{SCREENER}/").json()["status"] == "ACTIVE"


def test_a_status_is_lived_from_there(prolific_emulator):
    prolific_emulator.set_study(TEMPLATE, status="ACTIVE", arrivals_per_second=100, total_available_places=3)
    prolific_emulator.advance(1)
    assert prolific_emulator.study(TEMPLATE)["number_of_submissions"] >= 3


def test_a_rate_holds_from_now_on(prolific_emulator):
    study_id = prolific_emulator.create_study("Slow", status="ACTIVE", arrivals_per_second=0.001)
    prolific_emulator.set_study(study_id, arrivals_per_second=10)
    prolific_emulator.advance(5)
    assert prolific_emulator.study(study_id)["number_of_submissions"] >= 50


def test_a_deleted_study_is_gone_with_its_submissions(api, prolific_emulator):
    [submission_id] = prolific_emulator.add_submissions(SCREENER)
    prolific_emulator.delete_study(SCREENER)
    api.error(api.get(f"studies/{SCREENER}/"), 404)
    api.error(api.get(f"submissions/{submission_id}/"), 404)
    group_id = prolific_emulator.group_id("Screened adults")
    count = prolific_emulator.group(group_id)["participant_count"]
    prolific_emulator.advance(100)
    # Those who were under way may still finish.
    assert prolific_emulator.group(group_id)["participant_count"] <= count + 3
    assert prolific_emulator.group(group_id)["feeder_studies"] == []


def test_submissions_are_added_and_changed(api, prolific_emulator):
    first, second = prolific_emulator.add_submissions(TEMPLATE, "ACTIVE", 2)
    submission = prolific_emulator.set_submission(
        first, status="AWAITING REVIEW", study_code="NOCODE", is_complete=False
    )
    assert (submission["status"], submission["study_code"], submission["is_complete"]) == (
        "AWAITING REVIEW",
        "NOCODE",
        False,
    )
    assert [each["id"] for each in prolific_emulator.submissions(TEMPLATE, "ACTIVE")] == [second]
    assert prolific_emulator.submissions(TEMPLATE)[0]["participant_id"] == submission["participant_id"]


def test_who_hands_in_has_entered_the_code_of_the_completed(prolific_emulator):
    prolific_emulator.add_submissions("64d000000000000000000004", "APPROVED")
    [submission] = prolific_emulator.submissions("64d000000000000000000004")
    assert (submission["study_code"], submission["is_complete"]) == ("SCREENED2", True)


def test_a_group_whose_growth_is_set_belongs_to_the_test(prolific_emulator):
    group_id = prolific_emulator.group_id("Screened adults")
    prolific_emulator.set_group(group_id, participant_count=0, growth_per_second=0)
    prolific_emulator.advance(100)
    assert prolific_emulator.group(group_id)["participant_count"] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda emulator: emulator.study("gone"), "Nothing with this id"),
        (lambda emulator: emulator.set_study(TEMPLATE, colour="red"), "colour is not known"),
        (lambda emulator: emulator.set_study(TEMPLATE, project="64b000000000000000000001"), "project"),
        (lambda emulator: emulator.set_study(TEMPLATE, no_code=0.9), "shares"),
        (lambda emulator: emulator.create_study("x", project="gone"), "no project 'gone'"),
        (lambda emulator: emulator.create_study("x", returned=0.6, late=0.6), "shares"),
        (lambda emulator: emulator.create_study("x", arrivals_per_second=-1), "arrivals_per_second"),
        (lambda emulator: emulator.create_study("x", submissions={"DONE": 1}), "submissions"),
        (lambda emulator: emulator.add_submissions(TEMPLATE, "DONE"), "status must be one of"),
        (lambda emulator: emulator.add_submissions(TEMPLATE, count=100_001), "count"),
        (lambda emulator: emulator.set_submission("gone", status="ACTIVE"), "Nothing with this id"),
        (lambda emulator: emulator.advance(-1), "seconds"),
        (lambda emulator: emulator.set(after_reject="DRAFT"), "after_reject"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(prolific_emulator, call, words):
    with pytest.raises(EmulatorError, match=words):
        call(prolific_emulator)
