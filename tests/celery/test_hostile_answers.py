"""Answers that no database takes, on PostgreSQL, which is stricter than SQLite: it takes no NUL."""

import pytest
from hostile_waits import HostileAnswers, check_that_they_harm_nobody
from real_airflow import RealAirflow

from airflow_provider_prolific.emulator import Emulator


@pytest.mark.full  # minutes, with a database server of its own
def test_answers_that_no_database_takes_harm_no_wait(
    prolific_emulator: Emulator, airflow_on_postgresql: RealAirflow, hostile: HostileAnswers
) -> None:
    check_that_they_harm_nobody(airflow_on_postgresql, prolific_emulator, hostile)
