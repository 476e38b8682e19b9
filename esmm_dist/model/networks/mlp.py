"""The multilayer perceptron of the ESMM paper."""

import itertools

import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields


class Mlp(BaseNetwork):
    """Hidden layers with ReLU, then the outputs.

    The first layer is split: x·W = x_user·W_user + x_impression·W_impression, and the user's part is computed once a
    group. With 8 impressions a group and most columns on the user's side this halves the work of the network.
    """

    def __init__(self, layout: FieldLayout, config: ModelConfig, *, outputs: int, seed: int) -> None:
        """Make the variables: Glorot uniform over the unsplit shape, biases 0."""
        super().__init__(layout, config, outputs=outputs, seed=seed)
        user_columns = layout.user_columns
        widths = [user_columns + layout.impression_columns, *config.layer_widths, outputs]
        self._kernels = []
        self._biases = []
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            kernel = self.glorot([fan_in, fan_out])
            parts = [kernel[:user_columns], kernel[user_columns:]] if layer == 0 else [kernel]
            for part, suffix in zip(parts, ("_user", "_impression") if layer == 0 else ("",), strict=True):
                self._kernels.append(self.variable(part, f"kernel_{layer}{suffix}"))
            self._biases.append(self.variable(tf.zeros([fan_out]), f"bias_{layer}"))
        self.built = True

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Return float32 [B, outputs]."""
        last = len(self._biases) - 1
        kernels, biases = self._kernels, self._biases
        first = self.narrow if last else tf.convert_to_tensor  # the last layer gives the outputs and stays float32
        hidden = self.first_layer(pooled, first(kernels[0]), first(kernels[1]), first(biases[0]))
        for layer in range(1, last + 1):
            hidden = self.dropped(tf.nn.relu(hidden), dropout_seed, layer - 1)
            if layer < last:
                hidden = tf.matmul(hidden, self.narrow(kernels[layer + 1])) + self.narrow(biases[layer])
            else:
                hidden = tf.matmul(tf.cast(hidden, tf.float32), kernels[layer + 1]) + biases[layer]
        return hidden
