"""When an id that has no row gets one."""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import Bools, Ids

MOST_COUNTED_IMPRESSIONS = 2**32 - 1
"""What a table can count of one id: beside the last step, in 63 bits."""


@dataclass(frozen=True, kw_only=True)
class OccurrenceThreshold:
    """Admits an id with the push that brings the impressions that held it to a number.

    The count is exact: the table keeps one for every id without a row (a "candidate"), and a checkpoint holds them.
    """

    impressions: int
    """1: every id with its first push, and nothing is counted."""

    @property
    def counts(self) -> bool:
        """Whether pushes must say how many impressions held each id."""
        return self.impressions > 1

    def admits(self, impressions_so_far: Ids) -> Bools:
        """Say which ids get a row now.

        Args:
            impressions_so_far: int64 [n], those of the push at hand included.
        """
        return np.asarray(impressions_so_far >= self.impressions)
