"""DeepFM: products of every two fields beside a multilayer perceptron."""

import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.mlp import Mlp
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields


class DeepFm(Mlp):
    """A factorization machine of the fields' vectors, and hidden layers over the same vectors, added up.

    With v_f the pooled vector of field f, the machine adds up the inner products of every two fields::

        Σ_{f<g} <v_f, v_g> = ½ Σ_d ((Σ_f v_fd)² - Σ_f v_fd²)

    Source: Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", IJCAI 2017, arXiv
    1703.04247, equations 1 and 2; the right side is lemma 3.1 of Rendle, "Factorization Machines", ICDM 2010. The
    user's two sums over fields are computed once a group.

    Changed: each output has a weight a column d, which starts at 1. The labels share their rows, so that the sum
    without weights would be the same number in the logits of all labels.

    The first order of equation 2, a weight an id, is the model's linear term: set ``linear_scale``. Without it there is
    no first order. A field with many ids is one vector here: products of two of its own ids are in none of the sums.
    """

    def __init__(self, layout: FieldLayout, config: ModelConfig, *, outputs: int, seed: int) -> None:
        """Make the variables.

        Raises:
            ConfigError: The fields' vectors differ in their number of columns.
        """
        super().__init__(layout, config, outputs=outputs, seed=seed)
        self._dim = _common_dim(layout)
        self._product_weights = self.variable(tf.ones([self._dim, outputs]), "product_weights")

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Return float32 [B, outputs]; dropout is that of the perceptron alone."""
        return super().call(pooled, dropout_seed) + tf.matmul(self.products(pooled), self._product_weights)

    def products(self, pooled: PooledFields) -> tf.Tensor:
        """Return the sum of v_fd · v_gd over every two fields, column by column: float32 [B, D]."""
        user_sum, user_squares = self._sums(pooled.user)
        impression_sum, impression_squares = self._sums(pooled.impression)
        both = tf.gather(tf.concat([user_sum, user_squares], axis=1), pooled.group_of_impression)
        user_sum, user_squares = tf.split(both, [self._dim, self._dim], axis=1)
        return 0.5 * (tf.square(user_sum + impression_sum) - user_squares - impression_squares)

    def _sums(self, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return, of float32 [n, fields · D], the sum of the fields' vectors and that of their squares: [n, D] each."""
        by_field = tf.reshape(vectors, [tf.shape(vectors)[0], vectors.shape[1] // self._dim, self._dim])
        return tf.reduce_sum(by_field, axis=1), tf.reduce_sum(tf.square(by_field), axis=1)


def _common_dim(layout: FieldLayout) -> int:
    """Return D, the columns of every field.

    Raises:
        ConfigError: They differ.
    """
    dims = {**layout.user_dims, **layout.impression_dims}
    first = next(iter(dims))
    for name, dim in dims.items():
        if dim != dims[first]:
            raise ConfigError(
                f"It multiplies the vectors of fields, but '{first}' has {dims[first]} columns and '{name}' {dim}. "
                "Give all fields one embedding_dim (in the schema, and in embedding_dim_by_table), or leave those that "
                "differ out of model.fields."
            )
    return dims[first]
