"""The hash of 64-bit numbers, against Python's own integers and the published stream."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.hashing import finalised, mix64

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


def test_the_first_outputs_of_seed_1234567_are_those_of_the_reference_code():
    # The stream adds the golden ratio before each output; figures of https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
    states = (1234567 + np.arange(1, 4, dtype=np.uint64) * np.uint64(_GOLDEN)).astype(np.uint64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert finalised(states).tolist() == expected
    assert mix64(np.array([1234567], np.uint64)).tolist() == expected[:1]


def test_unsigned_numbers_hash_as_the_signed_ones_of_the_same_bits():
    signed = np.array([-1, 0, 2**63 - 1, -(2**63)], np.int64)
    assert mix64(signed.view(np.uint64)).tolist() == mix64(signed).tolist()


def test_a_seed_is_taken_modulo_2_to_the_64():
    ids = np.arange(10)
    assert mix64(ids, 2**64 - 1).tolist() == mix64(ids, -1).tolist() == [splitmix(i, -1) for i in range(10)]


def test_numbers_to_hash_are_not_changed():
    ids = np.arange(10, dtype=np.uint64)
    mix64(ids)
    assert ids.tolist() == list(range(10))
