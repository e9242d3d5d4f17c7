"""What holds whatever people and researchers do: places are never overfilled, and money is conserved."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_prolific.emulator import course
from airflow_provider_prolific.emulator.errors import ApiError
from airflow_provider_prolific.emulator.seed import load_seed
from airflow_provider_prolific.emulator.state import State
from airflow_provider_prolific.emulator.studies import STATUSES
from airflow_provider_prolific.emulator.study_models import StudyFields

SEED = load_seed(None)
WORKSPACE = "64a000000000000000000001"
CODES = [{"code": "DONE", "code_type": "COMPLETED", "actions": []}]

shares = st.lists(st.floats(0, 1), min_size=5, max_size=5).map(lambda parts: [p / max(sum(parts), 1) for p in parts])
deeds = st.one_of(
    st.tuples(st.just("wait"), st.floats(0, 60)),
    st.tuples(st.just("move"), st.integers(0, 10**6), st.sampled_from(STATUSES)),
    st.tuples(st.just("approve"), st.integers(0, 10**6)),
    st.tuples(st.just("bonus"), st.integers(0, 10**6), st.integers(1, 10**4), st.integers(1, 3)),
    st.tuples(st.just("act"), st.sampled_from(["PUBLISH", "PAUSE", "START", "STOP"])),
)


@settings(max_examples=150, deadline=None)
@given(
    shares=shares,
    places=st.integers(1, 12),
    reward=st.integers(0, 10**6),
    rate=st.floats(0.05, 5),
    deeds=st.lists(deeds, max_size=25),
)
def test_places_are_never_overfilled_and_money_is_conserved(shares, places, reward, rate, deeds):
    state = State(SEED, lambda: 1_750_000_000.0)
    state.settings.late_return = "if_free"
    wallet = state.wallets[WORKSPACE]
    before, spent_before = wallet.balance, wallet.spent.total
    names = ("returned", "timed_out", "late", "no_code")
    study = state.create_study(
        StudyFields(
            name="A study",
            total_available_places=places,
            reward=reward,
            arrivals_per_second=rate,
            completion_codes=CODES,
            **dict(zip(names, shares, strict=False)),
        )
    )
    retaken = 0
    for deed, *arguments in [("act", "PUBLISH"), ("wait", 3.0), *deeds, ("wait", 100.0)]:
        submissions = list(study.submissions.values())
        try:
            if deed == "wait":
                state.advance(*arguments)
            elif deed == "act":
                course.act(state, study, *arguments)
            elif submissions:
                submission = submissions[arguments[0] % len(submissions)]
                if deed == "move":
                    taken = study.free_places
                    state.life.move(submission, arguments[1], state.now())
                    retaken += max(taken - study.free_places, 0)
                elif deed == "approve":
                    state.payments.approve([submission], state.now())
                else:
                    batch = state.payments.set_up(study, f"{submission.id},{Decimal(arguments[1]) / 100}", state.now())
                    for _ in range(arguments[2]):
                        state.payments.pay(batch, state.now())
        except ApiError:
            pass
        assert study.free_places >= -retaken
        assert sum(study.counts.values()) == len(study.submissions)
        assert wallet.balance + wallet.spent.total - spent_before == before
        assert study.locked >= 0
    state.advance(60)
    assert wallet.bonuses_locked == 0
    shown = sum((sum(each.bonus_payments, Decimal()) for each in study.submissions.values()), Decimal())
    assert shown == study.bonuses.rewards == sum(Decimal(str(each["amount"])) for each in state.payments.log)
    assert wallet.spent.total - spent_before == study.rewards.total + study.bonuses.total
