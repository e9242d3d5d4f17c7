"""A running emulator as seen from Python: set it up, ask it what happened."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode, urlsplit


class EmulatorError(RuntimeError):
    """The emulator did not start, or refused a call."""


def connection_json(url: str, token: str, workspace_id: str) -> str:
    """Return an Airflow connection to the emulator, as the variable ``AIRFLOW_CONN_<ID>`` takes it."""
    connection = {"conn_type": "prolific", "host": url, "password": token, "extra": {"workspace_id": workspace_id}}
    return json.dumps(connection)


class EmulatorClient:
    """Controls an emulator that runs on this machine.

    :param url: The address that the emulator printed when it started, such as ``http://127.0.0.1:8765``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        #: A token that the imitated API accepts: the first one of the seed, or the one that ``rotate_token`` set.
        self.token = ""
        #: The first workspace that this token's user sees.
        self.workspace_id = ""
        self._take_over(self.state())

    def _take_over(self, state: Mapping[str, Any]) -> None:
        self.token = state["default_token"]
        self.workspace_id = state["default_workspace_id"]

    def _call(self, method: str, path: str, document: object = None, **query: object) -> Any:
        sent = {name: value for name, value in query.items() if value is not None}
        target = f"/_emulator/{path}" + (f"?{urlencode(sent)}" if sent else "")
        body = None if document is None else json.dumps(document)
        # Not ``requests``: it would use a proxy that is set in the environment, and it is slow to import.
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            raise EmulatorError(f"no answer from the emulator at {self.url}: {error}") from error
        finally:
            connection.close()
        answer: Any = json.loads(text) if text else None
        if response.status >= 400:
            raise EmulatorError(f"{method} {target}: {answer['error']['detail']}")
        return answer

    def connection_json(self, **extra: str) -> str:
        """Return the connection for Airflow, for a variable such as ``AIRFLOW_CONN_PROLIFIC_DEFAULT``.

        :param extra: A default scope other than ``workspace_id``, for example ``project_id="..."``.
        """
        connection = json.loads(connection_json(self.url, self.token, self.workspace_id))
        if extra:
            connection["extra"] = extra
        return json.dumps(connection)

    def state(self) -> dict[str, Any]:
        """Return what the emulator holds: tokens, users, workspaces, projects, studies, settings, and some counts."""
        return dict(self._call("GET", "state"))

    def reset(self, seed: Mapping[str, Any] | None = None) -> None:
        """Start again from a seed, without faults and messages, and with an empty request log.

        :param seed: A document with the keys of ``seed.toml``; default: the seed with which the emulator was started.
        """
        self._take_over(self._call("POST", "reset", {"seed": seed}))

    def set(self, **settings: object) -> None:
        """Change how the imitated API behaves.

        The first value of each setting is its default.

        All listings:

        * ``paging``: ``"full"``, ``"count"`` (no links), ``"links"`` (no count), ``"bare"`` (neither of them), or
          ``"none"`` (all rows at once);
        * ``max_limit``: the largest page (200);
        * ``past_end``: a page after the last one is ``"usual"`` (404 if pages have numbers, otherwise empty),
          ``"empty"``, or ``"404"``;
        * ``next_on_last_page``: False, or True: the last page links to a next page, too;
        * ``page_overlap``: how many rows of a numbered page are also on the next one (0);
        * ``slashless_get``: True: a GET also works without the slash at its end.

        Groups:

        * ``scope_spelling``: ``"both"``, ``"flat"``, or ``"brackets"``;
        * ``unknown_scope``: the listing of an unknown scope is ``"refused"``, or ``"empty"``;
        * ``ignore_scope``: False, or True: listings show another workspace's groups;
        * ``ignore_active``: False, or True: listings show live and deleted groups;
        * ``project_owner``: True: a group can be created in a project;
        * ``empty_description``: True: a group can be created with an empty description;
        * ``tell_deleted``: True: the GET of one group has ``is_deleted``;
        * ``empty_success``: False, or True: adding and removing participants answers without a body.

        Studies:

        * ``people``: how people take part in studies that the API creates, unless another study has the same completion
          codes: an object with fields of ``create_study``;
        * ``ignore_state``: True: listings ignore the filter ``state``;
        * ``delete_status``: 200, or 204;
        * ``clone_internal_name``: ``"same"``, or ``"copy"``;
        * ``publishing_seconds``: how long publishing takes (1);
        * ``no_funds``: publishing without enough balance is refused with error ``"140007"`` and no reason, refused with
          a reason (``"named"``), or accepted and undone ``"later"``;
        * ``repeated_transition``: ``"refused"``, or ``"ignored"``;
        * ``after_reject``: the status of a full study after a reject or return: ``"ACTIVE"``, ``"AWAITING REVIEW"``, or
          ``"PAUSED"``;
        * ``stopped_status``: the status of a stopped study while a submission awaits review: ``"AWAITING REVIEW"``, or
          ``"COMPLETED"``;
        * ``reopen_stopped``: True: more places reopen a stopped study;
        * ``late_members``: True: members who join an allowlisted group after publishing can take part;
        * ``late_return``: people who come back after a time-out can finish ``"always"``, or ``"if_free"``: only if a
          place is free.

        Submissions:

        * ``study_required``: True: a listing needs a study;
        * ``approval_seconds``: how long a bulk approval takes (1);
        * ``bulk_approve_others``: ``"skip"`` ids that do not await review, or ``"refuse"`` them;
        * ``bonus_seconds``: how long until a bonus is visible (1);
        * ``bonus_expiry_seconds``: how long a batch can be paid (None: no limit);
        * ``repeated_pay``: paying a batch again ``"pays"`` again, or is ``"refused"``;
        * ``screen_out_as_bonus``: False, or True: partial pay is visible in ``bonus_payments``;
        * ``contention``: False, or True: 429 during another bulk approval or payment of the workspace.
        """
        self._call("PATCH", "settings", settings)

    def groups(self, name: str | None = None, workspace_id: str | None = None) -> list[dict[str, Any]]:
        """Return all groups, or those of a name or workspace, in the API's fields plus their growth."""
        return list(self._call("GET", "groups", name=name, workspace_id=workspace_id)["groups"])

    def group(self, group_id: str) -> dict[str, Any]:
        """Return one group, in the API's fields plus its growth."""
        return dict(self._call("GET", f"groups/{quote(group_id, safe='')}"))

    def group_id(self, name: str, workspace_id: str | None = None) -> str:
        """Return the id of the group with this name.

        :raises LookupError: When there is none, or more than one.
        """
        ids: list[str] = [group["id"] for group in self.groups(name, workspace_id)]
        if len(ids) != 1:
            raise LookupError(f"{len(ids)} groups are named {name!r}")
        return ids[0]

    def create_group(self, name: str, **fields: object) -> str:
        """Create a group and return its id.

        :param fields: ``workspace_id`` (the first one of the seed if no owner is given), ``organisation_id`` or
            ``project_id``, ``description``, ``participant_count`` (made-up members), ``participant_ids``,
            ``growth_per_second``, ``growth_limit``.
        """
        return self.create_groups(1, name, **fields)[0]

    def create_groups(self, count: int, name: str = "Group {number}", **fields: object) -> list[str]:
        """Create ``count`` groups as in ``create_group``, with ``{number}`` in the name, and return their ids."""
        return list(self._call("POST", "groups", {"count": count, "name": name, **fields})["ids"])

    def set_group(self, group_id: str, **changes: object) -> dict[str, Any]:
        """Change a group directly, without the API, and return it.

        :param changes: ``name``, ``description``, ``growth_per_second``, ``growth_limit`` (None: no limit),
            ``participant_count`` (adds made-up members, or removes the newest), ``add_members`` and
            ``remove_members`` (how many), ``is_deleted``.
        """
        return dict(self._call("PATCH", f"groups/{quote(group_id, safe='')}", changes))

    def advance(self, seconds: float) -> float:
        """Move the emulator's clock forward, for groups and studies, and return its new time (epoch seconds)."""
        return float(self._call("POST", "advance", {"seconds": seconds})["now"])

    def studies(self) -> list[dict[str, Any]]:
        """Return all studies, as ``study`` does."""
        return list(self._call("GET", "studies")["studies"])

    def study(self, study_id: str) -> dict[str, Any]:
        """Return a study in the API's fields, plus ``counts``, ``locked``, ``spent`` (hundredths) and its people."""
        return dict(self._call("GET", f"studies/{quote(study_id, safe='')}"))

    def study_id(self, internal_name: str) -> str:
        """Return the id of the study with this internal name.

        :raises LookupError: When there is none, or more than one.
        """
        ids: list[str] = [study["id"] for study in self.studies() if study["internal_name"] == internal_name]
        if len(ids) != 1:
            raise LookupError(f"{len(ids)} studies have the internal name {internal_name!r}")
        return ids[0]

    def create_study(self, name: str, **fields: object) -> str:
        """Create a study and return its id.

        :param fields: ``status`` (``"UNPUBLISHED"``; with ``"ACTIVE"`` people arrive at once), ``project`` (the first
            one), ``submissions`` (at the start: status to number), any field of the API such as ``internal_name``,
            ``total_available_places`` (100), ``reward`` (150 hundredths), ``completion_codes`` or ``filters``, and how
            people take part while it is ``ACTIVE``: ``arrivals_per_second`` (0), ``seconds_taken`` (10),
            ``seconds_to_time_out`` (20), ``seconds_late`` (20, after the time-out), the shares ``returned``,
            ``timed_out``, ``late`` (they come back after the time-out) and ``no_code`` (0; the rest finishes),
            ``code_shares`` (completion code to share; the rest enters the first one of the type ``COMPLETED``), and
            ``people_seed`` (another number, other people). A filter ``participant_group_allowlist`` lets only
            members of the group take part, in the order in which they joined.
        """
        return str(self._call("POST", "studies", {"name": name, **fields})["id"])

    def set_study(self, study_id: str, **changes: object) -> dict[str, Any]:
        """Change a study directly, without the API, and return it.

        :param changes: As in ``create_study``. With a ``status`` of ``UNPUBLISHED``, ``SCHEDULED``, ``ACTIVE`` or
            ``PAUSED`` the study continues from there; any other text is only shown, until ``status=None``.
        """
        return dict(self._call("PATCH", f"studies/{quote(study_id, safe='')}", changes))

    def delete_study(self, study_id: str) -> None:
        """Remove a study with its submissions, whatever its status."""
        self._call("DELETE", f"studies/{quote(study_id, safe='')}")

    def submissions(self, study_id: str, status: str | None = None) -> list[dict[str, Any]]:
        """Return a study's submissions, or those of a status: the API's fields, with moments as epoch seconds."""
        return list(self._call("GET", f"studies/{quote(study_id, safe='')}/submissions", status=status)["submissions"])

    def add_submissions(
        self, study_id: str, status: str = "AWAITING REVIEW", count: int = 1, **fields: object
    ) -> list[str]:
        """Add submissions to a study, whatever its status and free places, and return their ids.

        :param fields: For all of them: ``participant_id``, ``study_code``, ``is_complete``.
        """
        document = {"status": status, "count": count, **fields}
        return list(self._call("POST", f"studies/{quote(study_id, safe='')}/submissions", document)["ids"])

    def set_submission(self, submission_id: str, **changes: object) -> dict[str, Any]:
        """Change a submission's ``status``, ``study_code`` or ``is_complete``, and return it."""
        return dict(self._call("PATCH", f"submissions/{quote(submission_id, safe='')}", changes))

    def payments(self) -> list[dict[str, Any]]:
        """Return every bonus that was truly paid to a person, from the moment at which the API accepted it.

        Each has ``bonus_payment_id``, ``study_id``, ``submission_id``, ``participant_id``, ``amount`` (hundredths),
        ``accepted_at`` and ``visible_at`` (epoch seconds).
        """
        return list(self._call("GET", "payments")["payments"])

    def members(self, group_id: str) -> dict[str, float]:
        """Return a group's participant ids with the epoch seconds at which they joined, the oldest first."""
        return dict(self._call("GET", f"groups/{quote(group_id, safe='')}/members")["members"])

    def reached_at(self, group_id: str, count: int) -> float | None:
        """Return when a group first had this many members (exact epoch seconds); None: never since the reset."""
        path = f"groups/{quote(group_id, safe='')}/reached"
        reached_at: float | None = self._call("GET", path, count=count)["reached_at"]
        return reached_at

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages sent to groups: ``participant_group_id``, ``body``, ``study_id`` and some more.

        A request to return is a message, too: ``submission_id`` and ``request_return_reasons``.
        """
        return list(self._call("GET", "messages")["messages"])

    def revoke_token(self, token: str | None = None) -> None:
        """Let the API refuse a token (without an argument: ``token``) from now on."""
        self._call("POST", "tokens/revoke", {"token": token or self.token})

    def restore_token(self, token: str | None = None) -> None:
        """Let the API accept a revoked token again."""
        self._call("POST", "tokens/restore", {"token": token or self.token})

    def rotate_token(self, new_token: str) -> None:
        """Replace ``token``: the old one is refused, the new one belongs to the same user."""
        self._call("POST", "tokens/rotate", {"token": self.token, "new_token": new_token})
        self.token = new_token

    def add_fault(self, kind: str, **fields: object) -> None:
        """Add a fault, which spoils answers of the API.

        :param kind: ``status``, ``html``, ``body``, ``raw``, ``empty``, ``slow``, ``trickle``, ``disconnect``,
            ``lost_answer``, ``truncate`` or ``ignored_scope``.
        :param fields: See ``airflow_provider_prolific.emulator.faults``; for example
            ``add_fault("status", status=429, retry_after=2, count=1)``.
        """
        self._call("POST", "faults", {"kind": kind, **fields})

    def faults(self) -> list[dict[str, Any]]:
        """Return the present faults, with the number of their ``hits``."""
        return list(self._call("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "faults")

    def requests(self, newest: int | None = None) -> list[dict[str, Any]]:
        """Return the requests that the API got, the oldest first; the latest 100,000 are kept.

        Each has ``time`` (epoch seconds of its arrival), ``method``, ``path`` (with the query), ``status`` (None: no
        answer yet, or none at all), ``user_agent``, ``has_token``, and ``fault`` (the kind that hit it, or None).

        :param newest: Return only this many of the latest.
        """
        return list(self._call("GET", "requests", newest=newest)["requests"])

    def request_count(self) -> int:
        """Return how many requests the API got since the last reset or ``clear_requests``."""
        return int(self._call("GET", "requests", newest=0)["total"])

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._call("DELETE", "requests")
