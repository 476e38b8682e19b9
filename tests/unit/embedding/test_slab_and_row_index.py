"""Where rows are in memory, and how an id finds its row."""

import errno
import mmap
import threading

import numpy as np
import pytest

from esmm_dist.arrays import I64, Ids
from esmm_dist.embedding.admission import MOST_COUNTED_IMPRESSIONS
from esmm_dist.embedding.row_index import (
    NO_ROW,
    RowIndex,
    candidate_code,
    candidate_impressions,
    candidate_last_step,
)
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
    index.set_rows(np.array([-3, 5, 1 << 60]), np.array([0, 1, 2]))
    assert index.find(np.array([5, 6, -3, 1 << 60, 0])).tolist() == [1, -1, 0, 2, -1]
    assert len(index) == 3


def test_nothing_added_and_nothing_asked_are_harmless():
    index = RowIndex("t")
    nothing = np.empty(0, dtype=np.int64)
    index.set_rows(nothing, nothing)
    index.set_candidates(nothing, nothing)
    index.remove(nothing)
    assert index.find(nothing).tolist() == []
    assert len(index) == 0


def test_two_living_indexes_of_one_name_share_nothing():
    first, second = RowIndex("main"), RowIndex("main")
    first.set_rows(np.array([1]), np.array([4]))
    assert second.find(np.array([1])).tolist() == [-1]


def ids_of_one_line(count: int) -> Ids:
    """Return ids whose search begins in one line, whatever the number of lines up to 65,536."""
    tried = np.arange(40_000_000, 40_000_000 + count * (1 << 16) * 3, dtype=np.int64)
    mixed = tried.view(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    chosen: Ids = tried[mixed >> np.uint64(48) == 7][:count]
    assert len(chosen) == count
    return chosen


def test_ids_that_share_a_full_line_are_all_found():
    ids = ids_of_one_line(9)
    index = RowIndex("one_line")
    for number in range(9):
        index.set_rows(ids[number : number + 1], np.array([number]))
    assert index.find(ids).tolist() == list(range(9))
    index.remove(ids[:4])  # those in the first line: the others are further on
    assert index.find(ids).tolist() == [-1] * 4 + [4, 5, 6, 7, 8]


def test_candidates_are_found_as_they_were_counted_last():
    index = RowIndex("candidates")
    ids = np.array([4, 9])
    for impressions in (1, 2, 7):
        index.set_candidates(ids, candidate_code(np.array([impressions, impressions + 1]), 5 * impressions))
        codes = index.find(ids)
        assert candidate_impressions(codes).tolist() == [impressions, impressions + 1]
        assert candidate_last_step(codes).tolist() == [5 * impressions] * 2
    index.set_rows(ids[:1], np.array([3]))
    assert index.find(ids)[0] == 3
    left = index.candidates()
    assert (left.ids.tolist(), left.impressions.tolist(), left.last_step.tolist()) == ([9], [8], [35])


def test_codes_of_candidates_hold_the_largest_counts_and_steps_and_are_told_from_rows():
    most, last = MOST_COUNTED_IMPRESSIONS, 2**31 - 1
    codes = candidate_code(np.array([1, 1, most, most]), np.array([0, last, 0, last]))
    assert candidate_impressions(codes).tolist() == [1, 1, most, most]
    assert candidate_last_step(codes).tolist() == [0, last, 0, last]
    assert (codes < NO_ROW).all()
    assert candidate_impressions(np.array([NO_ROW])).tolist() == [0]
    index = RowIndex("largest")
    index.set_candidates(np.arange(4), codes)
    for _ in range(2):
        assert index.find(np.arange(4)).tolist() == codes.tolist()


def test_an_id_that_gets_a_row_is_found_at_any_moment(monkeypatch):
    ids = np.array([4, 9])
    index = RowIndex("admitted")
    index.set_candidates(ids, candidate_code(np.array([1, 1]), 1))
    remove, found_between = index._candidates.remove, []

    def find_and_remove(asked):
        found_between.extend(index.find(ids).tolist())
        return remove(asked)

    monkeypatch.setattr(index._candidates, "remove", find_and_remove)
    index.set_rows(ids, np.array([0, 1]))
    assert found_between == [0, 1]
    assert (len(index), index.num_candidates) == (2, 0)


def test_the_row_numbers_are_read_and_written_under_the_lock_only(monkeypatch):
    # A pair is two numbers. Without the lock a reader meets half of one, but too seldom for a test to wait for it
    index = RowIndex("locked")
    calls = []
    for name in ("find", "put", "remove"):
        method = getattr(index._rows, name)

        def checked(*arguments, name=name, method=method):
            assert index._lock.locked()
            calls.append(name)
            return method(*arguments)

        monkeypatch.setattr(index._rows, name, checked)
    ids = np.arange(9)
    index.set_rows(ids, np.arange(9))
    index.find(ids)
    index.remove(ids)
    assert calls == ["put", "find", "remove"]


def test_finding_beside_all_kinds_of_changes_never_gives_a_code_of_another_id():
    """Two threads find while pairs are set, replaced, put beyond full lines, moved to more lines, and removed."""
    index = RowIndex("stress")
    crowded, others = ids_of_one_line(40), np.arange(1, 30_001, dtype=np.int64)
    ids = np.concatenate([crowded, others])
    own = np.arange(len(ids))  # a code is 100,000 · version + the id's place, or that as a candidate
    wrong: list[int] = []
    done = threading.Event()

    def find(places: I64) -> None:
        asked = ids[places]
        while not done.is_set():
            codes = index.find(asked)
            found = np.where(codes >= 0, codes, -2 - codes) % 100_000
            wrong.extend(codes[(codes != -1) & (found != places)].tolist())

    # one reads the crowded line all the time, the other all lines
    finders = [threading.Thread(target=find, args=(places,)) for places in (np.tile(own[:40], 500), own)]
    for finder in finders:
        finder.start()
    random = np.random.default_rng(0)
    for version in range(1, 300):
        places = np.concatenate([random.permutation(40)[:20], 40 + random.choice(min(30_000, version * 200), 300)])
        places = np.unique(places)
        codes = 100_000 * version + places
        rows = places % 2 == 0
        index.set_rows(ids[places[rows]], codes[rows])
        index.set_candidates(ids[places[~rows]], -2 - codes[~rows])
        index.remove(ids[random.permutation(places)[:50]])
    done.set()
    for finder in finders:
        finder.join()
    assert not wrong
    everything = 100_000 + own
    index.set_rows(ids, everything)
    np.testing.assert_array_equal(index.find(ids), everything)


def test_finding_beside_adding_gives_the_row_or_none_and_never_another():
    index = RowIndex("beside")
    ids = np.arange(200_000, dtype=np.int64) * 7
    wrong = []

    def add() -> None:
        for start in range(0, len(ids), 1000):
            index.set_rows(ids[start : start + 1000], np.arange(start, start + 1000))

    thread = threading.Thread(target=add)
    thread.start()
    while thread.is_alive():
        found = index.find(ids)
        wrong += found[(found != -1) & (found != np.arange(len(ids)))].tolist()
    thread.join()
    assert not wrong
    np.testing.assert_array_equal(index.find(ids), np.arange(len(ids)))
