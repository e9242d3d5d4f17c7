"""What the emulator holds, and what follows from it alone: neither calls nor time change anything in here."""

from decimal import Decimal
from typing import Any

from airflow_provider_prolific.emulator.groups import Group
from airflow_provider_prolific.emulator.models import Settings
from airflow_provider_prolific.emulator.money import Wallet
from airflow_provider_prolific.emulator.seed import Project
from airflow_provider_prolific.emulator.studies import Study


class World:
    """Workspaces with their wallets, projects, groups and studies, each by its id."""

    settings: Settings
    workspaces: dict[str, str]
    wallets: dict[str, Wallet]
    projects: dict[str, Project]
    filter_sets: dict[str, dict[str, Any]]
    groups: dict[str, Group]
    studies: dict[str, Study]

    def filters_of(self, study: Study) -> list[dict[str, Any]]:
        """Return who may take a study: its own filters, or those of its filter set."""
        filter_set = self.filter_sets.get(study.fields.get("filter_set_id") or "")
        filters = filter_set["filters"] if filter_set else study.fields.get("filters")
        return list(filters or ())

    def locked(self, workspace_id: str) -> Decimal:
        """Return how much of a workspace's balance is set aside."""
        studies = [study for study in self.studies.values() if study.workspace_id == workspace_id]
        return sum((study.locked for study in studies), self.wallets[workspace_id].bonuses_locked)

    def available(self, workspace_id: str) -> Decimal:
        """Return how much of a workspace's balance is left to be spent."""
        return self.wallets[workspace_id].balance - self.locked(workspace_id)
