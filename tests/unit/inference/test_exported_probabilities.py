"""The exported model computes probabilities as the scorer does."""

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.inference.exported_probabilities import exported_probabilities
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.schema.label_tree import LabelTree
from tests.unit.calibration.test_curves import curves

TREES = [LabelTree.of(("click", "cart", "buy")), LabelTree.of(("click", "cart", "buy"), {"buy": "click"})]


@given(
    arrays(np.float32, st.tuples(st.integers(0, 20), st.just(3)), elements=st.floats(-30, 30, width=32)),
    st.floats(1e-3, 1.0),
    st.none() | st.tuples(curves, curves, curves),
    st.sampled_from(TREES),
)
def test_every_column_is_that_of_predict(logits, kept, of_labels, tree):
    transform = LogitTransform(keep_negatives=kept, curves=of_labels)
    found = exported_probabilities(tf.constant(logits), tree, transform)
    assert list(found) == tree.columns
    for tensor, expected in zip(found.values(), probabilities(transform(logits), tree), strict=True):
        assert tensor.dtype == tf.float32
        # TensorFlow makes 0 of what has no whole float32 mantissa
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1.2e-38)
