"""A request of the short form as the inputs of the signatures of an exported model."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP, named_inputs

Json = Mapping[str, Any]

_NO_ID = -1


def value_columns(schema: Schema, users: Sequence[Json]) -> dict[str, list[Any]]:
    """Return the inputs of the signature ``values``, with what stands there for missing values.

    Args:
        schema: schema of the model
        users: users with their candidates; see ``ExampleRequest``
    """
    candidates = [candidate for user in users for candidate in user["candidates"]]
    owners = {field.name: field.owner for field in schema.fields}
    numbers = {field.name for field in schema.fields if field.numeric is not None}
    inputs: dict[str, list[Any]] = {}
    for name, column in named_inputs(schema).items():
        rows = users if owners.get(name) == "user" else candidates
        missing: Any = "" if schema.flat_source is not None else _NO_ID
        missing = math.nan if name in numbers else missing
        if column.lengths is None:
            given = [row.get(column.value) for row in rows]
            inputs[column.value] = [missing if value is None or value == "" else value for value in given]
            if column.weights is not None:
                inputs[column.weights] = [float(row.get(column.weights, 1.0)) for row in rows]
            continue
        lists = [row.get(column.value) or [] for row in rows]
        inputs[column.value] = [value for values in lists for value in values]
        inputs[column.lengths] = [len(values) for values in lists]
        if column.weights is not None:
            inputs[column.weights] = [float(w) for row in rows for w in row.get(column.weights) or []]
    return {**inputs, IMPRESSIONS_PER_GROUP: [len(user["candidates"]) for user in users]}


def has_missing_numbers(columns: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a number is missing, which is NaN, for which JSON has no word."""
    return any(isinstance(value, float) and math.isnan(value) for values in columns.values() for value in values)


def records_of(schema: Schema, features: Mapping[str, Any]) -> list[bytes]:
    """Return the records of the lists of ``schema/record_format.py``, a group each; impressions are numbered from 1.

    Args:
        schema: schema of the model
        features: lists of all groups, one after the other, and ``impressions_per_group``
    """
    per_group = np.asarray(features[IMPRESSIONS_PER_GROUP])
    ends = np.cumsum(per_group)
    cuts: dict[str, Any] = {}
    for ids, lengths, weights, rows in (
        (keys.USER_IDS, keys.USER_LENGTHS, keys.USER_WEIGHTS, np.arange(len(per_group) + 1) * len(schema.user_fields)),
        (
            keys.IMPRESSION_IDS,
            keys.IMPRESSION_LENGTHS,
            keys.IMPRESSION_WEIGHTS,
            np.concatenate([[0], ends]) * len(schema.impression_fields),
        ),
    ):
        begins = np.concatenate([[0], np.cumsum(np.asarray(features[lengths]))])[rows]
        cuts[lengths] = np.split(np.asarray(features[lengths]), rows[1:-1])
        cuts[ids] = np.split(np.asarray(features[ids]), begins[1:-1])
        if weights in features:
            cuts[weights] = np.split(np.asarray(features[weights]), begins[1:-1])
    cuts[keys.SAMPLE_IDS] = np.split(np.arange(1, per_group.sum() + 1), ends[:-1])
    return [_record(schema, {key: parts[place] for key, parts in cuts.items()}) for place in range(len(per_group))]


def _record(schema: Schema, lists: Mapping[str, Any]) -> bytes:
    from esmm_dist.process.quiet import import_tensorflow

    tf = import_tensorflow()
    features = {}
    for key, values in lists.items():
        if key in (keys.USER_WEIGHTS, keys.IMPRESSION_WEIGHTS):
            features[key] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if schema.has_text_sample_ids:
        names = [b"impression %d" % number for number in lists[keys.SAMPLE_IDS]]
        features[keys.SAMPLE_NAMES] = tf.train.Feature(bytes_list=tf.train.BytesList(value=names))
    if schema.has_sample_weights:
        ones = [1.0] * len(lists[keys.SAMPLE_IDS])
        features[keys.SAMPLE_WEIGHTS] = tf.train.Feature(float_list=tf.train.FloatList(value=ones))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())
