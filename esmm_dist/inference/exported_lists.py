"""The elements of attended lists in the exported graph, as ``LookupPlan`` and ``TableLookup`` have them."""

from typing import NamedTuple

import tensorflow as tf

from esmm_dist.schema.fields import Schema


class Ragged(NamedTuple):
    """The ids of a batch, those of all users' fields first, then those of the impressions."""

    segments: tf.Tensor
    """int64 [N]: number of each id's list, group after group and within it field after field, ascending"""
    ids: tf.Tensor
    """int64 [N]"""
    weights: tf.Tensor
    """float32 [N], with the combiner in them"""


class ExportedList(NamedTuple):
    """One list of the users, element by element."""

    table: str
    ids: tf.Tensor
    """int64 [n]"""
    lengths: tf.Tensor
    """int64 [G]"""
    weights: tf.Tensor
    """float32 [n]"""


def element_lists(schema: Schema, names: tuple[str, ...], ragged: Ragged, groups: tf.Tensor) -> dict[str, ExportedList]:
    """Return the lists of some user fields.

    Args:
        schema: schema of the records
        names: names of the fields
        ragged: ids of the batch
        groups: int64 scalar G
    """
    fields = [field.name for field in schema.user_fields]
    found = {}
    for name in names:
        own = (ragged.segments < groups * len(fields)) & (ragged.segments % len(fields) == fields.index(name))
        place = tf.where(own)[:, 0]
        group = tf.gather(ragged.segments, place) // len(fields)
        found[name] = ExportedList(
            table=schema.field(name).table,
            ids=tf.gather(ragged.ids, place),
            lengths=tf.math.unsorted_segment_sum(tf.ones_like(group), group, groups),
            weights=tf.gather(ragged.weights, place),
        )
    return found
