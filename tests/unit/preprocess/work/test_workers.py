"""Tasks and their kept results."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.progress import NoProgress
from preprocess.work.folder import replaced, write_text
from preprocess.work.workers import PoolTask, Result, open_pool


class Advances(NoProgress):
    """Adds up what the bar was told."""

    def __init__(self) -> None:
        self.done = 0.0

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount


def double(number: int) -> Result:
    return {"number": 2 * number}


def tasks(count: int) -> list[PoolTask]:
    return [PoolTask(name=f"task-{n}", function=double, arguments={"number": n}, size=1.0) for n in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_and_its_result_comes_with_its_name(tmp_path: Path, workers: int):
    progress = Advances()
    with open_pool(tmp_path, workers) as pool:
        results = pool.run_all(tasks(7), progress)
    assert results == {f"task-{n}": {"number": 2 * n} for n in range(7)}
    assert progress.done == 7


def test_a_task_that_is_done_is_not_done_again(tmp_path: Path):
    with open_pool(tmp_path, 1) as pool:
        pool.run_all(tasks(2), NoProgress())
    write_text(tmp_path / "done/task-1.json", '{"number": "kept"}')
    progress = Advances()
    with open_pool(tmp_path, 1) as pool:
        results = pool.run_all(tasks(3), progress)
    assert results == {"task-0": {"number": 0}, "task-1": {"number": "kept"}, "task-2": {"number": 4}}
    assert progress.done == 3


def test_work_of_this_process_is_done_once(tmp_path: Path):
    calls = []

    def work() -> Result:
        calls.append(1)
        return {"n": len(calls)}

    for _ in range(2):
        with open_pool(tmp_path, 1) as pool:
            assert pool.once("all-work", work) == {"n": 1}
    assert calls == [1]


def test_work_that_fails_is_not_kept(tmp_path: Path):
    def fails() -> Result:
        raise ValueError("no")

    with open_pool(tmp_path, 1) as pool:
        with pytest.raises(ValueError, match="no"):
            pool.once("all-work", fails)
        assert pool.result("all-work") is None
        assert pool.once("all-work", dict) == {}


def test_tasks_are_made_only_a_few_ahead_of_the_workers(tmp_path: Path):
    """They may carry data, which memory would not hold for all of them."""
    made = []

    def lazily(count: int) -> Iterator[PoolTask]:
        for task in tasks(count):
            made.append(task)
            yield task

    with open_pool(tmp_path, 1) as pool:
        running = pool.run(lazily(10), NoProgress())
        next(iter(running))
        assert len(made) == 1


def test_a_file_has_its_name_only_when_it_is_written_in_full(tmp_path: Path):
    (tmp_path / "a").write_text("before")
    with pytest.raises(KeyboardInterrupt), replaced(tmp_path / "a") as temporary:  # noqa: PT012 - a kill half-way
        temporary.write_text("hal")
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_text() == "before"
    with replaced(tmp_path / "a") as temporary:
        temporary.write_text("after")
    assert (tmp_path / "a").read_text() == "after"
