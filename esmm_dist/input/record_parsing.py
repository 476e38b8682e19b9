"""From the bytes of records to a grouped batch, whose parts are checked to fit together."""

from typing import Any

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import Array
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Schema


class UnfitBatchError(ValueError):
    """The parts of a batch do not fit together."""


def parse_spec(schema: Schema, *, with_names: bool = False) -> dict[str, tf.io.RaggedFeature]:
    """Return what ``tf.io.parse_example`` needs to read a record of this schema."""
    spec = {
        key: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
        for key in (
            keys.USER_IDS,
            keys.USER_LENGTHS,
            keys.IMPRESSION_IDS,
            keys.IMPRESSION_LENGTHS,
            keys.SAMPLE_IDS,
            keys.LABELS,
        )
    }
    for key, fields in (
        (keys.USER_WEIGHTS, schema.user_fields),
        (keys.IMPRESSION_WEIGHTS, schema.impression_fields),
    ):
        if any(field.weighted for field in fields):
            spec[key] = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
    if schema.has_sample_weights:
        spec[keys.SAMPLE_WEIGHTS] = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
    if with_names:
        spec[keys.SAMPLE_NAMES] = tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64)
    return spec


def batch_of(parsed: dict[str, Any], schema: Schema) -> GroupedBatch:
    """Return the batch of what ``tf.io.parse_example`` has read.

    Raises:
        UnfitBatchError: Its parts do not fit together.
    """

    def values(key: str) -> Array:
        return np.asarray(parsed[key].flat_values.numpy())

    labels = values(keys.LABELS)
    if len(labels) != len(values(keys.SAMPLE_IDS)) * len(schema.labels):
        raise UnfitBatchError(f"{len(labels)} labels of {len(values(keys.SAMPLE_IDS))} impressions")
    batch = GroupedBatch(
        user_ids=values(keys.USER_IDS),
        user_lengths=values(keys.USER_LENGTHS),
        user_weights=values(keys.USER_WEIGHTS) if keys.USER_WEIGHTS in parsed else None,
        impression_ids=values(keys.IMPRESSION_IDS),
        impression_lengths=values(keys.IMPRESSION_LENGTHS),
        impression_weights=values(keys.IMPRESSION_WEIGHTS) if keys.IMPRESSION_WEIGHTS in parsed else None,
        impressions_per_group=np.asarray(parsed[keys.SAMPLE_IDS].row_lengths().numpy()),
        sample_ids=values(keys.SAMPLE_IDS),
        labels=labels.reshape(-1, len(schema.labels)),
        sample_weights=values(keys.SAMPLE_WEIGHTS) if keys.SAMPLE_WEIGHTS in parsed else None,
        sample_names=values(keys.SAMPLE_NAMES) if keys.SAMPLE_NAMES in parsed else None,
    )
    _check_fit(batch, schema)
    return batch


def _check_fit(batch: GroupedBatch, schema: Schema) -> None:
    """Check that the parts of a batch fit together; costs microseconds."""
    if batch.sample_names is not None and len(batch.sample_names) != batch.num_impressions:
        raise UnfitBatchError(f"{len(batch.sample_names)} names of {batch.num_impressions} impressions")
    if batch.sample_weights is not None and len(batch.sample_weights) != batch.num_impressions:
        raise UnfitBatchError(f"{len(batch.sample_weights)} sample weights of {batch.num_impressions} impressions")
    for name, of, fields, lengths, ids, weights in (
        ("user", batch.num_groups, schema.user_fields, batch.user_lengths, batch.user_ids, batch.user_weights),
        (
            "impression",
            batch.num_impressions,
            schema.impression_fields,
            batch.impression_lengths,
            batch.impression_ids,
            batch.impression_weights,
        ),
    ):
        if len(lengths) != of * len(fields) or (lengths < 0).any() or lengths.sum() != len(ids):
            raise UnfitBatchError(f"{len(ids)} ids of {of} x {len(fields)} {name} fields, whose lengths differ")
        if weights is not None and len(weights) != len(ids):
            raise UnfitBatchError(f"{len(weights)} weights of {len(ids)} {name} ids")
