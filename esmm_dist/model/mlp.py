"""The multilayer perceptron of the ESMM paper as BASE network."""

import itertools
import math
from typing import Any

import keras
import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork, PooledFields
from esmm_dist.model.config import ModelConfig


class Mlp(BaseNetwork):
    """Hidden layers with ReLU, then one logit.

    The first layer is split: x·W = x_user·W_user + x_impression·W_impression, and the user's part is computed once a
    group. With 8 impressions a group and most columns on the user's side this halves the work of the tower.
    """

    def __init__(self, user_columns: int, impression_columns: int, config: ModelConfig, *, seed: int) -> None:
        """Make the variables: Glorot uniform over the unsplit shape, biases 0."""
        super().__init__(user_columns, impression_columns, config, seed=seed)
        widths = [user_columns + impression_columns, *config.layer_widths, 1]
        self._kernels = []
        self._biases = []
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            # Stateless: the same values on every rank, and TFRA breaks Keras 3's initialisers at import
            limit = math.sqrt(6.0 / (fan_in + fan_out))
            kernel = tf.random.stateless_uniform([fan_in, fan_out], [seed, layer], -limit, limit)
            parts = [kernel[:user_columns], kernel[user_columns:]] if layer == 0 else [kernel]
            for part, suffix in zip(parts, ("_user", "_impression") if layer == 0 else ("",), strict=True):
                self._kernels.append(self._variable(part, f"kernel_{layer}{suffix}"))
            self._biases.append(self._variable(tf.zeros([fan_out]), f"bias_{layer}"))
        self.built = True

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Return float32 [B]."""
        last = len(self._biases) - 1
        kernels, biases = self._kernels, self._biases
        first = self._narrow if last else tf.convert_to_tensor  # the last layer gives the logit and stays float32
        user, impression = first(pooled.user), first(pooled.impression)
        of_user = tf.matmul(user, first(kernels[0])) + first(biases[0])  # here: once a group, not an impression
        hidden = tf.gather(of_user, pooled.group_of_impression) + tf.matmul(impression, first(kernels[1]))
        for layer in range(1, last + 1):
            hidden = self._dropped(tf.nn.relu(hidden), dropout_seed, layer - 1)
            if layer < last:
                hidden = tf.matmul(hidden, self._narrow(kernels[layer + 1])) + self._narrow(biases[layer])
            else:
                hidden = tf.matmul(tf.cast(hidden, tf.float32), kernels[layer + 1]) + biases[layer]
        return tf.squeeze(hidden, axis=1)

    def _narrow(self, values: Any) -> tf.Tensor:
        """Return what hidden layers compute with: bfloat16 from end to end if mixed precision is on."""
        values = tf.convert_to_tensor(values)
        return tf.cast(values, tf.bfloat16) if self.mixed_precision else values

    def _variable(self, value: tf.Tensor, name: str) -> keras.Variable:
        return self.add_weight(shape=value.shape, initializer=lambda *_, **__: value, name=name)

    def _dropped(self, hidden: tf.Tensor, dropout_seed: tf.Tensor | None, layer: int) -> tf.Tensor:
        if dropout_seed is None or self.config.dropout == 0:
            return hidden
        # Beside the tower's number, not beside the step: else layer 1 of a step would share layer 0's mask of the next
        seed = dropout_seed + tf.constant([layer, 0], dtype=tf.int32)
        return tf.nn.experimental.stateless_dropout(hidden, self.config.dropout, seed=seed)
