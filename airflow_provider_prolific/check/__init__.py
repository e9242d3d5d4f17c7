"""Checks whether Prolific answers as this package assumes: ``python -m airflow_provider_prolific.check``."""
