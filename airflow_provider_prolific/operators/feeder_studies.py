"""The studies that fill a participant group, and when they have ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.exceptions import ProlificError
from airflow_provider_prolific.text import shorten

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.participant_groups import ParticipantGroup

#: The statuses in which nobody can take part until a researcher acts. In all others, even in AWAITING REVIEW, a study
#: may still add members: a participant who returns or times out reopens it.
DEAD_STUDY_STATUSES = ("COMPLETED", "UNPUBLISHED")


def check_unused(group: ParticipantGroup) -> None:
    """Refuse to delete a group that a study may still change.

    :raises ProlificError: with each such study, or because Prolific does not say which there are.
    """
    what = f"participant group {shorten(group['name'])} ({group['id']})"
    # null means that there are none; a missing field, or another value, means that it is not known.
    studies: Any = group.get("feeder_studies", "nothing") or []
    if not isinstance(studies, list) or not all(isinstance(study, Mapping) for study in studies):
        raise ProlificError(f"Prolific does not say which studies change {what}: set force=True to delete it anyway")
    alive = [
        f"{shorten(study.get('internal_name') or study.get('name'))} ({_bare(study.get('id'))}, "
        f"{_bare(study.get('status'))})"
        for study in studies
        if _fold(study.get("status")) not in map(_fold, DEAD_STUDY_STATUSES)
    ]
    if alive:
        raise ProlificError(
            f"{what} may still be changed by the completion codes of live studies: {', '.join(alive)}. Wait until they "
            f"are {' or '.join(DEAD_STUDY_STATUSES)}, or set force=True to delete it anyway"
        )


def _bare(value: Any) -> str:
    """Return a value for a message, without the quotation marks of a text."""
    return shorten(value)[1:-1] if isinstance(value, str) else shorten(value)


def _fold(status: Any) -> str | None:
    """Return a status as it is compared: Prolific writes them in more than one way."""
    return re.sub(r"[\s_]+", "", status).casefold() if isinstance(status, str) else None
