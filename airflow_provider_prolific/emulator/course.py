"""What a researcher can do to a study, and what is refused. No HTTP in here."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.emulator.errors import ApiError, invalid
from airflow_provider_prolific.emulator.life import ALLOWLIST, BLOCKLIST
from airflow_provider_prolific.emulator.models import Recruitment
from airflow_provider_prolific.emulator.seed import Project, User
from airflow_provider_prolific.emulator.studies import Study
from airflow_provider_prolific.emulator.study_models import StudyChanges

if TYPE_CHECKING:
    from airflow_provider_prolific.emulator.state import State

PUBLISH_REFUSED = 140007
#: The fields that can be changed after publishing.
_CHANGEABLE = ("internal_name", "total_available_places", "access_details", "submissions_config")
#: The statuses in which an action is possible, and those in which it has already been done.
_ACTIONS = {
    "PUBLISH": (("UNPUBLISHED",), ("PUBLISHING", "ACTIVE", "PAUSED", "AWAITING REVIEW", "COMPLETED")),
    "SCHEDULE_PUBLISH": (("UNPUBLISHED",), ("SCHEDULED",)),
    "CANCEL_PUBLISH": (("SCHEDULED",), ("UNPUBLISHED",)),
    "PAUSE": (("ACTIVE",), ("PAUSED",)),
    "START": (("PAUSED",), ("ACTIVE",)),
    "STOP": (("ACTIVE", "PAUSED"), ("AWAITING REVIEW", "COMPLETED")),
}


def create(state: "State", user: User, sent: StudyChanges) -> Study:
    """Create a draft; ``project_id`` is ignored, as in the real API."""
    if not (sent.external_study_url or sent.access_details or sent.data_collection_method):
        raise invalid(external_study_url="Give external_study_url, access_details or data_collection_method.")
    fields = sent.sent()
    _check(state, user, fields)
    project = _project(state, user, sent.project)
    return state.add_study(fields, project, state.now(), _people(state, fields), publish_at=_moment(sent.publish_at))


def _people(state: "State", fields: dict[str, Any]) -> Recruitment | None:
    """Return how people take part in a study with the same completion codes: it is the same questionnaire."""
    codes = fields.get("completion_codes")
    alike = (study for study in state.studies.values() if codes and study.fields.get("completion_codes") == codes)
    study = next(alike, None)
    return None if study is None else study.recruitment


def clone(state: "State", study: Study, block_previous_participants: bool) -> Study:
    """Create a draft like another study, in its project; people take part in it in the same way."""
    fields = deepcopy(study.fields)
    if state.settings.clone_internal_name == "copy":
        fields["internal_name"] = f"{fields.get('internal_name') or fields['name']} (copy)"
    if block_previous_participants:
        blocked = {"filter_id": "previous_studies_blocklist", "selected_values": [study.id]}
        fields["filters"] = [*(fields.get("filters") or ()), blocked]
    project = state.projects[study.project_id] if study.project_id is not None else None
    return state.add_study(fields, project, state.now(), study.recruitment)


def change(state: "State", user: User, study: Study, sent: StudyChanges) -> None:
    """Change a draft, or the few fields of a published study that can be changed."""
    fields = sent.sent()
    if study.is_draft:
        _check(state, user, {**study.fields, **fields})
        if "project" in fields:
            state.put_into_project(study, _project(state, user, fields.pop("project")))
        if "publish_at" in fields:
            study.publish_at = _moment(fields.pop("publish_at"))
        study.fields |= fields
        state.forget_feeders()
        return
    frozen = [name for name, value in fields.items() if name not in _CHANGEABLE and value != study.fields.get(name)]
    if frozen:
        raise invalid(**dict.fromkeys(frozen, "Cannot be changed once the study has been published."))
    added = fields.pop("access_details", None) or []
    places = fields.pop("total_available_places", study.places)
    if places < study.places:
        raise invalid(total_available_places="Cannot be lower than it is.")
    _add_places(state, study, places + sum(detail["total_allocation"] for detail in added))
    if added:
        study.fields["access_details"] = [*(study.fields.get("access_details") or ()), *added]
    study.fields |= {name: value for name, value in fields.items() if name in _CHANGEABLE}


def _add_places(state: "State", study: Study, places: int) -> None:
    before, was_stopped = study.places, study.phase == "STOPPED"
    if places == before:
        return
    if was_stopped and not state.settings.reopen_stopped:
        raise invalid(total_available_places="The study has been stopped.")
    study.fields["total_available_places"] = places
    if was_stopped:
        study.phase = "ACTIVE"
    if state.available(study.workspace_id) < 0:
        study.fields["total_available_places"] = before
        if was_stopped:
            study.phase = "STOPPED"
        raise _too_little_money(state)
    study.forced_status = None
    state.life.expect(study, state.now())


def act(state: "State", study: Study, action: str, publish_at: str | None = None) -> None:
    """Carry out a transition."""
    now = state.now()
    origins, results = _ACTIONS[action]
    if study.status not in origins:
        if study.status in results and state.settings.repeated_transition == "ignored":
            return
        raise _refused(study, action)
    if action == "PUBLISH":
        _publish(state, study, now)
    elif action == "SCHEDULE_PUBLISH":
        _schedule(state, study, publish_at, now)
    elif action == "CANCEL_PUBLISH":
        study.phase, study.publish_at = "UNPUBLISHED", None
    elif action == "PAUSE":
        study.phase = "PAUSED"
    elif action == "START":
        state.life.open(study, now)
    else:
        state.life.stop(study)
    study.forced_status = None


def _refused(study: Study, action: str) -> ApiError:
    if action == "PUBLISH":
        return ApiError(400, "There was an error while publishing the study. Please try again.", PUBLISH_REFUSED)
    return ApiError(400, f"The action {action} is not possible while the study is {study.status}.")


def _too_little_money(state: "State") -> ApiError:
    if state.settings.no_funds == "140007":
        return ApiError(400, "There was an error while publishing the study. Please try again.", PUBLISH_REFUSED)
    return ApiError(400, "There is not enough balance in the workspace for this study.")


def _publish(state: "State", study: Study, now: float) -> None:
    if not study.has_codes:
        raise invalid(completion_codes="At least one is needed to publish.")
    is_funded = (study.cost_of_a_place * study.places).total <= state.available(study.workspace_id)
    if not is_funded and state.settings.no_funds != "later":
        raise _too_little_money(state)
    state.life.publish(study, now, is_funded=is_funded)


def _schedule(state: "State", study: Study, publish_at: str | None, now: float) -> None:
    moment = study.publish_at if publish_at is None else _moment(publish_at)
    if moment is None or moment <= now:
        raise invalid(publish_at="A moment in the future is needed.")
    study.phase, study.publish_at = "SCHEDULED", moment

    def publish(at: float) -> None:
        if study.phase == "SCHEDULED" and study.publish_at == moment:
            study.phase = "UNPUBLISHED"
            is_funded = (study.cost_of_a_place * study.places).total <= state.available(study.workspace_id)
            if study.has_codes and is_funded:
                state.life.publish(study, at)

    state.life.plan(moment, publish)


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise invalid(publish_at="Must be a moment in ISO 8601.") from None


def _project(state: "State", user: User, project_id: str | None) -> Project | None:
    """Return the project that was asked for, or the user's first one."""
    visible = [each for each in state.projects.values() if each.workspace_id in user.workspaces]
    if project_id is None:
        return next(iter(visible), None)
    for project in visible:
        if project.id == project_id:
            return project
    raise invalid(project="There is no such project.")


def _check(state: "State", user: User, fields: dict[str, Any]) -> None:
    codes = [code["code"] for code in fields.get("completion_codes", ())]
    if len(set(codes)) < len(codes):
        raise invalid(completion_codes="Each code must be unique within the study.")
    actions = [action for code in fields.get("completion_codes", ()) for action in code["actions"]]
    groups = [action["participant_group"] for action in actions if "participant_group" in action]
    _check_groups(state, user, "completion_codes", groups)
    filters = fields.get("filters") or ()
    if filters and fields.get("filter_set_id"):
        raise invalid(filters="Cannot be combined with filter_set_id.")
    filter_set = state.filter_sets.get(fields.get("filter_set_id") or "")
    if fields.get("filter_set_id") and (filter_set is None or filter_set["workspace_id"] not in user.workspaces):
        raise invalid(filter_set_id="There is no such filter set.")
    of_groups = [each for each in filters if each["filter_id"] in (ALLOWLIST, BLOCKLIST)]
    groups = [value for each in of_groups for value in each.get("selected_values", ())]
    _check_groups(state, user, "filters", groups)
    details = fields.get("access_details")
    if details and sum(detail["total_allocation"] for detail in details) != fields["total_available_places"]:
        raise invalid(access_details="The allocations must add up to total_available_places.")


def _check_groups(state: "State", user: User, field: str, group_ids: list[Any]) -> None:
    for group_id in group_ids:
        try:
            state.group(group_id, user)
        except (ApiError, TypeError):  # a list or an object is not an id either
            raise invalid(**{field: "There is no such participant group."}) from None
