"""What Airflow reads about this provider: its connection type and form, its modules and links."""

from __future__ import annotations

from typing import Any

from airflow_provider_prolific import __version__

_INTEGRATION = "Prolific"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as Airflow's ``apache_airflow_provider`` entry point expects it."""
    return {
        "package-name": "airflow-provider-prolific",
        "name": _INTEGRATION,
        "description": "Participant groups, studies, submissions and bonuses of Prolific https://www.prolific.com",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.prolific.com/api-reference",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks.prolific")],
        "operators": [
            _modules(
                "operators.bonuses",
                "operators.participant_groups",
                "operators.participants",
                "operators.studies",
                "operators.submissions",
            )
        ],
        "sensors": [_modules("sensors.participant_groups", "sensors.studies")],
        "triggers": [
            _modules("triggers.bonuses", "triggers.participant_groups", "triggers.studies", "triggers.submissions")
        ],
        "extra-links": ["airflow_provider_prolific.links.FeederStudyLink"],
        "connection-types": [
            {
                "connection-type": "prolific",
                "hook-class-name": "airflow_provider_prolific.hooks.prolific.ProlificHook",
                "hook-name": "Prolific",
                # Airflow 3.2 and newer build the connection form from these two; older versions ask the hook,
                # which returns the same.
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"password": "API token", "host": "Base URL"},
                    "placeholders": {
                        "host": "https://api.prolific.com",
                        "port": "leave empty for Prolific, or 443",
                        "password": "from Prolific: Settings, API tokens",
                    },
                },
                "conn-fields": {
                    "workspace_id": _text_field(
                        "Workspace ID",
                        "Default scope: the workspace whose groups are used if a task names no other. Its id is part "
                        "of the address of its page in Prolific.",
                    ),
                    "project_id": _text_field(
                        "Project ID",
                        "Default scope instead of a workspace, for groups that belong to a project. Leave one of the "
                        "two empty.",
                    ),
                },
            }
        ],
    }


def _modules(*names: str) -> dict[str, Any]:
    return {
        "integration-name": _INTEGRATION,
        "python-modules": [f"airflow_provider_prolific.{name}" for name in names],
    }


def _text_field(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}
