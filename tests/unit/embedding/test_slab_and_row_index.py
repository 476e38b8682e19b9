"""Where rows are in memory, and how an id finds its row."""

import errno
import mmap
import threading

import numpy as np
import pytest

from esmm_dist.embedding.row_index import RowIndex
from esmm_dist.embedding.slab import Slab
from esmm_dist.errors import StackError


def test_a_slab_begins_as_zeros_and_keeps_what_is_written_at_its_far_end():
    slab = Slab(columns=3, dtype=np.float32, max_rows=1_000_000)
    view = slab.rows[:2]
    view[:] = 7.0
    slab.rows[999_999] = 9.0  # pages of their own: the first rows stay where they are
    assert slab.rows[:3].tolist() == [[7.0] * 3, [7.0] * 3, [0.0] * 3]
    assert slab.rows[999_999].tolist() == [9.0] * 3
    assert view.base is not None
    assert np.shares_memory(view, slab.rows)


def test_a_slab_of_no_columns_is_refused():
    with pytest.raises(ValueError, match="a slab needs at least one column"):
        Slab(columns=0, dtype=np.float32, max_rows=5)


def test_put_writes_whole_rows_at_their_numbers():
    slab = Slab(columns=2, dtype=np.float32, max_rows=10)
    slab.put(np.array([7, 2]), np.array([[1, 2], [3, 4]], dtype=np.float32))
    assert slab.rows[:8].tolist() == [[0, 0]] * 2 + [[3, 4]] + [[0, 0]] * 4 + [[1, 2]]


def test_a_slab_reserves_for_all_the_memory_of_the_machine():
    import os

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert Slab(columns=4, dtype=np.float32).max_rows == memory // 16


def test_a_refused_reservation_says_what_to_raise(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(StackError, match=r"Cannot reserve 4\.0 GiB .*Cannot allocate memory.*ulimit -v"):
        Slab(columns=1024, dtype=np.float32, max_rows=1 << 20)


def test_an_index_finds_what_was_added_and_minus_one_elsewhere():
    index = RowIndex("t")
    index.set(np.array([-3, 5, 1 << 60]), np.array([0, 1, 2]))
    assert index.find(np.array([5, 6, -3, 1 << 60, 0])).tolist() == [1, -1, 0, 2, -1]
    assert len(index) == 3


def test_nothing_added_and_nothing_asked_are_harmless():
    index = RowIndex("t")
    nothing = np.empty(0, dtype=np.int64)
    index.set(nothing, nothing)
    assert index.find(nothing).tolist() == []
    assert len(index) == 0


def test_two_living_indexes_of_one_name_share_nothing():
    first, second = RowIndex("main"), RowIndex("main")
    first.set(np.array([1]), np.array([4]))
    assert second.find(np.array([1])).tolist() == [-1]


def test_ids_that_share_a_cache_slot_are_told_apart():
    # The cache's slot is the high bits of id * golden mod 2^64: ids a and b share one if (a - b) * golden is small
    golden = 0x9E3779B97F4A7C15
    difference = pow(golden, -1, 1 << 64)  # (a - b) * golden = 1: the next hash value, the same slot
    other = difference - (1 << 64) if difference >= 1 << 63 else difference
    ids = np.array([0, other], dtype=np.int64)
    index = RowIndex("shared_slot")
    index.set(ids[:1], np.array([5]))
    np.testing.assert_array_equal(index.find(ids), [5, -1])
    index.set(ids[1:], np.array([6]))
    for _ in range(2):
        np.testing.assert_array_equal(index.find(ids[:1]), [5])
        np.testing.assert_array_equal(index.find(ids[1:]), [6])
        np.testing.assert_array_equal(index.find(ids), [5, 6])


def test_finding_beside_adding_gives_the_row_or_none_and_never_another():
    index = RowIndex("beside")
    ids = np.arange(200_000, dtype=np.int64) * 7
    wrong = []

    def add() -> None:
        for start in range(0, len(ids), 1000):
            index.set(ids[start : start + 1000], np.arange(start, start + 1000))

    thread = threading.Thread(target=add)
    thread.start()
    while thread.is_alive():
        found = index.find(ids)
        wrong += found[(found != -1) & (found != np.arange(len(ids)))].tolist()
    thread.join()
    assert not wrong
    np.testing.assert_array_equal(index.find(ids), np.arange(len(ids)))
