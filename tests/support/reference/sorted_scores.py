"""What ``esmm_dist/kernels/sorted_scores.py`` computes, tie by tie and user by user, over all rows at once."""

from itertools import groupby

import numpy as np

from esmm_dist.arrays import F64, I64, Bools


class CompensatedSum:
    """Neumaier's sum: one float64 beside what its additions have rounded away."""

    def __init__(self) -> None:
        self.sum = self.compensation = 0.0

    def add(self, value: float) -> None:
        total = self.sum + value
        larger, smaller = (self.sum, value) if abs(self.sum) >= abs(value) else (value, self.sum)
        self.compensation += (larger - total) + smaller
        self.sum = total

    @property
    def value(self) -> float:
        return self.sum + self.compensation


def total(values: F64) -> float:
    found = CompensatedSum()
    for value in values.tolist():
        found.add(value)
    return found.value


def score_sums(terms: F64, positive: Bools, weights: F64) -> F64:
    """Return the sums of ``fold_scores`` after the last tie: float64 [17, 2]."""
    right, likelihood, predicted = CompensatedSum(), CompensatedSum(), CompensatedSum()
    of_squares, of_positive_squares = CompensatedSum(), CompensatedSum()
    class_weight = {label: CompensatedSum() for label in (True, False)}
    squares = {label: [CompensatedSum() for _ in range(3)] for label in (True, False)}
    for _, tie in groupby(range(len(positive)), key=lambda row: terms[0, row]):
        rows = np.array(list(tie))
        own = {label: weights[rows[positive[rows] == label]] for label in (True, False)}
        tie_weight = {label: total(own[label]) for label in (True, False)}
        square_of = {label: total(own[label] * own[label]) for label in (True, False)}
        of_positive_squares.add(square_of[True] * terms[3, rows[0]])
        of_squares.add((square_of[True] + square_of[False]) * (terms[3, rows[0]] * terms[3, rows[0]]))
        for label in (True, False):
            below = class_weight[not label].value + 0.5 * tie_weight[not label]
            if label:
                right.add(tie_weight[True] * below)
            square = square_of[label]
            for power, each in enumerate((square, square * below, square * (below * below))):
                squares[label][power].add(each)
        for label, term in ((True, 1), (False, 2)):
            if tie_weight[label]:
                likelihood.add(tie_weight[label] * terms[term, rows[0]])
        predicted.add((tie_weight[True] + tie_weight[False]) * terms[3, rows[0]])
        for label in (True, False):
            class_weight[label].add(tie_weight[label])
    in_order = [class_weight[True], class_weight[False], right, *squares[True], *squares[False], likelihood, predicted]
    in_order += [of_squares, of_positive_squares]
    return np.array([[0.0, 0.0]] * 4 + [[each.sum, each.compensation] for each in in_order])


def user_sums(users: I64, scores: F64, positive: Bools, weights: F64) -> tuple[list[float], tuple[int, int]]:
    """Return Σ n_u AUC_u and Σ n_u (sum and compensation each), and the users with both classes and with one."""
    weighted_auc, weight = CompensatedSum(), CompensatedSum()
    both = one = 0
    for _, of_user in groupby(range(len(users)), key=lambda row: users[row]):
        right = CompensatedSum()
        class_weight = {label: CompensatedSum() for label in (True, False)}
        for _, tie in groupby(of_user, key=lambda row: scores[row]):
            rows = np.array(list(tie))
            positives, negatives = (total(weights[rows[positive[rows] == label]]) for label in (True, False))
            right.add(positives * (class_weight[False].value + 0.5 * negatives))
            class_weight[True].add(positives)
            class_weight[False].add(negatives)
        positives, negatives = class_weight[True].value, class_weight[False].value
        if positives > 0 and negatives > 0:
            both += 1
            weighted_auc.add((positives + negatives) * (right.value / (positives * negatives)))
            weight.add(positives + negatives)
        else:
            one += 1
    return [weighted_auc.sum, weighted_auc.compensation, weight.sum, weight.compensation], (both, one)
