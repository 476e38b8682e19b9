"""Which rows are taken out of the train split: by hashes that are computed here with Python's own numbers."""

import hashlib

import numpy as np
import pytest

from preprocess.read.row_choice import RowChoice

NUMBERS = np.arange(20_000, dtype=np.int64)
LABELS = np.stack([NUMBERS % 5 == 0, NUMBERS % 10 == 0], axis=1).astype(np.uint8)


def split_mix(value: int, seed: int) -> int:
    """SplitMix64 of a state that the seed has advanced, as in figure 16 of Steele, Lea, Flood 2014."""
    mask = 2**64 - 1
    state = (value + (seed + 1) * 0x9E3779B97F4A7C15) & mask
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
    state = (state ^ state >> 27) * 0x94D049BB133111EB & mask
    return state ^ state >> 31


def test_a_hash_of_the_context_decides_what_is_validation_whatever_the_seed():
    contexts = NUMBERS.astype(np.uint64)
    seed = int.from_bytes(b"validate", "little")
    expected = [split_mix(n, seed) < 0.1 * 2**64 for n in range(len(NUMBERS))]
    assert 1_800 < sum(expected) < 2_200  # 2,000 with a standard deviation of 42
    for choice in (RowChoice(validation_share=0.1), RowChoice(validation_share=0.1, seed=9)):
        assert choice.validation(contexts).tolist() == expected


def test_a_larger_share_has_the_contexts_of_a_smaller_one_and_no_share_has_none():
    contexts = NUMBERS.astype(np.uint64)
    small, large = (RowChoice(validation_share=share).validation(contexts) for share in (0.1, 0.3))
    assert (large | ~small).all()
    assert not RowChoice().validation(contexts).any()


@pytest.mark.parametrize("seed", [3, 4])
def test_a_hash_of_seed_and_sample_id_decides_which_negatives_are_left_out(seed: int):
    salt = int.from_bytes(hashlib.blake2b(f"{seed}/negatives".encode(), digest_size=8).digest(), "little")
    expected = [n % 5 != 0 and split_mix(n, salt) >= 0.25 * 2**64 for n in range(len(NUMBERS))]
    assert 11_700 < sum(expected) < 12_300  # 0.75 of 16,000, standard deviation 55
    assert RowChoice(keep_negatives=0.25, seed=seed).left_out(NUMBERS, LABELS).tolist() == expected


def test_without_the_setting_no_negative_is_left_out():
    assert not RowChoice(seed=3).left_out(NUMBERS, LABELS).any()
