"""How far a field's ids in another split are from those of train: the population stability index (PSI).

With p_b and q_b, the shares of bin b in train and in the other split::

    PSI = Σ_b (q_b - p_b) · ln(q_b / p_b)

It is Kullback and Leibler's divergence in both directions added up, 0 for equal shares. Bins are ids: each of the
``TOP_IDS`` most frequent ids of train for itself, all other ids that train has, new ids, and no id (one for each
impression without any). Of a numeric field the buckets are the bins, as its ids are its buckets. An empty bin would
make the sum infinite: each share is (n_b + 1/2) / (n + B/2), of B bins that either split has anything in, as if there
was half an occurrence more in each (Jeffreys' prior).

New ids are those that train has not, or that preprocess dropped as too rare. Of train itself these are the ids that
would be new to all other impressions of train: those that occur once, or ``min_count`` times, and rarer ones. Otherwise
each field with many rare ids would seem to drift, as any other split has some that train happens to have not (Good,
"The population frequencies of species and the estimation of population parameters", Biometrika 40, 1953).

A rule of thumb says that below 0.1 nothing has changed, and above 0.25 much has; it was made for 10 to 20 bins of
large samples. Without any drift PSI is on average about

    noise = (B - 1) · (1/n_train + 1/n_other),

a chi-square's mean: of few impressions it is large. n are impressions, as ids of one list come together; of a field of
the user, whose ids come with all impressions of theirs, the effective number of users (Σ m)² / Σ m² (Kish), where m are
the impressions of each; of user contexts, if the schema names no users. What is a few times the noise is drift. Where
a split has fewer of them than half the bins, the mean is far from the truth, and the noise is not known.

Sources: Siddiqi, "Credit Risk Scorecards" (Wiley 2006), ch. 9; Yurdakul and Naranjo, "Statistical properties of the
population stability index" (Journal of Risk Model Validation 14(4), 2020), theorem 1.
"""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F64

TOP_IDS = 50
"""Ids of train with bins of their own: enough to see a change of the frequent ones, few enough for small splits."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far two splits are apart."""

    psi: float
    noise: float | None
    """None: too few impressions or users to tell."""
    bins: int


def drift(train: F64, other: F64, size_train: float, size_other: float) -> Drift | None:
    """Compare two splits.

    Args:
        train: float64 [B], (estimated) occurrences in each bin
        other: float64 [B], likewise
        size_train: number of independent things behind them, see above
        size_other: likewise

    Returns:
        What was found; None if a split has nothing in any bin.
    """
    if not train.sum() or not other.sum():
        return None
    used = (train > 0) | (other > 0)
    p, q = (_shares(each[used]) for each in (train, other))
    bins = int(used.sum())
    noise = (bins - 1) * (1 / size_train + 1 / size_other) if 2 * min(size_train, size_other) >= bins else None
    return Drift(psi=float(((q - p) * np.log(q / p)).sum()), noise=noise, bins=bins)


def effective_size(impressions: F64, weights: F64) -> float:
    """Return the effective number of users (Kish, "Survey Sampling", 1965): (Σ m)² / Σ m²; 0 of none.

    Args:
        impressions: float64 [n], of each user
        weights: float64 [n], how many users each stands for
    """
    squares = float((weights * impressions**2).sum())
    return float((weights * impressions).sum()) ** 2 / squares if squares else 0.0


def _shares(counts: F64) -> F64:
    shares: F64 = (counts + 0.5) / (counts.sum() + len(counts) / 2)
    return shares
