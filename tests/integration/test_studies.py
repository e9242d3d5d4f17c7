"""Studies and submissions against the emulator: whole listings, every mode, sharing, and waits under fire."""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from faulty_waits import FaultyWait, common_arguments, judge, run_under_faults, set_connections
from urllib3.connection import HTTPConnection

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificApiError
from airflow_provider_prolific.hooks.prolific import ProlificHook
from airflow_provider_prolific.triggers.studies import ProlificStudyTrigger, ProlificSubmissionTrigger
from airflow_provider_prolific.waiting import polling
from airflow_provider_prolific.waiting import trigger as rules
from airflow_provider_prolific.waiting.trigger import WaitTrigger

EXAMPLES = Path(__file__).parent.parent.parent / "example_dags"
PROJECT = "64b000000000000000000002"
#: A code whose people are paid at once, so that the study is COMPLETED as soon as it is full.
PAID_AT_ONCE = [{"code": "DONE", "code_type": "COMPLETED", "actions": [{"action": "AUTOMATICALLY_APPROVE"}]}]


@pytest.fixture
def emulator(prolific_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific_emulator.connection_json())
    return prolific_emulator


@pytest.fixture
def hook(emulator: Emulator) -> Iterator[ProlificHook]:
    with ProlificHook() as hook:
        yield hook


class TestListings:
    """Whole or an error, however the server pages."""

    @pytest.mark.parametrize("paging", ["full", "count", "links", "bare"])
    @pytest.mark.parametrize(
        "trouble",
        [
            {},
            {"page_overlap": 3},
            {"next_on_last_page": True},
            {"past_end": "404"},
            {"past_end": "empty"},
            {"page_overlap": 3, "next_on_last_page": True, "past_end": "404"},
        ],
        ids=str,
    )
    def test_450_submissions_in_pages_of_20(
        self, emulator: Emulator, hook: ProlificHook, paging: str, trouble: dict[str, Any]
    ) -> None:
        study_id = emulator.create_study("Many", total_available_places=450, submissions={"APPROVED": 450})
        emulator.set(max_limit=20, paging=paging, **trouble)
        emulator.clear_requests()

        submissions = hook.list_submissions(study_id)

        assert [each["id"] for each in submissions] == [each["id"] for each in emulator.submissions(study_id)]
        assert 23 <= emulator.request_count() <= 24

    def test_45_studies_in_pages_of_20(self, emulator: Emulator, hook: ProlificHook) -> None:
        made = [emulator.create_study(f"Study {number}", project=PROJECT) for number in range(45)]
        emulator.set(max_limit=20, page_overlap=3, next_on_last_page=True, past_end="404")

        assert [study["id"] for study in hook.list_studies(PROJECT)][-45:] == made


class TestReading:
    def test_a_submission_has_the_same_fields_from_both_endpoints(self, hook: ProlificHook) -> None:
        listed = hook.list_submissions("64d000000000000000000002")[0]

        alone = hook.get_submission(listed["id"])

        common = ("id", "participant_id", "status", "started_at", "completed_at", "study_code", "study_id")
        assert [listed[name] for name in common] == [alone[name] for name in common]  # type: ignore[literal-required]
        assert not {"ip", "reward", "participant", "entered_code"} & {*listed, *alone}

    def test_counts_cost_and_balance(self, emulator: Emulator, hook: ProlificHook) -> None:
        study_id = emulator.create_study(
            "Paid", status="ACTIVE", reward=300, total_available_places=40, submissions={"APPROVED": 10, "RETURNED": 2}
        )

        counts = hook.count_submissions(study_id)
        cost = hook.get_study_cost(study_id)
        balance = hook.get_workspace_balance()

        assert (counts["APPROVED"], counts["RETURNED"], counts["TOTAL"]) == (10, 2, 12)
        assert cost["rewards"]["rewards"] == {"amount": 3000, "currency": "GBP"}
        assert balance["available_balance"] <= balance["total_balance"] - 30 * 300

    def test_a_study_of_another_account_is_not_found(self, hook: ProlificHook) -> None:
        with pytest.raises(ProlificApiError) as refusal:
            hook.get_study("64d0000000000000000000ff")

        assert refusal.value.status_code == 404


#: What Mephisto and Dallinger read, as they ask for it.
READ_BY_OTHERS = [
    "studies",
    "studies?state=(active|paused)",
    "studies?page=1&page_size=100",
    "projects/64b000000000000000000002/studies",
    "studies/64d000000000000000000002",
    "studies/64d000000000000000000002/submissions",
    "studies/64d000000000000000000002/submissions?limit=200&offset=0",
    "studies/64d000000000000000000002/submissions/counts",
    "studies/64d000000000000000000002/cost",
    "submissions?study=64d000000000000000000002",
    "submissions?study=64d000000000000000000002&page=2&page_size=20",
    "workspaces",
    "workspaces/64a000000000000000000001/projects",
    "workspaces/64a000000000000000000001/balance",
    "users/me",
]


@pytest.mark.parametrize("slash", ["/", ""])
@pytest.mark.parametrize("call", READ_BY_OTHERS)
def test_what_other_programs_read_is_answered(emulator: Emulator, call: str, slash: str) -> None:
    path, _, query = call.partition("?")
    url = f"{emulator.url}/api/v1/{path}{slash}" + (f"?{query}" if query else "")

    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(url, headers={"Authorization": f"Token {emulator.token}"}, allow_redirects=False)

    assert answer.status_code == 200
    document = answer.json()
    assert document.get("results", document)


DAG_FILE = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.sensors.studies import ProlificStudySensor, ProlificSubmissionSensor

with DAG("wait", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    ProlificSENSOR(task_id="wait", **ARGUMENTS)
"""


@pytest.fixture
def wait(mode: dict[str, Any], run_dag: Callable[..., Any]) -> Callable[..., Any]:
    """Run one sensor in one of the modes, in a real Airflow."""

    def run(sensor: str, **arguments: Any) -> Any:
        arguments = {"poke_interval": 1, "timeout": 60, **mode, **arguments}
        return run_dag(DAG_FILE.replace("SENSOR", sensor).replace("ARGUMENTS", repr(arguments)))

    return run


@pytest.fixture
def later() -> Iterator[Callable[..., None]]:
    """Do something while a wait is under way."""
    timers: list[threading.Timer] = []

    def plan(seconds: float, deed: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        timers.append(threading.Timer(seconds, deed, arguments, named))
        timers[-1].start()

    yield plan
    for timer in timers:
        timer.cancel()
        timer.join()


class TestEveryMode:
    """In a real Airflow, with people who take part while the task waits."""

    def test_a_study_sensor_returns_the_same_value(self, prolific: Emulator, wait: Callable[..., Any]) -> None:
        study_id = prolific.create_study(
            "A memory task",
            internal_name="memory v2",
            status="ACTIVE",
            total_available_places=6,
            arrivals_per_second=2,
            seconds_taken=1,
            completion_codes=PAID_AT_ONCE,
        )

        run = wait("StudySensor", study_id=study_id, statuses=["completed"])

        assert run.state == "success"
        assert run.xcom("wait") == [
            {
                "id": study_id,
                "name": "A memory task",
                "internal_name": "memory v2",
                "status": "COMPLETED",
                "total_available_places": 6,
                "places_taken": 6,
            }
        ]

    def test_a_submission_sensor_returns_the_same_value(self, prolific: Emulator, wait: Callable[..., Any]) -> None:
        study_id = prolific.create_study(
            "A memory task",
            status="ACTIVE",
            total_available_places=6,
            arrivals_per_second=2,
            seconds_taken=1,
            submissions={"RETURNED": 2},
        )

        run = wait("SubmissionSensor", study_id=study_id)

        [study] = run.xcom("wait")
        counts = study.pop("counts")
        assert run.state == "success"
        assert {name: number for name, number in counts.items() if number} == {
            "AWAITING REVIEW": 6,
            "RETURNED": 2,
            "TOTAL": 8,
        }
        assert study == {
            "id": study_id,
            "name": "A memory task",
            "status": "AWAITING REVIEW",
            "submission_count": 6,
            "target_count": 6,
            "reached": True,
        }
        assert json.loads(json.dumps(run.xcom("wait"))) == run.xcom("wait")

    def test_a_study_that_is_deleted_meanwhile_fails_the_task_at_once(
        self, prolific: Emulator, wait: Callable[..., Any], later: Callable[..., None]
    ) -> None:
        study_id = prolific.create_study("Short-lived", status="ACTIVE")
        later(4, prolific.delete_study, study_id)

        run = wait("SubmissionSensor", study_id=study_id, soft_fail=True, timeout=300)

        assert run.task_state("wait") == "failed"
        assert [request["status"] for request in prolific.requests()].count(404) == 1

    def test_counts_that_fall_and_a_status_that_flaps_end_nothing_early(
        self, prolific: Emulator, wait: Callable[..., Any], later: Callable[..., None]
    ) -> None:
        study_id = prolific.create_study(
            "Flapping", status="ACTIVE", total_available_places=3, submissions={"AWAITING REVIEW": 3}
        )
        [first, *_] = prolific.submissions(study_id)
        prolific.set_submission(first["id"], status="RETURNED")  # the place is free again: the study is ACTIVE
        later(3, prolific.set_study, study_id, status="PROCESSING")
        later(5, prolific.set_study, study_id, status="PAUSED")
        later(7, prolific.set_study, study_id, status="ACTIVE")
        later(9, prolific.add_submissions, study_id, "APPROVED", 1)

        run = wait("SubmissionSensor", study_id=study_id)

        [study] = run.xcom("wait")
        assert (study["submission_count"], study["counts"]["RETURNED"]) == (3, 1)

    def test_a_study_that_was_stopped_with_fewer_returns_what_there_is_where_that_is_asked(
        self, prolific: Emulator, wait: Callable[..., Any], later: Callable[..., None]
    ) -> None:
        study_id = prolific.create_study(
            "Stopped", status="ACTIVE", total_available_places=30, submissions={"APPROVED": 12}
        )
        later(3, prolific.set_study, study_id, status="COMPLETED")

        run = wait("SubmissionSensor", study_id=study_id, if_ended="return")

        [study] = run.xcom("wait")
        assert (study["submission_count"], study["target_count"], study["reached"]) == (12, 30, False)


def test_the_example_waits_for_the_screener_writes_a_table_and_gates_on_its_group(
    prolific: Emulator, run_example: Callable[..., Any], tmp_path: Path
) -> None:
    study_id = prolific.study_id("Screener")
    prolific.set_study(study_id, arrivals_per_second=40)

    run = run_example("screener_feeds_group", study_id=study_id, target_count=120, csv_path=str(tmp_path / "table.csv"))

    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert run.state == "success"
    assert lines[0] == "participant_id,status,study_code,started_at,completed_at"
    assert len(lines) == 1 + len(prolific.submissions(study_id, status="AWAITING REVIEW"))
    assert run.xcom("enough_screened")[0]["participant_count"] == 120


@asynccontextmanager
async def running(*triggers: WaitTrigger) -> AsyncIterator[None]:
    """Waits that begin now, and are cancelled at the end."""

    async def run(trigger: WaitTrigger) -> None:
        async for _ in trigger.run():
            pass

    tasks = [asyncio.create_task(run(trigger)) for trigger in triggers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class TestSharing:
    BEATS = 4
    INTERVAL = 4.0

    @pytest.fixture
    def connected(self, monkeypatch: pytest.MonkeyPatch) -> list[HTTPConnection]:
        """The connections that were made to the server."""
        made: list[HTTPConnection] = []
        connect = HTTPConnection.connect

        def note(connection: HTTPConnection) -> None:
            made.append(connection)
            connect(connection)

        monkeypatch.setattr(HTTPConnection, "connect", note)
        return made

    def test_1000_waits_on_20_studies_cost_two_requests_per_study_and_beat_over_kept_connections(
        self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, connected: list[HTTPConnection]
    ) -> None:
        monkeypatch.setattr(rules, "FIRST_LOOK_SECONDS", 0.5)
        studies = [emulator.create_study(f"Study {number}", status="ACTIVE") for number in range(20)]
        common = {"deadline": time.time() + 600, "poke_interval": self.INTERVAL}
        kinds = (ProlificStudyTrigger, ProlificSubmissionTrigger)
        triggers = [kinds[number % 2](study_id=studies[number // 2 % 20], **common) for number in range(1000)]

        async def main() -> None:
            async with running(*triggers):
                await asyncio.sleep(self.INTERVAL)
                emulator.clear_requests()
                await asyncio.sleep(self.INTERVAL * self.BEATS)

        asyncio.run(main())

        asked = Counter(request["path"].split("/")[4] for request in emulator.requests())
        assert set(asked) == set(studies)
        # At either end of the time a beat may be cut.
        assert max(asked.values()) <= 2 * (self.BEATS + 1)
        assert min(asked.values()) >= 2 * (self.BEATS - 1)
        assert len(connected) <= polling.MAX_ASKS_PER_CONNECTION
        assert not polling._loops

    def test_waits_for_a_study_alone_cost_one_request_per_beat(
        self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "FIRST_LOOK_SECONDS", 0.5)
        study_id = emulator.create_study("Alone", status="ACTIVE")
        emulator.clear_requests()
        common = {"study_id": study_id, "deadline": time.time() + 600, "poke_interval": 1}

        async def main() -> None:
            async with running(*(ProlificStudyTrigger(**common) for _ in range(100))):
                await asyncio.sleep(4.5)

        asyncio.run(main())

        assert {request["path"] for request in emulator.requests()} == {f"/api/v1/studies/{study_id}/"}
        assert 3 <= emulator.request_count() <= 6


def make_study(emulator: Emulator, number: int, rng: random.Random, seconds: float) -> str:
    """Make a study that fills within about three times the program, with people who return, time out or are late."""
    return emulator.create_study(
        f"Study {number}",
        status="ACTIVE",
        total_available_places=rng.randint(5, int(3 * seconds)),
        arrivals_per_second=rng.uniform(0.5, 5),
        seconds_taken=rng.uniform(0.5, 3),
        seconds_to_time_out=2,
        seconds_late=2,
        returned=0.1,
        timed_out=0.1,
        late=0.1,
        people_seed=number,
        reward=1,
        completion_codes=PAID_AT_ONCE,
    )


def test_every_wait_ends_right_under_faults(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds, count = 20.0, 60
    monkeypatch.setattr(polling, "ASK_SECONDS", 2)
    set_connections(emulator, monkeypatch)
    rng = random.Random(7)
    studies = [make_study(emulator, number, rng, seconds) for number in range(20)]
    waits = []
    for number in range(count):
        study_id = rng.choice(studies)
        arguments = {"study_id": study_id, **common_arguments(number, rng, seconds)}
        places = emulator.study(study_id)["total_available_places"]
        if number % 3 == 0:
            waits.append(FaultyWait(ProlificStudyTrigger, arguments, study_id, places))
        else:
            target = rng.choice([None, rng.randint(1, places)])
            arguments["target_count"] = target
            waits.append(FaultyWait(ProlificSubmissionTrigger, arguments, study_id, target or places))

    def judge_study(wait: FaultyWait) -> str:
        assert wait.event is not None
        people = emulator.submissions(wait.subject)
        if wait.trigger is ProlificSubmissionTrigger:
            times = sorted(each["completed_at"] for each in people if each["status"] == "APPROVED")
            if wait.event["status"] == "success":
                assert wait.event["studies"][0]["submission_count"] >= wait.target
        elif wait.event["status"] == "success":
            assert wait.event["studies"][0]["status"] in ("AWAITING REVIEW", "COMPLETED")
            times = sorted(each["started_at"] for each in people)  # filled at the earliest when so many had begun
        else:
            times = sorted(each["completed_at"] for each in people if each["status"] == "APPROVED")
            # Until the last one has gone the study is AWAITING REVIEW at most, perhaps for a moment.
            times = [max(times[-1:] + [each["started_at"] + 4 for each in people])] * len(times)
        return judge(wait, times[wait.target - 1] if len(times) >= wait.target else None)

    run_under_faults(emulator, capsys, waits, rng, judge_study, path="studies", stall=3)
