"""What is asked of the cluster before a job is made there, in memory."""

from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.checks import check_name_is_free, check_needed, check_objects, proxy_warning
from tests.unit.launcher.cluster.jobs import make_job, rendered
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedApi, PlayedJob


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def api() -> PlayedApi:
    """Return a cluster with the namespace and the claims that the jobs of these tests name."""
    api = PlayedApi()
    namespace = {"metadata": {"name": NAMESPACE}, "status": {"phase": "Active"}}
    api.store.objects["namespaces", NAMESPACE, NAMESPACE] = namespace
    for claim in ("clicks", "models"):
        add(api, "persistentvolumeclaims", claim)
    return api


def add(api: PlayedApi, resource: str, name: str, **more: Any) -> None:
    api.store.create(resource, NAMESPACE, {"metadata": {"name": name, **more}})


def test_a_name_is_free_taken_by_a_job_or_taken_by_something_else(api):
    check_name_is_free(api, "nightly")
    add(api, "configmaps", "nightly", labels={"app.kubernetes.io/name": "another-app"})
    with pytest.raises(ConfigError, match="Namespace ml has a ConfigMap 'nightly' of something else"):
        check_name_is_free(api, "nightly")
    job = PlayedJob()
    with pytest.raises(ConfigError, match=r"There is a job 'nightly' in namespace ml already. esmm resume nightly"):
        check_name_is_free(job.api, job.name)


def test_a_job_that_finds_all_that_it_names_passes(api):
    add(api, "secrets", "registry")
    messages = Messages()
    check_needed(api, make_job(cluster={"pull_secrets": ["registry"]}), messages)
    assert messages.texts == []


@pytest.mark.parametrize(
    ("cluster", "text"),
    [
        ({"pull_secrets": ["registry"]}, r"cluster.pull_secrets names Secret registry, which .* in namespace ml. Make"),
        (
            {"env_from_secrets": ["s3"]},
            "cluster.env_from_secrets names Secret s3, which does not exist in namespace ml",
        ),
        ({"priority_class": "high"}, "names PriorityClass high, which does not exist. Name one of kubectl get"),
        ({"backend": "mpijob"}, r"needs Kubeflow's MPI operator .*; the cluster at memory does not know mpijobs"),
        (
            {"service_monitor": True, "metrics_namespace": "monitoring"},
            "service_monitor: true, which needs the Prometheus operator",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_setting(api, cluster, text):
    with pytest.raises(ConfigError, match=text):
        check_needed(api, make_job(cluster=cluster), NoProgress())


def test_a_claim_that_is_missing_may_be_made_by_submit(api):
    api.store.delete("persistentvolumeclaims", NAMESPACE, "clicks")
    with pytest.raises(ConfigError, match=r"pvc://clicks names .* Make it, or have submit make it: .*\{clicks: \{size"):
        check_needed(api, make_job(), NoProgress())
    check_needed(api, make_job(cluster={"claims": {"clicks": {"size": "1Gi"}}}), NoProgress())


def test_operators_that_the_cluster_has_are_used(api):
    api.known = {"MPIJob", "ServiceMonitor"}
    cluster = {"backend": "mpijob", "service_monitor": True, "metrics_namespace": "monitoring"}
    check_needed(api, make_job(cluster=cluster), NoProgress())


def test_what_a_user_may_not_read_is_told_and_left_to_the_cluster_and_any_other_refusal_is_an_error(api):
    api.refusals = {("get", "PersistentVolumeClaim"): 403, ("get", "Namespace"): 403}
    messages = Messages()
    check_needed(api, make_job(), messages)
    assert len(messages.texts) == 2
    assert messages.texts[0].startswith(
        "PersistentVolumeClaim clicks (pvc://clicks) cannot be checked: No right to get"
    )
    for kind in ("PersistentVolumeClaim", "Namespace"):
        api.refusals = {("get", kind): 500}
        with pytest.raises(ClusterError, match="No right to get"):
            check_needed(api, make_job(), NoProgress())


def test_a_namespace_that_is_missing_or_about_to_go_is_said(api):
    api.store.objects["namespaces", NAMESPACE, NAMESPACE]["status"]["phase"] = "Terminating"
    with pytest.raises(ConfigError, match="Namespace ml is about to be deleted. Name another"):
        check_needed(api, make_job(), NoProgress())
    del api.store.objects["namespaces", NAMESPACE, NAMESPACE]
    with pytest.raises(ConfigError, match="Namespace ml does not exist in the cluster at memory"):
        check_needed(api, make_job(), NoProgress())


@pytest.mark.parametrize(
    ("cluster", "pods"),
    [
        ({}, ["nightly-driver-0", "nightly-server-0", "nightly-worker-0"]),
        ({"backend": "mpijob"}, ["nightly-launcher-0", "nightly-server-0", "nightly-worker-0"]),
    ],
)
def test_every_object_and_a_pod_of_every_template_is_checked_and_nothing_is_made(api, cluster, pods):
    manifests = rendered(make_job(cluster=cluster))
    check_objects(api, manifests, NoProgress())
    checked = [(kind, name) for _, kind, name in api.checked]
    assert sorted(name for kind, name in checked if kind == "Pod") == pods
    assert [each for each in checked if each[0] != "Pod"] == [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert api.changes == []


def test_a_claim_that_is_there_already_is_no_refusal_and_any_other_object_is_one(api):
    check_objects(api, rendered(make_job(cluster={"claims": {"clicks": {"size": "1Gi"}}})), NoProgress())
    add(api, "services", "nightly-server")
    with pytest.raises(ClusterError, match='services "nightly-server" already exists'):
        check_objects(api, rendered(make_job()), NoProgress())


def test_who_may_make_sets_but_no_pods_goes_without_the_check_of_templates_only(api):
    api.refusals = {("check", "Pod"): 403}
    check_objects(api, rendered(make_job()), NoProgress())
    api.refusals = {("check", "Pod"): 422}
    with pytest.raises(ClusterError, match="pods"):
        check_objects(api, rendered(make_job()), NoProgress())


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, None),
        ({"no_proxy": "a"}, None),
        ({"HTTPS_PROXY": "http://p:1", "grpc_proxy": "http://p:1"}, "HTTPS_PROXY, grpc_proxy"),
    ],
)
def test_a_proxy_in_the_pods_environment_is_warned_of(env, names):
    warning = proxy_warning(make_job(cluster={"env": env}))
    assert (
        warning is None if names is None else warning is not None and warning.startswith(f"cluster.env sets {names}.")
    )
