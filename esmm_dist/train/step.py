"""The compiled step: forward, losses, gradients, dense update. No Python runs inside."""

from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.losses import chain_loss_sums
from esmm_dist.model.pooling import pool, pool_gradient

Floats = npt.NDArray[np.float32]


class StepInputs(NamedTuple):
    """Tensors of one batch, by table where a dict."""

    rows: dict[str, tf.Tensor]
    """float32 [U, D]"""
    indices: dict[str, tf.Tensor]
    """int64 [N, 2]"""
    weights: dict[str, tf.Tensor]
    """float32 [N]"""
    impressions_per_group: tf.Tensor
    """int64 [G]"""
    labels: tf.Tensor
    """float32 [B, K]"""


class StepResult(NamedTuple):
    """What one training step gives back."""

    loss_sums: Floats
    """float32 [K], summed over the impressions, without task weights"""
    gradient_sums: dict[str, Floats]
    """float32 [U, D] by table, of the weighted loss summed over the impressions"""
    finite: bool
    """False: losses or gradients are not finite, and no dense weight was changed"""


def step_inputs(batch: GroupedBatch, lookups: dict[str, TableLookup], rows: dict[str, Floats]) -> StepInputs:
    """Gather the tensors of a batch."""
    return StepInputs(
        rows={table: tf.constant(values) for table, values in rows.items()},
        indices={table: tf.constant(lookup.indices) for table, lookup in lookups.items()},
        weights={table: tf.constant(lookup.weights) for table, lookup in lookups.items()},
        impressions_per_group=tf.constant(batch.impressions_per_group),
        labels=tf.constant(batch.labels.astype(np.float32)),
    )


def pull_rows(store: EmbeddingStore, lookups: dict[str, TableLookup]) -> dict[str, Floats]:
    """Read the rows that a batch needs from every table."""
    return {table: store.pull(table, lookup.ids) for table, lookup in lookups.items()}


class CompiledStep:
    """The model's step and its forward pass as compiled functions."""

    def __init__(
        self,
        model: Esmm,
        optimizer: keras.optimizers.Optimizer,
        *,
        task_weights: tuple[float, ...],
        seed: int,
        tables: dict[str, int],
    ) -> None:
        """Compile for batches of any size.

        Args:
            model: Its dense weights are updated in place.
            optimizer: Of the dense weights; built here.
            task_weights: One a label.
            seed: Of the dropout masks.
            tables: Embedding dimension by table.
        """
        self._model, self._optimizer, self._seed = model, optimizer, seed
        self._task_weights = tf.constant(task_weights, dtype=tf.float32)
        optimizer.build(model.trainable_variables)
        signature = StepInputs(
            rows={table: tf.TensorSpec([None, dim], tf.float32) for table, dim in tables.items()},
            indices={table: tf.TensorSpec([None, 2], tf.int64) for table in tables},
            weights={table: tf.TensorSpec([None], tf.float32) for table in tables},
            impressions_per_group=tf.TensorSpec([None], tf.int64),
            labels=tf.TensorSpec([None, len(task_weights)], tf.float32),
        )
        self._train = tf.function(self._train_step, input_signature=[signature, tf.TensorSpec([], tf.int64)])
        self._forward = tf.function(self._forward_pass, input_signature=[signature])

    def train(self, inputs: StepInputs, step: int) -> StepResult:
        """Run optimizer step ``step`` (1, 2, ...): update the dense weights, return losses and row gradients."""
        loss_sums, gradients, finite = self._train(inputs, tf.constant(step, dtype=tf.int64))
        return StepResult(
            loss_sums=loss_sums.numpy(),
            gradient_sums={table: gradient.numpy() for table, gradient in gradients.items()},
            finite=bool(finite.numpy()),
        )

    def forward(self, inputs: StepInputs) -> tuple[Floats, Floats]:
        """Return the logits float32 [B, K] and the loss sums float32 [K], without dropout."""
        logits, loss_sums = self._forward(inputs)
        return logits.numpy(), loss_sums.numpy()

    def _pooled(self, inputs: StepInputs) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        groups = tf.size(inputs.impressions_per_group, out_type=tf.int64)
        impressions = tf.shape(inputs.labels, out_type=tf.int64)[0]
        pooled = {
            table: pool(
                inputs.rows[table],
                inputs.indices[table],
                inputs.weights[table],
                self._model.num_segments(table, groups, impressions),
            )
            for table in inputs.rows
        }
        return pooled, tf.repeat(tf.range(groups), inputs.impressions_per_group), groups

    def _train_step(self, inputs: StepInputs, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
        pooled, group_of_impression, groups = self._pooled(inputs)
        dropout_seed = tf.stack([tf.constant(self._seed % 2**31, tf.int32), tf.cast(step % 2**31, tf.int32)])
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            tape.watch(pooled)
            logits = self._model(pooled, group_of_impression, groups, dropout_seed=dropout_seed)
            loss_sums = chain_loss_sums(logits, inputs.labels)
            loss = tf.reduce_sum(self._task_weights * loss_sums)
        pooled_gradients, dense_gradients = tape.gradient(loss, (pooled, [v.value for v in variables]))
        row_gradients = {
            table: pool_gradient(
                gradient,
                inputs.indices[table],
                inputs.weights[table],
                tf.shape(inputs.rows[table], out_type=tf.int64)[0],
            )
            for table, gradient in pooled_gradients.items()
        }
        impressions = tf.cast(tf.shape(inputs.labels)[0], tf.float32)
        means = [gradient / tf.maximum(impressions, 1.0) for gradient in dense_gradients]
        finite = tf.reduce_all([_is_finite(t) for t in [loss_sums, *means, *row_gradients.values()]])
        self._update_dense(means, variables, finite)
        return loss_sums, row_gradients, finite

    def _update_dense(self, means: list[tf.Tensor], variables: list[Any], finite: tf.Tensor) -> None:
        def update() -> tf.Tensor:
            self._optimizer.apply(means, variables)
            return tf.constant(True)

        tf.cond(finite, update, lambda: tf.constant(False))

    def _forward_pass(self, inputs: StepInputs) -> tuple[tf.Tensor, tf.Tensor]:
        pooled, group_of_impression, groups = self._pooled(inputs)
        logits = self._model(pooled, group_of_impression, groups)
        return logits, chain_loss_sums(logits, inputs.labels)


def _is_finite(values: tf.Tensor) -> tf.Tensor:
    # One pass and no temporary of booleans: a sum is finite unless a value is not (or they overflow, which is as bad)
    return tf.math.is_finite(tf.reduce_sum(values))
