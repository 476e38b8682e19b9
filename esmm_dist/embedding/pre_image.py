"""What a table keeps of a push so that it can be undone: the rows that the push changed, as they were before it."""

from dataclasses import dataclass

from esmm_dist.arrays import F32, Ids


@dataclass(frozen=True, kw_only=True)
class PreImage:
    """A table before its last push, as far as that push changed it."""

    step: int
    """Step of the push."""
    used: int
    """Rows of the table; those that the push appended follow them."""
    numbers: Ids
    """int64 [n]: the slab rows that the push wrote, appended ones included; negative: none, the id was only counted."""
    block: F32
    """float32 [n, D + slots + metadata]: what they held; for appended ones, what a new row starts from;
    undefined where there is none."""
    unseen_ids: Ids
    """int64 [u]: the ids that had no row; each was counted by the push, or given one."""
    unseen_codes: Ids
    """int64 [u]: what the index said of them, ``NO_ROW`` or a ``candidate_code``."""
