"""The tensors of one batch, and their pooled fields."""

from typing import NamedTuple

import tensorflow as tf

from esmm_dist.arrays import F32
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.pooling import CPU, pool, weight_norms


class ModelInputs(NamedTuple):
    """Tensors of one batch, by table where a dict."""

    rows: dict[str, tf.Tensor]
    """float32 [U, D]"""
    indices: dict[str, tf.Tensor]
    """int64 [N, 2], see ``TableLookup``"""
    weights: dict[str, tf.Tensor]
    """float32 [N]"""
    impressions_per_group: tf.Tensor
    """int64 [G]"""
    labels: tf.Tensor
    """float32 [B, K]"""
    sample_weights: tf.Tensor
    """float32 [B]"""


class PooledBatch(NamedTuple):
    """Pooled segments of one batch."""

    by_table: dict[str, tf.Tensor]
    """float32 [S, D]"""
    group_of_impression: tf.Tensor
    """int64 [B]"""
    groups: tf.Tensor
    """int64 scalar G"""
    norms: dict[str, tf.Tensor] | None
    """float32 [S, 1], see ``weight_norms``; None where the model has no use for them"""


def prepare_rows(store: EmbeddingStore, lookups: dict[str, TableLookup]) -> dict[str, Ticket]:
    """Make a ticket for the rows that a batch needs from every table."""
    return {table: store.prepare(table, lookup.ids, lookup.counts) for table, lookup in lookups.items()}


def pull_rows(store: EmbeddingStore, tickets: dict[str, Ticket], *, step: int | None = None) -> dict[str, F32]:
    """Read the rows that a batch needs from every table: float32 [U, D] each.

    Args:
        store: holds the rows
        tickets: from ``prepare_rows``
        step: optimizer step that they are for; None: as they are now
    """
    return {table: store.pull(ticket, step=step) for table, ticket in tickets.items()}


def model_inputs(batch: GroupedBatch, lookups: dict[str, TableLookup], rows: dict[str, F32]) -> ModelInputs:
    """Gather the tensors of a batch, in the memory of the CPU, where pooling is done."""
    with tf.device(CPU):
        return ModelInputs(
            rows={table: tf.constant(values) for table, values in rows.items()},
            indices={table: tf.constant(lookup.indices) for table, lookup in lookups.items()},
            weights={table: tf.constant(lookup.weights) for table, lookup in lookups.items()},
            impressions_per_group=tf.constant(batch.impressions_per_group),
            labels=tf.constant(batch.labels, dtype=tf.float32),
            sample_weights=(
                tf.ones([batch.num_impressions]) if batch.sample_weights is None else tf.constant(batch.sample_weights)
            ),
        )


def input_signature(dim_by_table: dict[str, int], num_labels: int) -> ModelInputs:
    """Return the shapes and dtypes of ``ModelInputs`` for batches of any size: one trace serves all."""
    return ModelInputs(
        rows={table: tf.TensorSpec([None, dim], tf.float32) for table, dim in dim_by_table.items()},
        indices={table: tf.TensorSpec([None, 2], tf.int64) for table in dim_by_table},
        weights={table: tf.TensorSpec([None], tf.float32) for table in dim_by_table},
        impressions_per_group=tf.TensorSpec([None], tf.int64),
        labels=tf.TensorSpec([None, num_labels], tf.float32),
        sample_weights=tf.TensorSpec([None], tf.float32),
    )


def pooled_batch(model: Esmm, inputs: ModelInputs) -> PooledBatch:
    """Pool every field of every group and impression."""
    groups = tf.size(inputs.impressions_per_group, out_type=tf.int64)
    impressions = tf.shape(inputs.labels, out_type=tf.int64)[0]
    segments = {table: model.num_segments(table, groups, impressions) for table in inputs.rows}
    by_table = {
        table: pool(rows, inputs.indices[table], inputs.weights[table], segments[table])
        for table, rows in inputs.rows.items()
    }
    norms = None
    if model.uses_norms:
        norms = {
            table: weight_norms(inputs.indices[table], inputs.weights[table], tf.shape(rows)[0], segments[table])
            for table, rows in inputs.rows.items()
        }
    return PooledBatch(by_table, tf.repeat(tf.range(groups), inputs.impressions_per_group), groups, norms)
