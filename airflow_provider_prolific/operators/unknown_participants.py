"""Adding participants when Prolific may not know all of them.

One unknown participant makes Prolific refuse the whole request, and the answer may not say which one it is. So a
refused chunk is halved until the unknown participants are found; all others are added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from airflow_provider_prolific.arguments import one_of
from airflow_provider_prolific.exceptions import ProlificApiError, ProlificError
from airflow_provider_prolific.text import Redaction

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from airflow_provider_prolific.hooks.prolific import ProlificHook

    # What an author may write in a DAG file for it.
    OnUnknownParticipantArgument: TypeAlias = "OnUnknownParticipant | XComArg"

OnUnknownParticipant: TypeAlias = Literal["fail", "skip"]
check_on_unknown_participant = one_of("fail", "skip")

#: Prolific's error code for it.
UNKNOWN_PARTICIPANT = 140003
#: With more unknown participants in one chunk, the whole list is probably wrong; finding each takes ten requests.
MAX_UNKNOWN_IN_A_CHUNK = 50
MAX_POSITIONS = 100


def is_unknown_participant(error: ProlificError) -> bool:
    """Tell whether Prolific refused a request because of a participant; the ids in such an error are hidden."""
    return isinstance(error, ProlificApiError) and (
        error.error_code == UNKNOWN_PARTICIPANT or (error.status_code == 400 and Redaction.HIDDEN in str(error))
    )


def add_known_participants(hook: ProlificHook, participant_group_id: str, participant_ids: list[str]) -> list[str]:
    """Add all participants that Prolific knows, and return the others.

    Each unknown participant costs about eleven more requests.

    :raises ProlificError: a request failed for another reason, or a chunk has too many unknown participants.
    """
    from airflow_provider_prolific.hooks.participant_groups import CHUNK_SIZE

    try:
        hook.add_participants(participant_group_id, participant_ids)
    except ProlificError as error:
        if not is_unknown_participant(error):
            raise
    else:
        return []
    # Participants that have already been added are sent again, which changes nothing.
    starts = range(0, len(participant_ids), CHUNK_SIZE)
    chunks = (participant_ids[start : start + CHUNK_SIZE] for start in starts)
    return [unknown for chunk in chunks for unknown in _add_chunk(hook, participant_group_id, chunk)]


def _add_chunk(hook: ProlificHook, participant_group_id: str, chunk: list[str]) -> list[str]:
    """Add the known participants of a chunk by halving it, and return the others."""

    def is_refused(participant_ids: list[str]) -> bool:
        try:
            hook.add_participants(participant_group_id, participant_ids)
        except ProlificError as error:
            if is_unknown_participant(error):
                return True
            raise
        return False

    unknown: list[str] = []
    rest = chunk
    while rest and is_refused(rest):
        suspects, rest = rest, []
        while len(suspects) > 1:
            first, second = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
            if is_refused(first):
                suspects, rest = first, second + rest
            else:
                suspects = second
        if is_refused(suspects):  # send it alone: being left over does not prove that it is unknown
            unknown += suspects
        if len(unknown) > MAX_UNKNOWN_IN_A_CHUNK:
            raise ProlificError(
                f"more than {MAX_UNKNOWN_IN_A_CHUNK} of {len(chunk)} participants are unknown to Prolific: check "
                "that the list holds Prolific's own participant ids"
            )
    return unknown


def describe_positions(participant_ids: Collection[str], given: Iterable[str]) -> str:
    """Return in words at which positions of the caller's list some participants are."""
    wanted = set(participant_ids)
    positions = [str(position) for position, participant_id in enumerate(given, 1) if participant_id in wanted]
    more = f" and {len(positions) - MAX_POSITIONS} more" if len(positions) > MAX_POSITIONS else ""
    return f"position{'s' if len(positions) > 1 else ''} {', '.join(positions[:MAX_POSITIONS])}{more}"


def unknown_participants_error(unknown: Collection[str], given: Iterable[str], consequence: str) -> ProlificError:
    """Return the error for participants that Prolific does not know.

    :param consequence: What has been done nevertheless, and what has not.
    """
    return ProlificError(
        f"Prolific does not know {len(unknown)} of the participants: {describe_positions(unknown, given)} of "
        f'participant_ids. {consequence}. Correct the list, or set on_unknown_participant="skip"'
    )
