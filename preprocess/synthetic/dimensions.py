"""How many ids each field has, and where its range of ids begins.

The ranges are disjoint and in the real set's order: by field name, as text.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocess.synthetic.draws import hashed_uniform

REAL_TRAIN_IMPRESSIONS = 42_300_000

# Ids in the raw training log where published, else those seen at least 10 to 20 times.
REAL_DIMENSIONS: dict[str, int] = {
    "101": 638_072,
    "109_14": 12_000,
    "110_14": 2_000_000,
    "121": 98,
    "122": 14,
    "124": 3,
    "125": 8,
    "126": 4,
    "127": 4,
    "127_14": 400_000,
    "128": 3,
    "129": 5,
    "150_14": 100_000,
    "205": 4_000_000,
    "206": 6_929,
    "207": 263_942,
    "210": 80_000,
    "216": 106_399,
    "301": 4,
    "508": 5_888,
    "509": 104_830,
    "702": 51_878,
    "853": 37_148,
}
_UNSCALED_UP_TO = 100
_FLOOR = 64
# Users and items grow with the log, so that each is seen as often as in the real set. What describes them grows slower
# (Heaps' law: new words come ever more rarely); with 0.75, a log of 300,000 has 136 categories and 5,200 shops.
_PROPORTIONAL = ("101", "205")
_HEAPS_EXPONENT = 0.75


@dataclass(frozen=True)
class FieldRange:
    """The ids of one field: ``base .. base + size - 1``, dealt to popularity ranks in a scattered order."""

    name: str
    base: int
    size: int
    step: int
    """Coprime to ``size``: rank r has the id base + (r * step) mod size, so neighbours in id are not in popularity."""

    def local(self, ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the place in the range, 0 .. size - 1, of popularity ranks 0 .. size - 1."""
        return (ranks * self.step) % self.size

    def rank(self, local: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the popularity ranks of places in the range: the inverse of ``local``."""
        return (local * pow(self.step, -1, self.size)) % self.size


def field_sizes(train_impressions: int, dimension_scale: float | None) -> dict[str, int]:
    """Compute the number of ids of each field.

    Args:
        train_impressions: lines of the training skeleton, which decide if no scale is given
        dimension_scale: number of ids relative to the real set, in (0, 1], or None
    """
    sizes = {}
    for name, real in REAL_DIMENSIONS.items():
        factor = dimension_scale
        if factor is None:
            share = min(1.0, train_impressions / REAL_TRAIN_IMPRESSIONS)
            factor = share if name in _PROPORTIONAL else share**_HEAPS_EXPONENT
        sizes[name] = real if real <= _UNSCALED_UP_TO else min(real, max(_FLOOR, round(real * factor)))
    return sizes


def field_ranges(sizes: dict[str, int], seed: int) -> dict[str, FieldRange]:
    """Lay the fields' id ranges one after the other, from id 1."""
    ranges, base = {}, 1
    for number, (name, size) in enumerate(sizes.items()):
        start = float(hashed_uniform(seed, 900 + number, np.zeros(1, np.int64))[0])
        ranges[name] = FieldRange(name, base, size, _coprime_step(size, 0.3 + 0.4 * start))
        base += size
    return ranges


def _coprime_step(size: int, part: float) -> int:
    step = max(1, int(size * part))
    while np.gcd(step, size) != 1:
        step += 1
    return step
