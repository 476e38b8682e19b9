"""BASE networks as a user would write them, for the tests of plug-ins."""

import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork, PooledFields


class FirstColumn(BaseNetwork):
    """Returns the first pooled column of the user."""

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return tf.gather(pooled.user[:, 0], pooled.group_of_impression)


class NoNetwork:
    """Is none."""


def not_even_a_class() -> None: ...
