"""The exported model computes probabilities as the scorer does."""

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from esmm_dist.arrays import F32
from esmm_dist.calibration.curves import Curve
from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.inference.exported_probabilities import exported_probabilities
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.schema.label_tree import LabelTree
from tests.support.label_trees import label_trees
from tests.unit.calibration.test_curves import curves

Case = tuple[LabelTree, F32, tuple[Curve, ...] | None]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a tree, logits of its labels, and a curve of each or none."""
    tree = draw(label_trees(max_labels=5))
    shape = draw(st.integers(0, 20)), len(tree.names)
    logits = draw(arrays(np.float32, shape, elements=st.floats(-30, 30, width=32)))
    return tree, logits, draw(st.none() | st.tuples(*[curves] * len(tree.names)))


@given(cases(), st.floats(1e-3, 1.0))
def test_every_column_is_that_of_predict(case: Case, kept: float):
    tree, logits, of_labels = case
    transform = LogitTransform(keep_negatives=kept, curves=of_labels)
    found = exported_probabilities(tf.constant(logits), tree, transform)
    assert list(found) == tree.columns
    for tensor, expected in zip(found.values(), probabilities(transform(logits), tree), strict=True):
        assert tensor.dtype == tf.float32
        # TensorFlow makes 0 of what has no whole float32 mantissa
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1.2e-38)
