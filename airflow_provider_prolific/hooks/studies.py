"""Studies: their shapes and their endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Required, TypedDict

from airflow_provider_prolific.arguments import check_count, check_limit, check_study_fields, one_of
from airflow_provider_prolific.exceptions import ProlificResponseError
from airflow_provider_prolific.hooks.endpoints import Endpoints, quote_id
from airflow_provider_prolific.hooks.listing import by_page
from airflow_provider_prolific.text import shorten

STUDIES_ENDPOINT = "/api/v1/studies/"

check_action = one_of("PUBLISH", "PAUSE", "START", "STOP")

#: Whole numbers that the API documents as floating-point numbers.
_COUNTERS = {"total_available_places", "places_taken", "number_of_submissions", "reward"}


class Study(TypedDict, total=False):
    """A study in the API's own field names. The endpoint decides which of them are present; amounts are hundredths."""

    id: Required[str]
    status: Required[str]
    name: str
    internal_name: str | None
    description: str
    reward: int
    total_available_places: int
    places_taken: int
    number_of_submissions: int
    total_cost: int
    currency_code: str
    estimated_completion_time: int
    date_created: str
    published_at: str | None
    publish_at: str | None
    workspace: str | None
    project: str | None
    filters: list[dict[str, Any]]
    filter_set_id: str | None
    completion_codes: list[dict[str, Any]]
    external_study_url: str


class Amount(TypedDict):
    """An amount of money: hundredths of the currency."""

    amount: float
    currency: str


class StudyCostPart(TypedDict):
    """What one part of a study costs: rewards (or bonuses), Prolific's fees, and tax."""

    rewards: Amount
    fees: Amount
    tax: Amount


class StudyCost(TypedDict):
    """What a study has cost so far."""

    rewards: StudyCostPart
    bonuses: StudyCostPart


class Balance(TypedDict, total=False):
    """The money of a workspace, in hundredths of its currency; each breakdown has ``rewards``, ``fees`` and ``vat``.

    ``available_balance`` excludes the money that is locked for active studies.
    """

    currency_code: Required[str]
    total_balance: int
    balance_breakdown: dict[str, int]
    available_balance: Required[int]
    available_balance_breakdown: dict[str, int]


class StudyEndpoints(Endpoints):
    """The hook's methods for studies."""

    def get_study(self, study_id: str) -> Study:
        """Return one study.

        :param study_id: The study's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: no such study, or no access to its workspace).

        API: https://docs.prolific.com/api-reference/studies/get-study
        """
        return self._client.call("GET", study_endpoint(study_id), _read_study)

    def list_studies(self, project_id: str | None = None) -> list[Study]:
        """Return all studies of a project: every page, never a part of them, whatever their status.

        :param project_id: The project; ``None`` for the connection's, and if that names none, for all studies of the
            account, which may take long.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses.
        :raises ProlificResponseError: the answer cannot be right, or is incomplete.

        API: https://docs.prolific.com/api-reference/studies/get-project-studies
        """
        if project_id is None:
            project_id = self._client.settings.scopes["project_id"]
        endpoint = STUDIES_ENDPOINT
        if project_id is not None:
            endpoint = f"/api/v1/projects/{quote_id(project_id, 'project_id')}/studies/"

        def read_row(row: Any) -> tuple[str, Study]:
            study = _read_study(row)
            return study["id"], study

        return self._client.list(endpoint, "studies", read_row, paging=by_page)

    def create_study(self, study: Mapping[str, Any]) -> Study:
        """Create a draft, which costs nothing and reaches nobody until it is published.

        It is repeated only if Prolific cannot have acted: a second call makes a second draft.

        :param study: The study in the API's own fields: ``name``, ``description``, ``external_study_url``,
            ``prolific_id_option``, ``total_available_places``, ``estimated_completion_time`` (minutes), ``reward``
            (hundredths), ``project``, …
        :return: The draft, as the API shows it.
        :raises ProlificValueError: not an object, or with ``status`` or ``project_id``.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/studies/create-study
        """
        body = check_study_fields(study, "study")
        return self._client.call("POST", STUDIES_ENDPOINT, _read_study, json=body)

    def clone_study(self, study_id: str, *, block_previous_participants: bool = True) -> Study:
        """Create a draft as a copy of a study, in the same project; a second call makes a second draft.

        :param study_id: The study to copy.
        :param block_previous_participants: Whether people who took part in it are kept out of the new one.
        :return: The draft, as the API shows it.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/studies/duplicate-study
        """
        body = {"block_previous_participants": block_previous_participants}
        return self._client.call("POST", f"{study_endpoint(study_id)}clone/", _read_study, json=body)

    def update_study(self, study_id: str, changes: Mapping[str, Any]) -> Study:
        """Change a draft, or the few fields of a published study that can be changed.

        :param study_id: The study's id.
        :param changes: The fields that change, as the API names them. A published study takes ``internal_name``,
            ``total_available_places`` (never fewer; more cost money), and ``access_details``, which *adds* to the
            existing ones and is therefore not repeated after an unclear answer.
        :return: The study, as the API shows it.
        :raises ProlificValueError: not an id, not an object, or with ``status`` or ``project_id``.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/studies/update-study
        """
        body = check_study_fields(changes, "changes")
        return self._client.call(
            "PATCH", study_endpoint(study_id), _read_study, json=body, repeatable="access_details" not in body
        )

    def delete_study(self, study_id: str) -> None:
        """Delete a draft; Prolific refuses to delete a study that has been published.

        :param study_id: The study's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: it does not exist, or was deleted already).

        API: https://docs.prolific.com/api-reference/studies/delete-study
        """
        self._client.call("DELETE", study_endpoint(study_id), None, repeatable=True)

    def transition_study(self, study_id: str, action: str) -> Study:
        """Publish, pause, start or stop a study.

        It is repeated only if Prolific cannot have acted. After an unclear answer, look with :meth:`get_study`.

        :param study_id: The study's id.
        :param action: ``"PUBLISH"`` (spends money), ``"PAUSE"``, ``"START"`` or ``"STOP"``.
        :return: The study, as the API shows it; a study that is being published is ``PUBLISHING`` for a while.
        :raises ProlificValueError: not an id, or another action.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/studies/publish-study
        """
        body = {"action": check_action(action, "action")}
        return self._client.call("POST", f"{study_endpoint(study_id)}transition/", _read_study, json=body)

    def calculate_study_cost(self, reward: int, total_available_places: int) -> int:
        """Return what a study would cost with fees and VAT, in hundredths, at the rates of the token's account.

        A workspace may have other rates.

        :param reward: What one person is paid, in hundredths.
        :param total_available_places: How many people are paid.
        :raises ProlificValueError: not whole numbers.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/studies/calculate-study-cost
        """
        body = {
            "reward": check_limit(reward, "reward"),
            "total_available_places": check_count(total_available_places, "total_available_places"),
        }

        def read(answer: Any) -> int:
            if isinstance(answer, Mapping) and type(cost := whole_number(answer.get("total_cost"))) is int:
                return cost
            raise ProlificResponseError(f"the answer has no total_cost: {shorten(answer)}")

        return self._client.call("POST", "/api/v1/study-cost-calculator/", read, json=body, repeatable=True)

    def get_filter_set(self, filter_set_id: str) -> dict[str, Any]:
        """Return a filter set, which has ``id``, ``filters`` and ``version``.

        :param filter_set_id: The filter set's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/filter-sets/get-filter-set
        """
        endpoint = f"/api/v1/filter-sets/{quote_id(filter_set_id, 'filter_set_id')}/"

        def read(answer: Any) -> dict[str, Any]:
            if isinstance(answer, dict) and isinstance(answer.get("filters"), list):
                return answer
            raise ProlificResponseError(f"the answer has no filters: {shorten(answer)}")

        return self._client.call("GET", endpoint, read)

    def get_study_cost(self, study_id: str) -> StudyCost:
        """Return what a study has cost so far, in hundredths, in parts with Prolific's fees and tax.

        :param study_id: The study's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/studies/get-study-cost
        """

        def read(answer: Any) -> StudyCost:
            if isinstance(answer, Mapping) and all(map(_is_cost_part, (answer.get("rewards"), answer.get("bonuses")))):
                return answer  # type: ignore[return-value]
            raise ProlificResponseError(f"the answer has no costs: {shorten(answer)}")

        return self._client.call("GET", f"{study_endpoint(study_id)}cost/", read)

    def get_workspace_balance(self, workspace_id: str | None = None) -> Balance:
        """Return the money of a workspace, in hundredths of its currency.

        :param workspace_id: The workspace; ``None`` for the connection's.
        :raises ProlificValueError: not an id, or the connection names none.
        :raises ProlificApiError: the API refuses (403 or 404: the account's role may not see it).

        API: https://docs.prolific.com/api-reference/workspaces/get-workspace-balance
        """
        if workspace_id is None:
            workspace_id = self._client.settings.default_workspace_id()
        endpoint = f"/api/v1/workspaces/{quote_id(workspace_id, 'workspace_id')}/balance/"

        def read(answer: Any) -> Balance:
            if (
                isinstance(answer, Mapping)
                and isinstance(answer.get("currency_code"), str)
                and type(answer.get("available_balance")) is int
            ):
                return answer  # type: ignore[return-value]
            raise ProlificResponseError(f"the answer has no balance: {shorten(answer)}")

        return self._client.call("GET", endpoint, read)


def _read_study(row: Any) -> Study:
    """Return a row as a study; callers check the fields that they need besides ``id`` and ``status``."""
    if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"] and isinstance(row.get("status"), str):
        study: Any = row | {name: whole_number(row[name]) for name in _COUNTERS & row.keys()}
        return study  # type: ignore[no-any-return]
    raise ProlificResponseError(f"the answer has a study without an id or a status: {shorten(row)}")


def whole_number(value: Any) -> Any:
    """Return a whole ``float``, such as ``7.0``, as an ``int``, and anything else as it is."""
    return int(value) if type(value) is float and value.is_integer() else value


def _is_cost_part(part: Any) -> bool:
    amounts = [part.get(name) for name in StudyCostPart.__annotations__] if isinstance(part, Mapping) else [None]
    return all(isinstance(amount, Mapping) and type(amount.get("amount")) in (int, float) for amount in amounts)


def study_endpoint(study_id: str) -> str:
    """Return the path of a study."""
    return f"{STUDIES_ENDPOINT}{quote_id(study_id, 'study_id')}/"
