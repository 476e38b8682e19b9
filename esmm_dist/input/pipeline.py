"""Read a split of a data set as grouped batches, with ``tf.data``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from esmm_dist.errors import InputDataError
from esmm_dist.input.batch import GroupedBatch, empty_batch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import (
    check_lanes,
    lane_reads,
    lane_records,
    lanes_of_rank,
    lanes_of_records,
    records_per_lane,
    steps_in_epoch,
)
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest, Split

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
    ) -> None:
        """Prepare to read.

        Args:
            folder: The data set.
            manifest: Its manifest.
            split: ``train`` or ``test``.
            config: Batch size (over all ranks) and order.
            rank: Reads the lanes rank, rank + world_size, ...
            world_size: Number of ranks.

        Raises:
            InputDataError: The data set has no such split, its lanes differ by more than a record, or a shard file is
                missing or has another size.
            ConfigError: The batch size does not fit the lanes.
        """
        if split not in manifest.splits:
            raise InputDataError(f"{folder} has no split '{split}'. It has: {', '.join(sorted(manifest.splits))}.")
        self._folder, self._manifest, self._split, self._config = folder, manifest, split, config
        batch_records = batch_plan(config, manifest).global_batch_records
        self._records_per_lane = records_per_lane(manifest, batch_records)
        self.steps_per_epoch = steps_in_epoch(manifest, split, batch_records)
        check_lanes(manifest, split)
        check_shard_files(folder, manifest.splits[split])
        self._parse_spec = parse_spec(manifest.schema)
        self._rank, self._world_size = rank, world_size
        self._lane_records = lane_records(manifest, split)

    def record_lanes(self, step: int) -> npt.NDArray[np.int64]:
        """Return the lane of each record of this rank's batch ``step`` of an epoch (0, 1, ...): int64 [G]."""
        return lanes_of_records(
            self._lane_records, self._records_per_lane, step, rank=self._rank, world_size=self._world_size
        )

    def epoch(self, epoch: int, *, first_step: int = 0, seed: int | None) -> Iterator[GroupedBatch]:
        """Yield the batches of one epoch from its step ``first_step`` on: on every rank the same number.

        Where this rank's lanes have no record left, or where it has no lane at all, its batch is empty (G = B = 0).

        Args:
            epoch: 0, 1, ...
            first_step: Batches of the epoch to leave out, without parsing them.
            seed: Of the shuffle. None: file order.

        Raises:
            InputDataError: A shard is damaged; the message names it.
        """
        dataset = self._dataset(epoch, first_step, seed)
        width = len(self._manifest.schema.labels)
        step = first_step
        try:
            for parsed in dataset:
                yield _to_batch(parsed, width)
                step += 1
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as e:
            # TensorFlow's message seldom names the file; reading all of them once is cheap beside a lost run
            damaged = damaged_shards(self._folder, self._manifest.splits[self._split])
            raise InputDataError(
                f"{self._folder}, split '{self._split}', epoch {epoch}: a shard cannot be read ({e.message}). "
                f"Files whose bytes differ from the manifest's CRC-32C: {', '.join(damaged) or 'none'}. "
                "Run esmm preprocess again."
            ) from e
        for _ in range(step, self.steps_per_epoch):
            yield empty_batch(self._manifest.schema)

    def _dataset(self, epoch: int, first_step: int, seed: int | None) -> tf.data.Dataset:
        manifest = self._manifest
        own_lanes = lanes_of_rank(manifest.lanes, self._rank, self._world_size)
        lanes = [
            lane_reads(
                manifest,
                self._split,
                lane,
                epoch=epoch,
                first_record=first_step * self._records_per_lane,
                seed=seed,
            )
            for lane in own_lanes
        ]
        lanes = [reads for reads in lanes if reads]
        if not lanes:
            return tf.data.Dataset.from_tensor_slices([])
        paths = [[str(self._folder / read.shard.path) for read in reads] for reads in lanes]
        numbers = [[(read.shuffle_seed or 0, read.skip, read.shard.records) for read in reads] for reads in lanes]
        sources = tf.data.Dataset.from_tensor_slices(
            (
                tf.ragged.constant(paths, dtype=tf.string),
                tf.ragged.constant(numbers, dtype=tf.int64, inner_shape=(3,)),
            )
        )
        shuffled = seed is not None
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
                # A buffer that holds the whole part makes every order possible; 0 records cannot occur
                part = part.shuffle(numbers[2], seed=numbers[0], reshuffle_each_iteration=False)
            return part.skip(numbers[1])

        return tf.data.Dataset.from_tensor_slices((paths, numbers)).flat_map(read_part)


def parse_spec(schema: Schema) -> dict[str, tf.io.RaggedFeature]:
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
    return spec


def check_shard_files(folder: Path, split: Split) -> None:
    """Compare the shard files' sizes with the manifest.

    Raises:
        InputDataError: A file is missing or has another size.
    """
    for shard in split.shards:
        path = folder / shard.path
        if not path.is_file():
            raise InputDataError(f"{path} is missing, but the manifest lists it. Run esmm preprocess again.")
        if path.stat().st_size != shard.file_bytes:
            raise InputDataError(
                f"{path} has {path.stat().st_size} bytes, the manifest says {shard.file_bytes}. "
                "The file changed after it was written; run esmm preprocess again."
            )


def damaged_shards(folder: Path, split: Split) -> list[str]:
    """Return the paths of the shards that are missing or whose CRC-32C is not the manifest's; reads every file."""
    files = ((shard, folder / shard.path) for shard in split.shards)
    return [str(path) for shard, path in files if not path.is_file() or file_crc32c(path) != shard.crc32c]


def _to_batch(parsed: dict[str, Any], num_labels: int) -> GroupedBatch:
    def values(key: str) -> npt.NDArray[Any]:
        return np.asarray(parsed[key].flat_values.numpy())

    return GroupedBatch(
        user_ids=values(keys.USER_IDS),
        user_lengths=values(keys.USER_LENGTHS),
        user_weights=values(keys.USER_WEIGHTS) if keys.USER_WEIGHTS in parsed else None,
        impression_ids=values(keys.IMPRESSION_IDS),
        impression_lengths=values(keys.IMPRESSION_LENGTHS),
        impression_weights=values(keys.IMPRESSION_WEIGHTS) if keys.IMPRESSION_WEIGHTS in parsed else None,
        impressions_per_group=np.asarray(parsed[keys.SAMPLE_IDS].row_lengths().numpy()),
        sample_ids=values(keys.SAMPLE_IDS),
        labels=values(keys.LABELS).reshape(-1, num_labels),
    )
