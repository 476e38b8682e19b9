"""What TensorFlow needs to parse records: the exported model does, whose signature takes their bytes."""

import tensorflow as tf

from esmm_dist.input.record_decoding import record_kinds
from esmm_dist.kernels.example_decoding import BYTES_LIST, FLOAT_LIST, INT64_LIST
from esmm_dist.schema.fields import Schema

_TYPES = {INT64_LIST: tf.int64, FLOAT_LIST: tf.float32, BYTES_LIST: tf.string}


def parse_spec(schema: Schema, *, with_names: bool = False) -> dict[str, tf.io.RaggedFeature]:
    """Return what ``tf.io.parse_example`` needs to read a record of this schema."""
    return {
        key: tf.io.RaggedFeature(_TYPES[kind], row_splits_dtype=tf.int64)
        for key, kind in record_kinds(schema, with_names=with_names).items()
    }
