"""The logits of probabilities, from a model's: corrected for negatives that were left out, then calibrated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.calibration.curves import PlattScaling, UnchangedLogits
from esmm_dist.calibration.label_counts import sigmoid
from esmm_dist.calibration.logit_transform import LogitTransform, keep_negatives_of


def test_without_anything_logits_stay_to_the_bit():
    logits = np.array([[0.1, -3.0], [7.25, 0.0]], np.float32)
    found = LogitTransform()(logits)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, logits)


@given(st.floats(0.01, 0.99), st.floats(1e-4, 1.0))
def test_the_correction_makes_the_odds_of_the_thinned_log_those_of_the_full_one(share, kept):
    # of n impressions, share * n are positive: all of them stay, and of the others the part `kept`
    thinned = share / (share + kept * (1 - share))
    logits = np.array([[math.log(thinned / (1 - thinned)), 0.3]])
    found = LogitTransform(keep_negatives=kept)(logits)
    assert sigmoid(found[:, 0])[0] == pytest.approx(share, rel=1e-9)
    assert found[0, 1] == 0.3  # every impression with the first label is there


def test_the_curve_is_applied_to_corrected_logits():
    curves = (PlattScaling(slope=2.0, intercept=1.0), UnchangedLogits())
    found = LogitTransform(keep_negatives=0.5, curves=curves)(np.array([[3.0, 4.0]], np.float32))
    np.testing.assert_allclose(found, [[2 * (3 + math.log(0.5)) + 1, 4.0]], rtol=1e-15)


def test_the_logits_of_a_model_are_not_changed_in_place():
    logits = np.zeros((3, 2))
    LogitTransform(keep_negatives=0.5)(logits)
    assert not logits.any()


def test_a_checkpoint_from_before_negatives_could_be_left_out_has_all():
    assert keep_negatives_of({}) == 1.0
    assert keep_negatives_of({"keep_negatives": 0.25}) == 0.25
