"""A rank dies when it has pulled ahead, and not yet the rest of a step's rows: the model stays as if it had not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from tests.support.elastic_run import ESMM, elastic_run
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(400)

CHANGED_WORKERS = (sys.executable, str(Path(__file__).parents[1] / "support/changed_workers.py"))

STEPS = 20
DEATHS = [5, 12]


def training(data: Path, run: Path) -> list[str]:
    return [
        *("train", "--data", str(data), "--run", str(run), "--global-batch-records", "16", "--epochs", "1"),
        *("--checkpoint-every-steps", "10", "--keep-checkpoints", "100", "--eval-every-steps", "0"),
        # Linear towers: next to the kink of a ReLU, differences of one bit become large by themselves
        *("--embedding-dim", "4", "--hidden-units"),
    ]


@pytest.mark.slow  # its short form: deaths at other moments, in test_elastic_faults.py
def test_a_rank_that_dies_between_its_pulls_leaves_the_model_of_an_undisturbed_run(tmp_path, monkeypatch):
    data, died = tmp_path / "data", tmp_path / "died"
    for folder in (data, died):
        folder.mkdir()
    write_dataset(data, {"train": tiny_groups(16 * STEPS)}, lanes=2)
    monkeypatch.setenv("CHANGE", "die between pulls")
    monkeypatch.setenv("DEATHS", json.dumps(DEATHS))
    monkeypatch.setenv("NOTES", str(died))
    # Both workers are needed, so that no step is made before the one that died is back
    line = ["--workers", "2", "--min-workers", "2", "--servers", "2", "--standby"]
    with elastic_run(
        tmp_path / "run", [*line, "--", *training(data, tmp_path / "run")], log=tmp_path / "log", esmm=CHANGED_WORKERS
    ) as run:
        assert run.wait_for_end(280) == 0, run.tail()
        events = run.events()
    assert sorted(int(mark.name) for mark in died.iterdir()) == DEATHS
    assert not [each for each in events if each["event"] == "rolled_back"]
    alone = subprocess.run([*ESMM, *training(data, tmp_path / "alone")], capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr
    for step in checkpoint_steps(Folder.open(tmp_path / "alone")):
        assert largest_difference(saved_arrays(tmp_path / "run", step), saved_arrays(tmp_path / "alone", step)) < 1e-5
