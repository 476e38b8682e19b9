"""Finite or not, as NumPy says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from esmm_dist.kernels.finite import are_finite


@given(values=st_numpy.arrays(np.float32, st_numpy.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=40)))
def test_values_are_finite_if_numpy_says_so(values):
    values.flags.writeable = False  # as those that come from the wire
    assert are_finite(values) == bool(np.isfinite(values).all())


@given(place=st.integers(0, 99))
@pytest.mark.parametrize(("value", "finite"), [(3.4e38, True), (-3.4e38, True), (np.inf, False), (np.nan, False)])
def test_one_value_decides(value, finite, place):
    values = np.zeros((10, 10), np.float32)
    values.flat[place] = value
    assert are_finite(values) == finite
