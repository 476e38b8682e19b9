"""The cluster that KUBECONFIG points to, and a namespace of its own in it for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.errors import EsmmError
from launcher.cluster.api import kinds
from launcher.cluster.api.connect import connect, kubeconfig_files
from tests.k8s.trial_job import TrialNamespace, trial_namespace


@pytest.fixture(scope="session")
def cluster() -> None:
    """Skip where there is no cluster."""
    if not kubeconfig_files():
        pytest.skip("no cluster: set KUBECONFIG to the file of one (k8s/README.md, Tried)")
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH, which pods are deleted with")
    try:
        connect().find(kinds.NAMESPACE, "default")
    except EsmmError as e:
        pytest.skip(f"the cluster of KUBECONFIG is of no use: {e}")


@pytest.fixture
def namespace(cluster, tmp_path: Path) -> Iterator[TrialNamespace]:
    """A namespace of this test's own."""
    with trial_namespace(tmp_path) as made:
        yield made
