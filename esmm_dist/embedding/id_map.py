"""A map from ids to row numbers, in memory as a processor reads it: nearly always one cache line an id."""

import numpy as np

from esmm_dist.arrays import I64, U32, Ids
from esmm_dist.embedding.slab import Slab
from esmm_dist.kernels.id_map import find_numbers, put_numbers, read_pairs, remove_numbers
from esmm_dist.kernels.threads import in_ranges

_LINE_COLUMNS = 8
_PLACES = 5
_FIRST_LINES = 256
_FULL_PAIRS = 4  # a line on average, when lines are added
_GROWTH = 1.3
_MOVED_LINES = 1 << 12  # at a time: 256 kB, which stay in a core's cache
_MOST_NUMBERS = 2**32 - 1


class IdMap:
    """A hash table in lines of 64 bytes; an id's hash says in which line its search begins.

    ::

        line 0   id id id id id   number+1 number+1 number+1 number+1 number+1   passed
        line 1   ...              uint32; 0: the place is empty                  uint32

    A pair that finds its line full goes into the next one that is not, and each line on its way counts that it was
    passed; a search ends at a line that no pair has passed. The counts make it simple to remove a pair: they go down
    again. (Source: Bronson and Shi, "Open-sourcing F14", 2019, overflow counts;
    https://engineering.fb.com/2019/04/25/developer-tools/f14/.) With 4 pairs a line, the most that there are, a tenth
    of the ids are in the second line or further: 16 bytes a pair, 21 after it has grown by a third.

    Growth puts all pairs into new lines, in the order of their hashes, so that old and new memory is read and written
    from its beginning to its end.

    Not thread-safe: the owner serialises all calls. ``find`` itself uses several threads.
    """

    def __init__(self, *, expected_ids: int = 0) -> None:
        """Make an empty map.

        Args:
            expected_ids: ids that it has room for before it grows
        """
        self._lines, self._spare = (Slab(columns=_LINE_COLUMNS, dtype=np.int64) for _ in range(2))
        self._num_lines = min(max(_FIRST_LINES, -(-expected_ids // _FULL_PAIRS)), self._lines.max_rows)
        self._num_ids = 0

    @property
    def max_ids(self) -> int:
        """Ids that this machine's memory, and a number of 32 bits, leave room for."""
        return min(self._lines.max_rows * _FULL_PAIRS, _MOST_NUMBERS)

    def find(self, ids: Ids) -> Ids:
        """Return the row number of each id int64 [U], -1 where the map does not hold it."""
        asked, numbers = _plain(ids), np.empty(len(ids), dtype=np.int64)
        arrays = self._arrays()
        in_ranges(lambda first, end: find_numbers(*arrays, asked[first:end], numbers[first:end]), len(asked))
        return numbers

    def put(self, ids: Ids, numbers: Ids) -> None:
        """Set row numbers int64 [U], 0 to 2^32 - 2, of ids int64 [U], each at most once."""
        wanted = -(-(self._num_ids + len(ids)) // _FULL_PAIRS)
        if wanted > self._num_lines:
            self._grow(max(wanted, int(self._num_lines * _GROWTH)))
        self._num_ids += put_numbers(*self._arrays(), _plain(ids), _plain(numbers))

    def remove(self, ids: Ids) -> None:
        """Forget ids."""
        self._num_ids -= remove_numbers(*self._arrays(), _plain(ids))

    def __len__(self) -> int:
        """Return the number of ids."""
        return self._num_ids

    def _arrays(self) -> tuple[I64, U32, int]:
        lines = self._lines.rows
        return lines, lines.view(np.uint32), self._num_lines

    def _grow(self, num_lines: int) -> None:
        """Move all pairs into more lines."""
        old, old_num_lines = self._lines, self._num_lines
        self._lines, self._spare = self._spare, old
        self._num_lines = min(num_lines, old.max_rows)
        ids, numbers = np.empty((2, _PLACES * _MOVED_LINES), dtype=np.int64)
        words = old.rows.view(np.uint32)
        for first in range(0, old_num_lines, _MOVED_LINES):
            end = min(first + _MOVED_LINES, old_num_lines)
            count = read_pairs(old.rows, words, first, end, ids, numbers)
            put_numbers(*self._arrays(), ids[:count], numbers[:count])
        old.give_back(0)


def _plain(numbers: Ids) -> Ids:
    """Return the numbers as kernels take them: contiguous and aligned; what comes from a network may not be."""
    return np.require(numbers, dtype=np.int64, requirements=["C", "A"])
