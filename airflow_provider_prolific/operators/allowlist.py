"""Allowlists: filters of a study that only members of participant groups pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_prolific.arguments import check_group, is_listing
from airflow_provider_prolific.exceptions import ProlificError, ProlificValueError
from airflow_provider_prolific.text import shorten
from airflow_provider_prolific.waiting.studies import describe_study

if TYPE_CHECKING:
    from airflow_provider_prolific.hooks.prolific import ProlificHook
    from airflow_provider_prolific.hooks.studies import Study

_ALLOWLIST = "participant_group_allowlist"


def check_groups(value: Any, name: str) -> list[str]:
    """Return ids or names of participant groups, each once, in their order; at least one."""
    if not is_listing(value):
        raise ProlificValueError(f"{name} must be a list of participant groups (ids or names), not {shorten(value)}")
    groups = list(dict.fromkeys(check_group(each, f"a group of {name}") for each in value))
    if not groups:
        raise ProlificValueError(f"{name} must have at least one group; leave it out to set no allowlist")
    return groups


def with_allowlist(filters: Sequence[Any], group_ids: list[str]) -> list[Any]:
    """Return the filters with one allowlist: members of any of these groups pass it."""
    others = [each for each in filters if not _is_allowlist(each)]
    return [*others, {"filter_id": _ALLOWLIST, "selected_values": group_ids}]


def check_recruits_only_from(hook: ProlificHook, study: Study, group: Mapping[str, Any]) -> None:
    """Refuse a study that people outside the group can take.

    A person must pass all filters of a study. So one allowlist with only this group is enough, whatever the other
    filters are. An allowlist with several groups is not enough, because the members of each of them pass it.

    :raises ProlificError: the study recruits others, or its filters cannot be read.
    """
    filters: Any = study.get("filters")
    where = "its filters"
    if (filter_set_id := study.get("filter_set_id")) is not None:  # then it has no filters of its own
        filter_set = hook.get_filter_set(filter_set_id)
        filters, where = filter_set["filters"], f"its filter set {shorten(filter_set_id)}"
        wanted: Any = study.get("filter_set_version")
        if wanted not in (None, filter_set.get("version")):
            raise ProlificError(
                f"{describe_study(study)} uses version {shorten(wanted)} of its filter set, and only version "
                f"{shorten(filter_set.get('version'))} can be read: it is not known who can take part"
            )
    allowlists = [each.get("selected_values") for each in filters or () if _is_allowlist(each)]
    if any(
        isinstance(values, list) and values and all(each == group["id"] for each in values) for values in allowlists
    ):
        return
    name = f"participant group {shorten(group['name'])} ({group['id']})"
    others = any(isinstance(values, list) and group["id"] in values for values in allowlists)
    found = (
        f"an allowlist in {where} contains other groups, too"
        if others
        else f"no allowlist in {where} contains this group"
    )
    raise ProlificError(
        f"{describe_study(study)} does not recruit only from {name}: {found}. Correct the draft, or set "
        "allow_open_recruitment=True"
    )


def _is_allowlist(filter_: Any) -> bool:
    return isinstance(filter_, Mapping) and filter_.get("filter_id") == _ALLOWLIST
