"""The trigger of bonuses: that it comes back from Airflow's database, and which event it sends."""

from __future__ import annotations

import json
import time

import pytest
from airflow.models.trigger import Trigger

from airflow_provider_prolific.triggers.bonuses import ProlificBonusTrigger
from airflow_provider_prolific.waiting import trigger as rules

SUBMISSIONS_URL = "https://api.prolific.com/api/v1/submissions/"
ENTRY = {
    "state": "open",
    "id": "e1",
    "payment_key": "a",
    "number": 1,
    "batch_id": "b1",
    "currency": "GBP",
    "amount": "4.25",
    "total_amount": "5.95",
    "opened_at": "2026-03-01T09:00:00+00:00",
    "rows": {"u1": "0 + 4.25"},
}


@pytest.fixture
def trigger():
    return ProlificBonusTrigger(
        study_id="s1", entry=ENTRY, accepted=True, poke_interval=0.1, deadline=time.time() + 10.25
    )


def test_it_comes_back_from_airflows_database_as_it_was(trigger):
    classpath, kwargs = trigger.serialize()

    assert classpath == "airflow_provider_prolific.triggers.bonuses.ProlificBonusTrigger"
    assert ProlificBonusTrigger(**json.loads(json.dumps(kwargs))).serialize() == (classpath, kwargs)
    assert Trigger.from_object(trigger).kwargs == kwargs
    assert (kwargs["entry"], kwargs["accepted"]) == (ENTRY, True)


def test_it_waits_until_the_bonuses_can_be_seen(api, connection, trigger, event_of, monkeypatch):
    monkeypatch.setattr(rules, "SETTLED_SECONDS", 0)
    for payments in ([], [425]):
        rows = [{"id": "u1", "status": "APPROVED", "bonus_payments": payments}]
        api.get(SUBMISSIONS_URL, json={"results": rows, "meta": {"count": 1}})

    assert event_of(trigger) == {
        "status": "success",
        "batches": [{"id": "b1", "bonus_count": 1, "paid_count": 1, "other_count": 0}],
        "message": "batch 'b1' has 1 of 1 bonuses paid (100%)",
    }


def test_an_entry_that_cannot_be_read_is_an_error_event_and_no_exception(connection, event_of):
    event = event_of(ProlificBonusTrigger(study_id="s1", entry={"rows": 7}, deadline=time.time()))

    assert (event["status"], event["batches"]) == ("error", [])
