"""The inputs of ``ExportedTowers`` from a batch and its rows."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import F32
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.embedding.pooling import pool, weight_norms
from esmm_dist.input.batch import GroupedBatch


def towers_inputs(
    batch: GroupedBatch,
    lookups: Mapping[str, TableLookup],
    rows: Mapping[str, F32],
    *,
    lists: Sequence[str],
    with_norms: bool,
) -> list[tf.Tensor]:
    """Return the inputs of ``ExportedTowers.signatures`` in their order.

    Args:
        batch: the batch
        lookups: what it asks of each table, in the order of the schema
        rows: float32 [U, D] by table, the row of each unique id
        lists: ``ExportedTowers.lists``
        with_norms: ``ExportedTowers.uses_norms``
    """
    inputs = []
    for table, lookup in lookups.items():
        inputs.append(tf.constant(pool(lookup, rows[table])))
        if with_norms:
            inputs.append(tf.constant(weight_norms(lookup)))
    elements = {name: each for lookup in lookups.values() for name, each in lookup.lists.items()}
    for name in lists:
        inputs += [tf.constant(elements[name].lengths, tf.int64), tf.constant(elements[name].weights)]
    groups = np.arange(batch.num_groups)
    inputs.append(tf.constant(np.repeat(groups, batch.impressions_per_group), tf.int64))
    return [*inputs, tf.constant(batch.num_groups, tf.int64)]
