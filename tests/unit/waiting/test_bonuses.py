"""What a wait for bonuses judges: when every submission has grown by exactly its bonus, and what is for a person."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.waiting.bonuses import BonusWait, read_bonuses, read_rows, write_row

money = st.integers(0, 10**9).map(lambda hundredths: Decimal(hundredths) / 100)


def entry(state="open", **rows):
    return {
        "state": state,
        "id": "e1",
        "payment_key": "a",
        "number": 1,
        "batch_id": "b1",
        "currency": "GBP",
        "amount": "6.25",
        "total_amount": "8.75",
        "opened_at": "2026-03-01T09:00:00+00:00",
        "rows": rows or {"u1": "0 + 4.25", "u2": "1.5 + 2"},
    }


def judge(state="open", **sums):
    """Return whether the wait is over, and what it says of the batch, when its submissions have these sums."""
    wait = BonusWait("s1", entry(state))
    statuses = wait.judge({each: Decimal(amount) for each, amount in sums.items()})
    return wait.is_over(statuses), wait.describe(statuses)


class TestJudge:
    def test_all_have_grown_by_their_bonus(self):
        assert judge(u1="4.25", u2="3.5") == (True, "batch 'b1' has 2 of 2 bonuses paid (100%)")

    @pytest.mark.parametrize(("u1", "u2", "paid"), [("0", "1.5", 0), ("4.25", "1.5", 1), ("0", "3.5", 1)])
    def test_not_all_have(self, u1, u2, paid):
        assert judge(u1=u1, u2=u2) == (False, f"batch 'b1' has {paid} of 2 bonuses paid ({50 * paid}%)")

    @pytest.mark.parametrize("other", ["4.24", "4.26", "8.5", "0.01"])
    def test_another_amount_is_told_while_there_is_something_to_wait_for(self, other):
        assert judge(u1=other, u2="1.5") == (
            False,
            "batch 'b1' has 0 of 2 bonuses paid (0%), and 1 submissions have changed by another amount",
        )

    def test_and_ends_the_wait_when_there_is_not(self):
        with pytest.raises(
            ProlificError, match=r"1 of 2 bonuses paid.*1 submissions have changed by another"
        ) as failure:
            judge(u1="8.5", u2="3.5")

        assert failure.value.transient is False

    def test_a_sum_that_has_shrunk_is_another_amount(self):
        with pytest.raises(ProlificError, match="by another amount"):
            judge(u1="4.25", u2="0")

    def test_a_submission_that_is_gone_ends_the_wait(self):
        with pytest.raises(ProlificError, match="1 of 2 submissions are not listed any more"):
            judge(u1="4.25")

    def test_where_a_person_says_paid_a_submission_may_have_got_more_besides(self):
        assert judge("paid", u1="9", u2="3.5")[0] is True

    def test_but_each_must_have_got_its_bonus(self):
        assert judge("paid", u1="9", u2="1.5")[0] is False

    @given(st.lists(st.tuples(money, money.filter(bool)), min_size=1, max_size=20))
    def test_it_is_over_exactly_when_each_sum_is_what_it_was_plus_its_bonus(self, rows):
        wait = BonusWait("s1", entry(**{f"u{n}": write_row(*row) for n, row in enumerate(rows)}))
        sums = {f"u{n}": before + bonus for n, (before, bonus) in enumerate(rows)}

        assert wait.is_over(wait.judge(sums))
        for each, sum_ in sums.items():
            unpaid = sums | {each: sum_ - rows[int(each[1:])][1]}
            assert not wait.is_over(wait.judge(unpaid))


class TestRows:
    @given(st.dictionaries(st.from_regex(r"[0-9a-f]{24}", fullmatch=True), st.tuples(money, money)))
    def test_what_is_written_is_read_again_to_the_hundredth(self, rows):
        assert read_rows({each: write_row(*row) for each, row in rows.items()}) == rows

    def test_people_read_them(self):
        assert write_row(Decimal(100), Decimal("4.250")) == "100 + 4.25"


class TestArguments:
    @pytest.mark.parametrize("accepted", [True, False, None])
    def test_an_equal_wait_is_made_from_them_after_json(self, accepted):
        arguments = json.loads(json.dumps(BonusWait("s1", entry(), accepted).arguments()))

        assert arguments == {"study_id": "s1", "entry": entry(), "accepted": accepted}
        assert BonusWait(**arguments).arguments() == arguments

    def test_each_batch_has_a_question_of_its_own(self):
        assert BonusWait("s1", entry()).question() == BonusWait("s1", entry("paid")).question()
        assert BonusWait("s1", entry()).question() != BonusWait("s1", entry() | {"batch_id": "b2"}).question()

    def test_what_is_not_an_entry_is_refused(self):
        with pytest.raises(ProlificValueError, match=r"^entry does not have all of"):
            BonusWait("s1", {"rows": {"u1": "0 + 1"}})


class TestReadBonuses:
    def read(self, *submissions, **details):
        hook = SimpleNamespace(get_submission=lambda each: {"id": each, "status": "APPROVED", **details.get(each, {})})
        return read_bonuses(hook, submissions, "GBP")

    def test_hundredths_become_whole_units(self):
        submissions = ({"id": "u1", "bonus_payments": []}, {"id": "u2", "bonus_payments": [425, 5.0, 100]})

        assert self.read(*submissions) == {"u1": Decimal(0), "u2": Decimal("5.3")}

    @pytest.mark.parametrize("fields", [{}, {"bonus_payments": None}])
    def test_a_listing_that_does_not_show_them_is_no_reason_to_think_that_there_are_none(self, fields):
        assert self.read({"id": "u1", **fields}, u1={"bonus_payments": [425]}) == {"u1": Decimal("4.25")}

    @pytest.mark.parametrize("fields", [{}, {"bonus_payments": None}, {"bonus_payments": {}}])
    def test_if_nothing_shows_them_it_is_an_error(self, fields):
        with pytest.raises(ProlificResponseError, match="what it was paid is not known"):
            self.read({"id": "u1"}, u1=fields)

    @pytest.mark.parametrize("payment", ["425", None, -1, True, {}])
    def test_what_is_not_an_amount_is_an_error(self, payment):
        with pytest.raises(ProlificResponseError, match="not an amount in hundredths"):
            self.read({"id": "u1", "bonus_payments": [payment]})
