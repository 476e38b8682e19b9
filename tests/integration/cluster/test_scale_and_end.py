"""``esmm scale``, ``cancel``, ``resume`` and ``delete``."""

import json

import pytest
import yaml

from launcher.cli import main
from tests.fake_kubernetes.flows import TASK, last_json, published, ranks, write
from tests.fake_kubernetes.server import wait_until


def test_scale_changes_the_workers_and_waits_until_they_train(running, esmm) -> None:
    found = last_json(esmm("scale", "nightly", "--workers", "4", "--json"))
    assert (found["workers"], found["before"]) == (4, 2)
    assert ranks(running) == 4
    assert "patch" in {each.verb for each in running.calls if each.resource == "statefulsets/scale"}


def test_scale_waits_in_vain_and_says_why(running, esmm) -> None:
    running.script.image_error["worker"] = ("ErrImagePull", "no such host")
    text = esmm("scale", "nightly", "--workers", "3", "--wait-s", "0.3", status=1)
    assert "Timed out after 0.3 s waiting until 3 workers train" in text
    assert "cannot pull image" in text


@pytest.mark.parametrize("count", ["5"])
def test_scale_out_of_bounds(running, esmm, count) -> None:
    text = esmm("scale", "nightly", "--workers", count, status=2)
    assert "workers is 5, but job nightly was submitted with cluster.workers min 1, max 4" in text


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


def test_cancel_saves_and_resume_goes_on(running, esmm) -> None:
    esmm("scale", "nightly", "--workers", "3")
    out = esmm("cancel", "nightly")
    assert "Job nightly is stopped" in out
    assert "with a checkpoint of step" in out
    assert [each for each in running.names("pods") if "driver" not in each] == []  # that has ended, and keeps its log
    step = published(running)["step"]
    assert "esmm-dist/wish" in running.store.get("configmaps", "default", "nightly")["metadata"]["annotations"]
    assert "Job nightly goes on at step " in esmm("resume", "nightly")
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
    assert "has no running driver that could have its workers save (driver cannot be placed on a node: " in text
    assert "esmm cancel nightly --now" in text


def test_cancel_that_nobody_obeys_ends_after_its_time(running, esmm) -> None:
    running.script.deaf = True
    text = esmm("cancel", "nightly", "--wait-s", "0.3", status=1)
    assert "Timed out after 0.3 s waiting until it has saved and stopped" in text


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
    for each in yaml.safe_load_all(esmm("submit", job, "--dry-run")):
        version = each["apiVersion"]
        from launcher.cluster.api.kinds import resource_of

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
    assert "waiting until all pods have ended (left in namespace default: nightly-worker-0)" in text
