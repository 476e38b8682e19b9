"""More rows than the memory should hold are sorted: by runs, by files, by ranks."""

import errno
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.errors import StorageError
from esmm_dist.model.metrics.sorted_runs import MemoryRun, SpillFile, merged, merged_over_ranks, sorted_order
from tests.support.thread_ranks import on_thread_ranks

DTYPES = (np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_))


def made_runs(sizes, seed):
    """Return sorted runs of (int64, float64, bool), the first two being keys, with many ties."""
    random = np.random.default_rng(seed)
    runs = []
    for size in sizes:
        columns = (random.integers(0, 4, size), random.integers(0, 5, size) / 3, random.random(size) < 0.5)
        order = sorted_order(columns[:2])
        runs.append(tuple(column[order] for column in columns))
    return runs


def rows_of(blocks):
    return [row for block in blocks for row in zip(*(column.tolist() for column in block), strict=True)]


def assert_merged(blocks, runs):
    """Check that the rows are those of the runs, in the order of their keys."""
    rows, expected = rows_of(blocks), rows_of(runs)
    assert [row[:2] for row in rows] == sorted(row[:2] for row in expected)
    assert sorted(rows) == sorted(expected)


sizes = st.lists(st.integers(0, 30), max_size=5)


@given(sizes, st.integers(1, 40), st.booleans(), st.integers(0, 9))
def test_merged_runs_are_the_rows_of_all_in_order(lengths, rows_in_memory, in_file, seed):
    runs = made_runs(lengths, seed)
    file = SpillFile()
    kept = [file.write(run) if in_file else MemoryRun(run) for run in runs]
    assert_merged(merged(kept, 2, rows_in_memory=rows_in_memory), runs)
    file.close()


@pytest.mark.parametrize("rows_in_memory", [4, 40, 400])
def test_no_more_rows_are_held_than_is_said(rows_in_memory):
    """What a merge has read is what it has yielded and what it holds."""
    runs = made_runs([300, 200, 1, 500], seed=1)
    reads = [0]

    class Counted(MemoryRun):
        def rows(self, first, end):
            reads[0] += min(end, len(self)) - first
            return super().rows(first, end)

    yielded = 0
    for block in merged([Counted(run) for run in runs], 2, rows_in_memory=rows_in_memory):
        assert reads[0] - yielded <= rows_in_memory
        yielded += len(block[0])
    assert yielded == reads[0] == 1001


@pytest.mark.parametrize("lengths", [[[50], [70], [1]], [[], [20, 30], []], [[], [], []], [[0], [9, 9], [40]]])
@pytest.mark.parametrize("rows_in_memory", [3, 1000])
def test_the_rows_of_all_ranks_are_merged_on_each(lengths, rows_in_memory):
    runs = [made_runs(of_rank, seed) for seed, of_rank in enumerate(lengths)]

    def work(world):
        own = merged([MemoryRun(run) for run in runs[world.rank]], 2, rows_in_memory=rows_in_memory)
        return [tuple(column.copy() for column in block) for block in merged_over_ranks(own, DTYPES, 2, world)]

    for blocks in on_thread_ranks(work, size=3):
        assert_merged(blocks, [run for of_rank in runs for run in of_rank])
        assert all(column.flags.c_contiguous for block in blocks for column in block)


def test_a_spill_file_has_no_name_and_gives_its_space_back(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = SpillFile()
    run = file.write((np.arange(5), np.array([True] * 5)))
    assert list(tmp_path.iterdir()) == []  # so nothing is left of a process that is killed
    assert [column.tolist() for column in run.rows(3, 9)] == [[3, 4], [True, True]]
    opened = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert any(path.startswith(str(tmp_path)) for path in opened)
    file.close()
    file.close()
    opened = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert not any(path.startswith(str(tmp_path)) for path in opened)


def test_a_full_disk_is_an_error_that_names_the_folder_and_how_to_choose_another(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = SpillFile()
    file.write((np.arange(5),))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(
        StorageError,
        match=rf"{tmp_path}: the scores of an evaluation cannot be written \(No space left on device; 40 bytes "
        r"were\)\. Free space there, or choose another place: TMPDIR names the folder",
    ):
        file.write((np.arange(5),))
    file.close()
