"""Real processes that go on with the next data set of a run: killed, on ranks and servers, and elastic."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_folder import read_data_sets
from tests.support.elastic_run import ESMM, elastic_run
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]  # its short form: tests/unit/train/test_continue.py

FIRST = 5
PASSES, A_PASS = 60, 20
LAST = FIRST + PASSES * A_PASS
BOUND = 1e-3
"""Ranks sum in another order; over so many steps differences of one bit grow."""


def second(days: list[Path], run: Path) -> list[str]:
    return [
        *("train", "--data", str(days[1]), "--run", str(run), "--continue", "--eval-first", "--epochs", str(PASSES)),
        *("--checkpoint-every-steps", "500", "--keep-checkpoints", "99", "--eval-every-steps", "0"),
    ]


def esmm(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ESMM, *args], capture_output=True, text=True, check=False)


def done(*args: str) -> str:
    result = esmm(*args)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def days(tmp_path_factory) -> list[Path]:
    folders = [tmp_path_factory.mktemp("days") / str(number) for number in range(2)]
    write_dataset(folders[0], {"train": tiny_groups(320)})
    write_dataset(folders[1], {"train": tiny_groups(1280, seed=2, first_sample=90_000)})
    return folders


@pytest.fixture(scope="module")
def first(days, tmp_path_factory) -> Path:
    """A run after its first data set. Linear towers: see test_elastic_faults.py."""
    run: Path = tmp_path_factory.mktemp("first") / "run"
    done("train", "--data", str(days[0]), "--run", str(run), "--global-batch-records", "64", "--epochs", "1",
         "--embedding-dim", "4", "--linear-scale", "2", "--hidden-units")  # fmt: skip
    assert checkpoint_steps(Folder.open(run)) == [FIRST]
    return run


@pytest.fixture(scope="module")
def undisturbed(days, first, tmp_path_factory) -> Path:
    run: Path = tmp_path_factory.mktemp("undisturbed") / "run"
    shutil.copytree(first, run)
    done(*second(days, run))
    return run


def test_killed_at_any_step_and_started_again_it_ends_with_the_same_bytes(days, first, undisturbed, tmp_path):
    """Before its first step, before its first checkpoint, and after it."""
    run = tmp_path / "run"
    shutil.copytree(first, run)
    for moment in range(3):
        process = subprocess.Popen([*ESMM, *second(days, run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + 120
        reached = [
            lambda: True,
            lambda: len(read_data_sets(Folder.open(run))) == 2,
            lambda: max(checkpoint_steps(Folder.open(run))) > FIRST,
        ][moment]
        while process.poll() is None and not reached() and time.monotonic() < give_up:
            time.sleep(0.005)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    done("train", "--run", str(run))  # not told again
    assert largest_difference(saved_arrays(run, LAST), saved_arrays(undisturbed, LAST)) == 0
    for name in ("progressive.json", "train_log.jsonl", "data_sets.json"):
        assert (run / name).read_text() == (undisturbed / name).read_text()


def test_on_ranks_and_servers_it_ends_as_in_one_process(days, first, undisturbed, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(first, run)
    line = ["local", "--workers", "2", "--servers", "2", "--", *second(days, run)]
    done(*line, "--max-steps", "30")
    done(*line)
    assert largest_difference(saved_arrays(run, LAST), saved_arrays(undisturbed, LAST)) < BOUND
    assert "Nothing left to do" in done(*line)


def test_elastic_workers_that_are_killed_resume_from_memory_and_from_the_checkpoint_before(
    days, first, undisturbed, tmp_path
):
    run_folder = tmp_path / "run"
    shutil.copytree(first, run_folder)
    line = ["--workers", "2", "--min-workers", "1", "--servers", "2", "--", *second(days, run_folder)]
    with elastic_run(run_folder, line, log=tmp_path / "log") as run:
        run.wait_for_ranks(2)
        run.wait_for_step(FIRST + 20)
        victim = run.worker_of_rank(0)  # the new rank 0 learns from the other that the data set has begun
        assert victim is not None
        run.send(victim, signal.SIGKILL)
        run.wait_until(lambda: any(each["event"] == "went_on" for each in run.events()), 60, "going on")
        run.wait_for_step(FIRST + 100)
        run.send("server 0", signal.SIGKILL)  # its rows are those of the first data set again
        run.wait_until(lambda: any(each["event"] == "rolled_back" for each in run.events()), 90, "rolling back")
        run.wait_until(lambda: LAST in checkpoint_steps(Folder.open(run_folder)), 200, "the end")
    assert largest_difference(saved_arrays(run_folder, LAST), saved_arrays(undisturbed, LAST)) < BOUND
    assert (run_folder / "progressive.json").exists()
