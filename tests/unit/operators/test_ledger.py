"""The ledger of bonuses: what stands in Airflow's Variables, who may write it, and what people may edit."""

from __future__ import annotations

import json

import pytest

from airflow_provider_prolific.exceptions import ProlificError, ProlificUndecidedError, ProlificValueError
from airflow_provider_prolific.operators import ledger as module
from airflow_provider_prolific.operators.ledger import CLAIM_SECONDS, WRITE_SECONDS, Ledger, check_payment_key

NAME = "prolific_bonuses_s1"
CLAIM = f"{NAME}_claim"
KEY_A = f"{NAME}_key_a"


def entry(batch_id="b1", **fields):
    return {
        "state": "open",
        "id": f"entry of {batch_id}",
        "payment_key": "a",
        "number": 1,
        "batch_id": batch_id,
        "currency": "GBP",
        "amount": "4.25",
        "total_amount": "5.95",
        "opened_at": "2026-03-01T09:00:00+00:00",
        "rows": {"u1": "0 + 4.25"},
        **fields,
    }


@pytest.fixture
def ledger(variables):
    return Ledger("s1", "a")


@pytest.fixture
def claimed(ledger):
    assert ledger.claim()
    return ledger


@pytest.fixture
def opened(claimed):
    assert claimed.open(entry())
    return claimed


class TestPaymentKey:
    @pytest.mark.parametrize(
        "key", ["a", "wave-1", "2026-03-01", "Wave_2", "scheduled__2026-03-01T09:00:00+00:00", "x" * 100]
    )
    def test_it_is_what_the_name_of_a_variable_takes_everywhere(self, key):
        assert check_payment_key(key, "payment_key") == key

    @pytest.mark.parametrize("key", ["", " a", "a b", "a/b", "a;b", "é", "x" * 101, 7, None, "a\n"])
    def test_anything_else_is_refused(self, key):
        with pytest.raises(ProlificValueError, match=r"^payment_key must be 1 to 100 letters"):
            check_payment_key(key, "payment_key")

    def test_with_the_study_it_must_fit_into_a_name(self, variables):
        with pytest.raises(ProlificValueError, match="too long for its 250 characters"):
            Ledger("s" * 200, "x" * 50)


class TestEntry:
    def test_without_any_variable_nothing_is_open(self, ledger):
        assert ledger.open_entry() is None
        assert ledger.closed_entries() == []

    def test_an_entry_is_open_until_it_stands_among_the_closed_ones_of_its_key(self, opened, variables):
        assert opened.open_entry() == entry()

        opened.close(entry(), "paid")

        assert opened.open_entry() is None
        assert variables.json(NAME) == entry()
        [closed] = variables.json(KEY_A)
        assert closed == entry(state="paid", closed_at=closed["closed_at"])

    def test_another_task_finds_it(self, opened):
        assert Ledger("s1", "a").open_entry() == entry()

    def test_it_stops_every_other_key_of_the_study(self, opened):
        with pytest.raises(
            ProlificError, match=r"under the payment key 'a'.*what is due under 'b' was not paid.*batch b1"
        ):
            Ledger("s1", "b").open_entry()

    def test_another_study_has_a_ledger_of_its_own(self, opened):
        assert Ledger("s2", "b").open_entry() is None

    def test_no_name_is_another_things_name(self, variables):
        for key in ("claim", "key_a", "a"):
            ledger = Ledger("s1", key)
            assert ledger.claim()
            assert ledger.open(entry(key, payment_key=key))
            ledger.close(entry(key, payment_key=key), "paid")

        assert len(variables) == 5

    def test_closed_once_more_it_stays_as_it_was(self, opened, variables):
        opened.close(entry(), "paid")
        before = dict(variables)

        opened.close(entry(), "not paid")

        assert variables == before

    def test_what_was_not_paid_is_not_among_the_paid_ones(self, claimed):
        for batch_id, state in (("b1", "paid"), ("b2", "not paid"), ("b3", "paid")):
            claimed.close(entry(batch_id), state)

        assert [each["batch_id"] for each in claimed.paid_entries()] == ["b1", "b3"]


class TestByHand:
    def test_not_paid_closes_the_entry_at_the_next_look(self, opened, variables):
        variables.edit(NAME, state="not paid")

        assert opened.open_entry() is None
        assert [each["state"] for each in variables.json(KEY_A)] == ["not paid"]

    def test_whichever_key_looks(self, opened, variables):
        variables.edit(NAME, state="not paid")

        assert Ledger("s1", "b").open_entry() is None
        assert [each["state"] for each in variables.json(KEY_A)] == ["not paid"]

    def test_paid_stays_open_until_it_has_been_seen(self, opened, variables):
        variables.edit(NAME, state="paid")

        assert opened.open_entry() == entry(state="paid")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "is not JSON"),
            ("{'state': 'not paid'}", "is not JSON"),
            ("null null", "is not JSON"),
            ("[]", "does not have all of state, "),
            ("{}", "does not have all of state, "),
            (
                json.dumps(entry(state="closed")),
                "has the state 'closed', which is not one of 'open', 'paid', 'not paid'",
            ),
            (json.dumps(entry(number="1")), "has no number"),
            (json.dumps(entry(rows={})), "no rows"),
            (json.dumps(entry(rows={"u1": "4.25"})), "amounts that cannot be read"),
            (json.dumps(entry(rows={"u1": "0 + much"})), "amounts that cannot be read"),
            (json.dumps(entry(total_amount="five")), "amounts that cannot be read"),
        ],
    )
    def test_what_cannot_be_read_is_an_error_and_nobody_pays(self, ledger, variables, text, words):
        variables[NAME] = text

        with pytest.raises(ProlificError, match=f"{NAME} .*{words}.*docs/bonuses.md"):
            ledger.open_entry()

    @pytest.mark.parametrize("text", ["{}", "[7]", "gone"])
    def test_the_same_is_true_of_the_closed_ones(self, ledger, variables, text):
        variables[KEY_A] = text

        with pytest.raises(ProlificError, match=KEY_A):
            ledger.closed_entries()


class TestClaim:
    def test_it_stands_longer_than_an_entry_may_take_to_be_written(self):
        assert CLAIM_SECONDS > WRITE_SECONDS

    def test_it_stands_some_seconds_before_anything_is_read(self, ledger, clock):
        assert ledger.claim()
        assert clock.passed == pytest.approx(CLAIM_SECONDS)

    def test_one_that_is_overwritten_meanwhile_is_lost(self, ledger, variables, clock, monkeypatch):
        def sleep(seconds):
            variables[CLAIM] = "another's"

        monkeypatch.setattr(module.time, "sleep", sleep)

        assert not ledger.claim()

    def test_one_that_is_overwritten_later_pays_nothing(self, claimed, variables):
        variables[CLAIM] = "another's"

        assert claimed.open(entry()) is False
        assert NAME not in variables

    def test_an_entry_that_is_opened_meanwhile_goes_before(self, ledger, variables, monkeypatch):
        monkeypatch.setattr(
            module.time, "sleep", lambda seconds: variables.__setitem__(NAME, json.dumps(entry(batch_id="b7")))
        )

        assert not ledger.claim()

    def test_others_are_given_way_longer_each_time(self, ledger, pauses, monkeypatch):
        monkeypatch.setattr(module.random, "uniform", lambda low, high: high)
        for turn in range(1, 4):
            ledger.give_way(turn)

        assert pauses == [2 * CLAIM_SECONDS, 4 * CLAIM_SECONDS, 8 * CLAIM_SECONDS]


class TestTrouble:
    def test_an_entry_that_cannot_be_read_back_is_not_paid(self, claimed, variables):
        variables.shadowed[NAME] = json.dumps(entry("b0"))

        with pytest.raises(
            ProlificError, match=r"does not show what was written.*secrets backend.*what is due was not paid"
        ):
            claimed.open(entry())

    def test_nor_one_that_took_too_long_to_write(self, claimed, variables, clock):
        variables.before_write = lambda name: clock.sleep(WRITE_SECONDS + 0.1)

        with pytest.raises(ProlificUndecidedError, match=r"took 5 seconds.*batch b1 was not paid.*\"not paid\""):
            claimed.open(entry())

        assert claimed.open_entry() == entry()  # it stays open, for it may have replaced another one

    def test_nor_one_whose_claim_took_too_long_to_read(self, claimed, variables, clock):
        variables.before_read = lambda name: clock.sleep(WRITE_SECONDS + 0.1) if name == CLAIM else None

        with pytest.raises(ProlificUndecidedError):
            claimed.open(entry())

    def test_a_claim_that_cannot_be_read_back_is_none(self, ledger, variables):
        variables.unreadable.add(CLAIM)

        assert not ledger.claim()

    def test_an_entry_that_cannot_be_read_once_is_found_at_another_look(self, opened, variables):
        """Airflow does not tell a Variable that could not be read from one that does not exist."""
        failures = iter([True, True, False])
        variables.before_read = lambda name: (
            (variables.unreadable.add if next(failures) else variables.unreadable.discard)(NAME)
            if name == NAME
            else None
        )

        assert not Ledger("s1", "a").claim()

    def test_closed_entries_that_have_been_seen_do_not_vanish(self, opened, variables):
        opened.close(entry(), "paid")
        task = Ledger("s1", "a")
        assert task.claim()
        variables.unreadable.add(KEY_A)

        with pytest.raises(ProlificError, match=f"{KEY_A} shows 0 closed entries, but there have been 1"):
            task.closed_entries()

    def test_and_are_not_written_over(self, opened, variables):
        opened.close(entry(), "paid")
        variables.unreadable.add(KEY_A)

        with pytest.raises(ProlificError, match="there have been 1"):
            opened.close(entry("b2", number=2), "paid")

        assert [each["batch_id"] for each in variables.json(KEY_A)] == ["b1"]

    def test_a_closing_that_cannot_be_read_back_is_an_error(self, opened, variables):
        variables.shadowed[KEY_A] = "[]"

        with pytest.raises(ProlificError, match=f"{KEY_A} does not show what was written"):
            opened.close(entry(), "paid")

    @pytest.mark.parametrize("way", ["before_read", "before_write"])
    def test_airflows_own_errors_are_errors_of_the_provider(self, ledger, variables, way):
        def fail(name):
            raise ConnectionError("the database is away")

        setattr(variables, way, fail)

        with pytest.raises(ProlificError, match=rf"{CLAIM} cannot be (read|written): ConnectionError"):
            ledger.claim()
