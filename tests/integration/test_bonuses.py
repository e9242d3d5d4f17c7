"""
Paying bonuses over real HTTP, with a ledger in real Airflow Variables, and with trouble in the middle.

The truth is what the emulator has paid: its ``pay`` pays again whenever it is called, and what it has paid can be seen
later. Whatever happens, each run ends as paid, as not paid, or with a person, and nobody is paid twice.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partialmethod
from typing import Any, Literal

import pytest
from kills import run_killed

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.hooks.prolific import ProlificHook
from airflow_provider_prolific.operators import bonuses, ledger
from airflow_provider_prolific.operators.bonuses import ProlificPayBonusesOperator
from airflow_provider_prolific.version_compat import AirflowFailException

ONE_BATCH = ("1.50", "4.25")
TWO_BATCHES = (*ONE_BATCH, "0.05")


class Round:
    """A study with submissions, and the bonuses that they shall have."""

    def __init__(self, prolific: Emulator, wished: Sequence[str] = TWO_BATCHES) -> None:
        self.prolific = prolific
        self.study_id = prolific.create_study("Round", submissions={"APPROVED": len(wished)})
        ids = [each["id"] for each in prolific.submissions(self.study_id)]
        self.amounts = dict(zip(ids, wished, strict=True))
        self.name = f"prolific_bonuses_{self.study_id}"

    def task(self, payment_key: str = "a", **arguments: Any) -> Callable[[], Any]:
        """Return what executes the task; each call is a try."""
        operator = ProlificPayBonusesOperator(
            task_id="pay",
            study_id=self.study_id,
            amounts=self.amounts,
            payment_key=payment_key,
            **{
                "max_each": "10 GBP",
                "max_total": "20 GBP",
                "timeout": 2,
                "poke_interval": 0.1,
                "deferrable": False,
                **arguments,
            },
        )
        return lambda: operator.execute({})

    @property
    def paid(self) -> Counter[str]:
        """How much each submission has truly been paid, in hundredths."""
        paid: Counter[str] = Counter()
        for payment in self.prolific.payments():
            if payment["study_id"] == self.study_id:
                paid[payment["submission_id"]] += payment["amount"]
        return paid

    @property
    def whole(self) -> Counter[str]:
        """How much each shall have been paid."""
        return Counter({each: int(Decimal(amount) * 100) for each, amount in self.amounts.items()})

    def check_nobody_twice(self) -> None:
        assert self.paid <= self.whole, (self.paid, self.whole)

    def finish(self, *, tries: int = 6) -> list[str]:
        """Clear the task until it succeeds, as a person does who looks at what was paid; return how each try ended."""
        ends = []
        for _ in range(tries):
            try:
                self.task()()
            except AirflowFailException:
                ends.append("for a person")
                self.check_nobody_twice()
                self.decide()
            except ProlificError as error:
                ends.append(str(error))
            else:
                ends.append("success")
                break
            self.check_nobody_twice()
        assert self.paid == self.whole, ends
        return ends

    def decide(self) -> None:
        """Look whether the open batch was paid, and say so if it was not; if it was, a clear is enough."""
        entry = self.entry()
        if entry["batch_id"] not in {payment["bonus_payment_id"] for payment in self.prolific.payments()}:
            write(self.name, json.dumps(entry | {"state": "not paid"}), "by hand: docs/bonuses.md")

    def entry(self) -> Any:
        return json.loads(read(self.name) or "null")


def read(name: str) -> str | None:
    """Read an Airflow Variable as a server does: straight from the database."""
    from airflow.models.variable import Variable

    return Variable.get(name, None)  # type: ignore[no-any-return]


def write(name: str, text: str, description: str) -> None:
    """Write one in the same way."""
    from airflow.models.variable import Variable

    Variable.set(name, text, description=description)


@pytest.fixture(autouse=True)
def _empty_ledger(airflow_db: None) -> None:
    """The emulator gives the same ids in every test."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(Variable).delete()


@pytest.fixture
def quick(prolific: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two, short claims, bonuses that can be seen soon."""
    monkeypatch.setattr(bonuses, "MAX_ROWS", 2)
    monkeypatch.setattr(ledger, "CLAIM_SECONDS", 0.12)  # nobody else pays, so an entry may be written as slowly as ever
    prolific.set(bonus_seconds=0.15)


@pytest.fixture
def in_database(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that are executed without an Airflow around them have their ledger in the database all the same."""
    monkeypatch.setattr(ledger, "get_variable", read)
    monkeypatch.setattr(ledger, "set_variable", write)


@pytest.fixture
def round_(prolific: Emulator, in_database: None) -> Round:
    return Round(prolific)


def in_child(work: Callable[[], object]) -> int:
    """Begin work in a process of its own, and return its id; it ends with 0, with 1 after a ``ProlificError``, or 2."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            work()
            code = 0
        except (ProlificError, AirflowFailException):
            code = 1
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def kill_around_write(number: int, when: Literal["before", "after"]) -> None:
    """Kill this process around its so many-th write into the ledger."""
    written = 0
    do_write = ledger.set_variable

    def write_and_die(name: str, text: str, description: str) -> None:
        nonlocal written
        written += 1
        if written == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        do_write(name, text, description)
        if written == number:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger.set_variable = write_and_die


NEVER = 10**9


def kill_around_each_request(
    prolific: Emulator, when: Literal["before", "after"], wished: Sequence[str]
) -> Counter[str]:
    """Kill a task around each request that it sends; return how the next tries ended."""
    ends: Counter[str] = Counter()
    at, was_killed = 0, True
    while was_killed:
        at += 1
        round_ = Round(prolific, wished)
        was_killed = run_killed(round_.task(), at=at, when=when)
        round_.check_nobody_twice()
        ends[" > ".join(round_.finish())] += was_killed
    return ends


def kill_around_each_write(prolific: Emulator, when: Literal["before", "after"], wished: Sequence[str]) -> Counter[str]:
    """Kill a task around each write into its ledger; return how the next tries ended."""
    ends: Counter[str] = Counter()
    number, was_killed = 0, True
    while was_killed:
        number += 1
        round_ = Round(prolific, wished)

        def work(number: int = number, round_: Round = round_) -> None:
            kill_around_write(number, when)
            round_.task()()

        was_killed = run_killed(work, at=NEVER, when="before")
        round_.check_nobody_twice()
        ends[" > ".join(round_.finish())] += was_killed
    return ends


@pytest.mark.usefixtures("in_database")
class TestKilled:
    """``finish`` has seen that everybody is paid once; a person is asked only where nobody can tell."""

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_around_any_request(self, prolific: Emulator, when: Literal["before", "after"]) -> None:
        ends = kill_around_each_request(prolific, when, ONE_BATCH)

        assert ends.total() >= 7
        assert ends["success"] >= 6
        # The payment has not been sent, but the next try cannot know that.
        assert ends["for a person > success"] >= (when == "before")

    @pytest.mark.full
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_around_any_request_of_two_batches(self, prolific: Emulator, when: Literal["before", "after"]) -> None:
        ends = kill_around_each_request(prolific, when, TWO_BATCHES)

        assert ends.total() >= 15
        assert ends["for a person > success"] >= 2 * (when == "before")

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_around_any_write_of_the_ledger(self, prolific: Emulator, when: Literal["before", "after"]) -> None:
        ends = kill_around_each_write(prolific, when, ONE_BATCH)

        assert ends.total() == 4  # a claim, an entry and a closing; and the claim that finds nothing due
        assert ends["success"] >= 3
        assert ends["for a person > success"] >= (when == "after")

    @pytest.mark.full
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_around_any_write_of_two_batches(self, prolific: Emulator, when: Literal["before", "after"]) -> None:
        assert kill_around_each_write(prolific, when, TWO_BATCHES).total() == 7

    def kill_at_random(self, prolific: Emulator, kills: int) -> Counter[str]:
        """Kill tries of tasks at random moments, some of them with lost answers, until so many have been killed."""
        numbers = random.Random(20260301)
        ends: Counter[str] = Counter()
        while kills:
            prolific.clear_faults()
            round_ = Round(prolific)
            if numbers.random() < 0.3:
                prolific.add_fault("lost_answer", path="/pay/", count=1)
            for _ in range(numbers.randint(1, 3)):
                child = in_child(round_.task())
                timer = threading.Timer(numbers.uniform(0, 0.9), os.kill, (child, signal.SIGKILL))
                timer.start()
                _, status = os.waitpid(child, 0)
                timer.cancel()
                assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) < 2
                round_.check_nobody_twice()
                if os.WIFSIGNALED(status):
                    kills -= 1
                if not kills:
                    break
            prolific.clear_faults()
            ends[round_.finish()[-1]] += 1
        return ends

    def test_at_random_moments(self, prolific: Emulator) -> None:
        assert set(self.kill_at_random(prolific, 5)) == {"success"}

    @pytest.mark.full
    def test_at_two_hundred_random_moments(self, prolific: Emulator) -> None:
        assert set(self.kill_at_random(prolific, 200)) == {"success"}


class TestAnswers:
    @pytest.mark.parametrize(
        ("fault", "fields", "tries"),
        [
            ("lost_answer", {}, ["success"]),
            ("disconnect", {}, ["for a person", "success"]),
            ("status", {"status": 502}, ["for a person", "success"]),
            ("html", {}, ["for a person", "success"]),
            ("status", {"status": 429, "retry_after": 0}, ["success"]),
            ("status", {"status": 400}, ["refused", "success"]),
        ],
        ids=lambda value: str(value),
    )
    def test_whatever_is_answered_to_a_payment_nobody_is_paid_twice(
        self, prolific: Emulator, round_: Round, fault: str, fields: dict[str, Any], tries: list[str]
    ) -> None:
        prolific.add_fault(fault, path="/pay/", count=1, **fields)

        ends = round_.finish()

        assert ["refused" if "400 from POST" in end else end for end in ends] == tries

    def test_502_although_it_was_paid(self, prolific: Emulator, round_: Round, monkeypatch: pytest.MonkeyPatch) -> None:
        pay = ProlificHook.pay_bonus_payment

        def pay_and_lose(hook: ProlificHook, batch_id: str) -> None:
            pay(hook, batch_id)
            prolific.add_fault("status", path="/pay/", count=1, status=502)
            pay(hook, batch_id)

        monkeypatch.setattr(ProlificHook, "pay_bonus_payment", pay_and_lose)

        assert round_.finish() == ["success"]

    def test_bonuses_that_can_be_seen_late_are_waited_for_by_the_next_tries(
        self, prolific: Emulator, round_: Round
    ) -> None:
        prolific.set(bonus_seconds=5)

        ends = round_.finish()

        assert ends[0] == "for a person"
        assert ends[-1] == "success"

    def test_a_rerun_after_all_has_settled_does_nothing(self, prolific: Emulator, round_: Round) -> None:
        first = round_.task()()
        prolific.clear_requests()

        assert round_.task()() == first
        assert {request["method"] for request in prolific.requests()} == {"GET"}

    @pytest.mark.parametrize(("is_shown", "paid"), [(True, 30), (False, 50)])
    def test_partial_pay_counts_if_prolific_shows_it_as_a_bonus(
        self, prolific: Emulator, in_database: None, is_shown: bool, paid: int
    ) -> None:
        prolific.set(screen_out_as_bonus=is_shown)
        action = {"action": "FIXED_SCREEN_OUT_PAYMENT", "fixed_screen_out_reward": 20, "slots": 1}
        codes = [{"code": "OUT", "code_type": "COMPLETED", "actions": [action]}]
        round_ = Round(prolific, ())
        round_.study_id = prolific.create_study(
            "Screens out", status="ACTIVE", completion_codes=codes, arrivals_per_second=50, seconds_taken=0.01
        )
        while not (screened_out := prolific.submissions(round_.study_id, "SCREENED OUT")):
            time.sleep(0.05)
        round_.amounts = {screened_out[0]["id"]: "0.50"}

        round_.task(statuses=["SCREENED OUT"])()

        assert list(round_.paid.values()) == [paid]


class TestAtOnce:
    def pay_at_once(self, round_: Round, *keys: str) -> list[int]:
        children = [in_child(round_.task(key, timeout=20)) for key in keys]
        return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    @pytest.fixture
    def round_(self, prolific: Emulator, in_database: None, monkeypatch: pytest.MonkeyPatch) -> Round:
        monkeypatch.setattr(ledger, "CLAIM_SECONDS", 2.1)
        monkeypatch.setattr(ledger, "WRITE_SECONDS", 2)
        return Round(prolific, ONE_BATCH)

    def test_two_tasks_of_one_key_pay_once(self, round_: Round) -> None:
        assert self.pay_at_once(round_, "a", "a") == [0, 0]
        assert round_.paid == round_.whole

    def test_of_two_keys_one_is_refused_or_finds_nothing_due(self, round_: Round) -> None:
        codes = self.pay_at_once(round_, "a", "b")

        assert 0 in codes
        assert max(codes) < 2
        assert round_.paid == round_.whole


DAG_FILE = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.bonuses import ProlificPayBonusesOperator

with DAG("bonuses", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    ProlificPayBonusesOperator(
        task_id="pay", study_id="{study_id}", amounts={amounts}, max_each="10 GBP", max_total="20 GBP",
        payment_key="a", deferrable={deferrable}, timeout=30, poke_interval=0.2,
    )
"""


class TestInADag:
    @pytest.fixture
    def run(self, run_dag: Callable[..., Any], prolific: Emulator, quick: None) -> Callable[..., Any]:
        def run(round_: Round, deferrable: bool = False) -> Any:
            text = DAG_FILE.format(study_id=round_.study_id, amounts=round_.amounts, deferrable=deferrable)
            return run_dag(text)

        return run

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_it_pays_and_the_ledger_is_in_airflows_variables(
        self, prolific: Emulator, run: Callable[..., Any], deferrable: bool
    ) -> None:
        round_ = Round(prolific)

        first = run(round_, deferrable)
        second = run(round_, deferrable)

        assert (first.state, second.state) == ("success", "success")
        assert round_.paid == round_.whole
        assert second.xcom("pay") == first.xcom("pay")
        closed = json.loads(read(f"{round_.name}_key_a") or "")
        assert [entry["state"] for entry in closed] == ["paid", "paid"]
        assert {each for entry in closed for each in entry["rows"]} == set(round_.amounts)

    def test_a_variable_that_is_set_elsewhere_too_stops_it_before_anything_is_paid(
        self, prolific: Emulator, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Airflow reads the environment first, and writes into the database."""
        round_ = Round(prolific)
        run(round_)
        closed = json.loads(read(f"{round_.name}_key_a") or "")[0]
        monkeypatch.setenv(f"AIRFLOW_VAR_{round_.name.upper()}", json.dumps(closed))
        before = round_.paid
        round_.amounts = dict.fromkeys(round_.amounts, "9")

        assert run(round_).state == "failed"
        assert round_.paid == before


def test_the_example_pays_what_a_person_has_agreed_to(
    prolific: Emulator, quick: None, run_example: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        from airflow.sdk import DAG
    except ImportError:
        from airflow.models.dag import DAG
    # dag.test() would wait for a person for ever.
    monkeypatch.setattr(DAG, "test", partialmethod(DAG.test, mark_success_pattern="approve"))
    round_ = Round(prolific)

    run = run_example("pay_bonuses", study_id=round_.study_id)

    assert run.state == "success"
    assert list(round_.paid.values()) == [150, 150, 150]
    assert run.xcom("pay")["amount"] == "4.50 GBP"
    assert run.xcom("summary") == "3 submissions, bonuses of 4.50 in all"
