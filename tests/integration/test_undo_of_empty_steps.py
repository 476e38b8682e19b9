"""A rank dies in a step that had no impressions left: weights and rows still meet at one step."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from tests.support.damage import remove
from tests.support.elastic_run import ESMM, elastic_run
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

CHANGED_WORKERS = (sys.executable, str(Path(__file__).parents[1] / "support/changed_workers.py"))

STEPS = 20
EMPTY = range(6, 11)
"""Steps whose records are all missing."""

# (step, servers that its gradients still reach)
DEATHS = [(7, 0), (9, 1)]


def training(data: Path, run: Path) -> list[str]:
    return [
        *("train", "--data", str(data), "--run", str(run), "--global-batch-records", "16", "--epochs", "1"),
        *("--no-shuffle", "--on-bad-record", "skip", "--checkpoint-every-steps", "1", "--keep-checkpoints", "100"),
        # Linear towers: next to the kink of a ReLU, differences of one bit become large by themselves
        *("--eval-every-steps", "0", "--embedding-dim", "4", "--hidden-units"),
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """320 records in 2 lanes of 160, each in 8 parts of 20, of which parts 2 and 3 are missing: steps 6 to 10."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(320)}, lanes=2, parts=8, compression="NONE")
    for lane in (0, 1):
        for part in (2, 3):
            remove(folder / f"train/lane-{lane:03d}-part-{part:03d}.tfrecord")
    return folder


def test_after_a_death_in_an_empty_step_the_model_is_that_of_an_undisturbed_run(data, tmp_path, monkeypatch):
    died = tmp_path / "died"
    died.mkdir()
    monkeypatch.setenv("CHANGE", "die")
    monkeypatch.setenv("DEATHS", json.dumps(DEATHS))
    monkeypatch.setenv("NOTES", str(died))
    # Both workers are needed, so that no step is made before the one that died is back
    line = ["--workers", "2", "--min-workers", "2", "--servers", "2", "--standby"]
    with elastic_run(
        tmp_path / "run", [*line, "--", *training(data, tmp_path / "run")], log=tmp_path / "log", esmm=CHANGED_WORKERS
    ) as run:
        assert run.wait_for_end(280) == 0, run.tail()
        events = run.events()
    assert sorted(int(mark.name) for mark in died.iterdir()) == [step for step, _ in DEATHS]
    assert not [each for each in events if each["event"] == "rolled_back"]
    assert {each["step"] for each in events if each["event"] == "went_on"} >= {step - 1 for step, _ in DEATHS}
    alone = subprocess.run([*ESMM, *training(data, tmp_path / "alone")], capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr
    steps = checkpoint_steps(Folder.open(tmp_path / "alone"))
    assert sorted(steps) == list(range(1, STEPS + 1))
    for step in steps:
        assert largest_difference(saved_arrays(tmp_path / "run", step), saved_arrays(tmp_path / "alone", step)) < 1e-5
