"""The population stability index: by hand, and what it is of splits that are drawn alike."""

import math

import numpy as np
import pytest

from esmm_dist.report.data_statistics.drift import drift, effective_size


def test_index_of_two_bins_is_that_of_the_formula():
    """Counts 59.5 and 39.5 plus 1/2 of 100: shares 0.6 and 0.4; 19.5 and 79.5: 0.2 and 0.8."""
    found = drift(np.array([59.5, 39.5]), np.array([19.5, 79.5]), 99, 50)
    assert found is not None
    assert found.psi == pytest.approx((0.2 - 0.6) * math.log(0.2 / 0.6) + (0.8 - 0.4) * math.log(0.8 / 0.4))
    assert found.noise == pytest.approx(1 / 99 + 1 / 50)
    assert found.bins == 2


def test_equal_splits_do_not_drift_and_a_bin_without_anything_is_no_bin():
    found = drift(np.array([10.0, 0.0, 30.0]), np.array([10.0, 0.0, 30.0]), 40, 40)
    assert found is not None
    assert (found.psi, found.bins) == (0, 2)


def test_an_empty_bin_gives_a_finite_index():
    found = drift(np.array([100.0, 0.0]), np.array([50.0, 50.0]), 100, 100)
    assert found is not None
    assert 0.5 < found.psi < 5


def test_a_split_without_anything_has_no_index():
    assert drift(np.zeros(2), np.ones(2), 0, 2) is None


def test_index_of_splits_that_are_drawn_alike_is_the_noise_on_average():
    """200 pairs of 2,000 and 900 draws from 20 bins; the mean has a standard error of about 2%."""
    draw = np.random.default_rng(4)
    shares = draw.dirichlet(np.full(20, 5.0))
    pairs = [(draw.multinomial(2000, shares), draw.multinomial(900, shares)) for _ in range(200)]
    found = [drift(a.astype(float), b.astype(float), 2000, 900) for a, b in pairs]
    ratios = [each.psi / each.noise for each in found if each is not None and each.noise is not None]
    assert len(ratios) == 200
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize(("sizes", "known"), [((1.5, 1.5), True), ((1.4, 1000), False), ((1000, 1.4), False)])
def test_of_fewer_users_than_half_the_bins_chance_is_not_known(sizes, known):
    """One user of most impressions would make the mean of a chi-square larger than any index there is."""
    found = drift(np.array([900.0, 50.0, 50.0]), np.array([10.0, 400.0, 500.0]), *sizes)
    assert found is not None
    assert (found.noise is not None) == known
    assert found.psi > 1


def test_users_of_equally_many_impressions_all_count_and_one_of_most_counts_for_little_more_than_one():
    assert effective_size(np.full(50, 7.0), np.ones(50)) == pytest.approx(50)
    assert effective_size(np.array([1000.0, 1.0, 1.0]), np.ones(3)) == pytest.approx(1.004, abs=1e-3)
    assert effective_size(np.full(5, 2.0), np.full(5, 4.0)) == pytest.approx(20)
    assert effective_size(np.zeros(0), np.zeros(0)) == 0
