"""What is paid on request and settles later: bulk approvals and bonuses. No HTTP in here."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow_provider_prolific.emulator.errors import ApiError, invalid, not_found
from airflow_provider_prolific.emulator.life import Life
from airflow_provider_prolific.emulator.money import Cost, shown
from airflow_provider_prolific.emulator.studies import Study, Submission
from airflow_provider_prolific.emulator.world import World

MAX_BATCHES = 10_000
MAX_ROWS = 1_000
MAX_PAYMENTS = 500_000

_ROW = re.compile(r"\s*(\S+?)\s*,\s*(\d{1,9}(?:\.\d{1,2})?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Bonuses that were set up, in hundredths. Paying it again pays everyone again."""

    id: str
    study: Study
    rows: tuple[tuple[Submission, Decimal], ...]
    created_at: float

    @property
    def cost(self) -> Cost:
        """What paying it once costs."""
        return self.study.rates.cost(sum((amount for _, amount in self.rows), Decimal()))

    def as_json(self) -> dict[str, Any]:
        """Return the batch in the API's own fields."""
        cost = self.cost
        amounts = {"amount": cost.rewards, "fees": cost.fees, "vat": cost.vat, "total_amount": cost.total}
        return {
            "id": self.id,
            "study": self.study.id,
            **{name: float(shown(amount)) for name, amount in amounts.items()},
        }


class Payments:
    """The batches, what was truly paid, and what is under way."""

    def __init__(self, world: World, life: Life) -> None:
        self._world = world
        self._life = life
        self._busy_until: dict[str, float] = {}
        self.batches: dict[str, Batch] = {}
        self.times_paid: Counter[str] = Counter()
        #: Every bonus that was paid to a person, from the moment at which the API accepted it.
        self.log: list[dict[str, Any]] = []

    def _occupy(self, workspace_ids: set[str], now: float, seconds: float) -> None:
        """Refuse a second payment from a busy wallet, if ``contention`` is set."""
        if self._world.settings.contention and any(self._busy_until.get(each, 0) > now for each in workspace_ids):
            raise ApiError(429, "Another payment of this workspace is under way. Please try again later.")
        self._busy_until |= dict.fromkeys(workspace_ids, now + seconds)

    def approve(self, submissions: Sequence[Submission], now: float) -> None:
        """Approve all that await review, some time from now."""
        if self._world.settings.bulk_approve_others == "refuse":
            others = [each.id for each in submissions if each.status != "AWAITING REVIEW"]
            if others:
                raise invalid(submission_ids=f"Not awaiting review: {', '.join(others)[:1000]}")
        seconds = self._world.settings.approval_seconds
        self._occupy({each.study.workspace_id for each in submissions}, now, seconds)

        def settle(at: float) -> None:
            for submission in submissions:
                if submission.status == "AWAITING REVIEW":
                    self._life.move(submission, "APPROVED", at)

        self._life.plan(now + seconds, settle)

    def set_up(self, study: Study, csv: str, now: float) -> Batch:
        """Make a batch from lines of an id and an amount in major units; nothing is paid."""
        by_participant = {each.participant_id: each for each in study.submissions.values()}
        rows: list[tuple[Submission, Decimal]] = []
        unknown = []
        for line in filter(str.strip, csv.splitlines()):
            row = _ROW.fullmatch(line)
            if row is None or not Decimal(row[2]):
                raise invalid(csv_bonuses=f"Not an id and an amount such as 4.25: {line[:100]}")
            submission = study.submissions.get(row[1], by_participant.get(row[1]))
            if submission is None:
                unknown.append(row[1])
            else:
                rows.append((submission, Decimal(row[2]) * 100))
        if unknown:
            raise invalid(
                csv_bonuses=f"Not among the study's submissions and participants: {', '.join(unknown)[:1000]}"
            )
        if not rows or len(rows) > MAX_ROWS or len(self.batches) >= MAX_BATCHES:
            raise invalid(
                csv_bonuses=f"There must be between 1 and {MAX_ROWS} rows, and at most {MAX_BATCHES} batches."
            )
        batch = Batch(f"69{len(self.batches) + 1:022x}", study, tuple(rows), now)
        self.batches[batch.id] = batch
        return batch

    def pay(self, batch: Batch, now: float) -> None:
        """Pay a batch, once more if it was paid before; people and researcher see it later."""
        settings, workspace_id = self._world.settings, batch.study.workspace_id
        expiry = settings.bonus_expiry_seconds
        if expiry is not None and now > batch.created_at + expiry:
            raise not_found()
        if self.times_paid[batch.id] and settings.repeated_pay == "refused":
            raise ApiError(400, "This bulk payment has been paid.")
        if len(self.log) + len(batch.rows) > MAX_PAYMENTS:
            raise ApiError(400, f"There can be at most {MAX_PAYMENTS} payments.")
        total = batch.cost.total
        if total > self._world.available(workspace_id):
            raise ApiError(400, "There is not enough balance in the workspace for these bonuses.")
        self._occupy({workspace_id}, now, settings.bonus_seconds)
        self.times_paid[batch.id] += 1
        wallet = self._world.wallets[workspace_id]
        wallet.bonuses_locked += total
        visible_at = now + settings.bonus_seconds
        self.log += [
            {
                "bonus_payment_id": batch.id,
                "study_id": batch.study.id,
                "submission_id": submission.id,
                "participant_id": submission.participant_id,
                "amount": shown(amount),
                "accepted_at": now,
                "visible_at": visible_at,
            }
            for submission, amount in batch.rows
        ]

        def settle(_: float) -> None:
            wallet.bonuses_locked -= total
            wallet.spend(batch.cost)
            batch.study.bonuses += batch.cost
            for submission, amount in batch.rows:
                submission.bonus_payments.append(amount)

        self._life.plan(visible_at, settle)
