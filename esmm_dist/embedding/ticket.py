"""The ids that a batch asks of a table, on their way from ``prepare`` over ``pull`` to ``push``."""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, I64, Ids


@dataclass(frozen=True, kw_only=True)
class FoundRows:
    """Where a table's rows of some ids are, and the table's versions at which that was found."""

    codes: Ids
    """int64 [U], as of ``RowIndex.find``: row numbers, negative where an id has no row"""
    version: int
    """Rows that were missing may have come after this version."""
    layout_version: int
    """Row numbers may be others after this version."""


@dataclass(frozen=True, kw_only=True)
class RowsAhead:
    """Rows of a ticket that servers have sent before the step that they are for, and those still to come."""

    rows: F32
    """float32 [U, D], of which those at ``early`` are there"""
    early: tuple[I64, ...]
    """Places of the rows that are there, by server: int64 [n] each"""
    late: tuple[I64, ...]
    """Places of the rows to come, by server: those that the step before changes. int64 [n] each"""
    versions: tuple[int, ...]
    """Which contents of its table each server has sent"""


@dataclass(kw_only=True)
class Ticket:
    """Unique ids of one table, with what a store has found out about them so far.

    A store's ``prepare`` makes it, ``pull`` may add to it, ``push`` ends its use. One thread at a time may use it. A
    ticket that is older than a change of the table stays valid: what it holds carries the table's version, and is found
    anew where that is another. ``ids`` and ``counts`` must not be changed.
    """

    table: str
    ids: Ids
    """int64 [U], strictly ascending: a ticket of other ids cannot be made"""
    counts: I64 | None = None
    """int64 [U], impressions of this rank's share of the step that hold each id; needed where admission counts"""
    places: tuple[I64, ...] = ()
    """Places in ``ids`` of those that each server holds, int64 [n] each; empty where one server or this process does"""
    found: FoundRows | None = None
    ahead: RowsAhead | None = None

    def __post_init__(self) -> None:
        """Check the ids.

        Raises:
            ValueError: They are not int64 [U], strictly ascending; the message names the first that is not.
        """
        ids = self.ids
        if ids.dtype != np.int64 or ids.ndim != 1:
            raise ValueError(f"Table '{self.table}': ids are {ids.dtype} {list(ids.shape)}, expected int64 [U]")
        ascending = ids[1:] > ids[:-1]
        if not ascending.all():
            at = int(np.argmin(ascending))
            raise ValueError(
                f"Table '{self.table}': ids must be strictly ascending; id {ids[at + 1]} follows {ids[at]} at {at + 1}"
            )
