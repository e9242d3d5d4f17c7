"""The gauges: each answer is told once, however many wait; growth from the second look on; ids in tags or names."""

from __future__ import annotations

import pytest

from airflow_provider_prolific.waiting import metrics
from airflow_provider_prolific.waiting.metrics import Gauges

GROUP = {"participant_group_id": "g1"}


def group(count, target=300, id="g1"):
    return {"id": id, "name": "adults", "participant_count": count, "target_count": target, "reached": False}


def study(count, target=30):
    return {"id": "s1", "name": "Screener", "status": "ACTIVE", "submission_count": count, "target_count": target}


class Told(list):
    """What Airflow's metrics were told."""

    def gauge(self, name, value, tags):
        self.append((name.removeprefix("prolific."), value, tags))

    def values(self, name):
        return [value for told, value, _ in self if told == name]


@pytest.fixture
def set_metrics(monkeypatch):
    """Switch Airflow's metrics."""

    def switch(**options):
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
        metrics._form.cache_clear()

    yield switch
    metrics._form.cache_clear()


@pytest.fixture
def told(monkeypatch, set_metrics):
    set_metrics(otel_on=True)
    told = Told()
    monkeypatch.setattr(metrics, "get_stats", lambda: told)
    return told


def test_a_group_is_told_with_its_count_and_its_target(told):
    Gauges().found([group(120)], 0)

    assert told == [("participant_count", 120, GROUP), ("target_count", 300, GROUP)]


def test_a_study_is_told_with_its_submissions(told):
    Gauges().found([study(12)], 0)

    assert told == [("submission_count", 12, {"study_id": "s1"})]


def test_what_has_no_count_is_not_told(told):
    Gauges().found([group(None, id=None), {"id": "s1", "status": "ACTIVE", "places_taken": 3}], 0)

    assert told == []


def test_growth_is_told_from_the_second_look_on(told):
    gauges = Gauges()
    for now, count in ((10, 5), (20, 5), (50, 5), (60, 6), (90, 4), (100, 5)):
        gauges.found([group(count)], now)

    assert told.values("seconds_since_growth") == [10, 40, 0, 30, 0]


def test_an_answer_is_told_once_however_many_wait(told):
    gauges = Gauges()
    for _ in range(1000):
        gauges.found([group(120)], 7)

    assert told.values("participant_count") == [120]
    gauges.found([group(120)], 8)
    assert told.values("participant_count") == [120, 120]


def test_those_whom_an_answer_wakes_together_are_told_of_together_with_the_largest_numbers(told):
    gauges, later = Gauges(), []
    for status in (group(120, 300), group(120, 500), group(120, 400), study(7), study(9), study(8)):
        gauges.found([status], 0, later.append)
    assert told == []
    for call in later:
        call()

    assert told.values("target_count") == [500]
    assert told.values("submission_count") == [9]


def test_nothing_is_told_where_metrics_are_off(told, set_metrics):
    set_metrics(otel_on=False)
    Gauges().found([group(120)], 0)

    assert told == []


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"statsd_on": True}, "participant_count.g1"),
        ({"statsd_on": True, "statsd_influxdb_enabled": True}, "participant_count"),
        ({"statsd_datadog_enabled": True}, "participant_count"),
        ({"statsd_datadog_enabled": True, "statsd_datadog_metrics_tags": False}, "participant_count.g1"),
        ({"otel_on": True}, "participant_count"),
    ],
)
def test_the_id_is_in_the_name_where_tags_are_dropped(told, set_metrics, options, name):
    set_metrics(otel_on=False)
    set_metrics(**options)
    Gauges().found([group(120)], 0)

    assert told[0] == (name, 120, GROUP)


def test_an_id_cannot_be_read_as_a_part_of_a_name_or_as_a_second_tag(told, set_metrics):
    set_metrics(otel_on=False, statsd_on=True)
    Gauges().found([group(120, id="a.b,c=d:1|c\n" + "é" * 200)], 0)

    name, _, tags = told[0]
    assert name.startswith("participant_count.a_b_c_d_1_c__")
    assert len(name) < 150
    assert tags == {"participant_group_id": name.partition(".")[2]}


def test_metrics_that_fail_harm_no_wait(monkeypatch, told):
    def fail(*arguments, **named):
        raise OSError("no such host")

    monkeypatch.setattr(told, "gauge", fail, raising=False)
    Gauges().found([group(120)], 0)
