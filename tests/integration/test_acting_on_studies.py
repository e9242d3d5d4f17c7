"""
Acting on studies over real HTTP, with trouble in the middle: no second draft, no second publication, no place too many.

A task retry is a second `execute` of the same operator. `kill -9` hits a process of its own.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kills import run_killed

from airflow_provider_prolific.emulator import Emulator
from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.hooks.prolific import ProlificHook
from airflow_provider_prolific.operators import studies
from airflow_provider_prolific.operators.studies import (
    ProlificCreateStudyOperator,
    ProlificPublishStudyOperator,
    ProlificSetStudyPlacesOperator,
    ProlificTransitionStudyOperator,
)
from airflow_provider_prolific.version_compat import AirflowFailException

PROJECT = "64b000000000000000000002"
TEMPLATE = "64d000000000000000000005"
WORKSPACE = "64a000000000000000000001"
GROUP = "64e000000000000000000002"  # "Wave 1 completed", 40 members
NAME = "Main study"
ALLOWLIST = {"filter_id": "participant_group_allowlist", "selected_values": [GROUP]}
CODES = [{"code": "DONE", "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}]
#: What 30 places at 1.00 GBP cost with a third for fees and 20% VAT on those.
COST_OF_30 = "42.00 GBP"
UNLIMITED = "9999.00 GBP"


@pytest.fixture(autouse=True)
def _quick(prolific: Emulator) -> None:
    prolific.set(publishing_seconds=0.05, people={"arrivals_per_second": 0})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook raises at the first failure, as it does after its last attempt."""
    assert ProlificHook.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(ProlificHook.__init__.__kwdefaults__, "max_retries", 0)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator looks again at once."""
    monkeypatch.setattr(studies, "_PAUSES", (0, 0))


def create(**arguments: Any) -> Any:
    arguments = {"internal_name": NAME, "template_study_id": TEMPLATE, "project_id": PROJECT, **arguments}
    return ProlificCreateStudyOperator(task_id="create", **arguments).execute({})


def publish(study_id: str, **arguments: Any) -> Any:
    arguments = {"participant_group": GROUP, "max_total_cost": COST_OF_30, "timeout": 20, **arguments}
    return ProlificPublishStudyOperator(task_id="publish", study_id=study_id, poke_interval=0.05, **arguments).execute(
        {}
    )


def transition(study_id: str, action: str) -> Any:
    return ProlificTransitionStudyOperator(task_id="transition", study_id=study_id, action=action).execute({})


def set_places(study_id: str, places: int, max_total_cost: str = UNLIMITED, **arguments: Any) -> Any:
    return ProlificSetStudyPlacesOperator(
        task_id="places",
        study_id=study_id,
        total_available_places=places,
        max_total_cost=max_total_cost,
        **arguments,
    ).execute({})


def draft(prolific: Emulator, **fields: Any) -> str:
    """Make a draft of 30 places at 1.00 GBP, for the members of the group."""
    fields = {
        "project": PROJECT,
        "total_available_places": 30,
        "reward": 100,
        "filters": [ALLOWLIST],
        "completion_codes": CODES,
        **fields,
    }
    return prolific.create_study("Remembering words", **fields)


def done(prolific: Emulator, path: str, method: str = "POST") -> int:
    """Return how many such requests have had their effect, whether or not their answer came."""
    return len(
        [
            request
            for request in prolific.requests()
            if request["method"] == method
            and request["path"].endswith(path)
            and (request["status"] in (200, 201) or request["fault"] == "lost_answer")
        ]
    )


def locked(prolific: Emulator, study_id: str) -> float:
    return float(prolific.study(study_id)["locked"])


def named(prolific: Emulator, name: str = NAME) -> list[dict[str, Any]]:
    return [study for study in prolific.studies() if study["internal_name"] == name]


# --- Kills ---


class Creating:
    """A draft from a template."""

    def prepare(self, prolific: Emulator) -> None:
        self.before = len(prolific.studies())

    def work(self) -> Any:
        return create(changes={"total_available_places": 7, "reward": 200}, participant_groups=["Wave 1 completed"])

    def check(self, prolific: Emulator, result: Any) -> None:
        [study] = named(prolific)
        assert len(prolific.studies()) == self.before + 1
        assert result["id"] == study["id"]
        assert (study["status"], study["total_available_places"], study["reward"]) == ("UNPUBLISHED", 7, 200)
        assert (study["name"], study["project"]) == ("Remembering words, part 2", PROJECT)
        assert study["filters"] == [ALLOWLIST]
        assert [code["code"] for code in study["completion_codes"]] == ["WAVE2DONE"]


class CreatingFromABody(Creating):
    """A draft from a body."""

    def work(self) -> Any:
        body = {
            "name": "Remembering words, part 2",
            "description": "",
            "external_study_url": "https://example.com/?id={{%PROLIFIC_PID%}}",
            "prolific_id_option": "url_parameters",
            "completion_codes": [{"code": "WAVE2DONE", "code_type": "COMPLETED", "actions": []}],
            "total_available_places": 7,
            "estimated_completion_time": 10,
            "reward": 200,
        }
        return create(study=body, template_study_id=None, participant_groups=[GROUP])


class Publishing:
    """A publication."""

    def prepare(self, prolific: Emulator) -> None:
        self.study_id = draft(prolific)

    def work(self) -> Any:
        return publish(self.study_id)

    def check(self, prolific: Emulator, result: Any) -> None:
        assert (result["id"], result["status"]) == (self.study_id, "ACTIVE")
        assert done(prolific, "/transition/") == 1
        assert prolific.study(self.study_id)["status"] == "ACTIVE"
        assert locked(prolific, self.study_id) == pytest.approx(4200, abs=0.01)


class Stopping:
    """A stop."""

    def prepare(self, prolific: Emulator) -> None:
        self.study_id = draft(prolific, status="ACTIVE", submissions={"AWAITING REVIEW": 2})

    def work(self) -> Any:
        return transition(self.study_id, "stop")

    def check(self, prolific: Emulator, result: Any) -> None:
        assert result["status"] == prolific.study(self.study_id)["status"] == "AWAITING REVIEW"
        assert done(prolific, "/transition/") == 1


class AddingPlaces:
    """New places."""

    def prepare(self, prolific: Emulator) -> None:
        self.study_id = draft(prolific, status="ACTIVE", submissions={"AWAITING REVIEW": 30})

    def work(self) -> Any:
        return set_places(self.study_id, 40, max_total_cost="56.00 GBP")

    def check(self, prolific: Emulator, result: Any) -> None:
        assert result["total_available_places"] == prolific.study(self.study_id)["total_available_places"] == 40
        assert done(prolific, f"/{self.study_id}/", "PATCH") == 1
        assert locked(prolific, self.study_id) == pytest.approx(5600, abs=0.01)


DEEDS = [Creating, CreatingFromABody, Publishing, Stopping, AddingPlaces]


def begin(prolific: Emulator, deed: Any, **settings: object) -> None:
    prolific.reset()
    prolific.set(publishing_seconds=0.05, people={"arrivals_per_second": 0}, **settings)
    deed.prepare(prolific)
    prolific.clear_requests()


@pytest.mark.parametrize("deed_class", DEEDS)
def test_killed_around_any_request_a_retry_comes_to_the_same_end(prolific: Emulator, deed_class: type) -> None:
    kills = 0
    for when in ("before", "after"):
        at, was_killed = 0, True
        while was_killed:
            at += 1
            deed = deed_class()
            begin(prolific, deed)
            was_killed = run_killed(deed.work, at=at, when=when)
            kills += was_killed
            deed.check(prolific, deed.work())
    assert kills >= 6
    print(f"{deed_class.__name__}: {kills} kills")


@pytest.mark.full
@pytest.mark.parametrize("repeated_transition", ["refused", "ignored"])
@pytest.mark.parametrize("deed_class", DEEDS)
def test_killed_twice_around_any_two_requests_a_second_retry_comes_to_the_same_end(
    prolific: Emulator, deed_class: type, repeated_transition: str
) -> None:
    kills = 0
    for first in range(1, 20):
        for second in range(1, 20):
            for whens in (("before", "after"), ("after", "before"), ("after", "after")):
                deed = deed_class()
                begin(prolific, deed, repeated_transition=repeated_transition)
                was_killed = run_killed(deed.work, at=first, when=whens[0])
                was_killed_again = run_killed(deed.work, at=second, when=whens[1])
                kills += was_killed + was_killed_again
                deed.check(prolific, deed.work())
            if not was_killed_again:
                break
        if not was_killed:
            break
    assert kills >= 30
    print(f"{deed_class.__name__}: {kills} kills")


# --- Answers that are lost, tasks that run at once ---


@pytest.mark.parametrize("deed_class", DEEDS)
@pytest.mark.parametrize("fault", ["lost_answer", "truncate", "disconnect", "html"])
@pytest.mark.usefixtures("impatient", "no_pauses")
def test_an_answer_that_is_lost_at_any_request_costs_nothing_twice(
    prolific: Emulator, deed_class: type, fault: str
) -> None:
    hits = 0
    for after in range(20):
        deed = deed_class()
        begin(prolific, deed)
        prolific.add_fault(fault, after=after, count=1)
        try:
            result = deed.work()
        except ProlificError:
            result = None
        was_hit = not prolific.faults()
        prolific.clear_faults()
        if result is None:
            result = deed.work()
        deed.check(prolific, result)
        if not was_hit:
            break
        hits += 1
    assert hits >= 3
    print(f"{deed_class.__name__}, {fault}: {hits} answers")


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do several things at the same moment, each in a process of its own; return what each returned or raised."""
    forked = multiprocessing.get_context("fork")
    barrier, results = forked.Barrier(len(works)), forked.SimpleQueue()

    def run(number: int, work: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results.put((number, work()))
        except ProlificError as error:
            results.put((number, str(error)))

    processes = [forked.Process(target=run, args=each) for each in enumerate(works)]
    for process in processes:
        process.start()
    found = dict(results.get() for _ in processes)
    for process in processes:
        process.join()
    return [found[number] for number in range(len(works))]


@pytest.mark.parametrize("settings", [{}, {"repeated_transition": "ignored"}], ids=str)
@pytest.mark.parametrize("deed_class", [Publishing, Stopping])
def test_two_tasks_at_once_have_one_effect(prolific: Emulator, deed_class: type, settings: dict[str, Any]) -> None:
    deed = deed_class()
    begin(prolific, deed, **settings)
    prolific.add_fault("slow", seconds=0.5, path="transition/$", count=2)  # both look before one acts
    results = at_once(deed.work, deed.work)
    assert [result["id"] for result in results] == [deed.study_id] * 2
    assert done(prolific, "/transition/") == (2 if settings else 1)
    assert locked(prolific, deed.study_id) == pytest.approx({Publishing: 4200, Stopping: 280}[deed_class], abs=0.01)


def test_two_tasks_that_create_one_draft_at_once_keep_one(prolific: Emulator) -> None:
    deed = Creating()
    begin(prolific, deed)
    prolific.add_fault("slow", seconds=0.5, method="POST", path="v1/studies/$", count=2)  # both find none
    results = at_once(deed.work, deed.work)
    assert done(prolific, "/api/v1/studies/") == 2
    for result in results:
        deed.check(prolific, result)


def test_two_tasks_that_set_places_at_once_set_no_more_than_the_larger_number(prolific: Emulator) -> None:
    study_id = draft(prolific, status="ACTIVE")
    prolific.add_fault("slow", seconds=0.5, method="PATCH", count=3)  # all look before one acts
    at_once(lambda: set_places(study_id, 35), lambda: set_places(study_id, 40), lambda: set_places(study_id, 40))
    assert prolific.study(study_id)["total_available_places"] == 40


# --- Create ---


class TestCreate:
    @pytest.mark.parametrize("clone_internal_name", ["same", "copy"])
    def test_a_copy_that_somebody_made_of_the_template_is_left_alone(
        self, prolific: Emulator, clone_internal_name: str
    ) -> None:
        prolific.set(clone_internal_name=clone_internal_name)
        with ProlificHook() as hook:
            theirs = hook.clone_study(TEMPLATE)
        assert create()["id"] != theirs["id"]
        assert prolific.study(theirs["id"])["internal_name"] == theirs["internal_name"]

    @pytest.mark.parametrize("status", ["UNPUBLISHED", "ACTIVE", "COMPLETED"])
    def test_a_study_of_the_name_is_returned_whatever_its_status(self, prolific: Emulator, status: str) -> None:
        there = draft(prolific, internal_name=NAME, status=status, reward=333)
        found = create()
        assert (found["id"], found["reward"], found["status"]) == (there, 333, status)
        assert done(prolific, "/api/v1/studies/") == 0

    def test_or_is_an_error(self, prolific: Emulator) -> None:
        there = draft(prolific, internal_name=NAME)
        with pytest.raises(ProlificError, match=there):
            create(if_exists="fail")

    def test_two_of_the_name_are_an_error_with_both_ids(self, prolific: Emulator) -> None:
        first, second = draft(prolific, internal_name=NAME), draft(prolific, internal_name=NAME)
        with pytest.raises(ProlificError, match=f"{first}, {second}"):
            create()

    def test_one_of_the_name_elsewhere_does_not_count(self, prolific: Emulator) -> None:
        elsewhere = draft(prolific, internal_name=NAME, project="64b000000000000000000001")
        assert create()["id"] != elsewhere

    def test_people_take_part_as_in_the_template(self, prolific: Emulator) -> None:
        study = create(template_study_id="64d000000000000000000004")
        assert prolific.study(study["id"])["code_shares"] == {"SCREENEDOUT": 0.2}

    def test_the_project_is_the_connections_where_none_is_given(
        self, prolific: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ProlificError, match=r"^no project: pass project_id"):
            create(project_id=None)
        monkeypatch.setenv("AIRFLOW_CONN_PROLIFIC_DEFAULT", prolific.connection_json(project_id=PROJECT))
        assert create(project_id=None)["project"] == PROJECT


# --- Publish ---


@pytest.fixture
def refused(prolific: Emulator) -> Iterator[Callable[..., str]]:
    """Publish in vain: return the error's text, after making sure that nothing has been done."""

    def run(study_id: str, requests: int = 0, **arguments: Any) -> str:
        status = prolific.study(study_id)["status"]
        with pytest.raises(ProlificError) as failure:
            publish(study_id, **arguments)
        assert done(prolific, "/transition/") == requests
        assert (prolific.study(study_id)["status"], locked(prolific, study_id)) == (status, 0)
        return str(failure.value)

    return run


class TestPublish:
    def test_it_waits_until_the_study_is_published(self, prolific: Emulator) -> None:
        study_id = draft(prolific)
        assert publish(study_id)["status"] == "ACTIVE"
        assert locked(prolific, study_id) == pytest.approx(4200, abs=0.01)

    @pytest.mark.parametrize("status", ["ACTIVE", "PAUSED", "AWAITING REVIEW", "COMPLETED"])
    def test_a_study_that_is_published_is_a_success(self, prolific: Emulator, status: str) -> None:
        study_id = draft(prolific, status=status)
        assert publish(study_id, max_total_cost="1.00 GBP")["status"] == status
        assert done(prolific, "/transition/") == 0

    def test_a_study_that_somebody_has_scheduled_is_an_error(
        self, prolific: Emulator, refused: Callable[..., str]
    ) -> None:
        study_id = draft(prolific, status="SCHEDULED")
        assert "is SCHEDULED" in refused(study_id)

    @pytest.mark.parametrize(
        "filters",
        [
            [],
            [{"filter_id": "participant_group_allowlist", "selected_values": ["64e000000000000000000001"]}],
            [{"filter_id": "participant_group_allowlist", "selected_values": [GROUP, "64e000000000000000000001"]}],
            [{"filter_id": "participant_group_blocklist", "selected_values": [GROUP]}],
            [{"filter_id": "custom_allowlist", "selected_values": [GROUP]}],
        ],
        ids=["none", "another group", "also another group", "a blocklist", "ids of people"],
    )
    def test_a_study_that_recruits_others_is_an_error_unless_allowed(
        self, prolific: Emulator, refused: Callable[..., str], filters: list[Any]
    ) -> None:
        study_id = draft(prolific, filters=filters)
        assert "does not recruit only from participant group 'Wave 1 completed'" in refused(study_id)
        assert publish(study_id, allow_open_recruitment=True)["status"] == "ACTIVE"

    def test_other_filters_beside_the_allowlist_only_narrow(self, prolific: Emulator) -> None:
        others = [
            {"filter_id": "age", "selected_range": {"lower": 18}},
            {"filter_id": "participant_group_allowlist", "selected_values": [GROUP, "64e000000000000000000001"]},
        ]
        assert publish(draft(prolific, filters=[*others, ALLOWLIST]))["status"] == "ACTIVE"

    def test_the_allowlist_may_be_in_a_filter_set(self, prolific: Emulator, refused: Callable[..., str]) -> None:
        with ProlificHook() as hook:
            filter_sets = [
                hook.request(
                    "POST",
                    "/api/v1/filter-sets/",
                    json={"name": "Invited", "workspace_id": WORKSPACE, "filters": filters},
                )["id"]
                for filters in ([ALLOWLIST], [])
            ]
        prolific.clear_requests()
        closed, opened = (
            draft(prolific, filters=None, filter_set_id=filter_set_id, filter_set_version=1)
            for filter_set_id in filter_sets
        )
        assert "no allowlist in its filter set" in refused(opened)
        assert "version 2 of its filter set" in refused(
            draft(prolific, filters=None, filter_set_id=filter_sets[0], filter_set_version=2)
        )
        assert publish(closed)["status"] == "ACTIVE"

    def test_a_group_without_members_or_a_deleted_one_is_an_error(
        self, prolific: Emulator, refused: Callable[..., str]
    ) -> None:
        group_id = prolific.create_group("Nobody yet")
        study_id = draft(prolific, filters=[ALLOWLIST | {"selected_values": [group_id]}])
        assert "has no members" in refused(study_id, participant_group=group_id)
        prolific.set_group(group_id, participant_count=3, is_deleted=True)
        assert "has been deleted" in refused(study_id, participant_group=group_id)

    def test_a_cost_above_the_ceiling_or_in_another_currency_is_an_error(
        self, prolific: Emulator, refused: Callable[..., str]
    ) -> None:
        study_id = draft(prolific)
        assert "would cost up to 42.00 GBP in all" in refused(study_id, max_total_cost="41.99 GBP")
        assert "different currencies" in refused(study_id, max_total_cost="99.00 USD")

    def test_paid_screen_outs_count(self, prolific: Emulator, refused: Callable[..., str]) -> None:
        paid = {"action": "FIXED_SCREEN_OUT_PAYMENT", "fixed_screen_out_reward": 50, "slots": 10}
        study_id = draft(
            prolific, completion_codes=[*CODES, {"code": "OUT", "code_type": "SCREENED_OUT", "actions": [paid]}]
        )
        assert "49.00 GBP" in refused(study_id)
        assert publish(study_id, max_total_cost="49.00 GBP")["status"] == "ACTIVE"

    def test_a_balance_that_does_not_cover_it_is_an_error(
        self, prolific: Emulator, refused: Callable[..., str]
    ) -> None:
        study_id = draft(prolific, reward=20_000)
        error = refused(study_id, max_total_cost=UNLIMITED)
        assert "needs up to 8400.00 GBP, but its workspace has" in error

    def test_a_balance_that_cannot_be_read_is_an_error_unless_skipped(
        self, prolific: Emulator, refused: Callable[..., str]
    ) -> None:
        prolific.add_fault("status", status=403, path="balance/$")
        study_id = draft(prolific)
        assert "cannot be read" in refused(study_id)
        assert publish(study_id, skip_balance_check=True)["status"] == "ACTIVE"

    @pytest.mark.parametrize("no_funds", ["140007", "named", "later"])
    def test_what_prolific_refuses_for_want_of_money_stays_a_draft_with_its_reason(
        self, prolific: Emulator, refused: Callable[..., str], no_funds: str
    ) -> None:
        prolific.set(no_funds=no_funds)
        study_id = draft(prolific, reward=20_000)
        error = refused(study_id, requests=no_funds == "later", max_total_cost=UNLIMITED, skip_balance_check=True)
        assert "it is still a draft" in error
        reason = {"140007": "error_code 140007", "named": "not enough balance", "later": ""}[no_funds]
        assert reason in error

    def test_a_refusal_of_a_study_that_is_published_after_all_is_no_failure(self, prolific: Emulator) -> None:
        """What a repeated request is answered says nothing: the study does."""
        study_id = draft(prolific)
        prolific.add_fault("lost_answer", method="POST", path="transition/$", count=1)
        assert publish(study_id)["status"] == "ACTIVE"
        assert locked(prolific, study_id) == pytest.approx(4200, abs=0.01)

    @pytest.mark.parametrize(
        "change",
        [{"reward": 150}, {"total_available_places": 31}, {"filters": []}],
        ids=["reward", "places", "filters"],
    )
    def test_a_draft_that_is_changed_between_check_and_publication_fails_for_a_person_to_decide(
        self, prolific: Emulator, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
    ) -> None:
        study_id = draft(prolific)
        transition_study = ProlificHook.transition_study

        def change_and_publish(hook: ProlificHook, *arguments: Any) -> Any:
            prolific.set_study(study_id, **change)
            return transition_study(hook, *arguments)

        monkeypatch.setattr(ProlificHook, "transition_study", change_and_publish)
        with pytest.raises(AirflowFailException, match="is published, but somebody changed it after the checks"):
            publish(study_id)


# --- Transition ---


class TestTransition:
    @pytest.mark.parametrize(
        ("status", "action", "after"),
        [
            *(("ACTIVE", "pause", "PAUSED"), ("PAUSED", "start", "ACTIVE")),
            *(("ACTIVE", "stop", "COMPLETED"), ("PAUSED", "stop", "COMPLETED")),
        ],
    )
    @pytest.mark.parametrize("repeated_transition", ["refused", "ignored"])
    def test_it_is_done_once_and_then_is_done(
        self, prolific: Emulator, status: str, action: str, after: str, repeated_transition: str
    ) -> None:
        prolific.set(repeated_transition=repeated_transition)
        study_id = draft(prolific)
        prolific.set_study(study_id, status="ACTIVE")
        prolific.set_study(study_id, status=status)
        assert [transition(study_id, action)["status"] for _ in range(2)] == [after] * 2
        assert done(prolific, "/transition/") == 1

    @pytest.mark.parametrize(
        ("status", "action"),
        [
            *(("UNPUBLISHED", "pause"), ("UNPUBLISHED", "start"), ("UNPUBLISHED", "stop"), ("SCHEDULED", "stop")),
            *(("COMPLETED", "pause"), ("COMPLETED", "start"), ("AWAITING REVIEW", "pause")),
        ],
    )
    def test_what_is_impossible_is_said_in_words(self, prolific: Emulator, status: str, action: str) -> None:
        study_id = draft(prolific, status=status)
        with pytest.raises(
            ProlificError, match=rf"is {status}: action='{action}' needs the status (ACTIVE|PAUSED|ACTIVE or PAUSED)"
        ):
            transition(study_id, action)
        assert done(prolific, "/transition/") == 0

    def test_a_study_that_is_full_is_started_and_one_that_was_stopped_is_not(self, prolific: Emulator) -> None:
        full = draft(prolific, status="ACTIVE", total_available_places=2, submissions={"AWAITING REVIEW": 2})
        assert transition(full, "start")["status"] == "AWAITING REVIEW"
        stopped = draft(prolific, status="ACTIVE", submissions={"AWAITING REVIEW": 2})
        transition(stopped, "stop")
        with pytest.raises(ProlificError, match="is AWAITING REVIEW: action='start' needs the status PAUSED"):
            transition(stopped, "start")


# --- Places ---


class TestSetPlaces:
    def test_the_number_is_the_new_total(self, prolific: Emulator) -> None:
        study_id = draft(prolific, status="ACTIVE")
        for _ in range(2):
            assert set_places(study_id, 40)["total_available_places"] == 40
        assert done(prolific, f"/{study_id}/", "PATCH") == 1

    def test_none_is_taken_away(self, prolific: Emulator) -> None:
        study_id = draft(prolific, status="ACTIVE")
        with pytest.raises(ProlificError, match="has 30 places, more than total_available_places=29"):
            set_places(study_id, 29)

    def test_the_ceiling_is_for_the_whole_study(self, prolific: Emulator) -> None:
        study_id = draft(prolific, status="ACTIVE")
        with pytest.raises(ProlificError, match=r"would cost up to 56\.00 GBP in all"):
            set_places(study_id, 40, "55.99 GBP")
        assert set_places(study_id, 40, "56.00 GBP")["total_available_places"] == 40

    def test_the_balance_must_cover_the_new_places(self, prolific: Emulator) -> None:
        study_id = draft(prolific, status="ACTIVE", reward=10_000)  # 4,200 of 5,000 GBP are held
        with pytest.raises(ProlificError, match=r"needs up to 1400\.00 GBP, but its workspace has"):
            set_places(study_id, 40)
        with pytest.raises(ProlificError, match=r"^Prolific refuses this request: .*400 from PATCH"):
            set_places(study_id, 40, skip_balance_check=True)
        assert prolific.study(study_id)["total_available_places"] == 30

    def test_a_completed_study_comes_back_to_life_only_on_demand(self, prolific: Emulator) -> None:
        study_id = draft(prolific, status="ACTIVE", submissions={"APPROVED": 30})
        with pytest.raises(ProlificError, match=r"is COMPLETED and has ended: .* reopen=True"):
            set_places(study_id, 31)
        assert set_places(study_id, 31, reopen=True)["status"] == "ACTIVE"

    def test_so_does_one_that_was_stopped_and_the_balance_covers_all_its_free_places(self, prolific: Emulator) -> None:
        study_id = draft(prolific, status="ACTIVE", reward=10_000, submissions={"AWAITING REVIEW": 2})
        transition(study_id, "stop")
        with pytest.raises(ProlificError, match="is AWAITING REVIEW and has ended"):
            set_places(study_id, 31)
        other = draft(prolific, status="ACTIVE", reward=10_000, total_available_places=10)
        with pytest.raises(ProlificError, match=r"needs up to 4060\.00 GBP"):
            set_places(study_id, 31, reopen=True)
        transition(other, "stop")
        assert set_places(study_id, 31, reopen=True)["status"] == "ACTIVE"

    def test_a_full_study_gets_more_places_without_further_ado(self, prolific: Emulator) -> None:
        study_id = draft(prolific, status="ACTIVE", submissions={"AWAITING REVIEW": 30})
        assert set_places(study_id, 31)["status"] == "ACTIVE"


# --- In a DAG ---

PIPELINE_DAG = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
from airflow_provider_prolific.operators.studies import (
    ProlificCreateStudyOperator,
    ProlificPublishStudyOperator,
    ProlificSetStudyPlacesOperator,
    ProlificTransitionStudyOperator,
)

with DAG("pipeline", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    draft = ProlificCreateStudyOperator(
        task_id="draft",
        internal_name="Main study {{ run_id }}",
        template_study_id="64d000000000000000000005",
        changes={"total_available_places": 20, "reward": 150},
        participant_groups=["Wave 1 completed"],
        filter={"workspace_id": "64a000000000000000000001"},
        project_id="64b000000000000000000002",
    )
    publish = ProlificPublishStudyOperator(
        task_id="publish",
        study_id=draft.output["id"],
        participant_group="Wave 1 completed",
        max_total_cost="50.00 GBP",
        pool="prolific_wallet",
        deferrable=True,
        poke_interval=1,
    )
    more_places = ProlificSetStudyPlacesOperator(
        task_id="more_places",
        study_id=publish.output["id"],
        total_available_places=25,
        max_total_cost="60.00 GBP",
        pool="prolific_wallet",
    )
    stop = ProlificTransitionStudyOperator(
        task_id="stop",
        study_id=publish.output["id"],
        action="stop",
    )
    more_places >> stop

    questionnaire = ProlificCreateStudyOperator(
        task_id="questionnaire",
        internal_name="Questionnaire {{ run_id }}",
        study={
            "name": "A questionnaire of {{ 6 * 7 }} questions",
            "description": "About your memory",
            "external_study_url": "https://example.com/survey?participant={{%PROLIFIC_PID%}}&study={{%STUDY_ID%}}",
            "prolific_id_option": "url_parameters",
            "completion_codes": [
                {"code": "C1B2N3", "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}
            ],
            "total_available_places": 30,
            "estimated_completion_time": 2,
            "reward": 30,
        },
        project_id="64b000000000000000000002",
    )
    ProlificPublishStudyOperator(
        task_id="publish_questionnaire",
        study_id=questionnaire.output["id"],
        allow_open_recruitment=True,
        max_total_cost="20.00 GBP",
        poke_interval=0.5,
    )
    ProlificCreateStudyOperator.partial(
        task_id="each",
        template_study_id="64d000000000000000000005",
        changes={"external_study_url": "https://example.com/{{ 6 * 7 }}?participant={{%PROLIFIC_PID%}}"},
        project_id="64b000000000000000000002",
    ).expand(internal_name=["Mapped 1", "Mapped 2"])
"""


def test_a_pipeline_creates_publishes_deferred_adds_places_and_stops(
    prolific: Emulator, run_dag: Callable[..., Any]
) -> None:
    prolific.set(publishing_seconds=1, people={"arrivals_per_second": 0})  # a full study would not be stopped
    run = run_dag(PIPELINE_DAG)
    assert run.state == "success"
    main = prolific.study(run.xcom("draft")["id"])
    assert run.xcom("publish")["status"] == "ACTIVE"
    assert main["status"] in ("AWAITING REVIEW", "COMPLETED")
    assert main["total_available_places"] == 25
    questionnaire = prolific.study(run.xcom("questionnaire")["id"])
    assert questionnaire["external_study_url"].endswith("participant={{%PROLIFIC_PID%}}&study={{%STUDY_ID%}}")
    assert (questionnaire["name"], questionnaire["status"]) == ("A questionnaire of 42 questions", "ACTIVE")
    for name in ("Mapped 1", "Mapped 2"):
        [mapped] = named(prolific, name)
        assert mapped["external_study_url"] == "https://example.com/42?participant={{%PROLIFIC_PID%}}"
