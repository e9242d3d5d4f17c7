"""The triggers of participant groups: that the wait reaches its gate, and what a watch announces and remembers.

The rules that the wait shares with others are shown in tests/unit/waiting.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import ChainMap, UserDict
from datetime import timedelta
from types import MappingProxyType

import pytest
from airflow.models.trigger import Trigger
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.triggers import participant_groups as module
from airflow_provider_prolific.triggers.participant_groups import (
    ProlificParticipantGroupEventTrigger,
    ProlificParticipantGroupTrigger,
)
from airflow_provider_prolific.version_compat import HAS_EVENT_TRIGGERS

NAME = "Screened adults"
GROUPS_URL = "https://api.prolific.com/api/v1/participant-groups/"
needs_airflow_3 = pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="event-driven scheduling came with Airflow 3")


def status(count, target=300, **changes):
    return {
        "id": "g1",
        "name": NAME,
        "participant_count": count,
        "target_count": target,
        "reached": count >= target,
        **changes,
    }


@pytest.fixture
def lists(api):
    """Answer the next listing with these groups, all in one page; the last such answer stays."""
    return lambda *groups: api.lists(*groups, meta={"count": len(groups)})


class TestWait:
    @staticmethod
    def trigger(seconds=10.0, **arguments):
        """Make a trigger whose deadline is so many seconds away."""
        arguments = {"targets": {NAME: 300}, "poke_interval": 0.1, "deadline": time.time() + seconds, **arguments}
        return ProlificParticipantGroupTrigger(**arguments)

    def test_its_arguments_come_back_from_airflows_database_in_their_normal_form(self):
        arguments = {"targets": {NAME: 300}, "filter": {"project_id": "p1"}, "active": None, "match": "any"}

        row = Trigger.from_object(self.trigger(**arguments, if_missing="wait"))

        assert row.classpath == "airflow_provider_prolific.triggers.participant_groups.ProlificParticipantGroupTrigger"
        assert arguments.items() <= row.kwargs.items()
        assert row.kwargs["if_missing"] == "wait"
        assert type(row.kwargs["targets"][NAME]) is int
        assert ProlificParticipantGroupTrigger(**row.kwargs).serialize()[1] == row.kwargs

    @pytest.mark.parametrize("mapping", [dict, MappingProxyType, UserDict, ChainMap])
    def test_a_mapping_may_be_of_any_kind(self, mapping):
        _, kwargs = self.trigger(targets=mapping({NAME: "300"}), filter=mapping({"project_id": "p1"})).serialize()

        stored = json.loads(json.dumps(kwargs))

        assert (stored["targets"], stored["filter"]) == ({NAME: 300}, {"project_id": "p1"})
        assert ProlificParticipantGroupTrigger(**stored).serialize()[1] == stored

    @pytest.mark.parametrize(
        "stored", [{"filter": "mappingproxy({'project_id': 'p1'})"}, {"targets": []}, {"match": 1}, {"active": "maybe"}]
    )
    def test_what_another_version_stored_ends_as_an_error_event(self, event_of, stored):
        event = event_of(self.trigger(**stored))

        assert (event["status"], event["groups"]) == ("error", [])
        assert event["message"].startswith(f"ProlificValueError: {next(iter(stored))} must ")

    def test_a_success_says_how_all_targets_stand(self, lists, connection, group, event_of):
        lists(group("g1", NAME, 312), group("g2", "B", 7))

        assert event_of(self.trigger(targets={NAME: 300, "g2": 5})) == {
            "status": "success",
            "groups": [status(312), status(7, 5, id="g2", name="B")],
            "message": "'Screened adults' has 312 of 300 (104%); 'B' has 7 of 5 (140%)",
        }

    def test_a_time_out_names_who_is_short(self, lists, connection, group, event_of):
        lists(group("g1", NAME, 120), group("g2", "B", 7))

        event = event_of(self.trigger(0.1, targets={NAME: 300, "B": 5}))

        assert (event["status"], event["message"]) == ("timeout", "'Screened adults' has 120 of 300 (40%)")

    @pytest.mark.parametrize(
        ("groups", "words"),
        [
            ([], "no participant group 'Screened adults' in workspace "),
            ([{"is_deleted": True}], "'Screened adults' (g0) has been deleted"),
            ([{}, {}], "2 participant groups are named 'Screened adults': g0, g1"),
            ([{"workspace_id": "another"}], "the scope was ignored"),
        ],
        ids=["missing", "deleted", "shared name", "ignored scope"],
    )
    def test_groups_that_cannot_be_waited_for_end_the_wait_at_once(
        self, lists, connection, group, event_of, groups, words
    ):
        lists(*(group(f"g{number}", NAME, 300, **fields) for number, fields in enumerate(groups)))

        event = event_of(self.trigger(600, active=None))

        assert event["status"] == "error"
        assert words in event["message"]

    def test_any_of_the_targets_may_be_enough(self, lists, connection, group, event_of):
        lists(group("g1", NAME, 120), group("g2", "B", 5))

        assert event_of(self.trigger(targets={NAME: 300, "B": 5}, match="any"))["status"] == "success"

    def test_a_group_that_is_still_to_be_created_can_be_waited_for(self, lists, connection, group, event_of):
        lists()
        lists(group("g1", NAME, 300, is_deleted=True))
        lists(group("g1", NAME, 300))

        assert event_of(self.trigger(if_missing="wait", active=None))["groups"] == [status(300)]

    def test_a_group_that_never_came_is_named_at_the_time_out(self, lists, connection, event_of):
        lists()

        assert event_of(self.trigger(0.1, if_missing="wait")) == {
            "status": "timeout",
            "groups": [{"id": None, "name": NAME, "participant_count": None, "target_count": 300, "reached": False}],
            "message": "'Screened adults' does not exist yet (target 300)",
        }

    def test_filter_active_and_connection_reach_the_request(self, api, lists, connect, group, event_of):
        connect("other", password="other-token")
        lists(group("g1", NAME, 300, project_id="p1", is_deleted=False))

        event = event_of(self.trigger(filter={"project_id": "p1"}, active=None, prolific_conn_id="other"))

        assert event["status"] == "success"
        [request] = api.requests
        assert request.headers["Authorization"] == "Token other-token"
        assert "project_id=p1" in request.url
        assert "active" not in request.url


def watcher(**arguments):
    arguments = {"participant_group": NAME, "milestones": [10, 20, 30], "poke_interval": 0.1, **arguments}
    if arguments.get("every") is not None:
        del arguments["milestones"]
    return ProlificParticipantGroupEventTrigger(**arguments)


@pytest.mark.skipif(HAS_EVENT_TRIGGERS, reason="this Airflow has event-driven scheduling")
def test_airflow_2_is_told_what_it_lacks():
    with pytest.raises(ProlificError, match="needs Airflow 3"):
        watcher()


@needs_airflow_3
class TestWatchArguments:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ({"milestones": (30, " 10 ", 10)}, {"milestones": [10, 30], "every": None}),
            ({"every": "50"}, {"milestones": None, "every": 50}),
            *(
                ({"filter": mapping({"project_id": "p1"})}, {"filter": {"project_id": "p1"}})
                for mapping in (dict, MappingProxyType, UserDict, ChainMap)
            ),
            ({"poke_interval": timedelta(seconds=5)}, {"poke_interval": 5.0}),
            ({"poke_interval": timedelta.max}, {"poke_interval": pytest.approx(timedelta.max.total_seconds())}),
        ],
        ids=str,
    )
    def test_they_are_kept_in_a_form_that_is_the_same_after_airflows_json(self, given, kept):
        path, kwargs = watcher(**given).serialize()

        stored = json.loads(json.dumps(kwargs, allow_nan=False))

        assert kept.items() <= stored.items()
        assert ProlificParticipantGroupEventTrigger(**stored).serialize() == (path, stored)
        assert Trigger.from_object(watcher(**given)).kwargs == stored

    @pytest.mark.parametrize(
        ("bad", "words"),
        [
            ({"participant_group": " "}, "participant_group must be"),
            ({"milestones": []}, "milestones must be a list"),
            ({"milestones": [0]}, "milestones[0] must be a whole number"),
            ({"milestones": [10**18]}, "milestones[0] must be a whole number"),
            ({"milestones": None}, "give either milestones="),
            ({"every": True}, "every must be a whole number"),
            ({"filter": {}}, "filter must be"),
            ({"prolific_conn_id": None}, "prolific_conn_id must be"),
            ({"poke_interval": 0}, "poke_interval must be at least 0.1 seconds"),
            *(
                ({"poke_interval": value}, "poke_interval must be a timedelta or a number of seconds")
                for value in (math.nan, math.inf, -1, timedelta(-1), "5", True, None)
            ),
            *(
                ({name: "{{ var.value.x }}"}, f"{name} must not be a template, nothing renders it here")
                for name in ("participant_group", "filter", "milestones", "every", "poke_interval", "prolific_conn_id")
            ),
            ({"filter": {"project_id": "{{ x }}"}}, "filter must not be a template"),
            ({"milestones": ["{{ x }}"]}, "milestones must not be a template"),
        ],
        ids=str,
    )
    def test_a_bad_one_is_refused_in_words_while_the_dag_is_parsed(self, bad, words):
        with pytest.raises(ProlificValueError) as refusal:
            watcher(**bad)

        assert str(refusal.value).startswith(words)

    @given(
        st.fixed_dictionaries(
            {"participant_group": st.text()},
            optional={
                "milestones": st.lists(st.integers() | st.integers().map(str) | st.floats() | st.booleans()),
                "every": st.integers() | st.floats() | st.text(),
                "poke_interval": st.integers() | st.floats() | st.timedeltas() | st.booleans(),
                "filter": st.sampled_from([{"project_id": "p1"}, MappingProxyType({"workspace_id": "w"}), {}, []]),
                "prolific_conn_id": st.sampled_from(["other", "", None, 7]),
            },
        )
    )
    def test_each_is_refused_in_words_or_comes_back_from_json_as_it_was(self, arguments):
        try:
            path, kwargs = ProlificParticipantGroupEventTrigger(**arguments).serialize()
        except ProlificValueError as refusal:
            assert str(refusal).isprintable()  # noqa: PT017 - either is right
            return

        stored = json.loads(json.dumps(kwargs, allow_nan=False))

        assert ProlificParticipantGroupEventTrigger(**stored).serialize() == (path, stored)

    @pytest.mark.parametrize(
        "changes", [{"filter": "mappingproxy({'project_id': 'p1'})"}, {"milestones": "[1]"}, {"poke_interval": "inf"}]
    )
    def test_what_another_version_stored_raises_nothing_and_is_logged_once(self, connection, record_log, changes):
        """An exception would end the triggerer, and a watch that ended would be begun anew every second."""
        log = record_log(ProlificParticipantGroupEventTrigger)
        stored = {**watcher().serialize()[1], **changes}

        async def main():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(ProlificParticipantGroupEventTrigger(**stored).run()), 0.3)

        asyncio.run(main())

        [line] = log.of_level("error")
        assert line.startswith("error: The watch cannot begin, correct its arguments in the DAG file: ")


class Store:
    """As much of Airflow's asset state store as a trigger uses; it outlives the trigger."""

    def __init__(self):
        self.values = {}
        self.fails = {"aget": 0, "aset": 0}
        self.hangs = False

    async def _trouble(self, call):
        if self.fails[call] > 0:
            self.fails[call] -= 1
            if self.hangs:
                await asyncio.sleep(60)
            raise ValueError("Task has 2 concrete inlets and outlets")

    async def aget(self, key, default=None):
        await self._trouble("aget")
        return self.values.get(key, default)

    async def aset(self, key, value):
        await self._trouble("aset")
        self.values[key] = json.loads(json.dumps(value))


@pytest.fixture
def watch(api, connection, group, lists):
    """Let watches see counts or failures, one after the other, and return the events of each."""

    def run(*counts, watchers=None, store=None, group_id="g1", looks=3):
        api.reset()
        begun = len(api.calls)
        for count in counts:
            if isinstance(count, dict):
                api.get(GROUPS_URL, **count)
            else:
                lists(group(group_id, NAME, count))

        async def collect(watching, events):
            watching.asset_state_store = store
            async for event in watching.run():
                events.append(event.payload)

        async def main():
            seen = [(watching, []) for watching in watchers or [watcher()]]
            tasks = [asyncio.create_task(collect(*one)) for one in seen]
            for _ in range(2000):
                if len(api.calls) - begun >= len(counts) + looks:
                    break
                await asyncio.sleep(0.01)
            assert not any(task.done() for task in tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return [events for _, events in seen]

        found = asyncio.run(main())
        return found if watchers else found[0]

    return run


@needs_airflow_3
class TestWatch:
    def test_each_milestone_is_announced_once_upwards(self, watch):
        events = watch(0, 9, 10, 15, 5, 12, 25, 31, 40)

        assert [(event["milestone"], event["participant_count"]) for event in events] == [(10, 10), (20, 25), (30, 31)]
        assert [event["previous_participant_count"] for event in events] == [None, 10, 25]

    def test_several_milestones_at_once_make_one_event_that_names_them(self, watch):
        assert watch(0, 29) == [
            {
                "id": "g1",
                "name": NAME,
                "participant_count": 29,
                "milestone": 20,
                "milestones": [10, 20],
                "previous_participant_count": None,
            }
        ]

    def test_every_step_is_a_milestone(self, watch):
        [events] = watch(4, 5, 14, watchers=[watcher(every=5)])

        assert [event["milestones"] for event in events] == [[5], [10]]

    def test_a_count_of_any_size_is_one_event_with_a_short_list(self, watch):
        [[event]] = watch(10**18 - 1, watchers=[watcher(every=1)])

        assert event["milestone"] == 10**18 - 1
        assert len(json.dumps(event)) < 10_000

    @pytest.mark.parametrize(
        "trouble", [{"status": 503}, {"status": 401}, {"body": "no JSON"}, {"json": {"results": []}}], ids=str
    )
    def test_no_failure_ends_a_watch(self, watch, trouble):
        events = watch(5, trouble, trouble, 12)

        assert [event["milestone"] for event in events] == [10]


@needs_airflow_3
class TestNotes:
    """What was announced is remembered over a restart, for each watcher and each group."""

    def test_a_watch_that_is_begun_anew_goes_on_from_the_store(self, watch):
        store = Store()

        before = watch(12, store=store)
        after = watch(15, 22, store=store)

        assert [event["milestone"] for event in before] == [10]
        assert [(event["milestone"], event["previous_participant_count"]) for event in after] == [(20, 12)]

    def test_without_a_store_it_announces_once_more(self, watch):
        assert [event["milestone"] for event in watch(12) + watch(12)] == [10, 10]

    def test_watchers_of_one_asset_have_a_note_each(self, watch):
        store = Store()

        before = watch(120, store=store, watchers=[watcher(milestones=[100]), watcher(milestones=[50])])
        after = watch(130, store=store, watchers=[watcher(milestones=[100]), watcher(milestones=[50])])

        assert [[event["milestone"] for event in events] for events in before] == [[100], [50]]
        assert after == [[], []]

    def test_another_interval_is_the_same_watcher(self, watch):
        store = Store()
        watch(12, store=store)

        assert watch(12, store=store, watchers=[watcher(poke_interval=0.2)]) == [[]]

    def test_a_group_that_is_made_again_under_its_name_begins_anew(self, watch):
        store = Store()
        watch(35, store=store)

        again = watch(5, 12, store=store, group_id="g2")

        assert [(event["id"], event["milestone"], event["previous_participant_count"]) for event in again] == [
            ("g2", 10, None)
        ]

    def test_a_store_that_is_away_for_a_moment_is_asked_again(self, watch):
        store = Store()
        watch(12, store=store)
        store.fails["aget"] = module.STORE_TRIES - 1

        assert watch(12, store=store, looks=6) == []

    @pytest.mark.parametrize("hangs", [False, True])
    def test_one_that_cannot_be_read_is_replaced_by_memory_which_is_said_once(
        self, watch, record_log, monkeypatch, hangs
    ):
        monkeypatch.setattr(module, "STORE_SECONDS", 0.05)
        log = record_log(ProlificParticipantGroupEventTrigger)
        store = Store()
        store.fails["aget"], store.hangs = 10**6, hangs

        events = watch(12, 12, 12, 15, 22, store=store, looks=4)

        assert [event["milestone"] for event in events] == [10, 20]
        [line] = [line for line in log.of_level("warning") if "cannot be read" in line]
        assert "again after each restart" in line

    @pytest.mark.parametrize("hangs", [False, True])
    def test_one_that_cannot_be_written_ends_no_watch(self, watch, record_log, monkeypatch, hangs):
        monkeypatch.setattr(module, "STORE_SECONDS", 0.05)
        log = record_log(ProlificParticipantGroupEventTrigger)
        store = Store()
        store.fails["aset"], store.hangs = 1, hangs

        events = watch(12, 22, store=store)

        assert [event["milestone"] for event in events] == [10, 20]
        [line] = log.of_level("warning")
        assert line.startswith("warning: Milestone 10 may be announced again after a restart: ")
