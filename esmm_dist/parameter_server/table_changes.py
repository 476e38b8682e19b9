"""Which of the rows that were pulled ahead have changed since: what the last push of a table was.

A client that pulls rows of step t + 1 while step t runs gets the table's version with them. When step t is applied, the
server compares: the same version, and nothing has changed; the version before that push, and what the push named has;
any other (an undone step, an eviction, a restore came between), and everything may have.
"""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import I64, Ids
from esmm_dist.kernels.sorted_ids import are_among


@dataclass(frozen=True, kw_only=True)
class LastPush:
    """The push that was applied to a table last, whatever changed the table since."""

    before: int
    """The table's version before it."""
    after: int
    """The table's version after it."""
    ids: Ids
    """int64 [V], strictly ascending: those whose rows it may have changed"""

    def version_before(self, version: int) -> int:
        """Return the version before the newest change if that is this push, else ``version``."""
        return self.before if version == self.after else version

    def changed(self, ids: Ids, *, since: int, version: int) -> I64:
        """Return the places of the ids whose rows may have changed.

        Args:
            ids: int64 [U], strictly ascending
            since: version at which the rows were read
            version: the table's version now
        """
        if since == version:
            return np.empty(0, dtype=np.int64)
        if since == self.before and version == self.after:
            return np.flatnonzero(are_among(ids, self.ids))
        return np.arange(len(ids))


NO_PUSH = LastPush(before=-1, after=-1, ids=np.empty(0, dtype=np.int64))
"""Before the first push."""
