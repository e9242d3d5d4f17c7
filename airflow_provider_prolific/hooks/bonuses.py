"""Bonuses: their shapes and their endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypedDict

from airflow_provider_prolific.arguments import check_id
from airflow_provider_prolific.exceptions import ProlificResponseError, ProlificValueError
from airflow_provider_prolific.hooks.endpoints import Endpoints, quote_id
from airflow_provider_prolific.money import check_amounts
from airflow_provider_prolific.text import shorten


class BonusPayment(TypedDict):
    """A batch of bonuses that has been set up: what paying it once costs, in hundredths."""

    id: str
    study: str
    amount: float
    fees: float
    vat: float
    total_amount: float


class BonusEndpoints(Endpoints):
    """The hook's methods for bonuses."""

    def create_bonus_payment(self, study_id: str, amounts: Mapping[str, str | Decimal]) -> BonusPayment:
        """Set up a batch of bonuses; nothing is paid until :meth:`pay_bonus_payment` is called with its id.

        :param study_id: The study.
        :param amounts: The bonus of each person, in whole units of the currency, by submission id (or by participant
            id, if the person has a single submission): ``{"<submission id>": "4.25"}``. Prolific advises at most 200.
        :return: The batch: ``id``, and in hundredths ``amount`` (the sum), ``fees``, ``vat`` and ``total_amount``.
        :raises ProlificValueError: not an id, no amounts, an amount that is not text, or nothing to pay.
        :raises ProlificApiError: the API refuses (400: an id that it does not know in this study).

        API: https://docs.prolific.com/api-reference/bonuses/set-up-bonus-payments
        """
        checked = check_amounts(amounts, "amounts")
        if not checked or not all(checked.values()):
            raise ProlificValueError("amounts must have at least one id, and no amount of zero")
        body = {
            "study_id": check_id(study_id, "study_id"),
            "csv_bonuses": "\n".join(f"{each},{amount:.2f}" for each, amount in checked.items()),
        }

        def read(answer: Any) -> BonusPayment:
            figures = ("amount", "fees", "vat", "total_amount")
            if (
                isinstance(answer, Mapping)
                and isinstance(answer.get("id"), str)
                and answer["id"]
                and all(type(answer.get(figure)) in (int, float) for figure in figures)
            ):
                return answer  # type: ignore[return-value]
            raise ProlificResponseError(f"the answer is not a batch of bonuses: {shorten(answer)}")

        # Repeated also after an unclear answer: a batch that nobody pays does no harm.
        return self._client.call(
            "POST", "/api/v1/submissions/bonus-payments/", read, json=body, repeatable=True, hidden_ids=checked
        )

    def pay_bonus_payment(self, bonus_payment_id: str) -> None:
        """Pay a batch of bonuses; paying it again pays everyone again.

        It is repeated only if Prolific cannot have acted. A success means that the payment was accepted: the bonuses
        appear in the submissions' ``bonus_payments`` some minutes later. After an unclear answer, only these show
        whether it was accepted.

        :param bonus_payment_id: The batch's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/bonuses/pay-bonus-payments
        """
        batch_id = quote_id(bonus_payment_id, "bonus_payment_id")
        self._client.call("POST", f"/api/v1/bulk-bonus-payments/{batch_id}/pay/", None)
