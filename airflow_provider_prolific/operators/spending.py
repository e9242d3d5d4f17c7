"""The cost of a study, its ceiling, and the balance: checked before money is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError
from airflow_provider_prolific.money import Money
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.waiting.studies import describe_study

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.studies import Study


def read_places(study: Study) -> int:
    """Return how many places a study has."""
    return _read_count(study, "total_available_places")


def find_whole_cost(hook: ProlificHook, study: Study, places: int) -> Money:
    """Return the whole cost of a study with this number of places: rewards, screen-outs, fees and VAT.

    :raises ProlificError: Prolific does not say how much it is.
    """
    screen_outs = sum(hook.calculate_study_cost(reward, slots) for reward, slots in _screen_outs(study))
    return find_cost(hook, study, places, extra=screen_outs)


def find_cost(hook: ProlificHook, study: Study, places: int, *, extra: int = 0) -> Money:
    """Return the cost of this number of places of a study, with fees and VAT.

    There are two figures, and the larger one is returned. Prolific's calculator uses the rates of the account, not
    those of the workspace. The study's own figure uses the workspace's rates, but not every answer has it, and it is
    for the places that the study has now.

    :param extra: An amount to add to the calculator's figure, in hundredths.
    :raises ProlificError: Prolific does not say how much it is.
    """
    figure = hook.calculate_study_cost(_read_count(study, "reward"), places) + extra
    shown: Any = study.get("total_cost")
    if type(shown) in (int, float):
        share = Decimal(places) / max(read_places(study), 1)
        figure = max(figure, int((Decimal(str(shown)) * share).to_integral_value(ROUND_CEILING)))
    currency = study.get("currency_code")
    if currency is None:
        currency = read_balance(hook, study).currency
    return Money.of_hundredths(figure, currency, f"the cost of {describe_study(study)}")


def check_ceiling(study: Study, cost: Money, max_total_cost: Money) -> None:
    """Refuse a cost above the ceiling.

    :raises ProlificError: the cost is above the ceiling, or in another currency.
    """
    if cost > max_total_cost:
        raise ProlificError(
            f"{describe_study(study)} would cost up to {cost} in all, fees and VAT included: more than "
            f"max_total_cost={str(max_total_cost)!r}. Nothing has been changed"
        )


def check_balance(hook: ProlificHook, study: Study, cost: Money, *, skip: bool) -> None:
    """Refuse a cost that the workspace's available balance does not cover.

    :param skip: Whether to leave out this check.
    :raises ProlificError: the balance does not cover the cost, or cannot be read.
    """
    if skip:
        return
    available = read_balance(hook, study)
    if cost > available:
        raise ProlificError(
            f"{describe_study(study)} needs up to {cost}, but its workspace has {available} available: add money to "
            "the workspace at Prolific. Nothing has been changed"
        )


def read_balance(hook: ProlificHook, study: Study) -> Money:
    """Return the available balance of the study's workspace, for a check that can be skipped.

    :raises ProlificError: it cannot be read; the error says how to skip the check.
    """
    try:
        return find_available(hook, study)
    except ProlificError as error:
        unreadable = ProlificError(
            f"the balance of the workspace of {describe_study(study)} cannot be read: {error}. Set "
            "skip_balance_check=True to leave this check to Prolific"
        )
        unreadable.transient = error.transient
        raise unreadable from error


def find_available(hook: ProlificHook, study: Study) -> Money:
    """Return the available balance of the study's workspace; if the study names none, of the connection's.

    :raises ProlificError: it cannot be read.
    """
    balance = hook.get_workspace_balance(study.get("workspace"))
    # A workspace may owe money: then nothing is available.
    return Money.of_hundredths(max(balance["available_balance"], 0), balance["currency_code"], "the available balance")


def _read_count(study: Study, name: str) -> int:
    count: Any = study.get(name)
    if type(count) is not int or count < 0:
        raise ProlificResponseError(f"{describe_study(study)} came without {name}: {shorten(count)}")
    return count


def _screen_outs(study: Study) -> Iterator[tuple[int, int]]:
    """Yield the payment and the largest number of screen-outs; they are paid in addition to the places."""
    for code in study.get("completion_codes") or ():
        for action in (code.get("actions") if isinstance(code, Mapping) else None) or ():
            if isinstance(action, Mapping) and action.get("action") == "FIXED_SCREEN_OUT_PAYMENT":
                reward, slots = action.get("fixed_screen_out_reward"), action.get("slots")
                if type(reward) is not int or type(slots) is not int:
                    raise ProlificResponseError(
                        f"{describe_study(study)} pays for screen-outs, but does not say how much: {shorten(action)}"
                    )
                if reward and slots:
                    yield reward, slots
