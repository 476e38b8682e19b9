"""Decide which impressions share a record, and the place of the record in the global order.

All by hashes of the data and the seed: neither the order of the log nor the cut into partitions matters. Impressions
of one user context are ordered by a hash of their sample id and cut into groups of at most ``group_size``. A context
of very many impressions (one user of a bot, or no user at all) is first cut into ranges of that hash, so that its
impressions need not be in memory together; each range ends with one group that may not be full.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import I64, U64
from esmm_dist.hashing import mix64
from preprocess.read.feature_rows import ragged_index, splits_of

RANGE_IMPRESSIONS = 1 << 15
"""Impressions of one context that one range holds on average; the largest share of a context that must fit memory."""


@dataclass(frozen=True, kw_only=True)
class RecordGroups:
    """g groups of n impressions, in the global order of records."""

    order: I64
    """The impressions, group after group: int64 [n]."""
    splits: I64
    """Group i holds order[splits[i] : splits[i + 1]]: int64 [g + 1]."""
    record_keys: U64
    """Ascending: the place of the record among all records of the split, uint64 [g]."""


def order_hash(sample_ids: I64, seed: int) -> U64:
    """Return what orders the impressions of a context: uint64 [n]."""
    return mix64(sample_ids.astype(np.uint64) ^ _salt(seed, "impressions"))


def num_ranges(impressions: I64) -> I64:
    """Return into how many ranges contexts of so many impressions are cut."""
    return 1 + impressions // RANGE_IMPRESSIONS


def range_of(hashes: U64, ranges: I64) -> U64:
    """Return the range of each impression from its order hash and its context's number of ranges: uint64 [n]."""
    return ((hashes >> np.uint64(32)) * ranges.astype(np.uint64)) >> np.uint64(32)


def group_impressions(
    keys: U64,
    sample_ids: I64,
    *,
    split: str,
    group_size: int,
    seed: int,
    known_ranges: Mapping[int, int],
) -> RecordGroups:
    """Cut the impressions of a partition into groups.

    Args:
        keys: user context of each impression, uint64 [n]
        sample_ids: int64 [n], all different
        split: name of the split; train and test are shuffled differently
        group_size: most impressions in a group
        seed: seed of the shuffle
        known_ranges: number of ranges of contexts that are only partly in this partition
    """
    hashes = order_hash(sample_ids, seed)
    ranges = range_of(hashes, _ranges_of(keys, known_ranges))
    order = np.lexsort((sample_ids, hashes, keys))  # ranges ascend with the hash
    keys, ranges = keys[order], ranges[order]
    n = len(order)
    starts = np.ones(n, np.bool_)
    starts[1:] = (keys[1:] != keys[:-1]) | (ranges[1:] != ranges[:-1])
    begin = np.maximum.accumulate(np.where(starts, np.arange(n), 0))
    number, place = np.divmod(np.arange(n) - begin, group_size)
    heads = np.flatnonzero(place == 0)
    salt = _salt(seed, f"records of {split}")
    record_keys = mix64(mix64(keys[heads] ^ salt) ^ (ranges[heads] << np.uint64(32) | number[heads].astype(np.uint64)))
    sizes = np.diff(np.append(heads, n))
    by_key = np.lexsort((sample_ids[order[heads]], record_keys))
    return RecordGroups(
        order=order[ragged_index(np.append(heads, n), by_key)],
        splits=splits_of(sizes[by_key]),
        record_keys=record_keys[by_key],
    )


def _salt(seed: int, purpose: str) -> np.uint64:
    """Return 64 bits for one purpose of a run's seed."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _ranges_of(keys: U64, known: Mapping[int, int]) -> I64:
    unique, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    ranges = num_ranges(counts)
    for key, number in known.items():
        ranges[unique == np.uint64(key)] = number
    return ranges[inverse]
