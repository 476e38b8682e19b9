"""Counts and sums by bin, against exact fractions."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from esmm_dist.kernels import binned_sums as kernels


@given(
    st_numpy.arrays(np.float64, st.integers(0, 30), elements=st.floats(-40, 40)),
    st.integers(0, 2**32 - 1),
)
def test_every_bin_holds_the_exact_sums_of_its_impressions(logits, seed):
    draw = np.random.default_rng(seed)
    positive, weights = draw.integers(0, 2, len(logits)).astype(np.bool_), draw.exponential(1.0, len(logits))
    counts = np.zeros((kernels.NUM_BINS, 2), np.int64)
    sums = np.zeros((kernels.NUM_BINS, kernels.NUM_BIN_SUMS, 2))
    for part in (slice(0, 7), slice(7, None)):
        kernels.fold_bins(logits[part], positive[part], weights[part], counts, sums)
    clipped = np.clip(logits, -kernels.HIGHEST, kernels.HIGHEST)
    bins = np.minimum(np.floor((clipped + kernels.HIGHEST) * kernels.BINS_PER_UNIT), kernels.NUM_BINS - 1)
    assert counts.sum() == len(logits)
    for row in np.unique(bins).astype(int):
        here = bins == row
        assert counts[row].tolist() == [(here & ~positive).sum(), (here & positive).sum()]
        for place, values in (
            (kernels.POSITIVE_WEIGHT, weights[here & positive]),
            (kernels.NEGATIVE_WEIGHT, weights[here & ~positive]),
            (kernels.WEIGHTED_LOGIT, (weights * clipped)[here]),
        ):
            exact = sum(map(Fraction, values.tolist()), Fraction(0))
            found = Fraction(sums[row, place, 0]) + Fraction(sums[row, place, 1])
            assert abs(found - exact) <= abs(exact) * Fraction(2) ** -90
    assert not counts[~np.isin(np.arange(kernels.NUM_BINS), bins)].any()


def test_the_bins_reach_from_the_lowest_to_the_highest_logit():
    assert kernels.NUM_BINS / kernels.BINS_PER_UNIT == 2 * kernels.HIGHEST
