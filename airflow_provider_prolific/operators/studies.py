"""Operators that act on studies: create, publish, pause, start and stop them, and set their places."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_prolific.arguments import check_count, check_flag, check_id, one_of
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.money import Money, check_money
from airflow_provider_prolific.operators.base import ProlificOperator
from airflow_provider_prolific.operators.drafts import ProlificCreateStudyOperator
from airflow_provider_prolific.operators.publishing import ProlificPublishStudyOperator
from airflow_provider_prolific.operators.spending import (
    check_balance,
    check_ceiling,
    find_cost,
    find_whole_cost,
    read_places,
)
from airflow_provider_prolific.text import fold_status
from airflow_provider_prolific.waiting.studies import describe_study

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from airflow_provider_prolific.arguments import FlagArgument, NumberArgument, TextArgument
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.studies import Study

__all__ = [
    "ProlificCreateStudyOperator",
    "ProlificPublishStudyOperator",
    "ProlificSetStudyPlacesOperator",
    "ProlificTransitionStudyOperator",
]

#: The statuses in which each action is possible, and the statuses that it leads to.
_ORIGINS = {"pause": ("ACTIVE",), "start": ("PAUSED",), "stop": ("ACTIVE", "PAUSED")}
_TARGETS = {"pause": ("PAUSED",), "start": ("ACTIVE",), "stop": ("AWAITING REVIEW", "COMPLETED")}
#: How long to wait before each look at the study after a request, in seconds: its status may change late.
_PAUSES = (0, 1, 2, 4, 8)


class ProlificTransitionStudyOperator(ProlificOperator):
    """Pause, start or stop a study.

    .. code-block:: python

        stop = ProlificTransitionStudyOperator(task_id="stop", study_id="64d000000000000000000001", action="stop")

    The operator reads the study first: if it already has the wanted status, nothing is changed, so a retry is safe.
    After the request it reads the study again. That status decides, whatever the answer was.

    ``AWAITING REVIEW`` can mean that all places are taken at the moment, or that the study was stopped. It counts as
    stopped, with a warning: Prolific does not stop a full study, and if a place becomes free again, people can take
    part. It counts as started if all places are taken.

    :param study_id: The study.
    :param action: ``"pause"`` (nobody can begin until it is started), ``"start"`` (after a pause), or ``"stop"``
        (permanently, but more places may reopen it).
    :param prolific_conn_id: The Prolific connection.
    :return: The study after the action, in the API's own field names.
    :raises ProlificError: the study's status does not allow the action, or the API refuses.

    API: https://docs.prolific.com/api-reference/studies/publish-study
    """

    checks = {"study_id": check_id, "action": one_of("pause", "start", "stop")}
    returns_dict = True

    def __init__(
        self,
        *,
        study_id: TextArgument,
        action: Literal["pause", "start", "stop"] | XComArg,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(study_id=study_id, action=action)

    def perform(self, hook: ProlificHook, *, study_id: str, action: str) -> Study:
        """Read the study, act if it is still needed, and read it again."""
        study = hook.get_study(study_id)
        if self._is_done(study, action):
            return study
        if (status := fold_status(study["status"])) not in _ORIGINS[action]:
            raise ProlificError(
                f"{describe_study(study)} is {status}: action={action!r} needs the status "
                f"{' or '.join(_ORIGINS[action])}. Nothing has been changed"
            )
        failure: ProlificError | None = None
        try:
            hook.transition_study(study_id, action.upper())
        except ProlificError as error:
            failure = error
        for pause in _PAUSES if failure is None or failure.may_have_acted else _PAUSES[:1]:
            time.sleep(pause)
            study = hook.get_study(study_id)
            if self._is_done(study, action):
                return study
        if failure is not None:
            raise failure
        raise ProlificError(
            f"{describe_study(study)} is still {study['status']}, although Prolific accepted to {action} it: try again"
        )

    def _is_done(self, study: Study, action: str) -> bool:
        status = fold_status(study["status"])
        is_filled = action == "start" and status == "AWAITING REVIEW" and not free_places(study)
        if status not in _TARGETS[action] and not is_filled:
            return False
        self.log.info("%s is %s", describe_study(study), status)
        if status == "AWAITING REVIEW":
            self.log.warning(
                "Prolific does not say whether it was stopped or all places are taken: if a place becomes free, it may "
                "recruit again"
            )
        return True


class ProlificSetStudyPlacesOperator(ProlificOperator):
    """Set the total number of places of a study.

    .. code-block:: python

        more_places = ProlificSetStudyPlacesOperator(
            task_id="more_places",
            study_id="64d000000000000000000002",
            total_available_places=120,
            max_total_cost="300.00 GBP",
        )

    The number is the new total, not an increment, so a retry is safe: a study that already has this number is not
    changed. After the request the operator reads the study again. Its number of places decides, whatever the answer
    was. Prolific cannot remove places.

    More places reopen a study that has ended. That needs ``reopen=True`` if it is ``COMPLETED``, or if it is
    ``AWAITING REVIEW`` with free places, which means that it was stopped. A study that is ``AWAITING REVIEW`` with all
    places taken may be full or stopped. The two look the same, so it counts as full, with a warning.

    :param study_id: The study.
    :param total_available_places: The new total number of places.
    :param max_total_cost: The most that the whole study may then cost, fees and VAT included: ``"150.00 GBP"``.
    :param reopen: Whether to reopen a study that has ended.
    :param skip_balance_check: Whether to add places without checking the workspace's balance.
    :param prolific_conn_id: The Prolific connection.
    :return: The study in the API's own field names.
    :raises ProlificError: the study has more places already, has ended, would cost too much, or the API refuses.

    API: https://docs.prolific.com/api-reference/studies/update-study
    """

    checks = {
        "study_id": check_id,
        "total_available_places": check_count,
        "max_total_cost": check_money,
        "reopen": check_flag,
        "skip_balance_check": check_flag,
    }
    returns_dict = True

    def __init__(
        self,
        *,
        study_id: TextArgument,
        total_available_places: NumberArgument,
        max_total_cost: TextArgument,
        reopen: FlagArgument = False,
        skip_balance_check: FlagArgument = False,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            study_id=study_id,
            total_available_places=total_available_places,
            max_total_cost=max_total_cost,
            reopen=reopen,
            skip_balance_check=skip_balance_check,
        )

    def perform(
        self,
        hook: ProlificHook,
        *,
        study_id: str,
        total_available_places: int,
        max_total_cost: Money,
        reopen: bool,
        skip_balance_check: bool,
    ) -> Study:
        """Read the study, check it, and set the number of places if it is different."""
        study = hook.get_study(study_id)
        places = read_places(study)
        if places == total_available_places:
            self.log.info("%s has %d places", describe_study(study), places)
            return study
        if places > total_available_places:
            raise ProlificError(
                f"{describe_study(study)} has {places} places, more than total_available_places="
                f"{total_available_places}: Prolific cannot remove places. Nothing has been changed"
            )
        self._check_reopening(study, reopen)
        check_ceiling(study, find_whole_cost(hook, study, total_available_places), max_total_cost)
        # Prolific holds no money for the free places of a study that has ended.
        new_places = total_available_places - places + (free_places(study) if _has_ended(study) else 0)
        check_balance(hook, study, find_cost(hook, study, new_places), skip=skip_balance_check)
        failure: ProlificError | None = None
        try:
            hook.update_study(study_id, {"total_available_places": total_available_places})
        except ProlificError as error:
            failure = error
        study = hook.get_study(study_id)
        if (now := read_places(study)) != total_available_places:
            raise failure or ProlificError(
                f"{describe_study(study)} has {now} places, although Prolific accepted {total_available_places}"
            )
        self.log.info("%s now has %d places instead of %d", describe_study(study), now, places)
        return study

    def _check_reopening(self, study: Study, reopen: bool) -> None:
        if reopen or not _has_ended(study):
            return
        status = fold_status(study["status"])
        if status == "COMPLETED" or free_places(study):
            raise ProlificError(
                f"{describe_study(study)} is {status} and has ended: more places would reopen it. Nothing has been "
                "changed; set reopen=True if that is what you want"
            )
        self.log.warning(
            "%s is AWAITING REVIEW: Prolific does not say whether it is full or was stopped", describe_study(study)
        )


def free_places(study: Study) -> int:
    """Return how many places are known to be free; if there are any, a study that is AWAITING REVIEW was stopped."""
    taken: Any = study.get("places_taken")
    return max(read_places(study) - taken, 0) if type(taken) is int else 0


def _has_ended(study: Study) -> bool:
    return fold_status(study["status"]) in ("AWAITING REVIEW", "COMPLETED")
