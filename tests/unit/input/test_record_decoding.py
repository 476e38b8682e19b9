"""Batches made of records' bytes are those that TensorFlow's parser gives, and parts that do not fit are refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.record_decoding import RecordDecoder, UnfitBatchError
from esmm_dist.input.salvage import placeholder
from esmm_dist.schema.fields import Schema
from tests.support.reference import tensorflow_reading
from tests.support.tiny_dataset import flat_schema, serialized, tiny_groups, tiny_schema, weighted_schema

SCHEMAS = [tiny_schema(), weighted_schema(), flat_schema("text")]


def assert_same(found: GroupedBatch, expected: GroupedBatch) -> None:
    """Compare values, dtypes, shapes and order in memory."""
    for field in dataclasses.fields(GroupedBatch):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if other is None:
            assert one is None
        else:
            assert (one.dtype, one.shape, one.flags.c_contiguous) == (other.dtype, other.shape, True), field.name
            np.testing.assert_array_equal(one, other, err_msg=field.name)


@pytest.mark.parametrize("schema", SCHEMAS, ids=["plain", "sample weights", "texts"])
@settings(max_examples=50)
@given(seed=st.integers(0, 1000), size=st.integers(1, 9), empty=st.integers(0, 8))
def test_a_batch_is_the_one_that_tensorflow_parses(schema: Schema, seed, size, empty):
    records = [serialized(group, schema) for group in tiny_groups(size, seed=seed)]
    if empty < size:
        records[empty] = placeholder(schema)
    names = schema.has_impression_texts
    found = RecordDecoder(schema, with_names=names).batch(records)
    assert_same(found, tensorflow_reading.batch_of(records, schema, with_names=names))


def test_texts_are_read_only_if_asked_for():
    records = [serialized(group, SCHEMAS[2]) for group in tiny_groups(3)]
    assert RecordDecoder(SCHEMAS[2]).batch(records).sample_names is None
    names = RecordDecoder(SCHEMAS[2], with_names=True).batch(records).sample_names
    assert names is not None
    assert all(isinstance(name, bytes) for name in names)


@pytest.mark.parametrize("schema", SCHEMAS[:2], ids=["plain", "sample weights"])
def test_weights_of_ids_are_left_out_alone_if_they_are_not_asked_for(schema: Schema):
    records = [serialized(group, schema) for group in tiny_groups(3)]
    whole, found = RecordDecoder(schema).batch(records), RecordDecoder(schema, with_weights=False).batch(records)
    assert whole.user_weights is not None
    assert_same(found, dataclasses.replace(whole, user_weights=None, impression_weights=None))


def changed(schema: Schema, **features: list) -> bytes:
    """Return a record with other features."""
    example = tf.train.Example.FromString(serialized(tiny_groups(1, seed=3)[0], schema))
    for key, values in features.items():
        feature = example.features.feature[key]
        feature.Clear()
        kinds = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}
        kinds[type(values[0])].value.extend(values)
    data: bytes = example.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("schema", "features", "message"),
    [
        (0, {"labels": [1]}, "1 labels of . impressions"),
        (0, {"user_lengths": [1]}, ". ids of 1 x 2 user fields, whose lengths differ"),
        (0, {"user_lengths": [-1, 2]}, ". ids of 1 x 2 user fields, whose lengths differ"),
        (0, {"impression_ids": [1] * 99}, "99 ids of . x 2 impression fields, whose lengths differ"),
        (0, {"user_weights": [1.0] * 99}, "99 weights of . user ids"),
        (0, {"user_ids": [1.0]}, "record 1 of 2 in a batch is no tf.train.Example of this schema"),
        (1, {"sample_weights": [1.0] * 99}, "99 sample weights of . impressions"),
        (2, {"sample_names": [b"a"] * 99}, "99 names of . impressions"),
    ],
)
def test_parts_that_do_not_fit_are_refused(schema, features, message):
    schema = SCHEMAS[schema]
    records = [placeholder(schema), changed(schema, **features)]
    if "user" in message and "fields" in message:
        records = records[1:]
    with pytest.raises(UnfitBatchError, match=f"^{message.replace('. user ids', '.* user ids')}$"):
        RecordDecoder(schema, with_names=schema.has_impression_texts).batch(records)


def test_a_number_of_more_than_ten_bytes_is_refused():
    record = changed(SCHEMAS[0], sample_ids=[-1])
    place = record.index(b"\xff" * 9 + b"\x01")
    longer = record[: place + 9] + b"\x81" + record[place + 10 :]  # goes on into what follows
    with pytest.raises(UnfitBatchError, match=r"record 0"):
        RecordDecoder(SCHEMAS[0]).batch([longer])
