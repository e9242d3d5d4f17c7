"""Airflow's Variables in memory, for tests that run without an Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_prolific.operators import ledger


class Variables(dict[str, str]):
    """Airflow's Variables: their texts, what was done with them, and what goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: set[str] = set()
        self.shadowed: dict[str, str] = {}
        self.before_read: Callable[[str], object] = lambda name: None
        self.before_write: Callable[[str], object] = lambda name: None

    def read(self, name: str) -> str | None:
        self.before_read(name)
        return None if name in self.unreadable else self.shadowed.get(name, self.get(name))

    def write(self, name: str, text: str, description: str) -> None:
        self.before_write(name)
        assert "docs/bonuses.md" in description
        self[name] = text

    def json(self, name: str) -> Any:
        return json.loads(self[name])

    def edit(self, name: str, **fields: Any) -> None:
        """Change an entry as a person does."""
        self[name] = json.dumps(self.json(name) | fields)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    variables = Variables()
    monkeypatch.setattr(ledger, "get_variable", variables.read)
    monkeypatch.setattr(ledger, "set_variable", variables.write)
    return variables
