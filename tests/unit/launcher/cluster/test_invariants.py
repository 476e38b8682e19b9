"""What holds for the objects of every job that is accepted."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.objects.all import manifests_list, needed
from launcher.cluster.objects.yaml_text import manifests_yaml
from tests.unit.launcher.cluster.jobs import TASK_SETTINGS, UID, make_job, rendered, templates

JOB_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True).filter(
    lambda name: not name.endswith(("-status", "-server", "-worker", "-serving"))
)
CLUSTERS = st.fixed_dictionaries(
    {
        "tls": st.booleans(),
        "network_policy": st.booleans(),
        "env_from_secrets": st.sampled_from([[], ["keys"]]),
        "pull_secrets": st.sampled_from([[], ["registry"]]),
        "claims": st.sampled_from([{}, {"clicks": {"size": "1Gi"}}]),
    }
)
TRAININGS = st.fixed_dictionaries(
    {
        "backend": st.sampled_from(["plain", "mpijob"]),
        "service_monitor": st.booleans(),
        "metrics_namespace": st.just("monitoring"),
        "servers": st.fixed_dictionaries({"count": st.integers(1, 512)}),
        "workers": st.fixed_dictionaries({"max": st.integers(1, 4096), "gpus": st.integers(0, 1)}),
    }
)
SERVING = st.fixed_dictionaries(
    {
        "service_monitor": st.booleans(),
        "metrics_namespace": st.just("monitoring"),
        "serve": st.fixed_dictionaries(
            {
                "min": st.integers(1, 3),
                "max": st.sampled_from([None, 3, 1000]),
                "token": st.booleans(),
                "tls_secret": st.sampled_from([None, "shop-tls"]),
                "from_namespaces": st.sampled_from([[], ["shop", "web"]]),
            }
        ),
    }
)


@st.composite
def _jobs(draw):
    tasks = [
        "train",
        "train",
        "synth",
        "preprocess",
        "evaluate",
        "predict",
        "export",
        "report",
        "stats",
        "serve",
        "serve",
    ]
    task = draw(st.sampled_from(tasks))
    cluster = draw(CLUSTERS) | draw({"train": TRAININGS, "serve": SERVING}.get(task, st.just({})))
    if task == "serve":
        cluster["claims"] = {}
        return make_job(task, name=draw(JOB_NAMES), cluster=cluster)
    more = {"data": "s3://clicks/data"} if "data" in TASK_SETTINGS[task] and draw(st.booleans()) else {}
    if task != "train" and draw(st.booleans()):
        cluster["pod"] = {"scratch": "pvc://work/scratch"}
    if "data" in more:
        cluster["claims"] = {}
    return make_job(task, name=draw(JOB_NAMES), cluster=cluster, **more)


JOBS = _jobs()
many = settings(max_examples=20, deadline=None)


def _matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _containers(template: Any) -> list[Any]:
    return [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]


@many
@given(JOBS)
def test_selectors_match_the_labels_of_exactly_their_pods(job):
    manifests = rendered(job)
    for each in manifests:
        if each["kind"] in ("StatefulSet", "Deployment"):
            labels = each["spec"]["template"]["metadata"]["labels"]
            assert _matches(each["spec"]["selector"]["matchLabels"], labels)
    pods = [template["metadata"]["labels"] for template in templates(manifests)]
    for each in manifests:
        if each["kind"] in ("Service", "PodDisruptionBudget"):
            selector = each["spec"]["selector"]
            found = [labels for labels in pods if _matches(selector.get("matchLabels", selector), labels)]
            assert len(found) == 1
        if each["kind"] == "NetworkPolicy":
            assert all(_matches(each["spec"]["podSelector"]["matchLabels"], labels) for labels in pods)
        if each["kind"] == "ServiceMonitor":
            services = [m for m in manifests if m["kind"] == "Service"]
            selector = each["spec"]["selector"]["matchLabels"]
            [service] = [m for m in services if _matches(selector, m["metadata"]["labels"])]
            assert each["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]


@many
@given(JOBS)
def test_ports_of_services_and_probes_are_ports_of_the_containers(job):
    manifests = rendered(job)
    for each in manifests:
        if each["kind"] != "Service":
            continue
        [template] = [t for t in templates(manifests) if _matches(each["spec"]["selector"], t["metadata"]["labels"])]
        ports = {port["name"]: port["containerPort"] for port in _containers(template)[0]["ports"]}
        assert {port["targetPort"]: port["port"] for port in each["spec"]["ports"]} == ports
    for template in templates(manifests):
        for container in _containers(template):
            known = {port["name"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                if kind in container:
                    assert container[kind]["httpGet"]["port"] in known


@many
@given(JOBS)
def test_every_mount_has_a_volume_and_every_volume_is_mounted(job):
    for template in templates(rendered(job)):
        volumes = [volume["name"] for volume in template["spec"]["volumes"]]
        assert len(set(volumes)) == len(volumes)
        for container in _containers(template):
            mounts = container["volumeMounts"]
            mounted = sorted(mount["name"] for mount in mounts)
            assert mounted == (["fetched", "tmp"] if container["name"] == "fetch" else sorted(volumes))
            assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


@many
@given(JOBS)
def test_every_object_that_is_referred_to_is_made_or_declared_as_needed(job):
    manifests = rendered(job)
    there = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    there |= {(each.kind, each.name) for each in needed(job)}
    keys = {(each["kind"], each["metadata"]["name"]): set(each["data"]) for each in manifests if each.get("data")}
    for template in templates(manifests):
        spec = template["spec"]
        assert ("ServiceAccount", spec["serviceAccountName"]) in there
        for secret in spec.get("imagePullSecrets", []):
            assert ("Secret", secret["name"]) in there
        for source in spec["containers"][0].get("envFrom", []):
            assert ("Secret", source["secretRef"]["name"]) in there
        for volume in spec["volumes"]:
            if "secret" in volume:
                secret = ("Secret", volume["secret"]["secretName"])
                assert secret in there
                assert secret not in keys or {item["key"] for item in volume["secret"]["items"]} <= keys[secret]
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there
    for each in manifests:
        if each["kind"] == "StatefulSet":
            assert ("Service", each["spec"]["serviceName"]) in there
        if each["kind"] == "HorizontalPodAutoscaler":
            assert ("Deployment", each["spec"]["scaleTargetRef"]["name"]) in there
        if each["kind"] == "RoleBinding":
            assert ("Role", each["roleRef"]["name"]) in there
            assert all(("ServiceAccount", subject["name"]) in there for subject in each["subjects"])


@many
@given(JOBS)
def test_every_file_that_a_command_line_names_is_mounted(job):
    for template in templates(rendered(job)):
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        container = _containers(template)[0]
        files = set()
        for mount in container["volumeMounts"]:
            for item in volumes[mount["name"]].get("secret", {}).get("items", []):
                files.add(f"{mount['mountPath']}/{item['path']}")
            if "configMap" in volumes[mount["name"]]:
                files |= {f"{mount['mountPath']}/{key}" for key in (names.settings_key(job.task), names.JOB_KEY)}
        assert {arg for arg in container["args"] if arg.startswith("/run/esmm/")} <= files


@many
@given(JOBS)
def test_names_are_valid_and_within_length_for_every_job_name(job):
    manifests = rendered(job)
    seen = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(set(seen)) == len(seen)
    for each in manifests:
        name = each["metadata"]["name"]
        assert names.is_label(name)
        if each["kind"] == "StatefulSet":
            # J-worker-4095, and the label controller-revision-hash: the name, '-' and up to 10 characters
            assert len(f"{name}-4095") <= 63
            assert len(f"{name}-0123456789") <= 63
        for value in each["metadata"]["labels"].values():
            assert names.is_label_value(value)
    for template in templates(manifests):
        for volume in template["spec"]["volumes"]:
            assert names.is_label(volume["name"])


@many
@given(JOBS)
def test_all_but_claims_are_owned_by_the_first_object(job):
    [first, *rest] = rendered(job, owner_uid=UID)
    assert (first["kind"], first["metadata"]["name"]) == ("ConfigMap", job.name)
    assert "ownerReferences" not in first["metadata"]
    for each in rest:
        if each["kind"] == "PersistentVolumeClaim":
            assert "ownerReferences" not in each["metadata"]
        else:
            [owner] = each["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["name"], owner["uid"]) == ("ConfigMap", job.name, UID)


@many
@given(JOBS)
def test_every_pod_runs_without_rights(job):
    for template in templates(rendered(job)):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        is_driver = template["metadata"]["labels"][names.COMPONENT] == "driver"
        assert spec["automountServiceAccountToken"] == is_driver
        for container in _containers(template):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not context["allowPrivilegeEscalation"]
            resources = container["resources"]
            assert resources["requests"]["memory"] == resources["limits"]["memory"]
            assert "cpu" not in resources["limits"]


@many
@given(JOBS)
def test_what_a_process_wrote_before_it_failed_stays_in_its_pods_status(job):
    for template in templates(rendered(job)):
        for container in _containers(template):
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@many
@given(JOBS)
def test_what_dry_run_prints_holds_all_objects(job):
    manifests = rendered(job)
    assert list(yaml.safe_load_all(manifests_yaml(manifests))) == manifests
    assert manifests_list(manifests) == {"apiVersion": "v1", "kind": "List", "items": manifests}


@pytest.mark.parametrize("other", ["plain", "mpijob"])
@pytest.mark.parametrize("backend", ["plain", "mpijob"])
def test_no_two_jobs_have_an_object_of_the_same_kind_and_name(backend, other):
    mine = _kinds_and_names(rendered(make_job(cluster={"backend": backend})))
    ends = sorted({name.removeprefix("nightly") for _, name in mine} - {""})
    assert "-status" in ends
    refused = []
    for end in ends:
        try:
            theirs = _kinds_and_names(rendered(make_job(name=f"nightly{end}", cluster={"backend": other})))
        except ConfigError:
            refused.append(end)
        else:
            assert not mine & theirs, end
    assert refused == [end for end in ends if end == "-status" or (other == "mpijob" and end in ("-server", "-worker"))]


def _kinds_and_names(manifests: Any) -> set[tuple[str, str]]:
    found = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    # Made by the operator
    return found | {("Service", name) for kind, name in found if kind == "MPIJob"}


@pytest.mark.parametrize("name", ["a-status", "a" * 41, "A", "1a", "a-", "a.b", "ä", ""])
def test_names_that_could_not_hold_are_no_job_names(name):
    assert not names.is_job_name(name)
