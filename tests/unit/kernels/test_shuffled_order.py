"""The order of a shuffle is that of ``tf.data``: a run that TensorFlow read goes on with the records that are due."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from esmm_dist.kernels.shuffled_order import shuffled_order
from tests.support.reference import tensorflow_reading


@settings(max_examples=60)
@given(seed=st.integers(1, 2**31 - 2), size=st.integers(1, 300))
@example(seed=1, size=1)
@example(seed=2**31 - 2, size=5000)
def test_the_order_is_that_of_tensorflow(seed, size):
    assert shuffled_order(seed, size).tolist() == tensorflow_reading.shuffled_order(seed, size)


@pytest.mark.parametrize("size", [0, 1, 2, 4, 5])
def test_each_element_comes_once(size):
    order = shuffled_order(7, size)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(size))
