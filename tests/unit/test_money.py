"""Money: what authors may write, how Prolific's figures are read, and how both are compared and shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificResponseError, ProlificValueError
from airflow_provider_prolific.money import Money, check_amounts, check_money


def pounds(amount):
    return Money(Decimal(amount), "GBP")


class TestCheckMoney:
    @pytest.mark.parametrize(
        ("text", "money"),
        [
            ("150.00 GBP", pounds("150")),
            ("150 GBP", pounds("150")),
            ("0.5 GBP", pounds("0.50")),
            (" 4.25  gbp ", pounds("4.25")),
            ("999999999.99 USD", Money(Decimal("999999999.99"), "USD")),
        ],
    )
    def test_an_amount_is_text_in_whole_units_with_its_currency(self, text, money):
        assert check_money(text, "max_total_cost") == money

    @pytest.mark.parametrize("number", [150, 150.0, 0, True, Decimal("150.00"), float("nan")])
    def test_a_number_is_refused_for_it_says_neither_unit_nor_currency(self, number):
        with pytest.raises(ProlificValueError, match=r"^max_total_cost must be text, not the number .*no currency"):
            check_money(number, "max_total_cost")

    @pytest.mark.parametrize("text", ["150", "150.00", " 4.25 "])
    def test_an_amount_without_a_currency_is_refused(self, text):
        with pytest.raises(ProlificValueError, match=r"^max_total_cost has no currency: .*'150\.00 GBP'"):
            check_money(text, "max_total_cost")

    @pytest.mark.parametrize("text", ["4.255 GBP", "-1 GBP", "+1 GBP", "1,000 GBP", "1e3 GBP", ".5 GBP", "٣ GBP"])
    def test_an_amount_that_can_be_read_in_two_ways_is_refused(self, text):
        with pytest.raises(ProlificValueError, match=r"^max_total_cost must be an amount in whole units"):
            check_money(text, "max_total_cost")

    @pytest.mark.parametrize("value", ["GBP", "GBP 150", "£150", "150 pounds", "150GBP", "", None, [], {}])
    def test_anything_else_is_refused(self, value):
        with pytest.raises(ProlificValueError, match=r"^max_total_cost must be an amount with its currency"):
            check_money(value, "max_total_cost")


class TestCheckAmounts:
    def test_amounts_are_text_or_decimals_in_whole_units(self):
        amounts = check_amounts({"s1": "4.25", "s2": "30", "s3": Decimal("0.5")}, "amounts")

        assert amounts == {"s1": Decimal("4.25"), "s2": Decimal(30), "s3": Decimal("0.5")}

    @pytest.mark.parametrize("number", [425, 4.25, 0, False])
    def test_a_number_is_refused_for_nobody_knows_its_unit(self, number):
        with pytest.raises(ProlificValueError, match=r"^amounts\['s1'\] must be text .* whole units or hundredths\?"):
            check_amounts({"s1": number}, "amounts")

    @pytest.mark.parametrize("text", ["4.255", "-1", "4,25", "4.25 GBP", "", "NaN", None, Decimal("1.005")])
    def test_what_is_not_an_amount_is_refused(self, text):
        with pytest.raises(ProlificValueError, match=r"^amounts\['s1'\] must be an amount in whole units"):
            check_amounts({"s1": text}, "amounts")

    @pytest.mark.parametrize("value", [None, "4.25", ["4.25"], 4])
    def test_what_is_not_a_dict_is_refused(self, value):
        with pytest.raises(ProlificValueError, match=r"^amounts must be a dict of submission id to amount"):
            check_amounts(value, "amounts")


class TestHundredths:
    @pytest.mark.parametrize(
        ("figure", "amount"), [(4200, "42"), (425, "4.25"), (0, "0"), (1133.34, "11.3334"), (4199.99958, "42")]
    )
    def test_prolifics_figures_are_read_as_hundredths(self, figure, amount):
        assert Money.of_hundredths(figure, "GBP", "the cost") == pounds(amount)

    @pytest.mark.parametrize("figure", ["4200", None, True, -1, 1e15, float("nan"), float("inf")])
    def test_what_is_not_an_amount_is_an_answer_that_cannot_be_right(self, figure):
        with pytest.raises(ProlificResponseError, match=r"^the cost came as .*, which is not an amount"):
            Money.of_hundredths(figure, "GBP", "the cost")

    @pytest.mark.parametrize("currency", [None, "", "gbp", "£", 7])
    def test_a_figure_without_a_currency_is_not_used(self, currency):
        with pytest.raises(ProlificResponseError, match=r"^the cost came without a currency"):
            Money.of_hundredths(4200, currency, "the cost")


class TestComparing:
    def test_amounts_are_compared_and_added_exactly(self):
        assert pounds("0.10") + pounds("0.20") == pounds("0.30")
        assert pounds("42.01") > pounds("42")
        assert not pounds("42.00") > pounds("42")

    @pytest.mark.parametrize("compare", [Money.__gt__, Money.__add__])
    def test_two_currencies_are_never_compared(self, compare):
        with pytest.raises(ProlificValueError, match=r"^42\.00 GBP and 41\.00 USD are in different currencies"):
            compare(pounds("42"), Money(Decimal(41), "USD"))


class TestShowing:
    @pytest.mark.parametrize(
        ("money", "text"),
        [
            (pounds("42"), "42.00 GBP"),
            (pounds("4.5"), "4.50 GBP"),
            (pounds("11.3334"), "11.3334 GBP"),
            (pounds("1E+3"), "1000.00 GBP"),
        ],
    )
    def test_it_is_shown_as_authors_write_it(self, money, text):
        assert str(money) == text

    @given(st.integers(0, 10**11 - 1))
    def test_what_is_shown_is_read_as_the_same_amount(self, hundredths):
        money = Money.of_hundredths(hundredths, "GBP", "the cost")

        assert check_money(str(money), "max_total_cost") == money
