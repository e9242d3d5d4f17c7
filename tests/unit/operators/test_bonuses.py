"""Paying bonuses: what is looked at before, what is paid, and what a retry, a clear and a person find."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError, ProlificValueError
from airflow_provider_prolific.operators.bonuses import ProlificPayBonusesOperator
from airflow_provider_prolific.version_compat import AirflowFailException

try:
    from airflow.sdk.exceptions import TaskDeferred
except (ImportError, AttributeError):  # before Airflow 3.2
    from airflow.exceptions import TaskDeferred

API = "https://api.prolific.com/api/v1"
PERSON = "5f0000000000000000000001"
NAME = "prolific_bonuses_s1"
CHARGED = Decimal("1.4")  # a bonus costs 40 percent on top


class Study:
    """A study at Prolific, on the wire: its submissions' bonuses, the batches, and what happens when one is paid."""

    def __init__(self, api, **payments):
        self._api = api
        self.payments = {each: list(paid) for each, paid in payments.items()}
        self.statuses = dict.fromkeys(payments, "APPROVED")
        self.balance = 1_000_000
        self.currency = "GBP"
        self.batches = {}
        self.paid = []
        #: What is answered to a set-up, from what would be.
        self.echo = lambda answer: answer
        #: Whether a payment is made, whether it can be seen, what is answered.
        self.is_paid, self.is_seen, self.answer = True, True, (202, {}, '"accepted"')
        self.before_pay = lambda batch_id: None
        listing = (api.GET, f"{API}/submissions/", self._list)
        set_up = (api.POST, f"{API}/submissions/bonus-payments/", self._set_up)
        pay = (api.POST, re.compile(rf"{API}/bulk-bonus-payments/.+/pay/"), self._pay)
        study = (api.GET, f"{API}/studies/s1/", self._study)
        balance = (api.GET, f"{API}/workspaces/w1/balance/", self._balance)
        for method, url, callback in (listing, set_up, pay, study, balance):
            api.add_callback(method, url, callback)

    @property
    def posts(self):
        """The paths of what was sent to change something."""
        return [request.url.removeprefix(API) for request in self._api.requests if request.method == "POST"]

    @property
    def totals(self):
        """What everybody has been paid, in hundredths."""
        return {each: sum(paid) for each, paid in self.payments.items()}

    def _list(self, request):
        rows = [
            {"id": each, "participant_id": PERSON, "status": self.statuses[each], "bonus_payments": paid}
            for each, paid in self.payments.items()
        ]
        page, size = int(request.params["page"]), int(request.params["page_size"])
        return 200, {}, json.dumps({"results": rows[(page - 1) * size :][:size], "meta": {"count": len(rows)}})

    def _study(self, request):
        return 200, {}, json.dumps({"id": "s1", "status": "ACTIVE", "currency_code": self.currency, "workspace": "w1"})

    def _balance(self, request):
        return 200, {}, json.dumps({"currency_code": self.currency, "available_balance": self.balance})

    def _set_up(self, request):
        rows = dict(line.split(",") for line in json.loads(request.body)["csv_bonuses"].splitlines())
        batch_id = f"b{len(self.batches) + 1}"
        self.batches[batch_id] = {each: Decimal(amount) * 100 for each, amount in rows.items()}
        amount = sum(self.batches[batch_id].values())
        figures = {"amount": amount, "fees": amount / 3, "vat": amount / 15, "total_amount": amount * CHARGED}
        answer = {"id": batch_id, "study": "s1", **{name: float(figure) for name, figure in figures.items()}}
        return 201, {}, json.dumps(self.echo(answer))

    def _pay(self, request):
        batch_id = request.url.split("/")[-3]
        self.before_pay(batch_id)
        if self.is_paid:
            self.paid.append(batch_id)
            if self.is_seen:
                self.show(batch_id)
        return self.answer

    def show(self, batch_id):
        """Let the bonuses of a batch be seen."""
        for each, amount in self.batches[batch_id].items():
            self.payments[each].append(int(amount))


@pytest.fixture(autouse=True)
def _variables(variables):
    """Every test has Variables in memory."""


@pytest.fixture
def study(api):
    """Make the study with what its submissions have been paid."""
    return lambda **payments: Study(api, **payments)


@pytest.fixture
def pay(run):
    """Pay bonuses, for ever the same unless it is said."""

    def execute(amounts, **arguments):
        defaults = {"study_id": "s1", "max_each": "100 GBP", "max_total": "10000 GBP", "payment_key": "a"}
        return run(ProlificPayBonusesOperator, amounts=amounts, **{**defaults, **arguments})

    return execute


class TestAmounts:
    def test_the_difference_to_what_prolific_shows_is_paid(self, study, pay):
        study = study(u1=[], u2=[100, 50], u3=[200], u4=[7])

        result = pay({"u1": "4.25", "u2": "2", "u3": "2.00"})

        assert study.totals == {"u1": 425, "u2": 200, "u3": 200, "u4": 7}
        assert study.payments["u2"] == [100, 50, 50]
        assert result == {
            "study_id": "s1",
            "payment_key": "a",
            "bonus_count": 2,
            "amount": "4.75 GBP",
            "total_amount": "6.65 GBP",
        }

    def test_the_same_run_again_pays_nothing_and_returns_the_same(self, study, pay):
        study = study(u1=[])
        first = pay({"u1": "4.25"})
        posts = study.posts

        assert pay({"u1": "4.25"}) == first
        assert study.posts == posts

    def test_nor_under_another_key(self, study, pay):
        study = study(u1=[])
        pay({"u1": "4.25"})
        pay({"u1": "4.25"}, payment_key="b")

        assert study.totals == {"u1": 425}

    def test_a_second_round_means_a_higher_total(self, study, pay):
        study = study(u1=[])
        pay({"u1": "4.25"})

        result = pay({"u1": "5"})

        assert study.payments == {"u1": [425, 75]}
        assert (result["bonus_count"], result["amount"]) == (2, "5.00 GBP")

    @pytest.mark.parametrize("amounts", [{}, {"u1": "0"}, {"u1": "0.00"}])
    def test_nothing_to_pay_is_nothing_to_do(self, study, pay, amounts):
        study = study(u1=[])

        assert pay(amounts)["bonus_count"] == 0
        assert study.posts == []

    def test_more_paid_than_wished_stops_everything(self, study, pay):
        study = study(u1=[], u2=[300])

        with pytest.raises(
            ProlificError,
            match=r"1 of 2 submissions .* 3\.00 GBP instead of 2\.99 GBP: \['u2'\]; what is due was not paid",
        ):
            pay({"u1": "4.25", "u2": "2.99"})

        assert study.posts == []

    @given(
        st.lists(st.tuples(st.integers(0, 9_999), st.integers(0, 9_999)), min_size=1, max_size=30),
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    def test_everybody_ends_with_the_total_to_the_hundredth(self, api, variables, pay, rows):
        variables.clear()
        api.reset()
        study = Study(api, **{f"u{n}": [before] * bool(before) for n, (before, _) in enumerate(rows)})
        wished = {f"u{n}": Decimal(before + more) / 100 for n, (before, more) in enumerate(rows)}

        result = pay({each: f"{amount:.2f}" for each, amount in wished.items()}, max_each="200 GBP")

        difference = sum((Decimal(more) / 100 for _, more in rows), Decimal())
        assert study.totals == {each: amount * 100 for each, amount in wished.items()}
        assert Decimal(result["amount"].removesuffix(" GBP")) == difference
        assert Decimal(result["total_amount"].removesuffix(" GBP")) == difference * CHARGED

    def test_ceilings_and_key_may_be_known_at_run_time_only(self):
        operator = ProlificPayBonusesOperator(
            task_id="pay",
            study_id="{{ params.study_id }}",
            amounts={"66a000000000000000000001": "4.25", "66a000000000000000000002": "1.50"},
            max_each="{{ params.max_each }}",
            max_total="{{ params.max_total }}",
            payment_key="{{ params.payment_key }}",
        )

        with pytest.raises(ProlificValueError, match=r"^study_id must be an id"):
            operator.checked_arguments()


class TestSubmissions:
    def test_those_of_another_study_stop_everything(self, study, pay):
        study = study(u1=[])

        with pytest.raises(
            ProlificValueError,
            match=r"1 of 2 submissions do not belong to study 's1': \['u9'\]; what is due was not paid",
        ):
            pay({"u1": "1", "u9": "1"})

        assert study.posts == []

    def test_so_do_those_in_another_status(self, study, pay):
        study = study(u1=[], u2=[], u3=[])
        study.statuses |= {"u2": "TIMED-OUT", "u3": "AWAITING_REVIEW"}

        words = r"2 of 3 submissions are 'AWAITING REVIEW, TIMED-OUT', not APPROVED: \['u2', 'u3'\]; "
        with pytest.raises(ProlificError, match=words + "what is due was not paid"):
            pay({"u1": "1", "u2": "1", "u3": "1"})

        assert study.posts == []

    def test_which_statuses_may_be_paid_is_the_authors_to_say(self, study, pay):
        study = study(u1=[])
        study.statuses["u1"] = "awaiting_review"

        pay({"u1": "1"}, statuses=["APPROVED", "Awaiting Review"])

        assert study.totals == {"u1": 100}


class TestCeilings:
    def test_the_highest_total_is_known_while_the_dag_is_parsed(self):
        with pytest.raises(ProlificValueError, match=r"1 amounts are above max_each \(4\.24 GBP\): \['u1'\]"):
            ProlificPayBonusesOperator(
                task_id="pay",
                study_id="s1",
                amounts={"u1": "4.25", "u2": "4.24"},
                max_each="4.24 GBP",
                max_total="100 GBP",
                payment_key="a",
            )

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"amounts": {"u1": 4.25}}, r"^amounts\['u1'\] must be text such as '4\.25', not the number"),
            ({"amounts": {"u1": 425}}, "whole units or hundredths"),
            ({"max_each": "10"}, "^max_each has no currency"),
            ({"max_total": 100}, "^max_total must be text"),
            (
                {"max_total": "100 USD"},
                r"^max_each \(10\.00 GBP\) and max_total \(100\.00 USD\) must have one currency",
            ),
            ({"payment_key": "a b"}, "^payment_key must be"),
            ({"payment_key": ""}, "^payment_key must be"),
            ({"study_id": ""}, "^study_id must be an id"),
            ({"statuses": []}, "^statuses must have at least one"),
        ],
        ids=str,
    )
    def test_a_bad_argument_is_refused_while_the_dag_is_parsed(self, arguments, words):
        good = {"study_id": "s1", "amounts": {}, "max_each": "10 GBP", "max_total": "100 GBP", "payment_key": "a"}

        with pytest.raises(ProlificValueError, match=words):
            ProlificPayBonusesOperator(task_id="pay", **{**good, **arguments})

    def test_what_it_costs_with_fees_counts(self, study, pay):
        study = study(u1=[], u2=[])

        words = r"2 bonuses cost 14\.00 GBP with fees, more than max_total \(13\.99 GBP\): what is due was not paid"
        with pytest.raises(ProlificError, match=words):
            pay({"u1": "6", "u2": "4"}, max_total="13.99 GBP")

        assert study.paid == []

    def test_exactly_as_much_may_be_paid(self, study, pay):
        study = study(u1=[], u2=[])
        study.balance = 1400
        pay({"u1": "6", "u2": "4"}, max_total="14 GBP")

        assert study.paid == ["b1"]

    def test_what_the_key_has_cost_already_counts_as_well(self, study, pay):
        study = study(u1=[], u2=[])
        pay({"u1": "6"}, max_total="14 GBP")

        words = r"1 bonuses cost 5\.614 GBP with fees, in addition to 8\.40 GBP already paid under this key, more than"
        with pytest.raises(ProlificError, match=words):
            pay({"u1": "6", "u2": "4.01"}, max_total="14 GBP")

        assert study.totals == {"u1": 600, "u2": 0}

    def test_the_workspace_must_have_the_money(self, study, pay):
        study = study(u1=[])
        study.balance = 839

        words = r"1 bonuses cost 8\.40 GBP with fees, more than is available in the workspace \(8\.39 GBP\): "
        with pytest.raises(ProlificError, match=words + "what is due was not paid"):
            pay({"u1": "6"})

        assert study.paid == []

    def test_a_workspace_that_owes_something_has_nothing(self, study, pay):
        study = study(u1=[])
        study.balance = -5

        with pytest.raises(
            ProlificError, match=r"more than is available in the workspace \(0\.00 GBP\): what is due was not paid"
        ):
            pay({"u1": "6"})

        assert study.paid == []

    def test_the_study_must_be_in_the_currency_of_the_ceilings(self, study, pay):
        study = study(u1=[])
        study.currency = "USD"

        with pytest.raises(ProlificError, match="are in GBP, the study is in USD"):
            pay({"u1": "6"})

        assert study.posts == []

    @pytest.mark.parametrize(
        "echo", [{"amount": 6.0}, {"amount": 60_000}, {"amount": 601}, {"total_amount": 599}, {"study": "s2"}], ids=str
    )
    def test_what_prolific_has_set_up_must_be_what_was_meant(self, study, pay, echo):
        study = study(u1=[])
        study.echo = lambda answer: answer | echo

        with pytest.raises(
            ProlificError, match=r"1 bonuses of 6\.00 GBP were set up, but Prolific shows .*what is due was not paid"
        ):
            pay({"u1": "6"})

        assert study.paid == []


class TestBatches:
    def test_200_are_paid_at_once_after_all_have_been_set_up_and_looked_at(self, study, pay):
        study = study(**{f"u{n}": [] for n in range(450)})
        seen = []
        study.before_pay = lambda batch_id: seen.append((len(study.batches), sum(study.totals.values())))

        result = pay({f"u{n}": "0.01" for n in range(450)})

        assert [len(study.batches[each]) for each in study.paid] == [200, 200, 50]
        assert seen == [(3, 0), (5, 200), (6, 400)]
        assert set(study.totals.values()) == {1}
        assert (result["bonus_count"], result["amount"]) == (450, "4.50 GBP")

    def test_an_error_before_a_later_batch_does_not_say_that_nobody_was_paid(self, study, pay):
        study = study(**{f"u{n}": [] for n in range(201)})
        study.before_pay = lambda batch_id: setattr(study, "balance", 0)

        with pytest.raises(ProlificError, match=r"^1 bonuses cost .*: what is due was not paid$"):
            pay({f"u{n}": "1" for n in range(201)})

        assert sum(study.totals.values()) == 200_00

    def test_the_result_adds_up_all_that_the_key_has_paid(self, study, pay):
        study(u1=[], u2=[])
        pay({"u1": "6"})

        result = pay({"u1": "6", "u2": "4.01"})

        assert (result["bonus_count"], result["amount"], result["total_amount"]) == (2, "10.01 GBP", "14.014 GBP")

    def test_none_is_paid_if_all_together_cost_too_much(self, study, pay):
        study = study(**{f"u{n}": [] for n in range(201)})

        with pytest.raises(ProlificError, match="201 bonuses cost"):
            pay({f"u{n}": "1" for n in range(201)}, max_total="281.39 GBP")

        assert study.paid == []


class TestLedger:
    def test_the_entry_is_written_before_anything_is_paid_and_names_nobody(self, study, pay, variables):
        study = study(u1=[150])
        written = []
        study.before_pay = lambda batch_id: written.append(variables[NAME])

        pay({"u1": "4.25"})

        [entry] = map(json.loads, written)
        opened_at = entry.pop("opened_at")
        assert len(entry.pop("id")) == 32
        assert entry == {
            "state": "open",
            "payment_key": "a",
            "number": 1,
            "batch_id": "b1",
            "currency": "GBP",
            "amount": "2.75",
            "total_amount": "3.85",
            "rows": {"u1": "1.5 + 2.75"},
        }
        assert opened_at.endswith("+00:00")
        assert PERSON not in str(variables)

    def test_where_it_cannot_be_written_nothing_is_paid(self, study, pay, variables):
        study = study(u1=[])

        def fail(name):
            if name == NAME:
                raise ConnectionError("the database is away")

        variables.before_write = fail

        with pytest.raises(ProlificError, match=f"{NAME} cannot be written"):
            pay({"u1": "4.25"})

        assert study.paid == []

    def test_the_log_says_numbers_and_nobody(self, study, pay, run):
        study(u1=[], u2=[])
        pay({"u1": "4.25", "u2": "1"})

        paid = "5.25 GBP, 7.35 GBP with fees"
        assert run.log == [
            "info: 2 bonuses are due and cost 7.35 GBP with fees; pays 2 of them as batch b1",
            "info: Prolific has accepted batch b1; waits until its bonuses are visible",
            "info: batch 'b1' has 2 of 2 bonuses paid (100%)",
            "info: All 2 bonuses of batch b1 are visible",
            f"info: Nothing more is due for 2 submissions; under the key a 2 bonuses have been paid: {paid}",
        ]


@pytest.fixture
def unseen(study):
    """A study whose payments cannot be seen."""
    study = study(u1=[], u2=[])
    study.is_seen = False
    return study


AMOUNTS = {"u1": "4.25", "u2": "1"}


class TestOutcomes:
    def test_a_refusal_is_an_error_and_the_next_run_pays(self, study, pay, variables):
        study = study(u1=[])
        study.is_paid, study.answer = False, (400, {}, '{"error": {"detail": "not enough balance"}}')

        with pytest.raises(ProlificApiError, match="not enough balance"):
            pay({"u1": "4.25"})

        assert [each["state"] for each in variables.json(f"{NAME}_key_a")] == ["not paid"]
        study.is_paid, study.answer = True, (202, {}, "")
        assert pay({"u1": "4.25"})["bonus_count"] == 1
        assert study.paid == ["b2"]

    def test_accepted_but_not_seen_in_time_is_for_a_person_and_never_paid_again(self, unseen, pay, clock):
        words = (
            r"^batch b1 \(2 bonuses, 7\.35 GBP with fees\) is paid, not visible yet: do not pay again\. .*not settled "
            r"after 900 seconds: batch 'b1' has 0 of 2 bonuses paid.*Clear this task.*prolific_bonuses_s1\."
        )
        with pytest.raises(AirflowFailException, match=words):
            pay(AMOUNTS)

        with pytest.raises(
            AirflowFailException, match=r"^it is not known whether batch b1 .* was paid: do not pay again"
        ):
            pay(AMOUNTS)

        assert unseen.paid == ["b1"]
        unseen.show("b1")
        assert pay(AMOUNTS)["bonus_count"] == 2
        assert unseen.paid == ["b1"]

    @pytest.mark.parametrize("is_paid", [True, False])
    def test_an_unclear_answer_without_growth_is_for_a_person_whether_or_not_it_was_paid(
        self, unseen, pay, clock, is_paid
    ):
        unseen.is_paid, unseen.answer = is_paid, (502, {}, "")

        for _ in range(2):
            with pytest.raises(AirflowFailException, match=r"^it is not known whether batch b1 .* do not pay again"):
                pay(AMOUNTS)

        assert len(unseen.posts) == 2  # one set-up, one payment

    def test_an_unclear_answer_with_growth_is_a_success(self, study, pay):
        study = study(u1=[], u2=[])
        study.answer = (502, {}, "")

        assert pay(AMOUNTS)["bonus_count"] == 2
        assert study.paid == ["b1"]

    def test_growth_by_another_amount_is_for_a_person(self, unseen, pay, clock):
        unseen.before_pay = lambda batch_id: unseen.payments.update(u1=[425, 425], u2=[100])

        words = r"1 of 2 bonuses paid \(50%\), and 1 submissions have changed by another amount\. Clear"
        with pytest.raises(AirflowFailException, match=words):
            pay(AMOUNTS)

        assert clock.passed < 900  # no use in waiting longer

    def test_an_open_entry_of_another_key_refuses_everything(self, unseen, pay, clock):
        with pytest.raises(AirflowFailException):
            pay(AMOUNTS)
        posts = unseen.posts

        with pytest.raises(ProlificError, match=r"under the payment key 'a'.*what is due under 'b' was not paid"):
            pay(AMOUNTS, payment_key="b")

        assert unseen.posts == posts

    def test_a_token_that_is_refused_while_it_looks_is_for_a_person(self, unseen, pay, api, clock):
        unseen.before_pay = lambda batch_id: api.replace("GET", f"{API}/submissions/", status=401)

        with pytest.raises(AirflowFailException, match=r"is paid, not visible yet.*401"):
            pay(AMOUNTS)


class TestByHand:
    @pytest.fixture
    def handed_over(self, unseen, pay, clock):
        with pytest.raises(AirflowFailException):
            pay(AMOUNTS)
        return unseen

    def test_not_paid_lets_the_next_run_go_by_what_prolific_shows(self, handed_over, pay, variables):
        variables.edit(NAME, state="not paid")
        handed_over.payments["u1"] = [425]
        handed_over.is_seen = True

        result = pay(AMOUNTS)

        assert handed_over.totals == {"u1": 425, "u2": 100}
        assert (result["bonus_count"], result["amount"]) == (1, "1.00 GBP")

    def test_paid_goes_on_once_each_shows_its_bonus_whatever_else_was_paid(self, handed_over, pay, variables, clock):
        variables.edit(NAME, state="paid")
        handed_over.payments |= {"u1": [425, 75], "u2": [100]}

        assert pay({"u1": "5", "u2": "1"})["amount"] == "5.25 GBP"
        assert handed_over.paid == ["b1"]

    def test_paid_pays_nothing_as_long_as_they_do_not(self, handed_over, pay, variables, clock):
        variables.edit(NAME, state="paid")
        handed_over.payments["u1"] = [425]

        with pytest.raises(AirflowFailException, match="1 of 2 bonuses paid"):
            pay(AMOUNTS)

        assert handed_over.paid == ["b1"]


class TestDeferred:
    def test_it_looks_in_the_triggerer_and_goes_on_with_the_next_batch(self, unseen, record_log, variables):
        record_log(ProlificPayBonusesOperator)
        operator = ProlificPayBonusesOperator(
            task_id="pay",
            study_id="s1",
            amounts=AMOUNTS,
            max_each="10 GBP",
            max_total="100 GBP",
            payment_key="a",
            deferrable=True,
        )
        with pytest.raises(TaskDeferred) as deferral:
            operator.execute({})
        classpath, arguments = deferral.value.trigger.serialize()

        assert classpath == "airflow_provider_prolific.triggers.bonuses.ProlificBonusTrigger"
        assert arguments["entry"] == variables.json(NAME)
        unseen.show("b1")
        result = operator.execute_complete({}, {"status": "success"}, **json.loads(json.dumps(deferral.value.kwargs)))
        assert result["bonus_count"] == 2
        assert unseen.paid == ["b1"]
