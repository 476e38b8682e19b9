"""Calendar days as numbers: 0 is 1970-01-01."""

import datetime

import numpy as np

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31."""
NO_DAY = -(2**31)
"""Stands for the day of a row whose time is missing or cannot be read."""

_EPOCH = datetime.date(1970, 1, 1).toordinal()


def day_of(date: datetime.date) -> int:
    """Return the number of a day."""
    return date.toordinal() - _EPOCH


def day_shown(day: int) -> str:
    """Return a day as a date, such as ``2024-01-31``."""
    try:
        return datetime.date.fromordinal(day + _EPOCH).isoformat()
    except (OverflowError, ValueError):  # beyond the years 1 to 9999
        return str(np.datetime64(day, "D"))
