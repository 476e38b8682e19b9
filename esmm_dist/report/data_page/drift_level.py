"""When a population stability index is large, and when it is more than chance."""

import math

from esmm_dist.report.data_page.compared import TRAIN, in_split
from esmm_dist.report.data_statistics.statistics import FieldStatistics

SHIFTED_PSI, DRIFTED_PSI = 0.1, 0.25
"""The usual lines: below the first a distribution is called stable, above the second it is called shifted."""

_MOST_CELLS = 20
_CHANCE_STEPS = 3


def psi_noise(field: FieldStatistics, split: str) -> float:
    """Return the mean index of two samples of one distribution, of the sizes that train and a split have.

    Twice the mean of n m / (n + m) times the index is that of a chi-square with as many degrees of freedom as cells
    less one: Yurdakul and Naranjo 2020, "Statistical properties of the population stability index".
    """
    train, other = in_split(field, TRAIN), in_split(field, split)
    if train is None or other is None or not train.occurrences or not other.occurrences:
        return math.nan
    cells = min(_MOST_CELLS, max(train.distinct_ids, other.distinct_ids))
    return max(cells - 1, 0) * (1 / train.occurrences + 1 / other.occurrences)


def beyond_noise(field: FieldStatistics, split: str) -> bool:
    """Return whether an index is more than chance explains."""
    inside = in_split(field, split)
    if inside is None or inside.psi is None:
        return False
    noise = psi_noise(field, split)
    return math.isnan(noise) or inside.psi > _CHANCE_STEPS * noise
