"""Money: parsed, converted, compared and shown in one place. Pure, and without floats.

Prolific writes an amount in hundredths of the currency (a study's reward and costs, balances, bonuses that were paid)
or, when bonuses are set up, in whole units with decimals. Authors of DAG files write whole units as text, with the
currency: ``"150.00 GBP"``. Inside this module an amount is a ``Decimal`` of whole units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Self

from airflow_provider_prolific.arguments import check_id
from airflow_provider_prolific.exceptions import ProlificResponseError, ProlificValueError
from airflow_provider_prolific.text import shorten

_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,2})?", re.ASCII)
_MONEY = re.compile(r"(?P<amount>\S+)\s+(?P<currency>[A-Za-z]{3})", re.ASCII)
#: The precision of Prolific's own figures: sums with fees have fractions of a hundredth.
_PRECISION = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with its currency.

    :param amount: Whole units of the currency, such as ``Decimal("4.25")``.
    :param currency: The three letters of the currency, such as ``"GBP"``.
    """

    amount: Decimal
    currency: str

    @classmethod
    def of_hundredths(cls, figure: Any, currency: Any, what: str) -> Self:
        """Return the amount of one of Prolific's figures, which are in hundredths.

        :param figure: The figure, a JSON number.
        :param currency: The currency that came with it.
        :param what: The meaning of the figure, for the error.
        :raises ProlificResponseError: it is not an amount, or came without a currency.
        """
        if type(figure) not in (int, float) or not 0 <= figure < 1e15:
            raise ProlificResponseError(f"{what} came as {shorten(figure)}, which is not an amount in hundredths")
        if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
            raise ProlificResponseError(f"{what} came without a currency: {shorten(currency)}")
        return cls((Decimal(str(figure)) / 100).quantize(_PRECISION, ROUND_HALF_UP), currency)

    def __str__(self) -> str:
        cents = self.amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
        return f"{cents if cents == self.amount else self.amount.normalize():f} {self.currency}"

    def __add__(self, other: Money) -> Money:
        self._check_same(other)
        return Money(self.amount + other.amount, self.currency)

    def __gt__(self, other: Money) -> bool:
        self._check_same(other)
        return self.amount > other.amount

    def _check_same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ProlificValueError(
                f"{self} and {other} are in different currencies and cannot be compared: give the amount in the "
                "currency of the study's workspace"
            )


def check_money(value: Any, name: str) -> Money:
    """Return an amount that an author wrote as text with its currency, such as ``"150.00 GBP"``."""
    example = "write whole units and the currency as text, such as '150.00 GBP'"
    if isinstance(value, (int, float, Decimal)):
        raise ProlificValueError(
            f"{name} must be text, not the number {shorten(value)}, which has no currency and may mean hundredths; "
            f"{example}"
        )
    match = _MONEY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, str) and _AMOUNT.fullmatch(value.strip()):
            raise ProlificValueError(f"{name} has no currency: {shorten(value)}; {example}")
        raise ProlificValueError(f"{name} must be an amount with its currency, not {shorten(value)}; {example}")
    return Money(_read_amount(match["amount"], name), match["currency"].upper())


def check_amounts(value: Any, name: str) -> dict[str, Decimal]:
    """Return an amount for each id, from text in whole units: ``{"<submission id>": "4.25"}``.

    A ``Decimal`` is accepted, too. Numbers are refused: 425 may mean hundredths, and a float such as 4.35 is not exact.
    """
    if not isinstance(value, Mapping):
        raise ProlificValueError(
            f"{name} must be a dict of submission id to amount, such as {{'<submission id>': '4.25'}}, "
            f"not a value of type {type(value).__name__}"
        )
    return {
        check_id(key, f"a key of {name}"): _read_amount(amount, f"{name}[{shorten(key)}]")
        for key, amount in value.items()
    }


def _read_amount(value: Any, name: str) -> Decimal:
    if isinstance(value, (int, float)):
        raise ProlificValueError(
            f"{name} must be text such as '4.25', not the number {shorten(value)}: whole units or hundredths?"
        )
    text = str(value).strip() if isinstance(value, (str, Decimal)) else ""
    if not _AMOUNT.fullmatch(text):
        raise ProlificValueError(
            f"{name} must be an amount in whole units with at most two decimals, such as '4.25', without sign and "
            f"separators, not {shorten(value)}"
        )
    return Decimal(text)
