"""``esmm cancel`` of a job of a cluster."""

import json
import time

import pytest

from esmm_dist.errors import ConfigError, RetryError
from launcher.cluster import names
from launcher.cluster.cancel import cancel
from launcher.cluster.snapshot import read_snapshot
from tests.unit.launcher.cluster.played_api import PlayedJob
from tests.unit.launcher.run_files.statuses import make_status
from tests.unit.launcher.waits import Steps, waiting


@pytest.fixture
def job() -> PlayedJob:
    made = PlayedJob()
    made.publish(make_status())
    return made


@pytest.mark.parametrize(("first", "last"), [("worker", "server"), ("server", "worker")])
def test_the_driver_is_asked_and_the_pods_are_waited_for(job, first, last):
    steps = Steps(
        lambda: job.publish(make_status("stopped", checkpoint_step=40, checkpoint_at=time.time(), step=40)),
        lambda: job.remove_pods(first),
        lambda: job.remove_pods(last),
    )
    outcome = cancel(job.api, job.name, steps.wait(), now=False)
    assert steps.all_done
    assert json.loads(job.annotations[names.REQUEST])["do"] == "stop"
    assert job.api.changes == [("patch", "ConfigMap", "nightly")]
    assert {**outcome.result, "seconds": 0} == {"job": "nightly", "state": "stopped", "seconds": 0, "step": 40}
    assert outcome.lines[0].startswith("Job nightly is stopped, after ")
    assert outcome.lines[0].endswith(", with a checkpoint of step 40. esmm resume nightly goes on.")


def test_each_request_to_stop_is_another(job):
    found = set()
    for _ in range(2):
        cancel(job.api, job.name, waiting(timeout_s=0.0), now=False)
        found.add(job.annotations[names.REQUEST])
    assert len(found) == 2


def test_a_job_that_finishes_meanwhile_is_done_and_not_resumed(job):
    def finish() -> None:
        job.publish(make_status("done"))
        job.remove_pods("driver", "server", "worker")

    outcome = cancel(job.api, job.name, waiting(finish), now=False)
    assert outcome.result["state"] == "done"
    assert "resume" not in outcome.lines[0]


def test_pods_of_an_mpijob_that_have_ended_stay_and_are_not_waited_for():
    job = PlayedJob(backend="mpijob")
    job.publish(make_status())

    def end() -> None:
        job.publish(make_status("stopped"))
        job.remove_pods("server", "worker")
        job.add_pod("worker", phase="Succeeded")
        job.add_pod("worker", 1, phase="Failed")

    assert cancel(job.api, job.name, waiting(end), now=False).result["state"] == "stopped"


def test_a_job_that_saves_for_longer_than_the_wait_is_told(job):
    with pytest.raises(RetryError, match="waiting until it has saved and stopped .*look at esmm status nightly"):
        cancel(job.api, job.name, waiting(timeout_s=0.01), now=False)


@pytest.mark.parametrize(
    ("phase", "why"), [("Pending", "its pod has not started yet"), (None, "its pod has not started yet")]
)
def test_a_driver_that_does_not_run_cannot_save(job, phase, why):
    job.remove_pods("driver")
    if phase is not None:
        job.add_pod("driver", phase=phase)
    with pytest.raises(ConfigError, match=rf"no running driver that could have its workers save \({why}\)"):
        cancel(job.api, job.name, waiting(), now=False)
    assert job.api.changes == []


def test_now_ends_the_driver_first_and_says_in_its_place_that_the_job_is_stopped(job):
    cancel(job.api, job.name, waiting(timeout_s=0.0), now=True)
    assert job.api.changes[0] == ("delete", "Job", "nightly-driver")
    assert {change for change in job.api.changes if change[0] == "scale"} == {
        ("scale", "StatefulSet", "nightly-server"),
        ("scale", "StatefulSet", "nightly-worker"),
    }
    assert (job.replicas("server"), job.replicas("worker")) == (0, 0)
    snapshot = read_snapshot(job.api, job.name)
    assert snapshot.state == "stopped"
    assert snapshot.status is not None
    assert (snapshot.status.ranks, snapshot.status.workers, snapshot.status.wanted_workers) == (0, (), 2)


def test_now_before_the_driver_has_published_needs_nobody_to_say_so():
    job = PlayedJob()
    cancel(job.api, job.name, waiting(timeout_s=0.0), now=True)
    assert read_snapshot(job.api, job.name).state == "stopped"


def test_a_task_of_one_pod_ends_at_once_and_its_pod_is_waited_for():
    job = PlayedJob("preprocess")
    outcome = cancel(job.api, job.name, waiting(lambda: job.remove_pods("task")), now=False)
    assert job.api.changes == [("delete", "Job", "nightly-task")]
    assert outcome.result["state"] == "stopped"
