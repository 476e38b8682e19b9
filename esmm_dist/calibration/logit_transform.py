"""The one place that says which logits the probabilities of a model are computed from.

::

    logits of a model ─> + ln(keep_negatives), first label ─> curve of each label ─> logits of the probabilities

The scorer applies it to every batch, whatever the scores are for; the exported model holds the same in TensorFlow
(``inference/exported_probabilities.py``).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from esmm_dist.arrays import F64, Array
from esmm_dist.calibration.calibration import Calibration
from esmm_dist.calibration.curves import Curve


def keep_negatives_of(state: Mapping[str, Any]) -> float:
    """Return the share of negatives that the training data kept, from a checkpoint's state; 1 in one without it."""
    return float(state.get("keep_negatives", 1.0))


@dataclass(frozen=True, kw_only=True)
class LogitTransform:
    """From the logits of a model to those of the probabilities of the full log."""

    keep_negatives: float = 1.0
    """Share of the impressions without the first label that the training data kept, in (0, 1]. A model of such data
    has odds 1 / keep_negatives times those of the full log, so ln(keep_negatives) is added to the first label's logit
    (King and Zeng, "Logistic regression in rare events data", 2001, equation 7). Later labels are given the first one,
    which no impression left out has."""

    curves: tuple[Curve, ...] | None = None
    """Curve of each label; None: not calibrated."""

    @classmethod
    def of(cls, keep_negatives: float, calibration: Calibration | None) -> "LogitTransform":
        """Return the transform of a model that was trained on such data and has this calibration, if any."""
        curves = None if calibration is None else tuple(label.curve for label in calibration.labels)
        return cls(keep_negatives=keep_negatives, curves=curves)

    @property
    def offset(self) -> float:
        """What is added to the first label's logit, 0 or less."""
        return math.log(self.keep_negatives)

    def __call__(self, logits: Array) -> F64:
        """Return the logits of the conditional probabilities, float64 [B, K], from a model's, float32 [B, K]."""
        wide = logits.astype(np.float64)
        wide[:, 0] += self.offset
        for place, curve in enumerate(self.curves or ()):
            wide[:, place] = curve.of(wide[:, place])
        return wide
