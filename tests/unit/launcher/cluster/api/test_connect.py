"""Which cluster is asked, and what is said where there is none."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from launcher.cluster.api import connect as module
from launcher.cluster.api import kinds
from launcher.cluster.api.connect import cluster_is_known, connect, connect_pod, kubeconfig_files
from launcher.cluster.api.errors import ClusterError
from tests.support.pod_api import NAMESPACE, PodApi


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no kubeconfig, and no pod."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_kubeconfig_and_outside_of_a_pod_no_cluster_is_known(monkeypatch):
    assert not cluster_is_known()
    with pytest.raises(ClusterError, match=r"there is no ~/.kube/config, and this is no pod. Get a kubeconfig"):
        connect()
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    with pytest.raises(ClusterError, match="KUBECONFIG is /nowhere/config, which does not exist"):
        connect()


@pytest.mark.parametrize("text", ["{", "a: [1", "current-context: here\ncontexts: []\nclusters: []\nusers: []\n", "7"])
def test_a_kubeconfig_that_is_of_no_use_is_named(text, tmp_path, monkeypatch):
    path = tmp_path / "config"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterError, match=rf"{path} cannot be used \(.+\). Get a new one"):
        connect()


def test_files_of_kubeconfig_are_those_that_exist(tmp_path, monkeypatch):
    first, second = tmp_path / "a", tmp_path / "b"
    second.write_text("")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}:")
    assert kubeconfig_files() == [second]


def test_a_command_in_a_pod_asks_the_pods_cluster_in_the_pods_namespace(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert cluster_is_known()
    with pytest.raises(ClusterError, match=r"the service account of this pod cannot be used \(Service token file"):
        connect()
    from kubernetes.config import incluster_config

    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "namespace").write_text("ml\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(module, "POD_NAMESPACE", tmp_path / "namespace")
    api = connect()
    assert (api.host, api.namespace) == ("https://10.0.0.1:443", "ml")
    assert connect("other").namespace == "other"


def test_a_driver_in_a_pod_reaches_its_cluster_past_every_proxy(api: PodApi, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    assert api.client().namespace == NAMESPACE
    assert api.client().get(kinds.CONFIG_MAP, "nightly")["metadata"] == {"name": "nightly"}


def test_an_authority_that_is_empty_is_said_to_be(api: PodApi):
    (api.folder / "ca.crt").write_text("")
    with pytest.raises(ConfigError, match="but Cert file exists but empty. Run esmm driver in a pod"):
        connect_pod(folder=api.folder, environment=api.environment)


def test_a_token_that_cannot_be_read_for_a_moment_stays_as_it_was(api: PodApi):
    client = api.client()
    assert client.all(kinds.POD, "a=b") == []
    (api.folder / "token").unlink()
    assert client.all(kinds.POD, "a=b") == []
