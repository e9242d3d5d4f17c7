"""Which studies keep a group from being deleted: all but those that surely have ended."""

from __future__ import annotations

import pytest

from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.operators.feeder_studies import check_unused


def fed_by(*statuses):
    studies = [
        {"id": f"s{number}", "name": "Screener", "internal_name": "screener v2", "status": status}
        for number, status in enumerate(statuses, 1)
    ]
    return {"id": "g1", "name": "G", "feeder_studies": studies}


@pytest.mark.parametrize("status", ["COMPLETED", "UNPUBLISHED", "completed", "Completed", " UN_PUBLISHED"])
def test_a_study_that_has_ended_or_not_begun_lets_the_group_go(status):
    check_unused(fed_by("COMPLETED", status))


@pytest.mark.parametrize(
    "status",
    [
        *("ACTIVE", "PAUSED", "PUBLISHING", "SCHEDULED", "AWAITING REVIEW", "AWAITING_REVIEW", "active", "Paused"),
        *("PROCESSING", "UNKNOWN", "NEW STATUS", "", None, 7, ["COMPLETED"]),
    ],
)
def test_a_study_in_any_other_state_keeps_it(status):
    with pytest.raises(ProlificError) as refusal:
        check_unused(fed_by("COMPLETED", status))

    shown = status if isinstance(status, str) else repr(status)
    assert f"of live studies: 'screener v2' (s2, {shown}). Wait until they are COMPLETED or" in str(refusal.value)
    assert "force=True" in str(refusal.value)
    assert "s1" not in str(refusal.value)


def test_a_study_without_a_status_keeps_it():
    with pytest.raises(ProlificError, match=r"\(s1, None\)"):
        check_unused({"id": "g1", "name": "G", "feeder_studies": [{"id": "s1"}]})


@pytest.mark.parametrize("feeder_studies", [None, []])
def test_a_group_without_feeder_studies_may_go(feeder_studies):
    check_unused({"id": "g1", "name": "G", "feeder_studies": feeder_studies})


@pytest.mark.parametrize("feeder_studies", [{"id": "s1"}, 7, "none", ["s1"], [None], [[]], True])
def test_what_is_not_a_list_of_studies_keeps_it(feeder_studies):
    with pytest.raises(ProlificError, match=r"^Prolific does not say which .* 'G' \(g1\)"):
        check_unused({"id": "g1", "name": "G", "feeder_studies": feeder_studies})


def test_an_answer_that_does_not_speak_of_studies_keeps_it():
    with pytest.raises(ProlificError, match=r"^Prolific does not say which"):
        check_unused({"id": "g1", "name": "G"})
