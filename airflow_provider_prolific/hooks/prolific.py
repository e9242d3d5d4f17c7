"""The hook: a connection, and the endpoints of all resources together."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificError,
    ProlificResponseError,
    ProlificUnreadableConnectionError,
    ProlificValueError,
)
from airflow_provider_prolific.get_provider_info import get_provider_info
from airflow_provider_prolific.hooks.bonuses import BonusEndpoints
from airflow_provider_prolific.hooks.client import Client
from airflow_provider_prolific.hooks.connection import SCOPE_LABELS, ConnectionSettings
from airflow_provider_prolific.hooks.limits import Limits
from airflow_provider_prolific.hooks.participant_groups import ParticipantGroupEndpoints
from airflow_provider_prolific.hooks.studies import StudyEndpoints
from airflow_provider_prolific.hooks.submissions import SubmissionEndpoints
from airflow_provider_prolific.hooks.transport import Transport
from airflow_provider_prolific.text import one_line, shorten
from airflow_provider_prolific.version_compat import BaseHook

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import requests


#: How long a connection test may list groups, in seconds: a person is waiting.
TEST_LISTING_SECONDS = 30


class ProlificHook(ParticipantGroupEndpoints, StudyEndpoints, SubmissionEndpoints, BonusEndpoints, BaseHook):
    """Call Prolific's researcher API with the token of an Airflow connection.

    .. code-block:: python

        with ProlificHook() as hook:
            groups = hook.list_participant_groups({"workspace_id": "64a000000000000000000001"})

    The connection is read when the first call is made. Calls that are safe to repeat are repeated after a temporary
    error, with growing pauses or as the API asks: for up to five minutes after a rate limit, otherwise for about a
    minute. Other calls are repeated only if Prolific cannot have acted. Several threads may use a hook.

    :param prolific_conn_id: The :ref:`Prolific connection <howto/connection:prolific>`: API token in the password
        field, base URL in the host field, default scope in the extra fields.
    :param max_retries: How often a failed call is repeated at most; ``0`` for callers that poll.
    :param limits: The limits of a call; the default suits Prolific.
    :param transport: Keeps the HTTP connections open longer than one hook; without it, :meth:`close` closes them.

    API: https://docs.prolific.com/api-reference
    """

    conn_name_attr = "prolific_conn_id"
    default_conn_name = "prolific_default"
    conn_type = "prolific"
    hook_name = "Prolific"

    def __init__(
        self,
        prolific_conn_id: str = default_conn_name,
        *,
        max_retries: int | None = None,
        limits: Limits | None = None,
        transport: Transport | None = None,
    ) -> None:
        super().__init__()
        self.prolific_conn_id = prolific_conn_id
        self.max_retries = max_retries
        self.limits = limits or Limits()
        self._given_transport = transport
        self._own_transport: Transport | None = None
        self._made_client: Client | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "prolific_conn_id": self.prolific_conn_id,
            "max_retries": self.max_retries,
            "limits": self.limits,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- connection -------------------------------------------------------------------------------------------

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the connection form shows the standard fields (used by Airflow before 3.2)."""
        behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields (used by Airflow before 3.2)."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import StringField

        return {
            name: StringField(
                lazy_gettext(field["label"]),
                widget=BS3TextFieldWidget(),
                description=field["description"],
            )
            for name, field in get_provider_info()["connection-types"][0]["conn-fields"].items()
        }

    @property
    def _client(self) -> Client:
        with self._lock:
            if self._made_client is None:
                settings = self._read_settings()
                transport = self._given_transport or Transport()
                self._own_transport = transport if self._given_transport is None else None
                self._made_client = Client(settings, transport, self.limits, self.max_retries, self.log)
            return self._made_client

    def _read_settings(self) -> ConnectionSettings:
        where = f"connection {self.prolific_conn_id!r}"
        try:
            connection = self.get_connection(self.prolific_conn_id)
        except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
            reason = one_line(str(error) or repr(error), 200)
        else:
            return ConnectionSettings.read(connection)
        raise ProlificUnreadableConnectionError(f"{where} cannot be read: {reason}")

    def get_conn(self) -> requests.Session:
        """Return the session that all calls of this hook use.

        :raises ProlificError: the connection cannot be read or used; the message says which and why.
        """
        return self._client.session

    def close(self) -> None:
        """Close what the hook has open; a later call opens it again."""
        if self._own_transport is not None:
            self._own_transport.close()

    def default_scope(self) -> tuple[str, str]:
        """Return the scope that the connection names, as ``(key, id)``.

        :raises ProlificValueError: the connection names none, or both.
        """
        return self._client.settings.default_scope()

    def default_workspace_id(self) -> str:
        """Return the workspace that the connection names.

        :raises ProlificValueError: it names none.
        """
        return self._client.settings.default_workspace_id()

    def get_user(self) -> dict[str, Any]:
        """Return the account that the token belongs to (``id``, ``email``, …).

        API: https://docs.prolific.com/api-reference/users/get-user
        """

        def read(user: Any) -> dict[str, Any]:
            if isinstance(user, dict) and isinstance(user.get("id"), str):
                return user
            raise ProlificResponseError(f"the answer is not a user: {shorten(user)}")

        return self._client.call("GET", "/api/v1/users/me/", read)

    def test_connection(self) -> tuple[bool, str]:
        """Tell whose token it is and how many groups the default scope has, or why the connection does not work."""
        limits = replace(self.limits, listing_seconds=min(self.limits.listing_seconds, TEST_LISTING_SECONDS))
        try:
            with ProlificHook(self.prolific_conn_id, max_retries=0, limits=limits) as hook:  # a person is waiting
                return True, hook._describe()
        except ProlificError as error:
            # Airflow's UI tests the connection under a generated id, which means nothing to people.
            return False, str(error).replace(f"connection {self.prolific_conn_id!r}", "this connection")

    def _describe(self) -> str:
        """Describe the account and the default scope of the connection.

        :raises ProlificError: it does not work, or a key of its extra fields is unknown.
        """
        user = self.get_user()
        settings = self._client.settings
        connected = f"Connected as {one_line(str(user.get('email') or user['id']), 200)}"
        if settings.unknown_keys:
            raise ProlificValueError(f"connection {self.prolific_conn_id!r}: {settings.describe_unknown_keys()}")
        if not any(settings.scopes.values()):
            return f'{connected}; no default scope, so each task must name one: filter={{"workspace_id": …}}'
        key, scope_id = settings.default_scope()
        try:
            count = len(self.list_participant_groups())
            if count == 0:  # whether the API refuses the groups of an unknown scope is not documented
                self._client.call("GET", f"/api/v1/{key.removesuffix('_id')}s/{quote(scope_id, safe='')}/", None)
        except ProlificApiError as error:
            if not error.transient:
                error.args = (f"check {SCOPE_LABELS[key]} {scope_id}: {error}",)
            raise
        return f"{connected}; {key.removesuffix('_id')} {scope_id}: {count} participant group{'s' * (count != 1)}"

    # -- any call ---------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        endpoint: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Any:
        """Call any endpoint of the API, with the same authentication, errors, limits and repeats as all other calls.

        :param method: The HTTP method. ``GET`` and ``HEAD`` are repeated after a temporary error; others only if
            Prolific cannot have acted (after a 429, or if no connection was made).
        :param endpoint: The path with its trailing slash, such as ``"/api/v1/studies/"``.
        :param params: Query parameters; Python's booleans are sent as ``true`` and ``false``, ``None`` is left out.
        :param json: What to send as the JSON body.
        :return: The answer's JSON; ``None`` for an answer without a body.
        :raises ProlificValueError: not a path of the API, or the connection cannot be used.
        :raises ProlificApiError: the API refuses.
        :raises ProlificResponseError: the answer is not JSON, or too large.
        :raises ProlificConnectionError: no answer.
        """
        return self._client.call(method, endpoint, lambda answer: answer, params=params, json=json)
