"""How one model scores one split, in numbers of fixed size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import to_mapping


@dataclass(frozen=True, kw_only=True)
class ScoreHistogram:
    """Impressions by prediction, on the logit scale, apart for those whose label is 1 and 0."""

    edges: Sequence[float]
    """Logits, ascending: E + 1 for E bins. What is outside is in the first and the last bin."""
    positives: Sequence[float]
    """By bin; weighted as the impressions are."""
    negatives: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class GainCurve:
    """Positives among the impressions of the highest predictions."""

    share_of_impressions: Sequence[float]
    """Ascending, from 0 to 1."""
    share_of_positives: Sequence[float]
    """Gain. Over ``share_of_impressions`` it is the lift."""
    best_share_of_positives: Sequence[float]
    """The gain of a ranking that has all positives first."""


@dataclass(frozen=True, kw_only=True)
class TaskScores:
    """One task."""

    metrics: Mapping[str, Any]
    """As in ``metrics.json``: ``auc``, ``auc_standard_error``, ``log_loss``, ``calibration``, ``positives``, ..."""
    deciles: Sequence[Mapping[str, Any]]
    """As ``Decile``."""
    histogram: ScoreHistogram
    gain: GainCurve
    column: str = ""
    """Name of the predictions: ``pctr``; empty: that of the task."""
    label: str = ""
    """Label that it predicts: ``click``; empty: not known."""
    given: str = ""
    """Label among whose positives alone it is measured; empty: among all impressions."""


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """A model's scores of a split."""

    run: str
    step: int
    data: str
    split: str
    impressions: int
    tasks: Mapping[str, TaskScores]
    segments: Sequence[Mapping[str, Any]]
    """As ``SegmentTable``, with ``name``, ``by_values``, ``title``, ``segments``: users, items, fields of ``by``."""
    calibrated_by: Mapping[str, Any] | None

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        return to_mapping(self)
