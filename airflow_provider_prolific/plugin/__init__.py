"""The plugin: a page "Recruitment" in Airflow's UI, which shows what waits for participants (Airflow 3.1 and newer).

Airflow imports this module in every process, even in each task's. So it only imports what is already loaded; the rest
is imported when the API server asks for the page.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

if not TYPE_CHECKING and "airflow.sdk.plugins_manager" in sys.modules:  # a task's process, from Airflow 3.2 on
    from airflow.sdk.plugins_manager import AirflowPlugin
else:
    from airflow.plugins_manager import AirflowPlugin


class ProlificPlugin(AirflowPlugin):
    """The page "Recruitment" in the menu *Browse*; an older Airflow, without such pages, shows nothing."""

    name = "prolific"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """What the API server serves."""
        return self._page[0]

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """What the UI shows in its menu."""
        return self._page[1]

    @cached_property
    def _page(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        if not hasattr(AirflowPlugin, "external_views"):  # before Airflow 3.1
            return [], []
        try:
            from airflow_provider_prolific.plugin.app import make_app, make_view

            return [make_app()], [make_view()]
        except Exception:  # whatever the error, Airflow starts without the page
            import logging

            logging.getLogger(__name__).exception("The page Recruitment is not available")
            return [], []
