"""The triggers of studies and submissions: that they come back from Airflow's database, and which event they send.

The rules that they share with other triggers are shown in tests/unit/waiting.
"""

from __future__ import annotations

import json
import time

import pytest
from airflow.models.trigger import Trigger

from airflow_provider_prolific.triggers.studies import (
    ProlificPublishTrigger,
    ProlificStudyTrigger,
    ProlificSubmissionTrigger,
)
from airflow_provider_prolific.waiting import trigger as rules

STUDY_URL = "https://api.prolific.com/api/v1/studies/s1/"
STUDY = {"study_id": "s1", "wait_for_publish": True, "fail_on_paused": True}
COMMON = {
    "deadline": 1_790_000_000.25,
    "prolific_conn_id": "other",
    "poke_interval": 7.5,
    "exponential_backoff": True,
    "max_wait": 300.0,
    "silent_fail": True,
    "not_before": 1_780_000_000.5,
    "stalled_after": 3600.0,
    "grown_at": 1_770_000_000.75,
    "grown_counts": [3],
}
TRIGGERS = {
    ProlificStudyTrigger: COMMON | STUDY | {"statuses": ["COMPLETED"]},
    ProlificSubmissionTrigger: COMMON | STUDY | {"statuses": ["APPROVED"], "target_count": 30, "if_ended": "return"},
    ProlificPublishTrigger: COMMON | {"study_id": "s1", "asked": True, "refusal": "no money"},
}


@pytest.mark.parametrize(("trigger_class", "arguments"), TRIGGERS.items())
class TestSerialize:
    def test_a_trigger_comes_back_as_it_was(self, trigger_class, arguments):
        classpath, kwargs = trigger_class(**arguments).serialize()

        assert classpath == f"airflow_provider_prolific.triggers.studies.{trigger_class.__name__}"
        assert trigger_class(**json.loads(json.dumps(kwargs))).serialize() == (classpath, arguments)

    def test_it_survives_airflows_database(self, trigger_class, arguments):
        assert Trigger.from_object(trigger_class(**arguments)).kwargs == arguments


@pytest.fixture
def trigger():
    """Make a trigger whose deadline is so many seconds away."""

    def make(trigger_class, seconds=10.0, **arguments):
        arguments = {"study_id": "s1", "poke_interval": 0.1, "deadline": time.time() + seconds, **arguments}
        return trigger_class(**arguments)

    return make


@pytest.fixture
def shows(api):
    """Answer the next looks at the study with these statuses; the last one stays."""

    def answer(*statuses):
        for status in statuses:
            api.get(STUDY_URL, json={"id": "s1", "name": "Screener", "status": status, "total_available_places": 30})

    return answer


class TestEvent:
    def test_a_study_that_has_the_status_is_a_success(self, shows, connection, trigger, event_of):
        shows("ACTIVE", "COMPLETED")

        event = event_of(trigger(ProlificStudyTrigger))

        assert (event["status"], event["message"]) == ("success", "study 'Screener' is COMPLETED")
        assert [study["status"] for study in event["studies"]] == ["COMPLETED"]

    def test_enough_submissions_are_a_success(self, api, shows, connection, trigger, event_of):
        shows("ACTIVE")
        api.get(f"{STUDY_URL}submissions/counts/", json={"APPROVED": 30, "TOTAL": 30})

        event = event_of(trigger(ProlificSubmissionTrigger))

        assert event["status"] == "success"
        assert event["message"] == "study 'Screener' (ACTIVE) has 30 of 30 submissions (100%)"
        assert [study["reached"] for study in event["studies"]] == [True]

    def test_a_study_that_is_published_is_a_success(self, shows, connection, trigger, event_of):
        shows("PUBLISHING", "ACTIVE")

        assert event_of(trigger(ProlificPublishTrigger))["status"] == "success"

    def test_one_that_stays_a_draft_is_an_error(self, api, shows, connection, trigger, event_of):
        shows("PUBLISHING", "UNPUBLISHED")

        event = event_of(trigger(ProlificPublishTrigger))

        assert (event["status"], len(api.requests)) == ("error", 4)
        assert "it is still a draft" in event["message"]

    def test_what_makes_the_wait_vain_is_an_error(self, shows, connection, trigger, event_of):
        shows("ACTIVE", "UNPUBLISHED")

        event = event_of(trigger(ProlificStudyTrigger))

        assert event["status"] == "error"
        assert "study 'Screener' (s1) is not published" in event["message"]

    def test_a_study_that_is_filled_is_looked_at_once_more_at_the_deadline(
        self, api, shows, connection, trigger, event_of, monkeypatch
    ):
        """One answer is not two looks, though it is young enough for a last look."""
        monkeypatch.setattr(rules, "FIRST_LOOK_SECONDS", 0.1)
        shows("AWAITING REVIEW", "ACTIVE")

        event = event_of(trigger(ProlificStudyTrigger, seconds=0.5, poke_interval=60))

        assert (event["status"], len(api.requests)) == ("timeout", 2)

    def test_and_if_it_still_is_that_is_a_success(self, api, shows, connection, trigger, event_of, monkeypatch):
        monkeypatch.setattr(rules, "FIRST_LOOK_SECONDS", 0.1)
        shows("AWAITING REVIEW")

        event = event_of(trigger(ProlificStudyTrigger, seconds=0.5, poke_interval=60))

        assert (event["status"], len(api.requests)) == ("success", 2)
