"""Operators for participant groups."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.arguments import check_active, check_filter, check_unless_templated
from airflow_provider_prolific.version_compat import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ParticipantGroup
    from airflow_provider_prolific.version_compat import Context


class ProlificListParticipantGroupsOperator(BaseOperator):
    """List the participant groups of a workspace or a project into XCom.

    .. code-block:: python

        list_groups = ProlificListParticipantGroupsOperator(
            task_id="list_groups",
            filter={"workspace_id": "64a000000000000000000001"},
        )

    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; without it the connection's default scope.
        (templated)
    :param active: ``True`` for live groups, ``False`` for deleted ones, ``None`` for both. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :return: All groups, every page, as a list of dicts in the API's own field names
        (``id``, ``name``, ``participant_count``, ``is_deleted``, ``feeder_studies``, …).
    :raises ProlificValueError: ``filter`` or ``active`` is none of these: while the DAG is parsed where it is not
        templated, else when the task runs.
    :raises ProlificError: the API refuses, or its answer cannot be right.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
    """

    template_fields: Sequence[str] = ("filter", "active", "prolific_conn_id")

    def __init__(
        self,
        *,
        filter: dict[str, str] | None = None,
        active: bool | str | None = True,
        prolific_conn_id: str = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_unless_templated(check_filter, filter)
        check_unless_templated(check_active, active)
        self.filter = filter
        self.active = active
        self.prolific_conn_id = prolific_conn_id

    def execute(self, context: Context) -> list[ParticipantGroup]:  # noqa: ARG002 - Airflow's signature
        """List the groups; the list goes to XCom."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            groups = hook.list_participant_groups(filter=self.filter, active=check_active(self.active))
        self.log.info("Prolific has %d participant groups in this scope", len(groups))
        return groups
