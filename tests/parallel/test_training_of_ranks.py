"""Real Horovod ranks and real servers train what one process trains, stop together, and leave no one hanging."""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.parallel.horovod_ranks import RanksResult, finished_ranks, process_of_rank, run_ranks, started_ranks
from tests.support.saved_models import saved_rows
from tests.support.server_processes import server_processes
from tests.support.tiny_dataset import Group, Impression, tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(400)

ESMM = Path(sys.executable).with_name("esmm")
STEPS = 42
"""Two epochs: 330 records in 4 lanes of 83, 83, 82, 82, 4 a lane in a batch; the last of 21 batches is not full."""

SETTINGS: dict[str, Any] = {
    "input": {"global_batch_records": 16, "epochs": 2},
    "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.2},
    "model": {"hidden_units": [8]},
    "dense": {"dense_optimizer": "adagrad", "dense_learning_rate": 0.05},
    "evaluation": {"eval_every_steps": 15},
    "checkpoint": {"checkpoint_every_steps": 5},
    "log_every_steps": 7,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    write_dataset(folder / "data", {"train": tiny_groups(330), "test": tiny_groups(101, seed=2, first_sample=5000)})
    (folder / "settings.json").write_text(json.dumps({"data": str(folder / "data"), **SETTINGS}))  # JSON is YAML
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    """The run of one process, without servers."""
    config = build(TrainConfig, {**SETTINGS, "data": folder / "data", "run": str(folder / "alone")}, where="test")
    train(config, NoProgress())
    return folder / "alone"


@contextmanager
def training(number: int, servers: int, folder: Path, run: Path, *flags: str):
    """Start a training on ranks and servers; give its process, and a function that waits for its end."""
    out = run.with_name(f"{run.name}-output-{len(list(run.parent.glob(f'{run.name}-output-*')))}")
    line: list[str | Path] = [ESMM, "train", "--config", folder / "settings.json", "--run", run, *flags]
    with server_processes(servers) as started:
        line += ["--servers", started.servers]
        with started_ranks(number, *line, folder=out) as process:
            yield process, lambda: finished_ranks(process, number, out)


def trained(number: int, servers: int, folder: Path, run: Path, *flags: str) -> RanksResult:
    with training(number, servers, folder, run, *flags) as (_, wait):
        result: RanksResult = wait()
        return result


def assert_same_end(run: Path, alone: Path) -> None:
    """Compare weights, rows, losses and metrics after the last step.

    Sums of float32 in another order differ by some 1e-7 of their terms; over 42 steps of Adagrad by less than 1e-4.
    """
    found, expected = (open_checkpoint(Folder.open(each), STEPS).dense() for each in (run, alone))
    assert sorted(found) == sorted(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    rows, expected_rows = saved_rows(run, STEPS), saved_rows(alone, STEPS)
    for name in ("ids", "last_step", "count"):
        np.testing.assert_array_equal(rows[name], expected_rows[name])
    for name in ("rows", "slots"):
        np.testing.assert_allclose(rows[name], expected_rows[name], rtol=1e-4, atol=1e-6)
    logs = [[json.loads(line) for line in (each / "train_log.jsonl").read_text().splitlines()] for each in (run, alone)]
    assert [entry["step"] for entry in logs[0]] == [7, 14, 21, 28, 35, 42]
    for entry, reference in zip(*logs, strict=True):
        assert entry == pytest.approx(reference, rel=1e-5)
    evaluations = [json.loads((each / "metrics.json").read_text())["evaluations"] for each in (run, alone)]
    assert [each["step"] for each in evaluations[0]] == [15, 30, 42]
    for evaluation, reference in zip(*evaluations, strict=True):
        for task, metrics in reference["metrics"].items():
            # two scores that tie but for the last bit may change places
            assert evaluation["metrics"][task] == pytest.approx(metrics, rel=1e-3)
            assert evaluation["metrics"][task]["impressions"] == metrics["impressions"]


@pytest.mark.slow  # its short form: test_equal_results.py
def test_three_ranks_and_two_servers_train_what_one_process_trains(folder, alone):
    run = folder / "three"
    result = trained(3, 2, folder, run, "--json")  # four lanes do not divide by three
    assert result.status == 0, result.err
    assert_same_end(run, alone)
    report = json.loads(result.out[0])
    assert (report["step"], report["stopped_by"]) == (STEPS, None)
    assert report["rows"] == len(saved_rows(run, STEPS)["ids"])
    assert (
        report["impressions"]
        == 2 * json.loads((folder / "data/manifest.json").read_text())["splits"]["train"]["impressions"]
    )
    assert "Step 15: AUC on test" in result.err[0]
    assert result.out[1:] == result.err[1:] == ["", ""]  # rank 0 alone talks


def stopped_by_one_rank(number: int, servers: int, folder: Path, run: Path, *flags: str) -> RanksResult:
    """Train, and send SIGTERM to the last rank once there is a checkpoint."""
    with training(number, servers, folder, run, *flags) as (process, wait):
        give_up = time.monotonic() + 200
        while not checkpoint_steps(Folder.open(run)) and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.01)
        os.kill(process_of_rank(process.pid, number - 1), signal.SIGTERM)
        result: RanksResult = wait()
        return result


@pytest.mark.slow
def test_a_signal_to_a_rank_without_lanes_stops_all_and_other_numbers_of_ranks_and_servers_go_on(folder, alone):
    run = folder / "resumed"
    result = stopped_by_one_rank(5, 1, folder, run)  # of four lanes, rank 4 has none
    assert result.status == 0, result.err
    step = checkpoint_steps(Folder.open(run))[0]
    assert step < STEPS, "it was too fast to be stopped"
    assert f"Stopped by SIGTERM at step {step} of {STEPS}" in result.out[0]
    result = trained(2, 3, folder, run)
    assert result.status == 0, result.err
    assert f"Resuming {run} after step {step} of {STEPS}." in result.err[0]
    assert_same_end(run, alone)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["bounded", "async"])
def test_with_stale_rows_and_batches_pulled_ahead_ranks_learn_and_stop_without_hanging(folder, alone, mode):
    run = folder / mode
    flags = ["--update-mode", mode, "--max-staleness-steps", "2", "--prefetch", "4"]
    result = stopped_by_one_rank(2, 2, folder, run, *flags)
    assert result.status == 0, result.err
    assert "Stopped by SIGTERM" in result.out[0]
    result = trained(2, 2, folder, run, *flags)
    assert result.status == 0, result.err
    aucs = [json.loads((each / "metrics.json").read_text())["newest"]["metrics"]["ctr"]["auc"] for each in (run, alone)]
    assert aucs[0] == pytest.approx(aucs[1], abs=0.05)


def test_ranks_without_a_server_are_told_what_to_do(folder, tmp_path):
    line = [ESMM, "train", "--config", folder / "settings.json", "--run", tmp_path / "run"]
    result = run_ranks(2, *line, folder=tmp_path / "out")
    assert result.status != 0
    said = "servers is embedded, but 2 ranks train, and each would learn rows of its own. Start parameter servers"
    assert any(f"esmm: rank {rank} of 2: {said}" in result.err[rank] for rank in range(2))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_damaged_shard_ends_every_rank_with_one_line_each(folder, tmp_path):
    write_dataset(tmp_path / "data", {"train": tiny_groups(330)})
    path = tmp_path / "data/train/lane-001-part-001.tfrecord"  # which rank 1 reads
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    result = trained(2, 1, folder, tmp_path / "run", "--data", str(tmp_path / "data"))
    assert result.status != 0
    assert f"esmm: rank 1 of 2: {tmp_path}/data, split 'train', epoch 0: a shard cannot be read" in result.err[1]
    errors = [line for line in result.err[0].splitlines() if not line.startswith(("Chosen: ", "42 steps", "Training"))]
    # horovodrun ends rank 0 as soon as rank 1 has failed; mostly it has noticed by itself before
    assert set(errors) <= {"esmm: rank 0 of 2: another rank ended; its own message says why.", "Terminated"}


@pytest.mark.slow
def test_a_batch_that_is_not_finite_is_described_by_its_rank_and_stops_all_before_the_update(folder, tmp_path):
    groups = tiny_groups(330)
    bad = groups[1]  # the first record of lane 1, which rank 1 reads
    history = [(2001, float("inf"))]
    groups[1] = Group(
        fields=[bad.fields[0], history],
        impressions=[Impression(sample_id=77, labels=(1, 0), fields=bad.impressions[0].fields)],
    )
    write_dataset(tmp_path / "data", {"train": groups})
    result = trained(2, 1, folder, tmp_path / "run", "--data", str(tmp_path / "data"), "--no-shuffle")
    assert result.status != 0
    told = [line for err in result.err for line in err.splitlines() if line.startswith("esmm: ")]
    assert told
    for line in told:
        assert "is not finite at step 1 (epoch 0, batch of " in line
        assert "in field 'history'" in line
    assert all("another rank's batch" in line for line in told if line.startswith("esmm: rank 0 of 2: "))
    assert checkpoint_steps(Folder.open(tmp_path / "run")) == []
