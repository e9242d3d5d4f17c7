"""What all operators share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_prolific.arguments import CheckedArguments, check_filter, check_group, is_id
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificUndecidedError, ProlificValueError
from airflow_provider_prolific.version_compat import AirflowFailException, BaseOperator
from airflow_provider_prolific.waiting.group_index import GroupIndex, check_live

if TYPE_CHECKING:
    from airflow_provider_prolific.arguments import TextArgument
    from airflow_provider_prolific.hooks.participant_groups import ParticipantGroup
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.version_compat import Context

#: The form that all ids of Prolific have had so far.
_USUAL_ID = re.compile(r"[0-9a-f]{24}", re.IGNORECASE)


class ProlificOperator(CheckedArguments, BaseOperator):
    """An operator that does its work through a Prolific connection.

    All operators follow these rules:

    * Arguments are keyword-only and templated. Each one also accepts the output of another task.
    * A wrong argument raises ``ProlificValueError``: while the DAG is parsed, or, if it is templated, when the task
      runs, before anything is sent to Prolific. All other failures raise a ``ProlificError`` that says what to do.
    * Requests are repeated after temporary errors: for up to five minutes after a rate limit, otherwise for about a
      minute.
    * An operator that returns a dict also pushes each key as a separate XCom, so ``create.output["id"]`` works in a
      DAG. (A ``null`` is only in the whole dict: Airflow 3.0 cannot store it as a separate XCom.)
    * Logs and errors show numbers and positions of participants, never their ids. Airflow itself stores rendered
      fields and XComs in its database, including the ids in them.

    :param prolific_conn_id: The :ref:`Prolific connection <howto/connection:prolific>`.
    """

    #: Whether the result is a dict; then its keys are pushed, too.
    returns_dict: ClassVar[bool] = False
    #: Whether the work may be done twice; otherwise ``retries`` is 0, unless it is set on the task itself.
    is_repeatable: ClassVar[bool] = True

    def __init__(self, *, prolific_conn_id: TextArgument, **kwargs: Any) -> None:
        if self.returns_dict:
            kwargs.setdefault("multiple_outputs", True)
        if not self.is_repeatable:
            # Not in the signature: Airflow would fill it from default_args before this line.
            kwargs.setdefault("retries", 0)
        self.check_keywords(kwargs)
        super().__init__(**kwargs)
        self._pushes_keys = self.returns_dict and self.multiple_outputs
        self.prolific_conn_id: Any = prolific_conn_id

    if TYPE_CHECKING:

        @property
        def output(self) -> Any:
            """The output. Airflow's own annotation has no keys and does not fit the arguments of a task."""

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task, with the same rules for its keywords and its retries."""
        cls.check_keywords(kwargs)
        if not cls.is_repeatable:
            kwargs.setdefault("retries", 0)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> Any:
        """Check the arguments, do the work with a hook, return the result."""
        arguments = self.checked_arguments()
        with self.opened_hook() as hook:
            return self.delivered(context, self.perform(hook, **arguments))

    @contextmanager
    def opened_hook(self) -> Iterator[ProlificHook]:
        """Open a hook for the block; an error that a person must decide about fails the task without a retry."""
        from airflow_provider_prolific.hooks.prolific import ProlificHook

        try:
            with ProlificHook(self.prolific_conn_id) as hook:
                yield hook
        except ProlificUndecidedError as error:
            raise AirflowFailException(str(error)) from error

    def delivered(self, context: Context, result: Any) -> Any:
        """Return the result; with ``multiple_outputs`` push each of its keys as a separate XCom first."""
        if self._pushes_keys and self.do_xcom_push and context and "ti" in context:
            for key, value in result.items():
                if value is not None:
                    context["ti"].xcom_push(key=key, value=value)
            self.multiple_outputs = False  # Airflow would push the nulls as well
        return result

    def perform(self, hook: ProlificHook, *args: Any, **arguments: Any) -> Any:
        """Do the work; the arguments arrive checked and in their normal form."""
        raise NotImplementedError


class ParticipantGroupOperator(ProlificOperator):
    """An operator that works with one participant group.

    :param participant_group: The group, by id or exact name. An id needs no scope. A name is searched among the groups
        of ``filter``. If only a similar name exists (other case, other white space), the error shows it.
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; default: the connection's default scope.
    """

    checks = {"participant_group": check_group, "filter": check_filter}

    def perform(self, hook: ProlificHook, *args: Any, **arguments: Any) -> Any:  # noqa: ARG002 - lets others override
        """Find the live group, and work with it."""
        group = require_group(hook, arguments.pop("participant_group"), arguments.pop("filter"))
        return self.perform_with(hook, group, **arguments)

    def perform_with(self, hook: ProlificHook, group: ParticipantGroup, *args: Any, **arguments: Any) -> Any:
        """Do the work with the group; the arguments arrive checked and in their normal form."""
        raise NotImplementedError


def require_group(hook: ProlificHook, participant_group: str, filter: dict[str, str] | None) -> ParticipantGroup:
    """Return the live group with this id or exact name.

    :raises ProlificError: there is no such group, it has been deleted, or the name is ambiguous.
    """
    found = _look_up(hook, participant_group, filter)
    group: Any = found.require(participant_group) if isinstance(found, GroupIndex) else found
    check_live(group)
    return group  # type: ignore[no-any-return]


def find_group(
    hook: ProlificHook, participant_group: str, filter: dict[str, str] | None, *, if_missing: str
) -> ParticipantGroup | None:
    """Return the group with this id or exact name, even a deleted one.

    :param if_missing: If there is no such group: ``"fail"``, or ``"ignore"`` it and return ``None``.
    :raises ProlificError: there is no such group, or the name is ambiguous.
    """
    found = _look_up(hook, participant_group, filter)
    if not isinstance(found, GroupIndex):
        return found
    group: Any = found.find(participant_group)
    if group is None and if_missing == "fail":
        raise found.missing(participant_group)
    return group  # type: ignore[no-any-return]


def _look_up(
    hook: ProlificHook, participant_group: str, filter: dict[str, str] | None
) -> ParticipantGroup | GroupIndex:
    """Return the group itself if its id is known to Prolific, otherwise all groups among which to search."""
    is_usual_id = _USUAL_ID.fullmatch(participant_group) is not None
    no_scope = None
    if filter is None:
        try:
            hook.default_scope()
        except ProlificValueError as error:
            no_scope = error
    if is_usual_id or (no_scope and is_id(participant_group)):
        try:
            return hook.get_participant_group(participant_group)
        except ProlificApiError as error:
            if error.status_code != 404:
                raise
    if no_scope is None:
        return GroupIndex.read(hook, filter, active=None)  # with deleted ones: the error then says so
    if is_usual_id:
        return GroupIndex([])
    raise no_scope
