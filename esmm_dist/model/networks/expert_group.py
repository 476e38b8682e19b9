"""Experts side by side, gates that weigh them, and towers behind them: what ``mmoe`` and ``ple`` are made of."""

import itertools
from collections.abc import Sequence

import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.pooled_fields import PooledFields


class ExpertGroup:
    """Experts and gates that see the same inputs.

    An expert is hidden layers with ReLU, of the widths ``expert_units``. A gate is softmax(x·W_g), without a bias. The
    first layers of all experts and the gates are one product, and where the inputs are the pooled fields it is split as
    that of ``mlp``: the user's part is computed once a group.
    """

    def __init__(
        self, network: BaseNetwork, name: str, *, inputs: Sequence[int], experts: int, gates: Sequence[int]
    ) -> None:
        """Make the variables: each expert's and each gate's kernels Glorot uniform, biases 0.

        Args:
            network: receives the variables
            name: begins their names
            inputs: columns of the inputs: of user and impression, or of one matrix
            experts: number of experts
            gates: for each gate the number of experts that it weighs
        """
        self._network, self._experts, self._gates = network, experts, tuple(gates)
        widths = network.config.expert_units
        self._first_units, fan_in = widths[0], sum(inputs)
        of_experts = network.glorot([fan_in, experts * widths[0]], fans=(fan_in, widths[0]))
        kernel = tf.concat([of_experts, *(network.glorot([fan_in, number]) for number in gates)], axis=1)
        suffixes = ("_user", "_impression") if len(inputs) > 1 else ("",)
        self._first = [
            network.variable(part, f"{name}_kernel_0{suffix}")
            for part, suffix in zip(tf.split(kernel, list(inputs)), suffixes, strict=True)
        ]
        self._first_bias = network.variable(tf.zeros([experts * widths[0]]), f"{name}_bias_0")
        self._layers = [
            (
                network.variable(network.glorot([experts, fan_in, units]), f"{name}_kernel_{layer}"),
                network.variable(tf.zeros([experts, units]), f"{name}_bias_{layer}"),
            )
            for layer, (fan_in, units) in enumerate(itertools.pairwise(widths), 1)
        ]

    def __call__(self, inputs: PooledFields | tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Return what the experts say, and how the gates weigh it.

        Args:
            inputs: the pooled fields, or [B, inputs]

        Returns:
            [B, units] an expert, in bfloat16 with mixed precision; and float32 [B, n] a gate, whose rows sum to 1.
        """
        product = self._product(inputs)
        first, *gates = tf.split(product, [self._experts * self._first_units, *self._gates], axis=1)
        hidden = tf.split(tf.nn.relu(first), self._experts, axis=1)
        narrow = self._network.narrow
        for kernels, biases in self._layers:
            each = zip(hidden, tf.unstack(narrow(kernels)), tf.unstack(narrow(biases)), strict=True)
            hidden = [tf.nn.relu(tf.matmul(x, kernel) + bias) for x, kernel, bias in each]
        return hidden, [tf.nn.softmax(tf.cast(gate, tf.float32), axis=1) for gate in gates]

    def _product(self, inputs: PooledFields | tf.Tensor) -> tf.Tensor:
        """Return x·W of all first layers and gates, with the experts' biases: [B, experts · units + gates]."""
        narrow = self._network.narrow
        bias = tf.pad(narrow(self._first_bias), [[0, sum(self._gates)]])
        if not isinstance(inputs, PooledFields):
            return tf.matmul(inputs, narrow(self._first[0])) + bias
        return self._network.first_layer(inputs, narrow(self._first[0]), narrow(self._first[1]), bias)


class HeadTowers:
    """A tower for each output: hidden layers with ReLU and dropout, of the widths ``hidden_units``, then the output."""

    def __init__(self, network: BaseNetwork, inputs: int) -> None:
        """Make the variables: each tower's kernels Glorot uniform, biases 0.

        Args:
            network: receives the variables
            inputs: columns of each tower's inputs
        """
        self._network = network
        self._layers = [
            (
                network.variable(network.glorot([network.outputs, fan_in, units]), f"tower_kernel_{layer}"),
                network.variable(tf.zeros([network.outputs, units]), f"tower_bias_{layer}"),
            )
            for layer, (fan_in, units) in enumerate(itertools.pairwise((inputs, *network.config.layer_widths, 1)))
        ]

    def __call__(self, inputs: Sequence[tf.Tensor], dropout_seed: tf.Tensor | None) -> tf.Tensor:
        """Return float32 [B, outputs].

        Args:
            inputs: [B, inputs] a tower
            dropout_seed: as given to the network's ``call``
        """
        narrow, hidden, last = self._network.narrow, list(inputs), len(self._layers) - 1
        for layer, (kernels, biases) in enumerate(self._layers[:-1]):
            each = zip(hidden, tf.unstack(narrow(kernels)), tf.unstack(narrow(biases)), strict=True)
            hidden = [
                self._network.dropped(
                    tf.nn.relu(tf.matmul(x, kernel) + bias), dropout_seed, layer, place=number * last + layer
                )
                for number, (x, kernel, bias) in enumerate(each)
            ]
        kernels, biases = self._layers[-1]  # the outputs stay float32
        of_towers = zip(hidden, tf.unstack(tf.convert_to_tensor(kernels)), strict=True)
        found = [tf.matmul(tf.cast(x, tf.float32), kernel) for x, kernel in of_towers]
        return tf.concat(found, axis=1) + tf.reshape(tf.convert_to_tensor(biases), [-1])


def mixed(experts: Sequence[tf.Tensor], gate: tf.Tensor) -> tf.Tensor:
    """Return Σ_i gate_i · expert_i: [B, units].

    Args:
        experts: [B, units] each
        gate: float32 [B, n]: the weight of each expert
    """
    weights = tf.split(tf.cast(gate, experts[0].dtype), len(experts), axis=1)
    return tf.add_n([weight * expert for weight, expert in zip(weights, experts, strict=True)])
