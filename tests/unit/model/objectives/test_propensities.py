"""On data without some negatives, debiased losses are those of the full log."""

import numpy as np
import pytest

from esmm_dist.model.objectives.label_shares import LabelShares
from tests.unit.model.objectives.formulas import TREE, objective, sums

KEPT = 0.25


def rows(outputs: list[float], labels: list[int], times: int) -> list[tuple[list[float], list[int]]]:
    return [(outputs, labels)] * times


@pytest.mark.parametrize("name", ["unbias", "escm2-ips", "escm2-dr", "dcmt"])
def test_the_risk_of_the_kept_impressions_is_the_full_logs_mean_over_its_impressions(name):
    """A full log of 4 clicks and 8 negatives in two kinds, of which 2 are kept; the logit that a model of the kept ones
    has learned is that of the full log plus ln 4, to give its odds of clicks."""
    heads = len(objective(name, TREE).head_labels)
    one, other = [-1.0, 0.5, 0.3, -0.2, 0.1, 0.6, -0.4][:heads], [-2.0, 0.1, -0.7, 0.4, 0.2, -0.1, 0.9][:heads]
    clicks = [*rows(one, [1, 0, 0, 0], 1), *rows(other, [1, 1, 0, 1], 1), *rows(other, [1, 1, 1, 0], 2)]
    full = [*clicks, *rows(one, [0] * 4, 4), *rows(other, [0] * 4, 4)]
    kept = [*clicks, *rows(one, [0] * 4, 1), *rows(other, [0] * 4, 1)]
    learned = [([outputs[0] - np.log(KEPT), *outputs[1:]], labels) for outputs, labels in kept]

    def risks(log, shares):
        outputs, labels = zip(*log, strict=True)
        weighted = {} if name == "unbias" else {"risk_weight": 1.0}
        found = sums(objective(name, TREE, shares, **weighted), outputs, labels)
        if weighted:
            found -= sums(objective("esmm", TREE), [each[:4] for each in outputs], labels)
        return found[1:] / len(log)

    of_full = risks(full, LabelShares(of_labels=(4 / 12, 3 / 12, 2 / 12, 1 / 12)))
    of_kept = risks(learned, LabelShares(of_labels=(4 / 6, 3 / 6, 2 / 6, 1 / 6), keep_negatives=KEPT))
    np.testing.assert_allclose(of_kept, of_full, rtol=1e-4)


def test_of_the_full_log_all_is_kept():
    assert LabelShares(of_labels=(0.2, 0.1)).kept == 1
    # 4 clicks and 2 of 8 negatives: 6 of 12
    np.testing.assert_allclose(LabelShares(of_labels=(4 / 6, 0.0), keep_negatives=KEPT).kept, 1 / 2)
