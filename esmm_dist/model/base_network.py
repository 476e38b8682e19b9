"""The BASE network: what turns the pooled fields of an impression into logits. Plug-ins subclass it."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields


class BaseNetwork(keras.layers.Layer):
    """A network of one or several outputs.

    Subclasses make their variables, or Keras layers, in ``__init__`` and define ``call``::

        def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:

    It returns float32 [B, outputs]: a network of one label has 1 output, a shared one an output a label (and one a
    further head of the objective). ``dropout_seed`` int32 [2] is another one each step and network, None outside
    training. B and G may be 0. Products by ``self.matmul`` follow the setting mixed_precision; Keras layers do not.

    Keras layers that drop out or add noise need no seed: their generators follow ``dropout_seed``. Initialisers, by
    name or as objects made in ``__init__``, need none either: what they draw follows from the run's seed. Layers whose
    call changes variables (BatchNormalization) are refused. README.md beside this file has two examples.
    """

    always_shared = False
    """Whether the network is made for all labels at once, whatever share_network says: it has parts of its own for
    each output."""

    wants_lists = False
    """Whether the network gets the elements of the attended lists (``PooledFields.lists``, ``FieldLayout.attended``);
    they are looked up where a network of the model wants them."""

    mixed_precision = False
    """Set by the model once the network is made."""

    def __init__(self, layout: FieldLayout, config: ModelConfig, *, outputs: int, seed: int) -> None:
        """Remember the shapes.

        Args:
            layout: the fields that it sees
            config: settings of the networks
            outputs: columns of what ``call`` returns
            seed: seed of the start values; networks of one model get different ones
        """
        super().__init__()
        self.layout, self.config = layout, config
        self.outputs, self.seed = outputs, seed
        self._draws = 0

    def glorot(
        self, shape: Sequence[int], draw: int | None = None, *, fans: tuple[int, int] | None = None
    ) -> tf.Tensor:
        """Return start values of a weight, uniform in ±sqrt(6 / (fan_in + fan_out)), the same on every rank.

        A call without ``draw`` draws other values than those before it.

        Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
        2010, equation 16.

        Args:
            shape: shape of the weight
            draw: number of the draw, each of which gives other values; None: the number of such calls before
            fans: fan_in and fan_out; None: the last two of ``shape``

        Returns:
            float32 of that shape.
        """
        fan_in, fan_out = fans or (shape[-2], shape[-1])
        # Stateless: the same values on every rank, and TFRA breaks Keras 3's initialisers at import
        limit = math.sqrt(6.0 / (fan_in + fan_out))
        if draw is None:
            draw, self._draws = self._draws, self._draws + 1
        return tf.random.stateless_uniform(shape, [self.seed, draw], -limit, limit)

    def variable(self, value: tf.Tensor, name: str) -> keras.Variable:
        """Make a weight with a start value."""
        return self.add_weight(shape=value.shape, initializer=lambda *_, **__: value, name=name)

    def narrow(self, values: Any) -> tf.Tensor:
        """Return what hidden layers compute with: bfloat16 from end to end if mixed precision is on, else float32."""
        values = tf.convert_to_tensor(values)
        return tf.cast(values, tf.bfloat16) if self.mixed_precision else values

    def first_layer(
        self, pooled: PooledFields, of_user: tf.Tensor, of_impression: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        """Return x·W + b of all fields x, where the user's part of the product is computed once a group.

        Args:
            pooled: the fields
            of_user: [P_u, units], the rows of W for the user's columns; float32, or bfloat16 as the next two
            of_impression: [P_i, units], those for the impression's
            bias: [units]

        Returns:
            [B, units] of their type.
        """
        user = tf.cast(pooled.user, bias.dtype)
        if self.layout.user_columns:
            once = tf.matmul(user, of_user) + bias
        else:  # oneDNN ends the process over a product of no columns with a bias
            once = tf.broadcast_to(bias, [tf.shape(user)[0], bias.shape[0]])
        hidden = tf.gather(once, pooled.group_of_impression)
        if not self.layout.impression_columns:
            return hidden
        return hidden + tf.matmul(tf.cast(pooled.impression, bias.dtype), of_impression)

    def dropped(
        self, hidden: tf.Tensor, dropout_seed: tf.Tensor | None, layer: int, place: int | None = None
    ) -> tf.Tensor:
        """Return activations after the dropout of a hidden layer: some set to 0, the others scaled up; in training.

        Args:
            hidden: float32 or bfloat16 [B, units]
            dropout_seed: as given to ``call``
            layer: number of the hidden layer, 0, 1, ..., to which the setting ``dropout`` gives a share
            place: number of the mask, below 1000, which no other activations of the network have; None: the layer's
        """
        share = self.config.dropout_of(layer)
        if dropout_seed is None or share == 0:
            return hidden
        # Beside the network's number, not beside the step: else layer 1 of a step would have layer 0's mask of the next
        seed = dropout_seed + tf.constant([layer if place is None else place, 0], dtype=tf.int32)
        return tf.nn.experimental.stateless_dropout(hidden, share, seed=seed)

    def matmul(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """Return the product float32 of two matrices float32, computed from bfloat16 if mixed precision is on."""
        if not self.mixed_precision:
            return tf.matmul(a, b)
        return tf.cast(tf.matmul(tf.cast(a, tf.bfloat16), tf.cast(b, tf.bfloat16)), tf.float32)
