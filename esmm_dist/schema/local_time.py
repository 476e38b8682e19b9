"""The calendar day and the hour of times, in the time zone of a log; preprocess and requests read them alike.

=============================================  =========================================================
value                                          time
=============================================  =========================================================
whole number, 19000101 to 29991231             the whole day that its digits say; it has no hour
number below 10^11, 10^14, 10^17; from there   seconds, milliseconds, microseconds; nanoseconds since 1970
timestamp of Parquet with a zone               that moment
timestamp of Parquet without, ISO 8601 text    what a clock in ``source.time_zone`` showed
ISO 8601 text with a zone (``Z``, ``+02:00``)  that moment
date of Parquet, ISO 8601 text of a date       the whole day; it has no hour
null, NaN, empty text                          missing
=============================================  =========================================================

A day is a number: 0 is 1970-01-01. When clocks are put forward or back, a day has 23 or 25 hours: one hour no time has,
or two of the same number.
"""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import I64, Bools
from esmm_dist.schema.feature_id import value_text
from esmm_dist.schema.time_text import BELOW, CLOCK_TIME, DAY_S, FIRST_WHOLE_DAY, LAST_WHOLE_DAY, NUMBER, PER_SECOND
from esmm_dist.schema.time_zone import zone_of, zone_offsets

NO_HOUR = -1
_NUMBER = re.compile(NUMBER)
_CLOCK_TIME = re.compile(CLOCK_TIME)
_EPOCH = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, kw_only=True)
class LocalTimes:
    """N times; where there is none, the numbers mean nothing."""

    day: I64
    """int64 [N], since 1970-01-01"""
    hour: I64
    """int64 [N], 0 to 23; -1 where the value is a whole day"""
    is_time: Bools
    """bool [N]"""
    is_missing: Bools
    """bool [N]: there is no value; what is neither a time nor missing cannot be read"""

    @property
    def has_hour(self) -> Bools:
        """Which are times of a day: bool [N]."""
        has_hour: Bools = self.is_time & (self.hour != NO_HOUR)
        return has_hour

    @property
    def weekday(self) -> I64:
        """1 (Monday) to 7, as ISO 8601 counts: int64 [N]."""
        return (self.day + 3) % 7 + 1  # day 0 was a Thursday


def times_of_clock(seconds: I64, is_time: Bools, is_missing: Bools) -> LocalTimes:
    """Return the times that a clock shows, in seconds since it showed 1970-01-01 00:00."""
    day, second = np.divmod(seconds, DAY_S)
    return LocalTimes(day=day, hour=second // 3600, is_time=is_time, is_missing=is_missing)


def times_of_numbers(numbers: I64, zone: str) -> LocalTimes:
    """Return the times of whole numbers, int64 [N], none of which is missing."""
    looks_whole = (numbers >= FIRST_WHOLE_DAY) & (numbers <= LAST_WHOLE_DAY)
    day, is_day = _whole_days(np.where(looks_whole, numbers, 0))
    unit = np.searchsorted(np.array(BELOW), numbers, side="right").clip(0, len(BELOW) - 1)
    per_second = np.array(PER_SECOND)[unit]
    is_time = np.where(looks_whole, is_day, (numbers >= 0) & (numbers < BELOW[-1]))
    times = times_of_clock(
        local_seconds(np.where(is_time, numbers // per_second, 0), zone), is_time, np.zeros_like(is_time)
    )
    return LocalTimes(
        day=np.where(is_day, day, times.day),
        hour=np.where(is_day, NO_HOUR, times.hour),
        is_time=is_time,
        is_missing=times.is_missing,
    )


def _whole_days(numbers: I64) -> tuple[I64, Bools]:
    """Return the days that numbers such as 20240131 are, and which of them are days."""
    if not numbers.any():
        return numbers, np.zeros(len(numbers), np.bool_)
    unique, place = np.unique(numbers, return_inverse=True)
    days = np.zeros(len(unique), np.int64)
    is_day = np.zeros(len(unique), np.bool_)
    for i, number in enumerate(unique.tolist()):
        try:
            days[i] = _day_of(datetime.date(number // 10_000, number // 100 % 100, number % 100))
            is_day[i] = True
        except ValueError:
            continue
    return days[place], is_day[place]


def times_of_texts(texts: Iterable[str], zone: str) -> LocalTimes:
    """Return the times of texts, and behind them one that is missing."""
    rows = [*(_of_text(text, zone) for text in texts), (0, NO_HOUR, False, True)]
    day, hour, is_time, is_missing = zip(*rows, strict=True)
    return LocalTimes(
        day=np.array(day, np.int64),
        hour=np.array(hour, np.int64),
        is_time=np.array(is_time, np.bool_),
        is_missing=np.array(is_missing, np.bool_),
    )


def _of_text(text: str, zone: str) -> tuple[int, int, bool, bool]:
    """Return day, hour, whether it is a time, and whether it is missing."""
    known = value_text(text.strip())
    if known is None:
        return 0, NO_HOUR, False, True
    if _NUMBER.fullmatch(known) is not None:
        found = times_of_numbers(np.array([int(known.partition(".")[0])]), zone)
        return int(found.day[0]), int(found.hour[0]), bool(found.is_time[0]), False
    if _CLOCK_TIME.fullmatch(known) is None:
        return 0, NO_HOUR, False, False
    try:
        if len(known) == len("2024-01-31"):
            return _day_of(datetime.date.fromisoformat(known)), NO_HOUR, True, False
        time = datetime.datetime.fromisoformat(known)
        time = time if time.tzinfo is None else time.astimezone(zone_of(zone))
    except (ValueError, OverflowError):
        return 0, NO_HOUR, False, False
    return _day_of(time.date()), time.hour, True, False


def local_seconds(seconds: I64, zone: str) -> I64:
    """Return what a clock of the zone shows, in seconds since it showed 1970-01-01 00:00.

    Args:
        seconds: int64 [N], since 1970 in UTC
        zone: name of the zone
    """
    begins, offsets = map(np.array, zone_offsets(zone))
    local: I64 = seconds + offsets[np.searchsorted(begins, seconds, side="right") - 1]
    return local


def _day_of(date: datetime.date) -> int:
    return date.toordinal() - _EPOCH
