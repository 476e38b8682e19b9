"""Pairs (id, code) in memory as a processor reads it: one cache line an id."""

import numpy as np

from esmm_dist.arrays import Ids
from esmm_dist.embedding.slab import Slab
from esmm_dist.kernels.row_cache import find_codes, put_codes, remove_codes, split_lines
from esmm_dist.kernels.threads import in_ranges

_FIRST_LINES = 256
_LINE_COLUMNS = 8


class RowCache:
    """A set-associative cache: an id's hash picks a line of 64 bytes, which holds up to four pairs.

    ::

        line 0   id id id id | code+1 code+1 code+1 code+1      0: the place is empty
        line 1   ...

    There are as many lines as pairs or more, so that a line holds one pair on average, and about 1 id in 200 finds its
    line full; the pair that it drops is not found here any more. Lines are added one at a time ("linear hashing":
    Litwin, VLDB 1980): line ``2^k + i`` takes over half of line ``i``, so that growth has no pause, and a small table
    costs few pages.

    Not thread-safe: the owner serialises all calls. ``find`` itself uses several threads.
    """

    def __init__(self) -> None:
        """Make an empty cache."""
        self._lines = Slab(columns=_LINE_COLUMNS, dtype=np.int64)
        self._num_lines = min(_FIRST_LINES, self._lines.max_rows)
        self._num_pairs = 0

    def find(self, ids: Ids) -> Ids:
        """Return the code of each id int64 [U], -1 where the cache does not hold it."""
        asked, codes = _plain(ids), np.empty(len(ids), dtype=np.int64)
        lines, num_lines = self._lines.rows, self._num_lines
        in_ranges(lambda first, end: find_codes(lines, num_lines, asked[first:end], codes[first:end]), len(asked))
        return codes

    def put(self, ids: Ids, codes: Ids) -> None:
        """Set codes int64 [U], none of them -1, of ids int64 [U], each at most once."""
        wanted = min(self._num_pairs + len(ids), self._lines.max_rows)
        if wanted > self._num_lines:
            split_lines(self._lines.rows, self._num_lines, wanted)
            self._num_lines = wanted
        self._num_pairs += put_codes(self._lines.rows, self._num_lines, _plain(ids), _plain(codes))

    def remove(self, ids: Ids) -> None:
        """Forget ids."""
        self._num_pairs -= remove_codes(self._lines.rows, self._num_lines, _plain(ids))


def _plain(numbers: Ids) -> Ids:
    """Return the numbers as kernels take them: contiguous and aligned; what comes from a network may not be."""
    return np.require(numbers, dtype=np.int64, requirements=["C", "A"])
