"""Rows of a table outside the table: what is saved and loaded."""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, I64, Bools, Ids


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

    @classmethod
    def empty(cls, rows: int, embedding_dim: int, slot_columns: int) -> "TableRows":
        """Return memory for rows; its content is arbitrary."""
        return cls(
            ids=np.empty(rows, dtype=np.int64),
            rows=np.empty((rows, embedding_dim), dtype=np.float32),
            slots=np.empty((rows, slot_columns), dtype=np.float32),
            last_step=np.empty(rows, dtype=np.int64),
            count=np.empty(rows, dtype=np.int64),
        )

    def first(self, rows: int) -> "TableRows":
        """Return views of the first rows."""
        return TableRows(
            ids=self.ids[:rows],
            rows=self.rows[:rows],
            slots=self.slots[:rows],
            last_step=self.last_step[:rows],
            count=self.count[:rows],
        )

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
    last_step: I64
    """int64 [c]: the last step that held the id"""

    def chosen(self, which: Bools) -> "Candidates":
        """Return the ids where ``which`` bool [c] is true."""
        return Candidates(ids=self.ids[which], impressions=self.impressions[which], last_step=self.last_step[which])
