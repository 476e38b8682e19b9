"""The wall time of a run as an axis: from its first sign of life on, with long pauses cut out.

A run that learns from a new day each night trains for minutes and rests for hours; on a plain axis there would be
nothing to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_PAUSE_S = 120.0
"""What is shorter is no pause: an evaluation, a checkpoint, the start of a process."""

_UNITS = ((3 * 3600.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


@dataclass(frozen=True, kw_only=True)
class TimeAxis:
    """Maps seconds since 1970 to places on an axis."""

    known: npt.NDArray[np.float64]
    """Seconds since 1970, ascending."""
    places: npt.NDArray[np.float64]
    """Their places in ``unit``."""
    unit: str
    cuts: Sequence[tuple[float, float]]
    """Place and seconds of each pause that is cut out."""

    @classmethod
    def of_moments(cls, moments: Sequence[float]) -> "TimeAxis":
        """Return the axis on which moments are seen.

        Args:
            moments: seconds since 1970, in any order, one or more
        """
        known = np.unique(np.asarray(moments, dtype=np.float64))
        gaps = np.diff(known)
        active = gaps[gaps <= LEAST_PAUSE_S].sum()
        is_cut = gaps > max(LEAST_PAUSE_S, active / 2)
        kept = gaps[~is_cut].sum()
        widths = np.where(is_cut, max(kept * 0.03, 1.0), gaps)
        seconds = np.concatenate([[0.0], np.cumsum(widths)])
        size, unit = next((size, unit) for least, size, unit in _UNITS if seconds[-1] >= least)
        places = seconds / size
        cuts = [(float(places[i] + places[i + 1]) / 2, float(gaps[i])) for i in np.flatnonzero(is_cut)]
        return cls(known=known, places=places, unit=unit, cuts=cuts)

    def place(self, moments: Sequence[float]) -> npt.NDArray[np.float64]:
        """Return the places of moments: float64 [n]."""
        return np.interp(np.asarray(moments, dtype=np.float64), self.known, self.places)

    @property
    def label(self) -> str:
        """Label of the axis, with its unit."""
        cut = ", pauses cut out" if self.cuts else ""
        return f"wall time since the first start, {self.unit}{cut}"
