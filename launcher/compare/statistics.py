"""Means over seeds, and what a paired test says of two models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A figure over several seeds."""

    count: int
    mean: float
    """nan of nothing."""
    sd: float
    """Sample standard deviation, divisor n - 1; nan of fewer than two."""


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A figure of one model less that of another one, over the seeds that both have."""

    count: int
    mean: float
    standard_error: float
    """Sample standard deviation of the differences, over the root of their number; nan of fewer than two."""
    t: float
    """Mean over standard error."""
    p: float
    """Two-sided p of Student's paired t-test with count - 1 degrees of freedom; nan of fewer than two."""


def summary(values: Sequence[float]) -> Summary:
    """Return mean and standard deviation, without values that are nan."""
    known = [value for value in values if not math.isnan(value)]
    count = len(known)
    mean = math.fsum(known) / count if count else math.nan
    return Summary(count=count, mean=mean, sd=_sd(known, mean))


def paired_difference(values: Mapping[int, float], first: Mapping[int, float]) -> PairedDifference:
    """Compare two models.

    Args:
        values: figure of a model by seed
        first: the same of the model that it is compared with
    """
    pairs = [value - first[seed] for seed, value in values.items() if seed in first]
    differences = [each for each in pairs if not math.isnan(each)]
    count = len(differences)
    mean = math.fsum(differences) / count if count else math.nan
    error = _sd(differences, mean) / math.sqrt(count) if count > 1 else math.nan
    t = math.nan if math.isnan(error) or (error == 0 and mean == 0) else _ratio(mean, error)
    p = math.nan if math.isnan(t) else float(2 * stats.t.sf(abs(t), count - 1))
    return PairedDifference(count=count, mean=mean, standard_error=error, t=t, p=p)


def _sd(values: Sequence[float], mean: float) -> float:
    if len(values) < 2:
        return math.nan
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _ratio(mean: float, error: float) -> float:
    return mean / error if error else math.copysign(math.inf, mean)
