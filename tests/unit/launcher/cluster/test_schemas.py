"""Every kind that is rendered passes the strict schemas of three Kubernetes versions (unknown fields are errors)."""

import copy

import kubernetes_validate
import pytest

from esmm_dist.errors import ConfigError
from launcher.cluster.objects.all import ApiVersions
from tests.unit.launcher.cluster.jobs import UID, find, make_job, rendered

VERSIONS = ("1.28", "1.31", "1.34")
WITHOUT_SCHEMA = {"MPIJob", "ServiceMonitor"}
"""Custom resources: their definitions come with their operators."""

EVERYTHING = {
    "image_pull_policy": "Always",
    "servers": {"count": 2, "storage": "5Gi"},
    "workers": {"max": 3, "gpus": 1, "storage": "5Gi", "standby": True},
    "claims": {"clicks": {"size": "10Gi", "storage_class": "nfs"}, "models": {"size": 10**10}},
    "node_selector": {"pool": "cpu"},
    "worker_node_selector": {"gpu": "a100"},
    "tolerations": [{"key": "a", "value": "b", "effect": "NoExecute", "seconds": 9}, {"operator": "Exists"}],
    "priority_class": "high",
    "scheduler": "volcano",
    "env": {"A": "b"},
    "env_from_secrets": ["keys"],
    "pull_secrets": ["registry"],
    "account_annotations": {"a/b": "c"},
    "pod_labels": {"group": "g"},
    "pod_annotations": {"group": "g"},
    "queue_labels": {"queue": "q"},
    "metrics_namespace": "monitoring",
    "service_monitor": True,
}


def _api(version: str) -> ApiVersions:
    major, minor = version.split(".")
    return ApiVersions.of(int(major), int(minor))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cluster", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_a_training_is_valid(version, cluster):
    kinds = set()
    for each in rendered(make_job(cluster=cluster), api=_api(version), owner_uid=UID):
        kinds.add(each["kind"])
        if each["kind"] not in WITHOUT_SCHEMA:
            kubernetes_validate.validate(each, version, strict=True)
    assert {"ConfigMap", "Secret", "StatefulSet", "Service", "Job", "Role", "RoleBinding", "NetworkPolicy"} <= kinds
    assert {"ServiceAccount", "PodDisruptionBudget"} <= kinds


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("task", ["synth", "preprocess", "pipeline", "evaluate", "predict", "export"])
def test_a_task_of_one_pod_is_valid(version, task):
    for each in rendered(make_job(task), api=_api(version), owner_uid=UID):
        kubernetes_validate.validate(each, version, strict=True)


SERVING = {
    "min": 1,
    "max": 3,
    "storage": "5Gi",
    "service": "LoadBalancer",
    "service_annotations": {"a/b": "c"},
    "from_namespaces": ["shop"],
    "tls_secret": "shop-tls",
}


@pytest.mark.parametrize("version", ["1.25", *VERSIONS, "1.36"])
@pytest.mark.parametrize("serve", [{}, SERVING], ids=["defaults", "everything"])
def test_pods_that_answer_are_valid(version, serve):
    kinds = set()
    for each in rendered(make_job("serve", cluster={"serve": serve}), api=_api(version), owner_uid=UID):
        kinds.add(each["kind"])
        kubernetes_validate.validate(each, version, strict=True)
    assert {"ConfigMap", "Secret", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"} <= kinds
    assert ("HorizontalPodAutoscaler" in kinds) == bool(serve)


@pytest.mark.parametrize(
    ("version", "where"),
    [((1, 20), "autoscaling/v2beta2"), ((1, 22), "autoscaling/v2beta2"), ((1, 23), "autoscaling/v2")],
)
def test_an_old_cluster_gets_the_autoscaler_that_it_knows(version, where):
    manifests = rendered(make_job("serve", cluster={"serve": {"max": 3}}), api=ApiVersions.of(*version))
    assert find(manifests, "HorizontalPodAutoscaler", "nightly-serving")["apiVersion"] == where


@pytest.mark.parametrize("version", VERSIONS)
def test_a_schedule_is_valid(version):
    schedule = {"cron": "@daily", "time_zone": "Europe/Berlin", "overlap": "Replace", "suspend": True}
    manifests = rendered(make_job("pipeline", schedule=schedule), api=_api(version), owner_uid=UID)
    assert find(manifests, "CronJob", "nightly-task")["spec"]["timeZone"] == "Europe/Berlin"
    for each in manifests:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize(
    ("version", "where", "zone"),
    [((1, 20), "batch/v1beta1", None), ((1, 21), "batch/v1", None), ((1, 25), "batch/v1", "UTC")],
)
def test_an_old_cluster_gets_the_cron_job_that_it_knows(version, where, zone):
    manifests = rendered(make_job("pipeline", schedule="0 4 * * *"), api=ApiVersions.of(*version))
    found = find(manifests, "CronJob", "nightly-task")
    assert (found["apiVersion"], found["spec"].get("timeZone")) == (where, zone)


def test_a_time_zone_needs_a_cluster_that_knows_it():
    job = make_job("pipeline", schedule={"cron": "0 4 * * *", "time_zone": "Europe/Berlin"})
    with pytest.raises(ConfigError, match=r"time_zone is Europe/Berlin, and CronJobs have time zones since .* 1.25"):
        rendered(job, api=ApiVersions.of(1, 24))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_pods_of_an_mpijob_are_valid_as_pods(version):
    manifests = rendered(make_job(cluster=EVERYTHING | {"backend": "mpijob"}), api=_api(version))
    job = find(manifests, "MPIJob", "nightly")
    for replicas in job["spec"]["mpiReplicaSpecs"].values():
        pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(replicas["template"])}
        kubernetes_validate.validate(pod, version, strict=True)
    for each in manifests:
        if each["kind"] not in WITHOUT_SCHEMA:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_check_finds_a_misspelt_field():
    [first, *_] = [each for each in rendered(make_job()) if each["kind"] == "StatefulSet"]
    first["spec"]["template"]["spec"]["terminationGracePeriod"] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(first, "1.31", strict=True)


@pytest.mark.parametrize(
    ("version", "budget", "policies"),
    [((1, 20), "policy/v1beta1", False), ((1, 21), "policy/v1", False), ((1, 29), "policy/v1", True)],
)
def test_an_old_cluster_gets_what_it_knows(version, budget, policies):
    manifests = rendered(make_job(), api=ApiVersions.of(*version))
    assert find(manifests, "PodDisruptionBudget", "nightly-server")["apiVersion"] == budget
    assert ("podReplacementPolicy" in find(manifests, "Job", "nightly-driver")["spec"]) == policies


def test_budgets_can_be_left_out():
    kinds = [each["kind"] for each in rendered(make_job(), api=ApiVersions(disruption_budget=None))]
    assert "PodDisruptionBudget" not in kinds
