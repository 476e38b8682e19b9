"""Stored forms of rows: their errors are within the bounds that the module states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from esmm_dist.errors import ServedModelError
from esmm_dist.served_model.row_types import read_back, stored_rows

_rows = arrays(
    np.float32,
    (3, 5),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from([0, 2.0**-149]),
)
IDS = np.arange(3)


def errors(rows, row_type):
    """Return errors, values and the greatest absolute value of each row, in float64."""
    stored = stored_rows(IDS, rows, row_type, where="test")
    wide = rows.astype(np.float64)
    greatest = np.abs(wide).max(axis=1, keepdims=True)
    return np.abs(read_back(stored.values, stored.scales).astype(np.float64) - wide), np.abs(wide), greatest


@given(_rows)
def test_float32_is_exact(rows):
    stored = stored_rows(IDS, rows, "float32", where="test")
    assert stored.scales is None
    assert stored.values.tobytes() == rows.tobytes()


@given(_rows)
def test_the_error_of_float16_is_within_its_bound(rows):
    error, size, greatest = errors(rows, "float16")
    assert (error <= np.maximum(np.maximum(size * 2.0**-11, greatest * 2.0**-39), 2.0**-151)).all()


@given(_rows)
def test_the_error_of_int8_is_within_its_bound(rows):
    error, _, greatest = errors(rows, "int8")
    assert (error <= np.maximum(greatest / 254 * (1 + 2.0**-14), 2.0**-127)).all()


def test_the_greatest_value_of_a_row_is_the_last_level_of_int8_and_the_others_round_to_the_nearest():
    stored = stored_rows(IDS[:2], np.array([[-254, 3, 1, 0.9], [0, 0, 0, 0]], np.float32), "int8", where="test")
    assert stored.values.tolist() == [[-127, 2, 0, 0], [0, 0, 0, 0]]  # steps of 2; ties to even: 1.5 -> 2, 0.5 -> 0
    assert stored.scales is not None
    assert stored.scales.tolist() == [2, 1]


def test_the_scale_of_float16_is_the_power_of_two_that_makes_the_greatest_value_large():
    rows = np.array([[1.0, 2**-30], [3e38, 1.0], [0, 0]], np.float32)
    stored = stored_rows(IDS, rows, "float16", where="test")
    assert stored.scales is not None
    assert stored.scales.tolist() == [2**-14, 2**113, 1]  # 1 = 2^14 * 2^-14; 3e38 is in [2^127, 2^128)
    np.testing.assert_array_equal(read_back(stored.values, stored.scales)[0], rows[0])  # 2^-16 is denormal, and exact
    assert np.isfinite(stored.values).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row_type", ["float32", "float16", "int8"])
def test_a_row_that_is_not_finite_is_refused_with_its_id(value, row_type):
    rows = np.zeros((3, 2), np.float32)
    rows[1, 1] = value
    with pytest.raises(ServedModelError, match="Table 'main': the row of id 77 holds a value that is not finite"):
        stored_rows(np.array([5, 77, 8]), rows, row_type, where="Table 'main'")


def test_no_rows_have_a_stored_form():
    stored = stored_rows(IDS[:0], np.empty((0, 4), np.float32), "int8", where="test")
    assert stored.values.shape == (0, 4)
    assert stored.scales is not None
    assert stored.scales.shape == (0,)
