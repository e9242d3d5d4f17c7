"""Bonuses on the wire: set up in whole units, answered in hundredths, and paid by a call that is never repeated."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.hooks.prolific import ProlificHook

SET_UP_URL = "https://api.prolific.com/api/v1/submissions/bonus-payments/"
PAY_URL = "https://api.prolific.com/api/v1/bulk-bonus-payments/b1/pay/"
BATCH = {"id": "b1", "study": "s1", "amount": 850.0, "fees": 283.33, "vat": 56.67, "total_amount": 1190.0}


@pytest.fixture
def hook(connection, pauses):
    with ProlificHook(connection) as hook:
        yield hook


class TestSetUp:
    def test_amounts_are_sent_in_whole_units_with_two_decimals_a_line_for_each(self, api, hook):
        api.post(SET_UP_URL, json=BATCH, status=201)

        assert hook.create_bonus_payment("s1", {"u1": "4.25", "u2": Decimal("4.2"), "u3": "0.05"}) == BATCH
        assert json.loads(api.requests[0].body) == {"study_id": "s1", "csv_bonuses": "u1,4.25\nu2,4.20\nu3,0.05"}

    @given(st.dictionaries(st.from_regex(r"[0-9a-f]{24}", fullmatch=True), st.integers(1, 99_999_999), min_size=1))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_hundredth_is_lost_or_won(self, api, hook, hundredths):
        api.post(SET_UP_URL, json=BATCH, status=201)
        amounts = {each: f"{number // 100}.{number % 100:02}" for each, number in hundredths.items()}

        hook.create_bonus_payment("s1", amounts)

        sent = json.loads(api.requests[-1].body)["csv_bonuses"]
        rows = dict(line.split(",") for line in sent.splitlines())
        assert {each: Decimal(amount) * 100 for each, amount in rows.items()} == hundredths

    @pytest.mark.parametrize(
        ("amounts", "words"),
        [
            ({}, "at least one id, and no amount of zero"),
            ({"u1": "0"}, "at least one id, and no amount of zero"),
            ({"u1": "0.00"}, "at least one id, and no amount of zero"),
            ({"u1": 4.25}, "must be text such as '4.25', not the number 4.25: whole units or hundredths"),
            ({"u1": 425}, "whole units or hundredths"),
            ({"u1": "4.255"}, "at most two decimals"),
            ({"u1": "-1"}, "without sign"),
            ({"u1": "1,000"}, "separators"),
            ({"u1": "4.25 GBP"}, "amount in whole units"),
            ({"u1\nu2": "4.25"}, "a key of amounts must be an id"),
            ([("u1", "4.25")], "must be a dict of submission id to amount"),
        ],
        ids=str,
    )
    def test_what_cannot_be_meant_is_not_sent(self, api, hook, amounts, words):
        with pytest.raises(ProlificValueError, match=words):
            hook.create_bonus_payment("s1", amounts)

        assert api.requests == []

    def test_an_unclear_answer_is_asked_for_again_for_an_unpaid_batch_does_no_harm(self, api, hook):
        api.post(SET_UP_URL, status=502)
        api.post(SET_UP_URL, body=requests.exceptions.ConnectionError("reset"))
        api.post(SET_UP_URL, json=BATCH, status=201)

        assert hook.create_bonus_payment("s1", {"u1": "8.50"})["id"] == "b1"
        assert len(api.requests) == 3

    def test_an_error_shows_nobody(self, api, hook):
        person = "5f0000000000000000000001"
        api.post(SET_UP_URL, status=400, json={"error": {"detail": f"unknown: {person}", "title": "Bad"}})

        with pytest.raises(ProlificApiError) as failure:
            hook.create_bonus_payment("s1", {person: "8.50"})

        assert person not in str(failure.value)

    @pytest.mark.parametrize(
        "answer", [{}, [], None, BATCH | {"id": ""}, BATCH | {"id": 7}, BATCH | {"total_amount": "1190"}], ids=str
    )
    def test_an_answer_without_a_batch_is_an_error(self, api, connection, pauses, answer):
        api.post(SET_UP_URL, json=answer, status=201)

        with (
            ProlificHook(connection, max_retries=0) as hook,
            pytest.raises(ProlificResponseError, match="the answer is not a batch of bonuses"),
        ):
            hook.create_bonus_payment("s1", {"u1": "8.50"})


class TestPay:
    def test_the_batch_is_paid_whatever_the_answer_says(self, api, hook):
        api.post(PAY_URL, body="accepted", status=202)

        assert hook.pay_bonus_payment("b1") is None
        assert [(request.method, request.body) for request in api.requests] == [("POST", None)]

    @pytest.mark.parametrize(
        "answer",
        [
            *({"status": status} for status in (301, 408, 500, 502, 503, 504)),
            {"body": requests.exceptions.ConnectionError("reset")},
            {"body": requests.exceptions.ReadTimeout("late")},
        ],
        ids=str,
    )
    def test_an_unclear_answer_is_not_followed_by_a_second_payment(self, api, hook, answer):
        api.post(PAY_URL, **answer)

        with pytest.raises((ProlificApiError, ProlificConnectionError)) as failure:
            hook.pay_bonus_payment("b1")

        assert failure.value.may_have_acted is True
        assert len(api.requests) == 1

    def test_a_rate_limit_is_waited_out(self, api, hook, pauses):
        api.post(PAY_URL, status=429, headers={"Retry-After": "7"})
        api.post(PAY_URL, status=202)

        hook.pay_bonus_payment("b1")

        assert pauses == [7]

    def test_a_refusal_says_that_nothing_was_paid(self, api, hook):
        api.post(PAY_URL, status=400, json={"error": {"detail": "not enough balance"}})

        with pytest.raises(ProlificApiError, match="not enough balance") as failure:
            hook.pay_bonus_payment("b1")

        assert failure.value.may_have_acted is False

    @pytest.mark.parametrize("batch_id", ["", "b1/pay", "..", None])
    def test_what_is_not_an_id_is_refused(self, api, hook, batch_id):
        with pytest.raises(ProlificValueError, match="bonus_payment_id must be an id"):
            hook.pay_bonus_payment(batch_id)
