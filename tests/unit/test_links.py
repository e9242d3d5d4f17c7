"""The link to the study that fills a group: which study is meant, and what is left for it."""

from __future__ import annotations

import pytest

from airflow_provider_prolific import version_compat
from airflow_provider_prolific.links import FEEDER_STUDY_KEY, FeederStudyLink, name_feeder_study


class TaskInstance:
    """A task instance that keeps what is pushed."""

    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


def named(*feeder_studies):
    """Return the study that is named where groups have these feeder studies."""
    instance = TaskInstance()
    name_feeder_study(
        {"ti": instance}, [{"id": "g", "name": "G", "feeder_studies": studies} for studies in feeder_studies]
    )
    return instance.pushed[FEEDER_STUDY_KEY]


def test_the_one_study_that_fills_each_of_the_groups_is_named():
    assert named([{"id": "s1"}], [{"id": "s1"}]) == "s1"


@pytest.mark.parametrize(
    "feeder_studies",
    [
        *([], [[]], [None], [7], [["s1"]], [{"id": "s1"}], [[{"id": None}]], [[{"id": ""}]], [[{}]]),
        *([[{"id": "s1"}, {"id": "s2"}]], [[{"id": "s1"}], [{"id": "s2"}]], [[{"id": "s1"}], []]),
        *([[{"id": "s1"}, {}]], [[{"id": "s1"}, 7]]),
    ],
)
def test_an_empty_text_is_left_where_there_is_none_or_more_than_one(feeder_studies):
    assert named(*feeder_studies) == ""


@pytest.mark.parametrize("context", [{}, None])
def test_nothing_is_left_where_no_task_runs(context):
    name_feeder_study(context, [{"feeder_studies": [{"id": "s1"}]}])


@pytest.mark.parametrize(
    ("pushed", "link"),
    [
        ("s1", "https://app.prolific.com/researcher/workspaces/studies/s1"),
        ("s/1?", "https://app.prolific.com/researcher/workspaces/studies/s%2F1%3F"),
        ("", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_the_link_leads_to_the_study_that_was_named(monkeypatch, pushed, link):
    monkeypatch.setattr(version_compat, "get_xcom", lambda key, ti_key: pushed if key == FEEDER_STUDY_KEY else None)

    assert FeederStudyLink().get_link(None, ti_key=None) == link
