"""A second kind of wait, as small as one can be: until a jar holds enough marbles.

The tests of the rules that all waits share run on it, so that no rule can hide in the code of one kind.
"""

from __future__ import annotations

from airflow_provider_prolific.arguments import check_count, check_id
from airflow_provider_prolific.exceptions import ProlificError, ProlificResponseError
from airflow_provider_prolific.waiting.sensor import WaitSensor
from airflow_provider_prolific.waiting.trigger import WaitTrigger
from airflow_provider_prolific.waiting.wait import Measure, Wait


class Jar(Wait):
    plural = "jars"
    keys = frozenset({"jar", "marbles"})

    def __init__(self, jar, wanted):
        self.jar = check_id(jar, "jar")
        self.wanted = check_count(wanted, "wanted")

    def question(self):
        return ("jar", self.jar)

    def ask(self, hook):
        answer = hook.request("GET", f"/api/v1/jars/{self.jar}/")
        if not isinstance(answer, dict) or type(answer.get("marbles")) is not int:
            raise ProlificResponseError("the answer has no marbles (GET /api/v1/jars/)")
        return answer

    def judge(self, answer):
        if answer.get("broken"):
            raise ProlificError(f"jar {self.jar!r} is broken")
        return [{"jar": self.jar, "marbles": answer["marbles"]}]

    def opens(self, statuses):
        [status] = statuses
        return status["jar"] == self.jar and type(status["marbles"]) is int and status["marbles"] >= self.wanted

    def measure(self, status):
        return Measure(f"{status['jar']} has {status['marbles']} of {self.wanted}", status["marbles"], self.wanted)

    def last_growth(self, hook, statuses):
        return hook.request("GET", f"/api/v1/jars/{self.jar}/growth/")["at"]


class JarTrigger(WaitTrigger):
    wait_class = Jar


class JarSensor(WaitSensor):
    checks = {"jar": check_id, "wanted": check_count}
    trigger_path = "jar_wait.JarTrigger"

    def __init__(self, *, jar="red", wanted=300, prolific_conn_id="prolific_default", **sensor_arguments):
        super().__init__(**sensor_arguments)
        self.prolific_conn_id = prolific_conn_id
        self.set_arguments(jar=jar, wanted=wanted)

    def wait(self):
        return Jar(**self.checked_arguments())
