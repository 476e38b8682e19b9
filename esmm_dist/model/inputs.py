"""The tensors of one batch."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import F32
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.embedding.pooling import pool, weight_norms
from esmm_dist.embedding.store import EmbeddingStore, PullsAhead
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.pooled_fields import BesidePooled, ListElements


class BatchTensors(NamedTuple):
    """What the compiled functions take, by table where a dict."""

    pooled: dict[str, tf.Tensor]
    """float32 [S, D], see ``TableLookup``"""
    lists: dict[str, ListElements]
    """The attended lists by name, whose rows are the last of ``pooled``; empty unless a network wants lists"""
    norms: dict[str, tf.Tensor]
    """float32 [G·F_u + B·F_i, 1], what the linear term divides by; empty unless ``Esmm.uses_norms``"""
    group_of_impression: tf.Tensor
    """int64 [B]"""
    num_groups: tf.Tensor
    """int64 scalar G"""
    labels: tf.Tensor
    """float32 [B, K]"""
    sample_weights: tf.Tensor
    """float32 [B]"""


class ModelInputs(NamedTuple):
    """One batch, pooled, and how it was."""

    tensors: BatchTensors
    lookups: dict[str, TableLookup]
    """Unique ids and pooling matrix by table, from which the gradients of rows are made"""


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


def pull_rows_ahead(
    store: PullsAhead, next_tickets: dict[str, Ticket], tickets: dict[str, Ticket], *, step: int
) -> None:
    """Read rows of the next batch that the step at hand does not change, while it runs.

    Args:
        store: holds the rows
        next_tickets: tickets of the next batch, which get the rows
        tickets: tickets of the step's batch
        step: the step that runs
    """
    for table, ticket in next_tickets.items():
        store.pull_ahead(ticket, step=step, before=tickets[table].ids)


def model_inputs(
    batch: GroupedBatch, lookups: dict[str, TableLookup], rows: dict[str, F32], *, with_norms: bool = False
) -> ModelInputs:
    """Pool the rows of a batch, and gather its tensors.

    Args:
        batch: a rank's share of a batch
        lookups: its unique ids by table
        rows: their rows, float32 [U, D] by table
        with_norms: ``uses_norms`` of the model that they are for; the compiled functions refuse the other
    """
    norms = {table: tf.constant(weight_norms(lookup)) for table, lookup in lookups.items()} if with_norms else {}
    tensors = BatchTensors(
        pooled={table: tf.constant(pool(lookup, rows[table])) for table, lookup in lookups.items()},
        lists={
            name: ListElements(tf.constant(listed.lengths), tf.constant(listed.weights))
            for lookup in lookups.values()
            for name, listed in lookup.lists.items()
        },
        norms=norms,
        group_of_impression=tf.constant(np.repeat(np.arange(batch.num_groups), batch.impressions_per_group)),
        num_groups=tf.constant(batch.num_groups, tf.int64),
        labels=tf.constant(batch.labels, dtype=tf.float32),
        sample_weights=(
            tf.ones([batch.num_impressions]) if batch.sample_weights is None else tf.constant(batch.sample_weights)
        ),
    )
    return ModelInputs(tensors, lookups)


def input_signature(model: Esmm) -> BatchTensors:
    """Return the shapes and dtypes of ``BatchTensors`` for batches of any size: one trace serves all."""
    dims = model.dim_by_table
    return BatchTensors(
        pooled={table: tf.TensorSpec([None, dim], tf.float32) for table, dim in dims.items()},
        lists={
            name: ListElements(tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.float32))
            for name in model.layout.attended
        },
        norms={table: tf.TensorSpec([None, 1], tf.float32) for table in dims} if model.uses_norms else {},
        group_of_impression=tf.TensorSpec([None], tf.int64),
        num_groups=tf.TensorSpec([], tf.int64),
        labels=tf.TensorSpec([None, model.num_labels], tf.float32),
        sample_weights=tf.TensorSpec([None], tf.float32),
    )


def outputs_of_inputs(
    model: Esmm, inputs: BatchTensors, dropout_seed: tf.Tensor | None = None, *, training: bool = False
) -> tf.Tensor:
    """Return the outputs of all heads, float32 [B, H]; those of labels are logits of conditional probabilities.

    Args:
        model: model to call
        inputs: tensors of a batch
        dropout_seed: int32 [2]; None when not training
        training: whether layers behave as in training
    """
    return model(
        inputs.pooled,
        inputs.group_of_impression,
        inputs.num_groups,
        dropout_seed=dropout_seed,
        training=training,
        beside=BesidePooled(inputs.norms, inputs.lists),
    )
