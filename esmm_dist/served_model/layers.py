"""Rows that were mapped from disk, as layers: a full version's, and above it what each delta changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from esmm_dist.arrays import F32, I64, Array, Bools, Ids
from esmm_dist.embedding.placement import NUM_BUCKETS, bucket_of
from esmm_dist.served_model.manifest import RowType
from esmm_dist.served_model.row_types import dtype_of

_NO_IDS: Ids = np.empty(0, dtype=np.int64)
_NO_BOOLS: Bools = np.empty(0, dtype=np.bool_)
_NO_SCALES: F32 = np.empty(0, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class MappedShard:
    """Rows, or ids without one, of a range of buckets, ordered by (bucket, id)."""

    first_bucket: int
    last_bucket: int
    ids: Ids
    """int64 [n]"""
    begins: I64
    """int64 [last_bucket - first_bucket + 1]: where each bucket begins in ``ids``, and n"""
    values: Array | None
    """[n, D] of the row type. None: these ids have no row any more"""
    scales: F32 | None
    """float32 [n]; None: 1"""

    def places_of(self, first_bucket: int, last_bucket: int) -> slice:
        """Return the places in ``ids`` of what it has in buckets ``[first_bucket, last_bucket)``."""
        first = min(max(first_bucket, self.first_bucket), self.last_bucket) - self.first_bucket
        last = max(min(last_bucket, self.last_bucket), self.first_bucket) - self.first_bucket
        return slice(int(self.begins[first]), int(self.begins[max(first, last)]))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Shards of one version, or those of its removed ids."""

    shards: tuple[MappedShard, ...]
    index: I64 = field(init=False)
    """int64 [4096, 4], see ``kernels.mapped_rows``"""

    def __post_init__(self) -> None:
        index = np.zeros((NUM_BUCKETS, 4), dtype=np.int64)
        for shard in self.shards:
            begins = shard.begins
            of_shard = index[shard.first_bucket : shard.last_bucket]
            of_shard[:, 0] = np.diff(begins)
            of_shard[:, 1] = _address(shard.ids) + begins[:-1] * shard.ids.itemsize
            if shard.values is not None:
                of_shard[:, 2] = _address(shard.values) + begins[:-1] * shard.values[:1].nbytes
            if shard.scales is not None:
                of_shard[:, 3] = _address(shard.scales) + begins[:-1] * shard.scales.itemsize
        object.__setattr__(self, "index", index)


@dataclass(frozen=True, kw_only=True)
class RowChanges:
    """Rows in stored form, by (bucket, id), and ids that have none: what a version changes, or all that it has."""

    ids: Ids
    """int64 [n]"""
    values: Array
    """[n, D] of the row type"""
    scales: F32 | None
    """float32 [n]; None: 1"""
    removed: Ids
    """int64 [m], by (bucket, id)"""


def merged(
    layers: Sequence[Layer], first_bucket: int, last_bucket: int, *, embedding_dim: int, row_type: RowType
) -> RowChanges:
    """Return what layers, newest first, together say about buckets ``[first_bucket, last_bucket)``: a copy."""
    ids, have_row, values, scales = [_NO_IDS], [_NO_BOOLS], [], []
    for layer in layers:
        for shard in layer.shards:
            places = shard.places_of(first_bucket, last_bucket)
            found = shard.ids[places]
            ids.append(found)
            have_row.append(np.full(len(found), shard.values is not None))
            if shard.values is not None:
                values.append(shard.values[places])
                scales.append(_NO_SCALES if shard.scales is None else shard.scales[places])
    all_ids, all_have_row = np.concatenate(ids), np.concatenate(have_row)
    newest = np.arange(len(all_ids)) if len(layers) == 1 else _newest(all_ids)
    have_row_of_newest = all_have_row[newest]
    row_numbers = (np.cumsum(all_have_row) - 1)[newest[have_row_of_newest]]
    all_values = np.concatenate([np.empty((0, embedding_dim), dtype_of(row_type)), *values])
    return RowChanges(
        ids=all_ids[newest[have_row_of_newest]],
        values=all_values[row_numbers],
        scales=None if row_type == "float32" else np.concatenate([_NO_SCALES, *scales])[row_numbers],
        removed=all_ids[newest[~have_row_of_newest]],
    )


def in_memory(found: RowChanges) -> list[Layer]:
    """Return rows as layers, those of a version that changes others: what it sets, and what it removes."""
    layers = []
    if len(found.ids):
        begins = begins_of(found.ids, 0, NUM_BUCKETS)
        layers.append(_layer(found.ids, begins, found.values, found.scales))
    if len(found.removed):
        layers.append(_layer(found.removed, begins_of(found.removed, 0, NUM_BUCKETS), None, None))
    return layers


def begins_of(ids: Ids, first_bucket: int, last_bucket: int) -> I64:
    """Return where each bucket of a range begins in ids int64 [n], ordered by bucket; and n."""
    counts = np.bincount(bucket_of(ids) - first_bucket, minlength=last_bucket - first_bucket)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def in_bucket_order(ids: Ids) -> I64:
    """Return the places that put ids int64 [n] into the order (bucket, id), equal ones as they come: int64 [n]."""
    ascends = (ids[1:] >= ids[:-1]).all()
    order = np.arange(len(ids)) if ascends else np.argsort(ids, kind="stable")
    buckets = bucket_of(ids[order]).astype(np.uint16)  # of 16 bits, which NumPy sorts by radix
    return order[np.argsort(buckets, kind="stable")]


def _newest(ids: Ids) -> I64:
    """Return the places of the first of each id, by (bucket, id)."""
    order = in_bucket_order(ids)
    ordered = ids[order]
    first: Bools = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(order)]
    return np.asarray(order[first])


def _layer(ids: Ids, begins: I64, values: Array | None, scales: F32 | None) -> Layer:
    shard = MappedShard(first_bucket=0, last_bucket=NUM_BUCKETS, ids=ids, begins=begins, values=values, scales=scales)
    return Layer(shards=(shard,))


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
