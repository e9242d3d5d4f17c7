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
    """To the study that fills a participant group; no link where none does."""

    name = "Feeder study"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the page of the study that the task instance named, or an empty text."""
        from airflow_provider_prolific.version_compat import get_xcom

        study_id = get_xcom(FEEDER_STUDY_KEY, ti_key)
        return STUDY_PAGE + quote(study_id, safe="") if isinstance(study_id, str) else ""


def name_feeder_study(context: Context, groups: Iterable[Mapping[str, Any]]) -> None:
    """Leave the id of the first study that fills one of the groups, for the link."""
    for group in groups:
        for study in group.get("feeder_studies") or ():
            study_id = study.get("id") if isinstance(study, Mapping) else None
            if isinstance(study_id, str) and study_id and context and "ti" in context:
                context["ti"].xcom_push(key=FEEDER_STUDY_KEY, value=study_id)
                return
