"""The objects of ``task: serve``: pods that answer, what reaches them, and what chooses their number."""

import pytest
import yaml

from esmm_dist.errors import ConfigError
from launcher.cluster.certificates import make_secrets
from launcher.cluster.job_file import job_yaml, read_job
from launcher.cluster.objects.all import needed, render
from launcher.cluster.task_settings import SERVED
from launcher.commands import COMMANDS
from launcher.settings.flags import finish
from launcher.settings.resolve import resolve
from tests.unit.launcher.cluster.jobs import find, job_text, make_job, rendered


def serving(**serve):
    return make_job("serve", cluster={"serve": serve})


def container_of(manifests):
    return find(manifests, "Deployment", "nightly-serving")["spec"]["template"]["spec"]["containers"][0]


def _refusal(**more) -> str:
    with pytest.raises(ConfigError) as e:
        read_job(job_text("serve", **more))
    return str(e.value)


@pytest.mark.parametrize("serve", [{}, {"token": False, "tls_secret": "shop-tls", "model": "shop"}])
def test_the_command_line_is_one_that_esmm_understands(serve, tmp_path):
    manifests = rendered(serving(**serve))
    (tmp_path / "serve.yaml").write_text(manifests[0]["data"]["serve.yaml"])
    line = [word.replace("/run/esmm/config", str(tmp_path)) for word in container_of(manifests)["args"]]
    resolved = resolve(COMMANDS[line[0]], line[1:])
    settings = finish(resolved.cls, resolved.values)
    assert (settings.models, settings.bind, settings.port) == ("/mnt/claims/models/serving", "0.0.0.0", 8501)
    assert (settings.metrics_port, str(settings.cache)) == (7072, "/mnt/cache")
    assert settings.name == serve.get("model", "esmm")
    assert settings.insecure_no_token == (settings.token_file is None) == (not serve.get("token", True))
    assert str(settings.tls_key) == ("/run/esmm/tls/tls.key" if "tls_secret" in serve else "None")


def test_pods_are_replaced_one_by_one_and_none_is_taken_before_another_is_ready():
    spec = find(rendered(serving(start_seconds=90)), "Deployment", "nightly-serving")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    probes = spec["template"]["spec"]["containers"][0]
    assert probes["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics", "scheme": "HTTP"}
    assert probes["livenessProbe"]["httpGet"]["path"] == "/healthz"
    start = probes["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] == 90 < spec["progressDeadlineSeconds"]


def test_a_pod_has_the_time_to_answer_its_last_request():
    job = make_job("serve", drain_s=20.0, timeout_ms=30_000, upload_timeout_s=1.0)
    template = find(rendered(job), "Deployment", "nightly-serving")["spec"]["template"]
    assert template["spec"]["terminationGracePeriodSeconds"] > 20 + 30 + 1


def test_there_is_a_process_for_each_core_unless_the_file_says_otherwise():
    assert make_job("serve", cluster={"serve": {"cpu": 3.5}}).settings["workers"] == 3
    assert make_job("serve", cluster={"serve": {"cpu": "500m"}}).settings["workers"] == 1
    assert make_job("serve", workers=5).settings["workers"] == 5


def test_only_a_changed_setting_replaces_pods():
    def annotations(job):
        return find(rendered(job), "Deployment", "nightly-serving")["spec"]["template"]["metadata"]["annotations"]

    assert annotations(serving()) == annotations(serving(max=7, from_namespaces=["web"]))
    assert annotations(serving()) != annotations(make_job("serve", max_users=7))


def test_there_is_an_autoscaler_only_where_there_is_a_choice():
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in rendered(serving(min=3, max=3))}
    spec = find(rendered(serving(min=2, max=5, cpu_percent=60)), "HorizontalPodAutoscaler", "nightly-serving")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert spec["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 60},
    }


def test_models_in_a_claim_are_read_only_and_those_of_a_store_are_copied_into_a_limited_folder():
    container = container_of(rendered(serving()))
    assert {"name": "claim-models", "mountPath": "/mnt/claims/models", "readOnly": True} in container["volumeMounts"]
    job = make_job("serve", models="s3://models/serving?region=eu-west-1", cluster={"serve": {"storage": "20Gi"}})
    manifests = rendered(job)
    volumes = find(manifests, "Deployment", "nightly-serving")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "cache", "emptyDir": {"sizeLimit": "20Gi"}} in volumes
    assert yaml.safe_load(manifests[0]["data"]["serve.yaml"])["models"] == "s3://models/serving?region=eu-west-1"
    assert container_of(manifests)["resources"]["limits"]["ephemeral-storage"] == "20Gi"


def test_who_may_ask_is_everyone_or_some_namespaces():
    def rules(**cluster):
        return find(rendered(make_job("serve", cluster=cluster)), "NetworkPolicy", "nightly")["spec"]["ingress"][1:]

    ports = [{"protocol": "TCP", "port": 8501}]
    assert rules() == [{"ports": ports}]
    web = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "web"}}}
    assert rules(serve={"from_namespaces": ["web"]}) == [{"from": [web], "ports": ports}]
    metrics, scores = rules(metrics_namespace="monitoring")
    assert (metrics["ports"][0]["port"], scores["ports"][0]["port"]) == (7072, 8501)


def test_a_service_that_leads_outside_has_no_port_of_the_metrics():
    def service(**serve):
        return find(rendered(serving(**serve)), "Service", "nightly-serving")

    assert [each["port"] for each in service()["spec"]["ports"]] == [8501, 7072]
    outside = service(service="LoadBalancer", service_annotations={"a/b": "c"}, tls_secret="shop-tls")
    assert [(each["name"], each["port"]) for each in outside["spec"]["ports"]] == [("https", 8501)]
    assert (outside["spec"]["type"], outside["metadata"]["annotations"]) == ("LoadBalancer", {"a/b": "c"})
    monitor = {"service_monitor": True, "metrics_namespace": "monitoring", "serve": {"service": "NodePort"}}
    assert "service_monitor is true, but serve.service is NodePort" in _refusal(cluster=monitor)


def test_metrics_are_found_at_the_pods_that_answer():
    manifests = rendered(make_job("serve", cluster={"service_monitor": True, "metrics_namespace": "monitoring"}))
    monitor = find(manifests, "ServiceMonitor", "nightly")["spec"]
    labels = find(manifests, "Service", "nightly-serving")["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()


def test_the_only_secret_is_the_token_and_certificates_are_those_that_exist():
    job = serving(tls_secret="shop-tls")
    assert list(make_secrets(job).files) == ["token"]
    assert [(each.kind, each.name, each.setting) for each in needed(job)] == [
        ("Secret", "shop-tls", "cluster.serve.tls_secret"),
        ("PersistentVolumeClaim", "models", "pvc://models"),
    ]
    assert "Secret" not in {each["kind"] for each in rendered(serving(token=False))}


def test_an_autoscalers_choice_outlives_an_update_within_the_bounds():
    job = serving(min=2, max=5)
    for now, then in ((None, 2), (0, 2), (4, 4), (9, 5)):
        manifests = render(job, None, replicas=now)
        assert find(manifests, "Deployment", "nightly-serving")["spec"]["replicas"] == then


def test_a_job_file_that_is_written_is_read_back():
    job = make_job("serve", drain_s=9.0, cluster={"serve": {"max": 4}, "service_monitor": False})
    assert read_job(job_yaml(job)) == job
    assert "servers" not in job_yaml(job)
    scaled = job.with_replicas(3, 3)
    assert (scaled.cluster.serve.min, scaled.cluster.serve.max) == (3, None)
    assert job.with_replicas(3, 6).cluster.serve.most == 6


@pytest.mark.parametrize("name", SERVED)
def test_what_the_cluster_decides_is_refused(name):
    assert f"{name} is decided by the cluster section (cluster.serve). Leave it out." in _refusal(**{name: 1})


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ({"serve": {"min": 0}}, "min is 0, max is 0. Set 1 <= min <= max <= 1000"),
        ({"serve": {"min": 3, "max": 2}}, "min is 3, max is 2. Set 1 <= min <= max"),
        ({"serve": {"cpu_percent": 0}}, "cpu_percent is 0. Set 1 .. 100"),
        ({"serve": {"start_seconds": 0}}, "start_seconds is 0. Set 1 or more"),
        ({"serve": {"max_unavailable": -1}}, "max_unavailable is -1. Set 0 or more"),
        ({"serve": {"service_annotations": {"a b": "c"}}}, "service_annotations has 'a b', which is no key"),
        ({"serve": {"from_namespaces": ["A"]}}, "from_namespaces names 'A', which no namespace can be called"),
        ({"serve": {"tls_secret": "A"}}, "tls_secret names 'A'"),
        ({"serve": {"model": "a b"}}, "name is 'a b'. Use letters, digits"),
        ({"serve": {"memory": "1Mi"}}, "memory is 1Mi, less than 64Mi"),
        ({"pod": {}}, "cluster.pod is for tasks of one pod. Leave it out. Task serve has cluster.serve."),
        ({"workers": {}}, "cluster.workers is for task: train. Leave it out."),
    ],
)
def test_a_cluster_section_that_makes_no_sense_is_refused(cluster, message):
    assert message in _refusal(cluster=cluster)


def test_other_tasks_have_no_pods_that_answer():
    for task, own in (("train", "A training has servers"), ("export", "A task of one pod such as export has")):
        with pytest.raises(ConfigError, match=f"cluster.serve is for task: serve. Leave it out. {own}"):
            read_job(job_text(task, cluster={"serve": {}}))


def test_a_serve_job_has_no_times():
    assert "task: serve has no times" in _refusal(schedule="0 4 * * *")
