"""Apache Airflow provider for Prolific: wait for, list and change participant groups."""

__version__ = "0.1.0"
