"""The training step: forward, losses, gradients, their sum over the ranks, dense update.

Two compiled functions, and between them the gradients of the pooled vectors become those of the rows, beside the rows
on the CPU. What the ranks must add up or agree on is one flat vector and one allreduce, before anything is updated, so
that all ranks update, raise or stop at the same step::

    [ dense gradient sums | loss sums [K] | impressions | sample weight | ranks not finite | ranks with each request ]

float32 [n], which counts exactly up to 2^24 = 16.7 M: enough for the impressions of one step.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from esmm_dist.arrays import F32, I64
from esmm_dist.embedding.pooling import pool_gradient
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import BatchTensors, ModelInputs, input_signature, outputs_of_inputs
from esmm_dist.model.towers import weight_penalty
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.ranks.world import World


@dataclass(frozen=True, kw_only=True)
class StepRequests:
    """What a rank requests of all ranks for after the step."""

    stop: bool = False
    """All ranks save and end, as a user's signal asks."""
    leave: bool = False
    """This rank leaves, as its machine is taken away, and the others go on."""
    change: bool = False
    """The ranks change: the driver has announced it."""


class StepResult(NamedTuple):
    """What one training step gives back."""

    loss_sums: F32
    """float32 [K], summed over the impressions of all ranks, each with its sample weight, without task weights"""
    gradient_sums: dict[str, F32]
    """float32 [U, D] by table, of the weighted loss summed over this rank's impressions; where they have sample weights
    times impressions / weight, so that dividing by the impressions gives the weighted mean"""
    impressions: int
    """Number of impressions of all ranks"""
    weight: float
    """Sum of their sample weights; without such weights their number"""
    finite: bool
    """False: on some rank losses, gradients or their squares are not finite, and no dense weight was changed"""
    at_fault: bool
    """Not finite, and by this rank's batch; or by no single rank's, but by their sum"""
    requests: I64
    """int64 [3], the number of ranks with each of ``StepRequests``, in their order"""


class CompiledStep:
    """The training step, compiled once for batches of any size."""

    def __init__(
        self,
        model: Esmm,
        optimizer: keras.optimizers.Optimizer,
        *,
        task_weights: tuple[float, ...],
        seed: int,
        world: World,
        has_sample_weights: bool = False,
    ) -> None:
        """Prepare to compile; the first call does.

        Args:
            model: model whose dense weights are updated in place
            optimizer: optimizer of the dense weights; built here
            task_weights: one weight a label
            seed: seed of the dropout masks
            world: ranks that make the step together
            has_sample_weights: whether impressions may have weights other than 1
        """
        self._model, self._optimizer, self._world = model, optimizer, world
        self._seed, self._has_sample_weights = seed, has_sample_weights
        self._task_weights = tf.constant(task_weights, dtype=tf.float32)
        optimizer.build(model.trainable_variables)
        self._changed = [variable.value for variable in (*model.weights, *optimizer.variables)]
        # Pre-images of the last step; only ranks that may lose others pay for them
        self._before = [tf.Variable(variable) for variable in self._changed] if world.elastic else []
        self._gradients = tf.function(
            self._make_gradients,
            input_signature=[input_signature(model), tf.TensorSpec([2], tf.int32)],
            autograph=False,
        )
        self._apply = tf.function(
            self._agree_and_update,
            input_signature=[
                tf.TensorSpec([sum(self._sizes)], tf.float32),
                tf.TensorSpec([len(task_weights) + 2], tf.float32),
                tf.TensorSpec([], tf.bool),
                tf.TensorSpec([3], tf.float32),
            ],
            autograph=False,
        )

    def __call__(self, inputs: ModelInputs, step: int, requests: StepRequests = StepRequests()) -> StepResult:
        """Make one optimizer step with all ranks: update the dense weights, return losses and row gradients.

        Args:
            inputs: this rank's share of the batch, which may be empty
            step: 1, 2, ..., the same on all ranks
            requests: what this rank requests; all ranks learn how many ranks request it

        Raises:
            WorkerLostError: Another rank has ended; nothing was updated here.
        """
        seed = tf.constant([dropout_seed(self._seed, self._world.rank), step % 2**31], dtype=tf.int32)
        asked = tf.constant([requests.stop, requests.leave, requests.change], dtype=tf.float32)
        with self._world.watching():
            own = self._gradients(inputs.tensors, seed)
            rows = {
                table: pool_gradient(inputs.lookups[table], np.asarray(memoryview(gradient)))  # no copy
                for table, gradient in own.pooled_gradients.items()
            }
            finite = bool(own.finite.numpy()) and all(is_finite for _, is_finite in rows.values())
            outcome = self._apply(own.dense_sums, own.other_sums, tf.constant(finite), asked)
            total = _Agreed(*(value.numpy() for value in outcome))
        gradient_sums = {table: gradient for table, (gradient, _) in rows.items()}
        if self._has_sample_weights and total.weight:
            for sums in gradient_sums.values():
                sums *= total.impressions / total.weight
        return StepResult(
            loss_sums=total.loss_sums,
            gradient_sums=gradient_sums,
            impressions=int(total.impressions),
            weight=float(total.weight),
            finite=bool(total.finite),
            at_fault=not finite or (not total.finite and not total.not_finite),
            requests=total.requests.astype(np.int64),
        )

    def undo(self) -> None:
        """Set weights and optimizer state back to what they were before the last step; in an elastic world only."""
        for variable, before in zip(self._changed, self._before, strict=True):
            variable.assign(before)

    @property
    def _sizes(self) -> list[int]:
        """Number of values of each weight."""
        return [math.prod(variable.shape) for variable in self._model.trainable_variables]

    def _make_gradients(self, inputs: BatchTensors, seed: tf.Tensor) -> "_OwnGradients":
        """Return the gradients of this rank's impressions."""
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            tape.watch(inputs.pooled)
            outputs = outputs_of_inputs(self._model, inputs, seed, training=True)
            weights = inputs.sample_weights if self._has_sample_weights else None
            loss_sums = self._model.objective.loss_sums(outputs, inputs.labels, weights)
            loss = tf.reduce_sum(self._task_weights * loss_sums)
            impressions = tf.cast(tf.shape(inputs.labels)[0], tf.float32)
            weight = impressions if weights is None else tf.reduce_sum(weights)
            if (penalty := weight_penalty(self._model)) is not None:
                loss += weight * penalty  # once for each unit of the weight that all is divided by
        pooled_gradients, dense_sums = tape.gradient(
            loss,
            (inputs.pooled, [v.value for v in variables]),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,  # a network need not use all that it sees
        )
        flat = tf.concat([tf.zeros([0]), *(tf.reshape(sums, [-1]) for sums in dense_sums)], axis=0)
        return _OwnGradients(
            pooled_gradients=pooled_gradients,
            dense_sums=flat,
            other_sums=tf.concat([loss_sums, tf.stack([impressions, weight])], axis=0),
            finite=_is_finite(loss_sums) & _is_finite(_mean(flat, weight)),
        )

    def _agree_and_update(
        self, dense_sums: tf.Tensor, other_sums: tf.Tensor, finite: tf.Tensor, requests: tf.Tensor
    ) -> "_Agreed":
        """Add up the gradients of all ranks and update the dense weights, if they are finite."""
        variables, sizes = self._model.trainable_variables, self._sizes
        others = tf.concat([other_sums, tf.cast([~finite], tf.float32), requests], axis=0)
        if type(self._world) is not SoloWorld:  # where it sums nothing, nothing needs to be put together for it
            flat = self._world.sum_in_step(tf.concat([dense_sums, others], axis=0))
            dense_sums, others = tf.split(flat, [sum(sizes), others.shape[0]])
        loss_sums, counts, not_finite, requests = tf.split(others, [self._task_weights.shape[0], 2, 1, 3])
        impressions, weight = counts[0], counts[1]
        dense_means = _mean(dense_sums, weight)
        all_finite = (not_finite[0] == 0) & _is_finite(loss_sums) & _is_finite(dense_means)
        parts = tf.split(dense_means, [*sizes, 0])[:-1]  # a BASE network may have no weights
        means = [tf.reshape(part, v.shape) for part, v in zip(parts, variables, strict=True)]
        self._update_dense(means, variables, made=all_finite, learns=weight > 0)
        return _Agreed(
            loss_sums=loss_sums,
            impressions=impressions,
            weight=weight,
            finite=all_finite,
            not_finite=not_finite[0],
            requests=requests,
        )

    def _update_dense(
        self, means: list[tf.Tensor], variables: list[Any], *, made: tf.Tensor, learns: tf.Tensor
    ) -> None:
        """Update the dense weights, and keep what they were for ``undo``.

        Args:
            means: gradients
            variables: weights that they are gradients of
            made: bool scalar; False: the step fails, and the step before stays the last one.
            learns: bool scalar; False: a step without impressions, or without weight. It changes nothing (Adam's
                momentum alone would move the weights), but it is a step like any other, and can be undone
        """

        def keep() -> tf.Tensor:
            for variable, before in zip(self._changed, self._before, strict=True):
                before.assign(variable)
            return tf.constant(True)

        def update() -> tf.Tensor:
            self._optimizer.apply(means, variables)
            return tf.constant(True)

        if self._before:
            tf.cond(made, keep, lambda: tf.constant(False))
        tf.cond(made & learns, update, lambda: tf.constant(False))


class _OwnGradients(NamedTuple):
    """Gradients of one rank's impressions."""

    pooled_gradients: dict[str, tf.Tensor]
    """float32 [S, D] by table"""
    dense_sums: tf.Tensor
    """float32 [n]: of all weights, one after the other"""
    other_sums: tf.Tensor
    """float32 [K + 2]: loss sums, impressions, weight"""
    finite: tf.Tensor
    """bool scalar: whether losses and dense gradients are"""


class _Agreed(NamedTuple):
    """Sums over the ranks, and what follows from them."""

    loss_sums: Any
    """float32 [K]"""
    impressions: Any
    weight: Any
    finite: Any
    """Whether the step was made."""
    not_finite: Any
    """Number of ranks whose own gradients are not finite."""
    requests: Any
    """float32 [3]"""


@functools.cache
def dropout_seed(seed: int, rank: int) -> int:
    """Return the first half of a rank's dropout seed (the step is the other), 0 .. 2^31 - 1.

    Ranks draw masks of their own, or the impressions at the same place of each share would lose the same activations.
    """
    return seed % 2**31 if rank == 0 else int(np.random.default_rng([seed, rank]).integers(2**31))


def _mean(sums: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return sums / tf.where(weight > 0, weight, 1.0)


def _is_finite(values: tf.Tensor) -> tf.Tensor:
    # One pass and no temporary: the sum of squares is finite unless a value is not, or it overflows, which is as
    # bad: Adagrad and Adam keep squares, and a row whose accumulator is infinite never moves again
    return tf.math.is_finite(tf.nn.l2_loss(values))
