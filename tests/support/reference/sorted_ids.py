"""What the kernels of ``esmm_dist/kernels/sorted_ids.py`` do, in plain NumPy."""

import numpy as np

from esmm_dist.arrays import F32, I64, Bools, Ids


def are_among(ids: Ids, others: Ids) -> Bools:
    return np.isin(ids, others, assume_unique=True)


def union(first: Ids, second: Ids) -> Ids:
    return np.union1d(first, second)


def places_in(all_ids: Ids, ids: Ids) -> I64:
    return np.searchsorted(all_ids, ids)


def add_rows(sums: F32, places: I64, rows: F32) -> None:
    sums[places] += rows
