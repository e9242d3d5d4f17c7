"""Fixtures for tests against the emulator.

In the ``conftest.py`` at the root of your tests:

.. code-block:: python

    pytest_plugins = ["airflow_provider_prolific.emulator.pytest_plugin"]
"""

from collections.abc import Iterator

import pytest

from airflow_provider_prolific.emulator.process import Emulator


@pytest.fixture(scope="session")
def prolific_emulator_process() -> Iterator[Emulator]:
    """One emulator for the whole session, as the last test left it. Most tests need ``prolific_emulator`` instead."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def prolific_emulator(prolific_emulator_process: Emulator) -> Emulator:
    """The emulator as after its start: the default seed, no faults, an empty request log."""
    prolific_emulator_process.reset()
    return prolific_emulator_process
