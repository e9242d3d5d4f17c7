"""
Changing groups over real HTTP, with trouble in the middle: no second group, no lost member, no second message.

A task retry is a second `execute` of the same operator.
"""

import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificConnectionError,
    ProlificError,
    ProlificResponseError,
)
from airflow_provider_prolific.hooks.prolific import ProlificHook
from airflow_provider_prolific.operators.participant_groups import (
    ProlificCreateParticipantGroupOperator,
    ProlificDeleteParticipantGroupOperator,
    ProlificMessageParticipantGroupOperator,
)
from airflow_provider_prolific.operators.participants import (
    ProlificAddParticipantsOperator,
    ProlificListParticipantsOperator,
    ProlificRemoveParticipantsOperator,
    ProlificSyncParticipantsOperator,
)

ROOT = Path(__file__).parent.parent.parent
UNKNOWN = "ffff00000000000000000001"


MESSAGE_DAG = """
from datetime import datetime, timedelta
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.participant_groups import ProlificMessageParticipantGroupOperator

default_args = {{"retries": 2, "retry_delay": timedelta(0)}}
with DAG("tell", schedule=None, start_date=datetime(2026, 1, 1), default_args=default_args) as dag:
    ProlificMessageParticipantGroupOperator{arguments}
"""


OUTPUTS_DAG = """
from datetime import datetime
try:
    from airflow.sdk import DAG, task_group
except ImportError:
    from airflow.decorators import task_group
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.participant_groups import ProlificCreateParticipantGroupOperator
from airflow_provider_prolific.operators.participants import (
    ProlificAddParticipantsOperator,
    ProlificListParticipantsOperator,
)

with DAG("outputs", schedule=None, start_date=datetime(2026, 1, 1), render_template_as_native_obj=True) as dag:
    create = ProlificCreateParticipantGroupOperator(task_id="create", name="One", participant_ids={ids})
    members = ProlificListParticipantsOperator(task_id="members", participant_group=create.output["id"])
    add = ProlificAddParticipantsOperator(task_id="add", participant_group="Other", participant_ids=members.output)
    ProlificListParticipantsOperator(task_id="after", participant_group=add.output["id"])

    each = ProlificCreateParticipantGroupOperator.partial(task_id="each").expand(name=["Two", "Three"])
    ProlificListParticipantsOperator.partial(task_id="members_of_each").expand(
        participant_group=each.output.map(lambda group: group["id"])
    )

    @task_group
    def pair(name):
        created = ProlificCreateParticipantGroupOperator(task_id="create", name=name, participant_ids={ids})
        ProlificListParticipantsOperator(task_id="members", participant_group=created.output["id"])

    pair.expand(name=["Four", "Five"])
"""


def participants(count: int, first: int = 1) -> list[str]:
    return [f"5f{number:022x}" for number in range(first, first + count)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook raises at the first failure, as it does after its last attempt."""
    assert ProlificHook.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(ProlificHook.__init__.__kwdefaults__, "max_retries", 0)


@pytest.fixture
def run(prolific: Emulator) -> Callable[..., Any]:
    """Make an operator; call it to run it, and again for a retry."""

    def make(operator_class: type, **arguments: Any) -> Callable[[], Any]:
        operator = operator_class(task_id="task", **arguments)
        return lambda: operator.execute({})

    return make


def kill_in_the_middle(prolific: Emulator, operator: str, requests: int) -> None:
    """Run an operator in a process of its own, and kill that while it waits for an answer.

    :param operator: Python source that makes the operator.
    :param requests: How many requests it has sent by then.
    """
    source = f"""
        from airflow_provider_prolific.operators.participant_groups import *
        from airflow_provider_prolific.operators.participants import *
        {operator}.execute({{}})
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while prolific.request_count() < requests:
            assert worker.poll() is None, "the operator ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        worker.kill()
        assert worker.wait() in (-signal.SIGKILL, 0, 1)
    prolific.clear_faults()


class TestCreate:
    def test_it_is_created_once_and_found_ever_after(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        create = run(
            ProlificCreateParticipantGroupOperator, name="New", description="Just so", participant_ids=participants(3)
        )
        group = create()
        assert create() == group
        assert [found["id"] for found in prolific.groups("New")] == [group["id"]]
        assert (group["description"], group["participant_count"]) == ("Just so", 3)
        assert group["workspace_id"] == prolific.workspace_id

    @pytest.mark.parametrize("if_exists", ["return", "fail"])
    @pytest.mark.parametrize("fault", ["lost_answer", "truncate"])
    @pytest.mark.usefixtures("impatient")
    def test_a_lost_answer_makes_no_second_group(
        self, prolific: Emulator, run: Callable[..., Any], fault: str, if_exists: str
    ) -> None:
        prolific.add_fault(fault, method="POST", path="participant-groups/$", count=1)
        create = run(
            ProlificCreateParticipantGroupOperator,
            name="New",
            participant_ids=participants(1100),
            if_exists=if_exists,
        )
        group = create()
        assert [found["id"] for found in prolific.groups("New")] == [group["id"]]
        assert list(prolific.members(group["id"])) == participants(1100)

    @pytest.mark.usefixtures("impatient")
    def test_a_retry_finds_what_the_first_try_could_not_see(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        prolific.add_fault("lost_answer", method="POST", count=1)
        prolific.add_fault("html", method="GET", after=1, count=1)
        create = run(ProlificCreateParticipantGroupOperator, name="New", participant_ids=participants(2))
        with pytest.raises(ProlificConnectionError, match="the group may have been created"):
            create()
        group = create()
        assert [found["id"] for found in prolific.groups("New")] == [group["id"]]
        assert group["participant_count"] == 2

    @pytest.mark.usefixtures("impatient")
    def test_a_creation_that_never_arrived_is_made_by_the_retry(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        prolific.add_fault("disconnect", method="POST", count=1)
        create = run(ProlificCreateParticipantGroupOperator, name="New", if_exists="fail")
        with pytest.raises(ProlificConnectionError, match="the group may have been created"):
            create()
        assert prolific.groups("New") == []
        create()
        assert len(prolific.groups("New")) == 1

    @pytest.mark.usefixtures("impatient")
    def test_a_retry_completes_a_long_list_that_broke_off(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        prolific.add_fault("status", status=503, method="POST", path="participants/$", after=1, count=1)
        create = run(ProlificCreateParticipantGroupOperator, name="New", participant_ids=participants(1100))
        with pytest.raises(ProlificApiError, match="chunk 2 of 3"):
            create()
        assert create()["participant_count"] == 1100
        assert len(prolific.groups("New")) == 1

    def test_a_killed_worker_leaves_a_group_that_the_retry_takes_up(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        prolific.add_fault("slow", seconds=5, method="POST", path="participants/$", after=1)
        arguments = "task_id='t', name='New', participant_ids=[f'5f{n:022x}' for n in range(1, 1101)]"
        kill_in_the_middle(prolific, f"ProlificCreateParticipantGroupOperator({arguments})", requests=4)
        create = run(ProlificCreateParticipantGroupOperator, name="New", participant_ids=participants(1100))
        assert create()["participant_count"] == 1100
        assert len(prolific.groups("New")) == 1

    def test_a_name_that_must_be_new_is_an_error_where_it_is_taken(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        taken = prolific.create_group("Taken")
        with pytest.raises(ProlificError, match=taken):
            run(ProlificCreateParticipantGroupOperator, name="Taken", if_exists="fail")()

    def test_a_name_that_two_groups_share_is_an_error(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        first, second = prolific.create_groups(2, "Twice")
        with pytest.raises(ProlificError, match=f"{first}, {second}"):
            run(ProlificCreateParticipantGroupOperator, name="Twice", participant_ids=participants(1))()
        assert prolific.group(first)["participant_count"] == 0

    def test_a_group_of_the_name_elsewhere_or_deleted_does_not_count(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        elsewhere = prolific.create_group("New", workspace_id="64a000000000000000000002")
        deleted = prolific.create_group("New")
        prolific.set_group(deleted, is_deleted=True)
        assert run(ProlificCreateParticipantGroupOperator, name="New")()["id"] not in (elsewhere, deleted)

    def test_an_unknown_participant_fails_the_task_and_the_group_has_the_others(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        ids = [*participants(600), UNKNOWN, *participants(300, first=601)]
        create = run(ProlificCreateParticipantGroupOperator, name="New", participant_ids=ids)
        with pytest.raises(ProlificError, match=r"position 601 of participant_ids") as failure:
            create()
        assert UNKNOWN not in str(failure.value)
        [group] = prolific.groups("New")
        assert sorted(prolific.members(group["id"])) == participants(900)
        retry = run(
            ProlificCreateParticipantGroupOperator, name="New", participant_ids=ids, on_unknown_participant="skip"
        )()
        assert (retry["id"], retry["participant_count"], retry["skipped"]) == (group["id"], 900, 1)

    def test_a_look_alike_is_made_only_where_that_is_allowed(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        twin = prolific.create_group("Wave 1 ")
        with pytest.raises(ProlificError, match=rf"'Wave 1 ' \({twin}\): .* allow_similar=True"):
            run(ProlificCreateParticipantGroupOperator, name="Wave 1")()
        assert run(ProlificCreateParticipantGroupOperator, name="Wave 1", allow_similar=True)()["id"] != twin


class TestAddAndRemove:
    def test_members_come_and_go(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(2))
        added = run(ProlificAddParticipantsOperator, participant_group=group_id, participant_ids=participants(1200))()
        assert added == {"id": group_id, "name": "G", "participant_count": 1200}
        removed = run(
            ProlificRemoveParticipantsOperator,
            participant_group=group_id,
            participant_ids=participants(1300, first=3),
        )()
        assert removed == {"id": group_id, "name": "G", "participant_count": 2}
        listed = run(ProlificListParticipantsOperator, participant_group=group_id)()
        assert listed == participants(2)

    @pytest.mark.parametrize("fault", ["lost_answer", "disconnect", "truncate", "html", "status"])
    @pytest.mark.parametrize(
        ("operator_class", "before", "after"),
        [
            (ProlificAddParticipantsOperator, 3, 1200),
            (ProlificRemoveParticipantsOperator, 1203, 3),
        ],
    )
    @pytest.mark.usefixtures("impatient")
    def test_a_retry_completes_what_broke_off_after_the_first_chunk(
        self, prolific: Emulator, run: Callable[..., Any], operator_class: type, before: int, after: int, fault: str
    ) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(before))
        prolific.add_fault(
            fault, path="participants/$", after=1, count=1, **({"status": 500} if fault == "status" else {})
        )
        ids = participants(1200) if before < after else participants(1200, first=4)
        change = run(operator_class, participant_group=group_id, participant_ids=ids)
        with pytest.raises(ProlificError, match=r"^chunk 2 of 3 \(participants 501 to 1000\) failed, 500 had been"):
            change()
        assert change()["participant_count"] == after
        assert sorted(prolific.members(group_id)) == participants(after)

    @pytest.mark.parametrize("operator_class", [ProlificAddParticipantsOperator, ProlificRemoveParticipantsOperator])
    def test_what_passes_by_itself_needs_no_task_retry(
        self, prolific: Emulator, run: Callable[..., Any], operator_class: type
    ) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(1))
        prolific.add_fault("lost_answer", path="participants/$", count=1)
        prolific.add_fault("status", status=429, retry_after=0, path="participants/$", count=1)
        run(operator_class, participant_group=group_id, participant_ids=participants(1))()
        assert [request["fault"] for request in prolific.requests()] == [*(None, "lost_answer", "status", None, None)]

    @pytest.mark.parametrize("count", [1, 3, 40])
    @pytest.mark.parametrize("on_unknown_participant", ["fail", "skip"])
    def test_unknown_participants_are_found_and_all_others_added(
        self, prolific: Emulator, run: Callable[..., Any], on_unknown_participant: str, count: int
    ) -> None:
        group_id = prolific.create_group("G")
        ids = participants(1200)
        positions = sorted(random.Random(count).sample(range(1, 1201), count))
        for number, position in enumerate(positions):
            ids[position - 1] = f"ffff{number:020x}"
        add = run(
            ProlificAddParticipantsOperator,
            participant_group=group_id,
            participant_ids=ids,
            on_unknown_participant=on_unknown_participant,
        )
        if on_unknown_participant == "skip":
            assert add() == {"id": group_id, "name": "G", "participant_count": 1200 - count, "skipped": count}
        else:
            with pytest.raises(ProlificError) as failure:
                add()
            assert f" {', '.join(map(str, positions))} of participant_ids" in str(failure.value)
            assert "ffff" not in str(failure.value)
        assert set(prolific.members(group_id)) == {member for member in ids if not member.startswith("ffff")}
        sent = [request for request in prolific.requests() if request["method"] == "POST"]
        assert len(sent) <= 3 + 2 * count * math.log2(500)

    def test_a_list_of_other_ids_is_given_up(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G")
        ids = [f"ffff{number:020x}" for number in range(500)]
        add = run(ProlificAddParticipantsOperator, participant_group=group_id, participant_ids=ids)
        with pytest.raises(ProlificError, match="more than 50 of 500 participants are unknown to Prolific"):
            add()

    def test_a_deleted_group_is_refused(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G")
        prolific.set_group(group_id, is_deleted=True)
        for ids in ([], participants(1)):
            with pytest.raises(ProlificError, match=r"has been deleted|404"):
                run(ProlificAddParticipantsOperator, participant_group=group_id, participant_ids=ids)()


class TestList:
    def test_all_members_are_listed(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(950))
        assert run(ProlificListParticipantsOperator, participant_group=group_id)() == participants(950)

    @pytest.mark.usefixtures("impatient")
    def test_half_an_answer_is_no_list(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(50))
        listing = run(ProlificListParticipantsOperator, participant_group=group_id)
        prolific.add_fault("truncate", path="participants/$", count=1)
        with pytest.raises(ProlificConnectionError):
            listing()
        prolific.add_fault(
            "body", path="participants/$", text=f'{{"results": [{{"participant_id": "{participants(1)[0]}"', count=1
        )
        with pytest.raises(ProlificResponseError, match="is not JSON") as failure:
            listing()
        assert participants(1)[0] not in str(failure.value)
        assert listing() == participants(50)


class TestSync:
    def test_the_membership_becomes_the_list(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(10))
        sync = run(
            ProlificSyncParticipantsOperator, participant_group=group_id, participant_ids=participants(10, first=4)
        )
        assert sync() == {"id": group_id, "name": "G", "added": 3, "removed": 3, "unchanged": 7}
        assert sync() == {"id": group_id, "name": "G", "added": 0, "removed": 0, "unchanged": 10}
        assert sorted(prolific.members(group_id)) == participants(10, first=4)

    def test_too_many_removals_change_nothing(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(10))
        sync = run(
            ProlificSyncParticipantsOperator,
            participant_group=group_id,
            participant_ids=participants(10, first=4),
            max_removals=2,
        )
        with pytest.raises(ProlificError, match="would remove 3 of the 10 members"):
            sync()
        assert sorted(prolific.members(group_id)) == participants(10)

    def test_who_joins_between_the_look_and_the_change_is_not_lost(
        self, prolific: Emulator, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(3))
        look = ProlificHook.list_participants

        def look_and_somebody_joins(hook: ProlificHook, participant_group_id: str) -> Any:
            members = look(hook, participant_group_id)
            prolific.set_group(group_id, add_members=1)
            return members

        monkeypatch.setattr(ProlificHook, "list_participants", look_and_somebody_joins)
        run(ProlificSyncParticipantsOperator, participant_group=group_id, participant_ids=participants(2))()
        members = list(prolific.members(group_id))
        assert members[:2] == participants(2)
        assert len(members) == 3

    @pytest.mark.parametrize("fault", ["lost_answer", "disconnect", "html"])
    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    @pytest.mark.usefixtures("impatient")
    def test_a_retry_completes_what_broke_off(
        self, prolific: Emulator, run: Callable[..., Any], method: str, fault: str
    ) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(1100))
        wanted = participants(1100, first=1001)
        prolific.add_fault(fault, method=method, path="participants/$", after=1, count=1)
        sync = run(ProlificSyncParticipantsOperator, participant_group=group_id, participant_ids=wanted)
        with pytest.raises(ProlificError, match=r"^chunk 2 of 2 "):
            sync()
        assert set(participants(100, first=1001)) <= set(prolific.members(group_id))
        sync()
        assert sorted(prolific.members(group_id)) == wanted

    def test_a_killed_worker_leaves_what_the_retry_completes(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G", participant_ids=participants(1100))
        prolific.add_fault("slow", seconds=5, method="DELETE", after=1)
        arguments = f"task_id='t', participant_group='{group_id}', participant_ids=[f'5f{{n:022x}}' for n in (1, 2000)]"
        # the group, its members (asked for until none is new), one chunk to add, two to remove
        kill_in_the_middle(prolific, f"ProlificSyncParticipantsOperator({arguments})", requests=6)
        assert len(prolific.members(group_id)) == 601
        wanted = [*participants(1), *participants(1, first=2000)]
        run(ProlificSyncParticipantsOperator, participant_group=group_id, participant_ids=wanted)()
        assert sorted(prolific.members(group_id)) == wanted


FAULTS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["lost_answer", "disconnect", "truncate", "html", "empty"]),
        "method": st.sampled_from(["GET", "POST", "DELETE"]),
        "after": st.integers(0, 3),
        "count": st.integers(1, 6),
    }
).filter(lambda fault: fault["kind"] != "empty" or fault["method"] == "GET")  # an empty answer to a change is success
IDS = st.lists(st.sampled_from(participants(12)), max_size=16)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=IDS, wanted=IDS, chunk_size=st.integers(1, 6), faults=st.lists(FAULTS, max_size=3), retries=st.integers(0, 2)
)
def test_a_sync_ends_right_or_fails_and_then_ends_right(
    prolific: Emulator,
    before: list[str],
    wanted: list[str],
    chunk_size: int,
    faults: list[dict[str, Any]],
    retries: int,
) -> None:
    group_id = prolific.create_group("G", participant_ids=before)
    sync = ProlificSyncParticipantsOperator(
        task_id="task", participant_group=group_id, participant_ids=wanted, allow_empty=True
    )
    unchanged = set(before) & set(wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: None)
        assert ProlificHook.__init__.__kwdefaults__ is not None
        patch.setitem(ProlificHook.__init__.__kwdefaults__, "max_retries", retries)
        patch.setattr("airflow_provider_prolific.hooks.participant_groups.CHUNK_SIZE", chunk_size)
        for fault in faults:
            prolific.add_fault(**fault)
        try:
            result = sync.execute({})
        except ProlificError:
            result = None
        prolific.clear_faults()
        members = set(prolific.members(group_id))
        assert unchanged <= members <= set(before) | set(wanted)
        if result is None:
            sync.execute({})
        else:
            assert result == {
                "id": group_id,
                "name": "G",
                "added": len(set(wanted) - set(before)),
                "removed": len(set(before) - set(wanted)),
                "unchanged": len(unchanged),
            }
    assert set(prolific.members(group_id)) == set(wanted)


class TestDelete:
    def test_a_group_is_deleted_and_stays_so(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G")
        delete = run(ProlificDeleteParticipantGroupOperator, participant_group=group_id)
        delete()
        delete()
        assert prolific.group(group_id)["is_deleted"] is True

    @pytest.mark.usefixtures("impatient")
    def test_a_lost_answer_ends_right(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.create_group("G")
        prolific.add_fault("lost_answer", method="DELETE", count=1)
        run(ProlificDeleteParticipantGroupOperator, participant_group=group_id)()
        assert prolific.group(group_id)["is_deleted"] is True

    @pytest.mark.usefixtures("impatient")
    def test_a_retry_after_a_lost_answer_and_an_outage_ends_right(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        group_id = prolific.create_group("G")
        prolific.add_fault("lost_answer", method="DELETE", count=1)
        prolific.add_fault("html", method="GET", after=1, count=1)
        delete = run(ProlificDeleteParticipantGroupOperator, participant_group=group_id)
        with pytest.raises(ProlificConnectionError):
            delete()
        delete()
        assert prolific.group(group_id)["is_deleted"] is True

    @pytest.mark.usefixtures("impatient")
    def test_a_deletion_that_never_arrived_is_made_by_the_retry(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        group_id = prolific.create_group("G")
        prolific.add_fault("disconnect", method="DELETE", count=1)
        delete = run(ProlificDeleteParticipantGroupOperator, participant_group=group_id)
        with pytest.raises(ProlificConnectionError):
            delete()
        delete()
        assert prolific.group(group_id)["is_deleted"] is True

    def test_a_group_that_a_live_study_fills_is_kept_unless_forced(
        self, prolific: Emulator, run: Callable[..., Any]
    ) -> None:
        group_id = prolific.group_id("Wave 1 completed")
        with pytest.raises(ProlificError, match=r"'Memory wave 1' \(64d000000000000000000002, ACTIVE\)"):
            run(ProlificDeleteParticipantGroupOperator, participant_group=group_id)()
        assert prolific.group(group_id)["is_deleted"] is False
        run(ProlificDeleteParticipantGroupOperator, participant_group=group_id, force=True)()
        assert prolific.group(group_id)["is_deleted"] is True

    def test_a_group_of_a_completed_study_is_deleted(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.group_id("Bilingual readers")
        run(ProlificDeleteParticipantGroupOperator, participant_group=group_id)()
        assert prolific.group(group_id)["is_deleted"] is True


class TestMessage:
    def test_it_is_sent(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        group_id = prolific.group_id("Exclusion list")
        run(ProlificMessageParticipantGroupOperator, participant_group=group_id, body="Hello")()
        [message] = prolific.messages()
        assert (message["participant_group_id"], message["body"], message["study_id"]) == (group_id, "Hello", None)

    def test_a_lost_answer_is_told_and_nothing_is_sent_twice(self, prolific: Emulator, run: Callable[..., Any]) -> None:
        prolific.add_fault("lost_answer", method="POST", count=1)
        message = run(
            ProlificMessageParticipantGroupOperator,
            participant_group=prolific.group_id("Exclusion list"),
            body="Hello",
        )
        with pytest.raises(ProlificConnectionError, match=r"^the message may have been sent"):
            message()
        assert len(prolific.messages()) == 1

    @pytest.mark.parametrize(
        ("arguments", "times"),
        [
            ("(task_id='tell', body='Hello', participant_group={group_id!r})", 1),
            ("(task_id='tell', body='Hello', participant_group={group_id!r}, retries=1)", 2),
            (".partial(task_id='tell', body='Hello').expand(participant_group=[{group_id!r}])", 1),
        ],
        ids=["default_args alone", "retries of its own", "mapped"],
    )
    def test_airflow_runs_it_once_whatever_the_default_args_say(
        self, prolific: Emulator, run_dag: Callable[..., Any], arguments: str, times: int
    ) -> None:
        prolific.add_fault("lost_answer", method="POST")
        arguments = arguments.format(group_id=prolific.group_id("Exclusion list"))

        run = run_dag(MESSAGE_DAG.format(arguments=arguments))

        assert run.state == "failed"
        assert len(prolific.messages()) == times


def test_a_key_of_a_result_is_passed_on_in_a_dag(prolific: Emulator, run_dag: Callable[..., Any]) -> None:
    other = prolific.create_group("Other")

    ids = participants(2)

    run = run_dag(OUTPUTS_DAG.format(ids=ids))

    assert run.state == "success"
    assert run.xcom("members") == run.xcom("after") == list(prolific.members(other)) == ids
    assert [run.xcom("members_of_each", index) for index in (0, 1)] == [[], []]
    assert [run.xcom("pair.members", index) for index in (0, 1)] == [ids, ids]
    assert {len(prolific.groups(name)) for name in ("One", "Two", "Three", "Four", "Five")} == {1}
