"""``esmm status``, and what every verb says of a cluster that does not answer as it should."""

import pytest

from tests.fake_kubernetes.flows import last_json
from tests.fake_kubernetes.server import FakeCluster, wait_until


def test_without_a_kubeconfig_a_job_cannot_be_found(tmp_path, esmm, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    text = esmm("status", "nightly", "--namespace", "team", status=1)
    assert f"No cluster is known: KUBECONFIG is {tmp_path}/none, which does not exist" in text
    text = esmm("status", "nightly", status=2)
    assert "'nightly' is not a run: there is no such folder, and no cluster is known" in text


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
    assert "'Not_One' is not a job name" in esmm("status", "Not_One", status=2)


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
