"""Reading as TensorFlow does it: shards with ``tf.data``, records with ``tf.io.parse_example``.

Earlier versions read so. The order of records and what a record holds are defined by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import Array
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.record_parsing import parse_spec
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Schema

_NO_PROCESS_SEED = 87654321


def shuffled(dataset: tf.data.Dataset, size: Any, seed: Any) -> tf.data.Dataset:
    """Return a data set in the order of a seed. To be called in a function that TensorFlow traces."""
    tf.compat.v1.set_random_seed(_NO_PROCESS_SEED)  # of the traced function alone, whatever the process has
    return dataset.shuffle(size, seed=seed, reshuffle_each_iteration=False)


def shuffled_order(seed: int, size: int) -> list[int]:
    """Return the order of ``size`` elements."""
    numbers = tf.data.Dataset.from_tensors((np.int64(seed), np.int64(size)))
    order = numbers.flat_map(lambda seed, size: shuffled(tf.data.Dataset.range(size), size, seed))
    return [int(place) for place in order]


def parsed(records: Sequence[bytes], spec: Mapping[str, tf.io.RaggedFeature]) -> dict[str, tuple[Array, Array]] | None:
    """Return values and their number in each record by key; None if TensorFlow refuses the records."""
    try:
        found = tf.io.parse_example(tf.constant(list(records), dtype=tf.string), dict(spec))
    except (tf.errors.OpError, UnicodeDecodeError):  # the message quotes the record, and Python cannot read the message
        return None
    return {key: (found[key].flat_values.numpy(), found[key].row_lengths().numpy()) for key in spec}


def batch_of(records: Sequence[bytes], schema: Schema, *, with_names: bool = False) -> GroupedBatch:
    """Return the batch of some records."""
    lists = parsed(records, parse_spec(schema, with_names=with_names))
    assert lists is not None

    def values(key: str) -> Any:
        return lists[key][0] if key in lists else None

    return GroupedBatch(
        user_ids=values(keys.USER_IDS),
        user_lengths=values(keys.USER_LENGTHS),
        user_weights=values(keys.USER_WEIGHTS),
        impression_ids=values(keys.IMPRESSION_IDS),
        impression_lengths=values(keys.IMPRESSION_LENGTHS),
        impression_weights=values(keys.IMPRESSION_WEIGHTS),
        impressions_per_group=lists[keys.SAMPLE_IDS][1],
        sample_ids=values(keys.SAMPLE_IDS),
        labels=values(keys.LABELS).reshape(-1, len(schema.labels)),
        sample_weights=values(keys.SAMPLE_WEIGHTS),
        sample_names=values(keys.SAMPLE_NAMES),
    )


def batches(reader: BatchReader, *, epoch: int, seed: int | None) -> Iterator[GroupedBatch]:
    """Yield those of a reader's batches that have records."""
    manifest, k = reader._manifest, reader._records_per_lane
    reads = reader._lane_reads(epoch, 0, seed)

    def part(path: Any, shuffle_seed: Any, size: Any) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(path, "ZLIB" if manifest.compression == "ZLIB" else "")
        return records if seed is None else shuffled(records, size, shuffle_seed)

    def of_lane(number: Any) -> tf.data.Dataset:
        return (
            tf.data.Dataset.from_tensor_slices(columns)
            .filter(lambda of, *_: of == number)
            .flat_map(lambda _, path, shuffle_seed, size: part(path, shuffle_seed, size))
        )

    rows = [(i, read) for i, lane in enumerate(reads) for read in lane]
    columns = (
        np.array([i for i, _ in rows], dtype=np.int64),
        np.array([str(reader._folder / read.shard.path) for _, read in rows]),
        np.array([read.shuffle_seed or 0 for _, read in rows], dtype=np.int64),
        np.array([read.shard.records for _, read in rows], dtype=np.int64),
    )
    lanes = tf.data.Dataset.range(len(reads)).interleave(of_lane, cycle_length=len(reads), block_length=k)
    for records in lanes.batch(k * len(reads)):
        yield batch_of(records.numpy().tolist(), manifest.schema)
