"""Real ``esmm train`` processes that are stopped, killed and robbed of a checkpoint: they end the same, to the bit."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.checkpoint.format import checkpoint_steps, folder_name
from esmm_dist.flat_settings import merge
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.train.run_history import ENDS, read_history
from esmm_dist.train.run_speed import read_speed
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(300)

SETTINGS = {
    "input": {"global_batch_records": 12, "epochs": 1_000_000},
    "embedding": {"embedding_dim": 4, "embedding_optimizer": "adam"},
    "model": {"hidden_units": [8, 4], "dropout": 0.3},
    "evaluation": {"eval_every_steps": 30},
    "checkpoint": {"checkpoint_every_steps": 20, "keep_checkpoints": 3},
    "log_every_steps": 7,
}
MORE_STEPS = 15


def start(run: Path, *flags: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("esmm")), "train", "--run", str(run), *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def newest_step(run: Path) -> int:
    return max(checkpoint_steps(Folder.open(run)), default=0)


def signal_after_step(process: subprocess.Popen[str], run: Path, step: int, number: int) -> None:
    """Send a signal once the run has a checkpoint of ``step`` or later."""
    give_up = time.monotonic() + 200
    while newest_step(run) < step and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.01)
    reached = newest_step(run) >= step and process.poll() is None
    process.send_signal(number if reached else signal.SIGKILL)
    assert reached, process.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    write_dataset(folder / "data", {"train": tiny_groups(300), "test": tiny_groups(40, seed=2, first_sample=900)})
    settings = {"data": str(folder / "data"), **SETTINGS}
    (folder / "settings.json").write_text(json.dumps(settings))  # JSON is YAML
    return folder


@pytest.fixture(scope="module")
def stopped(folder):
    """A run that SIGTERM has stopped somewhere after step 20, with what it printed."""
    run = folder / "stopped"
    process = start(run, "--config", str(folder / "settings.json"))
    signal_after_step(process, run, 20, signal.SIGTERM)
    return run, finished(process)


@pytest.fixture(scope="module")
def killed(folder, stopped):
    """A copy of it that was resumed, and killed (-9) somewhere later."""
    run = folder / "killed"
    shutil.copytree(stopped[0], run)
    process = start(run)
    signal_after_step(process, run, newest_step(run) + 20, signal.SIGKILL)
    return run, finished(process)


@pytest.fixture(scope="module")
def last_step(killed):
    return newest_step(killed[0]) + MORE_STEPS


@pytest.fixture(scope="module")
def uninterrupted(folder, last_step):
    """A run of the same settings that nothing disturbed, in this very process."""
    from esmm_dist.config import build

    run = folder / "uninterrupted"
    settings = merge(SETTINGS, {"data": folder / "data", "run": str(run), "max_steps": last_step})
    result = train(build(TrainConfig, settings, where="test"), NoProgress())
    assert (result.step, result.stopped_by) == (last_step, None)
    return run


def resumed(run: Path, last_step: int) -> tuple[int, str, str]:
    return finished(start(run, "--max-steps", str(last_step)))


def assert_same_end(run: Path, uninterrupted: Path, last_step: int) -> None:
    found, expected = (folder / f"checkpoints/step-{last_step:08d}" for folder in (run, uninterrupted))
    tables = [path.name for path in expected.glob("*.arrow")]
    assert tables == ["main-0000-4096.arrow"]
    for name in tables:
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    with np.load(found / "dense.npz") as dense, np.load(expected / "dense.npz") as reference:
        assert sorted(dense.files) == sorted(reference.files)
        for name in reference.files:
            assert dense[name].tobytes() == reference[name].tobytes(), name
    for name in ("train_log.jsonl", "metrics.json"):
        assert (run / name).read_text() == (uninterrupted / name).read_text()
    log = [json.loads(line)["step"] for line in (run / "train_log.jsonl").read_text().splitlines()]
    assert log == list(range(7, last_step + 1, 7))
    points = read_speed(Folder.open(run))
    assert {point.step for point in points} >= set(log)
    assert points[-1].step == last_step


def test_sigterm_saves_says_how_to_resume_and_exits_with_status_0(stopped):
    run, (status, out, err) = stopped
    step = newest_step(run)
    assert status == 0
    assert f"Stopped by SIGTERM at step {step:,} of " in out
    assert f"Resume with: esmm train --run {run}" in out
    assert "Traceback" not in out + err


def test_a_run_stopped_resumed_killed_and_resumed_equals_an_uninterrupted_one(
    folder, stopped, killed, uninterrupted, last_step
):
    status, _, err = killed[1]
    assert status == -signal.SIGKILL
    assert f"Resuming {killed[0]} after step {newest_step(stopped[0])} of " in err
    run = folder / "killed and resumed"
    shutil.copytree(killed[0], run)
    status, out, err = resumed(run, last_step)
    assert status == 0
    assert f"Resuming {run} after step {newest_step(killed[0])} of {last_step}." in err
    told = [(each.event, each.step) for each in read_history(Folder.open(run)) if each.event in ("resume", *ENDS)]
    steps = [newest_step(stopped[0]), newest_step(killed[0]), last_step]
    assert told == [("stop", steps[0]), ("resume", steps[0]), ("resume", steps[1]), ("done", steps[2])]
    assert "Trained " in out
    assert_same_end(run, uninterrupted, last_step)


def test_a_damaged_newest_checkpoint_is_named_and_the_run_resumed_from_the_one_before(
    folder, killed, uninterrupted, last_step
):
    run = folder / "damaged and resumed"
    shutil.copytree(killed[0], run)
    newest, before = checkpoint_steps(Folder.open(run))[:2]
    table = run / "checkpoints" / folder_name(newest) / "main-0000-4096.arrow"
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    status, _, err = resumed(run, last_step)
    assert status == 0
    assert f"{table} has another checksum than the manifest" in err
    assert f"Resuming {run} after step {before} " in err
    assert_same_end(run, uninterrupted, last_step)
