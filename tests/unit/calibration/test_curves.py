"""Curves of calibrated labels rise, and are kept as plain values."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.calibration.calibration import Calibration, LabelCalibration
from esmm_dist.calibration.curves import Curve, IsotonicCurve, PlattScaling, UnchangedLogits
from esmm_dist.config import build, to_mapping
from esmm_dist.errors import CheckpointError
from esmm_dist.model.metrics.auc import exact_auc

STEPS = IsotonicCurve(logits=(-2.0, 0.0, 1.0), calibrated=(-3.0, -1.0, 4.0))

knots = st.lists(st.integers(-2000, 2000), min_size=1, max_size=30, unique=True).map(sorted)


@st.composite
def isotonic_curves(draw) -> IsotonicCurve:
    logits = draw(knots)
    steps = draw(st.lists(st.floats(1e-3, 3), min_size=len(logits), max_size=len(logits)))
    return IsotonicCurve(
        logits=tuple(each / 100 for each in logits), calibrated=tuple((np.cumsum(steps) - 10.0).tolist())
    )


curves = st.one_of(
    st.builds(UnchangedLogits),
    st.builds(PlattScaling, slope=st.floats(0.01, 5), intercept=st.floats(-5, 5)),
    isotonic_curves(),
)


def test_platt_scaling_is_a_line():
    found = PlattScaling(slope=0.5, intercept=-1.0).of(np.array([-2.0, 0.0, 4.0]))
    np.testing.assert_array_equal(found, [-2.0, -1.0, 1.0])


def test_an_isotonic_curve_is_lines_between_its_knots_and_of_slope_1_beyond_them():
    at = np.array([-5.0, -2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(STEPS.of(at), [-6.0, -3.0, -2.0, -1.0, 1.5, 4.0, 6.0], rtol=1e-15)


def test_a_curve_of_one_knot_shifts():
    np.testing.assert_array_equal(
        IsotonicCurve(logits=(1.0,), calibrated=(-1.0,)).of(np.array([-1.0, 1.0, 2.0])), [-3.0, -1.0, 0.0]
    )


@given(curves, st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=50))
def test_no_curve_falls_whatever_the_logits(curve, logits):
    found = curve.of(np.sort(np.array(logits, np.float64)))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("curve", [PlattScaling(slope=0.37, intercept=1.9), STEPS])
def test_the_auc_stays_to_the_last_bit(curve):
    draw = np.random.default_rng(3)
    logits = draw.normal(-2, 1.5, 20_000).astype(np.float32).astype(np.float64)
    labels = draw.random(20_000) < 1 / (1 + np.exp(-logits))
    assert len(np.unique(curve.of(logits))) == len(np.unique(logits))  # no two became one
    assert exact_auc(curve.of(logits), labels) == exact_auc(logits, labels)


def calibration_of(curve: Curve) -> Calibration:
    label = LabelCalibration(label="click", impressions=9, positives=3, before=1.5, after=None, curve=curve)
    return Calibration(step=7, split="validation", method="platt", labels=(label,))


@given(curves)
def test_a_calibration_comes_back_from_json_bit_for_bit(curve):
    kept = calibration_of(curve)
    assert build(Calibration, json.loads(json.dumps(to_mapping(kept))), where="test") == kept


@pytest.mark.parametrize(
    ("curve", "problem"),
    [
        ({"method": "platt", "slope": 0.0, "intercept": 0.0}, "slope is 0.0; it is above 0"),
        ({"method": "platt", "slope": float("nan"), "intercept": 0.0}, "slope is nan; it is above 0"),
        ({"method": "isotonic", "logits": [], "calibrated": []}, "a curve has 0 knots and 0 values"),
        ({"method": "isotonic", "logits": [1.0, 2.0], "calibrated": [1.0]}, "a curve has 2 knots and 1 values"),
        ({"method": "isotonic", "logits": [1.0, 1.0], "calibrated": [1.0, 2.0]}, "logits of a curve are not finite"),
        ({"method": "isotonic", "logits": [1.0], "calibrated": [float("inf")]}, "calibrated of a curve are not finite"),
        ({"method": "spline"}, "labels.0..curve.method is 'spline'"),
    ],
)
def test_a_curve_that_does_not_rise_is_refused(curve, problem):
    mapping = to_mapping(calibration_of(UnchangedLogits()))
    mapping["labels"][0]["curve"] = curve
    with pytest.raises(CheckpointError, match=problem):
        build(Calibration, mapping, where="manifest.json", error=CheckpointError)
