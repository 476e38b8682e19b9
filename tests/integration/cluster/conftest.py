"""A cluster over HTTP that plays the controllers and the driver, and what a user types into it."""

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.cli import main
from launcher.cluster.api.client import USER_LIMITS
from tests.fake_kubernetes.flows import JOB, ranks, write
from tests.fake_kubernetes.server import FakeCluster, wait_until


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wait.POLL_S", "resume.POLL_S", "delete.POLL_S", "logs.POLL_S", "submit.FOLLOW_S"):
        monkeypatch.setattr(f"launcher.cluster.{name}", 0.02)
    monkeypatch.setattr("launcher.cluster.api.connect.USER_LIMITS", replace(USER_LIMITS, pause_s=0.02))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with FakeCluster() as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path)))
        monkeypatch.chdir(tmp_path)
        yield cluster


@pytest.fixture
def esmm(capsys: pytest.CaptureFixture[str]):
    def run(*args: str, status: int = 0) -> str:
        """Run a command line; return stdout, or of one that fails stderr."""
        capsys.readouterr()
        found = main(args)
        out, err = capsys.readouterr()
        assert found == status, out + err
        return out if status == 0 else " ".join(err.split())

    return run


@pytest.fixture
def job(tmp_path: Path) -> str:
    return write(tmp_path, JOB)


@pytest.fixture
def running(cluster: FakeCluster, esmm, job: str) -> FakeCluster:
    esmm("submit", job)
    wait_until(lambda: ranks(cluster) == 2)
    return cluster
