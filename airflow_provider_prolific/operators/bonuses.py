"""The operator that pays bonuses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_prolific.arguments import check_id, check_statuses
from airflow_provider_prolific.exceptions import ProlificError, ProlificUndecidedError, ProlificValueError
from airflow_provider_prolific.money import Money, check_amounts, check_money
from airflow_provider_prolific.operators.ledger import Ledger, check_payment_key
from airflow_provider_prolific.operators.settling import SettlingOperator
from airflow_provider_prolific.operators.spending import find_available
from airflow_provider_prolific.text import fold_status, shorten
from airflow_provider_prolific.waiting.bonuses import BonusWait, Entry, read_bonuses, write_amount, write_row
from airflow_provider_prolific.waiting.wait import Status, Wait

if TYPE_CHECKING:
    from airflow_provider_prolific.arguments import TextArgument
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.waiting.studies import SubmissionStatusesArgument

#: How many bonuses Prolific advises to pay at once.
MAX_ROWS = 200
#: How often a task starts over if another task interferes.
MAX_CLAIMS = 6
#: The end of an error before a payment; earlier batches of the same run may have been paid.
NOT_PAID = "what is due was not paid"


class ProlificPayBonusesOperator(SettlingOperator):
    """Pay bonuses to submissions, each exactly once.

    .. code-block:: python

        ProlificPayBonusesOperator(
            task_id="pay_bonuses",
            study_id="64c000000000000000000001",
            amounts={"<submission id>": "4.25"},
            max_each="10.00 GBP",
            max_total="200.00 GBP",
            payment_key="wave-1",
        )

    ``amounts`` are totals, not increments: all that a submission should have been paid as a bonus in the end. The
    operator pays the difference to what Prolific shows. So a repeated run pays nothing, and a second round needs higher
    totals. All checks (submissions, ceilings, balance) come before the first payment.

    Prolific pays again if it is asked again, and shows a bonus only minutes later. So each batch is written into a
    ledger (Airflow Variables) before it is paid, and is never paid twice. A retry, a cleared task or another run first
    waits until that batch is visible. If it does not become visible, the task fails without a retry, and a person must
    decide: ``docs/bonuses.md`` says how.

    :param study_id: The study.
    :param amounts: Submission id to total bonus, as text in the currency's main unit, for example ``"4.25"``. They are
        paid in batches of at most 200, one after the other.
    :param max_each: The highest total that a submission may have, for example ``"10.00 GBP"``.
    :param max_total: The most that all bonuses under this payment key may cost, fees and VAT included.
    :param payment_key: The name of this round of bonuses: letters, digits and ``_.:+@-``. It can be a run id.
    :param statuses: The statuses that the submissions may have.
    :param timeout: How long to wait at most until the bonuses of a batch are visible.
    :param poke_interval: The time between two looks.
    :param deferrable: Wait in the triggerer; default: Airflow's ``default_deferrable``.
    :param prolific_conn_id: The Prolific connection.
    :return: What has been paid under this key so far: ``study_id``, ``payment_key``, ``bonus_count``, and as text
        ``amount`` and ``total_amount`` (with fees), such as ``"21.25 GBP"``.
    :raises ProlificError: a check failed; what is due was not paid.
    :raises AirflowFailException: a person must decide.

    API: https://docs.prolific.com/api-reference/bonuses/set-up-bonus-payments
    """

    trigger_path: ClassVar[str] = "airflow_provider_prolific.triggers.bonuses.ProlificBonusTrigger"
    wait_class: ClassVar[type[Wait]] = BonusWait
    returns_dict: ClassVar[bool] = True
    checks = {
        "study_id": check_id,
        "amounts": check_amounts,
        "max_each": check_money,
        "max_total": check_money,
        "payment_key": check_payment_key,
        "statuses": check_statuses,
    }

    def __init__(
        self,
        *,
        study_id: TextArgument,
        amounts: Mapping[str, str | TextArgument] | TextArgument,
        max_each: TextArgument,
        max_total: TextArgument,
        payment_key: TextArgument,
        statuses: SubmissionStatusesArgument = ("APPROVED",),
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            study_id=study_id,
            amounts=amounts,
            max_each=max_each,
            max_total=max_total,
            payment_key=payment_key,
            statuses=statuses,
        )

    def check_together(self, arguments: Mapping[str, Any]) -> None:
        """Refuse totals above the ceiling, ceilings in two currencies, and a key that is too long for the ledger."""
        Ledger(arguments["study_id"], arguments["payment_key"])
        max_each, max_total = arguments["max_each"], arguments["max_total"]
        if max_each.currency != max_total.currency:
            raise ProlificValueError(f"max_each ({max_each}) and max_total ({max_total}) must have one currency")
        if above := [each for each, amount in arguments["amounts"].items() if amount > max_each.amount]:
            raise ProlificValueError(f"{len(above)} amounts are above max_each ({max_each}): {shorten(above, 300)}")

    def perform(self, hook: ProlificHook, *args: Any, **arguments: Any) -> Wait | dict[str, Any]:  # noqa: ARG002
        """Read the ledger; wait for an open batch if there is one, otherwise pay the next batch of what is due."""
        study_id, payment_key = arguments["study_id"], arguments["payment_key"]
        ledger = Ledger(study_id, payment_key)
        for turn in range(MAX_CLAIMS):
            if turn:
                ledger.give_way(turn)
            if entry := ledger.open_entry():
                self.log.info("Batch %s is open in the ledger: waits until its bonuses are visible", entry["batch_id"])
                return BonusWait(study_id, entry)
            if ledger.claim():
                entry = self._prepare(hook, ledger, arguments)
                if entry is None:
                    return self._result(ledger, arguments)
                if ledger.open(entry):
                    return self._pay(hook, ledger, study_id, entry)
        raise ProlificError(
            f"other tasks keep preparing bonuses of study {study_id}: try again later. {NOT_PAID.capitalize()}"
        )

    def settled(self, hook: ProlificHook, wait: Any, statuses: list[Status]) -> Wait | dict[str, Any]:  # noqa: ARG002
        """Close the entry, and go on with what is still due."""
        entry: Entry = wait.entry
        arguments = self.checked_arguments()
        Ledger(wait.study_id, entry["payment_key"]).close(entry, "paid")
        self.log.info("All %d bonuses of batch %s are visible", len(entry["rows"]), entry["batch_id"])
        return self.perform(hook, **arguments)

    def unsettled(self, wait: Any, statuses: list[Status], reason: str) -> ProlificError:  # noqa: ARG002
        """Return the error for the person who must decide."""
        entry: Entry = wait.entry
        cost = f"{entry['total_amount']} {entry['currency']}"
        batch = f"batch {entry['batch_id']} ({len(entry['rows'])} bonuses, {cost} with fees)"
        truth = f"it is not known whether {batch} was paid: do not pay again"
        if wait.accepted:
            truth = f"{batch} is paid, not visible yet: do not pay again. Prolific has accepted the payment"
        return ProlificUndecidedError(
            f"{truth}; {reason}. Clear this task to look again; until then the batch is open in the Airflow Variable "
            f"{Ledger(wait.study_id, entry['payment_key']).name}. What to check and to do by hand: docs/bonuses.md"
        )

    # -- one batch --------------------------------------------------------------------------------------------

    def _prepare(self, hook: ProlificHook, ledger: Ledger, arguments: dict[str, Any]) -> Entry | None:
        """Set up all due bonuses and return the entry of the first batch; ``None`` if nothing is due. Pays nothing."""
        study_id, max_each, max_total = (arguments[name] for name in ("study_id", "max_each", "max_total"))
        paid, due = self._due(hook, study_id, arguments["amounts"], arguments["statuses"], max_each.currency)
        if not due:
            return None
        study = hook.get_study(study_id)
        available = find_available(hook, study)
        currency = study.get("currency_code") or available.currency
        if currency != max_total.currency:
            raise ProlificValueError(f"max_each and max_total are in {max_total.currency}, the study is in {currency}")
        chunks = [dict(list(due.items())[first : first + MAX_ROWS]) for first in range(0, len(due), MAX_ROWS)]
        batches = [_set_up(hook, study_id, chunk, currency) for chunk in chunks]
        cost = Money(sum((total.amount for _, _, total in batches), Decimal()), currency)
        before = Money(_sum(ledger.paid_entries(), "total_amount"), currency)
        if before + cost > max_total:
            already = f", in addition to {before} already paid under this key" if before.amount else ""
            raise ProlificError(
                f"{len(due)} bonuses cost {cost} with fees{already}, more than max_total ({max_total}): {NOT_PAID}"
            )
        if cost > available:
            raise ProlificError(
                f"{len(due)} bonuses cost {cost} with fees, more than is available in the workspace ({available}): "
                f"{NOT_PAID}"
            )
        batch_id, amount, total = batches[0]
        self.log.info(
            "%d bonuses are due and cost %s with fees; pays %d of them as batch %s",
            len(due),
            cost,
            len(chunks[0]),
            batch_id,
        )
        return Entry(
            state="open",
            id=uuid.uuid4().hex,
            payment_key=arguments["payment_key"],
            number=len(ledger.closed_entries()) + 1,
            batch_id=batch_id,
            currency=currency,
            amount=write_amount(amount.amount),
            total_amount=write_amount(total.amount),
            opened_at=datetime.now(UTC).isoformat(timespec="seconds"),
            rows={each: write_row(paid[each], difference) for each, difference in chunks[0].items()},
        )

    def _due(
        self,
        hook: ProlificHook,
        study_id: str,
        amounts: Mapping[str, Decimal],
        statuses: list[str],
        currency: str,
    ) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        """Return the bonuses that the submissions have been paid, and the differences to the amounts.

        :raises ProlificError: a submission belongs to another study, has another status, or has been paid more already.
        """
        from airflow_provider_prolific.hooks.submissions import pick_submissions

        submissions = pick_submissions(hook.list_submissions(study_id), amounts, study_id, NOT_PAID)
        wrong = {each["id"]: status for each in submissions if (status := fold_status(each["status"])) not in statuses}
        if wrong:
            found = ", ".join(sorted(set(wrong.values())))
            raise ProlificError(
                f"{len(wrong)} of {len(amounts)} submissions are {shorten(found, 100)}, not "
                f"{' or '.join(statuses)}: {shorten([*wrong], 300)}; {NOT_PAID}"
            )
        paid = read_bonuses(hook, submissions, currency)
        if above := [each for each, amount in amounts.items() if paid[each] > amount]:
            raise ProlificError(
                f"{len(above)} of {len(amounts)} submissions have already been paid more than their total, the first "
                f"{Money(paid[above[0]], currency)} instead of {Money(amounts[above[0]], currency)}: "
                f"{shorten(above, 300)}; {NOT_PAID}. amounts are totals, not increments"
            )
        return paid, {each: amount - paid[each] for each, amount in amounts.items() if amount != paid[each]}

    def _pay(self, hook: ProlificHook, ledger: Ledger, study_id: str, entry: Entry) -> BonusWait:
        """Pay a batch that is in the ledger, once."""
        try:
            hook.pay_bonus_payment(entry["batch_id"])
        except ProlificError as error:
            if not error.may_have_acted:
                ledger.close(entry, "not paid")
                raise
            self.log.warning("It is not known whether batch %s was paid: %s", entry["batch_id"], error)
            return BonusWait(study_id, entry, accepted=False)
        self.log.info("Prolific has accepted batch %s; waits until its bonuses are visible", entry["batch_id"])
        return BonusWait(study_id, entry, accepted=True)

    def _result(self, ledger: Ledger, arguments: dict[str, Any]) -> dict[str, Any]:
        paid = ledger.paid_entries()
        currency = arguments["max_total"].currency
        result = {
            "study_id": arguments["study_id"],
            "payment_key": arguments["payment_key"],
            "bonus_count": sum(len(entry["rows"]) for entry in paid),
            "amount": str(Money(_sum(paid, "amount"), currency)),
            "total_amount": str(Money(_sum(paid, "total_amount"), currency)),
        }
        self.log.info(
            "Nothing more is due for %d submissions; under the key %s %d bonuses have been paid: %s, %s with fees",
            len(arguments["amounts"]),
            result["payment_key"],
            result["bonus_count"],
            result["amount"],
            result["total_amount"],
        )
        return result


def _sum(entries: list[Entry], name: Literal["amount", "total_amount"]) -> Decimal:
    return sum((Decimal(entry[name]) for entry in entries), Decimal())


def _set_up(hook: ProlificHook, study_id: str, due: Mapping[str, Decimal], currency: str) -> tuple[str, Money, Money]:
    """Set up a batch; return its id, its amount and its cost with fees.

    :raises ProlificError: Prolific shows a sum that differs from what was sent.
    """
    batch = hook.create_bonus_payment(study_id, {each: write_amount(amount) for each, amount in due.items()})
    amount = Money.of_hundredths(batch["amount"], currency, "the batch's amount")
    total = Money.of_hundredths(batch["total_amount"], currency, "the batch's total amount")
    expected = Money(sum(due.values(), Decimal()), currency)
    if amount.amount != expected.amount or amount > total or batch.get("study") != study_id:
        raise ProlificError(
            f"{len(due)} bonuses of {expected} were set up, but Prolific shows {amount} ({total} with fees) for study "
            f"{shorten(batch.get('study'))}; {NOT_PAID}"
        )
    return batch["id"], amount, total
