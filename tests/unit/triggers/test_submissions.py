"""The trigger of approvals: that it comes back from Airflow's database, and which event it sends."""

from __future__ import annotations

import json
import time

import pytest
from airflow.models.trigger import Trigger

from airflow_provider_prolific.triggers.submissions import ProlificApprovalTrigger
from airflow_provider_prolific.waiting import trigger as rules

SUBMISSIONS_URL = "https://api.prolific.com/api/v1/submissions/"


@pytest.fixture
def trigger():
    return ProlificApprovalTrigger(
        study_id="s1", submission_ids=["u1", "u2"], left_out=["u2"], poke_interval=0.1, deadline=time.time() + 10.25
    )


def test_it_comes_back_from_airflows_database_as_it_was(trigger):
    classpath, kwargs = trigger.serialize()

    assert classpath == "airflow_provider_prolific.triggers.submissions.ProlificApprovalTrigger"
    assert ProlificApprovalTrigger(**json.loads(json.dumps(kwargs))).serialize() == (classpath, kwargs)
    assert Trigger.from_object(trigger).kwargs == kwargs
    assert (kwargs["submission_ids"], kwargs["left_out"]) == (["u1", "u2"], ["u2"])


def test_it_waits_until_those_that_were_sent_have_settled_and_only_reads(
    api, connection, trigger, event_of, monkeypatch
):
    monkeypatch.setattr(rules, "SETTLED_SECONDS", 0)
    for status in ("AWAITING REVIEW", "APPROVED"):
        rows = [{"id": "u1", "status": status}, {"id": "u2", "status": "RETURNED"}]
        api.get(SUBMISSIONS_URL, json={"results": rows, "meta": {"count": 2}})

    event = event_of(trigger)

    assert event == {
        "status": "success",
        "approvals": [
            {
                "id": "s1",
                "submission_count": 2,
                "approved_count": 1,
                "pending_count": 0,
                "counts": {"APPROVED": 1, "RETURNED": 1},
            }
        ],
        "message": "study 's1' has 1 of 2 submissions approved (50%)",
    }
    assert {request.method for request in api.requests} == {"GET"}
