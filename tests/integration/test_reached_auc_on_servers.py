"""Two ranks on two servers reach on real impressions what one process reaches, in every mode. Minutes each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from esmm_dist.progress import NoProgress
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.support.server_processes import server_processes

KUAIRAND = Path(__file__).parents[3] / "shared/data/kuairand"
BIN = Path(sys.executable).parent
MODES = {
    "sync": [],
    "bounded": ["--update-mode", "bounded", "--max-staleness-steps", "2"],
    "async": ["--update-mode", "async"],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not KUAIRAND.is_dir(), reason=f"the KuaiRand logs are not at {KUAIRAND}"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kuairand") / "data"
    preprocess(PreprocessConfig(raw=KUAIRAND, out=folder, schema="aliccp", min_count=1), NoProgress())
    return folder


def flags(data: Path, run: Path) -> list[str]:
    return ["--config", "small-data", "--data", str(data), "--run", str(run), "--seed", "1"]


def finished(line: list[str], folder: Path) -> None:
    """Run a command as a user types it, with the environment's programs on PATH."""
    path = f"{BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        line, env=os.environ | {"PATH": path}, cwd=folder, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr


def aucs_of(run: Path) -> dict[str, float]:
    metrics = json.loads((run / "metrics.json").read_text())["newest"]["metrics"]
    return {task: figures["auc"] for task, figures in metrics.items()}


@pytest.fixture(scope="module")
def alone(data):
    """AUCs of the one-process run."""
    run = data.parent / "alone"
    finished(["esmm", "train", *flags(data, run)], data.parent)
    return aucs_of(run)


@pytest.mark.parametrize("mode", MODES)
def test_horovodrun_on_servers_reaches_the_aucs_of_one_process(data, alone, tmp_path, mode):
    with server_processes(2) as servers:
        line = ["horovodrun", "-np", "2", "esmm", "train", *flags(data, tmp_path / "run")]
        finished([*line, "--servers", servers.servers, *MODES[mode]], tmp_path)
    print(mode, aucs_of(tmp_path / "run"), alone)
    assert aucs_of(tmp_path / "run") == pytest.approx(alone, abs=0.005)


@pytest.mark.parametrize("mode", MODES)
def test_esmm_local_reaches_the_aucs_of_one_process(data, alone, tmp_path, mode):
    line = ["esmm", "local", "--workers", "2", "--servers", "2", "--", *flags(data, tmp_path / "run"), *MODES[mode]]
    finished(line, tmp_path)
    print(mode, aucs_of(tmp_path / "run"), alone)
    assert aucs_of(tmp_path / "run") == pytest.approx(alone, abs=0.005)
