"""From logits to the columns of predictions, in plain TensorFlow.

It is ``LogitTransform`` and ``probabilities`` operation by operation, in float64 as they are: the result is then right
to the last bit of float32.
"""

import tensorflow as tf

from esmm_dist.calibration.curves import Curve, IsotonicCurve, PlattScaling
from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.schema.label_tree import LabelTree


def exported_probabilities(logits: tf.Tensor, tree: LabelTree, transform: LogitTransform) -> dict[str, tf.Tensor]:
    """Return the columns of ``tree.columns``, float32 [B] each.

    Args:
        logits: float32 [B, K], a model's
        tree: K labels
        transform: what probabilities are computed from
    """
    wide = tf.cast(logits, tf.float64)
    conditional = []
    for k in range(len(tree.names)):
        own = wide[:, k] + tf.constant(transform.offset, tf.float64) if k == 0 else wide[:, k]
        if transform.curves is not None:
            own = _calibrated(own, transform.curves[k])
        conditional.append(tf.exp(-tf.math.softplus(-own)))
    products = tree.products(conditional)
    columns = {task.column: (products if task.given is None else conditional)[task.label] for task in tree.tasks}
    return {name: tf.cast(column, tf.float32) for name, column in columns.items()}


def _calibrated(logits: tf.Tensor, curve: Curve) -> tf.Tensor:
    """Return what ``curve.of`` does, float64 [B]."""
    if isinstance(curve, PlattScaling):
        return tf.constant(curve.slope, tf.float64) * logits + tf.constant(curve.intercept, tf.float64)
    if isinstance(curve, IsotonicCurve):
        boundaries, *of_lines = (tf.constant(each, tf.float64) for each in curve.lines)
        line = tf.searchsorted(boundaries, logits, side="right")
        x, y, slope, highest = (tf.gather(each, line) for each in of_lines)
        return tf.minimum(y + slope * (logits - x), highest)
    return logits
