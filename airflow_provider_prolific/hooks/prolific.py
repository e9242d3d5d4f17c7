"""The one place that speaks HTTP to Prolific."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import quote, unquote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, InvalidHeader, NewConnectionError, ProtocolError
from urllib3.util import Retry

from airflow_provider_prolific import __version__
from airflow_provider_prolific.answers import (
    ParticipantGroup,
    ParticipantGroupMembership,
    api_error,
    one_line,
    parse_json,
    read_group,
    read_membership,
    read_paging,
    read_results,
)
from airflow_provider_prolific.arguments import (
    check_active,
    check_filter,
    check_id,
    check_name,
    check_owner,
    check_participant_ids,
    check_text,
    shorten,
)
from airflow_provider_prolific.connection import ConnectionSettings
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
    def _settings(self) -> ConnectionSettings:
        return ConnectionSettings.read(self.get_connection(self.prolific_conn_id))

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
            # Airflow's UI tests under an id of its own making, which would say nothing to people.
            return False, str(error).replace(f"connection {self.prolific_conn_id!r}", "this connection")
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

        call = f"GET {GROUPS_ENDPOINT}"
        in_scope = (None, scope_id)

        def read_row(row: Any) -> tuple[str, ParticipantGroup]:
            group = read_group(row, call)
            if group.get(scope_key) not in in_scope:
                raise ProlificResponseError(
                    f"{call} was asked for {scope_key} {shorten(scope_id)} but answered with group "
                    f"{shorten(group['id'])} of {shorten(group[scope_key])}: the scope was ignored",  # type: ignore[literal-required]
                    transient=False,
                )
            return group["id"], group

        groups = self._list(GROUPS_ENDPOINT, "participant groups", read_row, params)
        # The server was asked for the right ones already; what is returned does not depend on its obeying.
        if active is None:
            return groups
        return [group for group in groups if bool(group.get("is_deleted")) is not active]

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
            results = read_results(page, endpoint, quote_answer=hidden_ids is None)
            known = len(rows)
            rows.update(map(read_row, results))
            offset += len(results)
            brought_new = len(rows) > known
            total, has_next = read_paging(page)
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
        return read_group(self._request("GET", endpoint), f"GET {endpoint}")

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
            return read_group(answer, f"POST {GROUPS_ENDPOINT}")
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
        return read_group(answer, f"PATCH {endpoint}")

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
            membership = read_membership(row, f"GET {endpoint}")
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
        hidden = [*(hidden_ids or ()), *self._settings.secrets]
        if not 200 <= response.status_code < 300:
            raise api_error(
                call,
                response.status_code,
                response.reason or "",
                body,
                conn_id=self.prolific_conn_id,
                hidden=hidden,
                retry_after=_read_retry_after(response.headers.get("Retry-After")),
            )
        if response.status_code == 204:
            return None
        return parse_json(body, response.status_code, call, hidden, quote_answer=hidden_ids is None)


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
    raise ProlificConnectionError(f"{call} got no answer: {one_line(str(reason) or repr(reason))}") from error


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
