"""Tasks that pay bonuses of one study at the same time, slowly, killed, with lost answers: nobody is paid twice."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_world import World

from airflow_provider_prolific.operators import bonuses

WISHED = {"u1": "1.50", "u2": "4.25", "u3": "0.05", "u4": "10", "u5": "2"}
ARGUMENTS = {"amounts": WISHED, "max_each": "10 GBP", "max_total": "100 GBP"}

seeds_and_keys = given(seed=st.integers(0, 2**32), keys=st.sampled_from(["a", "aa", "aaa", "ab", "aab"]))
checks = [HealthCheck.function_scoped_fixture]


def pay_at_once(monkeypatch, seed, keys, is_quiet=False):
    """Let a task pay under each of the keys at the same time, then be cleared; return the world."""
    numbers = random.Random(seed)
    world = World(lambda highest: numbers.randint(0, highest), list(WISHED), is_quiet)
    with monkeypatch.context() as patches:
        patches.setattr(bonuses, "MAX_ROWS", 2)
        world.install(patches)
        tasks = [(f"task {n}", world.task(payment_key=key, **ARGUMENTS)) for n, key in enumerate(keys)]
        for _ in range(2):
            world.run(*tasks)
            check(world)
    return world


def check(world):
    """See that whoever has been paid was paid once, that a success means all, and that no task ends in another way."""
    paid = {each: world.paid(each) for each in WISHED}
    whole = {each: [Decimal(amount) * 100] for each, amount in WISHED.items()}
    ends = [tries[-1] for tries in world.outcomes.values()]
    assert all(paid[each] in ([], whole[each]) for each in WISHED), (paid, ends, world.variables)
    assert all(end.startswith(("success", "killed", "failed", "for a person")) for end in ends), ends
    if "success" in ends:
        assert paid == whole, ends


@seeds_and_keys
@settings(suppress_health_check=checks, max_examples=100)
def test_nobody_is_paid_twice_and_who_succeeds_has_paid_all(monkeypatch, seed, keys):
    pay_at_once(monkeypatch, seed, keys)


@pytest.mark.full
@seeds_and_keys
@settings(suppress_health_check=checks, max_examples=3000)
def test_the_same_three_thousand_times(monkeypatch, seed, keys):
    pay_at_once(monkeypatch, seed, keys)


@pytest.mark.parametrize("seed", range(5))
def test_tasks_of_one_key_that_begin_together_all_succeed_where_nothing_goes_wrong(monkeypatch, seed):
    world = pay_at_once(monkeypatch, seed, "aaa", is_quiet=True)

    assert [tries[-1] for tries in world.outcomes.values()] == ["success"] * 3
