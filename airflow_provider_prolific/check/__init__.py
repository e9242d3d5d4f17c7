"""Does Prolific answer as this package assumes? ``python -m airflow_provider_prolific.check`` looks."""
