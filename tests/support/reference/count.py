"""How many impressions hold each id: the readable form of ``preprocess.join.count_kernel``."""

import numpy as np

from esmm_dist.arrays import I64
from preprocess.read.feature_rows import FeatureRows


def count_field(rows: FeatureRows, field: int, uses: I64) -> tuple[I64, I64]:
    """Count the ids of one field: an id counts once for each use of a row that holds it, however often it does.

    Args:
        rows: R rows
        field: index of the field
        uses: weight of each row, int64 [R]; rows of weight 0 do not count

    Returns:
        The ids, ascending, and their counts: int64 [U] each.
    """
    mask = rows.field_of_feature() == field
    row = rows.row_of_feature()[mask]
    pairs = np.unique(np.stack((rows.ids[mask], row)), axis=1)
    ids, place = np.unique(pairs[0], return_inverse=True)
    counts = np.bincount(place, weights=uses[pairs[1]], minlength=len(ids)).astype(np.int64)
    return ids[counts > 0], counts[counts > 0]
