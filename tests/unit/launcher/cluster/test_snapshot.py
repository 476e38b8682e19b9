"""A job as the cluster has it at one moment, and its state."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.job_file import job_yaml, read_job, read_submitted_job
from launcher.cluster.snapshot import find_config, read_snapshot, state_of
from launcher.cluster.status import job_status, ready_pods, state_line, troubles_of
from tests.unit.launcher.cluster.jobs import make_job
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.run_files.statuses import make_status

FAILED = {"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
COMPLETE = {"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
STARTED = {"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "False"}]}}
RUNNING_POD, WAITING_POD = {"status": {"phase": "Running"}}, {"status": {}}


@pytest.mark.parametrize(
    ("status", "driver", "expected"),
    [
        (None, None, "stopped"),  # its driver was taken away before it published
        (None, STARTED, "pending"),
        (None, FAILED, "failed"),
        (make_status("running"), STARTED, "running"),
        (make_status("running"), FAILED, "failed"),
        (make_status("running"), None, "stopped"),
        (make_status("done"), None, "done"),
        (make_status("done"), FAILED, "done"),  # the driver published, and its pod was killed before it ended
        (make_status("failed"), STARTED, "failed"),
    ],
)
def test_the_state_of_a_training(status, driver, expected):
    assert state_of(make_job(), status, driver, []) == expected


@pytest.mark.parametrize(
    ("driver", "pods", "expected"),
    [
        (None, [], "stopped"),
        (STARTED, [], "pending"),
        (STARTED, [WAITING_POD], "pending"),
        (STARTED, [WAITING_POD, RUNNING_POD], "running"),
        (COMPLETE, [], "done"),
        (FAILED, [RUNNING_POD], "failed"),
    ],
)
def test_the_state_of_a_task_of_one_pod(driver, pods, expected):
    assert state_of(make_job("preprocess"), None, driver, pods) == expected


@pytest.fixture
def job() -> PlayedJob:
    made = PlayedJob()
    made.publish(make_status())
    return made


def test_a_snapshot_has_what_belongs_to_the_job_and_nothing_else(job):
    other = {"metadata": {"name": "other-worker-0", "labels": {names.INSTANCE: "other", names.NAME: names.APP}}}
    job.api.store.create("pods", NAMESPACE, other)
    snapshot = read_snapshot(job.api, job.name)
    assert (snapshot.job, snapshot.namespace, snapshot.uid) == ("nightly", NAMESPACE, job.uid)
    assert sorted(snapshot.sets) == ["nightly-server", "nightly-worker"]
    assert [pod["metadata"]["name"] for pod in snapshot.pods_of("worker")] == ["nightly-worker-0", "nightly-worker-1"]
    assert len(snapshot.pods) == 5
    assert snapshot.driver is not None
    assert snapshot.driver["kind"] == "Job"


def test_a_driver_that_is_being_deleted_is_none(job):
    job.api.store.patch(
        "batch/jobs", NAMESPACE, "nightly-driver", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    )
    assert read_snapshot(job.api, job.name).driver is None


def test_a_job_that_is_not_there_says_where_to_look(job):
    with pytest.raises(ConfigError, match="There is no job 'weekly' in namespace ml.* esmm jobs --all-namespaces"):
        read_snapshot(job.api, "weekly")


@pytest.mark.parametrize("name", ["Nightly", "a/b", "x" * 41, "1a", "nightly-status", ""])
def test_a_name_that_no_job_can_have_is_refused_before_the_cluster_is_asked(job, name):
    with pytest.raises(ConfigError, match=rf"'{name}' is not a job name: use at most 40 lower case letters"):
        find_config(job.api, name)


def test_a_configmap_of_something_else_is_no_job(job):
    job.api.store.create("configmaps", NAMESPACE, {"metadata": {"name": "kube-root"}})
    assert find_config(job.api, "kube-root") is None


def test_who_may_not_read_events_is_told_what_is_unknown_and_of_an_ended_job_nothing(job):
    job.api.refusals["list", "Event"] = 403
    assert troubles_of(read_snapshot(job.api, job.name)) == [
        "why pods wait may be unknown here: No right to list events"
    ]
    job.publish(make_status("done"))
    assert troubles_of(read_snapshot(job.api, job.name)) == []


def test_events_that_cannot_be_read_for_another_reason_are_an_error(job):
    job.api.refusals["list", "Event"] = 500
    with pytest.raises(ClusterError):
        read_snapshot(job.api, job.name)


def test_ready_pods_are_counted_of_those_that_should_be(job):
    job.remove_pods("worker")
    job.add_pod("worker", phase="Pending")
    job.api.store.scale("apps/statefulsets", NAMESPACE, "nightly-worker", 3)
    snapshot = read_snapshot(job.api, job.name)
    assert ready_pods(snapshot) == {
        "server": "2 of 2 ready",
        "worker": "0 of 3 ready",
        "driver": "1 of 1 ready",
    }
    assert state_line(snapshot) == ("running, server 2 of 2 ready, worker 0 of 3 ready, driver 1 of 1 ready, 2 ranks")


def test_workers_of_an_mpijob_that_are_missing_are_counted_by_the_mpijob():
    job = PlayedJob(backend="mpijob")
    job.remove_pods("worker")
    assert ready_pods(read_snapshot(job.api, job.name))["worker"] == "0 of 2 ready"


def test_of_a_job_that_has_ended_only_why_is_told(job):
    job.publish(make_status("failed", error="the loss is nan", ranks=0))
    job.remove_pods("worker", "driver")
    job.add_pod("worker", phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "message": "full"}])
    status = job_status(read_snapshot(job.api, job.name))
    assert (status.state, list(status.troubles), status.pods) == ("failed", ["the run failed: the loss is nan"], {})
    assert state_line(read_snapshot(job.api, job.name)) == "failed"


@pytest.mark.parametrize(("ago_s", "stale"), [(44.0, False), (46.0, True)])
def test_a_driver_that_has_published_nothing_for_45_s_is_stale(job, ago_s, stale):
    job.publish(make_status(written_ago_s=ago_s))
    assert job_status(read_snapshot(job.api, job.name)).stale == stale
    job.publish(make_status("stopped", written_ago_s=ago_s))
    assert not job_status(read_snapshot(job.api, job.name)).stale


def test_a_job_file_that_stays_the_same_is_checked_once_and_one_that_changes_again(monkeypatch):
    job, checked = PlayedJob(), []

    def read(text, *, where):
        checked.append(where)
        return read_job(text, where=where)

    monkeypatch.setattr("launcher.cluster.job_file.read_job", read)
    read_submitted_job.cache_clear()
    assert [read_snapshot(job.api, job.name).file.cluster.servers.count for _ in range(3)] == [2, 2, 2]
    assert checked == [f"ConfigMap {job.name}"]
    changed = job_yaml(job.file.with_servers(3))
    job.api.store.patch("configmaps", "ml", job.name, {"data": {names.JOB_KEY: changed}})
    assert read_snapshot(job.api, job.name).file.cluster.servers.count == 3
    assert len(checked) == 2
