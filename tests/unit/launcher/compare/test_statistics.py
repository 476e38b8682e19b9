"""Means, standard deviations and the paired t-test, by hand."""

import math

import pytest

from launcher.compare.statistics import paired_difference, summary


def test_mean_and_sample_standard_deviation():
    found = summary([0.7, 0.8, 0.75])
    # deviations -0.05, 0.05, 0: squares 0.0025 + 0.0025, over 2
    assert (found.count, found.mean, found.sd) == pytest.approx((3, 0.75, 0.05))


def test_one_value_has_no_deviation_and_nothing_no_mean():
    one, none = summary([0.7]), summary([math.nan])
    assert (one.mean, math.isnan(one.sd)) == (0.7, True)
    assert (none.count, math.isnan(none.mean), math.isnan(none.sd)) == (0, True, True)


def test_a_paired_difference_and_its_test():
    # differences 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9 = 14, sd sqrt(14 / 3), error sqrt(14 / 12)
    found = paired_difference({1: 11.0, 2: 22.0, 3: 33.0, 4: 46.0}, {1: 10.0, 2: 20.0, 3: 30.0, 4: 40.0})
    assert found.count == 4
    assert found.mean == pytest.approx(3)
    assert found.standard_error == pytest.approx(math.sqrt(14 / 12))
    assert found.t == pytest.approx(3 / math.sqrt(14 / 12))
    # with 3 degrees of freedom P(T > t) = 1/2 - (atan(x) + x / (1 + x²)) / π, x = t / √3
    x = found.t / math.sqrt(3)
    assert found.p == pytest.approx(1 - 2 * (math.atan(x) + x / (1 + x * x)) / math.pi)


def test_pairing_takes_out_what_a_seed_does_to_both():
    seeds = {seed: 0.1 * seed for seed in range(1, 6)}
    found = paired_difference({seed: value + 0.01 + 0.001 * (-1) ** seed for seed, value in seeds.items()}, seeds)
    assert found.mean == pytest.approx(0.0098)  # 0.01 and a fifth of -0.001
    assert found.standard_error < 0.001 < summary(list(seeds.values())).sd / 10
    assert found.p < 0.001


def test_the_order_of_the_models_turns_the_sign_and_nothing_else():
    one, other = {1: 0.7, 2: 0.8, 3: 0.72}, {1: 0.71, 2: 0.79, 3: 0.75}
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert (back.mean, back.t) == pytest.approx((-there.mean, -there.t))
    assert back.p == pytest.approx(there.p)


def test_only_seeds_that_both_have_count_and_no_value_is_no_pair():
    found = paired_difference({1: 1.0, 2: math.nan, 4: 3.0}, {1: 0.5, 2: 1.0, 3: 1.0})
    assert (found.count, found.mean) == (1, 0.5)
    assert math.isnan(found.standard_error)
    assert math.isnan(found.p)


def test_equal_models_cannot_be_told_apart_and_a_difference_without_any_spread_is_certain():
    same = paired_difference({1: 0.5, 2: 0.6}, {1: 0.5, 2: 0.6})
    assert (same.mean, same.standard_error) == (0, 0)
    assert math.isnan(same.p)
    certain = paired_difference({1: 1.5, 2: 2.5}, {1: 1.0, 2: 2.0})
    assert (certain.t, certain.p) == (math.inf, 0)
