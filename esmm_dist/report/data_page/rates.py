"""Rates of labels, how well they are known, and how well a split can measure a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from esmm_dist.report.data_page.texts import label_text, ratio
from esmm_dist.report.data_statistics.statistics import DataStatistics, Funnel

ASSUMED_AUC = 0.7
"""AUC at which the standard error that a split allows is told; of 0.6 and 0.8 it differs by less than a tenth."""


@dataclass(frozen=True, kw_only=True)
class LabelRate:
    """One label in one funnel."""

    label: str
    given: str | None
    """Label on the way to it; None: every impression counts."""
    positives: int
    of: int
    """Impressions (with the negatives that preprocess left out), or those with ``given``."""
    rate: float
    """``positives / of``; nan if there are none."""
    standard_error: float
    share_of_impressions: float
    auc_standard_error: float
    """What this split leaves open of an AUC of ``ASSUMED_AUC`` over all impressions; nan if a class is missing."""
    rate_by_weight: float
    """As ``rate``, of sample weights; nan where there are none."""

    @property
    def text(self) -> str:
        """The label, and what it is counted of if that is not every impression."""
        return label_text(self.label, self.given)


def label_rates(statistics: DataStatistics, funnel: Funnel) -> list[LabelRate]:
    """Return the rates of a funnel's labels, in their order."""
    everything = funnel.impressions + funnel.left_out_negatives
    rates = []
    for label, parent in zip(statistics.label_names, statistics.label_parents, strict=True):
        given = statistics.label_names[parent] if parent >= 0 else None
        of = everything if given is None else funnel.labels.get(given, 0)
        weight = funnel.weight if given is None else funnel.label_weights.get(given)
        positives = funnel.labels.get(label, 0)
        rate = ratio(positives, of)
        rates.append(
            LabelRate(
                label=label,
                given=given,
                positives=positives,
                of=of,
                rate=rate,
                standard_error=rate_standard_error(rate, of),
                share_of_impressions=ratio(positives, everything),
                auc_standard_error=auc_standard_error(positives, funnel.impressions - positives),
                rate_by_weight=ratio(funnel.label_weights.get(label), weight),
            )
        )
    return rates


def rate_standard_error(rate: float, of: int) -> float:
    """Return the standard error of a share of ``of`` independent cases; nan without a case."""
    return math.sqrt(max(rate * (1 - rate), 0) / of) if of else math.nan


def auc_standard_error(positives: int, negatives: int, auc: float = ASSUMED_AUC) -> float:
    """Return the standard error of an AUC by its size and the cases of each class; nan if a class has none.

    Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143:29-36, equation 2 (https://doi.org/10.1148/radiology.143.1.7063747).
    """
    if positives <= 0 or negatives <= 0:
        return math.nan
    two_positives, two_negatives = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (positives - 1) * (two_positives - auc**2) + (negatives - 1) * (two_negatives - auc**2)
    ) / (positives * negatives)
    return math.sqrt(variance)


def label_order(statistics: DataStatistics) -> Sequence[tuple[int, int]]:
    """Return each label's place and its depth in the tree, every label after the one on the way to it."""
    children: dict[int, list[int]] = {}
    for place, parent in enumerate(statistics.label_parents):
        children.setdefault(parent, []).append(place)
    order: list[tuple[int, int]] = []
    waiting = [(place, 0) for place in reversed(children.get(-1, []))]
    while waiting:
        place, depth = waiting.pop()
        order.append((place, depth))
        waiting += [(child, depth + 1) for child in reversed(children.get(place, []))]
    return order
