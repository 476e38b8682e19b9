"""The columns of predictions, from logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from esmm_dist.inference.probabilities import prediction_columns, probabilities

logits = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5),
    elements=st.floats(-60, 60, width=32),
)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("click",), ["p_click"]),
        (("click", "conversion"), ["pctr", "pcvr", "pctcvr"]),
        (("view", "order"), ["pctr", "pcvr", "pctcvr"]),  # two labels have the usual names, whatever they are called
        (("a", "b", "c"), ["p_a", "p_b_given_a", "p_b", "p_c_given_b", "p_c"]),
    ],
)
def test_each_label_has_its_conditional_probability_and_its_product(labels, names):
    assert prediction_columns(labels) == names


@given(logits)
def test_there_is_a_column_for_each_name_all_in_0_to_1(values):
    columns = probabilities(values)
    assert len(columns) == len(prediction_columns(tuple(str(k) for k in range(values.shape[1]))))
    for column in columns:
        assert column.dtype == np.float32
        assert column.shape == (len(values),)
        assert ((column >= 0) & (column <= 1)).all()


@given(logits)
def test_a_product_is_its_conditionals_multiplied_and_never_grows_along_the_chain(values):
    columns = probabilities(values)
    conditional = [columns[0], *columns[1::2]]
    products = [columns[0], *columns[2::2]]
    for k in range(1, values.shape[1]):
        expected = np.prod([each.astype(np.float64) for each in conditional[: k + 1]], axis=0)
        np.testing.assert_allclose(products[k], expected, rtol=1e-6, atol=1e-44)
        assert (products[k] <= products[k - 1]).all()


@given(logits)
def test_a_column_does_not_depend_on_the_impressions_beside_it(values):
    alone = [np.concatenate(each) for each in zip(*(probabilities(row[np.newaxis]) for row in values), strict=True)]
    for column, expected in zip(probabilities(values), alone, strict=True):
        np.testing.assert_array_equal(column, expected)


def test_a_logit_of_zero_is_one_half_and_one_of_log_3_three_quarters():
    pctr, pcvr, pctcvr = probabilities(np.array([[0.0, np.log(3.0)]], np.float32))
    np.testing.assert_allclose([pctr[0], pcvr[0], pctcvr[0]], [0.5, 0.75, 0.375], rtol=1e-7)
