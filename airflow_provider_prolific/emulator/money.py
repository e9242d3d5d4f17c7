"""Money: what a reward costs with fees and VAT, and the wallet of a workspace. Amounts are hundredths.

Fees are a share of the reward, and VAT is a share of the fees. Both are rounded only when an amount is shown, so what
was paid and what is left always add up.
"""

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount for people, with Prolific's fees and VAT on top."""

    rewards: Decimal = Decimal()
    fees: Decimal = Decimal()
    vat: Decimal = Decimal()

    @property
    def total(self) -> Decimal:
        """All together."""
        return self.rewards + self.fees + self.vat

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.rewards + other.rewards, self.fees + other.fees, self.vat + other.vat)

    def __mul__(self, number: int) -> "Cost":
        return Cost(self.rewards * number, self.fees * number, self.vat * number)

    def as_json(self, currency: str) -> dict[str, Any]:
        """Return it as a part of a study's cost."""
        amounts = {"rewards": self.rewards, "fees": self.fees, "tax": self.vat}
        return {name: {"amount": shown(amount), "currency": currency} for name, amount in amounts.items()}


def shown(amount: Decimal) -> int | float:
    """Return an amount for JSON: with at most two decimal places, and with none if it is a whole number."""
    rounded = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return int(rounded) if rounded == int(rounded) else float(rounded)


def whole(amount: Decimal) -> int:
    """Return a cost as a whole number, rounded up."""
    return int(amount.to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class Rates:
    """The currency, and the shares that are added to a reward."""

    currency_code: str = "GBP"
    fees_percentage: Decimal = Decimal("0.333333")
    vat_percentage: Decimal = Decimal("0.2")

    def cost(self, amount: Decimal | int) -> Cost:
        """Return what paying an amount to a person costs."""
        rewards = Decimal(amount)
        fees = rewards * self.fees_percentage
        return Cost(rewards, fees, fees * self.vat_percentage)


@dataclass(slots=True)
class Wallet:
    """The money of a workspace; what is set aside for a study, the study knows."""

    rates: Rates
    balance: Decimal
    spent: Cost = field(default_factory=Cost)
    bonuses_locked: Decimal = Decimal()  # accepted, and not paid yet

    def spend(self, cost: Cost) -> None:
        """Pay."""
        self.balance -= cost.total
        self.spent += cost

    def as_json(self, locked: Decimal) -> dict[str, Any]:
        """Return the balance as the API shows it."""
        available = self.balance - locked
        return {
            "currency_code": self.rates.currency_code,
            "total_balance": _floor(self.balance),
            "balance_breakdown": self._breakdown(self.balance),
            "available_balance": _floor(available),
            "available_balance_breakdown": self._breakdown(available),
        }

    def _breakdown(self, amount: Decimal) -> dict[str, int]:
        rewards = _floor(amount / self.rates.cost(1).total)
        fees = _floor(rewards * self.rates.fees_percentage)
        return {"rewards": rewards, "fees": fees, "vat": _floor(amount) - rewards - fees}


def _floor(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_FLOOR))
