"""Where the time of a training goes, as shares of its wall time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from esmm_dist.train.run_speed import SpeedPoint

PARTS: Mapping[str, str] = {
    "input": "input",
    "pull": "pull",
    "step": "step",
    "push": "push",
    "rest": "rest",
}
"""Parts of a step's time, and what pictures call them; ``rest`` is what none of the others measures."""

_MOST_BINS = 32


@dataclass(frozen=True, kw_only=True)
class ShareBin:
    """A stretch of steps."""

    first_step: int
    """Steps before the stretch."""
    last_step: int
    shares: Mapping[str, float]
    """By part, from 0 to 1; together 1."""


def newest_by_step(points: Sequence[SpeedPoint]) -> list[SpeedPoint]:
    """Return the points by step, of a step that was made again the newest."""
    found = {each.step: each for each in points}
    return [found[step] for step in sorted(found)]


def time_shares(points: Sequence[SpeedPoint]) -> dict[str, float]:
    """Return the share of each part in the wall time of all points together; empty if no time is known."""
    seconds = sum(each.seconds for each in points)
    if seconds <= 0:
        return {}
    measured = {
        "input": sum(each.input_s for each in points),
        "pull": sum(each.pull_s for each in points),
        "step": sum(each.step_s for each in points),
        "push": sum(each.push_s for each in points),
    }
    measured["rest"] = max(0.0, seconds - sum(measured.values()))
    whole = sum(measured.values())  # parts that overlap a little may be more than the wall time
    return {part: value / whole for part, value in measured.items()}


def share_bins(points: Sequence[SpeedPoint]) -> list[ShareBin]:
    """Return the shares by stretch of steps, of about as many points each."""
    known = [each for each in newest_by_step(points) if each.seconds > 0]
    size = -(-len(known) // _MOST_BINS)
    bins = []
    for first in range(0, len(known), max(size, 1)):
        part = known[first : first + size]
        begins = part[0].step - part[0].steps
        bins.append(ShareBin(first_step=begins, last_step=part[-1].step, shares=time_shares(part)))
    return bins
