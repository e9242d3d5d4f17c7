"""Operators for the members of participant groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from airflow_provider_prolific.arguments import check_flag, check_limit, check_participant_ids
from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.operators.base import ParticipantGroupOperator, require_group
from airflow_provider_prolific.operators.unknown_participants import (
    OnUnknownParticipant,
    add_known_participants,
    check_on_unknown_participant,
    describe_positions,
    unknown_participants_error,
)
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.waiting.targets import read_count

if TYPE_CHECKING:
    from airflow_provider_prolific.arguments import (
        FilterArgument,
        FlagArgument,
        NumberArgument,
        ParticipantIdsArgument,
        TextArgument,
    )
    from airflow_provider_prolific.hooks.participant_groups import ParticipantGroup
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.operators.unknown_participants import OnUnknownParticipantArgument


class ParticipantGroupSummary(TypedDict):
    """A group after a change; only ``on_unknown_participant="skip"`` adds ``skipped``."""

    id: str
    name: str
    participant_count: int
    skipped: NotRequired[int]


class SyncResult(TypedDict):
    """How many participants a sync added, removed and kept; ``skipped`` as in :class:`ParticipantGroupSummary`."""

    id: str
    name: str
    added: int
    removed: int
    unchanged: int
    skipped: NotRequired[int]


class ProlificListParticipantsOperator(ParticipantGroupOperator):
    """List the members of a participant group into XCom.

    .. code-block:: python

        invited = ProlificListParticipantsOperator(
            task_id="invited",
            participant_group="Wave 2 invited",
        )

    Participant ids are personal data, and Airflow stores XComs in its database. If only one task needs the ids, call
    ``ProlificHook.list_participants`` in that task instead.

    :param participant_group: The group, by id or exact name.
    :param filter: The scope for a name; default: the connection's.
    :param prolific_conn_id: The Prolific connection.
    :return: The ids of all members, as a list of texts.
    :raises ProlificError: there is no such group, the API refuses, or its answer is not valid.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group-participants
    """

    def __init__(
        self,
        *,
        participant_group: TextArgument,
        filter: FilterArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(participant_group=participant_group, filter=filter)

    def perform_with(self, hook: ProlificHook, group: ParticipantGroup) -> list[str]:
        """List the members."""
        ids = _list_ids(hook, group["id"])
        self.log.info("Participant group %r has %d participants", group["name"], len(ids))
        return ids


class ProlificAddParticipantsOperator(ParticipantGroupOperator):
    """Add participants to a group.

    .. code-block:: python

        invite = ProlificAddParticipantsOperator(
            task_id="invite",
            participant_group="Wave 2 invited",
            participant_ids=passed_wave_1(),
        )

    Existing members are kept, so a retry is safe. Adding participants can open a live, paid study to them.

    :param participant_group: The group, by id or exact name.
    :param participant_ids: The ids of the participants to add, as a list. Duplicates count once; an empty list adds
        nobody. The ids are sent in chunks of 500.
    :param filter: The scope for a name; default: the connection's.
    :param on_unknown_participant: For ids that Prolific does not know: ``"fail"``, after adding all others, with the
        positions of the unknown ones; or ``"skip"`` them and return their number.
    :param prolific_conn_id: The Prolific connection.
    :return: ``{"id", "name", "participant_count"}`` as read after the change (the count may lag for a moment); with
        ``on_unknown_participant="skip"`` also ``skipped``.
    :raises ProlificError: there is no such group, or the API refuses a chunk (the error says which one, and how many
        participants were added before it).

    API: https://docs.prolific.com/api-reference/participant-groups/add-to-participant-group
    """

    checks = {"participant_ids": check_participant_ids, "on_unknown_participant": check_on_unknown_participant}
    returns_dict = True
    participant_ids: Any

    def __init__(
        self,
        *,
        participant_group: TextArgument,
        participant_ids: ParticipantIdsArgument,
        filter: FilterArgument | None = None,
        on_unknown_participant: OnUnknownParticipantArgument = "fail",
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            participant_group=participant_group,
            filter=filter,
            participant_ids=participant_ids,
            on_unknown_participant=on_unknown_participant,
        )

    def perform_with(
        self,
        hook: ProlificHook,
        group: ParticipantGroup,
        *,
        participant_ids: list[str],
        on_unknown_participant: OnUnknownParticipant,
    ) -> ParticipantGroupSummary:
        """Add the participants, then read the group."""
        unknown = add_known_participants(hook, group["id"], participant_ids)
        if unknown and on_unknown_participant == "fail":
            raise unknown_participants_error(unknown, self.participant_ids, "All the others have been added")
        summary = _read_summary(hook, group["id"])
        self.log.info(
            "Participant group %r now has %d participants%s",
            summary["name"],
            summary["participant_count"],
            f"; skipped {len(unknown)} that Prolific does not know" if unknown else "",
        )
        if on_unknown_participant == "skip":
            summary["skipped"] = len(unknown)
        return summary


class ProlificRemoveParticipantsOperator(ParticipantGroupOperator):
    """Remove participants from a group.

    .. code-block:: python

        withdraw = ProlificRemoveParticipantsOperator(
            task_id="withdraw",
            participant_group="Wave 2 invited",
            participant_ids=withdrawn(),
        )

    Ids that are not members are ignored, so a retry is safe. Removing participants can close a live, paid study to
    them.

    :param participant_group: The group, by id or exact name.
    :param participant_ids: The ids of the participants to remove, as a list. Duplicates count once; an empty list
        removes nobody. The ids are sent in chunks of 500.
    :param filter: The scope for a name; default: the connection's.
    :param prolific_conn_id: The Prolific connection.
    :return: ``{"id", "name", "participant_count"}`` as read after the change; the count may lag for a moment.
    :raises ProlificError: there is no such group, or the API refuses a chunk (the error says which one, and how many
        participants were removed before it).

    API: https://docs.prolific.com/api-reference/participant-groups/remove-from-participant-group
    """

    checks = {"participant_ids": check_participant_ids}
    returns_dict = True
    participant_ids: Any

    def __init__(
        self,
        *,
        participant_group: TextArgument,
        participant_ids: ParticipantIdsArgument,
        filter: FilterArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(participant_group=participant_group, filter=filter, participant_ids=participant_ids)

    def perform_with(
        self,
        hook: ProlificHook,
        group: ParticipantGroup,
        *,
        participant_ids: list[str],
    ) -> ParticipantGroupSummary:
        """Remove the participants, then read the group."""
        hook.remove_participants(group["id"], participant_ids)
        summary = _read_summary(hook, group["id"])
        self.log.info("Participant group %r now has %d participants", summary["name"], summary["participant_count"])
        return summary


class ProlificSyncParticipantsOperator(ParticipantGroupOperator):
    """Make the members of a group match a list: add the missing ones, remove the others.

    .. code-block:: python

        exclude = ProlificSyncParticipantsOperator(
            task_id="exclude",
            participant_group="Took part recently",
            participant_ids=took_part_recently(),
            max_removals=100,
        )

    Only the difference is sent, additions first; the membership is never overwritten. So people who join through a
    study's completion code during the sync stay members (the next sync removes them if they are not on the list by
    then). A retry is safe: it completes a sync that failed half-way. A sync can open or close live, paid studies to
    participants: ``max_removals`` protects against a list that is too short by mistake.

    :param participant_group: The group, by id or exact name.
    :param participant_ids: The complete list of members: participant ids; duplicates count once.
    :param allow_empty: Whether an empty list may empty the group; otherwise it is an error.
    :param max_removals: The largest number of members that one sync may remove, from 0 upwards. If it would remove
        more, nothing is changed and the task fails. ``None``: no limit.
    :param filter: The scope for a name; default: the connection's.
    :param on_unknown_participant: For ids that Prolific does not know: ``"fail"``, after adding all others and removing
        nobody, with the positions of the unknown ones; or ``"skip"`` them and return their number.
    :param prolific_conn_id: The Prolific connection.
    :return: ``{"id", "name", "added", "removed", "unchanged"}``; the last three are numbers of participants; with
        ``on_unknown_participant="skip"`` also ``skipped``.
    :raises ProlificError: too many members would be removed, an id differs from a member's only in case, there is no
        such group, or the API refuses.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group-participants
    """

    checks = {
        "participant_ids": check_participant_ids,
        "allow_empty": check_flag,
        "max_removals": check_limit,
        "on_unknown_participant": check_on_unknown_participant,
    }
    returns_dict = True
    participant_ids: Any

    def __init__(
        self,
        *,
        participant_group: TextArgument,
        participant_ids: ParticipantIdsArgument,
        allow_empty: FlagArgument = False,
        max_removals: NumberArgument | None = None,
        filter: FilterArgument | None = None,
        on_unknown_participant: OnUnknownParticipantArgument = "fail",
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            participant_group=participant_group,
            filter=filter,
            participant_ids=participant_ids,
            allow_empty=allow_empty,
            max_removals=max_removals,
            on_unknown_participant=on_unknown_participant,
        )

    def check_together(self, arguments: Mapping[str, Any]) -> None:
        """Refuse an empty list, unless ``allow_empty`` is set."""
        if not arguments["participant_ids"] and not arguments["allow_empty"]:
            raise ProlificValueError(
                "participant_ids is empty, so everybody would be removed: if that is what you want, set "
                "allow_empty=True"
            )

    def perform_with(
        self,
        hook: ProlificHook,
        group: ParticipantGroup,
        *,
        participant_ids: list[str],
        allow_empty: bool,  # noqa: ARG002 - checked before anything is sent
        max_removals: int | None,
        on_unknown_participant: OnUnknownParticipant,
    ) -> SyncResult:
        """Compare, check the limits, add, remove."""
        members = dict.fromkeys(_list_ids(hook, group["id"]))
        wanted = set(participant_ids)
        to_add = [participant_id for participant_id in participant_ids if participant_id not in members]
        to_remove = [participant_id for participant_id in members if participant_id not in wanted]
        if max_removals is not None and len(to_remove) > max_removals:
            raise ProlificError(
                f"this would remove {len(to_remove)} of the {len(members)} members of participant group "
                f"{shorten(group['name'])}, more than max_removals={max_removals}: nothing has been changed"
            )
        removed_folded = {participant_id.casefold() for participant_id in to_remove}
        if twins := [participant_id for participant_id in to_add if participant_id.casefold() in removed_folded]:
            raise ProlificError(
                f"participant_ids differs from the members in upper and lower case only, at "
                f"{describe_positions(twins, self.participant_ids)}: nothing has been changed. Write the ids as "
                "Prolific does"
            )
        self.log.info("%r: %d to add, %d to remove", group["name"], len(to_add), len(to_remove))
        unknown = add_known_participants(hook, group["id"], to_add)
        if unknown and on_unknown_participant == "fail":
            raise unknown_participants_error(
                unknown, self.participant_ids, "All the others have been added, and nobody has been removed"
            )
        hook.remove_participants(group["id"], to_remove)
        result = SyncResult(
            id=group["id"],
            name=group["name"],
            added=len(to_add) - len(unknown),
            removed=len(to_remove),
            unchanged=len(members) - len(to_remove),
        )
        if on_unknown_participant == "skip":
            result["skipped"] = len(unknown)
        return result


def _list_ids(hook: ProlificHook, participant_group_id: str) -> list[str]:
    return [membership["participant_id"] for membership in hook.list_participants(participant_group_id)]


def _read_summary(hook: ProlificHook, participant_group_id: str) -> ParticipantGroupSummary:
    """Read the group again after a change; the answer to the change itself is not relied on."""
    group = require_group(hook, participant_group_id, None)
    return ParticipantGroupSummary(id=group["id"], name=group["name"], participant_count=read_count(group))
