"""Mix 64-bit ids into uniform 64-bit hashes: the base of placement and of start values."""

import numpy as np
import numpy.typing as npt

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


def mix64(ids: npt.NDArray[np.int64], seed: int = 0) -> npt.NDArray[np.uint64]:
    """Hash ids with the finaliser of SplitMix64, a bijection of 64-bit integers for every seed.

    Args:
        ids: int64, any shape.
        seed: Any integer; its low 64 bits choose the bijection.

    Returns:
        uint64, the shape of ``ids``.

    Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 16 (variant 13).
    """
    with np.errstate(over="ignore"):
        h = ids.astype(np.uint64) + (np.uint64(seed & 0xFFFF_FFFF_FFFF_FFFF) + np.uint64(1)) * GOLDEN
        h = (h ^ (h >> np.uint64(30))) * MIX_1
        h = (h ^ (h >> np.uint64(27))) * MIX_2
        return h ^ (h >> np.uint64(31))
