"""The impressions that are scored again and again: whole user contexts of a split, in memory."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from esmm_dist.arrays import I64, U64
from esmm_dist.errors import InputDataError
from esmm_dist.hashing import mix64
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.progress import Progress
from esmm_dist.report.importance.lists_of_batch import chosen_groups, joined_batches
from esmm_dist.schema.fields import Schema

if TYPE_CHECKING:
    from esmm_dist.input.pipeline import BatchReader


_SPARE = 1.5
"""Times the wanted impressions that are kept at first: hashes meet a share by chance only. What is too much goes."""


@dataclass(frozen=True, kw_only=True)
class SplitSample:
    """Impressions of a split."""

    batch: GroupedBatch
    """All of them, as one batch: 8 bytes an id, 12 where fields have weights"""
    contexts: int
    """User contexts; one of more than ``group_size`` impressions has several groups."""
    of_impressions: int
    """Impressions of the whole split"""

    def parts(self, schema: Schema, impressions: int, batch: GroupedBatch | None = None) -> Iterator[GroupedBatch]:
        """Yield the groups in batches of about this many impressions, in their order.

        Args:
            schema: schema of the batch
            impressions: impressions of a part; one group more at most
            batch: the sample with a field permuted; None: as it is
        """
        batch = self.batch if batch is None else batch
        ends = np.cumsum(batch.impressions_per_group)
        first = 0
        while first < batch.num_groups:
            begin = 0 if first == 0 else int(ends[first - 1])
            after = max(first + 1, int(np.searchsorted(ends, begin + impressions, side="right")))
            yield chosen_groups(batch, schema, np.arange(first, after))
            first = after


def read_sample(
    reader: "BatchReader", schema: Schema, split_impressions: int, most_impressions: int, progress: Progress
) -> SplitSample:
    """Read a split, or of a larger one those user contexts whose hash is low: the same each time.

    Args:
        reader: reads the whole split
        schema: its schema
        split_impressions: impressions of the split
        most_impressions: impressions to keep; one context is kept however many it has
        progress: receives impressions

    Raises:
        InputDataError: A shard is missing or damaged, or there is no impression at all.
    """
    share = most_impressions / max(1, split_impressions) * _SPARE
    limit = np.uint64(2**64 - 1 if share >= 1 else share * 2**64)
    kept, hashes = [], []
    progress.start("Reading the impressions", split_impressions, "impressions")
    try:
        with closing(reader.epoch(0, seed=None)) as batches:
            for batch in batches:
                of_groups = context_hashes(batch, schema)
                shown = np.flatnonzero(batch.impressions_per_group > 0)
                lowest = of_groups[shown].min() if len(shown) else limit  # one is there, however low the limit is
                chosen = shown[of_groups[shown] <= max(limit, lowest)]
                kept.append(chosen_groups(batch, schema, chosen))
                hashes.append(of_groups[chosen])
                progress.advance(batch.num_impressions)
    finally:
        progress.finish()
    whole = joined_batches(kept)
    of_groups = np.concatenate(hashes)
    if not whole.num_impressions:
        raise InputDataError("The split has no impression. Name another one (--split).")
    lowest = _lowest(of_groups, whole.impressions_per_group, most_impressions)
    if len(lowest) < whole.num_groups:
        whole, of_groups = chosen_groups(whole, schema, lowest), of_groups[lowest]
    return SplitSample(batch=whole, contexts=len(np.unique(of_groups)), of_impressions=split_impressions)


def context_hashes(batch: GroupedBatch, schema: Schema) -> U64:
    """Return a hash of the user part of each group, uint64 [G]: groups of one user context have the same.

    Without user fields each group is a context of its own.
    """
    of_users = len(schema.user_fields)
    if not of_users:
        begins = np.cumsum(batch.impressions_per_group) - batch.impressions_per_group
        firsts = np.minimum(begins, max(0, batch.num_impressions - 1))
        return mix64(batch.sample_ids[firsts]) if batch.num_impressions else np.zeros(batch.num_groups, np.uint64)
    field_of = np.repeat(np.arange(len(batch.user_lengths)) % of_users, batch.user_lengths)
    mixed = mix64(mix64(batch.user_ids) ^ mix64(field_of))
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)))
    ends = np.cumsum(batch.user_lengths)[of_users - 1 :: of_users]
    of_groups = sums[ends] - sums[np.concatenate((np.zeros(1, np.int64), ends[:-1]))]
    return mix64(of_groups)


def _lowest(hashes: U64, impressions: I64, most: int) -> I64:
    """Return the places, ascending, of the groups of the contexts of lowest hash that have ``most`` impressions."""
    if impressions.sum() <= most:
        return np.arange(len(hashes))
    order = np.argsort(hashes, kind="stable")
    begins = np.flatnonzero(np.concatenate(([True], hashes[order][1:] != hashes[order][:-1])))
    of_contexts = np.cumsum(np.add.reduceat(impressions[order], begins))
    contexts = max(1, int(np.searchsorted(of_contexts, most, side="right")))
    end = begins[contexts] if contexts < len(begins) else len(order)
    return np.sort(order[:end])
