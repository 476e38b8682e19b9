"""``esmm scale`` of a job of a cluster: what is changed, and when it is done."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from esmm_dist.errors import ConfigError, RetryError
from launcher.cluster import names
from launcher.cluster.scale import scale_servers, scale_workers
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.run_files.statuses import make_status
from tests.unit.launcher.waits import Steps, waiting


@pytest.fixture
def job() -> PlayedJob:
    made = PlayedJob()
    made.publish(make_status())
    return made


def training(ranks: int, *, later_s: float) -> Any:
    status = make_status(ranks=ranks)
    return replace(status, written_at=status.written_at + later_s)


def test_workers_are_the_replicas_of_their_set_and_are_waited_for(job):
    outcome = scale_workers(job.api, job.name, 4, waiting(lambda: job.publish(training(4, later_s=5.0))))
    assert job.api.changes == [("scale", "StatefulSet", "nightly-worker")]
    assert job.replicas("worker") == 4
    assert {**outcome.result, "seconds": 0} == {"job": "nightly", "workers": 4, "before": 2, "seconds": 0}
    assert outcome.lines[0].startswith("4 workers train (before: 2), after ")


def test_workers_of_an_mpijob_are_in_the_mpijob():
    job = PlayedJob(backend="mpijob")
    job.publish(make_status())
    scale_workers(job.api, job.name, 4, waiting(timeout_s=0.0))
    assert job.api.changes == [("patch", "MPIJob", "nightly")]
    found = job.api.store.get("kubeflow/mpijobs", NAMESPACE, "nightly")
    assert found["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"] == 4


def test_a_status_from_before_the_request_counts_no_more(job):
    # With 2 workers that trained before, 2 train at once only as the old status has it
    published = training(2, later_s=0.0)
    job.publish(published)
    with pytest.raises(RetryError, match="waiting until 2 workers train"):
        scale_workers(job.api, job.name, 2, waiting(timeout_s=0.01))
    later = replace(published, written_at=published.written_at + 1)
    outcome = scale_workers(job.api, job.name, 2, waiting(lambda: job.publish(later)))
    assert outcome.lines[0].startswith("2 workers train")


def test_a_timeout_has_the_state_and_the_troubles(job):
    job.remove_pods("worker")
    waits = {"reason": "ImagePullBackOff", "message": "no such host"}
    job.add_pod("worker", phase="Pending", containerStatuses=[{"name": "worker", "state": {"waiting": waits}}])
    with pytest.raises(RetryError) as failure:
        scale_workers(job.api, job.name, 3, waiting(timeout_s=0.01))
    text = str(failure.value)
    assert text.startswith("Timed out after 0.01 s waiting until 3 workers train (running, server 2 of 2 ready, ")
    assert "worker 0 of 3 ready, driver 1 of 1 ready, 2 ranks; worker-0 cannot pull image" in text
    assert text.endswith("Job nightly goes on by itself; look at esmm status nightly.")


def test_a_job_that_ends_meanwhile_is_not_waited_for(job):
    with pytest.raises(ConfigError, match=r"Job nightly has ended meanwhile \(failed\)"):
        scale_workers(job.api, job.name, 3, waiting(lambda: job.publish(make_status("failed"))))


def test_workers_before_the_driver_has_published_are_asked_for(job):
    fresh = PlayedJob()
    outcome = scale_workers(fresh.api, fresh.name, 3, waiting(timeout_s=0.0))
    assert outcome.lines == ["Asked for 3 workers (before: 0)."]
    assert fresh.replicas("worker") == 3


@pytest.mark.parametrize("count", [0, 5])
def test_a_number_out_of_bounds_is_refused(job, count):
    with pytest.raises(ConfigError, match=f"workers is {count}, but job nightly .* min 1, max 4. Set a number between"):
        scale_workers(job.api, job.name, count, waiting())
    assert job.api.changes == []


@pytest.mark.parametrize("scale", [scale_workers, scale_servers])
def test_a_task_of_one_pod_is_not_scaled(scale):
    job = PlayedJob("preprocess")
    with pytest.raises(ConfigError, match=r"is a preprocess job, which runs in one pod.*set cluster\.pod\.cpu"):
        scale(job.api, job.name, 2, waiting())


def end(job: PlayedJob, state: str = "stopped") -> None:
    """Let the driver save and end, and scale all to 0."""
    job.publish(make_status(state, ranks=0, wanted_workers=2))
    job.remove_pods("driver", "server", "worker")


def goes_on(job: PlayedJob) -> None:
    for component in ("driver", "server", "worker"):
        job.add_pod(component)
    job.publish(make_status())


def test_servers_change_between_a_cancel_and_a_resume(job):
    outcome = scale_servers(job.api, job.name, 3, waiting(lambda: end(job), lambda: goes_on(job)))
    assert {**outcome.result, "seconds": 0} == {"job": "nightly", "servers": 3, "before": 2, "seconds": 0}
    config = job.api.store.get("configmaps", NAMESPACE, "nightly")
    assert yaml.safe_load(config["data"]["job.yaml"])["cluster"]["servers"]["count"] == 3
    assert (job.replicas("server"), job.replicas("worker")) == (3, 2)
    # The number that says how many there are comes last, before the job goes on
    verbs = [(verb, name) for verb, kind, name in job.api.changes if kind in ("ConfigMap", "StatefulSet")]
    asked, *templates, changed = verbs[:4]
    assert (asked, changed) == (("patch", "nightly"), ("patch", "nightly"))
    assert sorted(templates) == [("patch", "nightly-server"), ("patch", "nightly-worker")]
    assert names.REQUEST not in job.annotations  # else the next driver would stop at once


def test_a_change_of_servers_waits_for_the_save_even_where_nobody_waits_for_the_rest(job):
    steps = Steps(lambda: None, lambda: end(job))
    outcome = scale_servers(job.api, job.name, 3, steps.wait(timeout_s=0.0))
    assert steps.all_done
    assert outcome.lines[0].startswith("Job nightly goes on with 3 servers")
    assert job.replicas("server") == 3


def test_servers_of_a_job_that_finishes_meanwhile_stay(job):
    with pytest.raises(ConfigError, match=r"has ended meanwhile \(done\)"):
        scale_servers(job.api, job.name, 3, waiting(lambda: end(job, "done")))
    config = job.api.store.get("configmaps", NAMESPACE, "nightly")
    assert yaml.safe_load(config["data"]["job.yaml"])["cluster"]["servers"]["count"] == 2


def test_the_same_number_of_servers_is_refused(job):
    with pytest.raises(ConfigError, match="Job nightly has 2 servers already. Set another number"):
        scale_servers(job.api, job.name, 2, waiting())
