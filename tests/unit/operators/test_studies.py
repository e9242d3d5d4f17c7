"""The operators that act on studies: what is asked, in which order, and what is refused before anything is done."""

from __future__ import annotations

import inspect
import json
from copy import deepcopy

import pytest

from airflow_provider_prolific.exceptions import (
    ProlificApiError,
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.operators.studies import (
    ProlificCreateStudyOperator,
    ProlificPublishStudyOperator,
    ProlificSetStudyPlacesOperator,
    ProlificTransitionStudyOperator,
)

API = "https://api.prolific.com/api/v1"
STUDIES_URL, PROJECT_URL = f"{API}/studies/", f"{API}/projects/p1/studies/"
STUDY_URL, TEMPLATE_URL = f"{API}/studies/s1/", f"{API}/studies/t1/"
COST_URL = f"{API}/study-cost-calculator/"
GROUP_ID = "64e000000000000000000003"
GROUP_URL = f"{API}/participant-groups/{GROUP_ID}/"
ALLOWLIST = {"filter_id": "participant_group_allowlist", "selected_values": [GROUP_ID]}

#: Each operator with the least that it needs.
LEAST = {
    ProlificCreateStudyOperator: {"internal_name": "Wave 2", "study": {"name": "Words"}, "project_id": "p1"},
    ProlificPublishStudyOperator: {"study_id": "s1", "max_total_cost": "42.00 GBP", "participant_group": GROUP_ID},
    ProlificTransitionStudyOperator: {"study_id": "s1", "action": "stop"},
    ProlificSetStudyPlacesOperator: {
        "study_id": "s1",
        "total_available_places": 40,
        "max_total_cost": "56.00 GBP",
    },
}


def study(status="UNPUBLISHED", study_id="s1", **fields):
    return {
        "id": study_id,
        "name": "Words",
        "internal_name": "Wave 2",
        "status": status,
        "reward": 100,
        "total_available_places": 30,
        "places_taken": 12,
        "currency_code": "GBP",
        "total_cost": 4200,
        "workspace": "w1",
        "project": "p1",
        "filters": [ALLOWLIST],
        "date_created": "2026-03-01T10:00:00Z",
        **fields,
    }


@pytest.fixture
def asked(api):
    """Return what the API was asked: each method and path."""
    return lambda: [f"{each.method} {each.url.partition('?')[0].removeprefix(API)}" for each in api.requests]


@pytest.fixture
def changed(asked):
    """Return what the API was asked that changes something."""
    return lambda: [call for call in asked() if not call.startswith("GET") and "calculator" not in call]


@pytest.fixture
def shows(api):
    """Answer the next looks at the study with these; the last one stays."""

    def answer(*studies):
        for each in studies:
            api.get(STUDY_URL, json=each)

    return answer


@pytest.fixture
def money(api):
    """Let the calculator and the wallet answer."""
    api.add_callback("POST", COST_URL, lambda request: (200, {}, json.dumps({"total_cost": _cost(request)})))
    api.get(f"{API}/workspaces/w1/balance/", json={"currency_code": "GBP", "available_balance": 10_000})


def _cost(request):
    sent = json.loads(request.body)
    return round(sent["reward"] * sent["total_available_places"] * 1.4)


class TestArguments:
    @pytest.mark.parametrize("operator_class", LEAST)
    def test_all_are_keywords_and_templated(self, operator_class):
        parameters = inspect.signature(operator_class.__init__).parameters

        assert set(operator_class.template_fields) == set(parameters) - {"self", "kwargs"}
        assert all(
            each.kind == each.KEYWORD_ONLY for name, each in parameters.items() if name not in ("self", "kwargs")
        )

    @pytest.mark.parametrize(
        ("operator_class", "argument", "value"),
        [
            (ProlificCreateStudyOperator, "internal_name", " Wave 2"),
            (ProlificCreateStudyOperator, "study", {"name": "A", "status": "ACTIVE"}),
            (ProlificCreateStudyOperator, "study", {"name": "A", "project_id": "p1"}),
            (ProlificCreateStudyOperator, "study", {}),
            (ProlificCreateStudyOperator, "template_study_id", "a/b"),
            (ProlificCreateStudyOperator, "changes", []),
            (ProlificCreateStudyOperator, "if_exists", "replace"),
            (ProlificCreateStudyOperator, "participant_groups", "Wave 1"),
            (ProlificCreateStudyOperator, "participant_groups", []),
            (ProlificPublishStudyOperator, "max_total_cost", 42),
            (ProlificPublishStudyOperator, "max_total_cost", "42.00"),
            (ProlificPublishStudyOperator, "allow_open_recruitment", "perhaps"),
            (ProlificTransitionStudyOperator, "action", "STOP"),
            (ProlificTransitionStudyOperator, "action", "publish"),
            (ProlificSetStudyPlacesOperator, "total_available_places", 0),
            (ProlificSetStudyPlacesOperator, "total_available_places", "+5 more"),
            (ProlificSetStudyPlacesOperator, "max_total_cost", 56.0),
        ],
    )
    def test_a_wrong_one_is_refused_while_the_dag_is_parsed_and_in_the_same_words_at_run_time(
        self, api, operator_class, argument, value
    ):
        with pytest.raises(ProlificValueError, match=f"^{argument} ") as at_parse_time:
            operator_class(task_id="task", **LEAST[operator_class] | {argument: value})
        operator = operator_class(task_id="task", **LEAST[operator_class] | {argument: "{{ it }}"})
        setattr(operator, argument, value)  # as Airflow renders it

        with pytest.raises(ProlificValueError) as at_run_time:
            operator.execute({})

        assert str(at_run_time.value) == str(at_parse_time.value)
        assert not api.requests

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"study": None}, "give either study or template_study_id"),
            ({"template_study_id": "t1"}, "give either study or template_study_id"),
            ({"changes": {"reward": 100}}, "changes belong to template_study_id"),
            (
                {"study": {"internal_name": "Other"}},
                "study and the argument internal_name give different values for 'internal_name'",
            ),
            ({"study": {"project": "p2"}}, "study and the argument project_id give different values for 'project'"),
            (
                {"study": {"filter_set_id": "f1"}, "participant_groups": ["A"]},
                "participant_groups cannot be combined with a filter_set_id",
            ),
        ],
        ids=str,
    )
    def test_what_contradicts_each_other_is_refused_while_the_dag_is_parsed(self, changed, reason):
        with pytest.raises(ProlificValueError, match=reason):
            ProlificCreateStudyOperator(task_id="task", **LEAST[ProlificCreateStudyOperator] | changed)

    def test_prolifics_own_placeholders_hide_nothing_from_that_check(self):
        body = {"external_study_url": "https://example.com/?id={{%PROLIFIC_PID%}}", "status": "ACTIVE"}
        with pytest.raises(ProlificValueError, match="must not have 'status'"):
            ProlificCreateStudyOperator(task_id="task", internal_name="A", study=body, project_id="p1")

    @pytest.mark.parametrize("allowed", [{}, {"allow_open_recruitment": False}])
    def test_a_publication_without_a_group_must_be_allowed_while_the_dag_is_parsed(self, allowed):
        with pytest.raises(ProlificValueError, match=r"^participant_group is missing: .* allow_open_recruitment=True"):
            ProlificPublishStudyOperator(task_id="task", study_id="s1", max_total_cost="1 GBP", **allowed)


class TestCreate:
    BODY = {
        "name": "Words",
        "description": "",
        "reward": 100,
        "external_study_url": "https://example.com/?id={{%PROLIFIC_PID%}}",
    }

    @pytest.fixture
    def lists(self, api):
        """Answer the next listings of the project with these studies each; the last one stays."""

        def answer(*listings):
            for rows in listings:
                api.get(PROJECT_URL, json={"results": rows, "meta": {"count": len(rows)}})

        return answer

    @pytest.fixture
    def create(self, run):
        """Create a draft, by this body unless something else is said."""

        def execute(**arguments):
            body = {} if "template_study_id" in arguments else {"study": deepcopy(self.BODY)}
            return run(
                ProlificCreateStudyOperator, **{"internal_name": "Wave 2", "project_id": "p1", **body, **arguments}
            )

        return execute

    def test_the_body_is_sent_with_internal_name_and_project(self, api, lists, create, asked, bodies):
        lists([], [study()])
        api.post(STUDIES_URL, status=201, json=study())

        assert create() == study()
        assert bodies() == [self.BODY | {"internal_name": "Wave 2", "project": "p1"}]
        assert asked() == ["GET /projects/p1/studies/", "POST /studies/", "GET /projects/p1/studies/"]

    def test_a_template_is_sent_whole_but_for_what_is_the_studys_own(self, api, lists, create, bodies):
        lists([], [study()])
        api.get(
            TEMPLATE_URL,
            json=study("COMPLETED", "t1", internal_name="Template", published_at="2026-01-01T00:00:00Z")
            | {
                "description": "",
                "maximum_allowed_time": 29,
                "completion_codes": [{"code": "DONE"}],
                "completion_code": None,
                "access_details": [],
                "device_compatibility": ["desktop"],
                "privacy_notice": "Be careful",
                "researcher": {"email": "robin@example.com"},
                "submissions_config": {"max_submissions_per_participant": 1},
            },
        )
        api.post(STUDIES_URL, status=201, json=study())

        create(template_study_id="t1", changes={"reward": 250})

        assert bodies() == [
            {
                "name": "Words",
                "description": "",
                "reward": 250,
                "total_available_places": 30,
                "maximum_allowed_time": 29,
                "completion_codes": [{"code": "DONE"}],
                "device_compatibility": ["desktop"],
                "privacy_notice": "Be careful",
                "submissions_config": {"max_submissions_per_participant": 1},
                "filters": [ALLOWLIST],
                "internal_name": "Wave 2",
                "project": "p1",
            }
        ]

    @pytest.mark.parametrize(
        ("template", "changes", "sent"),
        [
            ({"filter_set_id": "f1"}, {}, {"filter_set_id": "f1"}),
            ({"filter_set_id": "f1", "filter_set_version": 2}, {"filters": []}, {"filters": []}),
            ({}, {"filter_set_id": "f1"}, {"filter_set_id": "f1"}),
            ({"filter_set_id": "f1", "filter_set_version": 2}, {"filter_set_id": "f2"}, {"filter_set_id": "f2"}),
        ],
        ids=str,
    )
    def test_filters_come_from_the_study_or_from_a_filter_set(
        self, api, lists, create, bodies, template, changes, sent
    ):
        lists([], [study()])
        api.get(TEMPLATE_URL, json=study(study_id="t1", **template))
        api.post(STUDIES_URL, status=201, json=study())

        create(template_study_id="t1", changes=changes or None)

        [body] = bodies()
        assert {name: value for name, value in body.items() if "filter" in name} == sent

    def test_a_longest_time_that_prolific_computed_goes_with_the_estimate(self, api, lists, create, bodies):
        lists([], [study()])
        api.get(TEMPLATE_URL, json=study(study_id="t1", estimated_completion_time=10, maximum_allowed_time=29))
        api.post(STUDIES_URL, status=201, json=study())

        create(template_study_id="t1", changes={"estimated_completion_time": 20})

        assert "maximum_allowed_time" not in bodies()[0]

    def test_groups_become_one_allowlist_beside_the_other_filters(self, api, lists, create, bodies, group):
        age = {"filter_id": "age", "selected_range": {"lower": 18}}
        other = {"filter_id": "participant_group_allowlist", "selected_values": ["g9"]}
        lists([], [study()])
        api.lists(group(GROUP_ID, "A"), group("g2", "B"), meta={"count": 2})
        api.post(STUDIES_URL, status=201, json=study())

        create(study=self.BODY | {"filters": [other, age]}, participant_groups=["A", "B", "A"])

        assert bodies()[0]["filters"] == [age, ALLOWLIST | {"selected_values": [GROUP_ID, "g2"]}]

    def test_a_template_with_a_filter_set_takes_no_groups(self, api, lists, create, changed):
        lists([])
        api.get(TEMPLATE_URL, json=study(study_id="t1", filter_set_id="f1"))

        with pytest.raises(ProlificError, match="takes its filters from filter set 'f1'"):
            create(template_study_id="t1", participant_groups=[GROUP_ID])
        assert changed() == []

    @pytest.mark.parametrize("name", ["wave 2", "Wave 2 (copy)", "Wave 2 ", None])
    def test_a_name_that_only_looks_like_it_does_not_count(self, api, lists, create, name):
        other = study(study_id="s9", internal_name=name)
        lists([other], [other, study()])
        api.post(STUDIES_URL, status=201, json=study())

        assert create()["id"] == "s1"

    def test_a_listing_without_internal_names_is_not_taken_for_one_without_the_name(self, lists, create, changed):
        lists([{"id": "s1", "status": "ACTIVE"}])

        with pytest.raises(ProlificResponseError, match="without internal_name"):
            create()
        assert changed() == []

    @pytest.mark.parametrize("project", [None, "gone"])
    def test_a_draft_that_does_not_say_where_it_is_must_be_in_the_projects_listing(self, api, lists, create, project):
        created = study()
        created.pop("project") if project == "gone" else created.update(project=project)
        api.post(STUDIES_URL, status=201, json=created)
        lists([], [study()], [], [])

        assert create()["id"] == "s1"
        with pytest.raises(ProlificError, match="not in project p1"):
            create()

    def test_a_draft_in_another_project_is_an_error_that_names_it(self, api, lists, create):
        lists([])
        api.post(STUDIES_URL, status=201, json=study(project="p2"))

        with pytest.raises(ProlificError, match=r"\(s1\), but not in project p1 \(it says 'p2'\)"):
            create()

    def test_a_listing_that_lags_is_no_reason_to_fail(self, api, lists, create):
        lists([])
        api.post(STUDIES_URL, status=201, json=study())

        assert create()["id"] == "s1"

    def test_a_name_that_prolific_changes_is_an_error(self, api, lists, create):
        lists([])
        api.post(STUDIES_URL, status=201, json=study(internal_name="Wave"))

        with pytest.raises(ProlificError, match="with another internal name"):
            create()

    def test_a_refusal_is_final(self, api, lists, create, asked):
        lists([])
        api.post(STUDIES_URL, status=400, json={"detail": "no"})

        with pytest.raises(ProlificApiError):
            create()
        assert asked()[-1] == "POST /studies/"

    @pytest.mark.parametrize("if_exists", ["return", "fail"])
    def test_after_an_unclear_answer_the_name_is_looked_for(self, api, shows, lists, create, changed, if_exists):
        lists([], [study()])
        shows(study())
        api.post(STUDIES_URL, status=502)

        assert create(if_exists=if_exists) == study()
        assert changed() == ["POST /studies/"]

    def test_and_if_it_is_not_there_the_error_says_that_it_may_come(self, api, lists, create):
        lists([])
        api.post(STUDIES_URL, status=502)

        with pytest.raises(ProlificApiError, match=r"^the draft may have been created; a retry searches for it"):
            create()

    @pytest.mark.parametrize(("theirs", "kept"), [("2026-03-01T09:59:59.9Z", "s2"), ("2026-03-01T10:00:00.1Z", "s1")])
    def test_of_two_that_were_created_at_once_the_older_one_stays(self, api, lists, create, changed, theirs, kept):
        lists([], [study(), study(study_id="s2", date_created=theirs)])
        api.post(STUDIES_URL, status=201, json=study())
        api.delete(STUDY_URL, status=204)
        api.get(f"{API}/studies/s2/", json=study(study_id="s2"))

        assert create()["id"] == kept
        assert changed() == ["POST /studies/", *(["DELETE /studies/s1/"] if kept == "s2" else [])]

    @pytest.mark.parametrize("theirs", ["2026-03-01T10:00:00Z", None])
    def test_and_if_that_cannot_be_told_both_stay_and_are_named(self, api, lists, create, changed, theirs):
        lists([], [study(), study(study_id="s2", date_created=theirs)])
        api.post(STUDIES_URL, status=201, json=study())

        with pytest.raises(ProlificError, match="s1, s2"):
            create()
        assert changed() == ["POST /studies/"]


class TestPublish:
    @pytest.fixture
    def publish(self, api, run, money, group):
        def execute(**arguments):
            api.get(GROUP_URL, json=group(GROUP_ID, "Invited", participant_count=7))
            return run(ProlificPublishStudyOperator, **LEAST[ProlificPublishStudyOperator] | arguments)

        return execute

    def test_everything_is_looked_at_in_order_before_it_is_published(self, api, shows, publish, asked):
        shows(study(), study("PUBLISHING"), study("ACTIVE"))
        api.post(f"{STUDY_URL}transition/", json=study("PUBLISHING"))

        assert publish()["status"] == "ACTIVE"
        look, group, cost = "GET /studies/s1/", f"GET /participant-groups/{GROUP_ID}/", "POST /study-cost-calculator/"
        assert asked() == [
            *(look, group, cost, "GET /workspaces/w1/balance/", "POST /studies/s1/transition/"),
            *(look, look, look, cost, group),
        ]

    @pytest.mark.parametrize(
        ("shown", "calculated", "dearest"), [(4200, 1.4, "42.00"), (4300, 1.4, "43.00"), (None, 1.4, "42.00")]
    )
    def test_the_cost_is_the_larger_of_prolifics_two_figures(self, shows, publish, changed, shown, calculated, dearest):
        shows(study(total_cost=shown))

        with pytest.raises(ProlificError, match=rf"would cost up to {dearest} GBP in all"):
            publish(max_total_cost="41.99 GBP")
        assert changed() == []

    @pytest.mark.parametrize("named", ["w1", None])
    def test_a_currency_that_the_study_does_not_name_is_its_wallets(self, connect, shows, publish, named):
        connect(extra={"workspace_id": "w1"})
        shows(study(currency_code=None, workspace=named))

        with pytest.raises(ProlificError, match=r"would cost up to 42\.00 GBP in all"):
            publish(max_total_cost="41.99 GBP")

    @pytest.mark.parametrize("missing", ["reward", "total_available_places"])
    def test_a_study_that_does_not_say_enough_is_not_published(self, shows, publish, changed, missing):
        shows(study(**{missing: None}))

        with pytest.raises(ProlificResponseError, match=f"came without {missing}"):
            publish()
        assert changed() == []

    def test_a_wallet_in_the_red_has_nothing_available(self, api, shows, publish, changed):
        api.replace("GET", f"{API}/workspaces/w1/balance/", json={"currency_code": "GBP", "available_balance": -500})
        shows(study())

        with pytest.raises(ProlificError, match=r"has 0\.00 GBP available"):
            publish()
        assert changed() == []

    def test_a_wallet_in_another_currency_is_not_compared(self, api, shows, publish, changed):
        api.replace("GET", f"{API}/workspaces/w1/balance/", json={"currency_code": "USD", "available_balance": 10_000})
        shows(study())

        with pytest.raises(ProlificValueError, match="different currencies"):
            publish()
        assert changed() == []

    @pytest.mark.parametrize(
        "filters",
        [
            None,
            {"and": [ALLOWLIST]},
            [{"or": [ALLOWLIST]}],
            [ALLOWLIST | {"selected_values": [GROUP_ID.upper()]}],
            [ALLOWLIST | {"selected_values": GROUP_ID}],
            [ALLOWLIST | {"selected_values": []}],
            [ALLOWLIST | {"filter_id": "participant_group_allowlist_2"}],
            ["participant_group_allowlist"],
        ],
        ids=str,
    )
    def test_filters_that_are_not_plainly_an_allowlist_of_the_group_are_none(self, shows, publish, changed, filters):
        shows(study(filters=filters))

        with pytest.raises(ProlificError, match="no allowlist in its filters contains this group"):
            publish()
        assert changed() == []

    def test_a_request_that_was_surely_not_taken_is_an_error_at_once(self, api, shows, publish, asked):
        shows(study())
        api.post(f"{STUDY_URL}transition/", status=429)

        with pytest.raises(ProlificApiError, match="429"):
            publish()
        assert asked()[-1] == "POST /studies/s1/transition/"

    def test_a_draft_that_stays_one_is_an_error_with_prolifics_reason(self, api, shows, publish, asked):
        shows(study())
        api.post(f"{STUDY_URL}transition/", status=400, json={"error": {"error_code": 140007, "detail": "Try again."}})

        with pytest.raises(ProlificError, match=r"it is still a draft\. The request to publish: .*140007"):
            publish()
        assert asked()[-4:] == ["POST /studies/s1/transition/", *["GET /studies/s1/"] * 3]

    def test_a_published_study_that_would_not_be_published_today_is_a_success_with_a_warning(
        self, run, shows, publish, changed
    ):
        shows(study("ACTIVE"))

        assert publish(max_total_cost="1.00 GBP")["status"] == "ACTIVE"
        assert changed() == []
        assert any("would not pass the checks now" in line for line in run.log)


class TestTransition:
    def test_an_unclear_answer_is_followed_by_looks_until_the_status_has_changed(self, api, run, shows, changed):
        shows(study("ACTIVE"), study("ACTIVE"), study("PROCESSING"), study("COMPLETED"))
        api.post(f"{STUDY_URL}transition/", status=504)

        assert run(ProlificTransitionStudyOperator, study_id="s1", action="stop")["status"] == "COMPLETED"
        assert changed() == ["POST /studies/s1/transition/"]

    def test_if_it_does_not_change_the_answer_is_the_error(self, api, run, shows, changed):
        shows(study("ACTIVE"))
        api.post(f"{STUDY_URL}transition/", status=504)

        with pytest.raises(ProlificApiError, match="504"):
            run(ProlificTransitionStudyOperator, study_id="s1", action="stop")
        assert changed() == ["POST /studies/s1/transition/"]

    def test_a_refusal_is_followed_by_one_look(self, api, run, shows, asked):
        shows(study("ACTIVE"))
        api.post(f"{STUDY_URL}transition/", status=400)

        with pytest.raises(ProlificApiError, match="400"):
            run(ProlificTransitionStudyOperator, study_id="s1", action="stop")
        assert asked() == ["GET /studies/s1/", "POST /studies/s1/transition/", "GET /studies/s1/"]

    def test_so_it_is_if_prolific_accepted_it_in_vain(self, api, run, shows):
        shows(study("ACTIVE"))
        api.post(f"{STUDY_URL}transition/", json=study("ACTIVE"))

        with pytest.raises(ProlificError, match="is still ACTIVE, although Prolific accepted to pause it"):
            run(ProlificTransitionStudyOperator, study_id="s1", action="pause")

    def test_a_stop_that_cannot_be_told_from_a_full_study_is_done_with_a_warning(self, run, shows, changed):
        shows(study("AWAITING_REVIEW"))

        run(ProlificTransitionStudyOperator, study_id="s1", action="stop")

        assert changed() == []
        assert any(line.startswith("warning: Prolific does not say") for line in run.log)


class TestSetPlaces:
    @pytest.fixture
    def set_places(self, run, money):
        def execute(**arguments):
            return run(ProlificSetStudyPlacesOperator, **LEAST[ProlificSetStudyPlacesOperator] | arguments)

        return execute

    def test_the_number_is_sent_as_it_is(self, api, shows, set_places, asked, bodies):
        shows(study("ACTIVE"), study("ACTIVE", total_available_places=40))
        api.patch(STUDY_URL, json=study("ACTIVE", total_available_places=40))

        assert set_places()["total_available_places"] == 40
        assert asked()[-2:] == ["PATCH /studies/s1/", "GET /studies/s1/"]
        assert bodies()[-1] == {"total_available_places": 40}

    @pytest.mark.parametrize(("places", "is_done"), [(40, True), (30, False), (45, False)])
    def test_whatever_the_answer_was_a_look_decides(self, api, shows, set_places, changed, places, is_done):
        shows(study("ACTIVE"), study("ACTIVE", total_available_places=places))
        api.patch(STUDY_URL, status=400)

        if is_done:
            assert set_places()["total_available_places"] == 40
        else:
            with pytest.raises(ProlificApiError, match="400"):
                set_places()
        assert changed() == ["PATCH /studies/s1/"]

    def test_another_number_than_was_accepted_is_an_error(self, api, shows, set_places):
        shows(study("ACTIVE"))
        api.patch(STUDY_URL, json=study("ACTIVE"))

        with pytest.raises(ProlificError, match="has 30 places, although Prolific accepted 40"):
            set_places()

    def test_the_studys_own_figure_grows_with_the_places(self, shows, set_places, changed):
        shows(study("ACTIVE", total_cost=6000))

        with pytest.raises(ProlificError, match=r"would cost up to 80\.00 GBP in all"):
            set_places(max_total_cost="79.99 GBP")
        assert changed() == []

    def test_a_study_that_does_not_say_how_many_came_is_taken_for_full(self, api, run, shows, set_places):
        ended = study("AWAITING REVIEW", places_taken=None)
        shows(ended, ended | {"total_available_places": 40})
        api.patch(STUDY_URL, json=ended)

        assert set_places()["total_available_places"] == 40
        assert any("does not say whether it is full or was stopped" in line for line in run.log)
