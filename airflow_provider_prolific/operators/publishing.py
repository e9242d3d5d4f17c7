"""The operator that publishes a study; import it from ``airflow_provider_prolific.operators.studies``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.arguments import check_filter, check_flag, check_group, check_id, optional
from airflow_provider_prolific.exceptions import ProlificError, ProlificUndecidedError, ProlificValueError
from airflow_provider_prolific.money import Money, check_money
from airflow_provider_prolific.operators.allowlist import check_recruits_only_from
from airflow_provider_prolific.operators.base import find_group
from airflow_provider_prolific.operators.settling import SettlingOperator
from airflow_provider_prolific.operators.spending import check_balance, check_ceiling, find_whole_cost, read_places
from airflow_provider_prolific.text import fold_status, shorten
from airflow_provider_prolific.waiting.group_index import check_live
from airflow_provider_prolific.waiting.publishing import PublishWait
from airflow_provider_prolific.waiting.studies import describe_study
from airflow_provider_prolific.waiting.targets import read_count

if TYPE_CHECKING:
    from airflow_provider_prolific.arguments import FilterArgument, FlagArgument, TextArgument
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.studies import Study
    from airflow_provider_prolific.waiting.wait import Status


class ProlificPublishStudyOperator(SettlingOperator):
    """Publish a draft: people can take part, and Prolific locks the whole cost in the workspace's wallet.

    .. code-block:: python

        publish = ProlificPublishStudyOperator(
            task_id="publish",
            study_id=draft.output["id"],
            participant_group="Wave 2 invited",
            max_total_cost="150.00 GBP",
        )

    Before it asks Prolific to publish, the operator checks in this order:

    1. the study is a draft;
    2. it recruits only from ``participant_group``;
    3. this group is not deleted and has members;
    4. the whole cost is at most ``max_total_cost``;
    5. the workspace's available balance covers it.

    If a check fails, nothing is changed.

    A retry is safe: a study that is published, or is being published, is not published again. After the request, the
    study's status decides, whatever the answer was. Prolific publishes the draft as it is at that moment: if somebody
    changed it after the checks, the task fails without a retry, and a person must decide.

    :param study_id: The draft.
    :param max_total_cost: The most that the whole study may cost, with fees and VAT: ``"150.00 GBP"``. It is compared
        with the larger of the study's own figure and Prolific's cost calculator. Screen-outs with a fixed payment are
        included, bonuses are not.
    :param participant_group: The group that the study is for, by id or exact name. A filter of the study (or of its
        filter set) must be an allowlist with only this group.
    :param allow_open_recruitment: Whether the study may also recruit people outside the group.
    :param skip_balance_check: Whether to publish without checking the workspace's balance.
    :param filter: The scope for a group's name; default: the connection's.
    :param prolific_conn_id: The Prolific connection.
    :return: The published study in the API's own field names; amounts are in hundredths.
    :raises ProlificError: one of the checks failed, or the study is still a draft.

    API: https://docs.prolific.com/api-reference/studies/publish-study
    """

    checks = {
        "study_id": check_id,
        "max_total_cost": check_money,
        "participant_group": optional(check_group, rendered=True),
        "allow_open_recruitment": check_flag,
        "skip_balance_check": check_flag,
        "filter": check_filter,
    }
    returns_dict = True
    trigger_path = "airflow_provider_prolific.triggers.studies.ProlificPublishTrigger"
    wait_class = PublishWait

    def __init__(
        self,
        *,
        study_id: TextArgument,
        max_total_cost: TextArgument,
        participant_group: TextArgument | None = None,
        allow_open_recruitment: FlagArgument = False,
        skip_balance_check: FlagArgument = False,
        filter: FilterArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            study_id=study_id,
            max_total_cost=max_total_cost,
            participant_group=participant_group,
            allow_open_recruitment=allow_open_recruitment,
            skip_balance_check=skip_balance_check,
            filter=filter,
        )

    def check_together(self, arguments: Mapping[str, Any]) -> None:
        """Refuse to publish without a group, unless ``allow_open_recruitment`` is set."""
        if arguments["participant_group"] is None and not arguments["allow_open_recruitment"]:
            raise ProlificValueError(
                "participant_group is missing: name the group that the study is for, or set "
                "allow_open_recruitment=True to publish it for everybody who passes its filters"
            )

    def perform(
        self,
        hook: ProlificHook,
        *,
        study_id: str,
        max_total_cost: Money,
        participant_group: str | None,
        allow_open_recruitment: bool,
        skip_balance_check: bool,
        filter: dict[str, str] | None,
    ) -> PublishWait:
        """Read the study, check it, and ask Prolific to publish it if it is still a draft."""
        study = hook.get_study(study_id)
        status = fold_status(study["status"])
        if status == "SCHEDULED":
            raise ProlificError(
                f"{describe_study(study)} is SCHEDULED: Prolific will publish it at a time that somebody has set. "
                "Nothing has been changed; cancel the schedule at Prolific to publish it here"
            )
        if status != "UNPUBLISHED":
            self.log.info("%s is %s: it is not published again", describe_study(study), status)
            return PublishWait(study_id)
        if participant_group is not None:
            self._check_group(hook, study, participant_group, filter, allow_open_recruitment)
        cost = find_whole_cost(hook, study, read_places(study))
        check_ceiling(study, cost, max_total_cost)
        check_balance(hook, study, cost, skip=skip_balance_check)
        self.log.info("Publishing %s: %d places, up to %s", describe_study(study), read_places(study), cost)
        try:
            hook.transition_study(study_id, "PUBLISH")
        except ProlificError as error:
            if error.transient and not error.may_have_acted:
                raise
            self.log.warning("The request to publish failed; the study's status decides: %s", error)
            return PublishWait(study_id, asked=True, refusal=str(error))
        return PublishWait(study_id, asked=True)

    def _check_group(
        self,
        hook: ProlificHook,
        study: Study,
        participant_group: str,
        filter: dict[str, str] | None,
        allow_open_recruitment: bool,
    ) -> None:
        """Refuse a study that recruits others, and a group without members."""
        group: Any = find_group(hook, participant_group, filter, if_missing="fail")
        if not allow_open_recruitment:
            check_recruits_only_from(hook, study, group)
        check_live(group)
        if not read_count(group):
            raise ProlificError(
                f"participant group {shorten(group['name'])} ({group['id']}) has no members: nobody could take "
                f"{describe_study(study)}. Nothing has been changed"
            )

    def settled(self, hook: ProlificHook, wait: Any, statuses: list[Status]) -> Study:  # noqa: ARG002
        """Return the published study, after checking it once more."""
        arguments = self.checked_arguments()
        study = hook.get_study(arguments["study_id"])
        try:
            self._check_published(hook, study, **arguments)
        except ProlificError as error:
            if not wait.asked:
                self.log.warning("It was published earlier, but it would not pass the checks now: %s", error)
            elif error.transient:
                raise
            else:
                raise ProlificUndecidedError(
                    f"{describe_study(study)} is published, but somebody changed it after the checks. Pause or stop "
                    f"it, or leave it as it is: {error}"
                ) from error
        self.log.info("%s is %s", describe_study(study), fold_status(study["status"]))
        return study

    def _check_published(
        self,
        hook: ProlificHook,
        study: Study,
        *,
        max_total_cost: Money,
        participant_group: str | None,
        allow_open_recruitment: bool,
        filter: dict[str, str] | None,
        **_: Any,
    ) -> None:
        """Check the cost and the allowlist once more."""
        cost = find_whole_cost(hook, study, read_places(study))
        if cost > max_total_cost:
            raise ProlificError(f"it may cost {cost} in all, more than max_total_cost={str(max_total_cost)!r}")
        if participant_group is not None and not allow_open_recruitment:
            group: Any = find_group(hook, participant_group, filter, if_missing="fail")
            check_recruits_only_from(hook, study, group)

    def unsettled(self, wait: Any, statuses: list[Status], reason: str) -> ProlificError:  # noqa: ARG002
        """Return why it is not published, with what Prolific said."""
        return ProlificError(reason if wait.refusal is None else f"{reason}. The request to publish: {wait.refusal}")
