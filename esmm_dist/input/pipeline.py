"""Read a split of a data set as grouped batches."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path

from esmm_dist.arrays import I64
from esmm_dist.errors import InputDataError
from esmm_dist.input.batch import GroupedBatch, empty_batch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import (
    WHOLE,
    PartRead,
    RankShare,
    ShuffleBlock,
    check_lanes,
    lane_reads,
    lane_records,
    lanes_of_records,
    records_per_lane,
    steps_in_epoch,
)
from esmm_dist.input.record_decoding import RecordDecoder, UnfitBatchError
from esmm_dist.input.shard_guard import ShardGuard, check_shard_files
from esmm_dist.input.shard_records import BrokenShardError, shard_records
from esmm_dist.input.skipped import SkippedShard
from esmm_dist.kernels.shuffled_order import shuffled_order
from esmm_dist.schema.manifest import DatasetManifest, Shard


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
        self._decoder = RecordDecoder(manifest.schema, with_names=self.has_names)
        self._share, self._lanes = share, share.lanes(manifest.lanes)
        self._lane_records = lane_records(manifest, split)

    def leave_out_weights(self) -> None:
        """Read no weights of ids from now on: batches have None in their place, as if each was 1."""
        self._decoder = RecordDecoder(self._manifest.schema, with_names=self.has_names, with_weights=False)

    def record_lanes(self, step: int) -> I64:
        """Return the lane of each record of this rank's batch ``step`` of an epoch (0, 1, ...): int64 [G]."""
        return lanes_of_records(self._lane_records, self._records_per_lane, step, self._share)

    @property
    def skipped(self) -> list[SkippedShard]:
        """What this rank's reading has left out so far, a shard each; empty unless ``on_bad_record`` is ``skip``."""
        return self._guard.skipped

    def epoch(self, epoch: int, *, first_step: int = 0, seed: int | None) -> Generator[GroupedBatch, None, None]:
        """Yield the batches of one epoch from its step ``first_step`` on: on every rank the same number.

        Where this rank's lanes have no record left, or where it has no lane at all, its batch is empty (G = B = 0). A
        record that is skipped leaves a group without impressions in its place.

        Each shard is compared with the manifest when its first record is due, once in the life of this reader.

        Args:
            epoch: the epoch, 0, 1, ...
            first_step: batches of the epoch to leave out, without decoding them
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
        opened: list[Shard] = []
        lanes = [self._lane(reads, opened) for reads in self._lane_reads(epoch, first_step, seed)]
        try:
            for _ in range(first_step, self.steps_per_epoch):
                try:
                    batch = self._batch([record for lane in lanes for record in islice(lane, self._records_per_lane)])
                except (OSError, BrokenShardError, UnfitBatchError) as e:
                    if self._guard.examine(opened):
                        return
                    raise InputDataError(
                        f"a shard cannot be read ({e}), although all files and records are as they should be"
                    ) from e
                yield batch
        except InputDataError as e:
            where = f"{self._folder}, split '{self._split}', epoch {epoch}"
            raise InputDataError(f"{where}: {e}") from e.__cause__
        finally:
            for lane in lanes:
                lane.close()

    def _batch(self, records: list[bytes]) -> GroupedBatch:
        if not records:
            return empty_batch(self._manifest.schema, with_names=self.has_names)
        return self._decoder.batch(records)

    def _lane_reads(self, epoch: int, first_step: int, seed: int | None) -> list[list[PartRead]]:
        """Return how to read this rank's lanes."""
        return [
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

    def _lane(self, reads: list[PartRead], opened: list[Shard]) -> Generator[bytes, None, None]:
        """Yield the records of a lane; note each shard before it is read."""
        for read in reads:
            opened.append(read.shard)
            self._guard.check([read.shard])
            in_file = shard_records(self._guard.path(read.shard), compressed=self._manifest.compression == "ZLIB")
            records = _counted(in_file, read.shard)
            if read.shuffle_seed is None:
                yield from islice(records, read.skip, None)
            for block in read.blocks():
                # A part that is one block is read to its end first, so that one with more records than the manifest
                # says is found before any of them is used
                whole = block.records == read.shard.records
                yield from _shuffled(records if whole else islice(records, block.records), block)
            for _ in records:
                pass  # comes to the end, where the number of records is compared


def _shuffled(records: Iterable[bytes], block: ShuffleBlock) -> Iterator[bytes]:
    """Yield the records of a block in the order of its seed; each is in memory until then."""
    if block.skip == block.records:  # none is due
        deque(records, maxlen=0)
        return
    waiting = list(records)
    order = shuffled_order(block.seed, len(waiting))[block.skip :]
    waiting = [waiting[place] for place in order[::-1].tolist()]
    while waiting:
        yield waiting.pop()


def _counted(records: Iterable[bytes], shard: Shard) -> Iterator[bytes]:
    """Yield records.

    Raises:
        BrokenShardError: They are not as many as the manifest says.
    """
    number = 0
    for record in records:
        if number == shard.records:
            raise BrokenShardError(f"{shard.path} has more records than the {number} of the manifest")
        number += 1
        yield record
    if number < shard.records:
        raise BrokenShardError(f"{shard.path} has {number} records, the manifest says {shard.records}")
