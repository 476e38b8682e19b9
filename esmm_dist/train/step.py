"""The compiled training step: forward, losses, gradients, dense update. No Python runs inside."""

from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import ModelInputs, input_signature, pooled_batch
from esmm_dist.model.losses import chain_loss_sums
from esmm_dist.model.pooling import pool_gradient

Floats = npt.NDArray[np.float32]


class StepResult(NamedTuple):
    """What one training step gives back."""

    loss_sums: Floats
    """float32 [K], summed over the impressions, without task weights"""
    gradient_sums: dict[str, Floats]
    """float32 [U, D] by table, of the weighted loss summed over the impressions"""
    finite: bool
    """False: losses, gradients or their squares are not finite, and no dense weight was changed"""


class CompiledStep:
    """The training step as one compiled function for batches of any size."""

    def __init__(
        self,
        model: Esmm,
        optimizer: keras.optimizers.Optimizer,
        *,
        task_weights: tuple[float, ...],
        seed: int,
        dim_by_table: dict[str, int],
    ) -> None:
        """Prepare to compile; the first call does.

        Args:
            model: Its dense weights are updated in place.
            optimizer: Of the dense weights; built here.
            task_weights: One a label.
            seed: Of the dropout masks.
            dim_by_table: D of each table.
        """
        self._model, self._optimizer, self._seed = model, optimizer, seed
        self._task_weights = tf.constant(task_weights, dtype=tf.float32)
        optimizer.build(model.trainable_variables)
        self._step = tf.function(
            self._train_step,
            input_signature=[input_signature(dim_by_table, len(task_weights)), tf.TensorSpec([], tf.int64)],
            autograph=False,
        )

    def __call__(self, inputs: ModelInputs, step: int) -> StepResult:
        """Run optimizer step ``step`` (1, 2, ...): update the dense weights, return losses and row gradients."""
        loss_sums, gradients, finite = self._step(inputs, tf.constant(step, dtype=tf.int64))
        return StepResult(
            loss_sums=loss_sums.numpy(),
            gradient_sums={table: gradient.numpy() for table, gradient in gradients.items()},
            finite=bool(finite.numpy()),
        )

    def _train_step(self, inputs: ModelInputs, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
        batch = pooled_batch(self._model, inputs)
        dropout_seed = tf.stack([tf.constant(self._seed % 2**31, tf.int32), tf.cast(step % 2**31, tf.int32)])
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            tape.watch(batch.by_table)
            logits = self._model(batch.by_table, batch.group_of_impression, batch.groups, dropout_seed=dropout_seed)
            loss_sums = chain_loss_sums(logits, inputs.labels)
            loss = tf.reduce_sum(self._task_weights * loss_sums)
        pooled_gradients, dense_sums = tape.gradient(loss, (batch.by_table, [v.value for v in variables]))
        row_sums = {
            table: pool_gradient(
                gradient,
                inputs.indices[table],
                inputs.weights[table],
                tf.shape(inputs.rows[table], out_type=tf.int64)[0],
            )
            for table, gradient in pooled_gradients.items()
        }
        impressions = tf.maximum(tf.cast(tf.shape(inputs.labels)[0], tf.float32), 1.0)
        dense_means = [gradient / impressions for gradient in dense_sums]
        finite = tf.reduce_all([_is_finite(values) for values in (loss_sums, *dense_means, *row_sums.values())])
        self._update_dense(dense_means, variables, finite)
        return loss_sums, row_sums, finite

    def _update_dense(self, means: list[tf.Tensor], variables: list[Any], finite: tf.Tensor) -> None:
        def update() -> tf.Tensor:
            self._optimizer.apply(means, variables)
            return tf.constant(True)

        tf.cond(finite, update, lambda: tf.constant(False))


def _is_finite(values: tf.Tensor) -> tf.Tensor:
    # One pass and no temporary: the sum of squares is finite unless a value is not, or a square overflows, which is as
    # bad: Adagrad and Adam keep squares, and a row whose accumulator is infinite never moves again
    return tf.math.is_finite(tf.nn.l2_loss(values))
