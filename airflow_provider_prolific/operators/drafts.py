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

#: The fields that a new study copies from its template: all that Prolific documents for creating a study, and some that
#: it accepts without documenting them. Not the project, because the project decides who pays.
_TEMPLATE_FIELDS = (
    *("name", "description", "external_study_url", "access_details", "prolific_id_option"),
    *("completion_codes", "completion_code", "completion_option", "privacy_notice"),
    *("total_available_places", "estimated_completion_time", "maximum_allowed_time", "reward"),
    *("device_compatibility", "peripheral_requirements"),
    *("filters", "filter_set_id", "filter_set_version", "naivety_distribution_rate"),
    *("submissions_config", "study_labels", "content_warnings", "content_warning_details", "metadata"),
    *("credential_pool_id", "data_collection_method", "data_collection_id", "data_collection_metadata"),
)
#: Those of them that are sent even if they are empty.
_REQUIRED = ("name", "description")
#: Fields of the template to drop if the key is changed: Prolific accepts only one of them, or computes the other.
_REPLACED_BY = {
    "filters": ("filter_set_id", "filter_set_version"),
    "filter_set_id": ("filters", "filter_set_version"),
    "external_study_url": ("access_details",),
    "access_details": ("external_study_url",),
    "completion_codes": ("completion_code", "completion_option"),
    "estimated_completion_time": ("maximum_allowed_time",),
}
#: Where Prolific puts a participant's id into a URL. Jinja would read it as the beginning of an expression.
_PLACEHOLDER = re.compile(r"\{\{%\w+%\}\}")


class ProlificCreateStudyOperator(ProlificOperator):
    """Create a draft study, unless a study with this internal name exists. It costs nothing until it is published.

    .. code-block:: python

        draft = ProlificCreateStudyOperator(
            task_id="draft",
            internal_name="Main study {{ ds }}",
            template_study_id="64d000000000000000000005",
            changes={"total_available_places": 20},
            participant_groups=["Wave 2 invited"],
            project_id="64b000000000000000000002",
        )

    Prolific allows several studies with the same internal name. So the operator first searches all studies of the
    project for it, and searches again if the answer to the creation is lost: a retry finds its own draft and creates no
    second one.

    One request creates the whole draft, even from a template: the operator reads the template and sends its fields with
    ``changes`` on top. Prolific's own duplicate would need a second request for the changes. A worker that is killed
    between the two requests would leave a copy that looks like somebody else's work. Unlike with that duplicate, people
    who took the template study are not excluded: add a filter to exclude them.

    If two tasks create a study with the same name at the same time, the later one deletes its own draft and returns
    the other one.

    :param internal_name: The study's name for researchers. The operator finds the study again by this name.
    :param study: The study in the API's own fields, without ``status``. Prolific's own placeholders, such as
        ``{{%PROLIFIC_PID%}}``, are not rendered.
    :param template_study_id: Instead of ``study``: a study whose fields are copied.
    :param changes: What differs from the template, in the API's own fields.
    :param project_id: The study's project, whose workspace pays; default: ``project`` of ``study``, else the
        connection's.
    :param if_exists: If a study with this name exists: ``"return"`` it as it is, whatever its status, or ``"fail"``.
    :param participant_groups: Only members of any of these groups may take part: ids or exact names. The other filters
        of the study are kept.
    :param filter: The scope for the groups' names; default: the connection's.
    :param prolific_conn_id: The Prolific connection.
    :return: The study in the API's own field names (``id``, ``status``, …).
    :raises ProlificError: the name is taken or ambiguous, the API refuses, or its answer is not valid.

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
            raise ProlificValueError("changes belong to template_study_id: put these fields into study itself")
        for name, fields in (("study", study), ("changes", changes)):
            for field, argument in (("internal_name", "internal_name"), ("project", "project_id")):
                wanted, given = arguments[argument], (fields or {}).get(field)
                if given not in (None, wanted) and (wanted is not None or name == "changes"):
                    raise ProlificValueError(f"{name} and the argument {argument} give different values for {field!r}")
        fields = study or changes or {}
        if arguments["participant_groups"] is not None and fields.get("filter_set_id") is not None:
            raise ProlificValueError(
                "participant_groups cannot be combined with a filter_set_id: Prolific accepts only one of the two"
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
                f"a study with the internal name {shorten(internal_name)} already exists: {found[0]['id']}. If an "
                'earlier try of this task created it, set if_exists="return"'
            )
        if found:
            self.log.info("%s already exists, %s", describe_study(found[0]), fold_status(found[0]["status"]))
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
        """Create the draft. If the answer is lost, or another task was faster, the project's studies decide."""
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
                error.args = (f"the draft may have been created; a retry searches for it: {error}",)
                raise
            if len(found) > 1:
                raise _ambiguous(internal_name, found) from error
            self.log.warning("The answer was lost, but %s exists now: %s", describe_study(found[0]), error)
            return hook.get_study(found[0]["id"])
        found = _find_studies(hook, project_id, internal_name)
        _check_created(created, found, project_id, internal_name)
        self.log.info("Created %s in project %s", describe_study(created), project_id)
        return self._give_way(hook, created, found)

    def _give_way(self, hook: ProlificHook, created: Study, found: list[Study]) -> Study:
        """Return the draft. If another one with this name is older, delete the draft and return the older one."""
        times = {study["id"]: read_time(study.get("date_created")) for study in (created, *found)}
        own = times.pop(created["id"])
        if not times:
            return created
        oldest = min(times, key=times.__getitem__)
        if not own or not times[oldest] or own == times[oldest]:
            raise _ambiguous(str(created.get("internal_name")), [created, *found])
        if own < times[oldest]:
            return created
        self.log.warning("%s was created at the same time: deletes the later one, %s", oldest, created["id"])
        hook.delete_study(created["id"])
        return hook.get_study(oldest)


def _find_project(hook: ProlificHook, project_id: Any) -> str:
    """Return the project that was asked for, otherwise the connection's."""
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
            f"Prolific listed the studies of project {project_id} without internal_name: it is not known whether one "
            f"is named {shorten(internal_name)}"
        )
    wanted = composed(internal_name)
    return [
        study
        for study in studies
        if isinstance(study["internal_name"], str) and composed(study["internal_name"]) == wanted
    ]


def _check_created(created: Study, found: list[Study], project_id: str, internal_name: str) -> None:
    """Refuse a draft in another project, and a draft that a retry would not find.

    If the study does not name its project, the list of the project's studies decides.
    """
    project: Any = created.get("project")
    if project is None and created["id"] in [study["id"] for study in found]:
        project = project_id
    if project != project_id:
        raise ProlificError(
            f"Prolific created {describe_study(created)}, but not in project {project_id} (it says "
            f"{shorten(project)}). Delete this draft: another workspace would pay"
        )
    if composed(str(created.get("internal_name", internal_name))) != composed(internal_name):
        raise ProlificError(
            f"Prolific created {describe_study(created)} with another internal name than {shorten(internal_name)}: a "
            "retry would not find it. Delete this draft, and choose a name that Prolific does not change"
        )


def _from_template(template: Study, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a new study: those of the template, with the changes."""
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
