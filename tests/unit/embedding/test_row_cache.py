"""The cache in front of the index: what it holds is right, and nearly everything is in it."""

import numpy as np

from esmm_dist.embedding.row_cache import RowCache


def test_nearly_all_pairs_are_found_while_the_cache_grows():
    cache = RowCache()
    ids = np.random.default_rng(0).permutation(60_000) * 1_000_003
    for start in range(0, len(ids), 1000):
        cache.put(ids[start : start + 1000], np.arange(start, start + 1000))
        found = cache.find(ids[: start + 1000])
        held = found != -1
        np.testing.assert_array_equal(found[held], np.flatnonzero(held))
        # Poisson: of pairs in lines of two on average, the fullest that linear hashing has, 3.8% are beyond the fourth
        assert held.mean() > 0.95


def test_ids_that_differ_in_a_few_bits_anywhere_spread_over_the_lines():
    # as hashed fields do: a field number above, values below
    for shift in (0, 8, 24, 40, 52):
        cache = RowCache()
        ids = np.arange(4000, dtype=np.int64) << shift
        cache.put(ids, np.arange(4000))
        assert (cache.find(ids) != -1).mean() > 0.97


def test_a_pair_that_was_dropped_or_removed_is_not_found():
    cache = RowCache()
    ids = np.arange(5000)
    cache.put(ids, ids)
    cache.remove(ids[::2])
    found = cache.find(ids)
    assert (found[::2] == -1).all()
    assert set(found[1::2].tolist()) <= {-1, *ids[1::2].tolist()}


def test_ids_of_any_layout_in_memory_are_taken():
    cache = RowCache()
    apart = np.arange(20)[::2]  # not contiguous
    unaligned = np.frombuffer(b"\0" + np.arange(100, 110).tobytes(), dtype=np.int64, offset=1)  # nor aligned, read-only
    cache.put(apart, np.arange(10))
    cache.put(unaligned, np.arange(10, 20)[::-1])
    assert cache.find(apart).tolist() == list(range(10))
    assert cache.find(unaligned).tolist() == list(range(19, 9, -1))
