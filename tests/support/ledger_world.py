"""
Tasks that pay bonuses of one study at the same time, in a world whose time only passes as it is told.

Each task runs the real operator in a thread of its own. Whatever it asks of Airflow's Variables, of Prolific and of the
clock goes through the world: it takes a time of its own, has its effect somewhere in between, may be the last that the
task did, and no two things happen at once. So every run with the same numbers is the same run.
"""

from __future__ import annotations

import heapq
import inspect
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificUndecidedError,
)
from airflow_provider_prolific.operators import bonuses, ledger, settling
from airflow_provider_prolific.version_compat import AirflowFailException

STUDY = "s1"


class Killed(BaseException):
    """The task's process was killed."""


class World:
    """
    :param choose: Returns a number from 0 to another number: how long something takes, or what becomes of it.
    :param submission_ids: Those of the study, all approved.
    :param is_quiet: Nothing is slow, killed or lost.
    """

    def __init__(self, choose: Callable[[int], int], submission_ids: list[str], is_quiet: bool) -> None:
        self.now = 0.0
        self.variables: dict[str, str] = {}
        #: Every bonus that was truly paid: submission, hundredths, when it can be seen.
        self.payments: list[tuple[str, int, float]] = []
        self.outcomes: dict[str, list[str]] = {}
        self._choose = choose
        self._submission_ids = submission_ids
        self._batches: dict[str, dict[str, Decimal]] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._turn = threading.Semaphore(0)
        # Some worlds are quiet, some are slow, in some there is much that kills and many an answer is lost.
        self._deadliness = 0 if is_quiet else (0, 0, 0, 3, 12)[choose(4)]
        self._slowness = 0 if is_quiet else (0, 1, 4)[choose(2)]
        self._stalls = 0 if is_quiet else (0, 6)[choose(1)]
        self._trouble = 0 if is_quiet else (0, 2, 8)[choose(2)]

    # -- time -------------------------------------------------------------------------------------------------

    def _at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), event))

    def _seconds(self) -> float:
        """Return how long something takes: mostly little, sometimes longer than a claim stands."""
        if self._choose(299) < self._stalls:
            return 5.0 + 3 * self._choose(10)
        is_slow = self._choose(9) < self._slowness
        return self._choose(10) * (1.0 if is_slow else 0.03)

    def _perhaps_die(self) -> None:
        if self._choose(999) < self._deadliness:
            raise Killed

    def _do(self, effect: Callable[[], Any] = lambda: None, seconds: float | None = None) -> Any:
        """Let something happen in the calling thread's task: it takes its time, and has its effect within."""
        self._perhaps_die()
        before, after = (self._seconds(), self._seconds()) if seconds is None else (seconds, 0.0)
        done: list[Any] = []
        wake = threading.Semaphore(0)
        self._at(self.now + before, lambda: done.append(effect()))

        def go_on() -> None:
            wake.release()
            self._turn.acquire()

        self._at(self.now + before + after, go_on)
        self._turn.release()
        wake.acquire()
        self._perhaps_die()
        return done[0]

    def run(self, *tasks: tuple[str, Callable[[], Any]]) -> None:
        """Run tasks to their end; what becomes of each try is in ``outcomes``."""
        threads = []
        for name, work in tasks:
            self.outcomes[name] = []

            def begin(name: str = name, work: Callable[[], Any] = work) -> None:
                thread = threading.Thread(target=self._run, args=(name, work), daemon=True)
                threads.append(thread)
                thread.start()
                self._turn.acquire()

            self._at(self.now + self._choose(20) * 0.4, begin)
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()
        for thread in threads:
            thread.join()

    def _run(self, name: str, work: Callable[[], Any]) -> None:
        try:
            for _ in range(3):
                try:
                    work()
                except Killed:
                    self.outcomes[name].append("killed")
                except AirflowFailException:
                    self.outcomes[name].append("for a person")
                    break
                except ProlificError as error:
                    self.outcomes[name].append(f"failed: {error}")
                else:
                    self.outcomes[name].append("success")
                    break
        except BaseException as error:  # noqa: BLE001 - the test says what became of it
            self.outcomes[name].append(f"broken: {error!r}")
        finally:
            self._turn.release()

    # -- Airflow ----------------------------------------------------------------------------------------------

    def task(self, **arguments: Any) -> Callable[[], Any]:
        """Make an operator that lives in this world; what is returned executes it."""
        world = self

        class Operator(bonuses.ProlificPayBonusesOperator):
            log = logging.getLogger("nobody reads it")

            @contextmanager
            def opened_hook(self) -> Iterator[Any]:
                try:
                    yield world
                except ProlificUndecidedError as error:
                    raise AirflowFailException(str(error)) from error

        operator = Operator(task_id="pay", study_id=STUDY, timeout=40, poke_interval=3, deferrable=False, **arguments)
        # Without what Airflow puts around it to see who calls: that is for the main thread.
        return lambda: inspect.unwrap(Operator.execute)(operator, {})

    def install(self, monkeypatch: Any) -> None:
        """Put the world in the place of Airflow's Variables and of the clock."""
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now, sleep=lambda s: self._do(seconds=s))
        for module in (ledger, settling):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(ledger, "random", SimpleNamespace(uniform=lambda low, high: high * self._choose(10) / 10))
        monkeypatch.setattr(ledger, "get_variable", lambda name: self._do(lambda: self.variables.get(name)))
        monkeypatch.setattr(
            ledger, "set_variable", lambda name, text, _: self._do(lambda: self.variables.__setitem__(name, text))
        )

    # -- Prolific, as the hook has it -------------------------------------------------------------------------

    def paid(self, submission_id: str, at: float = float("inf")) -> list[int]:
        """Return what a submission has been paid, in hundredths, as far as it can be seen by then."""
        return [amount for each, amount, seen_at in self.payments if each == submission_id and seen_at <= at]

    def list_submissions(self, study_id: str) -> list[dict[str, Any]]:
        return self._do(
            lambda: [
                {"id": each, "status": "APPROVED", "bonus_payments": self.paid(each, self.now)}
                for each in self._submission_ids
            ]
        )

    def get_study(self, study_id: str) -> dict[str, Any]:
        return self._do(lambda: {"id": study_id, "currency_code": "GBP", "workspace": "w1"})

    def get_workspace_balance(self, workspace_id: str) -> dict[str, Any]:
        return {"currency_code": "GBP", "available_balance": 1_000_000}

    def create_bonus_payment(self, study_id: str, amounts: dict[str, str]) -> dict[str, Any]:
        def set_up() -> dict[str, Any]:
            batch_id = f"b{len(self._batches) + 1}"
            self._batches[batch_id] = {each: Decimal(amount) for each, amount in amounts.items()}
            amount = float(sum(self._batches[batch_id].values()) * 100)
            return {"id": batch_id, "study": study_id, "amount": amount, "total_amount": amount * 1.5}

        return self._do(set_up)

    def pay_bonus_payment(self, batch_id: str) -> None:
        outcome = self._choose(3) if self._choose(9) < self._trouble else 0

        def pay() -> None:
            seen_at = self.now + self._choose(10) * (0.5 if self._choose(5) else 6)
            self.payments += [(each, int(amount * 100), seen_at) for each, amount in self._batches[batch_id].items()]

        self._do(pay if outcome < 2 else lambda: None)
        if outcome == 1:
            raise ProlificConnectionError("the answer was lost")
        if outcome == 2:
            raise ProlificApiError("refused", status_code=400)
        if outcome == 3:
            raise ProlificApiError("a gateway answered", status_code=502)
