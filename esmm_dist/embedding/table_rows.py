"""Rows of a table outside the table: what is saved and loaded."""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, I64, Bools, Ids


def check_ids(ids: Ids, *, table: str) -> None:
    """Check that ids can be asked of a table: int64, strictly ascending.

    Raises:
        ValueError: They are not; the message names the first that is not.
    """
    if ids.dtype != np.int64 or ids.ndim != 1:
        raise ValueError(f"Table '{table}': ids are {ids.dtype} {list(ids.shape)}, expected int64 [U]")
    if len(ids) > 1 and not bool(np.all(ids[1:] > ids[:-1])):
        at = int(np.argmin(ids[1:] > ids[:-1]))
        raise ValueError(
            f"Table '{table}': ids must be strictly ascending; id {ids[at + 1]} follows {ids[at]} at {at + 1}"
        )


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Rows of a table as they are saved: ordered by id."""

    ids: Ids
    """int64 [n]"""
    rows: F32
    """float32 [n, D]"""
    slots: F32
    """float32 [n, S]: slot variables of the optimizer"""
    last_step: I64
    """int64 [n]: the step that changed the row last"""
    count: I64
    """int64 [n]: how many steps have changed the row"""

    def chosen(self, which: Bools) -> "TableRows":
        """Return the rows where ``which`` bool [n] is true."""
        return TableRows(
            ids=self.ids[which],
            rows=self.rows[which],
            slots=self.slots[which],
            last_step=self.last_step[which],
            count=self.count[which],
        )


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Ids that have no row yet, with the impressions that have held them: ordered by id."""

    ids: Ids
    """int64 [c]"""
    impressions: Ids
    """int64 [c], 1 or more each"""

    def chosen(self, which: Bools) -> "Candidates":
        """Return the ids where ``which`` bool [c] is true."""
        return Candidates(ids=self.ids[which], impressions=self.impressions[which])
