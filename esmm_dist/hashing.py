"""Mix 64-bit numbers into uniform 64-bit hashes: the same on every machine and in every run."""

import numpy as np

from esmm_dist.arrays import I64, U64

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)

_LOW_64_BITS = 0xFFFF_FFFF_FFFF_FFFF


def mix64(values: I64 | U64, seed: int = 0) -> U64:
    """Hash numbers with SplitMix64, a bijection of 64-bit integers for every seed that spreads neighbours.

    Args:
        values: int64 or uint64, any shape
        seed: any integer; its low 64 bits choose the bijection

    Returns:
        uint64, the shape of ``values``.
    """
    with np.errstate(over="ignore"):
        return finalised(values.astype(np.uint64, copy=False) + np.uint64((seed + 1) & _LOW_64_BITS) * GOLDEN)


def finalised(states: U64) -> U64:
    """Return the output of SplitMix64 for each of its states, uint64 of any shape.

    Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 16 (variant 13);
    constants of https://prng.di.unimi.it/splitmix64.c.
    """
    mixed = (states ^ (states >> np.uint64(30))) * MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * MIX_2
    return mixed ^ (mixed >> np.uint64(31))
