"""The speed of a run as a line over time, with a gap wherever nothing was trained.

A line from the last point before a loss to the first one after it would show a speed while the run stood still.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from esmm_dist.report.run_history.time_axis import TimeAxis
from esmm_dist.train.run_speed import SpeedPoint

_LEAST_GAP_S = 1.0
_LEAST_SHARE = 0.01
"""Share of the training time; shorter gaps, of checkpoints, would not be seen but cut the line into pieces."""


def speed_line(points: Sequence[SpeedPoint], axis: TimeAxis) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return places on an axis and impressions a second, float64 [n] each; both are nan in a gap.

    The line of each stretch begins with its first step, where the speed is that of its first point.

    Args:
        points: one or more points of more than 0 seconds
        axis: axis of time that has all their ends and beginnings
    """
    gap_s = max(_LEAST_GAP_S, _LEAST_SHARE * sum(each.seconds for each in points))
    moments: list[float] = []
    speeds: list[float] = []
    end = -np.inf
    for each in sorted(points, key=lambda point: point.at):
        begin, speed = each.at - each.seconds, each.impressions / each.seconds
        if begin - end > gap_s:
            moments += [np.nan, begin] if moments else [begin]
            speeds += [np.nan, speed] if speeds else [speed]
        moments.append(each.at)
        speeds.append(speed)
        end = each.at
    places = np.full(len(moments), np.nan)
    known = np.isfinite(moments)
    places[known] = axis.place(np.asarray(moments)[known].tolist())
    return places, np.asarray(speeds)
