"""Waits to be looked at: three that grow, one that stalls, one per quota cell; and one for a hostile name."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_prolific.sensors.participant_groups import ProlificParticipantGroupSensor
from airflow_provider_prolific.sensors.studies import ProlificSubmissionSensor

WAIT = {"deferrable": True, "poke_interval": 2, "timeout": timedelta(days=14)}


@dag(schedule=None)
def recruiting():
    ProlificParticipantGroupSensor(task_id="screened", participant_group="Screened adults", target_count=400, **WAIT)
    ProlificParticipantGroupSensor(
        task_id="two_waves",
        targets={"Wave 1 completed": 600, "Exclusion list": 60},
        **WAIT | {"timeout": timedelta(minutes=9)},
    )
    ProlificSubmissionSensor(task_id="answers", study_id="64d000000000000000000002", target_count=400, **WAIT)
    ProlificParticipantGroupSensor(task_id="stands_still", participant_group="Nobody joins", target_count=80, **WAIT)
    ProlificParticipantGroupSensor.partial(
        task_id="cell_full", map_index_template="{{ task.participant_group }}", **WAIT
    ).expand_kwargs(
        [
            {"participant_group": "Quota: women 18-39", "target_count": 200},
            {"participant_group": "Quota: men 40+", "target_count": 150},
        ]
    )


@dag(schedule=None)
def hostile_name():
    name = "<script>document.title='owned'</script>"
    ProlificParticipantGroupSensor.partial(task_id="wait", map_index_template=name, **WAIT).expand_kwargs(
        [{"participant_group": name, "target_count": 150}]
    )


recruiting()
hostile_name()
