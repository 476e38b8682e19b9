"""A disk that is full for a while: training goes on, nothing is lost, and no half files stay."""

import json
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.checkpoint.reader import open_checkpoint, verify_tables
from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.train.run_history import read_history
from esmm_dist.train.run_speed import read_speed
from tests.support.small_disk import FillsDisk, small_disk
from tests.support.tiny_dataset import tiny_groups, write_dataset

STEPS = 160
"""8 epochs of 320 records, 16 a batch."""


def config_of(data: Path, run: Path) -> TrainConfig:
    settings: dict[str, Any] = {
        "data": data,
        "run": str(run),
        "input": {"global_batch_records": 16, "epochs": 8},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
        "checkpoint": {"checkpoint_every_steps": 50},
        "evaluation": {"eval_every_steps": 51},
        "log_every_steps": 1,
    }
    return build(TrainConfig, settings, where="test")


@pytest.fixture
def data(tmp_path):
    write_dataset(tmp_path / "data", {"train": tiny_groups(320), "test": tiny_groups(20, seed=2, first_sample=5000)})
    return tmp_path / "data"


def contents(run: Path, step: int) -> dict[str, bytes]:
    folder = run / f"checkpoints/step-{step:08d}"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


def test_training_goes_on_while_the_disk_is_full_and_ends_as_if_it_had_not_been(tmp_path, data):
    train(config_of(data, tmp_path / "run"), NoProgress())
    with small_disk(tmp_path / "disk", kilobytes=1024) as place:
        run, seen = place / "run", []

        def look() -> None:
            folder = Folder.open(run)
            seen.extend(checkpoint_steps(folder))
            verify_tables(open_checkpoint(folder, 50))

        progress = FillsDisk(place, range(98, 107), before_room=look)  # saves at 100 and 105 fail, that at 110 does not
        result = train(config_of(data, run), progress)
        assert (result.step, result.stopped_by) == (STEPS, None)
        assert seen == [50]
        failed = [text for text in progress.texts if text.startswith("The checkpoint of step")]
        assert [text.partition(";")[0] for text in failed] == [
            f"The checkpoint of step {step} could not be written" for step in (100, 105)
        ]
        assert all("No space left on device" in text and "Training continues" in text for text in failed)
        assert any(text.startswith("The metrics could not be written") for text in progress.texts)
        assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
            f"step-{step:08d}" for step in (110, 150, 160)
        ]
        assert [path for path in run.rglob("*") if path.name.startswith(".") and path.name != ".lock"] == []
        assert contents(run, STEPS) == contents(tmp_path / "run", STEPS)
        logs = [(each / "train_log.jsonl").read_text() for each in (run, tmp_path / "run")]
        assert logs[0] == logs[1]
        points = read_speed(Folder.open(run))
        assert [point.step for point in points] == list(range(1, STEPS + 1))  # those of the full disk came later
        saved = [event.step for event in read_history(Folder.open(run)) if event.event == "checkpoint"]
        assert saved == [50, 110, 150, 160]
        metrics = [json.loads((each / "metrics.json").read_text()) for each in (run, tmp_path / "run")]
        assert metrics[0] == metrics[1]
