"""A local Prolific API for demos and tests, with growing groups and faults on demand.

From a shell: ``python -m airflow_provider_prolific.emulator``. From Python: ``Emulator``. In tests: the fixture
``prolific_emulator`` of ``airflow_provider_prolific.emulator.pytest_plugin``. Needs the extra ``emulator``.
"""

from airflow_provider_prolific.emulator.client import EmulatorClient, EmulatorError
from airflow_provider_prolific.emulator.process import Emulator

__all__ = ["Emulator", "EmulatorClient", "EmulatorError"]
