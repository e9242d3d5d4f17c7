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
    """To the study that fills a participant group; no link where none does, or several do."""

    name = "Feeder study"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the page of the study that the task instance named, or an empty text."""
        from airflow_provider_prolific.version_compat import get_xcom

        study_id = get_xcom(FEEDER_STUDY_KEY, ti_key)
        return STUDY_PAGE + quote(study_id, safe="") if isinstance(study_id, str) and study_id else ""


def name_feeder_study(context: Context, groups: Iterable[Mapping[str, Any]]) -> None:
    """Leave the id of the one study that fills the groups, for the link.

    Where there is none, or more than one, an empty text is left: Airflow logs an error for a link that asks for an
    XCom that does not exist.
    """
    if not context or "ti" not in context:
        return
    study_ids = {study_id for group in groups for study_id in _feeder_study_ids(group)}
    context["ti"].xcom_push(key=FEEDER_STUDY_KEY, value=study_ids.pop() if len(study_ids) == 1 else "")


def _feeder_study_ids(group: Mapping[str, Any]) -> list[str]:
    studies = group.get("feeder_studies")
    ids = [study.get("id") for study in studies if isinstance(study, Mapping)] if isinstance(studies, list) else []
    return [study_id for study_id in ids if isinstance(study_id, str) and study_id]
