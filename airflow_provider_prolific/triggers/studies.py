"""Triggers that wait for studies and their submissions in the triggerer; they only read."""

from __future__ import annotations

from airflow_provider_prolific.waiting.publishing import PublishWait
from airflow_provider_prolific.waiting.studies import StudyWait, SubmissionWait
from airflow_provider_prolific.waiting.trigger import WaitTrigger


class ProlificStudyTrigger(WaitTrigger):
    """Wait until a study has one of several statuses; its arguments are those of `WaitTrigger` and `StudyWait`."""

    wait_class = StudyWait


class ProlificSubmissionTrigger(WaitTrigger):
    """Wait until submissions have come in; its arguments are those of `WaitTrigger` and `SubmissionWait`."""

    wait_class = SubmissionWait


class ProlificPublishTrigger(WaitTrigger):
    """Wait until a study is published; its arguments are those of `WaitTrigger` and `PublishWait`."""

    wait_class = PublishWait
