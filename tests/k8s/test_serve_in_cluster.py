"""A job that serves in a real cluster: new versions, rolling updates and more pods, while a pod asks without a pause.

Needs what test_job_in_cluster.py needs.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from launcher.cluster.api import kinds
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.log_lines import without_time
from tests.k8s.test_job_in_cluster import IMAGE, prepare_data, training
from tests.k8s.trial_job import PATIENCE_S, TrialNamespace

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(3000)]

MODELS = "/mnt/claims/clicks/models"
STEPS = (150, 200)
"""Steps of the two versions."""

ASKED = '{"user_id": 1, "candidates": [{"item_id": 4321}, {}]}'

ASKER = """
import collections, http.client, json, sys, time
host, body, token_file = sys.argv[1:]
token = open(token_file).read().strip()
head = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
versions, failures, told = collections.Counter(), [], 0.0
while True:
    connection = http.client.HTTPConnection(host, 8501, timeout=10)
    try:
        connection.request("POST", "/v1/score", body, head)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == 200:
            versions[json.loads(text)["version"]] += 1
        else:
            failures.append(f"{answer.status}: {text[:300]}")
    except (OSError, http.client.HTTPException) as e:
        failures.append(repr(e))
    finally:
        connection.close()
    if time.monotonic() > told + 0.5:
        told = time.monotonic()
        print(json.dumps({"versions": versions, "failed": len(failures), "failures": failures[:5]}), flush=True)
    time.sleep(0.02)
"""
"""Asks on a connection of its own each time, so that pods that come and go are met, and never asks twice."""


def serving(*, pods: str = "min: 2", **settings: Any) -> str:
    return f"""
name: shop
task: serve
models: pvc://clicks/models
poll_s: 1.0
{json.dumps(settings)[1:-1].replace('"', "")}
cluster:
  image: {IMAGE}
  serve: {{{pods}, cpu: 250m, memory: 2Gi}}
"""


def export(number: int, step: int) -> str:
    return f"""
name: shop-export-{number}
task: export
run: pvc://clicks/runs/shop-train
step: {step}
out: pvc://clicks/models/{number}
cluster:
  image: {IMAGE}
  pod: {{cpu: 500m, memory: 2Gi}}
"""


class Asker:
    """A pod that asks for scores until it is deleted."""

    def __init__(self, there: TrialNamespace) -> None:
        self._there = there
        there.kubectl(
            "apply", "-f", "-", text=json.dumps(pod("asker", ["python", "-c", ASKER, *self.arguments(there)]))
        )

    @staticmethod
    def arguments(there: TrialNamespace) -> list[str]:
        return [f"shop-serving.{there.name}.svc", ASKED, "/run/token/token"]

    def told(self) -> dict[str, Any]:
        """Return the answers by version, and the number of requests that failed, so far."""
        try:
            lines = self._there.api.logs("asker", tail=1)
        except ClusterError as e:  # its container waits to start
            if e.http_status not in (400, 404):
                raise
            lines = []
        found: dict[str, Any] = json.loads(without_time(lines[-1])) if lines else {"versions": {}, "failed": 0}
        return found

    def wait(self, holds: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Wait until something is so of what it was answered."""
        give_up = time.monotonic() + PATIENCE_S
        while not holds(told := self.told()):
            assert time.monotonic() < give_up, f"not within {PATIENCE_S:g} s: {what}; {told}"
            time.sleep(0.5)
        self._there.tell(f"# {what}: {told}")
        return told

    def wait_for_more(self, count: int = 50) -> dict[str, Any]:
        """Wait until more requests are answered."""
        before = sum(self.told()["versions"].values())
        return self.wait(lambda told: sum(told["versions"].values()) > before + count, f"{count} more answers")


def pod(name: str, command: list[str]) -> dict[str, Any]:
    """Return a pod with the models, the token and the image's Python."""
    mounts = [
        {"name": "claim", "mountPath": "/mnt/claims/clicks", "readOnly": True},
        {"name": "token", "mountPath": "/run/token", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    volumes = [
        {"name": "claim", "persistentVolumeClaim": {"claimName": "clicks"}},
        {"name": "token", "secret": {"secretName": "shop"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    container = {"name": name, "image": IMAGE, "command": command, "volumeMounts": mounts}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], "volumes": volumes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def generation(there: TrialNamespace) -> int:
    return int(there.api.get(kinds.DEPLOYMENT, "shop-serving")["metadata"]["generation"])


def pods_that_stay(there: TrialNamespace) -> set[str]:
    """Return the pods that answer without those that are about to end, which answer for some seconds still."""
    found = there.api.all(kinds.POD, "app.kubernetes.io/instance=shop")
    return {each["metadata"]["name"] for each in found if not each["metadata"].get("deletionTimestamp")}


def test_a_model_answers_while_versions_settings_and_pods_change(namespace) -> None:
    there = namespace
    prepare_data(there)
    there.submit(
        training("shop-train", servers=1, max_steps=STEPS[-1]).replace(
            "checkpoint_every_steps: 150", "checkpoint_every_steps: 50"
        )
    )
    there.wait("shop-train", lambda run: run.get("state") == "done", "done")
    there.submit(export(1, STEPS[0]), "--follow")

    there.submit(serving(), "--follow")
    status = there.status("shop")
    assert (status["state"], status["serving"]["ready"], status["serving"]["versions"]) == ("running", 2, ["1"])
    client = ["python", f"{MODELS}/1/assets.extra/esmm_client.py", f"http://shop-serving.{there.name}.svc:8501"]
    golden = ["--golden", f"{MODELS}/1/assets.extra/golden.json", "--token-file", "/run/token/token"]
    there.kubectl("apply", "-f", "-", text=json.dumps(pod("golden", [*client, *golden])))
    asker = Asker(there)
    asker.wait(lambda told: told["versions"].get("1", 0) > 50, "version 1 answers")
    ended = there.pod("golden")["status"]
    there.tell(f"# golden.json: {there.kubectl('logs', 'golden').strip()}")
    assert ended["phase"] == "Succeeded"

    before = generation(there)
    there.submit(export(2, STEPS[1]), "--follow")
    asker.wait(lambda told: told["versions"].get("2", 0) > 50, "version 2 answers")
    assert generation(there) == before  # no pod was replaced
    pods = pods_that_stay(there)

    there.esmm("scale", "shop", "--replicas", "3", "--wait-s", "600")
    assert there.status("shop")["serving"]["ready"] == 3
    assert pods < pods_that_stay(there)
    asker.wait_for_more()

    there.submit(serving(max_users=77), "--follow")  # other settings, and 2 pods again
    assert not pods & pods_that_stay(there)
    assert there.status("shop")["serving"]["wanted"] == 2
    asker.wait_for_more()
    there.esmm("status", "shop")
    there.esmm("logs", "shop", "--tail", "5")
    told = asker.told()
    assert told["failed"] == 0, told

    there.kubectl("delete", "pod", "asker", "golden", "--wait=false")
    there.submit(serving(pods="min: 1, max: 3"), "--follow")  # with an autoscaler
    assert there.api.find(kinds.OLD_AUTOSCALER, "shop-serving") or there.api.find(kinds.AUTOSCALER, "shop-serving")
    there.esmm("status", "shop")
    there.esmm("cancel", "shop")
    assert there.pods("shop") == []
    there.esmm("resume", "shop", "--wait-s", "600")
    for job in ("shop", "shop-train", "shop-export-1", "shop-export-2", "clicks-data"):
        there.esmm("delete", job)
    assert [each for each in there.left() if "shop" in each] == []


def test_what_a_dry_run_prints_serves_when_kubectl_applies_it_and_a_stuck_update_is_told(namespace) -> None:
    there = namespace
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "clicks"}}
    claim |= {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    there.kubectl("apply", "-f", "-", text=json.dumps(claim))
    text = serving(pods="min: 1, max: 2, start_seconds: 10")  # of no model, so that no pod gets ready
    there.kubectl("apply", "-f", "-", text=there.submit(text, "--dry-run"))
    token = there.api.get(kinds.SECRET, "shop")["data"]
    said = there.submit(text, "--follow", status=1)
    assert "the rolling update is stuck (ProgressDeadlineExceeded" in said
    assert there.api.get(kinds.SECRET, "shop")["data"] == token
    assert "kind: Secret" not in there.submit(text, "--dry-run")
    there.esmm("delete", "shop")
    assert [each for each in there.left() if "shop" in each] == []
