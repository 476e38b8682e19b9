"""The hash of ids, and the buckets that follow from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.embedding.hashing import mix64
from esmm_dist.embedding.placement import NUM_BUCKETS, bucket_of, bucket_ranges

_MASK = (1 << 64) - 1
_GOLDEN, _M1, _M2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
int64s = st.integers(-(1 << 63), (1 << 63) - 1)


def splitmix(number: int, seed: int) -> int:
    """The finaliser in Python's own integers."""
    h = (number + (seed + 1) * _GOLDEN) & _MASK
    h = ((h ^ (h >> 30)) * _M1) & _MASK
    h = ((h ^ (h >> 27)) * _M2) & _MASK
    return h ^ (h >> 31)


def unmixed(h: int, seed: int) -> int:
    """The inverse: odd factors have an inverse modulo 2^64, and a right shift by s is undone s bits at a time."""

    def unshifted(x, shift):
        result = x
        for _ in range(64 // shift):
            result = x ^ (result >> shift)
        return result

    h = (unshifted(h, 31) * pow(_M2, -1, 1 << 64)) & _MASK
    h = (unshifted(h, 27) * pow(_M1, -1, 1 << 64)) & _MASK
    number: int = (unshifted(h, 30) - (seed + 1) * _GOLDEN) & _MASK
    return number


@given(number=int64s, seed=st.integers(0, 1 << 40))
def test_mix64_is_splitmix_and_can_be_inverted(number, seed):
    (mixed,) = mix64(np.array([number], dtype=np.int64), seed).tolist()
    assert mixed == splitmix(number, seed)
    assert unmixed(mixed, seed) == number & _MASK


def test_the_first_output_of_splitmix64_with_seed_zero_is_the_published_one():
    # SplitMix64's stream from state 0 begins with finaliser(0 + golden), which is mix64(0); java.util and the reference
    # C code print this number
    assert mix64(np.array([0], dtype=np.int64)).tolist() == [0xE220A8397B1DCDAF]


def test_another_seed_is_another_hash():
    ids = np.arange(1000)
    assert not np.any(mix64(ids, 1) == mix64(ids, 2))


@given(st.lists(int64s, max_size=20))
def test_a_bucket_is_the_hash_modulo_4096(ids):
    assert bucket_of(np.array(ids, dtype=np.int64)).tolist() == [splitmix(i, 0) % 4096 for i in ids]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 64, 1000, 4095, 4096])
def test_ranges_partition_the_buckets_and_bucket_b_lies_in_range_b_times_n_over_4096(parts):
    ranges = bucket_ranges(parts)
    assert len(ranges) == parts
    place = [number for number, (first, last) in enumerate(ranges) for _ in range(first, last)]
    assert place == [bucket * parts // NUM_BUCKETS for bucket in range(NUM_BUCKETS)]


@pytest.mark.parametrize("parts", [0, -1, 4097])
def test_a_number_of_ranges_that_buckets_cannot_fill_is_refused(parts):
    with pytest.raises(ValueError, match=rf"parts is {parts}; it must be in 1\.\.4096"):
        bucket_ranges(parts)
