"""
Waits under fire: a third of all requests meets a fault, and triggers are restarted from their serialised form.

Every wait must end right. The judge is the emulator, whose clock knows when a group truly reached a count.
"""

import random

import pytest
from faulty_waits import FaultyWait, common_arguments, judge, run_under_faults, set_connections

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.triggers.participant_groups import ProlificParticipantGroupTrigger
from airflow_provider_prolific.waiting import polling


@pytest.fixture
def emulator(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    set_connections(prolific_emulator, monkeypatch)
    return prolific_emulator


def run_program(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], count: int, seconds: float, stall: float
) -> None:
    rng = random.Random(7)
    groups = [emulator.create_group(f"Growing {number}", participant_count=0) for number in range(20)]
    for group_id in groups:
        emulator.set_group(group_id, growth_per_second=rng.uniform(0.2, 5))
    waits = []
    for number in range(count):
        group_id, target = rng.choice(groups), rng.randint(1, int(3 * seconds))
        arguments = {"targets": {group_id: target}, **common_arguments(number, rng, seconds)}
        waits.append(FaultyWait(ProlificParticipantGroupTrigger, arguments, group_id, target))

    def judge_group(wait: FaultyWait) -> str:
        assert wait.event is not None
        if wait.event["status"] == "error" and "the scope was ignored" in wait.event["message"]:
            return "error"
        if wait.event["status"] == "success":
            assert wait.event["groups"][0]["participant_count"] >= wait.target
        return judge(wait, emulator.reached_at(wait.subject, wait.target))

    ignored_scope = ("ignored_scope", {}, 0.003)
    run_under_faults(
        emulator, capsys, waits, rng, judge_group, path="participant-groups", stall=stall, more=(ignored_scope,)
    )


def test_every_wait_ends_right_under_faults(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(polling, "ASK_SECONDS", 2)

    run_program(emulator, capsys, count=90, seconds=20, stall=3)


@pytest.mark.full
def test_every_wait_ends_right_under_faults_at_full_length(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    run_program(emulator, capsys, count=400, seconds=120, stall=Limits().attempt_seconds + 1)
