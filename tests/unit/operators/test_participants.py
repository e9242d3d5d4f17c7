"""The operators for the members of a group: their requests, results and refusals."""

from __future__ import annotations

import json

import pytest

from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError, ProlificValueError
from airflow_provider_prolific.operators.participants import (
    ProlificAddParticipantsOperator,
    ProlificListParticipantsOperator,
    ProlificRemoveParticipantsOperator,
    ProlificSyncParticipantsOperator,
)

GROUP_ID = "64e000000000000000000003"
GROUP_URL = f"https://api.prolific.com/api/v1/participant-groups/{GROUP_ID}/"
PARTICIPANTS_URL = f"{GROUP_URL}participants/"
A, B, C, D = (f"5f{number:022x}" for number in range(1, 5))
UNKNOWN = "ffff00000000000000000001"

GROUP, MEMBERS = f"GET {GROUP_ID}/", f"GET {GROUP_ID}/participants/"
ADD, REMOVE = f"POST {GROUP_ID}/participants/", f"DELETE {GROUP_ID}/participants/"


@pytest.fixture
def adds(api):
    """Let the API add everybody but the unknown one."""

    def add(request):
        if UNKNOWN in json.loads(request.body)["participant_ids"]:
            return 400, {}, json.dumps({"error": {"error_code": 140003, "detail": f"{UNKNOWN} is unknown"}})
        return 200, {}, json.dumps({"results": []})

    api.add_callback("POST", PARTICIPANTS_URL, add)


class TestList:
    def test_the_ids_are_returned_and_only_counted_in_the_log(self, api, run, group):
        api.get(GROUP_URL, json=group(GROUP_ID, "G"))
        api.get(PARTICIPANTS_URL, json={"results": [{"participant_id": B}, {"participant_id": A}]})
        assert run(ProlificListParticipantsOperator, participant_group=GROUP_ID) == [B, A]
        assert run.log == ["info: Participant group 'G' has 2 participants"]


@pytest.mark.parametrize(
    ("operator_class", "method", "change"),
    [(ProlificAddParticipantsOperator, "POST", ADD), (ProlificRemoveParticipantsOperator, "DELETE", REMOVE)],
)
class TestAddAndRemove:
    @pytest.fixture(autouse=True)
    def _group(self, api, group):
        api.get(GROUP_URL, json=group(GROUP_ID, "G", participant_count=7))

    def test_the_group_is_read_after_the_change(self, api, run, calls, bodies, operator_class, method, change):
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        result = run(operator_class, participant_group=GROUP_ID, participant_ids=[B, A, B])
        assert result == {"id": GROUP_ID, "name": "G", "participant_count": 7}
        assert calls() == [GROUP, change, GROUP]
        assert bodies() == [{"participant_ids": [B, A]}]

    def test_a_group_may_be_given_by_its_name(self, api, run, lists, calls, group, operator_class, method, change):
        lists(group(GROUP_ID, "G"))
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        assert run(operator_class, participant_group="G", participant_ids=[A])["id"] == GROUP_ID
        assert calls() == ["GET ", change, GROUP]

    def test_nobody_is_sent_for_an_empty_list(self, run, bodies, operator_class, method, change):
        assert run(operator_class, participant_group=GROUP_ID, participant_ids=[])["participant_count"] == 7
        assert bodies() == []

    def test_a_failed_chunk_is_told_and_no_id_is_shown(self, api, run, operator_class, method, change, participants):
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        api.add(method, PARTICIPANTS_URL, status=403, json={"detail": {"participant_ids": participants(600)}})
        with pytest.raises(ProlificApiError, match=r"^chunk 2 of 2 \(participants 501 to 600\)") as failure:
            run(operator_class, participant_group=GROUP_ID, participant_ids=participants(600))
        assert "5f0" not in f"{failure.value} {failure.value.detail}"

    def test_the_log_counts_and_shows_no_id(self, api, run, operator_class, method, change):
        api.add(method, PARTICIPANTS_URL, json={"results": []})
        run(operator_class, participant_group=GROUP_ID, participant_ids=[A])
        assert run.log == ["info: Participant group 'G' now has 7 participants"]


@pytest.mark.parametrize("operator_class", [ProlificAddParticipantsOperator, ProlificRemoveParticipantsOperator])
def test_a_deleted_group_is_not_changed(api, run, bodies, group, operator_class):
    api.get(GROUP_URL, json=group(GROUP_ID, "G", is_deleted=True))
    with pytest.raises(ProlificError, match="has been deleted"):
        run(operator_class, participant_group=GROUP_ID, participant_ids=[A])
    assert bodies() == []


class TestAddUnknown:
    @pytest.fixture(autouse=True)
    def _group(self, api, adds, group):
        api.get(GROUP_URL, json=group(GROUP_ID, "G", participant_count=2))

    def test_the_task_fails_with_their_positions_when_the_others_are_added(self, run, bodies):
        with pytest.raises(ProlificError) as failure:
            run(ProlificAddParticipantsOperator, participant_group=GROUP_ID, participant_ids=[A, A, UNKNOWN, B])
        assert str(failure.value) == (
            "Prolific does not know 1 of the participants: position 3 of participant_ids. All the others have been "
            'added. Correct the list, or set on_unknown_participant="skip"'
        )
        assert {A, B} <= {participant_id for body in bodies() for participant_id in body["participant_ids"]}

    def test_they_can_be_skipped(self, run):
        result = run(
            ProlificAddParticipantsOperator,
            participant_group=GROUP_ID,
            participant_ids=[A, UNKNOWN, B],
            on_unknown_participant="skip",
        )
        assert result == {"id": GROUP_ID, "name": "G", "participant_count": 2, "skipped": 1}
        assert run.log == ["info: Participant group 'G' now has 2 participants; skipped 1 that Prolific does not know"]

    def test_nobody_is_skipped_where_all_are_known(self, run):
        arguments = {"participant_group": GROUP_ID, "participant_ids": [A], "on_unknown_participant": "skip"}
        assert run(ProlificAddParticipantsOperator, **arguments)["skipped"] == 0


class TestSync:
    @pytest.fixture
    def run_sync(self, api, run, adds, group):
        """Sync a group that has these members."""

        def execute(members, **arguments):
            api.get(GROUP_URL, json=group(GROUP_ID, "G", participant_count=len(members)))
            rows = [{"participant_id": member} for member in members]
            api.get(PARTICIPANTS_URL, json={"results": rows, "meta": {"count": len(rows)}})
            api.delete(PARTICIPANTS_URL, json={"results": []})
            return run(ProlificSyncParticipantsOperator, participant_group=GROUP_ID, **arguments)

        return execute

    def test_the_difference_is_sent_additions_first(self, run_sync, calls, bodies):
        result = run_sync([A, B, C], participant_ids=[D, B, D])
        assert result == {"id": GROUP_ID, "name": "G", "added": 1, "removed": 2, "unchanged": 1}
        assert calls() == [GROUP, MEMBERS, ADD, REMOVE]
        assert bodies() == [{"participant_ids": [D]}, {"participant_ids": [A, C]}]

    def test_nothing_is_sent_where_nothing_differs(self, run_sync, calls):
        result = run_sync([A, B], participant_ids=[B, A])
        assert result == {"id": GROUP_ID, "name": "G", "added": 0, "removed": 0, "unchanged": 2}
        assert calls() == [GROUP, MEMBERS]

    def test_an_empty_list_is_refused_while_the_dag_is_parsed(self):
        with pytest.raises(ProlificValueError, match=r"^participant_ids is empty, .* allow_empty=True"):
            ProlificSyncParticipantsOperator(task_id="sync", participant_group="G", participant_ids=[])

    @pytest.mark.parametrize("allow_empty", [False, "False", "false"])
    def test_an_empty_list_that_was_rendered_is_refused_before_any_request(self, api, allow_empty):
        sync = ProlificSyncParticipantsOperator(
            task_id="sync", participant_group="G", participant_ids="{{ ids }}", allow_empty=allow_empty
        )
        sync.participant_ids = []
        with pytest.raises(ProlificValueError, match=r"^participant_ids is empty"):
            sync.execute({})
        assert not api.requests

    @pytest.mark.parametrize("allow_empty", [True, "True", "true"])
    def test_an_empty_list_empties_the_group_where_that_is_allowed(self, run_sync, allow_empty):
        assert run_sync([A, B], participant_ids=[], allow_empty=allow_empty)["removed"] == 2

    @pytest.mark.parametrize("max_removals", [1, "1", 0])
    def test_too_many_removals_are_refused_before_anything_is_changed(self, run_sync, calls, max_removals):
        with pytest.raises(
            ProlificError, match=f"would remove 2 of the 3 members .* max_removals={max_removals}: noth"
        ):
            run_sync([A, B, C], participant_ids=[A, D], max_removals=max_removals)
        assert calls() == [GROUP, MEMBERS]

    @pytest.mark.parametrize("max_removals", [2, "2", 3, None, "None"])
    def test_as_many_removals_as_allowed_are_made(self, run_sync, max_removals):
        assert run_sync([A, B, C], participant_ids=[A, D], max_removals=max_removals)["removed"] == 2

    def test_ids_that_differ_in_case_only_are_refused_before_anything_is_changed(self, run_sync, calls):
        with pytest.raises(ProlificError, match=r"in upper and lower case only, at position 2: nothing has") as refusal:
            run_sync(["5eabc1", "5eabc2"], participant_ids=["5eabc2", "5EABC1"])
        assert "5eabc" not in str(refusal.value).casefold()
        assert calls() == [GROUP, MEMBERS]

    def test_a_new_participant_may_look_like_a_member_who_stays(self, run_sync):
        assert run_sync(["5eabc1"], participant_ids=["5eabc1", "5EABC1"])["added"] == 1

    def test_an_unknown_participant_fails_the_task_when_the_others_are_added_and_nobody_is_removed(
        self, run_sync, calls, bodies
    ):
        with pytest.raises(ProlificError, match=r"position 2 of .* have been added, and nobody has been removed"):
            run_sync([A, B], participant_ids=[B, UNKNOWN, C, D])
        assert REMOVE not in calls()
        assert {C, D} <= {participant_id for body in bodies() for participant_id in body["participant_ids"]}

    def test_an_unknown_participant_can_be_skipped(self, run_sync):
        result = run_sync([A, B], participant_ids=[B, UNKNOWN, C, D], on_unknown_participant="skip")
        assert result == {"id": GROUP_ID, "name": "G", "added": 2, "removed": 1, "unchanged": 1, "skipped": 1}

    def test_a_deleted_group_is_an_error(self, api, run, calls, group):
        api.get(GROUP_URL, json=group(GROUP_ID, is_deleted=True))
        with pytest.raises(ProlificError, match="has been deleted"):
            run(ProlificSyncParticipantsOperator, participant_group=GROUP_ID, participant_ids=[A])
        assert calls() == [GROUP]

    def test_a_partial_membership_changes_nothing(self, api, run, bodies, group):
        api.get(GROUP_URL, json=group(GROUP_ID, participant_count=9))
        api.get(PARTICIPANTS_URL, json={"results": [{"participant_id": A}], "meta": {"count": 9}})
        with pytest.raises(ProlificError, match="a partial list is not used"):
            run(ProlificSyncParticipantsOperator, participant_group=GROUP_ID, participant_ids=[B])
        assert bodies() == []

    def test_the_log_counts_and_shows_no_id(self, run, run_sync):
        run_sync([A, B, C], participant_ids=[D, B])
        assert run.log == ["info: 'G': 1 to add, 2 to remove"]
