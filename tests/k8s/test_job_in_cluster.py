"""Jobs from nothing to their end in a real cluster: scaled, robbed of pods, cancelled, resumed, deleted.

Needs KUBECONFIG, and an image of this project that the nodes have: ESMM_TEST_IMAGE (``esmm:trial``). The claim is
made of the class ESMM_TEST_STORAGE_CLASS (the cluster's default) with access ESMM_TEST_ACCESS (``ReadWriteMany``).
ESMM_TEST_STORE names a place in an object store that pods reach (``s3://BUCKET/PATH``), for which AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY are the credentials; without it one test is skipped. Nothing is removed there.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from launcher.cluster.api import kinds
from tests.k8s.trial_job import TrialNamespace

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(3000)]

IMAGE = os.environ.get("ESMM_TEST_IMAGE", "esmm:trial")
CLASS = os.environ.get("ESMM_TEST_STORAGE_CLASS", "null")
ACCESS = os.environ.get("ESMM_TEST_ACCESS", "ReadWriteMany")
STORE = os.environ.get("ESMM_TEST_STORE", "")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
IMPRESSIONS = 600_000
TRAINING = {"epochs": 1000, "global_batch_records": 64}
"""Days of steps: on any machine a training goes on until its test ends it, by ``esmm cancel`` or by ``max_steps``."""
LAST_STEPS = 40

SYNTH = f"""
name: clicks-synth
task: synth
out: pvc://clicks/raw
impressions: {IMPRESSIONS}
cluster:
  image: {IMAGE}
  pod: {{cpu: 500m, memory: 2Gi}}
  claims: {{clicks: {{size: 2Gi, storage_class: {CLASS}, access: {ACCESS}}}}}
"""
PREPROCESS = f"""
name: clicks-data
task: preprocess
raw: pvc://clicks/raw
out: pvc://clicks/data
schema: aliccp
min_count: 5
memory_gb: 1
cluster:
  image: {IMAGE}
  pod: {{cpu: 1, memory: 3Gi}}
"""
EVALUATE = f"""
name: nightly-auc
task: evaluate
data: pvc://clicks/data
run: pvc://clicks/runs/nightly
cluster:
  image: {IMAGE}
  pod: {{cpu: 500m, memory: 2Gi}}
"""


def training(name: str, *, servers: int = 2, workers: int = 1, max_steps: int | None = None) -> str:
    return f"""
name: {name}
task: train
data: pvc://clicks/data
run: pvc://clicks/runs/{name}
input: {json.dumps(TRAINING)}
max_steps: {json.dumps(max_steps)}
checkpoint: {{checkpoint_every_steps: 150}}
cluster:
  image: {IMAGE}
  servers: {{count: {servers}, cpu: 250m, memory: 1Gi}}
  workers: {{min: 1, start: {workers}, max: 3, cpu: 250m, memory: 2Gi}}
  stall_seconds: 30
  grace_seconds: 30
"""


def prepare_data(there: TrialNamespace) -> None:
    there.submit(SYNTH, "--follow")
    there.submit(PREPROCESS, "--follow")


def local_aucs(folder: Path, max_steps: int) -> dict[str, float]:
    """Return the AUCs of the same training, of as many steps, in one process of this machine."""
    esmm = str(Path(sys.executable).with_name("esmm"))
    raw, data, run = (str(folder / name) for name in ("raw", "data", "run"))
    steps = ["--epochs", str(TRAINING["epochs"]), "--max-steps", str(max_steps)]
    batch = ["--global-batch-records", str(TRAINING["global_batch_records"])]
    for args in (
        ["synth", raw, "--impressions", str(IMPRESSIONS)],
        ["preprocess", raw, data, "--schema", "aliccp", "--min-count", "5"],
        ["train", "--data", data, "--run", run, *steps, *batch],
    ):
        subprocess.run([esmm, *args], check=True, capture_output=True, timeout=1800)
    newest = json.loads((folder / "run" / "metrics.json").read_text())["newest"]
    return {task: found["auc"] for task, found in newest["metrics"].items()}


def test_a_training_is_scaled_loses_pods_and_ends_with_the_auc_of_a_local_run(namespace, tmp_path) -> None:
    there = namespace
    prepare_data(there)
    there.submit(training("nightly"))
    there.wait("nightly", lambda run: run.get("ranks") == 1 and run["step"] >= 50, "1 rank trains")
    there.esmm("scale", "nightly", "--workers", "3")
    assert there.status("nightly")["run"]["ranks"] == 3
    there.esmm("scale", "nightly", "--workers", "2")
    assert there.status("nightly")["run"]["ranks"] == 2
    there.esmm("status", "nightly")

    step = there.status("nightly")["run"]["step"]
    there.kill_worker("nightly-worker-1")
    there.wait("nightly", lambda run: run["ranks"] == 2 and run["step"] > step + 20, "2 ranks train")
    assert there.status("nightly")["run"]["restarts"].get("worker lost", 0) >= 1

    step, uid = there.status("nightly")["run"]["step"], there.pod("nightly-worker-0")["metadata"]["uid"]
    there.delete_pod("nightly-worker-0", force=True)
    there.wait("nightly", lambda run: run["ranks"] == 2 and run["step"] > step + 20, "2 ranks train")
    assert there.pod("nightly-worker-0")["metadata"]["uid"] != uid

    (driver,) = [pod for pod in there.pods("nightly") if "driver" in pod]
    before = there.status("nightly")["run"]
    there.delete_pod(driver)
    there.wait(
        "nightly",
        lambda run: run["started_at"] > before["started_at"] and run["ranks"] == 2 and run["step"] > before["step"],
        "another driver, 2 ranks train",
    )

    generation = there.status("nightly")["run"]["generation"]
    there.delete_pod("nightly-server-1")
    there.wait(
        "nightly",
        lambda run: run["generation"] > generation and run["ranks"] == 2 and run["checkpoint_step"] is not None,
        "the server's rows are restored, 2 ranks train",
    )
    there.esmm("logs", "nightly", "--server", "1", "--tail", "5")
    lost = ("server lost", "driver lost")
    there.wait(
        "nightly", lambda run: all(run["restarts"].get(each, 0) >= 1 for each in lost), "both losses are counted"
    )

    # Only now is an end set: a job file that ends the same run soon
    there.esmm("cancel", "nightly")
    last_step = there.status("nightly")["run"]["checkpoint_step"] + LAST_STEPS
    there.esmm("delete", "nightly")
    there.submit(training("nightly", workers=2, max_steps=last_step))
    status = there.wait("nightly", lambda run: run.get("state") == "done", "done")
    assert status["run"]["step"] == last_step
    there.esmm("status", "nightly")

    auc = {task: found[0] for task, found in status["run"]["evaluation"]["auc"].items()}
    said = there.submit(EVALUATE, "--follow")
    local = local_aucs(tmp_path, last_step)
    there.tell(f"# AUC in the cluster {auc}", f"# AUC locally        {local}")
    for task in ("ctr", "cvr", "ctcvr"):
        assert abs(auc[task] - local[task]) < 0.005
        assert f"{auc[task]:.4f}" in said  # a job of its own, from the checkpoint

    for job in ("nightly", "nightly-auc", "clicks-data"):
        there.esmm("delete", job)
    there.esmm("jobs")
    there.esmm("delete", "clicks-synth")
    assert there.left() == ["PersistentVolumeClaim/clicks"]
    there.esmm("delete", "clicks-synth", "--no-keep-data")
    assert there.left() == []


def test_a_training_is_cancelled_resumed_and_moved_to_more_servers(namespace) -> None:
    there = namespace
    prepare_data(there)
    there.submit(training("second", servers=1))
    there.wait("second", lambda run: run.get("step", 0) >= 50, "1 rank trains")
    there.esmm("cancel", "second")
    status = there.status("second")
    saved = status["run"]["checkpoint_step"]
    assert status["state"] == "stopped"
    assert saved == status["run"]["step"] >= 50
    there.esmm("status", "second")
    kept = [pod for pod in there.pods("second") if "driver" not in pod]
    assert kept == []

    there.esmm("resume", "second")
    there.wait("second", lambda run: run.get("step", 0) >= saved + 20, "1 rank trains on")
    there.esmm("scale", "second", "--servers", "2")
    status = there.wait("second", lambda run: run.get("step", 0) >= saved + 40, "2 servers serve")
    assert len(status["run"]["servers"]) == 2
    assert there.api.get(kinds.STATEFUL_SET, "second-server")["spec"]["replicas"] == 2

    there.esmm("cancel", "second", "--now")
    there.esmm("resume", "second")
    there.wait("second", lambda run: run.get("step", 0) >= saved + 60, "1 rank trains on from the checkpoint")
    there.esmm("delete", "second")
    assert [each for each in there.left() if "second" in each] == []


def test_what_a_dry_run_prints_does_the_same_when_kubectl_applies_it(namespace) -> None:
    there = namespace
    prepare_data(there)
    there.kubectl("apply", "-f", "-", text=there.submit(training("applied"), "--dry-run"))
    there.wait("applied", lambda run: run.get("step", 0) >= 20, "1 rank trains")
    there.esmm("delete", "applied")
    assert [each for each in there.left() if "applied" in each] == []


@pytest.mark.skipif(not STORE, reason="no object store: set ESMM_TEST_STORE (tests/k8s/test_job_in_cluster.py)")
def test_log_data_set_run_and_predictions_are_in_an_object_store(namespace) -> None:
    there = namespace
    keys = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "store-keys"}}
    there.kubectl("apply", "-f", "-", text=json.dumps(keys | {"stringData": {key: os.environ[key] for key in KEYS}}))

    def place(name: str) -> str:
        head, question, query = STORE.partition("?")
        return f"{head}/{there.name}/{name}{question}{query}"

    def in_store(text: str, **places: str) -> str:
        job = yaml.safe_load(text) | {setting: place(name) for setting, name in places.items()}
        job["cluster"].pop("claims", None)
        return yaml.safe_dump(job | {"cluster": job["cluster"] | {"env_from_secrets": ["store-keys"]}}, sort_keys=False)

    there.submit(in_store(SYNTH, out="raw"), "--follow")
    there.submit(in_store(PREPROCESS, raw="raw", out="data"), "--follow")
    there.submit(in_store(training("stored"), data="data", run="run"))
    there.wait("stored", lambda run: run.get("ranks") == 1 and run["step"] >= 20, "1 rank trains")
    there.esmm("scale", "stored", "--workers", "2")
    there.esmm("cancel", "stored")
    for task, places in (("predict", {"out": "scores.parquet"}), ("export", {"out": "model/1"})):
        job = yaml.safe_load(EVALUATE) | {"name": f"stored-{task}", "task": task}
        if task == "export":
            del job["data"]
        reads = {key: key for key in ("data", "run") if key in job}
        said = there.submit(in_store(yaml.safe_dump(job), **reads, **places), "--follow")
        assert str(place(places["out"])).partition("?")[0] in said
    for job_name in ("stored", "stored-predict", "stored-export", "clicks-data", "clicks-synth"):
        there.esmm("delete", job_name)
    assert there.left() == []


def test_troubles_are_said_in_the_clusters_own_words(namespace) -> None:
    there = namespace
    text = training("huge").replace("workers: {min: 1, start: 1, max: 3, cpu: 250m", "workers: {max: 1, cpu: 900")
    prepare_data(there)
    there.submit(text)
    wait_for_trouble(there, "huge", r"worker-0 cannot be placed on a node: .*Insufficient cpu")
    there.esmm("delete", "huge")

    quota = {"hard": {"requests.memory": "100Mi"}}
    there.kubectl(
        *("apply", "-f", "-"),
        text=json.dumps({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": quota}),
    )
    said = there.submit(training("over"), status=1)
    assert re.search("over the quota.*small", said)
    assert [each for each in there.left() if "over" in each] == []


def wait_for_trouble(there: TrialNamespace, job: str, pattern: str) -> None:
    give_up = time.monotonic() + 60
    while True:
        troubles = there.status(job)["troubles"]
        if any(re.search(pattern, each) for each in troubles):
            there.tell(f"# {troubles}")
            return
        assert time.monotonic() < give_up, troubles
        time.sleep(0.5)
