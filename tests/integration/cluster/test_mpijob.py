"""Jobs with ``backend: mpijob``."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.fake_kubernetes.flows import JOB, last_json, ranks, write
from tests.fake_kubernetes.server import FakeCluster, wait_until


@pytest.fixture
def mpi(cluster: FakeCluster, esmm, tmp_path: Path) -> FakeCluster:
    cluster.groups["kubeflow.org/v2beta1"] = ("mpijobs",)
    esmm("submit", write(tmp_path, JOB + "  backend: mpijob\n"))
    wait_until(lambda: ranks(cluster) == 2)
    return cluster


def replicas(cluster: FakeCluster) -> Any:
    found = cluster.store.get("kubeflow/mpijobs", "default", "nightly")
    return found["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"]


def pods_of(cluster: FakeCluster, component: str) -> list[str]:
    found = cluster.store.all("pods", "default", f"app.kubernetes.io/component={component}")
    return [each["metadata"]["name"] for each in found]


def test_an_mpijob_is_submitted_and_its_pods_are_counted(mpi, esmm) -> None:
    assert mpi.names("apps/statefulsets") == ["nightly-server"]
    assert mpi.names("batch/jobs") == []
    assert "pods: server 2 of 2 ready, worker 2 of 2 ready, driver 1 of 1 ready" in esmm("status", "nightly")
    assert esmm("logs", "nightly", "--rank", "1").strip() == "nightly-worker-1 begins"
    assert "ranks train from step" in esmm("logs", "nightly", "--driver")


def test_workers_of_an_mpijob_that_are_missing_are_counted_as_missing(mpi, esmm) -> None:
    mpi.script.pod_quota["worker"] = "exceeded quota: team"
    esmm("scale", "nightly", "--workers", "4", "--wait-s", "0")
    assert "worker 2 of 4 ready" in esmm("status", "nightly")


def test_the_pods_of_an_mpijob_are_checked_before_anything_is_made(cluster, esmm, tmp_path) -> None:
    cluster.groups["kubeflow.org/v2beta1"] = ("mpijobs",)
    cluster.script.silent = True
    esmm("submit", write(tmp_path, JOB + "  backend: mpijob\n"))
    checked = [each.name for each in cluster.calls if each.resource == "pods" and each.dry]
    assert checked == ["nightly-server-0", "nightly-launcher-0", "nightly-worker-0"]


def test_an_mpijob_is_scaled_while_it_trains(mpi, esmm) -> None:
    found = last_json(esmm("scale", "nightly", "--workers", "4", "--json"))
    assert (found["workers"], found["before"], ranks(mpi), replicas(mpi)) == (4, 2, 4, 4)
    esmm("scale", "nightly", "--workers", "1")
    assert pods_of(mpi, "worker") == ["nightly-worker-0"]
    assert "statefulsets/scale" not in {each.resource for each in mpi.calls}


def test_an_mpijob_gets_other_servers_and_keeps_its_workers(mpi, esmm) -> None:
    esmm("scale", "nightly", "--workers", "3")
    esmm("scale", "nightly", "--servers", "3")
    wait_until(lambda: ranks(mpi) == 3)
    assert mpi.store.get("apps/statefulsets", "default", "nightly-server")["spec"]["replicas"] == 3
    assert "nightly-server-2.nightly-server" in json.dumps(mpi.store.get("kubeflow/mpijobs", "default", "nightly"))
    assert "count: 3" in mpi.store.get("configmaps", "default", "nightly")["data"]["job.yaml"]


def test_an_mpijob_is_cancelled_and_resumed_with_as_many_workers(mpi, esmm) -> None:
    esmm("scale", "nightly", "--workers", "3")
    assert "Job nightly is stopped" in esmm("cancel", "nightly")
    assert pods_of(mpi, "worker") == pods_of(mpi, "server") == []
    assert "Job nightly goes on" in esmm("resume", "nightly")
    wait_until(lambda: ranks(mpi) == 3)
    assert replicas(mpi) == 3
    [owner] = mpi.store.get("kubeflow/mpijobs", "default", "nightly")["metadata"]["ownerReferences"]
    assert owner["name"] == "nightly"


def test_an_mpijob_is_cancelled_though_the_pods_of_workers_that_have_ended_stay(mpi, esmm) -> None:
    # cleanPodPolicy: Running leaves them
    real = mpi.store.patch

    def end_workers_too(resource, namespace, name, change):
        if resource == "kubeflow/mpijobs" and "status" in change:
            for each in pods_of(mpi, "worker"):
                mpi.store.get("pods", namespace, each)["status"]["phase"] = "Succeeded"
        return real(resource, namespace, name, change)

    mpi.store.patch = end_workers_too
    assert "Job nightly is stopped" in esmm("cancel", "nightly", "--wait-s", "3")
    assert pods_of(mpi, "worker") == ["nightly-worker-0", "nightly-worker-1"]


def test_an_mpijob_is_cancelled_at_once_and_resumed(mpi, esmm) -> None:
    mpi.script.deaf = True
    assert last_json(esmm("cancel", "nightly", "--now", "--json"))["state"] == "stopped"
    assert mpi.names("pods") == mpi.names("kubeflow/mpijobs") == []
    esmm("resume", "nightly")
    wait_until(lambda: ranks(mpi) == 2)


def test_resume_of_an_mpijob_waits_until_the_workers_of_before_are_gone(mpi, esmm) -> None:
    # The operator would leave pods alone whose names it needs and that are not its own
    esmm("cancel", "nightly")
    labels = {"app.kubernetes.io/name": "esmm-dist", "app.kubernetes.io/instance": "nightly"}
    labels |= {"app.kubernetes.io/component": "worker"}
    container = {"name": "worker", "image": "x"}
    mpi.store.create(
        "pods",
        "default",
        {
            "metadata": {"name": "nightly-worker-0", "labels": labels, "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": [container]},
            "status": {"phase": "Running"},
        },
    )
    there = []

    def go() -> None:
        before = len(mpi.calls)
        wait_until(lambda: sum(each.resource == "pods" for each in mpi.calls[before:]) > 2)
        there.extend(mpi.names("kubeflow/mpijobs"))
        mpi.store.delete("pods", "default", "nightly-worker-0")

    helper = threading.Thread(target=go)
    helper.start()
    esmm("resume", "nightly")
    helper.join()
    assert there == []
    wait_until(lambda: ranks(mpi) == 2)


def test_an_mpijob_that_failed_for_good_is_told_and_resumed(mpi, esmm) -> None:
    mpi.script.silent = True
    condition = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}
    mpi.store.patch("kubeflow/mpijobs", "default", "nightly", {"status": {"conditions": [condition]}})
    out = esmm("status", "nightly")
    assert "Job nightly in namespace default: failed" in out
    assert "driver has failed for good: Job has reached the specified backoff limit" in " ".join(out.split())
    mpi.script.silent = False
    assert "goes on" in esmm("resume", "nightly")


def test_delete_of_an_mpijob_leaves_the_claim_alone(mpi, esmm) -> None:
    esmm("delete", "nightly")
    assert mpi.everything() == ["persistentvolumeclaims/data"]
    rights = {each.verb for each in mpi.calls if each.resource == "mpijobs"}
    assert rights <= {"get", "list", "create", "patch", "delete"}
