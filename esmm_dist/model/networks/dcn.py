"""DCN-V2: cross layers of low rank beside a multilayer perceptron."""

import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.mlp import Mlp
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields

_FIRST_DRAW = 100  # of start values: the draws below are those of the perceptron's layers


class Dcn(Mlp):
    """Cross layers and hidden layers side by side, whose results the outputs add up.

    With x_0 the vector of all fields, each cross layer multiplies it by what it makes of the layer before::

        x_{l+1} = x_0 ⊙ (U_l V_lᵀ x_l + b_l) + x_l        U_l, V_l float32 [P, cross_rank], b_l float32 [P]

    and L of them hold products of up to L + 1 columns. Source: Wang et al., "DCN V2: Improved Deep & Cross Network and
    Practical Lessons for Web-scale Learning to Rank Systems", WWW 2021, arXiv 2008.13535: the cross layer is equation 1
    with the matrix of low rank of equation 2, and the two parts stand in parallel (figure 1b). In parallel, because the
    perceptron's first layer can then be split between user and impression, as that of ``Mlp`` is; the paper finds
    neither way to be always the better one (section 3.3).

    A user's columns of x_0 are the same for all impressions of a group, so that products of x_0 with a weight are
    computed once a group for these. The last layer is made of such products alone, without a vector of P columns an
    impression: with W float32 [P, outputs] and r = V_lᵀ x_l float32 [cross_rank] ::

        Wᵀ x_{l+1} = Wᵀ x_l + (W ⊙ b_l)ᵀ x_0 + Σ_j r_j · (W ⊙ U_lj)ᵀ x_0        U_lj: column j of U_l
    """

    def __init__(self, layout: FieldLayout, config: ModelConfig, *, outputs: int, seed: int) -> None:
        """Make the variables: Glorot uniform, biases 0."""
        super().__init__(layout, config, outputs=outputs, seed=seed)
        self._user_columns = layout.user_columns
        columns = layout.user_columns + layout.impression_columns
        self._cross_u, self._cross_v, self._cross_b = [], [], []
        for layer in range(config.cross_layers):
            draw = _FIRST_DRAW + 2 * layer
            self._cross_u.append(self.variable(self.glorot([config.cross_rank, columns], draw), f"cross_u_{layer}"))
            self._cross_v.append(self.variable(self.glorot([columns, config.cross_rank], draw + 1), f"cross_v_{layer}"))
            self._cross_b.append(self.variable(tf.zeros([columns]), f"cross_b_{layer}"))
        kernel = self.glorot([columns, outputs], _FIRST_DRAW + 2 * config.cross_layers)
        self._cross_kernel = self.variable(kernel, "cross_kernel")

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Return float32 [B, outputs]; dropout is that of the perceptron alone, as in the paper."""
        return super().call(pooled, dropout_seed) + self.cross_outputs(pooled)

    def cross_outputs(self, pooled: PooledFields) -> tf.Tensor:
        """Return Wᵀ x_L, the outputs' part of the last cross layer's vector: float32 [B, outputs]."""
        last, kernel = self.config.cross_layers - 1, tf.convert_to_tensor(self._cross_kernel)
        u, b, v = (weights[last] for weights in (self._cross_u, self._cross_b, self._cross_v))
        of_bias = kernel * b[:, tf.newaxis]
        of_u = tf.reshape(kernel[:, :, tf.newaxis] * tf.transpose(u)[:, tf.newaxis, :], [kernel.shape[0], -1])
        if last == 0:
            narrowed = self._of_fields(pooled, v)
            of_bias += kernel  # x_l is x_0
            before = 0.0
        else:
            x = self.crossed(pooled, last)
            narrowed = self.matmul(x, v)
            before = tf.matmul(x, kernel)
        products = self._of_fields(pooled, tf.concat([of_bias, of_u], axis=1))
        of_bias, of_u = tf.split(products, [self.outputs, -1], axis=1)
        of_u = tf.reshape(of_u, [-1, self.outputs, self.config.cross_rank])
        return before + of_bias + tf.reduce_sum(of_u * narrowed[:, tf.newaxis, :], axis=2)

    def crossed(self, pooled: PooledFields, layers: int) -> tf.Tensor:
        """Return x_l after 1 or more cross layers: float32 [B, P], the user's columns first."""
        first = tf.concat([tf.gather(pooled.user, pooled.group_of_impression), pooled.impression], axis=1)
        x = first
        for layer in range(layers):
            v = self._cross_v[layer]
            narrowed = self._of_fields(pooled, v) if layer == 0 else self.matmul(x, v)
            x = first * (self.matmul(narrowed, self._cross_u[layer]) + self._cross_b[layer]) + x
        return x

    def _of_fields(self, pooled: PooledFields, kernel: tf.Tensor) -> tf.Tensor:
        """Return the product float32 [B, n] of x_0 and a weight float32 [P, n], the user's part once a group."""
        of_user = self.matmul(pooled.user, kernel[: self._user_columns])
        return tf.gather(of_user, pooled.group_of_impression) + self.matmul(
            pooled.impression, kernel[self._user_columns :]
        )
