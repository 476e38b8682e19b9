"""The map from ids to row numbers holds all that was put into it, and nothing else."""

import numpy as np
import pytest

from esmm_dist.embedding.id_map import IdMap
from esmm_dist.embedding.slab import Slab


def test_all_ids_are_found_while_the_map_grows_and_others_are_not():
    ids = np.random.default_rng(0).permutation(60_000) * 1_000_003
    rows = IdMap()
    for start in range(0, len(ids), 1000):
        rows.put(ids[start : start + 1000], np.arange(start, start + 1000))
        expected = np.where(np.arange(len(ids)) < start + 1000, np.arange(len(ids)), -1)
        np.testing.assert_array_equal(rows.find(ids), expected)
        assert len(rows) == start + 1000


def test_growth_keeps_ids_that_were_removed_out_and_the_new_number_of_an_id():
    rows, ids = IdMap(), np.arange(40_000)
    rows.put(ids[:20_000], ids[:20_000])
    rows.remove(ids[:20_000:2])
    rows.put(ids[1:20_000:2], 100_000 + ids[1:20_000:2])
    rows.put(ids[20_000:], ids[20_000:])
    expected = np.where(ids >= 20_000, ids, np.where(ids % 2 == 0, -1, 100_000 + ids))
    np.testing.assert_array_equal(rows.find(ids), expected)
    assert len(rows) == 30_000


def test_a_map_from_which_all_ids_were_removed_is_as_one_that_had_none():
    rows = IdMap(expected_ids=4000)
    rows.put(np.arange(4000), np.arange(4000))
    assert rows._lines.rows.view(np.uint32)[: rows._num_lines, 15].any()  # some lines were passed
    rows.remove(np.random.default_rng(0).permutation(4000))
    assert len(rows) == 0
    assert not rows._lines.rows[: rows._num_lines].any()


def test_a_map_that_was_made_for_its_ids_does_not_grow(monkeypatch):
    monkeypatch.setattr(IdMap, "_grow", lambda *_: pytest.fail("it grows"))
    IdMap(expected_ids=50_000).put(np.arange(50_000), np.arange(50_000))


def test_a_pair_takes_16_to_21_bytes(monkeypatch):
    rows = IdMap()
    for start in range(0, 200_000, 1000):
        rows.put(np.arange(start, start + 1000), np.arange(start, start + 1000))
        # A line is 64 bytes and holds 4 pairs when it is added to; then there are 1.3 times as many lines
        assert start < 2000 or 16 <= 64 * rows._num_lines / (start + 1000) <= 21


def test_the_lines_of_a_map_that_has_grown_are_given_back(monkeypatch):
    given_back = []
    monkeypatch.setattr(Slab, "give_back", lambda slab, first: given_back.append((slab, first)))
    rows = IdMap()
    old = rows._lines
    rows.put(np.arange(2000), np.arange(2000))
    assert given_back == [(old, 0)]


def test_ids_that_differ_in_a_few_bits_anywhere_spread_over_the_lines():
    # as hashed fields do: a field number above, values below
    for shift in (0, 8, 24, 40, 52):
        rows = IdMap(expected_ids=4000)
        rows.put(np.arange(4000, dtype=np.int64) << shift, np.arange(4000))
        # With 4 of 5 places full, about 30 of 100 lines have been passed; by 1 pair most of them
        passed = rows._lines.rows.view(np.uint32)[: rows._num_lines, 15]
        assert (passed > 0).mean() < 0.5
        assert passed.max() < 50


def test_ids_of_any_layout_in_memory_are_taken():
    rows = IdMap()
    apart = np.arange(20)[::2]  # not contiguous
    unaligned = np.frombuffer(b"\0" + np.arange(100, 110).tobytes(), dtype=np.int64, offset=1)  # nor aligned, read-only
    rows.put(apart, np.arange(10))
    rows.put(unaligned, np.arange(10, 20)[::-1])
    assert rows.find(apart).tolist() == list(range(10))
    assert rows.find(unaligned).tolist() == list(range(19, 9, -1))
