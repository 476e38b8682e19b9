"""Rates of labels, and what a split leaves open of an AUC."""

from dataclasses import replace

import numpy as np
import pytest

from esmm_dist.report.data_page.rates import auc_standard_error, label_order, label_rates
from esmm_dist.report.data_statistics.statistics import Funnel
from tests.support.made_up_statistics import statistics


def test_the_standard_error_is_that_of_aucs_of_many_samples():
    # Scores of both classes are exponential, for which Hanley and McNeil's formula is exact: their means are 7 to 3,
    # so that P(positive > negative) = 7 / (7 + 3)
    random = np.random.default_rng(1)
    positives, negatives = 25, 200
    higher, lower = random.exponential(7, (1500, positives, 1)), random.exponential(3, (1500, 1, negatives))
    found = (higher > lower).mean(axis=(1, 2))
    assert np.mean(found) == pytest.approx(0.7, abs=0.005)
    # the standard deviation of 1500 values is known to 1 / sqrt(3000) = 2%
    assert auc_standard_error(positives, negatives) == pytest.approx(np.std(found), rel=0.06)


def test_the_assumed_auc_matters_little():
    errors = [auc_standard_error(100, 10_000, auc) for auc in (0.6, 0.7, 0.8)]
    assert max(errors) / errors[1] < 1.1
    assert min(errors) / errors[1] > 0.9


@pytest.mark.parametrize(("positives", "negatives"), [(0, 10), (10, 0), (0, 0), (10, -1)])
def test_without_a_class_there_is_no_auc(positives, negatives):
    assert np.isnan(auc_standard_error(positives, negatives))


def test_a_rate_is_given_the_label_on_the_way():
    numbers = statistics(labels=3, parents=(-1, 0, 0))
    funnel = Funnel(impressions=900, left_out_negatives=100, labels={"label-0": 200, "label-1": 50, "label-2": 0})
    first, second, third = label_rates(numbers, funnel)
    assert (first.given, first.of, first.rate, first.share_of_impressions) == (None, 1000, 0.2, 0.2)
    assert first.standard_error == pytest.approx((0.2 * 0.8 / 1000) ** 0.5)
    assert (second.given, second.of, second.rate, second.share_of_impressions) == ("label-0", 200, 0.25, 0.05)
    assert second.text == "label-1 given label-0"
    assert (third.rate, third.standard_error) == (0, 0)
    assert np.isnan(third.auc_standard_error)
    assert np.isnan(third.rate_by_weight)


def test_rates_by_weight_are_shares_of_weights():
    numbers = statistics(labels=2)
    funnel = Funnel(
        impressions=10, labels={"label-0": 5, "label-1": 1}, weight=8.0, label_weights={"label-0": 2.0, "label-1": 0.5}
    )
    assert [each.rate_by_weight for each in label_rates(numbers, funnel)] == [0.25, 0.25]


def test_labels_follow_the_one_on_the_way_to_them():
    numbers = replace(statistics(labels=4), label_parents=(-1, 3, 0, 0))
    assert list(label_order(numbers)) == [(0, 0), (2, 1), (3, 1), (1, 2)]
