"""The curves of calibrated labels: from a logit to the logit whose probability is right on average.

Every curve rises, so that the order of impressions stays. Each is computed in float64, operation by operation as the
exported model computes it (``inference/exported_probabilities.py``).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from esmm_dist.arrays import F64

CalibrationMethod = Literal["none", "platt", "isotonic"]


@dataclass(frozen=True, kw_only=True)
class UnchangedLogits:
    """A label whose logits stay as they are."""

    method: Literal["none"] = "none"

    def of(self, logits: F64) -> F64:
        """Return the calibrated logits of logits, float64 [n] each."""
        return logits

    def __str__(self) -> str:
        return "unchanged"


@dataclass(frozen=True, kw_only=True)
class PlattScaling:
    """A line: ``sigmoid(slope * logit + intercept)``, see ``platt.py``."""

    slope: float
    """Above 0."""
    intercept: float
    method: Literal["platt"] = "platt"

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError(f"slope is {self.slope}; it is above 0, as a calibration keeps the order of impressions")

    def of(self, logits: F64) -> F64:
        """Return the calibrated logits of logits, float64 [n] each."""
        return self.slope * logits + self.intercept

    def __str__(self) -> str:
        return f"sigmoid({self.slope:.4g} logit {'-' if self.intercept < 0 else '+'} {abs(self.intercept):.4g})"


@dataclass(frozen=True, kw_only=True)
class IsotonicCurve:
    """Lines between knots; before the first and after the last knot a line of slope 1."""

    logits: tuple[float, ...]
    """Logits of the knots, ascending; one or more."""
    calibrated: tuple[float, ...]
    """Calibrated logits of the knots, ascending."""
    method: Literal["isotonic"] = "isotonic"

    def __post_init__(self) -> None:
        if not self.logits or len(self.logits) != len(self.calibrated):
            raise ValueError(f"a curve has {len(self.logits)} knots and {len(self.calibrated)} values of them")
        for name in ("logits", "calibrated"):
            values = getattr(self, name)
            if not all(np.isfinite(values)) or any(np.diff(values) <= 0):
                raise ValueError(f"{name} of a curve are not finite numbers in ascending order")

    @cached_property
    def lines(self) -> tuple[F64, F64, F64, F64, F64]:
        """Boundaries float64 [n], and of the line before, between and after them, float64 [n + 1] each.

        A line has the logit and the calibrated logit where it begins, its slope, and the calibrated logit that it does
        not exceed: rounding must not lift its end above the beginning of the next one.
        """
        x, y = np.array(self.logits), np.array(self.calibrated)
        slopes = np.concatenate([[1.0], np.diff(y) / np.diff(x), [1.0]])
        return x, np.concatenate([x[:1], x]), np.concatenate([y[:1], y]), slopes, np.concatenate([y, [np.inf]])

    def of(self, logits: F64) -> F64:
        """Return the calibrated logits of logits, float64 [n] each."""
        boundaries, x, y, slopes, highest = self.lines
        line = np.searchsorted(boundaries, logits, side="right")
        return np.minimum(y[line] + slopes[line] * (logits - x[line]), highest[line])

    def __str__(self) -> str:
        return f"{len(self.logits)} knot{'s' * (len(self.logits) != 1)}"


Curve = UnchangedLogits | PlattScaling | IsotonicCurve
