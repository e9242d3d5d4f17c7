"""Three waits of one study, to be watched together on the page "Recruitment"; one of them stalls."""

from __future__ import annotations

from datetime import timedelta

from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag  # type: ignore[attr-defined, no-redef]


@dag(schedule=None, tags=["prolific"], description="Three waits for the page Recruitment, one of which stalls")
def recruitment_at_a_glance() -> None:
    """
    ### Recruitment at a glance

    The page *Recruitment* (menu *Browse*, Airflow 3.1 and newer) shows these three waits, those that need attention
    first: nobody joins *Quota: men 40+* any more.
    """
    for task_id, group, target_count in (
        ("wave_1", "Wave 1 completed", 400),
        ("younger_men", "Quota: men 18-39", 150),
        ("older_men", "Quota: men 40+", 50),
    ):
        ProlificParticipantGroupSensor(
            task_id=task_id,
            participant_group=group,
            target_count=target_count,
            deferrable=True,
            poke_interval=timedelta(minutes=5),
            timeout=timedelta(days=14),
            retries=2,
        )


recruitment_at_a_glance()
