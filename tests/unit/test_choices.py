"""Arguments with a few allowed values: a type checker knows the values, and no other text."""

from __future__ import annotations

import inspect
import re
from typing import get_args

import pytest

from airflow_provider_prolific.arguments import check_statuses
from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.operators.participant_groups import (
    ProlificCreateParticipantGroupOperator,
    ProlificDeleteParticipantGroupOperator,
)
from airflow_provider_prolific.operators.studies import ProlificCreateStudyOperator, ProlificTransitionStudyOperator
from airflow_provider_prolific.operators.unknown_participants import (
    OnUnknownParticipant,
    check_on_unknown_participant,
)
from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.sensors.studies import ProlificSubmissionSensor
from airflow_provider_prolific.waiting.studies import StudyStatus, SubmissionStatus

CHOICES = [
    (ProlificParticipantGroupSensor, "match"),
    (ProlificParticipantGroupSensor, "if_missing"),
    (ProlificCreateParticipantGroupOperator, "if_exists"),
    (ProlificDeleteParticipantGroupOperator, "if_missing"),
    (ProlificCreateStudyOperator, "if_exists"),
    (ProlificTransitionStudyOperator, "action"),
    (ProlificSubmissionSensor, "if_ended"),
]


@pytest.mark.parametrize(("operator_class", "name"), CHOICES)
def test_the_types_have_the_allowed_values_and_no_other_text(operator_class, name):
    annotation = inspect.signature(operator_class.__init__).parameters[name].annotation
    values = re.findall(r"'(\w+)'", annotation)

    assert annotation == f"Literal[{', '.join(map(repr, values))}] | XComArg"
    for value in values:
        assert operator_class.checks[name](value, name) == value
    with pytest.raises(ProlificValueError) as refusal:
        operator_class.checks[name]("other", name)
    assert str(refusal.value).startswith(f"{name} must be {' or '.join(map(repr, values))}, not ")


def test_so_have_those_for_unknown_participants():
    assert [check_on_unknown_participant(value, "x") for value in get_args(OnUnknownParticipant)] == ["fail", "skip"]


@pytest.mark.parametrize("statuses", [get_args(StudyStatus), get_args(SubmissionStatus)])
def test_statuses_have_the_spelling_in_which_they_are_compared(statuses):
    assert check_statuses(statuses, "statuses") == list(statuses)
