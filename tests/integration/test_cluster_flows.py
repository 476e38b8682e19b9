"""The verbs of a cluster job, as typed, against an API over HTTP that plays the controllers and the driver."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from launcher.cli import main
from tests.fake_kubernetes.server import FakeCluster, wait_until

README = Path(__file__).parents[2] / "k8s/README.md"
OPTIONAL = ("mpijobs", "servicemonitors", "priorityclasses")
"""What this job does not use."""

JOB = """\
name: nightly
task: train
data: pvc://data/aliccp
run: pvc://data/runs/nightly
cluster:
  image: registry.example/esmm:1
  servers: {count: 2}
  workers: {min: 1, max: 4, start: 2}
  claims:
    data: {size: 10Gi}
"""

TASK = """\
name: prepare
task: preprocess
out: pvc://data/aliccp
raw: pvc://data/raw
schema: pvc://data/schema.yaml
cluster: {image: "registry.example/esmm:1", claims: {data: {size: 1Gi}}}
"""


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wait.LOOK_S", "logs.POLL_S", "submit.FOLLOW_S", "api.PAUSE_S"):
        monkeypatch.setattr(f"launcher.cluster.{name}", 0.02)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with FakeCluster() as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path)))
        monkeypatch.chdir(tmp_path)
        yield cluster


@pytest.fixture
def esmm(capsys: pytest.CaptureFixture[str]):
    def run(*args: str, status: int = 0) -> str:
        """Run a command line; return stdout, or of one that fails stderr."""
        capsys.readouterr()
        found = main(args)
        out, err = capsys.readouterr()
        assert found == status, out + err
        return out if status == 0 else " ".join(err.split())

    return run


@pytest.fixture
def job(tmp_path: Path) -> str:
    return write(tmp_path, JOB)


@pytest.fixture
def running(cluster: FakeCluster, esmm, job: str) -> FakeCluster:
    esmm("submit", job)
    wait_until(lambda: ranks(cluster) == 2)
    return cluster


def write(folder: Path, text: str) -> str:
    path = folder / "job.yaml"
    path.write_text(text)
    return str(path)


def published(cluster: FakeCluster, namespace: str = "default") -> Any:
    found = cluster.store.find("configmaps", namespace, "nightly-status") or {}
    return json.loads((found.get("data") or {}).get("status.json") or "{}")


def ranks(cluster: FakeCluster) -> Any:
    return published(cluster).get("ranks", -1)


def last_json(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


# --- submit ---


def test_submit_makes_all_objects_owned_by_the_configmap_but_the_claim(cluster, esmm, job) -> None:
    out = esmm("submit", job)
    assert "Job nightly is submitted to namespace default" in out
    uid = cluster.store.get("configmaps", "default", "nightly")["metadata"]["uid"]
    own = [each for each in cluster.everything() if not each.startswith("pods/") and "claims/" not in each]
    assert {"configmaps/nightly", "apps/statefulsets/nightly-server", "batch/jobs/nightly-driver"} <= set(own)
    for each in set(own) - {"configmaps/nightly"}:
        kind, _, name = each.rpartition("/")
        owners = cluster.store.get(kind, "default", name)["metadata"]["ownerReferences"]
        assert [owner["uid"] for owner in owners] == [uid], each
    assert "ownerReferences" not in cluster.store.get("persistentvolumeclaims", "default", "data")["metadata"]


def test_dry_run_prints_what_submit_makes_and_sends_nothing(cluster, esmm, job) -> None:
    printed = json.loads(esmm("submit", job, "--dry-run"))
    assert printed["kind"] == "List"
    assert cluster.calls == []
    esmm("submit", job)
    made = {each for each in cluster.everything() if not each.startswith("pods/")}
    assert {each["metadata"]["name"] for each in printed["items"]} == {each.rpartition("/")[2] for each in made}
    assert len(printed["items"]) == len(made)
    server = next(
        each
        for each in printed["items"]
        if each["metadata"]["name"] == "nightly-server" and each["kind"] == "StatefulSet"
    )
    assert cluster.store.get("apps/statefulsets", "default", "nightly-server")["spec"] == server["spec"]


def test_dry_run_needs_no_cluster(esmm, job, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert json.loads(esmm("submit", job, "--dry-run"))["items"][0]["metadata"]["namespace"] == "default"


def test_follow_shows_states_and_the_drivers_lines_until_the_job_is_done(cluster, esmm, job) -> None:
    cluster.script.steps = 100
    out = esmm("submit", job, "--follow", "--json")
    assert "ranks train from step" in out
    assert out.count("the run is done") == 1
    assert last_json(out)["status"]["state"] == "done"


def test_follow_of_a_run_that_fails_exits_with_1_and_says_why(cluster, esmm, job, capsys) -> None:
    cluster.script.fails = "loss is nan at step 7"
    assert main(["submit", job, "--follow"]) == 1
    assert "the run failed: loss is nan at step 7" in capsys.readouterr().out


def test_follow_says_what_holds_the_job_up(cluster, esmm, job) -> None:
    cluster.script.steps = 50
    cluster.script.unschedulable["worker"] = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."

    def relent() -> None:
        wait_until(lambda: any(each.resource == "events" for each in cluster.calls))
        wait_until(lambda: sum(each.resource == "events" for each in cluster.calls) > 4)
        cluster.script.unschedulable.clear()

    helper = threading.Thread(target=relent)
    helper.start()
    out = esmm("submit", job, "--follow")
    helper.join()
    assert (
        "worker-0, worker-1 cannot be placed on a node: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu" in out
    )


def test_submit_of_a_taken_name_names_resume_and_delete(running, esmm, job) -> None:
    text = esmm("submit", job, status=2)
    assert "There is a job 'nightly' in namespace default already. esmm resume nightly goes on with it" in text
    assert "esmm delete nightly removes it" in text


def test_submit_to_a_name_that_something_else_has(cluster, esmm, job) -> None:
    cluster.store.create("configmaps", "default", {"metadata": {"name": "nightly"}})
    assert "has a ConfigMap 'nightly' of something else" in esmm("submit", job, status=2)


def test_submit_with_a_mistake_says_the_line_before_it_asks_anyone(cluster, esmm, tmp_path) -> None:
    text = esmm("submit", write(tmp_path, JOB.replace("max: 4", "mx: 4")), status=2)
    assert "job.yaml:8" in text
    assert cluster.calls == []


def test_submit_into_a_namespace_that_is_not_there(cluster, esmm, job) -> None:
    text = esmm("submit", job, "--namespace", "team-b", status=2)
    assert "Namespace team-b does not exist in the cluster at" in text


def test_submit_names_a_claim_that_is_missing(cluster, esmm, tmp_path) -> None:
    text = esmm("submit", write(tmp_path, JOB[: JOB.index("  claims:")]), status=2)
    assert "pvc://data names PersistentVolumeClaim data, which does not exist in namespace default" in text
    assert cluster.everything() == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  pull_secrets: [hub]\n", "cluster.pull_secrets names Secret hub, which does not exist in namespace default"),
        ("  priority_class: high\n", "cluster.priority_class names PriorityClass high, which does not exist."),
        ("  backend: mpijob\n", "cluster has backend: mpijob, which needs Kubeflow's MPI operator"),
        (
            "  service_monitor: true\n  metrics_namespace: m\n",
            "cluster has service_monitor: true, which needs the Prometheus operator",
        ),
    ],
)
def test_submit_names_what_is_missing(cluster, esmm, tmp_path, line, expected) -> None:
    assert expected in esmm("submit", write(tmp_path, JOB + line), status=2)
    assert cluster.everything() == []


def test_what_a_user_may_not_see_is_left_to_the_cluster(cluster, esmm, job) -> None:
    cluster.denied += [("get", "namespaces"), ("get", "priorityclasses")]
    assert "is submitted" in esmm("submit", job)


def test_a_missing_right_is_found_before_anything_is_made(cluster, esmm, job) -> None:
    cluster.denied.append(("create", "roles"))
    text = esmm("submit", job, status=1)
    assert "No right to create roles of rbac.authorization.k8s.io in namespace default (user somebody)" in text
    assert "kubectl auth can-i create roles -n default" in text
    assert cluster.everything() == []


def test_quota_is_said_before_anything_is_made(cluster, esmm, job) -> None:
    cluster.quota["statefulsets"] = "team, requested: count/statefulsets.apps=1, used: 4, limited: 4"
    text = esmm("submit", job, status=1)
    assert "StatefulSet nightly-server in namespace default is over the quota: team, requested:" in text
    assert cluster.everything() == []


def test_a_field_that_is_refused_is_named(cluster, esmm, job) -> None:
    cluster.invalid["pods"] = ("spec.containers[0].resources", "must be an integer")
    text = esmm("submit", job, status=1)
    assert (
        "The cluster refuses Pod nightly-server-0 in namespace default: spec.containers[0].resources: must be" in text
    )
    assert cluster.everything() == []


def test_a_submit_that_fails_midway_removes_what_it_made(cluster, esmm, job, monkeypatch) -> None:
    create = cluster.store.create

    def refuse(resource, namespace, thing, *, keep=True):
        if resource == "batch/jobs" and keep:
            cluster.failures += [500]
            cluster.denied.append(("create", "jobs"))
        return create(resource, namespace, thing, keep=keep)

    real = cluster.answer

    def answer(method, target, body, token, content_type):
        if method == "POST" and target.endswith("/jobs"):
            cluster.denied.append(("create", "jobs"))
        return real(method, target, body, token, content_type)

    monkeypatch.setattr(cluster, "answer", answer)
    assert "No right to create jobs of batch" in esmm("submit", job, status=1)
    assert [each for each in cluster.everything() if not each.startswith("pods/")] == []


def test_a_claim_that_is_there_already_is_used(cluster, esmm, job) -> None:
    cluster.store.create("persistentvolumeclaims", "default", {"metadata": {"name": "data"}})
    assert "is submitted" in esmm("submit", job)


def test_a_preprocess_runs_in_one_pod_to_its_end(cluster, esmm, tmp_path) -> None:
    cluster.script.task_ends = True
    out = esmm("submit", write(tmp_path, TASK), "--follow", "--json")
    assert last_json(out)["status"]["state"] == "done"
    assert cluster.names("apps/statefulsets") == []


# --- the cluster itself ---


def test_without_a_kubeconfig_a_job_cannot_be_found(tmp_path, esmm, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    text = esmm("status", "nightly", "--namespace", "team", status=1)
    assert f"No cluster is known: KUBECONFIG is {tmp_path}/none, which does not exist" in text
    text = esmm("status", "nightly", status=2)
    assert "'nightly' is no run: there is no such folder, and no cluster is known" in text


def test_a_damaged_kubeconfig_is_named(tmp_path, esmm, monkeypatch) -> None:
    path = tmp_path / "config"
    path.write_text("clusters: [")
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert f"{path} cannot be used" in esmm("status", "nightly", status=1)


def test_an_unreachable_cluster_is_named(tmp_path, esmm, monkeypatch) -> None:
    gone = FakeCluster()
    monkeypatch.setenv("KUBECONFIG", str(gone.kubeconfig(tmp_path)))
    gone.close()
    text = esmm("status", "nightly", status=1)
    assert f"The cluster at {gone.address} gives no answer (Connection refused)" in text


def test_credentials_that_have_expired_are_named(cluster, tmp_path, esmm) -> None:
    cluster.token = "another"
    text = esmm("status", "nightly", status=1)
    assert "does not accept the credentials of context 'fake' of" in text
    assert "they have expired" in text


def test_an_answer_that_fails_for_once_is_asked_again(running, esmm) -> None:
    running.failures += [503, 500]
    assert "Job nightly in namespace default: running" in esmm("status", "nightly")


def test_an_answer_that_goes_on_to_fail_is_an_error(running, esmm) -> None:
    running.failures += [500, 500, 500]
    text = esmm("status", "nightly", status=1)
    assert "refuses to get ConfigMap nightly in namespace default with 500 (etcdserver: leader changed)" in text


# --- status and its troubles ---


def test_status_shows_the_run_and_its_pods(running, esmm) -> None:
    out = esmm("status", "nightly")
    assert "Job nightly in namespace default: running" in out
    assert "pods: server 2 of 2 ready, worker 2 of 2 ready, driver 1 of 1 ready" in out
    assert "nightly-worker-1" in out
    found = last_json(esmm("status", "nightly", "--json"))
    assert (found["state"], found["run"]["ranks"], found["troubles"]) == ("running", 2, [])


@pytest.mark.parametrize("verb", ["status", "logs", "cancel", "resume", "delete"])
def test_a_job_that_is_not_there(cluster, esmm, verb) -> None:
    assert "There is no job 'nothing' in namespace default" in esmm(verb, "nothing", status=2)


def test_scaling_a_job_that_is_not_there(cluster, esmm) -> None:
    assert "There is no job 'nothing' in namespace default" in esmm("scale", "nothing", "--workers", "2", status=2)


def test_a_name_that_no_job_can_have(cluster, esmm) -> None:
    assert "'Not_One' can be no job" in esmm("status", "Not_One", status=2)


def _unschedulable(script) -> None:
    script.unschedulable["server"] = "0/1 nodes are available: 1 Insufficient memory."


def _no_image(script) -> None:
    script.image_error["worker"] = ("ImagePullBackOff", 'Failed to pull image "registry.example/esmm:1": not found')


def _crash(script) -> None:
    script.crash["driver"] = (78, "Error")


def _no_memory(script) -> None:
    script.crash["server"] = (137, "OOMKilled")


def _no_pods(script) -> None:
    script.pod_quota["worker"] = (
        'create Pod nightly-worker-0 failed error: pods "nightly-worker-0" is forbidden: exceeded quota: team, '
        "requested: requests.memory=4Gi, used: 60Gi, limited: 62Gi"
    )


def _pods_refused(script) -> None:
    script.pod_quota["server"] = "create Pod nightly-server-0 failed error: violates PodSecurity"


def _no_mount(script) -> None:
    script.mount_error["server"] = 'MountVolume.SetUp failed for volume "s": secret "nightly" not found'


@pytest.mark.parametrize(
    ("set_up", "expected"),
    [
        (
            _unschedulable,
            "server-0, server-1 cannot be placed on a node: 0/1 nodes are available: 1 Insufficient memory",
        ),
        (
            _no_image,
            "worker-0, worker-1 cannot pull image registry.example/esmm:1 (ImagePullBackOff: Failed to pull image "
            '"registry.example/esmm:1": not found). Check cluster.image',
        ),
        (_crash, "driver crashes: exit code 78, started 5 times"),
        (_no_memory, "server-0, server-1 crashes: killed because it held more memory than its limit (OOMKilled)"),
        (_no_pods, "worker pods are over the namespace's quota: team, requested: requests.memory=4Gi, used: 60Gi"),
        (_pods_refused, "server pods cannot be made: create Pod nightly-server-0 failed error: violates PodSecurity"),
        (_no_mount, "server-0, server-1 waits for a volume: MountVolume.SetUp failed"),
    ],
)
def test_status_says_why_a_job_does_not_go_on(cluster, esmm, job, set_up, expected) -> None:
    set_up(cluster.script)
    esmm("submit", job)
    out = ""

    def told() -> bool:
        nonlocal out
        out = " ".join(esmm("status", "nightly").split())
        return f"trouble: {expected}" in out

    try:
        wait_until(told, 3)
    except AssertionError:
        pytest.fail(out)


def test_a_user_who_may_not_read_events_is_told_so(running, esmm) -> None:
    running.denied.append(("list", "events"))
    assert "why pods wait may be unknown here: No right to list events" in esmm("status", "nightly")


# --- scale ---


def test_scale_changes_the_workers_and_waits_until_they_train(running, esmm) -> None:
    found = last_json(esmm("scale", "nightly", "--workers", "4", "--json"))
    assert (found["workers"], found["before"]) == (4, 2)
    assert ranks(running) == 4
    assert "patch" in {each.verb for each in running.calls if each.resource == "statefulsets/scale"}


def test_scale_waits_in_vain_and_says_why(running, esmm) -> None:
    running.script.image_error["worker"] = ("ErrImagePull", "no such host")
    text = esmm("scale", "nightly", "--workers", "3", "--wait-s", "0.3", status=1)
    assert "after 0.3 s it is not so yet that 3 workers train" in text
    assert "cannot pull image" in text


@pytest.mark.parametrize("count", ["5"])
def test_scale_out_of_bounds(running, esmm, count) -> None:
    text = esmm("scale", "nightly", "--workers", count, status=2)
    assert "workers is 5, and job nightly was submitted with cluster.workers min 1, max 4" in text


def test_scale_wants_either_workers_or_servers(cluster, esmm) -> None:
    assert "Set either workers or servers" in esmm("scale", "nightly", status=2)


def test_scale_without_the_right(running, esmm) -> None:
    running.denied.append(("patch", "statefulsets/scale"))
    text = esmm("scale", "nightly", "--workers", "3", status=1)
    assert "No right to patch statefulsets/scale of apps in namespace default (user somebody)" in text


def test_scale_of_servers_saves_changes_and_goes_on(running, esmm) -> None:
    esmm("scale", "nightly", "--workers", "3")
    found = last_json(esmm("scale", "nightly", "--servers", "3", "--json"))
    assert (found["servers"], found["before"]) == (3, 2)
    server = running.store.get("apps/statefulsets", "default", "nightly-server")
    assert server["spec"]["replicas"] == 3
    assert "nightly-server-2.nightly-server" in json.dumps(
        running.store.get("apps/statefulsets", "default", "nightly-worker")["spec"]["template"]
    )
    assert "nightly-server-2.nightly-server" in json.dumps(running.store.get("batch/jobs", "default", "nightly-driver"))
    assert "count: 3" in running.store.get("configmaps", "default", "nightly")["data"]["job.yaml"]
    wait_until(lambda: ranks(running) == 3)  # workers are as many as before


def test_scale_to_as_many_servers_as_there_are(running, esmm) -> None:
    assert "Job nightly has 2 servers already" in esmm("scale", "nightly", "--servers", "2", status=2)


# --- cancel, resume, delete ---


def test_cancel_saves_and_resume_goes_on(running, esmm) -> None:
    esmm("scale", "nightly", "--workers", "3")
    out = esmm("cancel", "nightly")
    assert "Job nightly is stopped" in out
    assert "with a checkpoint of step" in out
    assert [each for each in running.names("pods") if "driver" not in each] == []  # that has ended, and keeps its log
    step = published(running)["step"]
    assert "esmm-dist/wish" in running.store.get("configmaps", "default", "nightly")["metadata"]["annotations"]
    assert "Job nightly goes on" in esmm("resume", "nightly")
    wait_until(lambda: ranks(running) == 3)
    assert "esmm-dist/wish" not in running.store.get("configmaps", "default", "nightly")["metadata"]["annotations"]
    assert step > 0


def test_cancel_at_once_takes_the_pods_away(running, esmm) -> None:
    running.script.deaf = True
    found = last_json(esmm("cancel", "nightly", "--now", "--json"))
    assert found["state"] == "stopped"
    assert running.names("pods") == []
    assert "nightly in namespace default: stopped" in esmm("status", "nightly")
    esmm("resume", "nightly")
    wait_until(lambda: ranks(running) == 2)


def test_cancel_while_no_driver_runs_says_why_and_names_now(cluster, esmm, job) -> None:
    cluster.script.unschedulable["driver"] = "0/1 nodes are available: 1 Insufficient cpu."
    esmm("submit", job)
    wait_until(lambda: any("driver" in each for each in cluster.names("pods")))
    text = esmm("cancel", "nightly", status=2)
    assert "No driver of job nightly runs that could have its workers save (driver cannot be placed on a node: " in text
    assert "esmm cancel nightly --now" in text


def test_cancel_that_nobody_obeys_ends_after_its_time(running, esmm) -> None:
    running.script.deaf = True
    text = esmm("cancel", "nightly", "--wait-s", "0.3", status=1)
    assert "after 0.3 s it is not so yet that it has saved and stopped" in text


def test_cancel_of_a_job_that_has_ended(running, esmm) -> None:
    esmm("cancel", "nightly")
    assert "Job nightly has ended (stopped); there is nothing to cancel" in esmm("cancel", "nightly", status=2)
    assert "has ended (stopped); there is nothing to scale" in esmm("scale", "nightly", "--workers", "3", status=2)


def test_resume_of_a_job_that_runs(running, esmm) -> None:
    assert "Job nightly has not ended (it is running), so there is nothing to resume" in esmm(
        "resume", "nightly", status=2
    )


def test_resume_of_a_job_that_is_done(cluster, esmm, job) -> None:
    cluster.script.steps = 20
    esmm("submit", job, "--follow")
    assert "Job nightly is done, so there is nothing to resume" in esmm("resume", "nightly", status=2)


def test_resume_of_a_job_that_failed_starts_it_anew(cluster, esmm, job, capsys) -> None:
    cluster.script.fails = "the loss is nan"
    assert main(["submit", job, "--follow"]) == 1
    assert "Job nightly has failed again: the loss is nan" in esmm("resume", "nightly", status=2)
    cluster.script.fails = ""
    assert "goes on" in esmm("resume", "nightly")


def test_a_task_of_one_pod_is_cancelled_and_resumed(cluster, esmm, tmp_path) -> None:
    esmm("submit", write(tmp_path, TASK))
    wait_until(lambda: "running" in esmm("status", "prepare"))
    assert "Job prepare is stopped" in esmm("cancel", "prepare")
    assert cluster.names("batch/jobs") == []
    assert "Job prepare goes on" in esmm("resume", "prepare")
    assert "which runs in one pod; there is nothing to scale" in esmm("scale", "prepare", "--workers", "2", status=2)


def test_delete_leaves_the_claim_alone(running, esmm) -> None:
    found = last_json(esmm("delete", "nightly", "--json"))
    assert found["kept_claims"] == ["data"]
    assert running.everything() == ["persistentvolumeclaims/data"]
    text = esmm("delete", "nightly", status=2)
    assert "There is no job 'nightly'" in text
    assert "It left claims: data; --no-keep-data deletes them" in text
    esmm("delete", "nightly", "--no-keep-data")
    assert running.everything() == []


def test_delete_works_where_owners_are_not_known(cluster, esmm, job) -> None:
    for each in json.loads(esmm("submit", job, "--dry-run"))["items"]:
        version = each["apiVersion"]
        from launcher.cluster.api import resource_of

        plural = resource_of(each).plural
        key = plural if version == "v1" else f"{version.split('/')[0].split('.')[0]}/{plural}"
        cluster.store.create(key, "default", each)
    wait_until(lambda: ranks(cluster) == 2)
    esmm("delete", "nightly", "--no-keep-data")
    wait_until(lambda: [each for each in cluster.everything() if not each.startswith("pods/")] == [])


def test_delete_says_which_pods_do_not_end(running, esmm) -> None:
    pod = running.store.get("pods", "default", "nightly-worker-0")
    pod["metadata"]["ownerReferences"] = []
    text = esmm("delete", "nightly", "--wait-s", "0.2", status=1)
    assert "Job nightly is deleted, but nightly-worker-0 in namespace default have not ended within 0.2 s" in text


# --- backend: mpijob ---


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


# --- logs ---


def test_logs_of_driver_worker_rank_and_server(running, esmm) -> None:
    assert "ranks train from step" in esmm("logs", "nightly")
    assert esmm("logs", "nightly", "--rank", "1").strip() == "nightly-worker-1 begins"
    assert esmm("logs", "nightly", "--worker", "0").strip() == "nightly-worker-0 begins"
    assert esmm("logs", "nightly", "--server", "1").strip() == "nightly-server-1 begins"
    assert esmm("logs", "nightly", "--driver", "--tail", "1").count("\n") == 1


def test_logs_of_who_is_not_there(running, esmm) -> None:
    assert "Job nightly (running) has no rank 7 now. It has 0, 1" in esmm("logs", "nightly", "--rank", "7", status=2)
    text = esmm("logs", "nightly", "--server", "9", status=2)
    assert "has no pod of server-9 now" in text
    assert "Pods: driver-" in text


@pytest.mark.parametrize("zone", ["Z", "+08:00", None])
def test_logs_that_follow_show_each_line_once_until_the_end(running, esmm, zone) -> None:
    running.zone = zone
    pod = next(each for each in running.names("pods") if "driver" in each)

    def go_on() -> None:
        for i in range(5):
            before = len([each for each in running.calls if each.resource == "pods/log"])
            running.write("default", pod, f"line {i}")
            wait_until(lambda: len([each for each in running.calls if each.resource == "pods/log"]) > before + 1)  # noqa: B023
        running.script.steps = 1

    helper = threading.Thread(target=go_on)
    helper.start()
    out = esmm("logs", "nightly", "-f")
    helper.join()
    assert [each for each in out.splitlines() if each.startswith("line")] == [f"line {i}" for i in range(5)]
    assert out.splitlines()[-1] == "the run is done"


# --- jobs ---


def test_jobs_lists_cluster_jobs_and_local_runs(running, esmm, tmp_path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    text = json.dumps(published(running) | {"state": "stopped"})
    (tmp_path / "runs" / "a" / "status.json").write_text(text)
    rows = last_json(esmm("jobs", "--json"))["jobs"]
    assert [(each["job"], each["where"], each["state"]) for each in rows] == [
        ("nightly", "default", "running"),
        ("./runs/a", "local", "stopped"),
    ]
    assert "nightly" in esmm("jobs", "--all-namespaces")


def test_jobs_without_a_cluster_lists_local_runs(tmp_path, esmm, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    assert "There are no jobs" in esmm("jobs")


# --- everywhere ---


def test_a_job_in_another_namespace(cluster, esmm, job) -> None:
    cluster.store.create("namespaces", "", {"metadata": {"name": "team"}})
    assert "esmm status nightly --namespace team" in esmm("submit", job, "--namespace", "team")
    wait_until(lambda: published(cluster, "team").get("ranks") == 2)
    assert "Job nightly in namespace team: running" in esmm("status", "nightly", "--namespace", "team")
    esmm("delete", "nightly", "--namespace", "team", "--no-keep-data")
    assert cluster.everything("team") == []


def test_the_installed_command_does_the_same(running, tmp_path) -> None:
    command = [sys.executable, "-m", "launcher", "status", "nightly", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert last_json(done.stdout)["run"]["ranks"] == 2


def test_help_does_not_import_the_client() -> None:
    code = "import sys, launcher.cli; launcher.cli.main(['--help']); sys.exit('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0


def test_the_verbs_need_the_rights_that_the_readme_lists_and_no_others(running, esmm, tmp_path) -> None:
    esmm("status", "nightly")
    esmm("logs", "nightly")
    esmm("scale", "nightly", "--workers", "1")
    esmm("scale", "nightly", "--servers", "1")
    esmm("cancel", "nightly")
    esmm("resume", "nightly")
    esmm("jobs")
    esmm("delete", "nightly", "--no-keep-data")
    found: dict[str, set[str]] = {}
    for each in running.calls:
        found.setdefault(each.resource, set()).add(each.verb)
    text = README.read_text(encoding="utf-8").partition("## Rights")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    listed = {
        resource.strip(" `"): {verb.strip() for verb in row[2].split(",")}
        for row in rows
        for resource in row[1].split(",")
    }
    assert len(listed) > 10
    assert found == {resource: verbs for resource, verbs in listed.items() if resource not in OPTIONAL}
