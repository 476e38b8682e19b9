"""``esmm resume`` of a job of a cluster."""

from typing import Any

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.progress import NoProgress
from launcher.cluster import names
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.resume import resume, workers_to_start
from launcher.cluster.snapshot import read_snapshot
from launcher.run_files.run_status import WorkerStatus
from launcher.terminal.wait import Wait
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.run_files.statuses import make_status
from tests.unit.launcher.waits import Steps, waiting


def stopped(**cluster: Any) -> PlayedJob:
    job = PlayedJob(**cluster)
    job.publish(make_status("stopped", ranks=0, wanted_workers=3))
    job.remove_pods("driver", "server", "worker")
    for name in ("nightly-server", "nightly-worker"):
        if job.api.store.find("apps/statefulsets", NAMESPACE, name) is not None:
            job.api.store.scale("apps/statefulsets", NAMESPACE, name, 0)
    return job


def test_the_driver_is_made_anew_and_the_sets_get_their_pods_back():
    job = stopped()
    outcome = resume(job.api, job.name, waiting(lambda: job.publish(make_status(ranks=3))))
    assert (job.replicas("server"), job.replicas("worker")) == (2, 3)
    assert job.api.changes[0] == ("delete", "Job", "nightly-driver")
    assert job.api.changes[-1] == ("create", "Job", "nightly-driver")
    made = job.api.store.get("batch/jobs", NAMESPACE, "nightly-driver")
    assert [owner["uid"] for owner in made["metadata"]["ownerReferences"]] == [job.uid]
    assert {**outcome.result, "seconds": 0} == {
        **{"job": "nightly", "state": "running", "step": 7, "workers": 3, "seconds": 0}
    }
    assert outcome.lines[0].startswith("Job nightly goes on at step 7, with 3 of 3 workers, after ")


def test_what_the_last_driver_published_and_was_asked_does_not_end_the_next():
    job = stopped()
    stop = {"metadata": {"annotations": {names.REQUEST: '{"do": "stop"}'}}}
    job.api.store.patch("configmaps", NAMESPACE, "nightly", stop)
    resume(job.api, job.name, waiting(timeout_s=0.0))
    assert names.REQUEST not in job.annotations
    assert read_snapshot(job.api, job.name).status is None


def test_an_mpijob_is_made_anew_with_as_many_workers():
    job = stopped(backend="mpijob")
    resume(job.api, job.name, waiting(timeout_s=0.0))
    made = job.api.store.get("kubeflow/mpijobs", NAMESPACE, "nightly")
    assert made["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"] == 3
    assert job.replicas("server") == 2


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(3, 3), (1, 1), (4, 4), (0, 2), (5, 2)],  # of 1 to 4, which began with 2
)
def test_as_many_workers_start_as_were_wanted_last(wanted, expected):
    job = PlayedJob()
    job.publish(make_status("stopped", wanted_workers=wanted))
    assert workers_to_start(read_snapshot(job.api, job.name)) == expected


def test_a_job_that_never_published_starts_with_its_first_workers():
    job = PlayedJob()
    assert workers_to_start(read_snapshot(job.api, job.name)) == 2


def test_the_old_driver_is_waited_for_even_by_who_does_not_wait():
    job = stopped()
    job.add_pod("driver", name="nightly-driver-old")

    def let_it_end() -> None:
        assert all(verb != "create" for verb, _, _ in job.api.changes)
        job.remove_pods("driver")

    assert resume(job.api, job.name, waiting(let_it_end, timeout_s=0.0)).result["state"] == "pending"


def test_an_old_driver_that_does_not_go_is_named_with_where_to_look():
    job = stopped()
    job.add_pod("driver", name="nightly-driver-old")
    now = iter(range(0, 10_000, 50))
    wait = Wait(timeout_s=5.0, progress=NoProgress(), sleep=lambda seconds: None, clock=lambda: float(next(now)))
    with pytest.raises(RetryError) as failure:
        resume(job.api, job.name, wait)
    assert f"120 s waiting until the old Job nightly-driver in namespace {NAMESPACE} is gone" in str(failure.value)
    assert "kubectl describe jobs nightly-driver -n ml says what holds it" in str(failure.value)


@pytest.mark.parametrize(
    "not_yet",
    [
        make_status("starting", ranks=0),
        make_status(ranks=0),
        make_status(workers=(WorkerStatus(name="worker-0", state="running", rank=0),)),  # its step is not known
        make_status(workers=(WorkerStatus(name="worker-1", state="running", rank=1, step=3),)),
    ],
)
def test_a_job_goes_on_once_enough_workers_train_and_rank_0_has_told_its_step(not_yet):
    job = stopped()
    steps = Steps(lambda: job.publish(not_yet), lambda: job.publish(make_status()))
    resume(job.api, job.name, steps.wait())
    assert steps.all_done


def test_a_job_that_fails_again_is_an_error_with_its_reason():
    job = stopped()
    with pytest.raises(ConfigError, match=r"Job nightly has failed again: the loss is nan\. See esmm logs nightly"):
        resume(job.api, job.name, waiting(lambda: job.publish(make_status("failed", error="the loss is nan"))))


def test_a_driver_that_fails_before_it_publishes_is_an_error():
    job = stopped()
    failed = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    with pytest.raises(ConfigError, match="has failed again: its driver has failed"):
        resume(
            job.api,
            job.name,
            waiting(lambda: job.api.store.patch("batch/jobs", NAMESPACE, "nightly-driver", failed)),
        )


def test_a_short_training_may_be_done_before_it_is_seen_to_train():
    job = stopped()
    outcome = resume(job.api, job.name, waiting(lambda: job.publish(make_status("done", ranks=0))))
    assert outcome.result["state"] == "done"


def test_a_task_of_one_pod_goes_on_once_its_pod_runs():
    job = PlayedJob("preprocess")
    job.api.store.delete("batch/jobs", NAMESPACE, "nightly-task")
    job.remove_pods("task")
    outcome = resume(job.api, job.name, waiting(lambda: job.add_pod("task")))
    assert outcome.lines[0].startswith("Job nightly goes on, after ")
    assert outcome.result["step"] is None


def test_a_job_whose_secret_is_gone_is_not_resumed():
    job = stopped()
    job.api.store.delete("secrets", NAMESPACE, "nightly")
    with pytest.raises(ClusterError, match='secrets "nightly" not found'):
        resume(job.api, job.name, waiting())
