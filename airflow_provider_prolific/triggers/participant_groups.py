"""Triggers that wait for participant groups in the triggerer; they only read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_prolific.arguments import (
    MIN_POKE_INTERVAL_SECONDS,
    check_group,
    check_seconds,
    check_text,
    is_templated,
)
from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS, BaseEventTrigger
from airflow_provider_prolific.waiting.milestones import Milestones
from airflow_provider_prolific.waiting.pace import Pace
from airflow_provider_prolific.waiting.polling import Question, shared_poll
from airflow_provider_prolific.waiting.progress import Trouble
from airflow_provider_prolific.waiting.targets import Gate
from airflow_provider_prolific.waiting.trigger import WaitTrigger

#: How often the watch tries to read what was announced before it goes on without that.
STORE_TRIES = 3
STORE_SECONDS = 30.0
#: The arguments that distinguish watchers.
_WATCHER = ("prolific_conn_id", "filter", "participant_group", "milestones", "every")


class ProlificParticipantGroupTrigger(WaitTrigger):
    """Wait until participant groups reach their target counts.

    Its event is flat JSON: ``status`` is ``"success"``, ``"timeout"`` or ``"error"``; ``groups`` has an entry per
    target (``id``, ``name``, ``participant_count``, ``target_count``, ``reached``) as the last successful look found
    them; ``message`` describes the result.

    Its arguments are those of `WaitTrigger` and of the gate:

    :param targets: Participant group (id or exact name) to target participant count.
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``, or ``None`` for the connection's default scope.
    :param active: ``True`` to look among live groups, ``None`` also among deleted ones.
    :param match: ``"all"`` or ``"any"`` of the targets.
    :param if_missing: ``"fail"`` or ``"wait"`` for a group that is not there.
    """

    wait_class = Gate


class ProlificParticipantGroupEventTrigger(BaseEventTrigger):
    """Start DAG runs when a participant group grows past milestones (Airflow 3, for ``AssetWatcher``).

    .. code-block:: python

        screened = Asset(
            "screened_participants",
            watchers=[
                AssetWatcher(
                    name="screened",
                    trigger=ProlificParticipantGroupEventTrigger(
                        participant_group="Screened adults", milestones=[100, 300]
                    ),
                )
            ],
        )

    Each milestone is announced once, when the count grows past it; milestones that are passed between two looks share
    one event. The payload is ``{"id", "name", "participant_count", "milestone", "milestones",
    "previous_participant_count"}``. The watch never ends by itself: it logs errors and looks again. ``docs/events.md``
    describes what is remembered when the triggerer restarts, on each version of Airflow.

    :param participant_group: The group, by id or exact name.
    :param filter: ``{"workspace_id": …}`` or ``{"project_id": …}``; without it the connection's default scope.
    :param milestones: Participant counts, each at least 1.
    :param every: Or a step: with ``50``, each further 50 participants are a milestone.
    :param poke_interval: Time between two looks: seconds, or a ``timedelta``.
    :param prolific_conn_id: The Prolific connection; its token never leaves the connection.
    :param stored: Set by :meth:`serialize`: for stored arguments, the watch logs what is wrong instead of raising an
        exception here, which would end the triggerer.
    :raises ProlificValueError: a bad argument, or a template (nothing renders it here), while the DAG is parsed.
    :raises ProlificError: this is Airflow 2, which has no event-driven scheduling.

    API: https://docs.prolific.com/api-reference/participant-groups/get-participant-groups
    """

    def __init__(
        self,
        *,
        participant_group: str,
        filter: Mapping[str, str] | None = None,
        milestones: Sequence[int] | None = None,
        every: int | None = None,
        poke_interval: timedelta | float = 60,
        prolific_conn_id: str = "prolific_default",
        stored: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not HAS_EVENT_TRIGGERS:
            raise ProlificError(
                "ProlificParticipantGroupEventTrigger needs Airflow 3: on Airflow 2 wait with "
                "ProlificParticipantGroupSensor instead"
            )
        self._arguments: dict[str, Any] = {
            "participant_group": participant_group,
            "filter": filter,
            "milestones": milestones,
            "every": every,
            "poke_interval": poke_interval,
            "prolific_conn_id": prolific_conn_id,
        }
        self._problem: ProlificError | None = None
        try:
            self._check()
        except ProlificError as error:
            if not stored:
                raise
            self._problem = error

    def _check(self) -> None:
        """Bring the arguments into their normal form, which Airflow's JSON does not change."""
        for name, value in self._arguments.items():
            if is_templated(value):
                raise ProlificValueError(f"{name} must not be a template, nothing renders it here: {shorten(value)}")
        given = self._arguments
        self._milestones = Milestones(given["milestones"], given["every"])
        group = check_group(given["participant_group"], "participant_group")
        self._gate = Gate({group: 1}, given["filter"])
        interval = check_seconds(given["poke_interval"], "poke_interval")
        if interval < MIN_POKE_INTERVAL_SECONDS:
            raise ProlificValueError(
                f"poke_interval must be at least {MIN_POKE_INTERVAL_SECONDS} seconds, "
                f"not {shorten(given['poke_interval'])}"
            )
        self._arguments = {
            "participant_group": group,
            "filter": self._gate.filter,
            "milestones": self._milestones.counts,
            "every": self._milestones.every,
            "poke_interval": interval,
            "prolific_conn_id": check_text(given["prolific_conn_id"], "prolific_conn_id"),
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the constructor's arguments, JSON only."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {**self._arguments, "stored": True}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at each beat, without end; yield an event when milestones were passed."""
        if self._problem is not None:
            self.log.error("The watch cannot begin, correct its arguments in the DAG file: %s", self._problem)
            await asyncio.Event().wait()  # the triggerer would restart a watch that ends, every second
        loop = asyncio.get_running_loop()
        conn_id, pace = self._arguments["prolific_conn_id"], Pace(self._arguments["poke_interval"])
        notes, trouble, failures = _Notes(self), Trouble(), 0
        with shared_poll(Question(conn_id, self._gate.question()), self._gate.ask, pace.beat) as poll:
            since = loop.time() - pace.beat
            while True:
                try:
                    look = await poll.look(since)
                    if look.error is not None:
                        raise look.error
                    [group] = self._gate.judge(look.answer)
                    announced = await notes.read(group["id"])
                except Exception as error:  # noqa: BLE001 - the watch survives every error
                    failures = 0 if getattr(error, "transient", False) else failures + 1
                    if line := trouble.failed(error, loop.time()):
                        (self.log.error if failures else self.log.warning)("%s", line)
                else:
                    failures = 0
                    if line := trouble.recovered():
                        self.log.info("%s", line)
                    count = group["participant_count"]
                    if passed := self._milestones.passed(announced["milestone"], count):
                        yield TriggerEvent(  # type: ignore[no-untyped-call]
                            {
                                "id": group["id"],
                                "name": group["name"],
                                "participant_count": count,
                                "milestone": passed[-1],
                                "milestones": passed,
                                "previous_participant_count": announced["participant_count"],
                            }
                        )
                        await notes.write({"id": group["id"], "milestone": passed[-1], "participant_count": count})
                since = poll.next_beat(pace.beat, pace.failing_pause(failures))
                await asyncio.sleep(since - loop.time())


class _Notes:
    """What a watch has announced: in the asset's state store on Airflow 3.3 and newer, otherwise in memory."""

    def __init__(self, trigger: ProlificParticipantGroupEventTrigger) -> None:
        self._store = getattr(trigger, "asset_state_store", None)
        self._log = trigger.log
        self._failures = 0
        self._announced: dict[str, Any] | None = None
        # One note per watcher: another one of the same group may have other milestones.
        _, arguments = trigger.serialize()
        watcher = repr([arguments[name] for name in _WATCHER])
        self._key = f"prolific_participant_group_{hashlib.sha256(watcher.encode()).hexdigest()[:32]}"

    async def read(self, group_id: str) -> dict[str, Any]:
        """Return what was announced of a group; a group that was created again with the same name has a new id."""
        if self._announced is None:
            self._announced = await self._load()
        if self._announced.get("id") not in (None, group_id):
            self._announced = {}
        return {"milestone": 0, "participant_count": None, **self._announced}

    async def _load(self) -> dict[str, Any]:
        if self._store is None:
            return {}
        try:
            async with asyncio.timeout(STORE_SECONDS):
                stored = await self._store.aget(self._key)
        except Exception as error:
            self._failures += 1
            if self._failures < STORE_TRIES:
                raise
            self._store = None
            self._log.warning(
                "Announced milestones cannot be read (%s), so milestones that are passed already are announced now, "
                "and again after each restart of the triggerer. Watchers of several assets with equal arguments cannot "
                "share a store: give them different arguments",
                error,
            )
            return {}
        return stored if isinstance(stored, dict) else {}

    async def write(self, announced: dict[str, Any]) -> None:
        """Store what was announced."""
        self._announced = announced
        if self._store is None:
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.aset(self._key, announced)
        except Exception as error:  # noqa: BLE001 - the watch survives every error
            self._log.warning("Milestone %d may be announced again after a restart: %s", announced["milestone"], error)
