"""The operator that creates a study; import it from ``airflow_provider_prolific.operators.studies``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_prolific.arguments import (
    check_filter,
    check_id,
    check_name,
    check_study_fields,
    one_of,
    optional,
)
from airflow_provider_prolific.exceptions import (
    ProlificError,
    ProlificResponseError,
    ProlificValueError,
)
from airflow_provider_prolific.operators.allowlist import check_groups, with_allowlist
from airflow_provider_prolific.operators.base import ProlificOperator, require_group
from airflow_provider_prolific.text import fold_status, shorten
from airflow_provider_prolific.waiting.group_index import composed
from airflow_provider_prolific.waiting.studies import describe_study
from airflow_provider_prolific.waiting.wait import read_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import XComArg

    from airflow_provider_prolific.arguments import FilterArgument, TextArgument
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.studies import Study

#: What a new study takes over from its template: all that Prolific documents for the creation of a study, and what it
#: takes beside that. Not the project, for that decides who pays.
_TEMPLATE_FIELDS = (
    *("name", "description", "external_study_url", "access_details", "prolific_id_option"),
    *("completion_codes", "completion_code", "completion_option", "privacy_notice"),
    *("total_available_places", "estimated_completion_time", "maximum_allowed_time", "reward"),
    *("device_compatibility", "peripheral_requirements"),
    *("filters", "filter_set_id", "filter_set_version", "naivety_distribution_rate"),
    *("submissions_config", "study_labels", "content_warnings", "content_warning_details", "metadata"),
    *("credential_pool_id", "data_collection_method", "data_collection_id", "data_collection_metadata"),
)
#: Which of them are sent though they may be empty.
_REQUIRED = ("name", "description")
#: Which fields of a template go when another one is changed: Prolific takes one of them only, or computes it.
_REPLACED_BY = {
    "filters": ("filter_set_id", "filter_set_version"),
    "filter_set_id": ("filters", "filter_set_version"),
    "external_study_url": ("access_details",),
    "access_details": ("external_study_url",),
    "completion_codes": ("completion_code", "completion_option"),
    "estimated_completion_time": ("maximum_allowed_time",),
}
#: Where Prolific puts a person's id into a URL: to Jinja it would look like the beginning of an expression.
_PLACEHOLDER = re.compile(r"\{\{%\w+%\}\}")


class ProlificCreateStudyOperator(ProlificOperator):
    """Create a draft of a study, unless there is one of this internal name; it costs nothing until it is published.

    .. code-block:: python

        draft = ProlificCreateStudyOperator(
            task_id="draft",
            internal_name="Main study {{ ds }}",
            template_study_id="64d000000000000000000005",
            changes={"total_available_places": 20},
            participant_groups=["Wave 2 invited"],
            project_id="64b000000000000000000002",
        )

    Prolific lets several studies have one internal name, so the operator looks for it first, among all studies of the
    project, and once more if the answer to the creation is lost: a retry finds its own draft and makes no second one.
    One request makes the whole draft, also from a template: the template is read, and its fields are sent with
    ``changes`` on top. Prolific's own duplicate would need a second request for the changes, and a worker that is
    killed between the two leaves a copy that looks like one that a person, or another task, is about to change.
    Unlike that duplicate, people who took the template are not excluded: add a filter to exclude them.

    If two tasks create a study of the same name at the same moment, the later one deletes its own draft and returns
    the other one.

    :param internal_name: The study's name for its researchers, by which it is found again.
    :param study: The study in the API's own fields, without ``status``. ``{{%PROLIFIC_PID%}}`` and its like are left
        to Prolific.
    :param template_study_id: Or a study whose fields are taken over.
    :param changes: What differs from the template, in the API's own fields.
    :param project_id: The project that the study belongs to, and whose workspace pays; without it ``project`` of
        ``study``, or else the connection's.
    :param if_exists: ``"return"``: a study of this name is returned, as it is and whatever its status; ``"fail"``: it
        is an error.
    :param participant_groups: Only members of one of these groups may take part: ids or exact names. The study's other
        filters are kept.
    :param filter: The scope for the groups' names; default: the connection's.
    :param prolific_conn_id: The Prolific connection.
    :return: The study in the API's own field names (``id``, ``status``, …).
    :raises ProlificError: the name is taken, or taken twice; the API refuses, or its answer cannot be right.

    API: https://docs.prolific.com/api-reference/studies/create-study
    """

    checks = {
        "internal_name": check_name,
        "study": optional(check_study_fields),
        "template_study_id": optional(check_id),
        "changes": optional(check_study_fields),
        "project_id": optional(check_id),
        "if_exists": one_of("return", "fail"),
        "participant_groups": optional(check_groups),
        "filter": check_filter,
    }
    returns_dict = True

    def __init__(
        self,
        *,
        internal_name: TextArgument,
        study: Mapping[str, Any] | TextArgument | None = None,
        template_study_id: TextArgument | None = None,
        changes: Mapping[str, Any] | TextArgument | None = None,
        project_id: TextArgument | None = None,
        if_exists: Literal["return", "fail"] | XComArg = "return",
        participant_groups: Iterable[TextArgument] | TextArgument | None = None,
        filter: FilterArgument | None = None,
        prolific_conn_id: TextArgument = "prolific_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(prolific_conn_id=prolific_conn_id, **kwargs)
        self.set_arguments(
            internal_name=internal_name,
            study=study,
            template_study_id=template_study_id,
            changes=changes,
            project_id=project_id,
            if_exists=if_exists,
            participant_groups=participant_groups,
            filter=filter,
        )

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render templates, and leave Prolific's own placeholders in URLs as they are."""
        if isinstance(content, str):
            content = _PLACEHOLDER.sub(lambda match: f"{{{{ '{match[0]}' }}}}", content)
        return super().render_template(content, *args, **kwargs)

    def check_together(self, arguments: Mapping[str, Any]) -> None:
        """Refuse a study without fields, and fields that contradict each other."""
        study, changes = arguments["study"], arguments["changes"]
        if (study is None) == (arguments["template_study_id"] is None):
            raise ProlificValueError("give either study or template_study_id")
        if study is not None and changes is not None:
            raise ProlificValueError("changes are those of a template: put them into study itself")
        for name, fields in (("study", study), ("changes", changes)):
            for field, argument in (("internal_name", "internal_name"), ("project", "project_id")):
                wanted, given = arguments[argument], (fields or {}).get(field)
                if given not in (None, wanted) and (wanted is not None or name == "changes"):
                    raise ProlificValueError(f"{name} must not have another {field!r} than the argument {argument}")
        fields = study or changes or {}
        if arguments["participant_groups"] is not None and fields.get("filter_set_id") is not None:
            raise ProlificValueError(
                "participant_groups cannot be combined with a filter_set_id: Prolific takes filters from one of the two"
            )

    def perform(
        self,
        hook: ProlificHook,
        *,
        internal_name: str,
        study: dict[str, Any] | None,
        template_study_id: str | None,
        changes: dict[str, Any] | None,
        project_id: str | None,
        if_exists: str,
        participant_groups: list[str] | None,
        filter: dict[str, str] | None,
    ) -> Study:
        """Find or create the study."""
        project_id = _find_project(hook, project_id or (study or {}).get("project"))
        found = _find_studies(hook, project_id, internal_name)
        if len(found) > 1:
            raise _ambiguous(internal_name, found)
        if found and if_exists == "fail":
            raise ProlificError(
                f"there is a study with the internal name {shorten(internal_name)} already: {found[0]['id']}. If an "
                'earlier try of this task made it, set if_exists="return"'
            )
        if found:
            self.log.info("%s is there already, %s", describe_study(found[0]), fold_status(found[0]["status"]))
            return hook.get_study(found[0]["id"])
        if study is None:
            assert template_study_id is not None  # noqa: S101 - one of the two is given
            study = _from_template(hook.get_study(template_study_id), changes or {})
        if participant_groups is not None:
            if study.get("filter_set_id") is not None:
                raise ProlificError(
                    f"the template {template_study_id} takes its filters from filter set "
                    f"{shorten(study['filter_set_id'])}: participant_groups cannot be added to it. Put the allowlist "
                    'into the filter set, or give "filters" in changes'
                )
            ids = list(dict.fromkeys(require_group(hook, each, filter)["id"] for each in participant_groups))
            study = study | {"filters": with_allowlist(study.get("filters") or (), ids)}
        return self._create(hook, study | {"internal_name": internal_name, "project": project_id})

    def _create(self, hook: ProlificHook, body: dict[str, Any]) -> Study:
        """Create the draft; if the answer is lost, or somebody else did the same, what the project has decides."""
        internal_name, project_id = body["internal_name"], body["project"]
        try:
            created = hook.create_study(body)
        except ProlificError as error:
            if not error.may_have_acted:
                raise
            found = []
            with suppress(ProlificError):  # the first error is the one to raise
                found = _find_studies(hook, project_id, internal_name)
            if not found:
                error.args = (f"the draft may have been created, and a retry looks for it: {error}",)
                raise
            if len(found) > 1:
                raise _ambiguous(internal_name, found) from error
            self.log.warning("The answer was lost, but %s is there now: %s", describe_study(found[0]), error)
            return hook.get_study(found[0]["id"])
        found = _find_studies(hook, project_id, internal_name)
        _check_created(created, found, project_id, internal_name)
        self.log.info("Created %s in project %s", describe_study(created), project_id)
        return self._give_way(hook, created, found)

    def _give_way(self, hook: ProlificHook, created: Study, found: list[Study]) -> Study:
        """Return the draft; if another one of this name is older, delete it and return the other one."""
        times = {study["id"]: read_time(study.get("date_created")) for study in (created, *found)}
        own = times.pop(created["id"])
        if not times:
            return created
        oldest = min(times, key=times.__getitem__)
        if not own or not times[oldest] or own == times[oldest]:
            raise _ambiguous(str(created.get("internal_name")), [created, *found])
        if own < times[oldest]:
            return created
        self.log.warning("%s was created at the same time: the later one, %s, is deleted", oldest, created["id"])
        hook.delete_study(created["id"])
        return hook.get_study(oldest)


def _find_project(hook: ProlificHook, project_id: Any) -> str:
    """Return the project that was asked for, or else the connection's."""
    if project_id is not None:
        return check_id(project_id, "project")
    try:
        key, scope_id = hook.default_scope()
    except ProlificValueError:
        key = scope_id = ""
    if key != "project_id":
        raise ProlificValueError(
            "no project: pass project_id, or set project_id instead of workspace_id in the extra fields of the "
            "connection. Without it Prolific takes the account's first project, and its workspace pays"
        )
    return scope_id


def _find_studies(hook: ProlificHook, project_id: str, internal_name: str) -> list[Study]:
    """Return the project's studies that have exactly this internal name, whatever their status."""
    studies = hook.list_studies(project_id)
    if any("internal_name" not in study for study in studies):
        raise ProlificResponseError(
            f"the studies of project {project_id} came without internal_name: whether there is one named "
            f"{shorten(internal_name)} cannot be told"
        )
    wanted = composed(internal_name)
    return [
        study
        for study in studies
        if isinstance(study["internal_name"], str) and composed(study["internal_name"]) == wanted
    ]


def _check_created(created: Study, found: list[Study], project_id: str, internal_name: str) -> None:
    """Refuse a draft that lies elsewhere, or that would not be found again.

    A study need not say where it is; then the project's own listing decides.
    """
    project: Any = created.get("project")
    if project is None and created["id"] in [study["id"] for study in found]:
        project = project_id
    if project != project_id:
        raise ProlificError(
            f"Prolific created {describe_study(created)}, but not in project {project_id} (it says "
            f"{shorten(project)}), and another workspace would pay: delete this draft"
        )
    if composed(str(created.get("internal_name", internal_name))) != composed(internal_name):
        raise ProlificError(
            f"Prolific created {describe_study(created)} under another internal name than {shorten(internal_name)}, "
            "by which it would not be found again: delete this draft, and choose a name that Prolific keeps as it is"
        )


def _from_template(template: Study, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a study that is to be like another one, but for the changes."""
    replaced = {name for change in changes for name in _REPLACED_BY.get(change, ())}
    if template.get("filter_set_id") is not None:
        replaced.add("filters")  # they are shown, but belong to the filter set
    return {
        name: value
        for name, value in template.items()
        if name in _TEMPLATE_FIELDS and name not in replaced and (value not in (None, "", [], {}) or name in _REQUIRED)
    } | changes


def _ambiguous(internal_name: str, found: list[Study]) -> ProlificError:
    ids = sorted({study["id"] for study in found})
    return ProlificError(
        f"{len(ids)} studies of the project have the internal name {shorten(internal_name)}: {', '.join(ids)}. Rename "
        "or delete all but one at Prolific"
    )
