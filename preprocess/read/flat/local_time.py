"""The calendar day and the hour of the times of a flat log, in its time zone.

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
import pyarrow as pa

from esmm_dist.arrays import I64, Bools
from esmm_dist.schema.feature_id import value_text
from esmm_dist.schema.sources import FlatSource
from esmm_dist.schema.time_text import BELOW, CLOCK_TIME, DAY_S, FIRST_WHOLE_DAY, LAST_WHOLE_DAY, NUMBER, PER_SECOND
from esmm_dist.schema.time_zone import zone_of, zone_offsets
from preprocess.read.days import day_of
from preprocess.read.flat.column_types import plain
from preprocess.read.flat.columns import distinct_texts
from preprocess.read.flat.value_texts import written_texts

_NO_HOUR = -1
_NUMBER = re.compile(NUMBER)
_CLOCK_TIME = re.compile(CLOCK_TIME)
_UNIT = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


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
        has_hour: Bools = self.is_time & (self.hour != _NO_HOUR)
        return has_hour

    @property
    def weekday(self) -> I64:
        """1 (Monday) to 7, as ISO 8601 counts: int64 [N]."""
        return (self.day + 3) % 7 + 1  # day 0 was a Thursday


def read_times(column: pa.Array, source: FlatSource) -> LocalTimes:
    """Return the days and hours of a column of times.

    Args:
        column: values of any type that ``column_types.is_value`` knows
        source: source of the log, with its time zone
    """
    column = plain(column)
    kind, zone = column.type, source.time_zone
    present = np.asarray(column.is_valid())
    if pa.types.is_timestamp(kind):
        counts = np.asarray(column.cast(pa.int64()).fill_null(0))
        seconds = counts // _UNIT[kind.unit]
        return _of_clock(seconds if kind.tz is None else _local(seconds, zone), present, ~present)
    if pa.types.is_date(kind):
        days = np.asarray(column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64()).fill_null(0))
        days = days.astype(np.int64) // (1 if pa.types.is_date32(kind) else DAY_S * 1000)
        return LocalTimes(day=days, hour=np.full(len(days), _NO_HOUR), is_time=present, is_missing=~present)
    if pa.types.is_integer(kind):
        numbers = np.asarray(column.cast(pa.int64(), safe=False).fill_null(-1))  # of uint64 too large: negative
        return _missing_where(_of_numbers(numbers, zone), ~present)
    codes, texts = distinct_texts(written_texts(column)[0], source)
    return _taken(_of_texts(texts, zone), codes)


def _of_clock(seconds: I64, is_time: Bools, is_missing: Bools) -> LocalTimes:
    """Return the times that a clock shows, in seconds since it showed 1970-01-01 00:00."""
    day, second = np.divmod(seconds, DAY_S)
    return LocalTimes(day=day, hour=second // 3600, is_time=is_time, is_missing=is_missing)


def _of_numbers(numbers: I64, zone: str) -> LocalTimes:
    looks_whole = (numbers >= FIRST_WHOLE_DAY) & (numbers <= LAST_WHOLE_DAY)
    day, is_day = _whole_days(np.where(looks_whole, numbers, 0))
    unit = np.searchsorted(np.array(BELOW), numbers, side="right").clip(0, len(BELOW) - 1)
    per_second = np.array(PER_SECOND)[unit]
    is_time = np.where(looks_whole, is_day, (numbers >= 0) & (numbers < BELOW[-1]))
    times = _of_clock(_local(np.where(is_time, numbers // per_second, 0), zone), is_time, np.zeros_like(is_time))
    return LocalTimes(
        day=np.where(is_day, day, times.day),
        hour=np.where(is_day, _NO_HOUR, times.hour),
        is_time=is_time,
        is_missing=times.is_missing,
    )


def _whole_days(numbers: I64) -> tuple[I64, Bools]:
    """Return the days that numbers such as 20240131 are, and which of them are days."""
    unique, place = np.unique(numbers, return_inverse=True)
    days = np.zeros(len(unique), np.int64)
    is_day = np.zeros(len(unique), np.bool_)
    for i, number in enumerate(unique.tolist()):
        try:
            days[i] = day_of(datetime.date(number // 10_000, number // 100 % 100, number % 100))
            is_day[i] = True
        except ValueError:
            continue
    return days[place], is_day[place]


def _of_texts(texts: Iterable[str], zone: str) -> LocalTimes:
    """Return the times of texts, and behind them one that is missing."""
    rows = [*(_of_text(text, zone) for text in texts), (0, _NO_HOUR, False, True)]
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
        return 0, _NO_HOUR, False, True
    if _NUMBER.fullmatch(known) is not None:
        found = _of_numbers(np.array([int(known.partition(".")[0])]), zone)
        return int(found.day[0]), int(found.hour[0]), bool(found.is_time[0]), False
    if _CLOCK_TIME.fullmatch(known) is None:
        return 0, _NO_HOUR, False, False
    try:
        if len(known) == len("2024-01-31"):
            return day_of(datetime.date.fromisoformat(known)), _NO_HOUR, True, False
        time = datetime.datetime.fromisoformat(known)
        time = time if time.tzinfo is None else time.astimezone(zone_of(zone))
    except (ValueError, OverflowError):
        return 0, _NO_HOUR, False, False
    return day_of(time.date()), time.hour, True, False


def _taken(times: LocalTimes, index: I64) -> LocalTimes:
    return LocalTimes(
        day=times.day[index],
        hour=times.hour[index],
        is_time=times.is_time[index],
        is_missing=times.is_missing[index],
    )


def _missing_where(times: LocalTimes, missing: Bools) -> LocalTimes:
    return LocalTimes(
        day=times.day, hour=times.hour, is_time=times.is_time & ~missing, is_missing=times.is_missing | missing
    )


def _local(seconds: I64, zone: str) -> I64:
    """Return what a clock of the zone shows, in seconds since it showed 1970-01-01 00:00.

    Args:
        seconds: int64 [N], since 1970 in UTC
        zone: name of the zone
    """
    begins, offsets = map(np.array, zone_offsets(zone))
    local: I64 = seconds + offsets[np.searchsorted(begins, seconds, side="right") - 1]
    return local
