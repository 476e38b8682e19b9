"""When a population stability index is large, and when it is more than chance."""

import math

from esmm_dist.report.data_page.compared import psi_noise_of, psi_of
from esmm_dist.report.data_statistics.statistics import FieldStatistics

SHIFTED_PSI, DRIFTED_PSI = 0.1, 0.25
"""The usual lines: below the first a distribution is called stable, above the second it is called shifted."""

_CHANCE_TIMES = 3


def has_drifted(field: FieldStatistics, split: str) -> bool:
    """Return whether an index is above the second line and is several times what chance gives, where that is known."""
    psi, noise = psi_of(field, split), psi_noise_of(field, split)
    return psi > DRIFTED_PSI and not math.isnan(noise) and psi > _CHANCE_TIMES * noise
