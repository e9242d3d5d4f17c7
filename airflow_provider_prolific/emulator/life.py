"""What happens by itself: people come, finish, return, time out; studies are published; payments arrive.

Nothing runs in the background. What is due is done when somebody looks, in the order of time, and each event has the
exact time at which it was due. No HTTP here, and the time is an argument.
"""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any

from airflow_provider_prolific.emulator.groups import Group, synthetic_participant_id
from airflow_provider_prolific.emulator.models import MAX_SUBMISSIONS
from airflow_provider_prolific.emulator.money import Cost
from airflow_provider_prolific.emulator.studies import COMPLETE, NO_CODE, TAKING, Study, Submission
from airflow_provider_prolific.emulator.world import World

ALLOWLIST = "participant_group_allowlist"
BLOCKLIST = "participant_group_blocklist"

#: A submission that awaits review for this long is approved automatically.
REVIEW_SECONDS = 21 * 86400


class Life:
    """The plan of what is due, and what it does to studies, submissions, groups and wallets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._plan: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._numbers = count(1)
        #: Studies for which nobody is left, by the group whose change may bring new people.
        self._waiting: dict[str, set[Study]] = {}
        self.submissions: dict[str, Submission] = {}

    def plan(self, at: float, event: Callable[[float], None]) -> None:
        """Plan an event; ``event`` is called with its time."""
        heapq.heappush(self._plan, (at, next(self._order), event))

    def settle(self, now: float) -> None:
        """Do all that is due by now."""
        while self._plan and self._plan[0][0] <= now:
            at, _, event = heapq.heappop(self._plan)
            event(at)

    # --- a study's own course ---

    def publish(self, study: Study, at: float, *, is_funded: bool = True) -> None:
        """Let a draft become ``PUBLISHING``, and soon ``ACTIVE``; without money it becomes a draft again."""
        study.phase, study.published_at, study.publish_at = "PUBLISHING", at, None

        def finish(moment: float) -> None:
            if study.phase != "PUBLISHING":
                return
            if is_funded:
                self.open(study, moment)
            else:
                study.phase, study.published_at = "UNPUBLISHED", None

        self.plan(at + self._world.settings.publishing_seconds, finish)

    def open(self, study: Study, at: float) -> None:
        """Let people take part, for the first time or again."""
        study.phase = "ACTIVE"
        if study.published_at is None:
            study.published_at = at
        self.expect(study, at)

    def stop(self, study: Study) -> None:
        """Let no more people take part."""
        study.phase, study.stopped_status = "STOPPED", self._world.settings.stopped_status

    # --- people come ---

    def expect(self, study: Study, at: float) -> None:
        """Plan the next arrival, counted from this time, if the study has room and no arrival is planned."""
        if study.recruitment.arrivals_per_second and study.is_recruiting and not study.is_expecting:
            self._expect(study, at, 1)

    def restart_arrivals(self, study: Study, at: float) -> None:
        """Forget the planned arrival, and count arrivals from this time on."""
        study.schedule += 1
        study.is_expecting = False
        self.expect(study, at)

    def _expect(self, study: Study, origin: float, number: int) -> None:
        study.is_expecting = True
        schedule = study.schedule

        def arrive(at: float) -> None:
            if study.schedule != schedule:
                return
            study.is_expecting = False
            if not study.is_recruiting or len(self.submissions) >= MAX_SUBMISSIONS:
                return
            participant_id = self._next_person(study, at)
            if participant_id is None:
                self._wait_for_people(study, at)
                return
            self._begin(study, participant_id, at)
            if study.is_recruiting:
                self._expect(study, origin, number + 1)

        self.plan(origin + number / study.recruitment.arrivals_per_second, arrive)

    def _next_person(self, study: Study, at: float) -> str | None:
        filters = self._world.filters_of(study)
        if not any(filter_["filter_id"] in (ALLOWLIST, "custom_allowlist") for filter_ in filters):
            # A person from the whole pool is new, and so is not on any list.
            return synthetic_participant_id(study.id, len(study.submissions) + 1)
        is_new_list = False
        while True:
            while study.invited:
                participant_id = study.invited.pop()
                if participant_id not in study.people and self._may_take(study, participant_id, filters, at):
                    return participant_id
            if is_new_list:
                return None
            study.invited = [each for each in self._allowed(filters, at) if each not in study.people][::-1]
            is_new_list = True

    def _allowed(self, filters: Iterable[dict[str, Any]], at: float) -> Iterable[str]:
        """Return the people on the first allowlist; the other filters are checked for one person at a time."""
        for filter_ in filters:
            if filter_["filter_id"] == "custom_allowlist":
                return dict.fromkeys(filter_.get("selected_values", ()))
            if filter_["filter_id"] == ALLOWLIST:
                return dict.fromkeys(each for group in self._groups(filter_, at) for each in group.members())
        return ()

    def _may_take(self, study: Study, participant_id: str, filters: Iterable[dict[str, Any]], at: float) -> bool:
        for filter_ in filters:
            kind, values = filter_["filter_id"], filter_.get("selected_values", ())
            if kind == "custom_allowlist" and participant_id not in values:
                return False
            if kind == "custom_blocklist" and participant_id in values:
                return False
            if kind == "previous_studies_blocklist" and any(
                participant_id in self._world.studies[value].people for value in values if value in self._world.studies
            ):
                return False
            if kind in (ALLOWLIST, BLOCKLIST):
                joined = [group.members().get(participant_id) for group in self._groups(filter_, at)]
                is_member = any(moment is not None and self._is_in_time(study, moment) for moment in joined)
                if is_member is not (kind == ALLOWLIST):
                    return False
        return True

    def _is_in_time(self, study: Study, joined_at: float) -> bool:
        return self._world.settings.late_members or study.published_at is None or joined_at <= study.published_at

    def _groups(self, filter_: dict[str, Any], at: float) -> Iterator[Group]:
        for group_id in filter_.get("selected_values", ()):
            group = self._world.groups.get(group_id)
            if group is not None:
                group.settle(at)
                yield group

    def _wait_for_people(self, study: Study, at: float) -> None:
        filters = [each for each in self._world.filters_of(study) if each["filter_id"] in (ALLOWLIST, BLOCKLIST)]
        for filter_ in filters:
            for group in self._groups(filter_, at):
                self._waiting.setdefault(group.id, set()).add(study)
                if (moment := group.next_member_at()) is not None and filter_["filter_id"] == ALLOWLIST:
                    self.plan(moment, lambda moment: self.expect(study, moment))

    def group_changed(self, group_id: str, at: float) -> None:
        """Let studies look again that found nobody in this group."""
        for study in self._waiting.pop(group_id, ()):
            self.expect(study, at)

    # --- a person's way ---

    def new_submission(self, study: Study, participant_id: str, at: float, status: str = "ACTIVE") -> Submission:
        """Let a person begin."""
        submission = Submission(f"66{next(self._numbers):022x}", study, participant_id, at, status)
        self.submissions[submission.id] = submission
        study.add(submission)
        return submission

    def _begin(self, study: Study, participant_id: str, at: float) -> None:
        submission = self.new_submission(study, participant_id, at)
        chances = random.Random(f"{study.recruitment.people_seed}/{study.id}/{len(study.submissions)}")  # noqa: S311
        seconds, event = self._way(submission, study.code_of_people(chances.random()), chances.random())
        self.plan(at + seconds, lambda moment: event(moment) if submission.status == "ACTIVE" else None)

    def _way(self, submission: Submission, code: str | None, chance: float) -> tuple[float, Callable[[float], None]]:
        """Return how the person ends and after how many seconds; a random number between 0 and 1 decides."""
        people = submission.study.recruitment
        ways: list[tuple[float, float, Callable[[float], None]]] = [
            (people.returned, people.seconds_taken, lambda at: self.move(submission, "RETURNED", at)),
            (people.timed_out, people.seconds_to_time_out, lambda at: self.move(submission, "TIMED-OUT", at)),
            (people.late, people.seconds_to_time_out, lambda at: self._be_late(submission, code, at)),
            (people.no_code, people.seconds_taken, lambda at: self.finish(submission, NO_CODE, at)),
        ]
        for share, seconds, event in ways:
            chance -= share
            if chance < 0:
                return seconds, event
        return people.seconds_taken, lambda at: self.finish(submission, code, at)

    def _be_late(self, submission: Submission, code: str | None, at: float) -> None:
        self.move(submission, "TIMED-OUT", at)

        def come_back(moment: float) -> None:
            may_come = submission.study.free_places > 0 or self._world.settings.late_return == "always"
            if submission.status == "TIMED-OUT" and may_come:
                self.finish(submission, code, moment)

        self.plan(at + submission.study.recruitment.seconds_late, come_back)

    def finish(self, submission: Submission, code: str | None, at: float) -> None:
        """Let a person finish with a code, and run the actions of the code."""
        submission.finish(at, code)
        self.move(submission, "AWAITING REVIEW", at)
        entered = submission.study.code_entered(code)
        for action in entered["actions"] if entered else ():
            self.act(submission, action, at)

    def act(self, submission: Submission, action: dict[str, Any], at: float) -> None:
        """Run an action of a completion code."""
        kind, study = action["action"], submission.study
        if kind == "AUTOMATICALLY_APPROVE":
            self.move(submission, "APPROVED", at)
        elif kind == "REQUEST_RETURN":
            self.request_return(submission, at)
        elif kind == "FIXED_SCREEN_OUT_PAYMENT":
            self.pay_part(submission, action["fixed_screen_out_reward"])
            self.move(submission, "SCREENED OUT", at)
            if study.counts["SCREENED OUT"] >= action["slots"] and study.is_recruiting:
                study.phase = "PAUSED"
        elif action.get("participant_group") is not None:
            group = self._world.groups.get(action["participant_group"])
            if group is None or group.is_deleted or group.is_by_hand:
                return
            if kind == "ADD_TO_PARTICIPANT_GROUP":
                group.join(submission.participant_id, at)
            else:
                group.remove([submission.participant_id], at)
            self.group_changed(group.id, at)

    @staticmethod
    def request_return(submission: Submission, at: float) -> None:
        """Ask a person to return; the API shows the time of the first request."""
        if submission.return_requested is None:
            submission.return_requested = at

    # --- what follows from a status ---

    def move(self, submission: Submission, status: str, at: float) -> None:
        """Give a submission another status, and change its place and the wallet accordingly."""
        study = submission.study
        old, was_full = submission.status, study.phase == "ACTIVE" and study.free_places <= 0
        if status == old:
            return
        study.move(submission, status)
        if status in COMPLETE and submission.completed_at is None:
            submission.finish(at, study.code_of_people(1))
        if status == "AWAITING REVIEW":
            self.plan(at + REVIEW_SECONDS, lambda moment: self._approve_at_last(submission, moment))
        if status == "APPROVED":
            self._pay_reward(study, study.cost_of_a_place)
        if old in TAKING and status not in TAKING and study.phase == "ACTIVE":
            is_disputed = status == "REJECTED" or (status == "RETURNED" and old == "AWAITING REVIEW")
            outcome = self._world.settings.after_reject
            if was_full and is_disputed and outcome != "ACTIVE":
                study.phase = "PAUSED" if outcome == "PAUSED" else "STOPPED"
            else:
                self.expect(study, at)

    def _approve_at_last(self, submission: Submission, at: float) -> None:
        if submission.status == "AWAITING REVIEW":
            self.move(submission, "APPROVED", at)

    def _pay_reward(self, study: Study, cost: Cost) -> None:
        study.rewards += cost
        self._world.wallets[study.workspace_id].spend(cost)

    def pay_part(self, submission: Submission, amount: Decimal | int) -> None:
        """Pay another amount than the reward."""
        cost = submission.study.rates.cost(amount)
        self._pay_reward(submission.study, cost)
        if self._world.settings.screen_out_as_bonus:
            submission.bonus_payments.append(cost.rewards)
