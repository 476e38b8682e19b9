"""Runs that are killed, stopped, or lose a worker; and the bound on memory."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from esmm_dist.errors import StackError
from esmm_dist.progress import NoProgress
from preprocess.work.folder import WORK_NAME
from preprocess.work.workers import PoolTask, Result, open_pool
from tests.unit.preprocess.raw_logs import common_line, files, item, key_of, make_log, run, skeleton_line, small_schema

# A process of its own, with small chunks and slices, so that small data passes through every stage many times.
PROGRAM = """
import signal, sys
from pathlib import Path
import preprocess.run, preprocess.work.merge_blocks, preprocess.write.lanes, preprocess.write.merge_records
from esmm_dist.progress import NoProgress
from preprocess.config import PreprocessConfig
from preprocess.memory_plan import MemoryPlan

if __name__ == "__main__":
    # A shell starts what it runs in the background with SIGINT ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    preprocess.write.lanes.SLICE_BYTES = 30_000
    preprocess.work.merge_blocks.BLOCK_BYTES = 10_000  # so that files of rows, and of records, are merged
    preprocess.write.merge_records.MOST_FILES = 3
    raw, out, schema, workers = sys.argv[1:]
    plan = MemoryPlan(workers=int(workers), partitions=6, partition_limit_bytes=10_000, chunk_bytes=20_000)
    preprocess.run.plan_memory = lambda **_: plan
    config = PreprocessConfig(
        raw=Path(raw), out=Path(out), schema=schema, min_count=1, group_size=4, lanes=5, max_reject_share=0.5
    )
    preprocess.run.preprocess(config, NoProgress())
"""

INTERRUPTED = """
import sys
from pathlib import Path
from esmm_dist.progress import NoProgress
from preprocess.work.workers import PoolTask, open_pool
from tests.support.worst_moment import interrupt_in_locks

if __name__ == "__main__":
    interrupt_in_locks(int(sys.argv[2]))
    with open_pool(Path(sys.argv[1]), 2) as pool:
        pool.run_all([PoolTask(name=f"task-{i}", function=dict) for i in range(9)], NoProgress())
"""


@contextmanager
def started(folder: Path, program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program as the leader of a new process group, of which nothing is left after the block."""
    (folder / "program.py").write_text(program)
    command = [sys.executable, str(folder / "program.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(
            command, start_new_session=True, env=environment, stdout=said, stderr=said, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def preprocessing(folder: Path, out: Path, workers: int) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run preprocess."""
    return started(folder, PROGRAM, str(folder / "raw"), str(out), str(small_schema(folder)), str(workers))


def big_log(folder: Path) -> None:
    log = make_log(3000, 90)
    log.skeleton["train"][100:100] = [b"damaged", log.skeleton["train"][7]]
    log.write(folder / "raw")


def test_killed_again_and_again_it_ends_with_the_same_bytes(tmp_path: Path):
    """SIGKILL to all of it when so many tasks are done; every stage is hit, among them the last moves."""
    big_log(tmp_path)
    with preprocessing(tmp_path, tmp_path / "whole", 1) as process:
        assert process.wait() == 0
    expected = files(tmp_path / "whole")
    assert {"manifest.json", "vocabulary.parquet", "rejects/train.jsonl"} < set(expected)
    out = tmp_path / "out"
    kills = 0
    for done_before_kill, workers in ((1, 1), (9, 1), (21, 2), (40, 1), (58, 1), (75, 1), (95, 1)):
        with preprocessing(tmp_path, out, workers) as process:
            while process.poll() is None and _tasks_done(out) < done_before_kill:
                time.sleep(0.002)
            if process.poll() is None:
                assert not (out / "manifest.json").exists()
                _kill(process)
                kills += 1
    assert kills >= 5
    with preprocessing(tmp_path, out, 1) as process:
        assert process.wait() == 0
    assert files(out) == expected


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill all but the process that removes multiprocessing's semaphores, which would stay on this machine."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if not any("resource_tracker" in word for word in child.cmdline()):
                child.kill()
    process.kill()
    process.wait()
    _wait_for_end_of_group(process.pid)


def _tasks_done(out: Path) -> int:
    done = out / WORK_NAME / "done"
    return len(list(done.glob("*.json"))) if done.is_dir() else 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_stopped_by_a_signal_it_leaves_no_process_and_can_continue(tmp_path: Path, number: signal.Signals):
    big_log(tmp_path)
    with preprocessing(tmp_path, tmp_path / "out", 2) as process:
        while _tasks_done(tmp_path / "out") < 2:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(number)
        assert process.wait(timeout=60) != 0
        _wait_for_end_of_group(process.pid)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_the_middle_of_the_executors_locks_ends_it_too(tmp_path: Path, number: signal.Signals):
    with started(tmp_path, INTERRUPTED, str(tmp_path), str(int(number))) as process:
        assert process.wait(timeout=60) != 0
        _wait_for_end_of_group(process.pid)
    said = (tmp_path / "said").read_text()
    assert said.startswith("interrupted\n")
    assert said.endswith("StoppedBySignal\n")


def _wait_for_end_of_group(group: int) -> None:
    deadline = time.monotonic() + 30  # multiprocessing's own helper ends a moment after its parent
    while _group_lives(group):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _die() -> Result:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_worker_that_dies_is_reported_with_what_to_do(tmp_path: Path):
    tasks = [PoolTask(name=f"task-{i}", function=_die) for i in range(3)]
    with (
        pytest.raises(StackError, match=r"A worker process of preprocess died.*smaller --memory-gb or fewer --workers"),
        open_pool(tmp_path, 2) as pool,
    ):
        pool.run_all(tasks, NoProgress())


def test_result_of_a_done_task_is_not_computed_again(tmp_path: Path):
    calls: list[int] = []

    def work() -> Result:
        calls.append(1)
        return {"answer": 42}

    for _ in range(2):
        with open_pool(tmp_path, 1) as pool:
            assert pool.run_all([PoolTask(name="t", function=work)], NoProgress()) == {"t": {"answer": 42}}
    assert calls == [1]


def test_crash_while_the_files_move_is_finished_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw = make_log().write(tmp_path / "raw")
    expected = run(raw, tmp_path / "whole")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("preprocess.write.publish.write_durable", crash)
        with pytest.raises(KeyboardInterrupt):
            run(raw, tmp_path / "out")
    assert (tmp_path / "out" / "train").is_dir()
    assert not (tmp_path / "out" / "manifest.json").exists()
    shutil.copytree(tmp_path / "out", tmp_path / "other")
    assert run(raw, tmp_path / "out") == expected
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    # Or by a run with other settings: nothing of the first one is left.
    for path in raw.glob("*_test.csv"):
        path.unlink()
    run(raw, tmp_path / "other", lanes=2)
    run(raw, tmp_path / "whole2", lanes=2)
    assert files(tmp_path / "other") == files(tmp_path / "whole2")


def test_memory_stays_under_the_bound_with_more_input_than_it_may_hold(tmp_path: Path):
    """More than 200 MB of text with 0.2 GB beside libraries; one user has 225,000 impressions: its partition is cut."""
    folder = tmp_path / "raw"
    folder.mkdir()
    long_list = common_line("", [("109_14", 9000 + k, 0.5) for k in range(1100)]).encode()
    with (folder / "common_features_train.csv").open("wb") as file:
        for u in range(8_000):
            file.write(key_of(u).encode() + long_list + b"\n")
    more = [("210", 4100 + k, 2) for k in range(12)]
    lines = [skeleton_line(0, n % 2, 0, key_of(n if n % 2 else 1), [*more, *item(n)]).encode() for n in range(9000)]
    with (folder / "sample_skeleton_train.csv").open("wb") as file:
        for block in range(50):
            file.write(b"".join(b"%d%s\n" % (block * 9000 + n, line[1:]) for n, line in enumerate(lines)))
    assert sum(path.stat().st_size for path in folder.iterdir()) > 200_000_000
    program = (
        "import sys; from tests.unit.preprocess.raw_logs import run; from pathlib import Path;"
        "run(Path(sys.argv[1]), Path(sys.argv[2]), memory_gb=0.35, group_size=64, schema=sys.argv[3]);"
        # not ru_maxrss, which a process inherits from the one that started it
        "print(Path('/proc/self/status').read_text())"
    )
    # pandas is here for other tests. PyArrow imports it where it finds it, for another 41 MB that are not preprocess's
    (tmp_path / "without").mkdir()
    (tmp_path / "without/pandas.py").write_text("raise ImportError('not at run time')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "without"), *sys.path])}
    arguments = [sys.executable, "-c", program, str(folder), str(tmp_path / "out"), str(small_schema(tmp_path))]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
    peak, mapped = (int(kb) * 1024 for kb in re.findall(r"^(?:VmHWM|RssFile):\s+(\d+) kB", found.stdout, re.MULTILINE))
    # Of the 230 MB that the plan counts for a process, 145 are pages of library files. How many more of them count as
    # resident is the kernel's choice (by its size of read-ahead and folio), which takes them back where memory is short
    assert peak - mapped < 350_000_000 - 145_000_000
