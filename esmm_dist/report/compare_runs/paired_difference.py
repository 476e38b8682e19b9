"""How much better one of two models is on the same impressions, and how certain that is.

Both models score the same impressions, so their errors go together, and the difference is known better than either
figure. The AUC difference is the mean of d_i = V_i(a) - V_i(b) over the m positives, and also that of W_j(a) - W_j(b)
over the n negatives (``model.metrics.auc``); DeLong, DeLong and Clarke-Pearson (1988) give its variance

    Var(d of positives) / m + Var(d of negatives) / n

for impressions that are independent. Those of one user are not. With a_c and b_c the sums over user c of
(d - difference) / m of positives and of (d - difference) / n of negatives, Obuchowski, "Nonparametric analysis of
clustered ROC curve data", Biometrics 53 (1997), equations 3-6, has

    I10 / (I10 - 1) Σ a_c² + I01 / (I01 - 1) Σ b_c² + 2 I / (I - 1) Σ a_c b_c

of I users, of whom I10 have positives and I01 negatives. It is DeLong's where each user has one impression. With sample
weights w, means are weighted, and w / Σ w takes the place of 1 / m and 1 / n.

The log loss difference is a mean over impressions: its variance is n / (n - 1) Σ e_i², e = w (d - difference) / Σ w,
and by user I / (I - 1) Σ_c (Σ e)².
"""

import math
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F64, I64, Bools
from esmm_dist.input.users import NO_USER
from esmm_dist.model.metrics.auc import doubled_midranks, placements
from esmm_dist.model.metrics.log_loss import LOWEST_LOG_PROBABILITY


@dataclass(frozen=True, kw_only=True)
class PairedEstimate:
    """A figure of two models and their difference."""

    a: float
    b: float
    difference: float
    """a - b; exactly 0 of equal scores."""
    standard_error: float
    """Standard error of ``difference`` if impressions are independent; nan where a class has fewer than two."""
    standard_error_by_user: float
    """Standard error if only users are; nan where they are not known, or there are fewer than two."""


NOTHING = PairedEstimate(
    a=math.nan, b=math.nan, difference=math.nan, standard_error=math.nan, standard_error_by_user=math.nan
)


def paired_auc(a: F64, b: F64, positive: Bools, users: I64, weights: F64 | None = None) -> PairedEstimate:
    """Compare the AUCs of two models.

    Args:
        a: float64 [N], scores of the first, on any scale
        b: float64 [N], scores of the second
        positive: bool [N]
        users: int64 [N]; ``NO_USER`` where it is not known: such an impression counts as a user of its own
        weights: float64 [N], above 0; None: 1 each

    Returns:
        ``NOTHING`` if a class has fewer than two impressions.
    """
    of_a, of_b = placements(a, positive, weights), placements(b, positive, weights)
    if of_a is None or of_b is None:
        return NOTHING
    weight = np.ones(len(positive)) if weights is None else weights
    shares = [weight[chosen] / weight[chosen].sum() for chosen in (positive, ~positive)]
    means = [float(np.dot(shares[0], each[0])) for each in (of_a, of_b)]
    variance, terms = 0.0, []
    for v_a, v_b, share in zip(of_a, of_b, shares, strict=True):
        apart = v_a - v_b
        term = share * (apart - np.dot(share, apart))
        variance += len(term) / (len(term) - 1) * float(np.dot(term, term))
        terms.append(term)
    return PairedEstimate(
        a=means[0],
        b=means[1],
        difference=float(np.dot(shares[0], of_a[0] - of_b[0])),
        standard_error=math.sqrt(variance),
        standard_error_by_user=_error_by_user(terms[0], terms[1], positive, users),
    )


def paired_log_loss(a: F64, b: F64, positive: Bools, users: I64, weights: F64 | None = None) -> PairedEstimate:
    """Compare the log losses of two models.

    Args:
        a: float64 [N], log p of label 1 of the first
        b: float64 [N], of the second
        positive: bool [N]
        users: int64 [N], as in ``paired_auc``
        weights: float64 [N], above 0; None: 1 each

    Returns:
        ``NOTHING`` of fewer than two impressions.
    """
    size = len(positive)
    if size < 2:
        return NOTHING
    share = np.full(size, 1 / size) if weights is None else weights / weights.sum()
    of_a, of_b = _losses(a, positive), _losses(b, positive)
    apart = of_a - of_b
    difference = float(np.dot(share, apart))
    terms = share * (apart - difference)
    _, places = np.unique(_clusters(users), return_inverse=True)
    by_user = np.bincount(places, weights=terms)
    known = bool((users != NO_USER).any()) and len(by_user) > 1
    return PairedEstimate(
        a=float(np.dot(share, of_a)),
        b=float(np.dot(share, of_b)),
        difference=difference,
        standard_error=math.sqrt(size / (size - 1) * float(np.dot(terms, terms))),
        standard_error_by_user=(
            math.sqrt(len(by_user) / (len(by_user) - 1) * float(np.dot(by_user, by_user))) if known else math.nan
        ),
    )


def rank_correlation(a: F64, b: F64) -> float:
    """Return Spearman's correlation of two scores, ties with their mean rank; nan where one does not vary."""
    if len(a) < 2:
        return math.nan
    ranks = [doubled_midranks(each) - (len(each) + 1.0) for each in (a, b)]
    norms = [math.sqrt(float(np.dot(each, each))) for each in ranks]
    return float(np.dot(*ranks)) / (norms[0] * norms[1]) if all(norms) else math.nan


def _error_by_user(of_positives: F64, of_negatives: F64, positive: Bools, users: I64) -> float:
    if not (users != NO_USER).any():
        return math.nan
    known, places = np.unique(_clusters(users), return_inverse=True)
    sums, counts = [], []
    for terms, chosen in ((of_positives, positive), (of_negatives, ~positive)):
        sums.append(np.bincount(places[chosen], weights=terms, minlength=len(known)))
        counts.append(len(np.unique(places[chosen])))
    if min(counts) < 2:
        return math.nan
    variance = sum(c / (c - 1) * float(np.dot(each, each)) for each, c in zip(sums, counts, strict=True))
    variance += 2 * len(known) / (len(known) - 1) * float(np.dot(sums[0], sums[1]))
    return math.sqrt(max(variance, 0.0))


def _clusters(users: I64) -> I64:
    """Return users, those that are not known as negative numbers, each another."""
    return np.where(users == NO_USER, -2 - np.arange(len(users)), users)


def _losses(log_p: F64, positive: Bools) -> F64:
    """Return the log loss of each impression, float64 [N]; logarithms cut as in ``log_loss``."""
    with np.errstate(divide="ignore"):  # log 0 where p is 1, which is cut
        log_not_p = np.log(-np.expm1(np.minimum(log_p, 0.0)))
    losses: F64 = -np.maximum(np.where(positive, log_p, log_not_p), LOWEST_LOG_PROBABILITY)
    return losses
