"""Read a split of a data set as grouped batches, with ``tf.data``."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from esmm_dist.arrays import I64
from esmm_dist.errors import InputDataError
from esmm_dist.input.batch import GroupedBatch, empty_batch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import (
    WHOLE,
    PartRead,
    RankShare,
    check_lanes,
    lane_reads,
    lane_records,
    lanes_of_records,
    records_per_lane,
    steps_in_epoch,
)
from esmm_dist.input.record_parsing import UnfitBatchError, batch_of, parse_spec
from esmm_dist.input.shard_guard import ShardGuard, check_shard_files
from esmm_dist.input.skipped import SkippedShard
from esmm_dist.schema.manifest import DatasetManifest, Shard

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
        share: RankShare = WHOLE,
        with_names: bool = False,
    ) -> None:
        """Prepare to read.

        Args:
            folder: folder of the data set
            manifest: its manifest
            split: ``train``, ``validation`` or ``test``
            config: batch size (over all ranks) and order
            share: lanes that this rank reads
            with_names: whether to read the texts that name impressions, where the data set has them

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
        self._share, self._lanes = share, share.lanes(manifest.lanes)
        self._lane_records = lane_records(manifest, split)

    def record_lanes(self, step: int) -> I64:
        """Return the lane of each record of this rank's batch ``step`` of an epoch (0, 1, ...): int64 [G]."""
        return lanes_of_records(self._lane_records, self._records_per_lane, step, self._share)

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
            epoch: the epoch, 0, 1, ...
            first_step: batches of the epoch to leave out, without parsing them
            seed: seed of the shuffle; None: file order

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
                        batch = batch_of(columns, schema)
                # UnicodeDecodeError: TensorFlow's message quotes the record, and Python cannot read the message
                except (tf.errors.OpError, UnicodeDecodeError, UnfitBatchError) as e:
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
            for lane in self._lanes
        ]
        return [reads for reads in lanes if reads]

    def _dataset(self, lanes: list[list[PartRead]], *, shuffled: bool) -> tf.data.Dataset:
        if not lanes:
            return tf.data.Dataset.from_tensor_slices([])
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
        batches = records.batch(self._records_per_lane * len(self._lanes))
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
