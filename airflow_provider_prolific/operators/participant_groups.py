"""Operators for participant groups."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_prolific.arguments import (
    check_active,
    check_choice,
    check_filter,
    check_flag,
    check_id,
    check_limit,
    check_name,
    check_owner,
    check_participant_ids,
    check_text,
    check_unless_templated,
    is_templated,
    shorten,
)
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError, ProlificValueError
from airflow_provider_prolific.links import FeederStudyLink, name_feeder_study
from airflow_provider_prolific.targets import check_live
from airflow_provider_prolific.version_compat import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_prolific.answers import ParticipantGroup
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.version_compat import Context

IF_EXISTS = ("return", "fail", "create")
IF_MISSING = ("fail", "ignore")
#: The states of a study in which people can still take part in it, now or later.
LIVE_STUDY_STATUSES = ("ACTIVE", "PAUSED", "PUBLISHING", "SCHEDULED")


class ParticipantGroupSummary(TypedDict):
    """A group as Prolific shows it after a change."""

    id: str
    name: str
    participant_count: int


class SyncResult(TypedDict):
    """How many participants a sync added, removed and left."""

    id: str
    name: str
    added: int
    removed: int
    unchanged: int


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
    operator_extra_links = (FeederStudyLink(),)

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

    def execute(self, context: Context) -> list[ParticipantGroup]:
        """List the groups; the list goes to XCom."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            groups = hook.list_participant_groups(filter=self.filter, active=check_active(self.active))
        name_feeder_study(context, groups)
        self.log.info("Prolific has %d participant groups in this scope", len(groups))
        return groups


class ProlificCreateParticipantGroupOperator(BaseOperator):
    """Create a participant group, unless there is one of this name.

    .. code-block:: python

        wave_2 = ProlificCreateParticipantGroupOperator(
            task_id="wave_2_group",
            name="Wave 2 invited",
            description="Passed wave 1",
        )

    Prolific lets several groups have one name, and creating is not idempotent: so the operator first looks for a live
    group of exactly this name in the workspace. With ``if_exists="return"`` a retry of the task, or a new run, finds
    what an earlier one made, and makes no second group. Where the answer to the creation is lost, it looks once more
    and takes the group that has come into being meanwhile for its own; where it finds none, the task fails.

    ``if_exists="fail"`` is for a name that must be new. It knows its own group only while it runs: should a try die
    after the creation (worker killed, Prolific away for longer, a participant unknown in a later chunk), the next try
    cannot tell that group from somebody else's, and fails with its id.

    Two tasks that create one name at the same moment both find none: let them not run side by side. Up to 500
    participants go into the creation itself; longer lists are added after it, in chunks.

    Prolific lists no groups by organisation, so a group of an organisation cannot be looked for, and a second try
    would make a second one: with ``organisation_id`` the operator insists on ``if_exists="create"`` and ``retries=0``.

    :param name: The group's name. (templated)
    :param workspace_id: The workspace that it belongs to; without it (and without an organisation) the connection's
        default workspace. (templated)
    :param organisation_id: Or the organisation that it belongs to. (templated)
    :param description: What a new group is for; without it the name is sent. (templated)
    :param participant_ids: Who shall be a member, as a list of participant ids; they are added to a group that exists
        already. Airflow keeps rendered fields and XComs in its database, so these ids too. (templated)
    :param if_exists: ``"return"``: a group of this name is returned; ``"fail"``: it is an error; ``"create"``: nothing
        is looked for (with ``organisation_id`` only). Two live groups of this name are an error always. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :return: The group in the API's own field names (``id``, ``name``, ``participant_count``, ``feeder_studies``, …).
    :raises ProlificValueError: a bad argument: while the DAG is parsed where it is not templated, else when the task
        runs.
    :raises ProlificError: the name is taken, or taken twice; the API refuses, or its answer cannot be right.

    API: https://docs.prolific.com/api-reference/participant-groups/create-participant-group
    """

    template_fields: Sequence[str] = (
        "name",
        "workspace_id",
        "organisation_id",
        "description",
        "participant_ids",
        "if_exists",
        "prolific_conn_id",
    )

    def __init__(
        self,
        *,
        name: str,
        workspace_id: str | None = None,
        organisation_id: str | None = None,
        description: str | None = None,
        participant_ids: Iterable[str] | None = None,
        if_exists: str = "return",
        prolific_conn_id: str = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_unless_templated(check_name, name)
        check_unless_templated(check_owner, workspace_id, organisation_id)
        check_unless_templated(_check_description, description)
        check_unless_templated(check_choice, "if_exists", if_exists, IF_EXISTS)
        check_unless_templated(_check_search, organisation_id, if_exists, self.retries)
        self.name = name
        self.workspace_id = workspace_id
        self.organisation_id = organisation_id
        self.description = description
        self.participant_ids = None if participant_ids is None else _participant_ids_field(participant_ids)
        self.if_exists = if_exists
        self.prolific_conn_id = prolific_conn_id

    def execute(self, context: Context) -> ParticipantGroup:  # noqa: ARG002 - Airflow's signature
        """Find or create the group, and see to it that the participants are in it."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        check_name(self.name)
        _check_description(self.description)
        check_choice("if_exists", self.if_exists, IF_EXISTS)
        check_owner(self.workspace_id, self.organisation_id)
        _check_search(self.organisation_id, self.if_exists, self.retries)
        ids = [] if self.participant_ids is None else check_participant_ids(self.participant_ids)
        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            group = self._find(hook)
            if group is None:
                group, is_complete = self._create(hook, ids)
            elif self.if_exists == "fail":
                raise ProlificError(
                    f"there is a participant group named {shorten(self.name)} already: {group['id']}. If an earlier "
                    'try of this task made it, take it up with if_exists="return"'
                )
            else:
                self.log.info("There is a participant group named %r already: %s", group["name"], group["id"])
                is_complete = not ids
            if not is_complete:
                hook.add_participants(group["id"], ids)
                group = hook.get_participant_group(group["id"])
        self.log.info("Participant group %r has %d participants", group["name"], group["participant_count"])
        return group

    def _find(self, hook: ProlificHook) -> ParticipantGroup | None:
        """Return the live group of this name, if there is one and it can be looked for."""
        if self.if_exists == "create":
            return None
        workspace_id = hook.default_workspace_id() if self.workspace_id is None else self.workspace_id
        groups = hook.list_participant_groups({"workspace_id": workspace_id})
        named = [group for group in groups if group["name"] == self.name]
        if len(named) > 1:
            ids = ", ".join(sorted(group["id"] for group in named))
            raise ProlificError(
                f"{len(named)} participant groups are named {shorten(self.name)} already: {ids}. Rename or delete all "
                "but one of them"
            )
        return named[0] if named else None

    def _create(self, hook: ProlificHook, ids: list[str]) -> tuple[ParticipantGroup, bool]:
        """Create the group; return it, and whether all participants are known to be in it."""
        from airflow_provider_prolific.hooks.prolific import CHUNK_SIZE, may_have_acted

        try:
            group = hook.create_participant_group(
                self.name,
                workspace_id=self.workspace_id,
                organisation_id=self.organisation_id,
                description=self.description,
                participant_ids=ids[:CHUNK_SIZE] or None,
            )
        except ProlificError as error:
            found = None
            if may_have_acted(error):
                with suppress(ProlificError):  # the first error is the one to tell of
                    found = self._find(hook)
            if found is None:
                raise
            self.log.warning("The answer was lost, but the group is there now (%s): %s", found["id"], error)
            return found, not ids
        self.log.info("Created participant group %r: %s", group["name"], group["id"])
        return group, len(ids) <= CHUNK_SIZE


def _check_description(description: Any) -> None:
    if description is not None:
        check_text(description, "description")


def _check_search(organisation_id: Any, if_exists: Any, retries: Any) -> None:
    """Refuse to look for a group where none can be found, and to go on without a look where one can."""
    if organisation_id is None and if_exists == "create":
        raise ProlificValueError(
            'if_exists="create" goes with organisation_id only: in a workspace the group is looked for, '
            'so use "return" or "fail"'
        )
    if organisation_id is not None and (if_exists != "create" or retries):
        raise ProlificValueError(
            'organisation_id needs if_exists="create" and retries=0 on this task: Prolific lists no groups by '
            "organisation, so the group cannot be looked for, and a retry would make a second one; got "
            f"if_exists={shorten(if_exists)}, retries={shorten(retries)}"
        )


class _ParticipantsOperator(BaseOperator):
    """What the operators that change the members of a group have in common."""

    template_fields: Sequence[str] = ("participant_group_id", "participant_ids", "prolific_conn_id")

    def __init__(
        self,
        *,
        participant_group_id: str,
        participant_ids: Iterable[str],
        prolific_conn_id: str = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_unless_templated(check_id, participant_group_id, "participant_group_id")
        self.participant_group_id = participant_group_id
        self.participant_ids = _participant_ids_field(participant_ids)
        self.prolific_conn_id = prolific_conn_id

    def _read_summary(self, hook: ProlificHook) -> ParticipantGroupSummary:
        """Return the group as it is after a change: read anew, never derived from the answer to the change."""
        group = _read_live_group(hook, self.participant_group_id)
        self.log.info("Participant group %r now has %d participants", group["name"], group["participant_count"])
        return ParticipantGroupSummary(id=group["id"], name=group["name"], participant_count=group["participant_count"])


class ProlificAddParticipantsOperator(_ParticipantsOperator):
    """Add participants to a group.

    .. code-block:: python

        invite = ProlificAddParticipantsOperator(
            task_id="invite",
            participant_group_id="64e000000000000000000003",
            participant_ids=passed_wave_1(),
        )

    Who is a member already stays one, so a retry is safe. Being added may open a live, paid study to a participant.

    :param participant_group_id: The group's id. (templated)
    :param participant_ids: Whom to add: a list of participant ids; duplicates count once, an empty list adds nobody.
        Sent in chunks of 500. Airflow keeps rendered fields and XComs in its database, so these ids too. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :return: ``{"id", "name", "participant_count"}`` as read after the change; the count may lag for a moment.
    :raises ProlificValueError: a bad argument: while the DAG is parsed where it is not templated, else when the task
        runs.
    :raises ProlificError: the API refuses a chunk (which, and how many participants were added before it), or the
        group has been deleted.

    API: https://docs.prolific.com/api-reference/participant-groups/add-to-participant-group
    """

    def execute(self, context: Context) -> ParticipantGroupSummary:  # noqa: ARG002 - Airflow's signature
        """Add the participants, then read the group."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            hook.add_participants(self.participant_group_id, self.participant_ids)
            return self._read_summary(hook)


class ProlificRemoveParticipantsOperator(_ParticipantsOperator):
    """Remove participants from a group.

    .. code-block:: python

        withdraw = ProlificRemoveParticipantsOperator(
            task_id="withdraw",
            participant_group_id="64e000000000000000000003",
            participant_ids=withdrawn(),
        )

    Who is no member is passed over, so a retry is safe. Being removed may close a live, paid study to a participant.

    :param participant_group_id: The group's id. (templated)
    :param participant_ids: Whom to remove: a list of participant ids; duplicates count once, an empty list removes
        nobody. Sent in chunks of 500. Airflow keeps rendered fields and XComs in its database, so these ids too.
        (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :return: ``{"id", "name", "participant_count"}`` as read after the change; the count may lag for a moment.
    :raises ProlificValueError: a bad argument: while the DAG is parsed where it is not templated, else when the task
        runs.
    :raises ProlificError: the API refuses a chunk (which, and how many participants were removed before it), or the
        group has been deleted.

    API: https://docs.prolific.com/api-reference/participant-groups/remove-from-participant-group
    """

    def execute(self, context: Context) -> ParticipantGroupSummary:  # noqa: ARG002 - Airflow's signature
        """Remove the participants, then read the group."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            hook.remove_participants(self.participant_group_id, self.participant_ids)
            return self._read_summary(hook)


class ProlificSyncParticipantsOperator(_ParticipantsOperator):
    """Make a list the members of a group: add who is missing, remove who is not on it.

    .. code-block:: python

        exclude = ProlificSyncParticipantsOperator(
            task_id="exclude",
            participant_group_id="64e000000000000000000008",
            participant_ids=took_part_recently(),
            max_removals=100,
        )

    Only the difference is sent, additions first; the membership is never overwritten, so who joins by a study's
    completion code meanwhile is not lost (and is removed by the next sync, unless on the list by then). A sync that
    failed half-way is mended by the next one, so a retry is safe. Being added to a group or removed from it may open
    or close live, paid studies to a participant: ``max_removals`` guards against a list that came out too short.

    :param participant_group_id: The group's id. (templated)
    :param participant_ids: Who shall be a member, and nobody else: a list of participant ids; duplicates count once.
        Airflow keeps rendered fields and XComs in its database, so these ids too. (templated)
    :param allow_empty: Whether an empty list may empty the group; otherwise it is refused. (templated)
    :param max_removals: The largest number of members that one sync may remove, from 0 upwards; where more would go,
        nothing is changed and the task fails. ``None``: no limit. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :return: ``{"id", "name", "added", "removed", "unchanged"}``, the last three being numbers of participants.
    :raises ProlificValueError: a bad argument or an empty list: while the DAG is parsed where it is not templated,
        else when the task runs.
    :raises ProlificError: too many would be removed, the group has been deleted, or the API refuses.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group-participants
    """

    template_fields: Sequence[str] = (*_ParticipantsOperator.template_fields, "allow_empty", "max_removals")

    def __init__(
        self,
        *,
        participant_group_id: str,
        participant_ids: Iterable[str],
        allow_empty: bool | str = False,
        max_removals: int | str | None = None,
        prolific_conn_id: str = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            participant_group_id=participant_group_id,
            participant_ids=participant_ids,
            prolific_conn_id=prolific_conn_id,
            **kwargs,
        )
        check_unless_templated(check_flag, allow_empty, "allow_empty")
        check_unless_templated(check_limit, max_removals, "max_removals")
        check_unless_templated(_check_not_empty, self.participant_ids, allow_empty)
        self.allow_empty = allow_empty
        self.max_removals = max_removals

    def execute(self, context: Context) -> SyncResult:  # noqa: ARG002 - Airflow's signature
        """Compare, refuse what is too much, add, remove."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        wanted = dict.fromkeys(check_participant_ids(self.participant_ids))
        _check_not_empty(wanted, self.allow_empty)
        max_removals = check_limit(self.max_removals, "max_removals")
        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            group = _read_live_group(hook, self.participant_group_id)
            members = dict.fromkeys(_list_participant_ids(hook, self.participant_group_id))
            to_add = [participant_id for participant_id in wanted if participant_id not in members]
            to_remove = [participant_id for participant_id in members if participant_id not in wanted]
            if max_removals is not None and len(to_remove) > max_removals:
                raise ProlificError(
                    f"this would remove {len(to_remove)} of the {len(members)} members of participant group "
                    f"{shorten(group['name'])}, more than max_removals={max_removals}: nothing has been changed"
                )
            self.log.info("%r: %d to add, %d to remove", group["name"], len(to_add), len(to_remove))
            hook.add_participants(self.participant_group_id, to_add)
            hook.remove_participants(self.participant_group_id, to_remove)
        return SyncResult(
            id=group["id"],
            name=group["name"],
            added=len(to_add),
            removed=len(to_remove),
            unchanged=len(members) - len(to_remove),
        )


def _check_not_empty(participant_ids: Collection[str], allow_empty: Any) -> None:
    if not check_flag(allow_empty, "allow_empty") and not participant_ids:
        raise ProlificValueError(
            "participant_ids is empty, so everybody would be removed: if that is what you want, set allow_empty=True"
        )


class ProlificListParticipantsOperator(BaseOperator):
    """List the members of a participant group into XCom.

    .. code-block:: python

        invited = ProlificListParticipantsOperator(
            task_id="invited",
            participant_group_id="64e000000000000000000003",
        )

    Participant ids are personal data, and an XCom is kept in Airflow's database: where the ids are only needed on the
    way, ask :meth:`ProlificHook.list_participants` in a task that works with them.

    :param participant_group_id: The group's id. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :return: The ids of all members, as a list of texts.
    :raises ProlificValueError: not an id: while the DAG is parsed where it is not templated, else when the task runs.
    :raises ProlificError: the API refuses, or its answer cannot be right.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group-participants
    """

    template_fields: Sequence[str] = ("participant_group_id", "prolific_conn_id")

    def __init__(self, *, participant_group_id: str, prolific_conn_id: str = "prolific_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_unless_templated(check_id, participant_group_id, "participant_group_id")
        self.participant_group_id = participant_group_id
        self.prolific_conn_id = prolific_conn_id

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow's signature
        """List the members; their ids go to XCom."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            ids = _list_participant_ids(hook, self.participant_group_id)
        self.log.info("Participant group %s has %d participants", self.participant_group_id, len(ids))
        return ids


class ProlificDeleteParticipantGroupOperator(BaseOperator):
    """Delete a participant group. Prolific has no way to bring it back.

    .. code-block:: python

        clean_up = ProlificDeleteParticipantGroupOperator(
            task_id="clean_up",
            participant_group_id="{{ ti.xcom_pull('pilot_group')['id'] }}",
        )

    Refused while a live study (ACTIVE, PAUSED, PUBLISHING or SCHEDULED) still adds participants to the group or removes
    them by its completion codes. Studies that only *filter* on the group (allowlist, blocklist) cannot be seen from
    it: look after those yourself.

    A group that has been deleted already counts as done, also where the answer to the deletion was lost, so a retry is
    safe.

    :param participant_group_id: The group's id. (templated)
    :param if_missing: What to do about an id that Prolific does not know, or does not show to this token: ``"fail"``,
        or ``"ignore"`` it and succeed. (templated)
    :param force: Delete it although a live study still changes it. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :raises ProlificValueError: a bad argument: while the DAG is parsed where it is not templated, else when the task
        runs.
    :raises ProlificError: a live study still changes the group (which ones), or the API refuses.

    API: https://docs.prolific.com/api-reference/participant-groups/delete-participant-group
    """

    template_fields: Sequence[str] = ("participant_group_id", "if_missing", "force", "prolific_conn_id")

    def __init__(
        self,
        *,
        participant_group_id: str,
        if_missing: str = "fail",
        force: bool | str = False,
        prolific_conn_id: str = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_unless_templated(check_id, participant_group_id, "participant_group_id")
        check_unless_templated(check_choice, "if_missing", if_missing, IF_MISSING)
        check_unless_templated(check_flag, force, "force")
        self.participant_group_id = participant_group_id
        self.if_missing = if_missing
        self.force = force
        self.prolific_conn_id = prolific_conn_id

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Look at the group, then delete it."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        check_choice("if_missing", self.if_missing, IF_MISSING)
        force = check_flag(self.force, "force")
        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            try:
                group = hook.get_participant_group(self.participant_group_id)
            except ProlificApiError as error:
                if error.status_code != 404 or self.if_missing == "fail":
                    raise
                self.log.info("There is no participant group %s to delete", self.participant_group_id)
                return
            if group.get("is_deleted"):
                self.log.info("Participant group %r has been deleted already", group["name"])
                return
            if not force:
                _check_unused(group)
            try:
                hook.delete_participant_group(self.participant_group_id)
            except ProlificError:
                # The answer may be lost, or somebody else was quicker: the group itself tells.
                if not self._is_gone(hook):
                    raise
        self.log.info("Deleted participant group %r: %s", group["name"], group["id"])

    def _is_gone(self, hook: ProlificHook) -> bool:
        """Tell whether a group that was there a moment ago is so no longer."""
        try:
            return bool(hook.get_participant_group(self.participant_group_id).get("is_deleted"))
        except ProlificError as error:
            return isinstance(error, ProlificApiError) and error.status_code == 404


def _check_unused(group: ParticipantGroup) -> None:
    """Refuse to delete a group that a live study still changes."""
    live = [
        f"{shorten(study.get('internal_name') or study.get('name'))} ({study.get('id')}, {study.get('status')})"
        for study in group.get("feeder_studies") or []
        if study.get("status") in LIVE_STUDY_STATUSES
    ]
    if live:
        raise ProlificError(
            f"participant group {shorten(group['name'])} ({group['id']}) is still changed by the completion codes of "
            f"live studies: {', '.join(live)}. Stop them first, or set force=True to delete it all the same"
        )


class ProlificMessageParticipantGroupOperator(BaseOperator):
    """Send a message to all members of a participant group.

    .. code-block:: python

        invite = ProlificMessageParticipantGroupOperator(
            task_id="tell_them",
            participant_group_id="64e000000000000000000003",
            body="The second part of our study is open for you.",
        )

    Sending is not idempotent: done twice, every member gets the message twice. So ``retries`` is 0, whatever the DAG's
    ``default_args`` say, unless you set it on this very task; and where no answer comes, the request is not repeated
    but the task fails and says that the message may have been sent. Look into the messages in Prolific before you
    run the task again.

    :param participant_group_id: The group's id. (templated)
    :param body: The message. (templated)
    :param study_id: The study that it is about, if any. (templated)
    :param prolific_conn_id: The Prolific connection. (templated)
    :raises ProlificValueError: a bad argument: while the DAG is parsed where it is not templated, else when the task
        runs.
    :raises ProlificError: the API refuses, so that nothing was sent, or the outcome is unknown; it says which.

    API: https://docs.prolific.com/api-reference/messages/send-message-to-participant-group
    """

    template_fields: Sequence[str] = ("participant_group_id", "body", "study_id", "prolific_conn_id")

    def __init__(
        self,
        *,
        participant_group_id: str,
        body: str,
        study_id: str | None = None,
        prolific_conn_id: str = "prolific_default",
        **kwargs: Any,
    ) -> None:
        # Not named in the signature: Airflow would fill it from default_args before it comes here.
        kwargs.setdefault("retries", 0)
        super().__init__(**kwargs)
        check_unless_templated(check_id, participant_group_id, "participant_group_id")
        check_unless_templated(check_text, body, "body")
        if study_id is not None:
            check_unless_templated(check_id, study_id, "study_id")
        self.participant_group_id = participant_group_id
        self.body = body
        self.study_id = study_id
        self.prolific_conn_id = prolific_conn_id

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; it has no retries either, unless they are set here."""
        kwargs.setdefault("retries", 0)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Send the message, once."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        with closing(ProlificHook(self.prolific_conn_id)) as hook:
            hook.message_participant_group(self.participant_group_id, self.body, self.study_id)
        self.log.info("Sent the message to participant group %s", self.participant_group_id)


def _participant_ids_field(participant_ids: Any) -> Any:
    """Return what the field holds: a template as it is, anything else as a checked list."""
    return participant_ids if is_templated(participant_ids) else check_participant_ids(participant_ids)


def _read_live_group(hook: ProlificHook, participant_group_id: str) -> ParticipantGroup:
    group = hook.get_participant_group(participant_group_id)
    check_live(group)
    return group


def _list_participant_ids(hook: ProlificHook, participant_group_id: str) -> list[str]:
    return [membership["participant_id"] for membership in hook.list_participants(participant_group_id)]
