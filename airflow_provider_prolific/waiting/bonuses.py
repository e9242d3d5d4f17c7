"""The wait after a batch of bonuses was paid: until each submission shows exactly its bonus in addition. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from airflow_provider_prolific.arguments import check_id
from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.money import Money
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.waiting.wait import Measure, Status, Wait

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.submissions import Submission


class Entry(TypedDict):
    """A batch in the ledger: what it pays to which submissions. JSON that people read and edit.

    ``state`` is ``"open"``, ``"paid"`` or ``"not paid"``. ``id`` is the id of the entry, ``number`` counts the entries
    of its payment key. ``amount`` is the sum that people get, ``total_amount`` its cost with fees. ``rows`` has a text
    for each submission: the bonuses that it had before, and what the batch adds, such as ``"1.50 + 4.25"``. All amounts
    are in whole units of the currency.
    """

    state: str
    id: str
    payment_key: str
    number: int
    batch_id: str
    currency: str
    amount: str
    total_amount: str
    opened_at: str
    rows: dict[str, str]


STATES = ("open", "paid", "not paid")
_TEXTS = ("state", "id", "payment_key", "batch_id", "currency", "amount", "total_amount", "opened_at")


def check_entry(value: Any, name: str) -> Entry:
    """Return an entry of the ledger, which a person may have edited.

    :raises ProlificValueError: it is not one.
    """
    problem = None
    if not isinstance(value, Mapping) or not all(isinstance(value.get(key), str) for key in _TEXTS):
        problem = f"does not have all of {', '.join(_TEXTS)} as text"
    elif value["state"] not in STATES:
        problem = f"has the state {shorten(value['state'])}, which is not one of {', '.join(map(repr, STATES))}"
    elif type(value.get("number")) is not int or not isinstance(value.get("rows"), Mapping) or not value["rows"]:
        problem = "has no number or no rows"
    else:
        try:
            _ = Decimal(value["amount"]) + Decimal(value["total_amount"])
            read_rows(value["rows"])
        except (InvalidOperation, ValueError):
            problem = "has amounts that cannot be read"
    if problem:
        raise ProlificValueError(f"{name} {problem}; see docs/bonuses.md on what may be edited")
    entry: Any = value
    return entry  # type: ignore[no-any-return]


def write_row(before: Decimal, difference: Decimal) -> str:
    """Return the text of a row: what a submission had, and what it gets."""
    return f"{write_amount(before)} + {write_amount(difference)}"


def write_amount(amount: Decimal) -> str:
    """Return an amount as text without trailing zeros."""
    return f"{amount.normalize():f}"


def read_rows(rows: Mapping[str, str]) -> dict[str, tuple[Decimal, Decimal]]:
    """Return what each submission had and what it gets."""
    read = {}
    for submission_id, row in rows.items():
        before, difference = map(Decimal, row.split(" + "))
        read[check_id(submission_id, "an id")] = before, difference
    return read


def read_bonuses(hook: ProlificHook, submissions: Iterable[Submission], currency: str) -> dict[str, Decimal]:
    """Return the sum of the bonuses that each submission shows.

    Only single submissions are documented to show them, so a listed submission without them is read individually.

    :raises ProlificResponseError: a submission does not show them.
    """
    sums = {}
    for submission in submissions:
        payments = submission.get("bonus_payments")
        if payments is None:
            payments = hook.get_submission(submission["id"]).get("bonus_payments")
        if not isinstance(payments, list):
            raise ProlificResponseError(
                f"submission {shorten(submission['id'])} came without bonus_payments: what it was paid is not known"
            )
        figures = [Money.of_hundredths(payment, currency, "a bonus payment").amount for payment in payments]
        sums[submission["id"]] = sum(figures, Decimal())
    return sums


class BonusWait(Wait):
    """Wait until all bonuses of a batch are visible.

    :param study_id: The study.
    :param entry: The batch's entry in the ledger. If a person has set its state to ``"paid"``, a submission may have
        been paid more than its bonus.
    :param accepted: Whether Prolific has accepted the payment; ``None`` if that is not known.
    """

    plural: ClassVar[str] = "batches"
    keys: ClassVar[frozenset[str]] = frozenset(("id", "bonus_count", "paid_count", "other_count"))

    def __init__(self, study_id: str, entry: Mapping[str, Any], accepted: bool | None = None) -> None:
        self.study_id = check_id(study_id, "study_id")
        self.entry = check_entry(entry, "entry")
        self.accepted = accepted
        self._rows = read_rows(self.entry["rows"])

    def question(self) -> Hashable:
        """Return what is asked: what the submissions of this batch have been paid."""
        return ("bonuses", self.study_id, self.entry["batch_id"])

    def ask(self, hook: ProlificHook) -> dict[str, Decimal]:
        """Read what each submission of the batch has been paid."""
        submissions = [each for each in hook.list_submissions(self.study_id) if each["id"] in self._rows]
        return read_bonuses(hook, submissions, self.entry["currency"])

    def judge(self, answer: dict[str, Decimal]) -> list[Status]:
        """Return how many submissions have grown by their bonus.

        :raises ProlificError: submissions are missing, or all have changed, but some by other amounts.
        """
        if missing := self._rows.keys() - answer.keys():
            raise ProlificError(f"{len(missing)} of {len(self._rows)} submissions are not listed any more")
        growths = [(answer[each] - before, difference) for each, (before, difference) in self._rows.items()]
        if self.entry["state"] == "paid":
            growths = [(min(growth, difference), difference) for growth, difference in growths]
        paid = sum(growth == difference for growth, difference in growths)
        unchanged = sum(growth == 0 for growth, _ in growths)
        others = len(growths) - paid - unchanged
        if others and not unchanged:
            raise ProlificError(self._describe(paid, others))
        return [
            {"id": self.entry["batch_id"], "bonus_count": len(growths), "paid_count": paid, "other_count": others},
        ]

    def opens(self, statuses: list[Status]) -> bool:
        """Tell whether every submission of this batch has grown by its bonus."""
        [batch] = statuses
        return bool(batch["id"] == self.entry["batch_id"] and batch["paid_count"] == len(self._rows))

    def measure(self, status: Status) -> Measure:
        """Describe the batch: ``batch '6900…' has 12 of 30 bonuses paid (40%)``."""
        text = self._describe(status["paid_count"], status["other_count"])
        return Measure(text, status["paid_count"], status["bonus_count"])

    def _describe(self, paid: int, others: int) -> str:
        count = len(self._rows)
        text = f"batch {shorten(self.entry['batch_id'])} has {paid} of {count} bonuses paid ({100 * paid // count}%)"
        return text + (f", and {others} submissions have changed by another amount" if others else "")
