"""Workers that come and go: scaled, stalled, stopped, killed with all others, and asked to end."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from launcher.driver.ranks import GLOO_TIMEOUT_S
from tests.support.elastic_run import ESMM, ElasticRun, elastic_run
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(1280), "test": tiny_groups(101, seed=2, first_sample=5000)})
    return folder


def training(data: Path, run: Path, steps: int, *more: str) -> list[str]:
    return [
        *("train", "--data", str(data), "--run", str(run), "--global-batch-records", "64", "--epochs", "400"),
        *("--max-steps", str(steps), "--checkpoint-every-steps", "50", "--keep-checkpoints", "1000"),
        *("--eval-every-steps", "0", "--embedding-dim", "4", *more, "--hidden-units"),  # see test_elastic_faults.py
    ]


def esmm(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ESMM, *args], capture_output=True, text=True, check=False)


def assert_as_undisturbed(run: Path, data: Path, alone: Path, bound: float) -> None:
    """Compare all checkpoints of a run with those of one process that made the same steps."""
    steps = checkpoint_steps(Folder.open(run))
    done = esmm(*training(data, alone, max(steps)))
    assert done.returncode == 0, done.stderr
    common = set(steps) & set(checkpoint_steps(Folder.open(alone)))
    assert max(steps) in common
    for step in common:
        assert largest_difference(saved_arrays(run, step), saved_arrays(alone, step)) < bound


def events(run: ElasticRun, name: str) -> list[dict[str, Any]]:
    return [each for each in run.events() if each["event"] == name]


@pytest.mark.slow  # its short form: test_elastic_faults.py
def test_workers_join_stall_leave_and_die_with_everything_and_the_model_is_the_same(data, tmp_path):
    run_folder = tmp_path / "run"
    line = ["--workers", "1", "--min-workers", "1", "--max-workers", "3", "--servers", "2", "--stall-seconds", "3"]
    line += ["--", *training(data, run_folder, 100_000)]
    with elastic_run(run_folder, line, log=tmp_path / "log") as run:
        run.wait_for_ranks(1)
        scaled = esmm("scale", str(run_folder), "--workers", "3", "--json")
        assert scaled.returncode == 0, scaled.stderr
        assert json.loads(scaled.stdout) | {"seconds": 0} == {"workers": 3, "before": 1, "seconds": 0}
        shown = esmm("status", str(run_folder), "--json")
        status = json.loads(shown.stdout)
        assert (status["ranks"], status["state"], len(status["workers"]), len(status["servers"])) == (
            3,
            "running",
            3,
            2,
        )
        assert "worker-2" in esmm("status", str(run_folder)).stdout

        stalled = run.wait_until(lambda: run.worker_of_rank(1), 10, "rank 1")
        run.send(stalled, signal.SIGSTOP)
        run.wait_until(lambda: events(run, "worker_stalled"), 30, "the stall")
        assert events(run, "worker_stalled")[0]["worker"] == stalled
        run.wait_for_ranks(3)
        # The first to notice a loss hangs up on the others; else they would wait for a timeout
        assert max(each["seconds"] for each in events(run, "met")) < GLOO_TIMEOUT_S

        assert esmm("scale", str(run_folder), "--workers", "2").returncode == 0
        run.wait_until(lambda: "agent worker-2" not in run.processes(), 20, "the end of its agent")
        too_many = esmm("scale", str(run_folder), "--workers", "4")
        assert (too_many.returncode, "--max-workers 3" in too_many.stderr) == (2, True)

        run.send("server 0", signal.SIGSTOP)
        run.wait_until(lambda: run.status().servers[0].state == "slow", 15, "a server that is called slow")
        run.send("server 0", signal.SIGCONT)
        run.wait_for_step(run.status().step + 1)

        for name in ("worker-0", "worker-1"):  # their machines are taken away, both at once
            run.send(name, signal.SIGTERM)
        began = run.wait_until(lambda: events(run, "began")[1:], 60, "a new beginning")[0]
        assert began["step"] == [each["step"] for each in events(run, "saved") if each["time"] < began["time"]][-1]
        assert began["step"] % 50 != 0  # the last to leave has saved
        assert run.status().rolled_back_steps == 0
        run.wait_for_ranks(2)

        step = run.status().step
        for process in run.processes().values():
            process.kill()
        run.send_self(signal.SIGKILL)
        run.wait_for_end()
        assert run.left_over() == []
    unheard = esmm("scale", str(run_folder), "--workers", "2", "--wait-s", "2")
    assert (unheard.returncode, "is not running" in unheard.stderr) == (2, True)

    with elastic_run(run_folder, line, log=tmp_path / "log") as run:  # the same command
        run.wait_until(lambda: len(events(run, "began")) > 2, 60, "the resumption")
        assert step - 50 <= events(run, "began")[-1]["step"] <= step + 50
        run.wait_for_step(step + 60)
        run.send_self(signal.SIGTERM)
        assert run.wait_for_end() == 0, run.tail()
        assert run.left_over() == []
    assert "Stopped by SIGINT at step" in run.tail()
    assert json.loads((run_folder / "status.json").read_text())["state"] == "stopped"
    assert_as_undisturbed(run_folder, data, tmp_path / "alone", 1e-5)


@pytest.fixture(scope="module")
def two_ranks(data, tmp_path_factory):
    """An undisturbed training of two ranks and two servers."""
    folder = tmp_path_factory.mktemp("two")
    line = ["--workers", "2", "--min-workers", "1", "--servers", "2", "--", *training(data, folder / "run", 250)]
    with elastic_run(folder / "run", line, log=folder / "log") as run:
        assert run.wait_for_end() == 0, run.tail()
    return folder / "run"


@pytest.mark.slow  # its short form: test_elastic_faults.py, which kills a server too
def test_after_the_loss_of_a_server_the_same_ranks_reach_the_same_bits(data, two_ranks, tmp_path):
    line = ["--workers", "2", "--min-workers", "1", "--servers", "2", "--", *training(data, tmp_path / "run", 250)]
    with elastic_run(tmp_path / "run", line, log=tmp_path / "log") as run:
        run.wait_for_ranks(2)
        run.wait_for_step(60)
        run.send("server 1", signal.SIGKILL)
        assert run.wait_for_end() == 0, run.tail()
        assert run.left_over() == []
    (back,) = events(run, "rolled_back")
    assert back["to_step"] % 50 == 0
    assert run.status().restarts["server lost"] == 1
    for step in checkpoint_steps(Folder.open(two_ranks)):
        assert largest_difference(saved_arrays(tmp_path / "run", step), saved_arrays(two_ranks, step)) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "most_lost"), [("bounded", 3), ("async", 2)])
def test_what_a_lost_rank_costs_in_bounded_and_async_is_counted_and_bounded(data, tmp_path, mode, most_lost):
    more = ("--update-mode", mode, "--max-staleness-steps", "2")
    line = ["--workers", "2", "--min-workers", "1", "--", *training(data, tmp_path / "run", 100_000, *more)]
    with elastic_run(tmp_path / "run", line, log=tmp_path / "log") as run:
        run.wait_for_ranks(2)
        run.send(run.wait_until(lambda: run.worker_of_rank(1), 10, "rank 1"), signal.SIGKILL)
        (went_on,) = run.wait_until(lambda: events(run, "went_on"), 30, "a new beginning")
        assert 0 <= went_on["lost_sparse_steps"] <= most_lost
        run.wait_until(
            lambda: run.status().lost_sparse_steps == went_on["lost_sparse_steps"], 10, "the count in the status"
        )
        run.send_self(signal.SIGINT)
        assert run.wait_for_end() == 0, run.tail()


def test_an_error_that_no_restart_mends_is_told_once(data, tmp_path):
    damaged = tmp_path / "data"
    write_dataset(damaged, {"train": tiny_groups(1280)})
    shard = max((damaged / "train").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    bytes_before = bytearray(shard.read_bytes())
    bytes_before[len(bytes_before) // 2] ^= 1
    shard.write_bytes(bytes_before)
    line = ["--workers", "2", "--min-workers", "1", "--", *training(damaged, tmp_path / "run", 400)]
    start = time.monotonic()
    with elastic_run(tmp_path / "run", line, log=tmp_path / "log") as run:
        assert run.wait_for_end() == 1
    assert time.monotonic() - start < 120
    assert shard.name in run.tail(3)
    assert run.status().state == "failed"
    assert "worker_lost" not in [each["event"] for each in run.events()][:-3]
