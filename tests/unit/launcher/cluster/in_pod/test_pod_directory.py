"""The workers of a job, as its driver finds them in a real HTTPS stand-in of the cluster's API."""

import time

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.connect import connect_pod
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.in_pod.job_objects import JobObjects
from launcher.cluster.in_pod.pod_directory import PodDirectory
from tests.support.pod_api import JOB, NAMESPACE, pod_api

OBJECTS = JobObjects(job=JOB, namespace=NAMESPACE)
FIRST, SECOND = f"{JOB}-worker-0", f"{JOB}-worker-1"


class Messages(NoProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def directory(api, messages) -> PodDirectory:
    return PodDirectory(api.client(), OBJECTS, messages)


def found(directory: PodDirectory) -> tuple[list[str], int]:
    directory.list_once()
    return sorted(directory.addresses()), directory.wanted()


def test_a_pod_is_found_once_it_is_ready_and_wanted_before(api, directory):
    assert found(directory) == ([], 0)
    api.add_pod(FIRST, ready=False)
    assert found(directory) == ([], 1)
    api.ready(FIRST, True)
    assert found(directory) == ([FIRST], 1)
    assert directory.addresses() == {FIRST: "nightly-worker-0.nightly-worker.ml.svc:7071"}


def test_pods_of_others_and_of_other_roles_are_not_found(api, directory):
    api.add_pod("other-worker-0", labels=names.selector("other", "worker"))
    api.add_pod(f"{JOB}-server-0", labels=names.selector(JOB, "server"))
    assert found(directory) == ([], 0)


def test_a_pod_that_terminates_is_not_wanted_and_stays_reachable_until_it_is_gone(api, directory):
    api.add_pod(FIRST)
    api.add_pod(SECOND)
    assert found(directory) == ([FIRST, SECOND], 2)
    api.terminate(SECOND)  # its worker leaves in its grace period, and its agent tells how that went
    api.ready(SECOND, False)
    assert found(directory) == ([FIRST, SECOND], 1)
    del api.pods[SECOND]
    assert found(directory) == ([FIRST], 1)


def test_a_pod_that_was_never_ready_before_it_terminates_is_never_found(api, directory):
    api.add_pod(FIRST)
    api.terminate(FIRST)
    assert found(directory) == ([], 0)


def test_a_pod_whose_probe_fails_for_once_stays(api, directory):
    api.add_pod(FIRST)
    found(directory)
    api.ready(FIRST, False)
    assert found(directory) == ([FIRST], 1)


def test_a_new_pod_of_an_old_name_must_get_ready_itself(api, directory):
    api.add_pod(FIRST, uid="first")
    assert found(directory) == ([FIRST], 1)
    api.add_pod(FIRST, uid="second", ready=False)
    assert found(directory) == ([], 1)


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_none(api, directory, phase):
    api.add_pod(FIRST)
    found(directory)
    api.pods[FIRST]["status"]["phase"] = phase  # evicted: the object stays
    assert found(directory) == ([], 0)


def test_while_the_api_does_not_answer_the_last_answer_stays_and_that_is_said_once(api, directory, messages):
    api.add_pod(FIRST)
    found(directory)
    api.is_down = True
    for _ in range(3):
        assert found(directory) == ([FIRST], 1)
    assert "cannot be listed: The cluster at https://127.0.0.1" in directory.trouble()
    api.is_down = False
    del api.pods[FIRST]
    assert found(directory) == ([], 0)
    assert directory.trouble() == ""
    assert len(messages.told) == 2
    assert "Going on with those that are known" in messages.told[0]
    assert messages.told[1] == "The pods can be listed again."


def test_a_missing_right_is_said_with_verb_and_reason(api, directory, messages):
    api.forbidden.add(("list", "pods"))
    found(directory)
    assert "refuses to list pods in namespace ml with 403 (may not list pods)" in messages.told[0]


def test_the_pods_are_listed_over_and_over_and_a_token_that_was_renewed_is_used(api, directory):
    with directory:
        api.renew_token("token of the next hour")
        api.add_pod(FIRST)
        give_up = time.monotonic() + 20
        while not directory.addresses():
            assert time.monotonic() < give_up
            time.sleep(0.05)
    assert {call for call in api.calls} == {("list", "pods")}


def test_workers_of_an_mpijob_have_its_labels_and_its_service(api, messages):
    labels = {"training.kubeflow.org/job-name": JOB, "training.kubeflow.org/job-role": "worker"}
    api.add_pod(FIRST, labels=labels)
    api.add_pod(f"{JOB}-launcher", labels=labels | {"training.kubeflow.org/job-role": "launcher"})
    directory = PodDirectory(api.client(), JobObjects(job=JOB, namespace=NAMESPACE, backend="mpijob"), messages)
    assert found(directory) == ([FIRST], 1)
    assert directory.addresses() == {FIRST: "nightly-worker-0.nightly.ml.svc:7071"}


def test_an_api_with_a_certificate_of_another_authority_is_not_asked(api, tmp_path):
    with pod_api(tmp_path / "other") as other:
        (api.folder / "ca.crt").write_bytes((other.folder / "ca.crt").read_bytes())
        with pytest.raises(ClusterError, match="certificate that the service account of this pod does not vouch for"):
            api.client().all(kinds.POD, "a=b")
    assert api.calls == []


def test_outside_of_a_pod_there_is_no_api(api, tmp_path):
    with pytest.raises(ConfigError, match="KUBERNETES_SERVICE_HOST is not set. Run esmm driver in a pod"):
        connect_pod(folder=api.folder, environment={})
    with pytest.raises(ConfigError, match="nowhere/token does not exist"):
        connect_pod(folder=tmp_path / "nowhere", environment=api.environment)
    assert api.client().namespace == NAMESPACE
    (api.folder / "namespace").unlink()
    with pytest.raises(ConfigError, match="namespace cannot be read: No such file or directory. Give --namespace"):
        api.client()
