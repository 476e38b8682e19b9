"""``esmm submit``: what is made, and what is refused before anything is."""

import json
import threading

import pytest
import yaml

from launcher.cli import main
from tests.fake_kubernetes.flows import JOB, TASK, last_json, write
from tests.fake_kubernetes.server import wait_until


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
    printed = list(yaml.safe_load_all(esmm("submit", job, "--dry-run")))
    assert cluster.calls == []
    esmm("submit", job)
    made = {each for each in cluster.everything() if not each.startswith("pods/")}
    assert {each["metadata"]["name"] for each in printed} == {each.rpartition("/")[2] for each in made}
    assert len(printed) == len(made)
    server = next(
        each for each in printed if each["metadata"]["name"] == "nightly-server" and each["kind"] == "StatefulSet"
    )
    assert cluster.store.get("apps/statefulsets", "default", "nightly-server")["spec"] == server["spec"]


def test_a_proxy_in_the_pods_environment_is_warned_of(cluster, esmm, tmp_path, capsys) -> None:
    text = JOB.replace("cluster:\n", "cluster:\n  env: {HTTP_PROXY: 'http://proxy:3128', no_proxy: 's3.internal'}\n")
    assert main(["submit", write(tmp_path, text), "--dry-run"]) == 0
    assert "Warning: cluster.env sets HTTP_PROXY. Calls between the job's pods" in capsys.readouterr().err


def test_dry_run_needs_no_cluster(esmm, job, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert (
        json.loads(esmm("submit", job, "--dry-run", "--json").splitlines()[-1])["items"][0]["metadata"]["namespace"]
        == "default"
    )


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
