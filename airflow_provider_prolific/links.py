"""Links from a task in Airflow's UI to Prolific's own pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_prolific.version_compat import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_provider_prolific.version_compat import BaseOperator, Context

#: The XCom in which a task leaves the id of the study that its link leads to.
FEEDER_STUDY_KEY = "prolific_feeder_study_id"
STUDY_PAGE = "https://app.prolific.com/researcher/workspaces/studies/"


class FeederStudyLink(BaseOperatorLink):
    """To the study that fills participant groups; no link unless one study alone fills each of them."""

    name = "Open feeder study in Prolific"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the page of the study that the task instance named, or an empty text."""
        from airflow_provider_prolific.version_compat import get_xcom

        study_id = get_xcom(FEEDER_STUDY_KEY, ti_key)
        return STUDY_PAGE + quote(study_id, safe="") if isinstance(study_id, str) and study_id else ""


def name_feeder_study(context: Context, groups: Iterable[Mapping[str, Any]]) -> None:
    """Leave the id of the one study that alone fills each of the groups, for the link.

    Where there is none, an empty text is left: Airflow logs an error for a link that asks for an XCom that does not
    exist.
    """
    if not context or "ti" not in context:
        return
    study_ids = {_only_feeder_study_id(group) for group in groups}
    context["ti"].xcom_push(key=FEEDER_STUDY_KEY, value=study_ids.pop() if len(study_ids) == 1 else "")


def _only_feeder_study_id(group: Mapping[str, Any]) -> str:
    """Return the id of the one study that fills a group, or an empty text."""
    match group.get("feeder_studies"):
        case [{"id": str(study_id)}]:
            return study_id
    return ""
