"""What each setting of ``cluster`` does to the objects."""

import base64
import itertools
import re

import pytest
import yaml

from esmm_dist.storage.uris import stored_uri
from launcher.cluster import names
from launcher.cluster.in_pod.job_objects import JobObjects
from launcher.cluster.objects.all import Needed, needed
from launcher.commands import COMMANDS
from launcher.settings.flags import finish
from launcher.settings.resolve import resolve
from tests.unit.launcher.cluster.jobs import find, make_job, rendered, templates

SERVERS = ",".join(f"nightly-server-{i}.nightly-server.ml.svc:7070" for i in range(2))


def _pod(manifests, kind, name):
    return find(manifests, kind, name)["spec"]["template"]["spec"]


def _container(manifests, kind, name):
    [container] = _pod(manifests, kind, name)["containers"]
    return container


def _flags(args):
    """Return flag -> value of a command line."""
    return {a: b for a, b in itertools.pairwise(args) if a.startswith("--")}


@pytest.fixture
def training():
    return rendered(make_job(cluster={"servers": {"count": 2}, "workers": {"min": 1, "max": 4, "start": 3}}))


def test_a_training_has_these_objects_in_this_order(training):
    assert [(each["kind"], each["metadata"]["name"]) for each in training] == [
        ("ConfigMap", "nightly"),
        ("ServiceAccount", "nightly-pod"),
        ("NetworkPolicy", "nightly"),
        ("ConfigMap", "nightly-status"),
        ("Secret", "nightly"),
        ("ServiceAccount", "nightly-driver"),
        ("Role", "nightly-driver"),
        ("RoleBinding", "nightly-driver"),
        ("PodDisruptionBudget", "nightly-server"),
        ("PodDisruptionBudget", "nightly-worker"),
        ("Service", "nightly-server"),
        ("StatefulSet", "nightly-server"),
        ("Service", "nightly-worker"),
        ("StatefulSet", "nightly-worker"),
        ("Job", "nightly-driver"),
    ]
    assert all(each["metadata"]["namespace"] == "ml" for each in training)
    assert all(each["metadata"]["labels"]["app.kubernetes.io/instance"] == "nightly" for each in training)


def test_the_servers_know_their_number_and_ask_for_token_and_certificate(training):
    container = _container(training, "StatefulSet", "nightly-server")
    assert container["command"][:2] == ["sh", "-c"]
    assert '--index "${POD_NAME##*-}"' in container["command"][2]
    flags = _flags(container["args"])
    assert (flags["--count"], flags["--bind"], flags["--metrics-port"]) == ("2", "0.0.0.0:7070", "7072")
    assert flags["--token-file"] == "/run/esmm/secrets/token"
    assert flags["--tls-ca"] == "/run/esmm/secrets/ca.crt"
    assert flags["--tls-cert"] == "/run/esmm/secrets/server.crt"
    assert flags["--root"] == "/mnt/claims"
    assert find(training, "StatefulSet", "nightly-server")["spec"]["replicas"] == 2


def test_a_run_in_an_object_store_gives_servers_no_root():
    args = _container(rendered(make_job(run="s3://models/run")), "StatefulSet", "nightly-server")["args"]
    assert "--root" not in args


def test_the_workers_are_agents_of_a_training_with_the_settings_of_the_config_map(training):
    args = _container(training, "StatefulSet", "nightly-worker")["args"]
    cut = args.index("--")
    agent, worker = _flags(args[:cut]), _flags(args[cut + 2 :])
    assert (args[0], args[cut + 1]) == ("agent", "train")
    assert (agent["--name"], agent["--bind"], agent["--grace-seconds"]) == ("$(POD_NAME)", "0.0.0.0:7071", "120")
    assert worker["--config"] == "/run/esmm/config/train.yaml"
    assert worker["--servers"] == SERVERS
    assert worker["--tls-cert"] == "/run/esmm/secrets/client.crt"
    assert "--standby" not in args
    assert find(training, "StatefulSet", "nightly-worker")["spec"]["replicas"] == 3


def test_the_driver_is_told_the_job_and_its_bounds(training):
    args = _container(training, "Job", "nightly-driver")["args"]
    flags = _flags(args)
    assert (args[0], flags["--job"], flags["--namespace"], flags["--backend"]) == ("driver", "nightly", "ml", "plain")
    assert (flags["--min-workers"], flags["--max-workers"], flags["--stall-seconds"]) == ("1", "4", "60")
    assert (flags["--host"], flags["--interface"], flags["--servers"]) == ("$(POD_IP)", "eth0", SERVERS)
    assert flags["--run"] == "/mnt/claims/models/run"


def test_the_config_map_holds_settings_that_the_command_reads(training, tmp_path):
    data = training[0]["data"]
    path = tmp_path / "train.yaml"
    path.write_text(data["train.yaml"])
    resolved = resolve(COMMANDS["train"], ["--config", str(path), "--servers", SERVERS])
    assert str(resolved.values["data"]) == "/mnt/claims/clicks/data"
    assert "token_file" not in yaml.safe_load(data["train.yaml"])["store"]
    assert yaml.safe_load(data["job.yaml"])["data"] == "pvc://clicks/data"


def _expanded(text, variables):
    """As a kubelet does: unknown names stay, ``$$`` is a dollar."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda m: "$" if m[0] == "$$" else variables.get(m[1], m[0]), text)


@pytest.mark.parametrize("backend", ["plain", "mpijob"])
@pytest.mark.parametrize("odd", ["$(HOME)", "$$(HOME)", "$", "a$$b", "$(POD_IP)$"])
def test_a_dollar_in_a_setting_reaches_the_command_as_it_was_written(backend, odd):
    manifests = rendered(make_job(run=f"pvc://models/{odd}", cluster={"backend": backend, "interface": odd}))
    [args] = [args for args in _all_args(manifests) if args[0] == "driver"]
    flags = _flags([_expanded(word, {"HOME": "/tmp", "POD_IP": "10.0.0.1"}) for word in args])
    assert (flags["--run"], flags["--interface"]) == (f"/mnt/claims/models/{odd}", odd)
    assert flags["--host"] == "10.0.0.1"


def _all_args(manifests):
    return [template["spec"]["containers"][0]["args"] for template in templates(manifests)]


def test_the_settings_that_pods_read_are_those_of_the_file_to_the_character():
    text = rendered(make_job("evaluate", split="a\x85b"))[0]["data"]["evaluate.yaml"]
    assert yaml.safe_load(text)["split"] == "a\x85b"


def test_a_variable_of_a_job_replaces_a_default_and_stands_there_once():
    manifests = rendered(make_job(cluster={"env": {"GRPC_DNS_RESOLVER": "ares"}}))
    found = [each for each in _container(manifests, "Job", "nightly-driver")["env"] if "GRPC" in each["name"]]
    assert found == [{"name": "GRPC_DNS_RESOLVER", "value": "ares"}]


def test_variables_of_a_job_may_name_those_of_the_pod_and_those_above_them():
    manifests = rendered(make_job(cluster={"env": {"Z": "$(POD_IP)", "A": "$(Z):$$(Z)"}}))
    seen = {}
    for each in _container(manifests, "StatefulSet", "nightly-worker")["env"]:
        seen[each["name"]] = _expanded(each["value"], seen) if "value" in each else "10.0.0.1"
    assert (seen["Z"], seen["A"]) == ("10.0.0.1", "10.0.0.1:$(Z)")


@pytest.mark.parametrize("backend", ["plain", "mpijob"])
@pytest.mark.parametrize("tls", [True, False])
def test_every_command_line_is_one_that_esmm_understands(backend, tls, tmp_path):
    manifests = rendered(make_job(cluster={"backend": backend, "tls": tls, "workers": {"max": 2, "standby": True}}))
    (tmp_path / "train.yaml").write_text(manifests[0]["data"]["train.yaml"])
    values = {"$(POD_NAME)": "nightly-worker-0", "$(POD_IP)": "10.0.0.1", "/run/esmm/config": str(tmp_path)}
    understood = []
    for template in templates(manifests):
        [container] = template["spec"]["containers"]
        line = [*container["args"]]
        if container["command"][0] == "sh":
            line = ["server", "--index", "0", *line]
        for variable, value in values.items():
            line = [word.replace(variable, value) for word in line]
        for part in (line, line[line.index("--") + 1 :] if "--" in line else None):
            if part is not None:
                resolved = resolve(COMMANDS[part[0]], part[1:])
                finish(resolved.cls, resolved.values)
                understood.append(part[0])
    assert sorted(understood) == ["agent", "driver", "server", "train"]


@pytest.mark.parametrize("backend", ["plain", "mpijob"])
def test_data_in_an_object_store_are_copied_before_a_worker_begins(backend):
    place = "s3://clicks/$(x)?region=eu-west-1"
    cluster = {"backend": backend, "workers": {"gpus": 1, "storage": "30Gi", "memory": "3Gi"}, "env": {"A": "b"}}
    manifests = rendered(make_job(data=place, cluster=cluster | {"env_from_secrets": ["keys"]}))
    for template in templates(manifests):
        spec = template["spec"]
        worker = spec["containers"][0]["name"] == "worker"
        assert ("initContainers" in spec) == worker
        assert ("fetched" in {volume["name"] for volume in spec["volumes"]}) == worker
        if not worker:
            continue
        [fetch], [container] = spec["initContainers"], spec["containers"]
        assert fetch["command"] == ["esmm"]
        line = [_expanded(word, {}) for word in fetch["args"]]
        resolved = resolve(COMMANDS[line[0]], line[1:])
        assert (resolved.values["source"], resolved.values["target"]) == (place, "/mnt/fetched/data")
        assert yaml.safe_load(manifests[0]["data"]["train.yaml"])["data"] == "/mnt/fetched/data"
        assert {"name": "fetched", "emptyDir": {"sizeLimit": "30Gi"}} in spec["volumes"]
        assert {"name": "fetched", "mountPath": "/mnt/fetched", "readOnly": True} in container["volumeMounts"]
        assert [mount["name"] for mount in fetch["volumeMounts"]] == ["tmp", "fetched"]
        same = ("image", "env", "envFrom", "securityContext", "terminationMessagePolicy")
        assert {key: fetch[key] for key in same} == {key: container[key] for key in same}
        limits = {"memory": "3Gi", "ephemeral-storage": "30Gi"}
        assert fetch["resources"]["limits"] == limits
        assert container["resources"]["limits"] == limits | {"nvidia.com/gpu": "1"}
        assert "ports" not in fetch
        assert not any("robe" in key for key in fetch)


def test_scratch_of_a_task_is_told_to_its_command():
    job = make_job("preprocess", raw="s3://clicks/raw", cluster={"pod": {"scratch": "pvc://work/here"}})
    [template] = templates(rendered(job))
    [container] = template["spec"]["containers"]
    assert {"name": "ESMM_SCRATCH", "value": "/mnt/claims/work/here"} in container["env"]
    assert {"name": "claim-work", "mountPath": "/mnt/claims/work"} in container["volumeMounts"]


@pytest.mark.parametrize("task", ["preprocess", "predict"])
def test_a_task_of_one_pod_is_told_the_uris_as_they_were_given(task, tmp_path):
    uri = "s3://clicks/x?region=eu-west-1"
    setting = "raw" if task == "preprocess" else "data"
    settings = yaml.safe_load(rendered(make_job(task, **{setting: uri}))[0]["data"][f"{task}.yaml"])
    assert settings[setting] == uri
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    assert stored_uri(resolve(COMMANDS[task], ["--config", str(path)]).values[setting]) == uri


@pytest.mark.parametrize("task", ["synth", "preprocess", "evaluate", "predict", "export"])
def test_the_settings_of_a_task_of_one_pod_are_what_its_command_reads(task, tmp_path):
    data = rendered(make_job(task))[0]["data"]
    path = tmp_path / f"{task}.yaml"
    path.write_text(data[path.name])
    resolved = resolve(COMMANDS[task], ["--config", str(path)])
    assert type(finish(resolved.cls, resolved.values)) is COMMANDS[task].load_settings()


def test_addresses_are_those_at_which_the_driver_looks():
    job = make_job()
    for backend in ("plain", "mpijob"):
        objects = JobObjects(job=job.name, namespace="ml", backend=backend)
        host, _, port = objects.agent_address("nightly-worker-0").partition(":")
        assert int(port) == names.AGENT_PORT
        assert f"*.{host.partition('.')[2]}" in names.certified_names(job.name, "ml")


def test_ports_on_command_lines_are_those_of_the_containers(training):
    for kind, name, flags in [
        ("StatefulSet", "nightly-server", {"--bind": "grpc", "--metrics-port": "metrics"}),
        ("StatefulSet", "nightly-worker", {"--bind": "agent"}),
    ]:
        container = _container(training, kind, name)
        ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
        for flag, port in flags.items():
            value = container["args"][container["args"].index(flag) + 1]
            assert value.rpartition(":")[2] == ports.pop(port)
        assert not ports


def test_secrets_are_in_the_secret_only_and_each_pod_sees_its_own(training):
    data = find(training, "Secret", "nightly")["data"]
    assert base64.b64decode(data["server.key"]) == b"<server.key>"
    seen = {}
    for kind, name in [("StatefulSet", "server"), ("StatefulSet", "worker"), ("Job", "driver")]:
        [volume] = [v["secret"] for v in _pod(training, kind, f"nightly-{name}")["volumes"] if "secret" in v]
        assert volume["defaultMode"] == 0o440
        seen[name] = {item["key"] for item in volume["items"]}
    assert seen["driver"] == {"token", "ca.crt", "client.crt", "client.key"}
    assert seen["server"] == {"token", "ca.crt", "server.crt", "server.key"}
    assert seen["worker"] == seen["driver"] | seen["server"]


def test_without_tls_only_the_token_is_left():
    manifests = rendered(make_job(cluster={"tls": False}))
    assert list(find(manifests, "Secret", "nightly")["data"]) == ["token"]
    for template in templates(manifests):
        [container] = template["spec"]["containers"]
        assert not [arg for arg in container["args"] if "tls" in arg]
    probe = _container(manifests, "StatefulSet", "nightly-worker")["readinessProbe"]
    assert probe["httpGet"]["scheme"] == "HTTP"


def test_probes_tell_ready_from_alive(training):
    server = _container(training, "StatefulSet", "nightly-server")
    assert server["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics", "scheme": "HTTP"}
    assert server["livenessProbe"]["httpGet"]["path"] == "/healthz"
    worker = _container(training, "StatefulSet", "nightly-worker")
    assert worker["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "agent", "scheme": "HTTPS"}


def test_grace_periods_are_longer_than_what_ends_within_them():
    manifests = rendered(make_job(cluster={"grace_seconds": 300}))
    server, worker = (_pod(manifests, "StatefulSet", f"nightly-{each}") for each in ("server", "worker"))
    assert server["terminationGracePeriodSeconds"] == 305
    assert server["containers"][0]["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    assert worker["terminationGracePeriodSeconds"] == 310
    assert _flags(worker["containers"][0]["args"])["--grace-seconds"] == "300"
    assert _pod(manifests, "Job", "nightly-driver")["terminationGracePeriodSeconds"] == 5


def test_gpus_are_text_and_only_workers_have_them():
    cluster = {"workers": {"gpus": 1, "standby": True}, "worker_node_selector": {"gpu": "a100"}}
    manifests = rendered(make_job(cluster=cluster | {"node_selector": {"pool": "x"}}))
    worker = _container(manifests, "StatefulSet", "nightly-worker")
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert worker["resources"]["requests"]["nvidia.com/gpu"] == "1"
    assert "--standby" in worker["args"]
    assert _pod(manifests, "StatefulSet", "nightly-worker")["nodeSelector"] == {"pool": "x", "gpu": "a100"}
    for kind, name in [("StatefulSet", "nightly-server"), ("Job", "nightly-driver")]:
        assert "nvidia.com/gpu" not in _container(manifests, kind, name)["resources"]["limits"]
        assert _pod(manifests, kind, name)["nodeSelector"] == {"pool": "x"}


def test_sizes_are_those_of_the_file():
    sizes = {"servers": {"cpu": 3, "memory": "7Gi", "storage": "9Gi"}, "driver": {"cpu": 0.5, "memory": "300Mi"}}
    manifests = rendered(make_job(cluster=sizes))
    server = _container(manifests, "StatefulSet", "nightly-server")["resources"]
    assert server == {
        "requests": {"cpu": "3", "memory": "7Gi", "ephemeral-storage": "9Gi"},
        "limits": {"memory": "7Gi", "ephemeral-storage": "9Gi"},
    }
    assert _container(manifests, "Job", "nightly-driver")["resources"]["requests"]["cpu"] == "0.5"
    tmp = _pod(manifests, "StatefulSet", "nightly-server")["volumes"][0]
    assert tmp == {"name": "tmp", "emptyDir": {"sizeLimit": "9Gi"}}


@pytest.mark.parametrize("task", ["train", "preprocess"])
def test_what_is_for_all_pods_is_in_all_pods(task):
    cluster = {
        "image": "r/esmm:2",
        "image_pull_policy": "Always",
        "tolerations": [{"key": "a", "value": "b", "effect": "NoExecute", "seconds": 9}],
        "priority_class": "high",
        "scheduler": "volcano",
        "env": {"A": "b"},
        "env_from_secrets": ["keys"],
        "pull_secrets": ["registry"],
        "pod_labels": {"group": "g"},
        "pod_annotations": {"note": "n"},
        "queue_labels": {"queue": "q"},
    }
    manifests = rendered(make_job(task, cluster=cluster))
    for template in templates(manifests):
        spec, [container] = template["spec"], template["spec"]["containers"]
        assert (container["image"], container["imagePullPolicy"]) == ("r/esmm:2", "Always")
        assert spec["tolerations"] == [
            {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 9}
        ]
        assert (spec["priorityClassName"], spec["schedulerName"]) == ("high", "volcano")
        assert {"name": "A", "value": "b"} in container["env"]
        assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert template["metadata"]["labels"]["group"] == "g"
        assert template["metadata"]["annotations"] == {"note": "n"}
    for each in manifests:
        assert ("queue" in each["metadata"]["labels"]) == (each["kind"] in ("StatefulSet", "Job"))


def test_clouds_give_rights_by_annotations_of_the_accounts():
    manifests = rendered(make_job(cluster={"account_annotations": {"a/b": "c"}}))
    for name in ("nightly-pod", "nightly-driver"):
        assert find(manifests, "ServiceAccount", name)["metadata"]["annotations"] == {"a/b": "c"}


def test_claims_are_mounted_in_all_pods_and_made_if_the_file_says_so():
    job = make_job(cluster={"claims": {"models": {"size": "5Gi", "storage_class": "nfs"}}})
    manifests = rendered(job)
    spec = find(manifests, "PersistentVolumeClaim", "models")["spec"]
    assert spec == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "5Gi"}},
        "storageClassName": "nfs",
    }
    for template in templates(manifests):
        mounts = {mount["mountPath"] for mount in template["spec"]["containers"][0]["volumeMounts"]}
        assert {"/mnt/claims/models", "/mnt/claims/clicks"} <= mounts
    assert needed(job) == [Needed(kind="PersistentVolumeClaim", name="clicks", setting="pvc://clicks")]


def test_what_must_exist_is_listed_with_the_setting_that_names_it():
    cluster = {"env_from_secrets": ["keys"], "pull_secrets": ["registry"], "priority_class": "high"}
    assert {(each.kind, each.name, each.setting) for each in needed(make_job("evaluate", cluster=cluster))} >= {
        ("Secret", "keys", "cluster.env_from_secrets"),
        ("Secret", "registry", "cluster.pull_secrets"),
        ("PriorityClass", "high", "cluster.priority_class"),
    }


def test_the_drivers_rights_are_these_and_no_others(training):
    rules = find(training, "Role", "nightly-driver")["rules"]
    assert [(r["apiGroups"], r["resources"], r.get("resourceNames"), r["verbs"]) for r in rules] == [
        ([""], ["pods"], None, ["list"]),
        ([""], ["configmaps"], ["nightly"], ["get"]),
        ([""], ["configmaps"], ["nightly-status"], ["get", "patch"]),
        (["apps"], ["statefulsets/scale"], ["nightly-server", "nightly-worker"], ["patch"]),
    ]


def test_the_network_lets_in_this_job_and_the_named_namespace_to_the_metrics():
    manifests = rendered(make_job(cluster={"metrics_namespace": "monitoring", "service_monitor": True}))
    own, metrics = find(manifests, "NetworkPolicy", "nightly")["spec"]["ingress"]
    assert own == {"from": [{"podSelector": {"matchLabels": {names.NAME: "esmm-dist", names.INSTANCE: "nightly"}}}]}
    assert metrics["ports"] == [{"protocol": "TCP", "port": 7072}]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert find(manifests, "ServiceMonitor", "nightly")
    without = rendered(make_job(cluster={"network_policy": False}))
    assert not [each for each in without if each["kind"] in ("NetworkPolicy", "ServiceMonitor")]


def test_a_drained_node_takes_as_many_as_the_file_says():
    cluster = {"servers": {"max_unavailable": 1}, "workers": {"max_unavailable": 2}}
    manifests = rendered(make_job(cluster=cluster))
    assert find(manifests, "PodDisruptionBudget", "nightly-server")["spec"]["maxUnavailable"] == 1
    assert find(manifests, "PodDisruptionBudget", "nightly-worker")["spec"]["maxUnavailable"] == 2
    defaults = rendered(make_job())
    assert find(defaults, "PodDisruptionBudget", "nightly-server")["spec"]["maxUnavailable"] == 0


def test_an_mpijob_has_the_same_driver_and_agents_and_no_set_of_workers():
    plain = rendered(make_job(cluster={"workers": {"max": 3}}))
    manifests = rendered(make_job(cluster={"workers": {"max": 3}, "backend": "mpijob"}))
    replicas = find(manifests, "MPIJob", "nightly")["spec"]["mpiReplicaSpecs"]
    assert (replicas["Launcher"]["replicas"], replicas["Worker"]["replicas"]) == (1, 3)
    assert replicas["Worker"]["template"] == find(plain, "StatefulSet", "nightly-worker")["spec"]["template"]
    assert "--backend mpijob" in " ".join(replicas["Launcher"]["template"]["spec"]["containers"][0]["args"])
    assert {each["kind"] for each in manifests}.isdisjoint({"Job"})
    assert [each["metadata"]["name"] for each in manifests if each["kind"] == "StatefulSet"] == ["nightly-server"]
    budgets = [each["metadata"]["name"] for each in manifests if each["kind"] == "PodDisruptionBudget"]
    assert budgets == ["nightly-server"]


def test_a_task_of_one_pod_is_one_job_that_is_tried_again():
    manifests = rendered(make_job("preprocess", cluster={"pod": {"cpu": 8, "memory": "16Gi", "retries": 2}}))
    kinds = [each["kind"] for each in manifests]
    assert kinds == ["ConfigMap", "ServiceAccount", "NetworkPolicy", "Job"]
    spec = find(manifests, "Job", "nightly-task")["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (2, "Never")
    assert spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2]
    container = _container(manifests, "Job", "nightly-task")
    assert container["args"] == ["preprocess", "--config", "/run/esmm/config/preprocess.yaml"]
    assert yaml.safe_load(manifests[0]["data"]["preprocess.yaml"])["workers"] == 8
