"""Links from a task in Airflow's UI to Prolific's own pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_prolific.version_compat import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_provider_prolific.version_compat import BaseOperator, Context

#: The key of the XCom with the id of the study that the link of a task opens.
FEEDER_STUDY_KEY = "prolific_feeder_study_id"
STUDY_PAGE = "https://app.prolific.com/researcher/workspaces/studies/"


class FeederStudyLink(BaseOperatorLink):
    """A link to the study that fills the participant groups, if a single study fills all of them."""

    name = "Open feeder study in Prolific"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the URL of the study's page; an empty text if the task instance stored no study."""
        from airflow_provider_prolific.version_compat import get_xcom

        study_id = get_xcom(FEEDER_STUDY_KEY, ti_key)
        return STUDY_PAGE + quote(study_id, safe="") if isinstance(study_id, str) and study_id else ""


def name_feeder_study(context: Context, groups: Iterable[Mapping[str, Any]]) -> None:
    """Store the id of the study for the link, if a single study fills all of the groups.

    Otherwise an empty text is stored: Airflow logs an error if a link reads an XCom that does not exist.
    """
    if not context or "ti" not in context:
        return
    study_ids = {_only_feeder_study_id(group) for group in groups}
    context["ti"].xcom_push(key=FEEDER_STUDY_KEY, value=study_ids.pop() if len(study_ids) == 1 else "")


def _only_feeder_study_id(group: Mapping[str, Any]) -> str:
    """Return the id of the only study that fills a group; an empty text if there are none or several."""
    match group.get("feeder_studies"):
        case [{"id": str(study_id)}]:
            return study_id
    return ""
