"""The one place that speaks HTTP to Prolific."""

from __future__ import annotations

import ipaddress
import json as json_module
import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict, TypeVar
from urllib.parse import quote, unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, InvalidHeader, NewConnectionError, ProtocolError
from urllib3.util import Retry

from airflow_provider_prolific import __version__
from airflow_provider_prolific.arguments import (
    SCOPES,
    check_active,
    check_filter,
    check_id,
    check_name,
    check_owner,
    check_participant_ids,
    check_text,
    shorten,
)
from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.get_provider_info import get_provider_info
from airflow_provider_prolific.version_compat import AirflowException, BaseHook

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

DEFAULT_HOST = "https://api.prolific.com"
GROUPS_ENDPOINT = "/api/v1/participant-groups/"
MESSAGES_ENDPOINT = "/api/v1/messages/participant-group/"
PAGE_SIZE = 200
#: How many participants one request adds or removes: Prolific documents no limit, and this many are known to work.
CHUNK_SIZE = 500

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 30
#: A whole answer must be there after this time, however steadily it trickles.
BODY_TIMEOUT_SECONDS = 120
MAX_BODY_BYTES = 64 * 1024 * 1024
RETRY_AFTER_CEILING_SECONDS = 120

_REPEATABLE_METHODS = ("GET", "HEAD")
#: What stands in an error in the place of a participant's id.
_HIDDEN = "***"
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")


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
    """A participant group in the API's own field names."""

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
    """One member of a participant group in the API's own field names; ``participant_id`` is always there."""

    participant_id: str
    datetime_created: str


_Row = TypeVar("_Row")


class ProlificHook(BaseHook):
    """Speak to Prolific's researcher API with the token of an Airflow connection.

    .. code-block:: python

        groups = ProlificHook().list_participant_groups({"workspace_id": "64a000000000000000000001"})

    The connection is read when the first call is made, and one ``requests.Session`` serves all calls of a hook.
    Calls that are safe to repeat are repeated after a rate limit, a server error or a connection error, with a
    growing pause; others only where the server surely did not act.

    :param prolific_conn_id: The :ref:`Prolific connection <howto/connection:prolific>`: API token in the password
        field, base URL in the host field, default scope in the extra fields.
    :param max_retries: How often a failed call is repeated before its error is raised; ``0`` for callers that poll.

    API: https://docs.prolific.com/api-reference
    """

    conn_name_attr = "prolific_conn_id"
    default_conn_name = "prolific_default"
    conn_type = "prolific"
    hook_name = "Prolific"

    def __init__(self, prolific_conn_id: str = default_conn_name, *, max_retries: int = 4) -> None:
        super().__init__()
        self.prolific_conn_id = prolific_conn_id
        self.max_retries = max_retries

    # -- connection -------------------------------------------------------------------------------------------

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the connection form shows the standard fields (asked for by Airflow before 3.2)."""
        behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields (asked for by Airflow before 3.2)."""
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

    @cached_property
    def _settings(self) -> _ConnectionSettings:
        return _ConnectionSettings.read(self.get_connection(self.prolific_conn_id))

    @cached_property
    def _adapter(self) -> HTTPAdapter:
        return HTTPAdapter()

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.auth = _TokenAuth(self._settings.token)
        session.headers["User-Agent"] = f"airflow-provider-prolific/{__version__} {requests.utils.default_user_agent()}"
        session.headers["Accept"] = "application/json"
        # A plain http connection is local: a proxy from the environment would carry the token off the machine.
        session.trust_env = self._settings.base_url.startswith("https://")
        session.mount("https://", self._adapter)
        session.mount("http://", self._adapter)
        return session

    def get_conn(self) -> requests.Session:
        """Return the session that all calls of this hook use.

        :raises ProlificValueError: the connection cannot be used; the message says which and why.
        """
        return self._session

    def close(self) -> None:
        """Close the session; a later call opens a new one."""
        if "_session" in self.__dict__:
            self._session.close()

    def default_scope(self) -> tuple[str, str]:
        """Return the scope that the connection names, as ``(key, id)``.

        :raises ProlificValueError: the connection names none, or both.
        """
        named = {key: value for key, value in self._settings.scopes.items() if value is not None}
        if len(named) == 1:
            return next(iter(named.items()))
        where = f"connection {self.prolific_conn_id!r}"
        if named:
            raise ProlificValueError(
                f"{where} has both a workspace_id and a project_id in its extra fields: keep one of them, "
                'or pass filter={"workspace_id": …}'
            )
        raise ProlificValueError(
            'no scope: pass filter={"workspace_id": …} or set workspace_id (or project_id) in the extra fields '
            f"of {where}"
        )

    def default_workspace_id(self) -> str:
        """Return the workspace that the connection names.

        :raises ProlificValueError: it names none.
        """
        workspace_id = self._settings.scopes["workspace_id"]
        if workspace_id is None:
            raise ProlificValueError(
                "no workspace: pass workspace_id or set it in the extra fields of connection "
                f"{self.prolific_conn_id!r} (new groups belong to a workspace or an organisation, never to a project)"
            )
        return workspace_id

    def get_user(self) -> dict[str, Any]:
        """Return the account that the token belongs to (``id``, ``email``, …).

        API: https://docs.prolific.com/api-reference/users/get-user
        """
        user = self.request("GET", "/api/v1/users/me/")
        if not isinstance(user, dict) or not isinstance(user.get("id"), str):
            raise ProlificResponseError(f"GET /api/v1/users/me/ answered without a user: {shorten(user)}")
        return user

    def test_connection(self) -> tuple[bool, str]:
        """Tell whether the connection works, and who its token belongs to, or why it does not."""
        try:
            user = self.get_user()
        except (ProlificError, AirflowException) as error:
            return False, str(error)
        return True, f"Connected to Prolific as {user.get('email') or user['id']}"

    # -- participant groups -----------------------------------------------------------------------------------

    def list_participant_groups(
        self, filter: Mapping[str, str] | None = None, active: bool | None = True
    ) -> list[ParticipantGroup]:
        """Return all participant groups of a workspace or a project: every page, never a part of them.

        :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; without it the connection's default scope.
        :param active: ``True`` for live groups, ``False`` for deleted ones, ``None`` for both.
        :raises ProlificValueError: ``filter`` or ``active`` is none of these, or there is no scope.
        :raises ProlificApiError: the API refuses.
        :raises ProlificResponseError: the answer cannot be right, other groups than asked for came, or a part only.

        API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
        """
        scope = check_filter(filter)
        active = check_active(active)
        scope_key, scope_id = scope or self.default_scope()
        params = {scope_key: scope_id, f"filter[{scope_key}]": scope_id}
        if active is not None:
            params["active"] = "true" if active else "false"

        def read_row(row: Any) -> tuple[str, ParticipantGroup]:
            group = _read_group(row, f"GET {GROUPS_ENDPOINT}")
            if group.get(scope_key) not in (None, scope_id):
                raise ProlificResponseError(
                    f"GET {GROUPS_ENDPOINT} was asked for {scope_key} {shorten(scope_id)} but answered with group "
                    f"{shorten(group['id'])} of {shorten(group[scope_key])}: the scope was ignored",  # type: ignore[literal-required]
                    transient=False,
                )
            return group["id"], group

        groups = self._list(GROUPS_ENDPOINT, "participant groups", read_row, params)
        # The server was asked for the right ones already; what is returned does not depend on its obeying.
        return [group for group in groups if active is None or bool(group.get("is_deleted")) is not active]

    def _list(
        self,
        endpoint: str,
        what: str,
        read_row: Callable[[Any], tuple[str, _Row]],
        params: Mapping[str, str],
        hidden_ids: Collection[str] | None = None,
    ) -> list[_Row]:
        """Return all rows of a listing, each once: every page, never a part of them.

        :param what: What the rows are, for the message.
        :param read_row: Checks a row and returns it with its id.
        """
        rows, promised = self._list_pages(endpoint, read_row, params, hidden_ids)
        if promised:  # a row that went meanwhile moves the pages: a second look tells
            rows, promised = self._list_pages(endpoint, read_row, params, hidden_ids)
        if promised:
            raise ProlificResponseError(
                f"GET {endpoint} brought {len(rows)} {what} but promises {promised}: a partial list is not used"
            )
        return rows

    def _list_pages(
        self,
        endpoint: str,
        read_row: Callable[[Any], tuple[str, _Row]],
        params: Mapping[str, str],
        hidden_ids: Collection[str] | None,
    ) -> tuple[list[_Row], str | None]:
        """Return the rows, and in words what was promised beyond them, if anything."""
        rows: dict[str, _Row] = {}
        offset = promised = 0
        while True:
            page = self._request(
                "GET", endpoint, params={**params, "limit": PAGE_SIZE, "offset": offset}, hidden_ids=hidden_ids
            )
            results = _read_results(page, endpoint, quote_answer=hidden_ids is None)
            known = len(rows)
            rows.update(map(read_row, results))
            offset += len(results)
            brought_new = len(rows) > known
            total, has_next = _read_paging(page)
            if total is not None:
                # Where the total falls, a row went, and others moved to a page that had been read already.
                promised = max(promised, total)
                if len(rows) >= promised:
                    return list(rows.values()), None
                if not brought_new or has_next is False:
                    return list(rows.values()), str(promised)
            elif has_next is False or (has_next is None and len(results) < PAGE_SIZE):
                return list(rows.values()), None
            elif not brought_new:
                return list(rows.values()), "more" if has_next else None

    def get_participant_group(self, participant_group_id: str) -> ParticipantGroup:
        """Return one participant group; a deleted one has ``is_deleted`` true.

        :param participant_group_id: The group's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: no such group, or no access to its workspace).

        API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group
        """
        endpoint = _group_endpoint(participant_group_id)
        return _read_group(self._request("GET", endpoint), f"GET {endpoint}")

    def create_participant_group(
        self,
        name: str,
        workspace_id: str | None = None,
        organisation_id: str | None = None,
        description: str | None = None,
        participant_ids: Iterable[str] | None = None,
    ) -> ParticipantGroup:
        """Create a participant group and return it.

        Prolific lets several groups have one name, so creating again makes another group: the call is never repeated
        where its outcome is unknown. Look for the name in :meth:`list_participant_groups` before you call it again.

        :param name: The group's name.
        :param workspace_id: The workspace that it belongs to; without it (and without an organisation) the
            connection's default workspace.
        :param organisation_id: Or the organisation that it belongs to.
        :param description: What the group is for; without it the name is sent.
        :param participant_ids: Its first members, all in this one request; :meth:`add_participants` takes many.
        :raises ProlificValueError: a bad argument, or there is no workspace.
        :raises ProlificApiError: the API refuses (400 with ``error_code`` 140003: it does not know a participant).
        :raises ProlificError: the outcome is unknown: the group may have been created.

        API: https://docs.prolific.com/api-reference/participant-groups/create-participant-group
        """
        body: dict[str, Any] = {
            "name": check_name(name),
            "description": name if description is None else check_text(description, "description"),
        }
        ids = None if participant_ids is None else check_participant_ids(participant_ids)
        if ids is not None:
            body["participant_ids"] = ids
        owner_key, owner_id = check_owner(workspace_id, organisation_id) or (
            "workspace_id",
            self.default_workspace_id(),
        )
        body[owner_key] = owner_id
        try:
            answer = self._request("POST", GROUPS_ENDPOINT, json=body, hidden_ids=ids)
            return _read_group(answer, f"POST {GROUPS_ENDPOINT}")
        except ProlificError as error:
            if may_have_acted(error):
                _put_before(error, "the group may have been created; look for its name before you create it again")
            raise

    def update_participant_group(
        self,
        participant_group_id: str,
        name: str | None = None,
        participant_ids: Iterable[str] | None = None,
    ) -> ParticipantGroup:
        """Rename a participant group or replace its members, and return it.

        ``participant_ids`` **replaces the whole membership**: who joined meanwhile by a study's completion code is
        thrown out. To change members use :meth:`add_participants` and :meth:`remove_participants`.

        :param participant_group_id: The group's id.
        :param name: Its new name; ``None`` leaves it.
        :param participant_ids: All who shall be members, nobody else; ``None`` leaves them.
        :raises ProlificValueError: a bad argument, or nothing to change.
        :raises ProlificApiError: the API refuses.

        API: https://docs.prolific.com/api-reference/participant-groups/update-participant-group
        """
        endpoint = _group_endpoint(participant_group_id)
        body: dict[str, Any] = {}
        if name is not None:
            body["name"] = check_name(name)
        ids = None if participant_ids is None else check_participant_ids(participant_ids)
        if ids is not None:
            body["participant_ids"] = ids
        if not body:
            raise ProlificValueError("nothing to change: give name or participant_ids")
        # Replacing the members a second time would throw out who joined between the two.
        answer = self._request("PATCH", endpoint, json=body, repeatable=ids is None, hidden_ids=ids)
        return _read_group(answer, f"PATCH {endpoint}")

    def delete_participant_group(self, participant_group_id: str) -> None:
        """Delete a participant group; Prolific has no way to bring it back.

        :param participant_group_id: The group's id.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: no such group, or it has been deleted already).
        :raises ProlificConnectionError: no answer: ``is_deleted`` of :meth:`get_participant_group` tells.

        API: https://docs.prolific.com/api-reference/participant-groups/delete-participant-group
        """
        self._request("DELETE", _group_endpoint(participant_group_id))

    def list_participants(self, participant_group_id: str) -> list[ParticipantGroupMembership]:
        """Return all members of a participant group, each once: never a part of them.

        :param participant_group_id: The group's id.
        :return: ``{"participant_id", "datetime_created"}`` for each; the time is ISO 8601 in UTC, with or without a
            fraction of the second.
        :raises ProlificValueError: not an id.
        :raises ProlificApiError: the API refuses (404: no such group, or no access to its workspace).
        :raises ProlificResponseError: the answer cannot be right, or a part only came.

        API: https://docs.prolific.com/api-reference/participant-groups/get-participant-group-participants
        """
        endpoint = _participants_endpoint(participant_group_id)

        def read_row(row: Any) -> tuple[str, ParticipantGroupMembership]:
            membership = _read_membership(row, f"GET {endpoint}")
            return membership["participant_id"], membership

        # The API's pages say nothing of pages here; should it begin to page, the list is still whole.
        return self._list(endpoint, "participants", read_row, {}, hidden_ids=())

    def add_participants(
        self, participant_group_id: str, participant_ids: Iterable[str], *, chunk_size: int = CHUNK_SIZE
    ) -> None:
        """Add participants to a group; who is a member already stays one.

        Sent in chunks, one after the other. Adding again changes nothing, so a call that failed half-way can simply
        be made again. Being added may open a live, paid study to a participant.

        :param participant_group_id: The group's id.
        :param participant_ids: Whom to add; duplicates count once, and an empty list sends nothing.
        :param chunk_size: How many go into one request, at least 1.
        :raises ProlificValueError: a bad argument, before anything is sent.
        :raises ProlificError: a chunk failed: which (counted without duplicates), and how many had been added before
            it. A 400 with ``error_code`` 140003 means that Prolific does not know one of its participants.

        API: https://docs.prolific.com/api-reference/participant-groups/add-to-participant-group
        """
        self._change_participants("POST", participant_group_id, participant_ids, chunk_size)

    def remove_participants(
        self, participant_group_id: str, participant_ids: Iterable[str], *, chunk_size: int = CHUNK_SIZE
    ) -> None:
        """Remove participants from a group; who is no member is passed over.

        Sent in chunks, one after the other. Removing again changes nothing, so a call that failed half-way can simply
        be made again. Being removed may close a live, paid study to a participant.

        :param participant_group_id: The group's id.
        :param participant_ids: Whom to remove; duplicates count once, and an empty list sends nothing.
        :param chunk_size: How many go into one request, at least 1.
        :raises ProlificValueError: a bad argument, before anything is sent.
        :raises ProlificError: a chunk failed: which (counted without duplicates), and how many had been removed before
            it.

        API: https://docs.prolific.com/api-reference/participant-groups/remove-from-participant-group
        """
        self._change_participants("DELETE", participant_group_id, participant_ids, chunk_size)

    def _change_participants(
        self, method: str, participant_group_id: str, participant_ids: Iterable[str], chunk_size: int
    ) -> None:
        endpoint = _participants_endpoint(participant_group_id)
        ids = check_participant_ids(participant_ids)
        if type(chunk_size) is not int or chunk_size < 1:
            raise ProlificValueError(f"chunk_size must be a whole number of at least 1, not {shorten(chunk_size)}")
        starts = range(0, len(ids), chunk_size)
        for number, start in enumerate(starts, 1):
            chunk = ids[start : start + chunk_size]
            try:
                self._request(method, endpoint, json={"participant_ids": chunk}, repeatable=True, hidden_ids=ids)
            except ProlificError as error:
                _put_before(
                    error,
                    f"chunk {number} of {len(starts)} (participants {start + 1} to {start + len(chunk)}) failed, "
                    f"{start} had been applied before it",
                )
                raise

    def message_participant_group(self, participant_group_id: str, body: str, study_id: str | None = None) -> None:
        """Send a message to all members of a group.

        Sending again sends it twice, so the call is never repeated where its outcome is unknown; the error says then
        that the message may have been sent.

        :param participant_group_id: The group's id.
        :param body: The message.
        :param study_id: The study that it is about, if any.
        :raises ProlificValueError: a bad argument.
        :raises ProlificError: the API refuses, or the outcome is unknown.

        API: https://docs.prolific.com/api-reference/messages/send-message-to-participant-group
        """
        message = {
            "participant_group_id": check_id(participant_group_id, "participant_group_id"),
            "body": check_text(body, "body"),
        }
        if study_id is not None:
            message["study_id"] = check_id(study_id, "study_id")
        try:
            self._request("POST", MESSAGES_ENDPOINT, json=message)
        except ProlificError as error:
            if may_have_acted(error):
                _put_before(
                    error,
                    "the message may have been sent; look into the group's messages in Prolific before you run this "
                    "again",
                )
            raise

    # -- any call ---------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        endpoint: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Any:
        """Call any endpoint of the API, with the same authentication, errors and retries as all other calls.

        :param method: The HTTP method. ``GET`` and ``HEAD`` are repeated after an error that may pass; others only
            after a 429 or where no connection came about.
        :param endpoint: The path with its trailing slash, such as ``"/api/v1/studies/"``.
        :param params: Query parameters; Python's booleans are sent as ``true`` and ``false``, ``None`` is left out.
        :param json: What to send as the JSON body.
        :return: The answer's JSON; ``None`` for an answer without a body (204).
        :raises ProlificValueError: not a path of the API, or the connection cannot be used.
        :raises ProlificApiError: the API refuses.
        :raises ProlificResponseError: the answer is no JSON, or too large.
        :raises ProlificConnectionError: no answer.
        """
        return self._request(method, endpoint, params=params, json=json)

    def _request(
        self,
        method: str,
        endpoint: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        repeatable: bool = False,
        hidden_ids: Collection[str] | None = None,
    ) -> Any:
        """Call an endpoint.

        :param repeatable: Whether the call may be sent again where the server may have acted already.
        :param hidden_ids: Where participants are concerned: their ids that are sent. No error shows one of them, nor
            quotes an answer that would be a success.
        """
        method = method.upper()
        repeatable = repeatable or method in _REPEATABLE_METHODS
        call = f"{method} {_check_endpoint(endpoint)}"
        session = self.get_conn()
        retries = _Retry.build(self.max_retries, repeatable)
        while True:
            self._adapter.max_retries = retries
            try:
                with session.request(
                    method,
                    self._settings.base_url + endpoint,
                    params=_encode_params(params),
                    json=json,
                    timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    body = _read_body(response, call)
                break
            except requests.exceptions.InvalidJSONError as error:
                raise ProlificValueError(f"{call} was not sent: its body is no JSON: {error}") from error
            except requests.exceptions.ChunkedEncodingError as error:
                # The answer had begun, so urllib3 saw no error yet: count it on the same account.
                if not repeatable or retries.is_used_up():
                    _raise_connection_error(call, error)
                retries = retries.increment(method, endpoint, error=ProtocolError(str(error)))
                retries.sleep()
            except (requests.RequestException, HTTPError) as error:
                _raise_connection_error(call, error)
        if not 200 <= response.status_code < 300:
            raise _api_error(response, body, call, self.prolific_conn_id, hidden_ids or ())
        return _parse_json(body, response, call, quote_answer=hidden_ids is None)


def may_have_acted(error: ProlificError) -> bool:
    """Tell whether Prolific may have done what a call asked for that failed and that is not safe to repeat."""
    if isinstance(error, ProlificApiError):
        return error.status_code == 408 or error.status_code >= 500
    if isinstance(error, ProlificConnectionError):
        return not isinstance(_root_cause(error.__cause__ or error), (NewConnectionError, ConnectTimeoutError))
    return isinstance(error, ProlificResponseError)


def _put_before(error: ProlificError, words: str) -> None:
    """Let an error begin with these words; its type and its fields stay."""
    error.args = (f"{words}: {error}",)


@dataclass(frozen=True)
class _ConnectionSettings:
    """What a connection says, checked."""

    base_url: str
    token: str = field(repr=False)
    scopes: dict[str, str | None]

    @classmethod
    def read(cls, connection: Any) -> _ConnectionSettings:
        where = f"connection {connection.conn_id!r}"
        extra = connection.extra_dejson
        if not isinstance(extra, dict):
            raise ProlificValueError(f"{where}: the extra field must be a JSON object with workspace_id or project_id")
        scopes: dict[str, str | None] = {}
        for key in SCOPES:
            value = extra.get(key)
            value = value.strip() if isinstance(value, str) else value
            scopes[key] = None if value in (None, "") else check_id(value, f"{where}: extra field {key}")
        return cls(_read_base_url(connection, where), _read_token(connection, where), scopes)


def _read_token(connection: Any, where: str) -> str:
    token = (connection.password or "").strip()
    if not token:
        raise ProlificValueError(
            f"{where} has no API token: put it into the password field (Prolific: Settings, then API tokens)"
        )
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ProlificValueError(
            f"{where}: the API token in the password field has spaces or characters that no token has; "
            "paste the token alone, without the word 'Token'"
        )
    return token


def _read_base_url(connection: Any, where: str) -> str:
    host = (connection.host or "").strip() or DEFAULT_HOST

    def refuse(reason: str) -> NoReturn:
        raise ProlificValueError(
            f"{where}: the host field must be a base URL like {DEFAULT_HOST} without path or query, "
            f"and {shorten(_without_userinfo(host))} {reason}"
        )

    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        port = parts.port
    except ValueError:
        refuse("is not one")
    if parts.scheme not in ("http", "https"):
        refuse("is neither https nor http")
    if "@" in parts.netloc:
        refuse("has a user name or password in it: the token belongs into the password field")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "?" in host or "#" in host:
        refuse("has a path, a query or a fragment")
    name = parts.hostname or ""
    if not (_is_ip_address(name) or _HOST_NAME.fullmatch(name)):
        refuse("has no valid host name")
    if parts.scheme == "http" and not _is_loopback(name):
        refuse("would send the token in clear text to another machine: use https://")
    connection_port = connection.port or None
    if port and connection_port and port != connection_port:
        refuse(f"names another port than the port field ({connection_port})")
    port = port or connection_port
    if port is not None and not 0 < port < 65536:
        refuse(f"has the port {port}, which does not exist")
    name = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "")


def _without_userinfo(host: str) -> str:
    """Return a URL without what stands before ``@``: it may be a token that went into the wrong field."""
    return re.sub(r"^(\w+://)?.*@", r"\1…@", host)


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_ip_address(name) and ipaddress.ip_address(name).is_loopback)


class _TokenAuth(requests.auth.AuthBase):
    """Add the token to a request; as an ``auth`` object no ``.netrc`` can replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request


class _Retry(Retry):
    """urllib3's retries, with a ceiling over ``Retry-After`` and no status repeated but those that were named."""

    @classmethod
    def build(cls, total: int, repeatable: bool) -> _Retry:
        return cls(
            total=total,
            connect=total,
            read=total if repeatable else 0,
            other=0,
            status=total,
            status_forcelist=frozenset({429, 500, 502, 503, 504} if repeatable else {429}),
            allowed_methods=None,
            backoff_factor=0.5,
            raise_on_status=False,
        )

    def is_used_up(self) -> bool:
        return not self.total

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: ARG002
        return bool(self.total) and status_code in (self.status_forcelist or ())

    def get_backoff_time(self) -> float:
        return super().get_backoff_time() * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        return _read_retry_after(response.headers.get("Retry-After"))


def _read_retry_after(header: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, at most the ceiling; ``None`` without a usable one."""
    if header is None:
        return None
    try:
        seconds = Retry().parse_retry_after(header)
    except (InvalidHeader, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_CEILING_SECONDS)


def _check_endpoint(endpoint: str) -> str:
    """Refuse what is not a plain path, so that no id and no typing error can reach another endpoint or host."""
    if (
        not isinstance(endpoint, str)
        or not endpoint.startswith("/")
        or not (path := unquote(endpoint)).isprintable()
        or re.search(r"[?#\\\s]|//", path)
        or any(segment in (".", "..") for segment in path.split("/"))
    ):
        raise ProlificValueError(
            "endpoint must be a path of the API such as '/api/v1/studies/', without query, spaces or dot segments, "
            f"not {shorten(endpoint)}"
        )
    return endpoint


def _group_endpoint(participant_group_id: str) -> str:
    return f"{GROUPS_ENDPOINT}{quote(check_id(participant_group_id, 'participant_group_id'), safe='')}/"


def _participants_endpoint(participant_group_id: str) -> str:
    return f"{_group_endpoint(participant_group_id)}participants/"


def _encode_params(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if params is None:
        return None
    return {key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()}


def _raise_connection_error(call: str, error: Exception) -> NoReturn:
    reason = _root_cause(error)
    raise ProlificConnectionError(f"{call} got no answer: {_one_line(str(reason) or repr(reason))}") from error


def _root_cause(error: BaseException) -> BaseException:
    """Return what lies under the errors that requests and urllib3 wrap around each other."""
    while isinstance(cause := getattr(error, "reason", None) or next(iter(error.args), None), Exception):
        error = cause
    return error


def _read_body(response: requests.Response, call: str) -> bytes:
    """Return the answer's body, or fail where it is too large or trickles for too long."""
    deadline = time.monotonic() + BODY_TIMEOUT_SECONDS
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(256 * 1024):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise ProlificResponseError(f"{call} answered with more than {MAX_BODY_BYTES // 2**20} MiB")
        if time.monotonic() > deadline:
            raise ProlificConnectionError(f"{call} was still answering after {BODY_TIMEOUT_SECONDS} seconds")
    return b"".join(chunks)


def _parse_json(body: bytes, response: requests.Response, call: str, quote_answer: bool) -> Any:
    if response.status_code == 204:
        return None
    try:
        return json_module.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "JSON nested too deeply" if isinstance(error, RecursionError) else _describe_text(body)
        raise ProlificResponseError(
            f"{call} answered {response.status_code}, but not with JSON" + (f": {reason}" if quote_answer else "")
        ) from error


def _read_results(page: Any, endpoint: str, quote_answer: bool) -> list[Any]:
    rows = page.get("results") if isinstance(page, dict) else None
    if not isinstance(rows, list):
        raise ProlificResponseError(
            f"GET {endpoint} answered without a list of results" + (f": {shorten(page)}" if quote_answer else "")
        )
    return rows


def _read_group(row: Any, call: str) -> ParticipantGroup:
    """Return a row as a participant group, if all that decisions rest on is there and of the right type."""
    problem = None
    if not isinstance(row, dict):
        problem = "is no object"
    elif not isinstance(row.get("id"), str) or not row["id"]:
        problem = "has no id"
    elif not isinstance(row.get("name"), str):
        problem = f"has no name (id {row['id']!r})"
    elif type(row.get("participant_count")) is not int or row["participant_count"] < 0:
        problem = f"has no participant_count (id {row['id']!r})"
    elif not isinstance(row.get("is_deleted"), (bool, type(None))):
        problem = f"has an is_deleted that is neither true nor false (id {row['id']!r})"
    if problem is not None:
        raise ProlificResponseError(f"{call} answered with a participant group that {_one_line(problem)}")
    group: ParticipantGroup = row
    return group


def _read_membership(row: Any, call: str) -> ParticipantGroupMembership:
    participant_id = row.get("participant_id") if isinstance(row, dict) else None
    if not isinstance(participant_id, str) or not participant_id:
        raise ProlificResponseError(f"{call} answered with a member that has no participant_id")
    membership: ParticipantGroupMembership = row
    return membership


def _read_paging(page: dict[str, Any]) -> tuple[int | None, bool | None]:
    """Return the total that the metadata promises and whether there is a next page; ``None`` where it is silent."""
    meta, links = page.get("meta"), page.get("_links")
    counts = [meta.get("count"), meta.get("total")] if isinstance(meta, dict) else []
    total = next((count for count in counts if type(count) is int and count >= 0), None)
    if not isinstance(links, dict) or "next" not in links:
        return total, None
    following = links["next"]
    return total, bool(following.get("href") if isinstance(following, dict) else following)


def _api_error(
    response: requests.Response, body: bytes, call: str, conn_id: str, hidden_ids: Collection[str]
) -> ProlificApiError:
    """Return the API's refusal as an error, whichever of its shapes the body has, without the hidden ids."""
    hidden_ids = sorted(hidden_ids, key=len, reverse=True)  # one may be the beginning of another
    title = code = None
    try:
        document = json_module.loads(body)
        error = document.get("error", document) if isinstance(document, dict) else document
        fields: dict[str, Any] = error if isinstance(error, dict) else {}
        title = _hide(fields.get("title") or fields.get("message") or fields.get("type"), hidden_ids)
        detail = _hide(error if isinstance(error, str) else fields.get("detail", fields.get("issues")), hidden_ids)
        code = fields.get("error_code")
        reason = ": ".join(text for text in (_flatten(title), _flatten(detail)) if text)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply
        detail = reason = _describe_text(body, hidden_ids)
    status = response.status_code
    if type(code) is int:
        reason += f" (error_code {code})"
    message = f"{call} was refused with {status} {response.reason or ''}".rstrip()
    if reason:
        message += f": {reason}"
    hint = {
        401: f"check the API token of connection {conn_id!r}",
        403: f"the token of connection {conn_id!r} may have no access to this workspace",
        404: f"it does not exist, or the token of connection {conn_id!r} has no access to its workspace",
    }.get(status, "redirects are not followed" if 300 <= status < 400 else None)
    return ProlificApiError(
        _one_line(message) + (f" ({hint})" if hint else ""),
        status_code=status,
        error_code=code if type(code) is int else None,
        title=title if isinstance(title, str) else None,
        detail=detail,
        retry_after=_read_retry_after(response.headers.get("Retry-After")),
    )


def _flatten(detail: Any) -> str:
    """Return a text, a list, or a mapping of fields to problems as one text."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, Mapping):
        return "; ".join(f"{key}: {_flatten(value)}" for key, value in detail.items())
    if isinstance(detail, list):
        return ", ".join(filter(None, map(_flatten, detail)))
    return "" if detail is None else shorten(detail)


def _hide(value: Any, hidden_ids: Collection[str]) -> Any:
    """Return a JSON value whose texts have each of these ids replaced, the keys of mappings too."""
    if isinstance(value, str):
        for hidden_id in hidden_ids:
            value = value.replace(hidden_id, _HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {_hide(key, hidden_ids): _hide(item, hidden_ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide(item, hidden_ids) for item in value]
    return value


def _describe_text(body: bytes, hidden_ids: Collection[str] = ()) -> str:
    """Return what a body that is not JSON says, without its mark-up and without the hidden ids."""
    text = _hide(body.decode("utf-8", "replace"), hidden_ids)[:4096]
    return _one_line(re.sub(r"<[^>]*>", " ", text), 200) or "an empty body"


def _one_line(text: str, limit: int = 500) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
