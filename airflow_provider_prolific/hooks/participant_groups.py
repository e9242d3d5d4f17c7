"""Participant groups: their shapes and their endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Required, TypedDict

from airflow_provider_prolific.arguments import (
    check_active,
    check_filter,
    check_id,
    check_name,
    check_participant_ids,
    check_text,
)
from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError, ProlificValueError
from airflow_provider_prolific.hooks.endpoints import Endpoints, quote_id
from airflow_provider_prolific.text import shorten

GROUPS_ENDPOINT = "/api/v1/participant-groups/"
MESSAGES_ENDPOINT = "/api/v1/messages/participant-group/"
#: How many participants one request adds or removes: Prolific documents no limit, and this many are known to work.
CHUNK_SIZE = 500


class FeederCompletionCode(TypedDict, total=False):
    """A completion code of a study that changes a group's members."""

    code: str
    code_type: str
    action: str


class FeederStudy(TypedDict, total=False):
    """A study that adds members to a group, or removes them."""

    id: str
    name: str
    internal_name: str
    status: str
    feeder_completion_codes: list[FeederCompletionCode]


class ParticipantGroup(TypedDict):
    """A participant group in the API's own field names.

    Only ``id`` and ``name`` are certain: a server may leave out what its documents promise.
    """

    id: str
    name: str
    description: str | None
    workspace_id: str | None
    organisation_id: str | None
    project_id: str | None
    participant_count: int
    is_deleted: bool
    feeder_studies: list[FeederStudy]


class ParticipantGroupMembership(TypedDict, total=False):
    """One member of a participant group in the API's own field names."""

    participant_id: Required[str]
    datetime_created: str


class ParticipantGroupEndpoints(Endpoints):
    """The hook's methods for participant groups.

    They raise :class:`.ProlificValueError` for a bad argument, before anything is sent, :class:`.ProlificApiError` if
    the API refuses, and :class:`.ProlificResponseError` for an answer that cannot be right or is incomplete.
    """

    def list_participant_groups(
        self, filter: Mapping[str, str] | None = None, active: bool | None = True
    ) -> list[ParticipantGroup]:
        """Return all participant groups of a workspace or a project: every page, never a part of them.

        :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; without it the connection's default scope.
        :param active: ``True`` for live groups, ``False`` for deleted ones, ``None`` for both.
        :raises ProlificResponseError: groups of another scope came.

        API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
        """
        scope = check_filter(filter, "filter")
        active = check_active(active, "active")
        [(scope_key, scope_id)] = scope.items() if scope else [self._client.settings.default_scope()]
        params = {scope_key: scope_id, f"filter[{scope_key}]": scope_id}
        if active is not None:
            params["active"] = "true" if active else "false"

        def read_row(row: Any) -> tuple[str, ParticipantGroup]:
            group = _read_group(row)
            if group.get(scope_key) not in (None, scope_id):
                raise ProlificResponseError(
                    f"the scope was ignored: {scope_key} {shorten(scope_id)} was asked for, but group "
                    f"{shorten(group['id'])} of {shorten(group[scope_key])} came",  # type: ignore[literal-required]
                    transient=False,
                )
            return group["id"], group

        groups = self._client.list(GROUPS_ENDPOINT, "participant groups", read_row, params)
        # The server was asked to filter them; this does not rely on it.
        return [group for group in groups if active is None or bool(group.get("is_deleted")) is not active]

    def get_participant_group(self, participant_group_id: str) -> ParticipantGroup:
        """Return one participant group; a deleted one has ``is_deleted`` true.

        :param participant_group_id: The group's id.
        :raises ProlificApiError: the API refuses (404: no such group, or no access to its workspace).

        API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group
        """
        return self._client.call("GET", _group_endpoint(participant_group_id), _read_group)

    def create_participant_group(
        self,
        name: str,
        workspace_id: str | None = None,
        organisation_id: str | None = None,
        description: str | None = None,
        participant_ids: Iterable[str] | None = None,
    ) -> ParticipantGroup:
        """Create a participant group and return it.

        Prolific allows several groups with the same name, so a second call creates a second group. The call is never
        repeated if its outcome is unknown: look for the name in :meth:`list_participant_groups` before you call it
        again.

        :param name: The group's name.
        :param workspace_id: The workspace that it belongs to; without it (and without an organisation) the
            connection's default workspace.
        :param organisation_id: Or the organisation that it belongs to.
        :param description: What the group is for; without it the name is sent.
        :param participant_ids: Its first members, all in one request; for many use :meth:`add_participants`.
        :raises ProlificValueError: there is no workspace.
        :raises ProlificApiError: the API refuses (400 with ``error_code`` 140003: it does not know a participant).
        :raises ProlificError: the outcome is unknown if ``may_have_acted`` is true: the group may have been created.

        API: https://docs.prolific.com/api-reference/participant-groups/create-participant-group
        """
        if workspace_id is not None and organisation_id is not None:
            raise ProlificValueError(
                "give workspace_id or organisation_id, not both: got "
                f"workspace_id={shorten(workspace_id)}, organisation_id={shorten(organisation_id)}"
            )
        body: dict[str, Any] = {
            "name": check_name(name, "name"),
            "description": name if description is None else check_text(description, "description"),
        }
        if organisation_id is not None:
            body["organisation_id"] = check_id(organisation_id, "organisation_id")
        elif workspace_id is not None:
            body["workspace_id"] = check_id(workspace_id, "workspace_id")
        else:
            body["workspace_id"] = self._client.settings.default_workspace_id()
        ids = [] if participant_ids is None else check_participant_ids(participant_ids, "participant_ids")
        if participant_ids is not None:
            body["participant_ids"] = ids
        return self._client.call("POST", GROUPS_ENDPOINT, _read_group, json=body, personal=bool(ids), hidden_ids=ids)

    def update_participant_group(
        self,
        participant_group_id: str,
        name: str | None = None,
        participant_ids: Iterable[str] | None = None,
    ) -> ParticipantGroup:
        """Rename a participant group, or replace its members, and return it.

        ``participant_ids`` **replaces all members**, and also removes people that a study adds at the same time:
        prefer :meth:`add_participants` and :meth:`remove_participants`.

        :param participant_group_id: The group's id.
        :param name: Its new name; ``None`` keeps the name.
        :param participant_ids: The new list of members; all others are removed. ``None`` changes no members.

        API: https://docs.prolific.com/api-reference/participant-groups/update-participant-group
        """
        body: dict[str, Any] = {}
        if name is not None:
            body["name"] = check_name(name, "name")
        ids = [] if participant_ids is None else check_participant_ids(participant_ids, "participant_ids")
        if participant_ids is not None:
            body["participant_ids"] = ids
        if not body:
            raise ProlificValueError("nothing to change: give name or participant_ids")
        changed = self._client.call(
            "PATCH",
            _group_endpoint(participant_group_id),
            lambda answer: None if answer is None else _read_group(answer),
            json=body,
            # Replacing the members a second time would remove those that joined between the two requests.
            repeatable=participant_ids is None,
            personal=participant_ids is not None,
            hidden_ids=ids,
        )
        return changed or self.get_participant_group(participant_group_id)  # a success may come without a body

    def delete_participant_group(self, participant_group_id: str) -> None:
        """Delete a participant group. Prolific has no way to bring it back.

        :param participant_group_id: The group's id.
        :raises ProlificApiError: the API refuses (404: no such group, no access, or deleted already).
        :raises ProlificError: there was no answer; ``is_deleted`` of :meth:`get_participant_group` shows the outcome.

        API: https://docs.prolific.com/api-reference/participant-groups/delete-participant-group
        """
        self._client.call("DELETE", _group_endpoint(participant_group_id), _ignore)

    def list_participants(self, participant_group_id: str) -> list[ParticipantGroupMembership]:
        """Return all members of a participant group, each once: never a part of them.

        :param participant_group_id: The group's id.
        :return: ``{"participant_id", "datetime_created"}`` each; the time is ISO 8601 in UTC, maybe with a fraction.
        :raises ProlificApiError: the API refuses (404: no such group, or no access to its workspace).

        API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group-participants
        """

        def read_row(row: Any) -> tuple[str, ParticipantGroupMembership]:
            participant_id = row.get("participant_id") if isinstance(row, dict) else None
            if not isinstance(participant_id, str) or not participant_id:
                raise ProlificResponseError("the answer has a member without a participant_id")
            return participant_id, row

        return self._client.list(_participants_endpoint(participant_group_id), "participants", read_row, personal=True)

    def add_participants(self, participant_group_id: str, participant_ids: Iterable[str]) -> None:
        """Add participants to a group; existing members are kept.

        They are sent in chunks of 500, one after the other. Adding existing members changes nothing, so you can simply
        repeat a call that failed half-way. Adding a participant may give access to a live, paid study.

        :param participant_group_id: The group's id.
        :param participant_ids: The participants; duplicates count once, and an empty list sends nothing.
        :raises ProlificError: a chunk failed; the message says which one (counted without duplicates), and how many
            were added before it. A 400 with ``error_code`` 140003: Prolific does not know one of its participants.

        API: https://docs.prolific.com/api-reference/participant-groups/add-to-participant-group
        """
        self._change_participants("POST", participant_group_id, participant_ids)

    def remove_participants(self, participant_group_id: str, participant_ids: Iterable[str]) -> None:
        """Remove participants from a group; ids that are not members are ignored.

        Chunks, repetition and errors are those of :meth:`add_participants`. Removing a participant may end the access
        to a live, paid study.

        :param participant_group_id: The group's id.
        :param participant_ids: The participants; duplicates count once, and an empty list sends nothing.

        API: https://docs.prolific.com/api-reference/participant-groups/remove-from-participant-group
        """
        self._change_participants("DELETE", participant_group_id, participant_ids)

    def _change_participants(self, method: str, participant_group_id: str, participant_ids: Iterable[str]) -> None:
        endpoint = _participants_endpoint(participant_group_id)
        ids = check_participant_ids(participant_ids, "participant_ids")
        starts = range(0, len(ids), CHUNK_SIZE)
        for number, start in enumerate(starts, 1):
            chunk = ids[start : start + CHUNK_SIZE]
            try:
                self._client.call(
                    method,
                    endpoint,
                    _ignore,
                    json={"participant_ids": chunk},
                    repeatable=True,
                    personal=True,
                    hidden_ids=ids,
                )
            except ProlificError as error:
                if len(starts) > 1:
                    _put_before(
                        error,
                        f"chunk {number} of {len(starts)} (participants {start + 1} to {start + len(chunk)}) failed, "
                        f"{start} had been applied before it",
                    )
                raise

    def message_participant_group(self, participant_group_id: str, body: str, study_id: str | None = None) -> None:
        """Send a message to all members of a group.

        A second call sends the message again, so the call is never repeated if its outcome is unknown; the error then
        says that the message may have been sent.

        :param participant_group_id: The group's id.
        :param body: The message.
        :param study_id: The study that it is about, if any.
        :raises ProlificError: the outcome is unknown if ``may_have_acted`` is true.

        API: https://docs.prolific.com/api-reference/messages/send-message-to-participant-group
        """
        message = {
            "participant_group_id": check_id(participant_group_id, "participant_group_id"),
            "body": check_text(body, "body"),
        }
        if study_id is not None:
            message["study_id"] = check_id(study_id, "study_id")
        try:
            self._client.call("POST", MESSAGES_ENDPOINT, _ignore, json=message)
        except ProlificError as error:
            if error.may_have_acted:
                _put_before(
                    error,
                    "the message may have been sent; look at the group's messages in Prolific before you run this "
                    "again",
                )
            raise


def _read_group(row: Any) -> ParticipantGroup:
    """Return a row as a participant group; callers check the fields that they need besides ``id`` and ``name``."""
    if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"] and isinstance(row.get("name"), str):
        group: ParticipantGroup = row  # type: ignore[assignment]
        return group
    raise ProlificResponseError(f"the answer has a participant group without an id or a name: {shorten(row)}")


def _ignore(answer: Any) -> None:
    """Accept any JSON: the status says enough."""


def _group_endpoint(participant_group_id: str) -> str:
    return f"{GROUPS_ENDPOINT}{quote_id(participant_group_id, 'participant_group_id')}/"


def _participants_endpoint(participant_group_id: str) -> str:
    return f"{_group_endpoint(participant_group_id)}participants/"


def _put_before(error: ProlificError, words: str) -> None:
    """Put words before the message of an error; its type and its attributes stay the same."""
    error.args = (f"{words}: {error}",)
