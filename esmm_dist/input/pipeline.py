"""Read a split of a data set as grouped batches, with ``tf.data``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import I64, Array
from esmm_dist.errors import InputDataError
from esmm_dist.input.batch import GroupedBatch, empty_batch
from esmm_dist.input.config import InputConfig, OnBadRecord
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import (
    PartRead,
    check_lanes,
    lane_reads,
    lane_records,
    lanes_of_rank,
    lanes_of_records,
    records_per_lane,
    steps_in_epoch,
)
from esmm_dist.input.shard_guard import ShardGuard
from esmm_dist.input.skipped import SkippedShard
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.file_problem import file_problem
from esmm_dist.schema.manifest import REPAIR, DatasetManifest, Shard, Split

_READ_AHEAD_STEPS = 3  # beside what is prefetched: two batches are parsed at a time, and the next is read
_NO_PROCESS_SEED = 87654321  # tensorflow/python/framework/random_seed.py: DEFAULT_GRAPH_SEED
_READ_BUFFER_BYTES = 1 << 18  # a shard part is a few hundred kB compressed; 64 lanes are open at a time


class BatchReader:
    """Reads a rank's share of the grouped batches of one split, in the global order of ``esmm_dist.input.order``."""

    def __init__(
        self,
        folder: Path,
        manifest: DatasetManifest,
        split: str,
        config: InputConfig,
        *,
        rank: int = 0,
        world_size: int = 1,
        with_names: bool = False,
    ) -> None:
        """Prepare to read.

        Args:
            folder: The data set.
            manifest: Its manifest.
            split: ``train`` or ``test``.
            config: Batch size (over all ranks) and order.
            rank: Reads the lanes rank, rank + world_size, ...
            world_size: Number of ranks.
            with_names: Whether to read the texts that name impressions, where the data set has them.

        Raises:
            InputDataError: The data set has no such split, its lanes differ by more than a record, or a shard file is
                missing or has another size (with ``on_bad_record: skip``: every one is).
            ConfigError: The batch size does not fit the lanes.
        """
        if split not in manifest.splits:
            raise InputDataError(f"{folder} has no split '{split}'. It has: {', '.join(sorted(manifest.splits))}.")
        self._folder, self._manifest, self._split, self._config = folder, manifest, split, config
        batch_records = batch_plan(config, manifest).global_batch_records
        self._records_per_lane = records_per_lane(manifest, batch_records)
        self.steps_per_epoch = steps_in_epoch(manifest, split, batch_records)
        check_lanes(manifest, split)
        check_shard_files(folder, manifest.splits[split], config.on_bad_record)
        self._guard = ShardGuard(folder, manifest.schema, manifest.compression, config.on_bad_record)
        self.has_names = with_names and manifest.schema.has_impression_texts
        self._parse_spec = parse_spec(manifest.schema, with_names=self.has_names)
        self._rank, self._world_size = rank, world_size
        self._lane_records = lane_records(manifest, split)

    def record_lanes(self, step: int) -> I64:
        """Return the lane of each record of this rank's batch ``step`` of an epoch (0, 1, ...): int64 [G]."""
        return lanes_of_records(
            self._lane_records, self._records_per_lane, step, rank=self._rank, world_size=self._world_size
        )

    @property
    def skipped(self) -> list[SkippedShard]:
        """What this rank's reading has left out so far, a shard each; empty unless ``on_bad_record`` is ``skip``."""
        return self._guard.skipped

    def epoch(self, epoch: int, *, first_step: int = 0, seed: int | None) -> Iterator[GroupedBatch]:
        """Yield the batches of one epoch from its step ``first_step`` on: on every rank the same number.

        Where this rank's lanes have no record left, or where it has no lane at all, its batch is empty (G = B = 0). A
        record that is skipped leaves a group without impressions in its place.

        Each shard is compared with the manifest when its first record is soon due, once in the life of this reader.

        Args:
            epoch: 0, 1, ...
            first_step: Batches of the epoch to leave out, without parsing them.
            seed: Of the shuffle. None: file order.

        Raises:
            InputDataError: A shard is missing or damaged; the message names it.
        """
        step = first_step
        while step < self.steps_per_epoch:
            for batch in self._batches(epoch, step, seed):  # ends early where a shard has to be read from elsewhere
                yield batch
                step += 1

    def _batches(self, epoch: int, first_step: int, seed: int | None) -> Iterator[GroupedBatch]:
        """Yield batches until the epoch ends, or until ``ShardGuard`` has another path for a shard."""
        where = f"{self._folder}, split '{self._split}', epoch {epoch}"
        lanes = self._lane_reads(epoch, first_step, seed)
        due = _ShardsDue(lanes, first_step, self._records_per_lane)
        schema = self._manifest.schema
        ahead = self._config.prefetch + _READ_AHEAD_STEPS
        try:
            self._guard.check(due.until(first_step + ahead))
            parsed = iter(self._dataset(lanes, shuffled=seed is not None))
            for step in range(first_step, self.steps_per_epoch):
                if self._guard.check(due.at(step + ahead)):
                    return
                try:
                    columns = next(parsed, None)
                    if columns is None:
                        batch = empty_batch(schema, with_names=self.has_names)
                    else:
                        batch = _to_batch(columns, schema)
                # UnicodeDecodeError: TensorFlow's message quotes the record, and Python cannot read the message
                except (tf.errors.OpError, UnicodeDecodeError, _UnfitBatchError) as e:
                    if self._guard.examine(due.until(step + ahead)) or self._guard.examine(due.until(None)):
                        return
                    message = e.message if isinstance(e, tf.errors.OpError) else str(e)
                    raise InputDataError(
                        f"a shard cannot be read ({message}), although all files and records are as they should be"
                    ) from e
                yield batch
        except InputDataError as e:
            raise InputDataError(f"{where}: {e}") from e.__cause__

    def _lane_reads(self, epoch: int, first_step: int, seed: int | None) -> list[list[PartRead]]:
        """Return how to read those of this rank's lanes that have records left."""
        lanes = [
            lane_reads(
                self._manifest,
                self._split,
                lane,
                epoch=epoch,
                first_record=first_step * self._records_per_lane,
                seed=seed,
            )
            for lane in lanes_of_rank(self._manifest.lanes, self._rank, self._world_size)
        ]
        return [reads for reads in lanes if reads]

    def _dataset(self, lanes: list[list[PartRead]], *, shuffled: bool) -> tf.data.Dataset:
        if not lanes:
            return tf.data.Dataset.from_tensor_slices([])
        own_lanes = lanes_of_rank(self._manifest.lanes, self._rank, self._world_size)
        paths = [[self._guard.path(read.shard) for read in reads] for reads in lanes]
        numbers = [[(read.shuffle_seed or 0, read.skip, read.shard.records) for read in reads] for reads in lanes]
        sources = tf.data.Dataset.from_tensor_slices(
            (
                tf.ragged.constant(paths, dtype=tf.string),
                tf.ragged.constant(numbers, dtype=tf.int64, inner_shape=(3,)),
            )
        )
        records = sources.interleave(
            lambda lane_paths, lane_numbers: self._lane(lane_paths, lane_numbers, shuffled=shuffled),
            cycle_length=len(lanes),
            block_length=self._records_per_lane,
            num_parallel_calls=1,  # reads ahead in a thread of its own; more threads gain nothing on page-cached files
            deterministic=True,
        )
        batches = records.batch(self._records_per_lane * len(own_lanes))
        parsed = batches.map(
            lambda serialized: tf.io.parse_example(serialized, self._parse_spec),
            num_parallel_calls=2,
            deterministic=True,
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        return parsed.with_options(options).prefetch(self._config.prefetch)

    def _lane(self, paths: tf.Tensor, numbers: tf.Tensor, *, shuffled: bool) -> tf.data.Dataset:
        compression = "ZLIB" if self._manifest.compression == "ZLIB" else ""

        def read_part(path: tf.Tensor, numbers: tf.Tensor) -> tf.data.Dataset:
            part = tf.data.TFRecordDataset(path, compression_type=compression, buffer_size=_READ_BUFFER_BYTES)
            if shuffled:
                # TensorFlow mixes a seed of the process into that of the operation; here it is the one that stands
                # where none is set, of this traced function alone, so that the order is that of (data, seed)
                tf.compat.v1.set_random_seed(_NO_PROCESS_SEED)
                # A buffer that holds the whole part makes every order possible; 0 records cannot occur
                part = part.shuffle(numbers[2], seed=numbers[0], reshuffle_each_iteration=False)
            return part.skip(numbers[1])

        return tf.data.Dataset.from_tensor_slices((paths, numbers)).flat_map(read_part)


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


def check_shard_files(folder: Path, split: Split, on_bad_record: OnBadRecord = "fail") -> None:
    """Compare the shard files' sizes with the manifest.

    Args:
        folder: The data set.
        split: Of its manifest.
        on_bad_record: With ``skip`` it is enough that one file is as it should be.

    Raises:
        InputDataError: A file is missing or has another size.
    """
    problems = [
        f"{folder / shard.path} {problem}" for shard in split.shards if (problem := _size_problem(folder, shard))
    ]
    if not problems:
        return
    if on_bad_record == "skip":
        if len(problems) < len(split.shards):
            return
        raise InputDataError(
            f"All {len(problems)} shards cannot be read, and nothing is left if they are skipped. {problems[0]}. Check "
            "that the data set is where it should be."
        )
    more = f" ({len(problems) - 1} other shards cannot be read either.)" if len(problems) > 1 else ""
    raise InputDataError(f"{problems[0]}.{more} {REPAIR} Or leave out what cannot be read: --on-bad-record skip.")


class _UnfitBatchError(ValueError):
    """The parts of a batch do not fit together."""


class _ShardsDue:
    """The step of an epoch at which each of a rank's shards is first needed."""

    def __init__(self, lanes: list[list[PartRead]], first_step: int, records_per_lane: int) -> None:
        self._due: dict[int, list[Shard]] = {}
        for reads in lanes:
            record = 0
            for read in reads:
                self._due.setdefault(first_step + record // records_per_lane, []).append(read.shard)
                record += read.shard.records - read.skip

    def at(self, step: int) -> list[Shard]:
        """Return the shards that are first needed at a step."""
        return self._due.get(step, [])

    def until(self, step: int | None) -> list[Shard]:
        """Return the shards that are needed up to a step; None: all."""
        return [shard for due in sorted(self._due) if step is None or due <= step for shard in self._due[due]]


def _size_problem(folder: Path, shard: Shard) -> str | None:
    return file_problem(folder, shard, compare_bytes=False)


def _to_batch(parsed: dict[str, Any], schema: Schema) -> GroupedBatch:
    def values(key: str) -> Array:
        return np.asarray(parsed[key].flat_values.numpy())

    labels = values(keys.LABELS)
    if len(labels) != len(values(keys.SAMPLE_IDS)) * len(schema.labels):
        raise _UnfitBatchError(f"{len(labels)} labels of {len(values(keys.SAMPLE_IDS))} impressions")
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
        raise _UnfitBatchError(f"{len(batch.sample_names)} names of {batch.num_impressions} impressions")
    if batch.sample_weights is not None and len(batch.sample_weights) != batch.num_impressions:
        raise _UnfitBatchError(f"{len(batch.sample_weights)} sample weights of {batch.num_impressions} impressions")
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
            raise _UnfitBatchError(f"{len(ids)} ids of {of} x {len(fields)} {name} fields, whose lengths differ")
        if weights is not None and len(weights) != len(ids):
            raise _UnfitBatchError(f"{len(weights)} weights of {len(ids)} {name} ids")
