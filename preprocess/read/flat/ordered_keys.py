"""Numbers as integers in the same order, and exact ranks among more of them than memory holds.

The keys of a log stand in files of sorted uint64, one file a chunk. A rank is found digit by digit (16 bits each), so
that only the file at hand and some counts are in memory.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from esmm_dist.arrays import F64, I64, U64

_SIGN = np.uint64(1 << 63)
_DIGIT_BITS = 16
_KEY_BITS = 64


def ordered(values: F64) -> U64:
    """Map floats to integers in the same order: the bits of IEEE 754, negative numbers turned over. NaN is as 0."""
    bits = (np.where(np.isnan(values), 0.0, values) + 0.0).view(np.uint64)  # + 0.0 makes -0.0 a 0.0
    keys: U64 = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return keys


def number_of_key(key: int) -> float:
    """Return the number that ``ordered`` has turned into a key."""
    bits = np.uint64(key)
    return float((bits ^ _SIGN if bits & _SIGN else ~bits).view(np.float64))


def keys_of_ranks(paths: Sequence[Path], ranks: Sequence[int]) -> list[int]:
    """Return for each rank the key that so many keys, counted from the smallest, reach (1 is the smallest).

    Args:
        paths: files of sorted keys, uint64
        ranks: ranks, each from 1 to the number of keys
    """
    prefixes, left = [0] * len(ranks), list(ranks)
    for shift in range(_KEY_BITS - _DIGIT_BITS, -1, -_DIGIT_BITS):
        counts: dict[int, I64] = {prefix: np.zeros(1 << _DIGIT_BITS, np.int64) for prefix in prefixes}
        for path in paths:
            keys: U64 = np.load(path)
            for prefix, of_prefix in counts.items():
                low, high = prefix << (shift + _DIGIT_BITS), ((prefix + 1) << (shift + _DIGIT_BITS)) - 1
                begin = int(np.searchsorted(keys, np.uint64(low)))
                end = int(np.searchsorted(keys, np.uint64(high), side="right"))
                digits = (keys[begin:end] >> np.uint64(shift)) & np.uint64((1 << _DIGIT_BITS) - 1)
                of_prefix += np.bincount(digits.astype(np.int64), minlength=1 << _DIGIT_BITS)
        for i, prefix in enumerate(prefixes):
            up_to = np.cumsum(counts[prefix])
            digit = int(np.searchsorted(up_to, left[i]))
            left[i] -= int(up_to[digit] - counts[prefix][digit])
            prefixes[i] = prefix << _DIGIT_BITS | digit
    return prefixes
