"""Operators for participant groups."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_prolific.arguments import (
    check_active,
    check_filter,
    check_flag,
    check_id,
    check_name,
    check_participant_ids,
    check_text,
    one_of,
    optional,
)
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError
from airflow_provider_prolific.links import FeederStudyLink, name_feeder_study
from airflow_provider_prolific.operators.base import ParticipantGroupOperator, ProlificOperator, find_group
from airflow_provider_prolific.operators.feeder_studies import check_unused
from airflow_provider_prolific.operators.unknown_participants import (
    add_known_participants,
    check_on_unknown_participant,
    is_unknown_participant,
    unknown_participants_error,
)
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.waiting.group_index import GroupIndex, describe_groups

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from airflow_provider_prolific.arguments import FilterArgument, FlagArgument, ParticipantIdsArgument, TextArgument
    from airflow_provider_prolific.hooks.participant_groups import ParticipantGroup
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.operators.unknown_participants import OnUnknownParticipantArgument
    from airflow_provider_prolific.version_compat import Context

    class CreatedGroup(ParticipantGroup, total=False):
        """A group and, with ``on_unknown_participant="skip"``, how many participants were not added."""

        skipped: int


class ProlificListParticipantGroupsOperator(ProlificOperator):
    """List the participant groups of a workspace or a project into XCom.

    .. code-block:: python

        list_groups = ProlificListParticipantGroupsOperator(
            task_id="list_groups",
            filter={"workspace_id": "64a000000000000000000001"},
        )

    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; default: the connection's default scope.
    :param active: ``True`` for live groups, ``False`` for deleted ones, ``None`` for both.
    :param prolific_conn_id: The Prolific connection.
    :return: All groups, every page, as a list of dicts in the API's own field names
        (``id``, ``name``, ``participant_count``, ``is_deleted``, ``feeder_studies``, …).
    :raises ProlificError: the API refuses, or its answer is not valid.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
    """

    checks = {"filter": check_filter, "active": check_active}
    operator_extra_links = (FeederStudyLink(),)

    def __init__(
        self,
        *,
        filter: FilterArgument | None = None,
        active: bool | XComArg | None = True,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(filter=filter, active=active)

    def execute(self, context: Context) -> list[ParticipantGroup]:
        """List the groups, and store for the link which study fills them."""
        groups: list[ParticipantGroup] = super().execute(context)
        name_feeder_study(context, groups)
        return groups

    def perform(
        self, hook: ProlificHook, *, filter: dict[str, str] | None, active: bool | None
    ) -> list[ParticipantGroup]:
        """List the groups."""
        groups = hook.list_participant_groups(filter, active)
        self.log.info("Prolific has %d participant groups in this scope", len(groups))
        return groups


class ProlificCreateParticipantGroupOperator(ProlificOperator):
    """Create a participant group, unless one with this name exists.

    .. code-block:: python

        wave_2 = ProlificCreateParticipantGroupOperator(
            task_id="wave_2_group",
            name="Wave 2 invited",
            description="Passed wave 1",
        )

    Prolific allows several groups with the same name. So the operator searches for the name first, and again if the
    answer to the creation is lost: with ``if_exists="return"`` a retry finds its own group. ``if_exists="fail"`` is for
    a name that must be new: a retry refuses its own group, too. Two tasks that run at the same time can still create
    two groups with one name.

    :param name: The group's name.
    :param workspace_id: The group's workspace; default: the connection's.
    :param description: What a new group is for; default: its name.
    :param participant_ids: The members, as a list of ids. They are also added to a group that already exists.
    :param if_exists: If a group with this name exists: ``"return"`` it, or ``"fail"``.
    :param allow_similar: Whether to create the group even if another name differs only in case or white space.
    :param on_unknown_participant: For ids that Prolific does not know: ``"fail"``, after adding all others, with the
        positions of the unknown ones; or ``"skip"`` them and return their number.
    :param prolific_conn_id: The Prolific connection.
    :return: The group in the API's own field names (``id``, ``name``, ``participant_count``, …); with
        ``on_unknown_participant="skip"`` also ``skipped``.
    :raises ProlificError: the name is taken or ambiguous, the API refuses, or its answer is not valid.

    API: https://docs.prolific.com/api-reference/participant-groups/create-participant-group
    """

    checks = {
        "name": check_name,
        "workspace_id": optional(check_id),
        "description": optional(check_text),
        "participant_ids": optional(check_participant_ids),
        "if_exists": one_of("return", "fail"),
        "allow_similar": check_flag,
        "on_unknown_participant": check_on_unknown_participant,
    }
    returns_dict = True
    participant_ids: Any

    def __init__(
        self,
        *,
        name: TextArgument,
        workspace_id: TextArgument | None = None,
        description: TextArgument | None = None,
        participant_ids: ParticipantIdsArgument | None = None,
        if_exists: Literal["return", "fail"] | XComArg = "return",
        allow_similar: FlagArgument = False,
        on_unknown_participant: OnUnknownParticipantArgument = "fail",
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            name=name,
            workspace_id=workspace_id,
            description=description,
            participant_ids=participant_ids,
            if_exists=if_exists,
            allow_similar=allow_similar,
            on_unknown_participant=on_unknown_participant,
        )

    def perform(
        self,
        hook: ProlificHook,
        *,
        name: str,
        workspace_id: str | None,
        description: str | None,
        participant_ids: list[str] | None,
        if_exists: str,
        allow_similar: bool,
        on_unknown_participant: str,
    ) -> CreatedGroup:
        """Find or create the group, and add the participants."""
        workspace_id = workspace_id or hook.default_workspace_id()
        new = {"name": name, "workspace_id": workspace_id, "description": description}
        ids = participant_ids or []
        index = GroupIndex(hook.list_participant_groups({"workspace_id": workspace_id}))
        group: Any = index.named(name)
        if group is None:
            if (similar := index.similar(name)) and not allow_similar:
                raise ProlificError(
                    f"no participant group is named {shorten(name)}, but there is {describe_groups(similar)}: to use "
                    "that one, write its name exactly; to create another one, set allow_similar=True"
                )
            group, is_complete = self._create(hook, new, ids)
        elif if_exists == "fail":
            raise ProlificError(
                f"a participant group named {shorten(name)} already exists: {group['id']}. If an earlier try of this "
                'task created it, set if_exists="return"'
            )
        else:
            self.log.info("Participant group %r already exists: %s", group["name"], group["id"])
            is_complete = not ids
        unknown = [] if is_complete else add_known_participants(hook, group["id"], ids)
        if unknown and on_unknown_participant == "fail":
            raise unknown_participants_error(
                unknown, self.participant_ids, f"The group exists ({group['id']}) and has all the others"
            )
        if not is_complete or "participant_count" not in group:
            group = hook.get_participant_group(group["id"])
        self.log.info("Participant group %r has %s participants", group["name"], group.get("participant_count"))
        created: CreatedGroup = group
        if on_unknown_participant == "skip":
            created["skipped"] = len(unknown)
        return created

    def _create(self, hook: ProlificHook, new: dict[str, Any], ids: list[str]) -> tuple[Any, bool]:
        """Create the group; return it, and whether all participants are known to be in it."""
        from airflow_provider_prolific.hooks.participant_groups import CHUNK_SIZE

        try:
            group = hook.create_participant_group(**new, participant_ids=ids[:CHUNK_SIZE] or None)
        except ProlificError as error:
            if ids and is_unknown_participant(error):
                # Nothing was created: create it empty, then add those that Prolific knows.
                group, _ = self._create(hook, new, [])
                return group, False
            if not error.may_have_acted:
                raise
            found = None
            with suppress(ProlificError):  # the first error is the one to raise
                groups = hook.list_participant_groups({"workspace_id": new["workspace_id"]})
                found = GroupIndex(groups).named(new["name"])
            if found is None:
                error.args = (f"the group may have been created; look for its name before you go on: {error}",)
                raise
            self.log.warning("The answer was lost, but the group exists now (%s): %s", found["id"], error)
            return found, not ids
        self.log.info("Created participant group %r: %s", group["name"], group["id"])
        return group, len(ids) <= CHUNK_SIZE


class ProlificDeleteParticipantGroupOperator(ParticipantGroupOperator):
    """Delete a participant group. Prolific has no way to bring it back.

    .. code-block:: python

        clean_up = ProlificDeleteParticipantGroupOperator(
            task_id="clean_up", participant_group="Pilot"
        )

    The task fails if a study can still add participants to the group, or remove them, by its completion codes: each
    such study must be COMPLETED or UNPUBLISHED. Studies that only *filter* on the group (allowlist, blocklist) are not
    visible from the group: check those yourself. A group that is already deleted counts as done, even if the answer to
    the deletion was lost, so a retry is safe.

    :param participant_group: The group, by id or exact name.
    :param filter: The scope for a name; default: the connection's.
    :param if_missing: What to do about a group that Prolific does not know, or does not show to this token:
        ``"fail"``, or ``"ignore"`` it and succeed.
    :param force: Delete the group even if studies may still use it.
    :param prolific_conn_id: The Prolific connection.
    :raises ProlificError: a study may still change the group (the error names it), or the API refuses.

    API: https://docs.prolific.com/api-reference/participant-groups/delete-participant-group
    """

    checks = {"if_missing": one_of("fail", "ignore"), "force": check_flag}

    def __init__(
        self,
        *,
        participant_group: TextArgument,
        filter: FilterArgument | None = None,
        if_missing: Literal["fail", "ignore"] | XComArg = "fail",
        force: FlagArgument = False,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(participant_group=participant_group, filter=filter, if_missing=if_missing, force=force)

    def perform(
        self, hook: ProlificHook, *, participant_group: str, filter: dict[str, str] | None, if_missing: str, force: bool
    ) -> None:
        """Look at the group, then delete it."""
        group = find_group(hook, participant_group, filter, if_missing=if_missing)
        if group is None:
            self.log.info("There is no participant group %s to delete", shorten(participant_group))
            return
        if group.get("is_deleted"):
            self.log.info("Participant group %r has been deleted already", group["name"])
            return
        if not force:
            check_unused(group)
        try:
            hook.delete_participant_group(group["id"])
        except ProlificError as error:
            if not _is_gone(hook, group["id"], error):
                raise
        self.log.info("Deleted participant group %r: %s", group["name"], group["id"])


def _is_gone(hook: ProlificHook, participant_group_id: str, error: ProlificError) -> bool:
    """Tell whether a group is gone although its deletion failed: another task was faster, or the answer was lost."""
    if isinstance(error, ProlificApiError) and error.status_code == 404:
        return True
    try:
        return bool(hook.get_participant_group(participant_group_id).get("is_deleted"))
    except ProlificError as second_error:
        return isinstance(second_error, ProlificApiError) and second_error.status_code == 404


class ProlificMessageParticipantGroupOperator(ParticipantGroupOperator):
    """Send a message to all members of a participant group.

    .. code-block:: python

        invite = ProlificMessageParticipantGroupOperator(
            task_id="invite", participant_group="Wave 2 invited", body="The second part of our study is open for you."
        )

    Sending is not idempotent: if the task runs twice, every member gets the message twice. So ``retries`` is 0,
    whatever the DAG's ``default_args`` say, unless you set it on the task itself. If no answer comes, the request is
    not repeated: the task fails and says that the message may have been sent. Look at the messages in Prolific before
    you run the task again.

    :param participant_group: The group, by id or exact name.
    :param body: The message.
    :param study_id: The study that it is about, if any.
    :param filter: The scope for a name; default: the connection's.
    :param prolific_conn_id: The Prolific connection.
    :raises ProlificError: the API refuses (nothing was sent), or the outcome is unknown; the error says which.

    API: https://docs.prolific.com/api-reference/messages/send-message-to-participant-group
    """

    checks = {"body": check_text, "study_id": optional(check_id)}
    is_repeatable = False

    def __init__(
        self,
        *,
        participant_group: TextArgument,
        body: TextArgument,
        study_id: TextArgument | None = None,
        filter: FilterArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(participant_group=participant_group, filter=filter, body=body, study_id=study_id)

    def perform_with(self, hook: ProlificHook, group: ParticipantGroup, *, body: str, study_id: str | None) -> None:
        """Send the message, once."""
        hook.message_participant_group(group["id"], body, study_id)
        self.log.info("Sent the message to participant group %r", group["name"])
