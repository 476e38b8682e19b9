"""``esmm delete`` of a job of a cluster."""

import pytest

from esmm_dist.errors import ConfigError, RetryError
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.delete import delete
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.waits import waiting


def left(job: PlayedJob) -> list[str]:
    return sorted(f"{resource}/{name}" for resource, _, name in job.api.store.objects)


@pytest.fixture
def job() -> PlayedJob:
    made = PlayedJob()
    labels = {"app.kubernetes.io/name": "esmm-dist", "app.kubernetes.io/instance": "nightly"}
    made.api.store.create("persistentvolumeclaims", NAMESPACE, {"metadata": {"name": "models", "labels": labels}})
    made.api.store.create("configmaps", NAMESPACE, {"metadata": {"name": "of-others"}})
    return made


def remove_pods(job: PlayedJob) -> None:
    job.remove_pods("driver", "server", "worker")


def test_all_objects_go_the_owner_last_and_claims_and_what_others_have_stay(job):
    outcome = delete(job.api, job.name, waiting(lambda: remove_pods(job)), keep_data=True)
    deleted = [(kind, name) for verb, kind, name in job.api.changes if verb == "delete"]
    assert deleted[-1] == ("ConfigMap", "nightly")
    assert outcome.result["objects"] == len(deleted) > 8
    assert outcome.result["kept_claims"] == ["models"]
    assert outcome.lines[0].endswith(" Its claims stay: models.")
    assert left(job) == ["configmaps/of-others", "persistentvolumeclaims/models"]


def test_without_keeping_the_data_claims_go_too(job):
    outcome = delete(job.api, job.name, waiting(lambda: remove_pods(job)), keep_data=False)
    assert outcome.result["kept_claims"] == []
    assert left(job) == ["configmaps/of-others"]


def test_claims_that_a_deleted_job_left_are_named_and_can_be_deleted(job):
    delete(job.api, job.name, waiting(lambda: remove_pods(job)), keep_data=True)
    with pytest.raises(ConfigError, match="no job 'nightly' in namespace ml.* It left claims: models; --no-keep-data"):
        delete(job.api, job.name, waiting(), keep_data=True)
    assert delete(job.api, job.name, waiting(), keep_data=False).result["objects"] == 1


def test_who_does_not_wait_leaves_pods_that_end(job):
    delete(job.api, job.name, waiting(timeout_s=0.0), keep_data=True)
    assert any(each.startswith("pods/") for each in left(job))


def test_pods_that_do_not_end_in_time_are_named(job):
    job.remove_pods("driver", "worker")
    with pytest.raises(RetryError) as failure:
        delete(job.api, job.name, waiting(timeout_s=0.01), keep_data=True)
    expected = (
        "all pods have ended (left in namespace ml: nightly-server-0, nightly-server-1). The objects of job nightly"
    )
    assert expected in str(failure.value)


@pytest.mark.parametrize(("kind", "status"), [("MPIJob", 404), ("ServiceMonitor", 403), ("PodDisruptionBudget", 404)])
def test_kinds_that_a_cluster_does_not_know_or_show_are_left_out(job, kind, status):
    job.api.refusals["list", kind] = status
    assert delete(job.api, job.name, waiting(lambda: remove_pods(job)), keep_data=True).done


@pytest.mark.parametrize(("kind", "status"), [("Secret", 403), ("MPIJob", 500)])
def test_another_refusal_ends_the_deletion_before_anything_is_deleted(job, kind, status):
    job.api.refusals["list", kind] = status
    with pytest.raises(ClusterError, match="No right to list"):
        delete(job.api, job.name, waiting(), keep_data=True)
    assert job.api.changes == []
