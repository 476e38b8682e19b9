"""The list of a cluster's jobs."""

import pytest

from launcher.cluster.jobs import cluster_jobs
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.run_files.statuses import make_status


@pytest.fixture
def job() -> PlayedJob:
    return PlayedJob()


def test_a_training_has_its_ranks_and_steps_once_its_driver_has_published(job):
    [row] = cluster_jobs(job.api)
    assert (row.job, row.where, row.task, row.state) == ("nightly", NAMESPACE, "train", "pending")
    assert (row.ranks, row.step, row.total_steps) == (None, None, None)
    assert row.since
    job.publish(make_status())
    [row] = cluster_jobs(job.api)
    assert (row.state, row.ranks, row.step, row.total_steps) == ("running", 2, 7, 100)


def test_a_task_of_one_pod_is_what_its_job_tells():
    [row] = cluster_jobs(PlayedJob("preprocess").api)
    assert (row.task, row.state, row.ranks) == ("preprocess", "running", None)


def test_a_job_of_the_mpi_operator_is_found_by_its_mpijob():
    job = PlayedJob(backend="mpijob")
    job.publish(make_status())
    [row] = cluster_jobs(job.api)
    assert row.state == "running"
    job.api.store.delete("kubeflow/mpijobs", NAMESPACE, "nightly")
    [row] = cluster_jobs(job.api)
    assert row.state == "stopped"


def test_mpijobs_are_not_asked_for_where_no_job_has_one(job):
    job.api.refusals["list", "MPIJob"] = 404  # a cluster without the operator
    assert len(cluster_jobs(job.api)) == 1


def test_pods_of_another_namespace_are_not_of_a_job_of_the_same_name():
    job = PlayedJob("preprocess")
    pod = job.api.store.get("pods", NAMESPACE, "nightly-task-0")
    job.remove_pods("task")
    job.api.store.create("pods", "another", {**pod, "metadata": {**pod["metadata"], "namespace": "another"}})
    [row] = cluster_jobs(job.api, everywhere=True)
    assert row.state == "pending"


def test_a_job_of_another_version_is_listed_as_unreadable(job):
    job.api.store.patch("configmaps", NAMESPACE, "nightly", {"data": {"job.yaml": "task: dance\n"}})
    [row] = cluster_jobs(job.api)
    assert (row.job, row.task, row.state) == ("nightly", "?", "unreadable")
