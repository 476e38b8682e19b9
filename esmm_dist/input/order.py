"""The one global order of records: a function of data set, seed and batch size only.

Shards are dealt into lanes. Global batch t takes the same number k of records from every lane, so that rank r, which
reads lanes r, r + N, ..., finds its share of every batch in its own lanes, whatever N is. Within an epoch a lane is its
parts in an order drawn from (seed, epoch, lane), each part's records in an order drawn from (seed, epoch, lane, part)::

    lane 0   part 2 | part 0 | part 1          k records of each lane
    lane 1   part 1 | part 2 | part 0    ──>   make global batch 0, the next k
    ...                                        global batch 1, ...

A part that is larger than a shuffle block (of the manifest) is shuffled block by block, in the order of the file. The
first blocks are cut so that the lanes come to the ends of their blocks one after another: a reader then holds half a
block of each lane on average, and inflates a block of one lane at a time::

    lane 0   # ######## ######## ####
    lane 1   ### ######## ######## ##
    lane 2   ##### ######## ########

The position of a run in its data is therefore its step number, and nothing else needs to be saved.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.manifest import DatasetManifest, Shard
from esmm_dist.schema.shuffle_blocks import unsized_block_records


@dataclass(frozen=True, kw_only=True)
class ShuffleBlock:
    """Records of a part that are shuffled together."""

    records: int
    seed: int
    skip: int
    """Records (after shuffling) that earlier batches have taken."""


@dataclass(frozen=True, kw_only=True)
class PartRead:
    """How one shard is read within an epoch."""

    shard: Shard
    shuffle_seed: int | None
    """None: in file order."""
    skip: int
    """Records (after shuffling) that earlier batches have taken."""
    block_records: int
    """Records that are shuffled together; the last block may have fewer."""
    first_block_records: int
    """Records of the first block."""

    def blocks(self) -> Iterator[ShuffleBlock]:
        """Yield the blocks that are shuffled, in the order of the file; none in file order or of an empty part."""
        if self.shuffle_seed is None:
            return
        begin, end, seed = 0, self.first_block_records, self.shuffle_seed
        for number in count(1):
            if begin >= self.shard.records:
                return
            records = min(end, self.shard.records) - begin
            skip = min(max(self.skip - begin, 0), records)
            yield ShuffleBlock(records=records, seed=seed, skip=skip)
            begin, end = end, end + self.block_records
            seed = _shuffle_seed(self.shuffle_seed, number)


@dataclass(frozen=True, kw_only=True)
class RankShare:
    """One rank of so many, each of which reads its own lanes."""

    rank: int = 0
    world_size: int = 1

    def lanes(self, lanes: int) -> range:
        """Return the lanes of so many that it reads; none if there are more ranks than lanes and it is a last one."""
        return range(self.rank, lanes, self.world_size)


WHOLE = RankShare()
"""One process that reads everything."""


def records_per_lane(manifest: DatasetManifest, global_batch_records: int) -> int:
    """Return k, the records that a global batch takes from each lane.

    Raises:
        ConfigError: The batch does not divide evenly among the lanes.
    """
    if global_batch_records % manifest.lanes:
        near = max(1, round(global_batch_records / manifest.lanes)) * manifest.lanes
        raise ConfigError(
            f"global_batch_records is {global_batch_records}, but the data set has {manifest.lanes} lanes and every "
            f"lane gives the same number of records to a batch. Set a multiple of {manifest.lanes}, such as {near}."
        )
    return global_batch_records // manifest.lanes


def steps_in_epoch(manifest: DatasetManifest, split: str, global_batch_records: int) -> int:
    """Return the number of batches in one pass over a split, the last partial one included."""
    k = records_per_lane(manifest, global_batch_records)
    longest = max(lane_records(manifest, split).values(), default=0)
    return -(-longest // k)


def lane_records(manifest: DatasetManifest, split: str) -> dict[int, int]:
    """Return the number of records in each lane of a split."""
    counts = {lane: 0 for lane in range(manifest.lanes)}
    for shard in manifest.splits[split].shards:
        counts[shard.lane] += shard.records
    return counts


def idle_ranks_warning(manifest: DatasetManifest, world_size: int) -> list[str]:
    """Return a sentence about ranks that have no lane to read, if there are any."""
    idle = world_size - manifest.lanes
    if idle <= 0:
        return []
    return [
        f"{world_size} ranks train, but the data set has {manifest.lanes} lanes: {idle} of them have nothing to read. "
        f"Start {manifest.lanes} ranks or fewer, or make the data set with more lanes: esmm preprocess --lanes N."
    ]


def lanes_of_records(counts: dict[int, int], records_per_lane: int, step: int, share: RankShare) -> I64:
    """Return the lane of each record of a rank's share of a batch: int64 [G], ascending.

    Args:
        counts: records of each lane of the split, see ``lane_records``
        records_per_lane: records of a lane in a batch, k
        step: step within the epoch, 0, 1, ...
        share: lanes that the rank reads
    """
    own = share.lanes(len(counts))
    taken = [min(max(counts[lane] - step * records_per_lane, 0), records_per_lane) for lane in own]
    return np.repeat(np.array(own, dtype=np.int64), taken)


def one_process_order(lanes: I64) -> I64:
    """Return the order that makes one process's batch of the shares of several ranks.

    A batch is in the order of its lanes, and a lane is read by one rank, in its order.

    Args:
        lanes: int64 [N], the lane of each row of the shares, which stand one after another.

    Returns:
        int64 [N]: places of the rows, to be taken in this order.
    """
    return np.argsort(lanes, kind="stable")


def check_lanes(manifest: DatasetManifest, split: str) -> None:
    """Check that the lanes of a split are equal to within one record, so that they end in the same batch.

    Raises:
        InputDataError: They are not.
    """
    counts = lane_records(manifest, split)
    shortest, longest = min(counts, key=lambda lane: counts[lane]), max(counts, key=lambda lane: counts[lane])
    if counts[longest] - counts[shortest] > 1:
        raise InputDataError(
            f"Split '{split}': lane {longest} has {counts[longest]} records and lane {shortest} has "
            f"{counts[shortest]}; lanes must be equal to within one. Make the data set again in "
            "another folder: esmm preprocess RAW FOLDER."
        )


def lane_reads(
    manifest: DatasetManifest, split: str, lane: int, *, epoch: int, first_record: int, seed: int | None
) -> list[PartRead]:
    """Return how to read a lane within an epoch, from its record ``first_record`` on.

    Args:
        manifest: manifest of the data set
        split: name of the split
        lane: the lane, 0 .. lanes - 1
        epoch: the epoch, 0, 1, ...
        first_record: records of the lane that earlier batches of the epoch have taken
        seed: seed of the shuffle; None: file order
    """
    parts = sorted((s for s in manifest.splits[split].shards if s.lane == lane), key=lambda s: s.part)
    if seed is not None:
        order = np.random.default_rng([seed, epoch, lane]).permutation(len(parts))
        parts = [parts[i] for i in order]
    block = _block_records(manifest, split)
    reads = []
    for shard in parts:
        skip = min(first_record, shard.records)
        first_record -= skip
        if skip < shard.records:
            several = shard.records > block
            first_block = _first_block(block, epoch, lane, manifest.lanes) if several else shard.records
            reads.append(
                PartRead(
                    shard=shard,
                    shuffle_seed=None if seed is None else _shuffle_seed(seed, epoch, lane, shard.part),
                    skip=skip,
                    block_records=block if several else shard.records,
                    first_block_records=first_block,
                )
            )
    return reads


def order_seed(seed: int, first_step: int) -> int:
    """Return the seed of the shuffle of a data set that a run begins after ``first_step``; its own for the first one.

    A data set that comes once more comes in another order.
    """
    return _shuffle_seed(seed, first_step) if first_step else seed


def _block_records(manifest: DatasetManifest, split: str) -> int:
    """Return how many records of a lane are shuffled together, if its parts have so many."""
    of_split = manifest.splits[split]
    if of_split.shuffle_block_records is not None:
        return of_split.shuffle_block_records
    file_bytes = sum(shard.file_bytes for shard in of_split.shards)
    block = unsized_block_records(of_split.records, file_bytes, manifest.lanes, manifest.compression)
    return of_split.records if block is None else block


def _first_block(block_records: int, epoch: int, lane: int, lanes: int) -> int:
    """Return the records of the first block of a part that has several: 1 .. ``block_records``.

    Evenly spread over the lanes, and others in the next epoch, so that records at an edge get new neighbors.
    """
    return 1 + (lane * block_records // lanes + epoch * (block_records * 5 // 13)) % block_records


def _shuffle_seed(*drawn_from: int) -> int:
    return int(np.random.default_rng(drawn_from).integers(1, 2**31 - 1))
