"""The sensor that waits until participant groups are large enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.arguments import check_count, check_filter, check_group, optional
from airflow_provider_prolific.exceptions import ProlificValueError
from airflow_provider_prolific.links import FeederStudyLink, name_feeder_study
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.waiting.sensor import WaitSensor
from airflow_provider_prolific.waiting.targets import (
    Gate,
    check_if_missing,
    check_match,
    check_targets,
    check_waited_active,
)

if TYPE_CHECKING:
    from typing import Literal

    from airflow.sdk import XComArg

    from airflow_provider_prolific.arguments import FilterArgument, NumberArgument, TextArgument
    from airflow_provider_prolific.version_compat import Context
    from airflow_provider_prolific.waiting.group_index import GroupIndex
    from airflow_provider_prolific.waiting.wait import Status


class ProlificParticipantGroupSensor(WaitSensor):
    """Wait until participant groups have reached their target counts.

    .. code-block:: python

        enough = ProlificParticipantGroupSensor(
            task_id="enough_participants",
            participant_group="Screened adults",
            target_count=100,
            deferrable=True,
        )

    Give one group, or several in ``targets``, but not both. (Airflow renders the values of a mapping, not its keys:
    pass an id from an upstream task as ``participant_group``, or the whole mapping as an XCom.) The base class
    `WaitSensor` describes how a wait goes on and ends.

    :param participant_group: One group, by id or exact name. (templated)
    :param target_count: Its target participant count, at least 1; a number, or a number as text. (templated)
    :param targets: Several groups instead: id or exact name to target participant count. (templated)
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; without it the connection's default scope.
        (templated)
    :param active: ``True`` to look among live groups, ``None`` also among deleted ones, which reach no target.
        (templated)
    :param match: ``"all"``: every group must reach its target; ``"any"``: one is enough. (templated)
    :param if_missing: ``"fail"``: a missing or deleted group is an error; ``"wait"``: another pipeline will create it.
        (templated)
    :return: A list with an entry per target, in every mode:
        ``{"id", "name", "participant_count", "target_count", "reached"}``.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
    """

    checks = {
        "participant_group": optional(check_group),
        "target_count": optional(check_count),
        "targets": optional(check_targets),
        "filter": check_filter,
        "active": check_waited_active,
        "match": check_match,
        "if_missing": check_if_missing,
    }
    trigger_path = "airflow_provider_prolific.triggers.participant_groups.ProlificParticipantGroupTrigger"
    operator_extra_links = (FeederStudyLink(),)

    def __init__(
        self,
        *,
        participant_group: TextArgument | None = None,
        target_count: NumberArgument | None = None,
        targets: Mapping[str, NumberArgument] | TextArgument | None = None,
        filter: FilterArgument | None = None,
        active: Literal[True] | XComArg | None = True,
        match: Literal["all", "any"] | XComArg = "all",
        if_missing: Literal["fail", "wait"] | XComArg = "fail",
        prolific_conn_id: str = "prolific_default",
        **sensor_arguments: Any,
    ) -> None:
        super().__init__(**sensor_arguments)
        # One of the two ways must be used, even if the values are known only at run time.
        if (targets is None) == (participant_group is None) or (target_count is None) != (targets is not None):
            raise ProlificValueError(
                "give either participant_group and target_count, or targets={group: count, …}: got "
                f"participant_group={shorten(participant_group)}, target_count={shorten(target_count)}, "
                f"targets={shorten(targets)}"
            )
        self.prolific_conn_id = prolific_conn_id
        self.set_arguments(
            participant_group=participant_group,
            target_count=target_count,
            targets=targets,
            filter=filter,
            active=active,
            match=match,
            if_missing=if_missing,
        )

    def wait(self) -> Gate:
        """Return the wait, once the templates are rendered."""
        arguments = self.checked_arguments()
        group, count = arguments.pop("participant_group"), arguments.pop("target_count")
        if arguments["targets"] is None:
            # A template may have rendered to ``None``.
            arguments["targets"] = {check_group(group, "participant_group"): check_count(count, "target_count")}
        return Gate(**arguments)

    def note_first_look(self, context: Context, answer: GroupIndex, statuses: list[Status]) -> None:
        """Store the study that fills the groups, for the link."""
        groups = [answer.find(status["id"]) for status in statuses if status["id"]]
        name_feeder_study(context, [group for group in groups if group is not None])
