"""A training on a GPU reaches what the CPU reaches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ESMM = [sys.executable, "-m", "launcher"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("synth")
    subprocess.run([*ESMM, "synth", str(folder / "raw"), "--impressions", "60000", "--seed", "1"], check=True)
    subprocess.run([*ESMM, "preprocess", str(folder / "raw"), str(folder / "data"), "--schema", "aliccp"], check=True)
    return folder / "data"


def aucs(data: Path, run: Path, *, gpu: bool, flags: tuple[str, ...] = ()) -> dict[str, float]:
    """Train with the product's command and return the AUCs of the test split."""
    environment = dict(os.environ) if gpu else {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    train = [*ESMM, "train", "--data", str(data), "--run", str(run), "--no-baseline", *flags]
    subprocess.run(train, check=True, env=environment)
    newest = json.loads((run / "metrics.json").read_text())["evaluations"][-1]
    return {name: metrics["auc"] for name, metrics in newest["metrics"].items()}


@pytest.fixture(scope="module")
def on_the_cpu(data, tmp_path_factory) -> dict[str, float]:
    return aucs(data, tmp_path_factory.mktemp("cpu") / "run", gpu=False)


@pytest.mark.parametrize("flags", [(), ("--mixed-precision",), ("--xla",)])
def test_a_training_on_a_gpu_reaches_the_aucs_of_the_cpu(data, on_the_cpu, tmp_path, flags):
    """Standard errors of this test split are 0.005 and more; what differs is the rounding alone."""
    found = aucs(data, tmp_path / "run", gpu=True, flags=flags)
    assert found == pytest.approx(on_the_cpu, abs=0.005)
