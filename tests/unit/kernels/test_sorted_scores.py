"""Sums over sorted scores: the bits of the reference, however rows are cut into blocks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.kernels import sorted_scores as kernels
from tests.support.reference import sorted_scores as reference


@st.composite
def rows(draw):
    """Draw sorted rows with ties and weights, some of them 0, and where they are cut into blocks."""
    size = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    users = np.sort(random.integers(0, 4, size))
    scores = random.integers(-6, 1, size) / 7
    weights = random.choice([0.0, 0.1, 1.0, 1e-9, 3e7], size) if draw(st.booleans()) else np.ones(size)
    positive = random.random(size) < 0.4
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=5)))
    return users, scores, positive, weights, [slice(*pair) for pair in zip([0, *cuts], [*cuts, size], strict=True)]


@given(rows())
def test_sums_of_scores_are_those_of_the_reference_bit_for_bit(drawn):
    _, scores, positive, weights, blocks = drawn
    order = np.argsort(scores, kind="stable")
    scores, positive, weights = scores[order], positive[order], weights[order]
    terms = np.ascontiguousarray(np.stack([scores, scores * 2, scores / 3, np.exp(scores)]))
    tie, sums = np.zeros(kernels.NUM_TIE_VALUES), np.zeros((kernels.NUM_SCORE_SUMS, 2))
    counts = np.zeros(4, np.int64)
    for block in blocks:
        of_block = np.ascontiguousarray(terms[:, block])
        kernels.fold_scores(of_block, positive[block], weights[block], tie, sums, counts)
    kernels.end_tie(tie, sums)
    np.testing.assert_array_equal(sums, reference.score_sums(terms, positive, weights))
    weighty = weights > 0
    assert counts.tolist() == [positive.sum(), len(scores), (positive & weighty).sum(), weighty.sum()]


@given(rows())
def test_sums_of_users_are_those_of_the_reference_bit_for_bit(drawn):
    users, scores, positive, weights, blocks = drawn
    order = np.lexsort((scores, users))
    scores, positive, weights = scores[order], positive[order], weights[order]
    at_hand, sums = np.zeros(4, np.int64), np.zeros((kernels.NUM_USER_SUMS, 2))
    for block in blocks:
        kernels.fold_users(users[block], scores[block], positive[block], weights[block], at_hand, sums)
    kernels.end_user(at_hand, sums)
    expected, counted = reference.user_sums(users, scores, positive, weights)
    assert sums[[kernels.USERS_WEIGHTED_AUC, kernels.USERS_WEIGHT]].reshape(-1).tolist() == expected
    assert (at_hand[2], at_hand[3]) == counted


def test_a_sum_keeps_what_a_float64_would_round_away():
    """1e16 and ten thousand times 1: each 1 alone would be lost."""
    terms = np.zeros((4, 10_001))
    positive, weights = np.ones(10_001, np.bool_), np.concatenate([[1e16], np.ones(10_000)])
    tie, sums = np.zeros(kernels.NUM_TIE_VALUES), np.zeros((kernels.NUM_SCORE_SUMS, 2))
    kernels.fold_scores(terms, positive, weights, tie, sums, np.zeros(4, np.int64))
    assert sums[kernels.TIE_POSITIVE].sum() == 1e16 + 10_000
