"""Ranks and servers, also some that are lost, end early where one process does, with the same best checkpoint."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.checkpoint.best_checkpoint import best_evaluation
from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.parallel.horovod_ranks import run_ranks
from tests.support.elastic_run import elastic_run
from tests.support.server_processes import ServerProcesses
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(400)

ESMM = Path(sys.executable).with_name("esmm")
EVERY, PATIENCE = 20, 4
SETTINGS: dict[str, Any] = {
    "input": {"global_batch_records": 16, "epochs": 400},
    "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.6},
    "model": {"hidden_units": [8]},
    "dense": {"dense_optimizer": "adagrad", "dense_learning_rate": 0.1},
    "evaluation": {
        "eval_every_steps": EVERY,
        "early_stopping": PATIENCE,
        "early_stopping_metric": "ctr.log_loss",
        "calibrate": "none",
        "baseline": False,
    },
    "checkpoint": {"checkpoint_every_steps": 25, "keep_checkpoints": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    validation = tiny_groups(101, seed=2, first_sample=5000)
    write_dataset(folder / "data", {"train": tiny_groups(330), "validation": validation})
    (folder / "settings.json").write_text(json.dumps({"data": str(folder / "data"), **SETTINGS}))  # JSON is YAML
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    """The run of one process, without servers."""
    config = build(TrainConfig, {**SETTINGS, "data": folder / "data", "run": str(folder / "alone")}, where="test")
    result = train(config, NoProgress())
    assert result.best is not None
    assert result.step == result.best.step + PATIENCE * EVERY < result.total_steps
    assert result.best.step > EVERY  # so that the others have something to lose
    return folder / "alone"


def assert_same_end(run: Path, alone: Path) -> None:
    """Sums of float32 in another order differ by some 1e-7 of their terms; see test_training_of_ranks.py."""
    found, expected = (best_evaluation(Folder.open(each)) for each in (run, alone))
    assert found is not None
    assert expected is not None
    assert found.step == expected.step
    assert found.value == pytest.approx(expected.value, rel=1e-3)
    newest, *_, best = checkpoint_steps(Folder.open(run))
    assert (newest, best) == (expected.step + PATIENCE * EVERY, expected.step)
    evaluations = [json.loads((each / "metrics.json").read_text())["evaluations"] for each in (run, alone)]
    values = [{each["step"]: each["metrics"]["ctr"]["log_loss"] for each in of_run} for of_run in evaluations]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_two_ranks_and_a_server_end_where_one_process_does(folder: Path, alone: Path, one_server: ServerProcesses):
    run = folder / "two"
    line: list[str | Path] = [ESMM, "train", "--config", folder / "settings.json", "--run", run, "--json"]
    result = run_ranks(2, *line, "--servers", one_server.servers, folder=folder / "output")
    assert result.status == 0, result.err
    assert_same_end(run, alone)
    report = json.loads(result.out[0])
    assert (report["stopped_by"], report["best"]["metric"]) == (None, "ctr.log_loss")


@pytest.mark.slow  # its short form: the one before, without a loss
def test_after_the_loss_of_a_server_a_run_ends_early_at_the_same_step_and_is_done(folder: Path, alone: Path):
    run_folder = folder / "elastic"
    best = best_evaluation(Folder.open(alone))
    assert best is not None
    line = ["--workers", "2", "--min-workers", "1", "--servers", "2", "--"]
    line += ["train", "--config", str(folder / "settings.json"), "--run", str(run_folder)]
    with elastic_run(run_folder, line, log=folder / "log") as run:
        run.wait_for_ranks(2)
        run.wait_for_step(best.step + 10)
        run.send("server 1", signal.SIGKILL)
        assert run.wait_for_end() == 0, run.tail()
        assert run.left_over() == []
    assert run.status().restarts["server lost"] == 1
    assert (run.status().state, run.status().total_steps) == ("done", run.status().step)
    assert_same_end(run_folder, alone)
