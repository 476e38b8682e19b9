"""The calendar day of each row of a flat log, for the counts of each day (``manifest.report``)."""

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I32
from esmm_dist.schema.sources import FlatSource
from preprocess.read.days import FIRST_DAY, LAST_DAY, NO_DAY
from preprocess.read.flat.columns import read_column
from preprocess.read.flat.local_time import read_times

_FIRST_OF_SPLIT = 7305  # 1990-01-01


def row_days(table: pa.Table, source: FlatSource) -> I32 | None:
    """Return the day of each row, as a number since 1970-01-01 in the log's zone, or ``NO_DAY``: int32 [rows].

    The column is ``source.time``, or the one that ``source.split`` cuts by time. The latter may hold any numbers in the
    order of time, such as row numbers: what would be a day before 1990 is none.

    Args:
        table: rows of the log
        source: its source

    Returns:
        The days; None if the log has no time.
    """
    column = day_column(source)
    if column is None:
        return None
    times = read_times(read_column(table, column), source)
    first = FIRST_DAY if source.time is not None else _FIRST_OF_SPLIT
    is_day = times.is_time & (times.day >= first) & (times.day <= LAST_DAY)
    return np.where(is_day, times.day, NO_DAY).astype(np.int32)


def day_column(source: FlatSource) -> str | None:
    """Return the column of the time of a log, or None if it has none."""
    if source.time is not None:
        return source.time
    return source.split.column if source.split is not None and source.split.is_by_time else None
