"""Where the rows of the ids of a request lie: looked up when it is read, and used when it is scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import I64, Bools, Ids
from esmm_dist.kernels.unique import sorted_unique
from esmm_dist.served_model.mapped_table import MappedTable


@dataclass(frozen=True, kw_only=True)
class RowPlaces:
    """The ids of one request in one table."""

    ids: Ids
    """int64 [U], strictly ascending"""
    places: I64
    """int64 [2, U], as ``MappedTable.places`` returns them"""


class RowSearch:
    """Looks ids of one request up in one table, each once."""

    def __init__(self, table: MappedTable) -> None:
        """Begin.

        Args:
            table: the table
        """
        self._table = table
        self.found: list[RowPlaces] = []
        """What was found, a part a call"""

    def __call__(self, ids: Ids) -> Bools:
        """Return which ids int64 [n], in any order, have a row: bool [n]."""
        count = len(ids)
        unique, begins = np.empty(count, np.int64), np.empty(count + 1, np.int64)
        place_of, order = np.empty(count, np.int32), np.empty(count, np.int32)
        own = unique[: sorted_unique(np.ascontiguousarray(ids), unique, place_of, order, begins)]
        places = self._table.places(own)
        self.found.append(RowPlaces(ids=own, places=places))
        has_row: Bools = places[0] != 0
        return has_row[place_of]


def known_places(table: MappedTable, ids: Ids, parts: Sequence[RowPlaces]) -> I64:
    """Return where the rows of ids lie, int64 [2, U].

    They are looked up unless they are those of one part, or those of its ids that have a row: in several parts, those
    of joined requests, finding an id takes as long as looking it up.

    Args:
        table: the table that all were found in
        ids: int64 [U], strictly ascending
        parts: what is known
    """
    if len(parts) == 1:
        [part] = parts
        if np.array_equal(part.ids, ids):
            return part.places
        has_row = part.places[0] != 0
        if np.array_equal(part.ids[has_row], ids):
            return np.ascontiguousarray(part.places[:, has_row])
    return table.places(ids)


FoundByTable = Mapping[str, Sequence[RowPlaces]]
