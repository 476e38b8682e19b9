"""The Deep Interest Network: what of a user's lists is like the item at hand counts more, impression by impression.

Source: Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, arXiv 1706.06978.
"""

import itertools
from dataclasses import replace
from typing import NamedTuple

import keras
import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.mlp import Mlp
from esmm_dist.model.pair_tiles import PairTiles, pair_tiles
from esmm_dist.model.pooled_fields import FieldLayout, ListRows, PooledFields

_FIRST_DRAW = 1000
"""Behind the draws of the hidden layers, 0, 1, ..."""


class ActivationUnit(NamedTuple):
    """The variables of one list's a(e, v): how much an element with row e counts for an impression with query v."""

    key: keras.Variable
    """float32 [D, A]"""
    query: keras.Variable
    """float32 [D, A]"""
    product: keras.Variable
    """float32 [D, A]"""
    bias: keras.Variable
    """float32 [A]"""
    later: list[tuple[keras.Variable, keras.Variable]]
    """Kernel and bias of each layer behind the first; the last of them, or the first, has A = 1"""


class Din(BaseNetwork):
    """For each attended list Σ_j a(e_j, v) · w_j · e_j, beside all pooled fields, then hidden layers as ``mlp`` has.

    e_j are the rows of the list's elements, w_j their weights in its pooled sum, and v is the pooled vector of the
    impression's field that attends to it (equation 3). a is a small network of [e, v, e ∘ v] (figure 2, right; its
    "out product" taken by element, as the authors' code does, which feeds e - v too: linear in e and v, so that
    the first layer has it already). As in section 4.3 the a_j of a list do not add up to 1: no softmax, so that a
    user with many alike elements has a stronger interest. They are ReLU layers here; the paper's Dice is normalised
    over the batch, which would let results depend on the number of ranks. a starts near 1: the plain sum.

    The first layer of a for all pairs of an element and an impression of its user is one product of matrices a group::

        h[j, i] = e_j · (W_key + diag(v_i) W_product) + (v_i · W_query + b)

    so that neither rows nor queries are repeated for the pairs (``pair_tiles``).
    """

    wants_lists = True

    def __init__(self, layout: FieldLayout, config: ModelConfig, *, outputs: int, seed: int) -> None:
        """Make the variables: Glorot uniform, biases 0, but 1 of the last layer of each activation unit."""
        super().__init__(layout, config, outputs=outputs, seed=seed)
        dims = {f"{name} attended": layout.dim(name) for name in layout.attended}
        self._wide = replace(layout, impression_dims={**layout.impression_dims, **dims}, attended={})
        self._units = {name: self._unit(number, name) for number, name in enumerate(layout.attended)}
        self._mlp = Mlp(self._wide, config, outputs=outputs, seed=seed)
        self.built = True

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Return float32 [B, outputs]."""
        self._mlp.mixed_precision = self.mixed_precision
        found = [self.attended(name, pooled) for name in self._units]
        impression = tf.concat([pooled.impression, *found], axis=1)
        wide = self._wide.pooled(pooled.user, impression, pooled.group_of_impression)
        return self._mlp(wide, dropout_seed=dropout_seed)

    def attended(self, name: str, pooled: PooledFields) -> tf.Tensor:
        """Return Σ_j a(e_j, v) · w_j · e_j of one list, float32 [B, D]; zeros where the list is empty."""
        listed, unit = pooled.lists[name], self._units[name]
        query = pooled.field(self.layout.attended[name])
        tiles = pair_tiles(listed.lengths, _per_group(pooled, listed))
        activations = self._activations(unit, tiles, listed.rows, query)
        weighted = tiles.of_elements(listed.rows * listed.weights[:, tf.newaxis])
        return tiles.summed(tf.matmul(activations, weighted, transpose_a=True))

    def _activations(self, unit: ActivationUnit, tiles: PairTiles, keys: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """Return a of each pair of a tile: float32 [P, elements of a block, impressions of a block]."""
        units = unit.bias.shape[0]
        ones = tf.ones([tf.shape(keys)[0], 1])
        keys = tiles.of_elements(tf.concat([keys, ones], axis=1))  # [P, E, D + 1]; the 1 is for the query's part
        of_key = unit.key + query[:, :, tf.newaxis] * unit.product  # [B, D, A]
        of_query = self.matmul(query, tf.convert_to_tensor(unit.query)) + unit.bias
        matrices = tiles.impressions.of(tf.concat([of_key, of_query[:, tf.newaxis]], axis=1))  # [Z, I, D + 1, A]
        blocks, impressions, width = tf.shape(matrices)[0], tf.shape(matrices)[1], matrices.shape[2]
        side_by_side = tf.reshape(tf.transpose(matrices, [0, 2, 1, 3]), [blocks, width, impressions * units])
        products = self.matmul(keys, tf.gather(side_by_side, tiles.impression_block))  # [P, E, I · A]
        hidden = tf.reshape(products, [-1, units])
        for kernel, bias in unit.later:
            hidden = self.matmul(tf.nn.relu(hidden), tf.convert_to_tensor(kernel)) + bias
        return tf.reshape(hidden, [tf.shape(keys)[0], tf.shape(keys)[1], impressions])

    def _unit(self, number: int, name: str) -> ActivationUnit:
        """Make the variables of a list's activation unit."""
        dim, prefix = self.layout.dim(name), f"attention_{number}"
        widths = [3 * dim, *self.config.attention_units, 1]
        layers = []
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            kernel = self.glorot([fan_in, fan_out], _FIRST_DRAW + 100 * number + layer)
            layers.append((kernel, tf.ones([fan_out]) if layer == len(widths) - 2 else tf.zeros([fan_out])))
        (first, bias), *later = layers
        key, query, product = tf.split(first, 3)
        return ActivationUnit(
            self.variable(key, f"{prefix}_key"),
            self.variable(query, f"{prefix}_query"),
            self.variable(product, f"{prefix}_product"),
            self.variable(bias, f"{prefix}_bias"),
            [
                (self.variable(kernel, f"{prefix}_kernel_{layer}"), self.variable(bias, f"{prefix}_bias_{layer}"))
                for layer, (kernel, bias) in enumerate(later, start=1)
            ],
        )


def _per_group(pooled: PooledFields, listed: ListRows) -> tf.Tensor:
    """Return the impressions of each group: int64 [G]."""
    ones = tf.ones_like(pooled.group_of_impression)
    return tf.math.unsorted_segment_sum(ones, pooled.group_of_impression, tf.size(listed.lengths))
