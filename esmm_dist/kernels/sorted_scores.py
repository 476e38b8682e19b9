"""Sums over scores in ascending order, from which AUCs, their standard errors, log loss and calibration follow.

Rows come block by block. The sums do not depend on how rows are cut into blocks, bit for bit: a row is added after the
one before it, and what is known of the tie or the user at hand is carried from block to block.

Each sum is a pair (sum, compensation) whose total has about twice the digits of a float64: Neumaier, "Rundungsfehler-
analyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54 (1974). Sums of whole and half numbers are exact.
"""

from esmm_dist.arrays import F64, I64, Bools
from esmm_dist.kernels.compiled import kernel

# Sums of `fold_scores`, float64 [17, 2]. "Below": with a lower score; of ties half. w: weight.
TIE_POSITIVE, TIE_NEGATIVE = 0, 1
"""Σ w of the tie at hand, by class"""
TIE_POSITIVE_SQUARES, TIE_NEGATIVE_SQUARES = 2, 3
"""Σ w² of the tie at hand, by class"""
POSITIVE, NEGATIVE = 4, 5
"""Σ w, by class"""
RIGHT = 6
"""Σ w_i w_j over pairs of a positive and a negative below it"""
POSITIVE_SQUARES, POSITIVE_SQUARES_BELOW, POSITIVE_SQUARES_BELOW_2 = 7, 8, 9
"""Σ w², Σ w² v, Σ w² v² over positives; v: weight of the negatives below"""
NEGATIVE_SQUARES, NEGATIVE_SQUARES_BELOW, NEGATIVE_SQUARES_BELOW_2 = 10, 11, 12
"""Σ w², Σ w² v, Σ w² v² over negatives; v: weight of the positives below"""
LOG_LIKELIHOOD, PREDICTED = 13, 14
"""Σ w log P(label), Σ w p"""
PREDICTED_SQUARES, POSITIVE_PREDICTED_SQUARES = 15, 16
"""Σ w² p² over all, Σ w² p over positives"""
NUM_SCORE_SUMS = 17

# The tie at hand, float64 [5]: whether there is one, its score, log p, log (1 - p), p
NUM_TIE_VALUES = 5

# Sums of `fold_users`, float64 [8, 2]: first those of the user at hand
USER_TIE_POSITIVE, USER_TIE_NEGATIVE, USER_POSITIVE, USER_NEGATIVE, USER_RIGHT = 0, 1, 2, 3, 4
USERS_WEIGHTED_AUC, USERS_WEIGHT = 5, 6
"""Σ n_u AUC_u and Σ n_u over users with both classes; n_u: the user's weight"""
USER_TIE_SCORE = 7
"""No sum: the score of the tie at hand"""
NUM_USER_SUMS = 8

# Values of `fold_bins`, float64 [3]: the total weight; score and p of the tie at hand. Its sums, float64
# [bins + 2, 7, 2]: of each bin, of the tie at hand, and (in the place of BIN_POSITIVE) the weight of the ties before it
BIN_POSITIVE, BIN_NEGATIVE, BIN_POSITIVE_SQUARES, BIN_NEGATIVE_SQUARES, BIN_PREDICTED = 0, 1, 2, 3, 4
"""Σ w by class, Σ w² by class, Σ w p"""
BIN_ROWS, BIN_ROWS_WITH_WEIGHT = 5, 6
"""rows; rows with a weight above 0"""
NUM_BIN_SUMS = 7


@kernel("void(float64[:, ::1], int64, float64)")
def _add(sums: F64, place: int, value: float) -> None:
    before = sums[place, 0]
    total = before + value
    if abs(before) >= abs(value):
        sums[place, 1] += (before - total) + value
    else:
        sums[place, 1] += (value - total) + before
    sums[place, 0] = total


@kernel("float64(float64[:, ::1], int64)")
def _value(sums: F64, place: int) -> float:
    return float(sums[place, 0] + sums[place, 1])


@kernel("void(float64[:, ::1], int64)")
def _clear(sums: F64, place: int) -> None:
    sums[place, 0] = 0.0
    sums[place, 1] = 0.0


@kernel("void(float64[::1], float64[:, ::1])")
def end_tie(tie: F64, sums: F64) -> None:
    """Count the tie at hand, if there is one: after the last block, and by ``fold_scores``."""
    if tie[0] == 0.0:
        return
    positive, negative = _value(sums, TIE_POSITIVE), _value(sums, TIE_NEGATIVE)
    squares = _value(sums, TIE_POSITIVE_SQUARES)
    _add(sums, POSITIVE_PREDICTED_SQUARES, squares * tie[4])
    _add(sums, PREDICTED_SQUARES, (squares + _value(sums, TIE_NEGATIVE_SQUARES)) * (tie[4] * tie[4]))
    below = _value(sums, NEGATIVE) + 0.5 * negative
    _add(sums, RIGHT, positive * below)
    _add(sums, POSITIVE_SQUARES, squares)
    _add(sums, POSITIVE_SQUARES_BELOW, squares * below)
    _add(sums, POSITIVE_SQUARES_BELOW_2, squares * (below * below))
    squares = _value(sums, TIE_NEGATIVE_SQUARES)
    below = _value(sums, POSITIVE) + 0.5 * positive
    _add(sums, NEGATIVE_SQUARES, squares)
    _add(sums, NEGATIVE_SQUARES_BELOW, squares * below)
    _add(sums, NEGATIVE_SQUARES_BELOW_2, squares * (below * below))
    if positive != 0.0:
        _add(sums, LOG_LIKELIHOOD, positive * tie[2])
    if negative != 0.0:
        _add(sums, LOG_LIKELIHOOD, negative * tie[3])
    _add(sums, PREDICTED, (positive + negative) * tie[4])
    _add(sums, POSITIVE, positive)
    _add(sums, NEGATIVE, negative)
    for place in (TIE_POSITIVE, TIE_NEGATIVE, TIE_POSITIVE_SQUARES, TIE_NEGATIVE_SQUARES):
        _clear(sums, place)
    tie[0] = 0.0


@kernel("void(float64[:, ::1], boolean[::1], float64[::1], float64[::1], float64[:, ::1], int64[::1])")
def fold_scores(terms: F64, positive: Bools, weights: F64, tie: F64, sums: F64, counts: I64) -> None:
    """Add a block of rows.

    Args:
        terms: float64 [4, n]: score, log p, log (1 - p), p of each row; scores ascending, also from block to block
        positive: bool [n]
        weights: float64 [n], 0 or more; within a tie and a class ascending, if they differ
        tie: float64 [5], changed: the tie at hand
        sums: float64 [17, 2], changed
        counts: int64 [4], changed: positives, rows; positives, rows with a weight above 0
    """
    for i in range(len(positive)):
        if tie[0] == 0.0 or terms[0, i] != tie[1]:
            end_tie(tie, sums)
            tie[0] = 1.0
            for place in range(4):
                tie[1 + place] = terms[place, i]
        weight = weights[i]
        counts[1] += 1
        counts[3] += weight > 0.0
        if positive[i]:
            counts[0] += 1
            counts[2] += weight > 0.0
            _add(sums, TIE_POSITIVE, weight)
            _add(sums, TIE_POSITIVE_SQUARES, weight * weight)
        else:
            _add(sums, TIE_NEGATIVE, weight)
            _add(sums, TIE_NEGATIVE_SQUARES, weight * weight)


@kernel("void(float64[:, ::1])")
def _end_tie_of_user(sums: F64) -> None:
    positive, negative = _value(sums, USER_TIE_POSITIVE), _value(sums, USER_TIE_NEGATIVE)
    _add(sums, USER_RIGHT, positive * (_value(sums, USER_NEGATIVE) + 0.5 * negative))
    _add(sums, USER_POSITIVE, positive)
    _add(sums, USER_NEGATIVE, negative)
    _clear(sums, USER_TIE_POSITIVE)
    _clear(sums, USER_TIE_NEGATIVE)


@kernel("void(int64[::1], float64[:, ::1])")
def end_user(at_hand: I64, sums: F64) -> None:
    """Count the user at hand, if there is one: after the last block, and by ``fold_users``."""
    if at_hand[0] == 0:
        return
    _end_tie_of_user(sums)
    positive, negative = _value(sums, USER_POSITIVE), _value(sums, USER_NEGATIVE)
    if positive > 0.0 and negative > 0.0:
        total = positive + negative
        _add(sums, USERS_WEIGHTED_AUC, total * (_value(sums, USER_RIGHT) / (positive * negative)))
        _add(sums, USERS_WEIGHT, total)
        at_hand[2] += 1
    else:
        at_hand[3] += 1
    for place in (USER_POSITIVE, USER_NEGATIVE, USER_RIGHT):
        _clear(sums, place)
    at_hand[0] = 0


@kernel("void(int64[::1], float64[::1], boolean[::1], float64[::1], int64[::1], float64[:, ::1])")
def fold_users(users: I64, scores: F64, positive: Bools, weights: F64, at_hand: I64, sums: F64) -> None:
    """Add a block of rows, in the order of (user, score), also from block to block.

    Args:
        users: int64 [n]
        scores: float64 [n]
        positive: bool [n]
        weights: float64 [n], 0 or more; within a tie and a class ascending, if they differ
        at_hand: int64 [4], changed: whether a user is at hand, which; users with both classes, users with one
        sums: float64 [8, 2], changed
    """
    for i in range(len(users)):
        if at_hand[0] == 0 or users[i] != at_hand[1]:
            end_user(at_hand, sums)
            at_hand[0], at_hand[1] = 1, users[i]
            sums[USER_TIE_SCORE, 0] = scores[i]
        elif scores[i] != sums[USER_TIE_SCORE, 0]:
            _end_tie_of_user(sums)
            sums[USER_TIE_SCORE, 0] = scores[i]
        _add(sums, USER_TIE_POSITIVE if positive[i] else USER_TIE_NEGATIVE, weights[i])


@kernel("void(float64[::1], float64[:, :, ::1])")
def end_bin_tie(values: F64, sums: F64) -> None:
    """Add the tie at hand, if there is one, to the bin that holds its middle: after the last block, too."""
    bins = len(sums) - 2
    tie, before = sums[bins], sums[bins + 1]
    if tie[BIN_ROWS, 0] == 0.0:
        return
    weight = _value(tie, BIN_POSITIVE) + _value(tie, BIN_NEGATIVE)
    place = 0
    if values[0] > 0.0:
        place = min(int(bins * (_value(before, BIN_POSITIVE) + 0.5 * weight) / values[0]), bins - 1)
    for each in range(NUM_BIN_SUMS):
        _add(sums[place], each, _value(tie, each))
        _clear(tie, each)
    _add(sums[place], BIN_PREDICTED, weight * values[2])
    _add(before, BIN_POSITIVE, weight)


@kernel("void(float64[::1], float64[::1], boolean[::1], float64[::1], float64[::1], float64[:, :, ::1])")
def fold_bins(scores: F64, predicted: F64, positive: Bools, weights: F64, values: F64, sums: F64) -> None:
    """Add a block of rows to bins of equal weight.

    Args:
        scores: float64 [n], ascending, also from block to block
        predicted: float64 [n], the probabilities, equal where scores are
        positive: bool [n]
        weights: float64 [n], 0 or more; within a tie and a class ascending, if they differ
        values: float64 [3], changed: the total weight of all rows; score and p of the tie at hand
        sums: float64 [bins + 2, 7, 2], changed
    """
    tie = sums[len(sums) - 2]
    for i in range(len(scores)):
        if tie[BIN_ROWS, 0] == 0.0 or scores[i] != values[1]:
            end_bin_tie(values, sums)
            values[1], values[2] = scores[i], predicted[i]
        weight = weights[i]
        _add(tie, BIN_POSITIVE if positive[i] else BIN_NEGATIVE, weight)
        _add(tie, BIN_POSITIVE_SQUARES if positive[i] else BIN_NEGATIVE_SQUARES, weight * weight)
        tie[BIN_ROWS, 0] += 1.0
        tie[BIN_ROWS_WITH_WEIGHT, 0] += weight > 0.0
