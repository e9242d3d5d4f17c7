"""What is looked at again after a person has said yes. The yes and the no themselves are clicked in ``tests/ui``."""

from collections.abc import Callable
from functools import partialmethod
from importlib.metadata import version
from typing import Any

import pytest
from quick_examples import quick_example

from airflow_provider_prolific.emulator import Emulator

pytestmark = pytest.mark.skipif(
    version("apache-airflow").startswith(("2.", "3.0.")), reason="a task can ask a person since Airflow 3.1"
)
EXAMPLE = "publish_after_approval"
GROUP = "Wave 1 completed"


def study_of(prolific: Emulator, run: Any) -> dict[str, Any]:
    return prolific.study(run.xcom("draft")["id"])


def test_a_yes_publishes_for_the_group_what_the_person_has_seen(
    prolific: Emulator, run_example: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import DAG

    # dag.test() would wait for a person for ever.
    monkeypatch.setattr(DAG, "test", partialmethod(DAG.test, mark_success_pattern="approve"))
    prolific.set(publishing_seconds=0)

    run = run_example(EXAMPLE)

    assert run.state == "success"
    assert run.xcom("quote") == {"count": 40, "places": 20, "cost": "42.00 GBP"}
    study = study_of(prolific, run)
    assert study["published_at"] is not None
    assert study["total_available_places"] == 20
    assert study["filters"] == [
        {"filter_id": "participant_group_allowlist", "selected_values": [prolific.group_id(GROUP)]}
    ]


@pytest.fixture
def run_with_a_late_yes(
    prolific: Emulator, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run the example; between the question and the yes something happens to the draft at Prolific."""

    def run(meanwhile: Callable[[str], Any]) -> Any:
        from airflow.providers.standard.operators.hitl import ApprovalOperator

        def answer(self: Any, context: Any) -> None:
            meanwhile(context["ti"].xcom_pull("draft", key="id"))

        monkeypatch.setattr(ApprovalOperator, "execute", answer)
        source = quick_example(EXAMPLE, seconds=1).replace("retries=2", "retries=0")
        return run_dag(f"{source}\n\ndag = {EXAMPLE}()\n")

    return run


def test_a_study_that_has_become_more_expensive_since_is_not_published(
    prolific: Emulator, run_with_a_late_yes: Callable[..., Any]
) -> None:
    run = run_with_a_late_yes(lambda study_id: prolific.set_study(study_id, reward=151))

    assert run.task_state("publish") == "failed"
    study = study_of(prolific, run)
    assert (study["status"], study["locked"]) == ("UNPUBLISHED", 0)


def test_a_study_whose_group_has_become_too_small_since_is_not_published(
    prolific: Emulator, run_with_a_late_yes: Callable[..., Any]
) -> None:
    group_id = prolific.group_id(GROUP)

    run = run_with_a_late_yes(lambda study_id: prolific.set_group(group_id, participant_count=29))

    assert (run.task_state("still_enough_people"), run.task_state("publish")) == ("failed", "upstream_failed")
    assert study_of(prolific, run)["status"] == "UNPUBLISHED"
