"""A grouped batch, as arrays."""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, I64, Objects
from esmm_dist.schema.fields import Schema


@dataclass(frozen=True, kw_only=True)
class GroupedBatch:
    """G user contexts with their B impressions.

    Ragged parts are values and lengths. For two groups, the second with two impressions, F_u = 2, F_i = 2::

        user_ids            [ 7 | 8 9 |  7 |     ]      group 0: fields (7) (8 9); group 1: (7) ()
        user_lengths        [ 1   2      1   0   ]      [G * F_u]
        impression_ids      [ 3 | 4   | 3 |   | 5 | 6 ] impression 0: (3) (4); 1: (3) (); 2: (5) (6)
        impression_lengths  [ 1   1     1   0   1   1 ] [B * F_i]
        impressions_per_group [ 1, 2 ]                  [G]
    """

    user_ids: I64
    """int64 [n_u]"""
    user_lengths: I64
    """int64 [G * F_u]"""
    user_weights: F32 | None
    """float32 [n_u]; None: all 1"""
    impression_ids: I64
    """int64 [n_i]"""
    impression_lengths: I64
    """int64 [B * F_i]"""
    impression_weights: F32 | None
    """float32 [n_i]; None: all 1"""
    impressions_per_group: I64
    """int64 [G]"""
    sample_ids: I64
    """int64 [B]"""
    labels: I64
    """int64 [B, K], 0/1"""
    sample_weights: F32 | None = None
    """float32 [B], in losses and metrics; None: all 1"""
    sample_names: Objects | None = None
    """bytes [B]: the texts of the impressions (``schema.impression_text``). None: not read, or there are none."""

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.impressions_per_group)

    @property
    def num_impressions(self) -> int:
        """B."""
        return len(self.sample_ids)


def empty_batch(schema: Schema, *, with_names: bool = False) -> GroupedBatch:
    """Return the batch without any group: a rank's share where its lanes have no record left."""
    ids, weights = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    return GroupedBatch(
        user_ids=ids,
        user_lengths=ids,
        user_weights=weights if any(field.weighted for field in schema.user_fields) else None,
        impression_ids=ids,
        impression_lengths=ids,
        impression_weights=weights if any(field.weighted for field in schema.impression_fields) else None,
        impressions_per_group=ids,
        sample_ids=ids,
        labels=np.empty((0, len(schema.labels)), dtype=np.int64),
        sample_weights=weights if schema.has_sample_weights else None,
        sample_names=np.empty(0, dtype=np.object_) if with_names else None,
    )
