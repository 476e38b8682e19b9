"""Scored impressions whose logits are a known line away from right."""

from typing import NamedTuple

import numpy as np

from esmm_dist.arrays import F64, I64
from esmm_dist.calibration.label_counts import LabelCounts, LabelTreeCounts, sigmoid
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.label_tree import LabelTree

CHAIN = LabelTree.of(("click", "conversion"))


class ScoredLog(NamedTuple):
    labels: I64
    """int64 [N, 2]"""
    logits: F64
    """float64 [N, 2]"""


def scored_log(
    number: int, *, slopes: tuple[float, float], intercepts: tuple[float, float], seed: int = 1
) -> ScoredLog:
    """Return impressions whose true logits are ``slope * logit + intercept`` of each label."""
    draw = np.random.default_rng(seed)
    logits = draw.normal([-1.0, 0.5], [1.2, 0.8], (number, 2))
    truth = sigmoid(logits * slopes + intercepts)
    labels = (draw.random((number, 2)) < truth).astype(np.int64)
    labels[:, 1] *= labels[:, 0]
    return ScoredLog(labels, logits)


def counts_of(log: ScoredLog, weights: F64 | None = None) -> list[LabelCounts]:
    counts = LabelTreeCounts(CHAIN)
    counts.add(log.labels, log.logits, weights)
    return counts.of_all_ranks(SoloWorld())


def label_counts(logits: list[float], positive: list[float], negative: list[float]) -> LabelCounts:
    """Return counts as given; whole numbers count as impressions of weight 1."""
    return LabelCounts(
        logits=np.array(logits),
        positive=np.array(positive, np.float64),
        negative=np.array(negative, np.float64),
        impressions=int(sum(positive) + sum(negative)),
        positives=int(sum(positive)),
    )
