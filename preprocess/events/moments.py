"""Times of events as microseconds since 1970 in UTC.

=============================================  =========================================================
value                                          time
=============================================  =========================================================
whole number, 19000101 to 29991231             the beginning of the day that its digits say
number below 10^11, 10^14, 10^17; from there   seconds, milliseconds, microseconds; nanoseconds since 1970
timestamp of Parquet with a zone               that moment
timestamp of Parquet without, ISO 8601 text    what a clock in ``source.time_zone`` showed
ISO 8601 text with a zone (``Z``, ``+02:00``)  that moment
date of Parquet, ISO 8601 text of a date       the beginning of the day
=============================================  =========================================================

Where clocks are put back, the earlier of the two moments of a time without a zone is taken. What is a time, and on
which day it is, is the same as in ``read.flat.local_time``, which cuts the same log by days: both follow
``schema.time_text``.
"""

import datetime
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, Bools
from esmm_dist.schema.feature_id import value_text
from esmm_dist.schema.sources import FlatSource
from esmm_dist.schema.time_text import BELOW, CLOCK_TIME, DAY_S, FIRST_WHOLE_DAY, LAST_WHOLE_DAY, NUMBER, PER_SECOND
from esmm_dist.schema.time_zone import zone_of
from preprocess.read.flat.column_types import plain
from preprocess.read.flat.columns import distinct_texts
from preprocess.read.flat.compute import pc
from preprocess.read.flat.value_texts import written_texts

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = DAY_S * _SECOND
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NAIVE_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_NUMBER = re.compile(NUMBER)
_CLOCK_TIME = re.compile(CLOCK_TIME)
_MOST_DIGITS = 18


def moments(column: pa.Array, source: FlatSource, time_zone: str) -> tuple[I64, Bools]:
    """Return the times of a column, int64 [N], and which of its values are times, bool [N].

    Args:
        column: values of any type that ``column_types.is_value`` knows
        source: says the decimal mark
        time_zone: zone of times that carry none
    """
    column, zone = plain(column), zone_of(time_zone)
    kind, present = column.type, np.asarray(column.is_valid())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        times = np.asarray(column.cast(_exact(kind), safe=False).cast(pa.int64()).fill_null(0))
        has_zone = pa.types.is_timestamp(kind) and kind.tz is not None
        return (times if has_zone else _from_clock(times, zone)), present
    if pa.types.is_integer(kind):
        return _kept(*_of_whole(np.asarray(column.cast(pa.int64(), safe=False).fill_null(-1)), zone), present)
    texts = written_texts(column)[0]
    digits = pc.match_substring_regex(texts, f"^[0-9]{{1,{_MOST_DIGITS}}}$")
    if pc.all(digits, skip_nulls=False).as_py():
        return _of_whole(np.asarray(texts.cast(pa.int64())), zone)
    try:  # ISO 8601 texts without a zone, all of them
        if not pc.all(pc.match_substring_regex(texts, f"^{CLOCK_TIME}$")).as_py():
            raise pa.ArrowInvalid("Arrow reads further forms, which are no times elsewhere")
        clock = np.asarray(texts.cast(pa.timestamp("us")).cast(pa.int64()).fill_null(0))
    except pa.ArrowInvalid:
        codes, distinct = distinct_texts(texts, source)
        found = [*(_of_text(text, zone) for text in distinct), None]  # the last is code -1, a null
        times = np.array([0 if each is None else each for each in found], np.int64)[codes]
        return times, np.array([each is not None for each in found], np.bool_)[codes]
    return _kept(_from_clock(clock, zone), np.ones(len(clock), np.bool_), present)


def moment_shown(time_us: int, time_zone: str) -> str:
    """Return a time as a text in a zone."""
    return (_EPOCH + datetime.timedelta(microseconds=time_us)).astimezone(zone_of(time_zone)).isoformat()


def moment_of(text: str, time_zone: str) -> int | None:
    """Return the time that a text says, or None."""
    return _of_text(text, zone_of(time_zone))


def _exact(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", kind.tz if pa.types.is_timestamp(kind) else None)


def _kept(times: I64, is_time: Bools, present: Bools) -> tuple[I64, Bools]:
    return times, is_time & present


def _of_whole(numbers: I64, zone: datetime.tzinfo) -> tuple[I64, Bools]:
    """Return the times of whole numbers, int64 [N], and which are times."""
    is_time = (numbers >= 0) & (numbers < BELOW[-1])
    per_second = np.array(PER_SECOND)[np.searchsorted(np.array(BELOW[:-1]), numbers, side="right")]
    # Either factor is 1; where the number is too large to be a time, it is not multiplied
    times = np.where(is_time, numbers, 0) * np.maximum(_SECOND // per_second, 1) // np.maximum(per_second // _SECOND, 1)
    at = np.flatnonzero((numbers >= FIRST_WHOLE_DAY) & (numbers <= LAST_WHOLE_DAY))
    if len(at):
        unique, place = np.unique(numbers[at], return_inverse=True)
        days = [_whole_day(number) for number in unique.tolist()]
        clock = np.array([0 if day is None else day for day in days], np.int64)
        times[at] = _from_clock(clock, zone)[place]
        is_time[at] = np.array([day is not None for day in days], np.bool_)[place]
    return times, is_time


def _whole_day(number: int) -> int | None:
    try:
        return (datetime.date(number // 10_000, number // 100 % 100, number % 100) - _NAIVE_EPOCH.date()).days * _DAY
    except ValueError:
        return None


def _of_text(text: str, zone: datetime.tzinfo) -> int | None:
    known = value_text(text.strip())
    if known is None:
        return None
    if _NUMBER.fullmatch(known) is not None:
        whole, _, fraction = known.partition(".")
        times, is_time = _of_whole(np.array([int(whole)]), zone)
        return int(times[0]) + _fraction_us(int(whole), fraction) if is_time[0] else None
    if _CLOCK_TIME.fullmatch(known) is None:
        return None
    try:
        time = datetime.datetime.fromisoformat(known)
        if time.tzinfo is not None:
            time.astimezone(zone)  # must be a day of the zone's calendar
            return (time - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
    return int(_from_clock(np.array([(time - _NAIVE_EPOCH) // _MICROSECOND]), zone)[0])


def _fraction_us(whole: int, fraction: str) -> int:
    """Return the microseconds that the decimals of a number say beyond its whole part; a whole day has none."""
    if not fraction or FIRST_WHOLE_DAY <= whole <= LAST_WHOLE_DAY:
        return 0
    per_second = next(unit for below, unit in zip(BELOW, PER_SECOND, strict=True) if whole < below)
    return round(float(f"0.{fraction}") * _SECOND / per_second)


def _from_clock(clock: I64, zone: datetime.tzinfo) -> I64:
    """Return the moments at which a clock of a zone shows these times, int64 [N]."""
    if zone is datetime.UTC:
        return clock
    minutes, place = np.unique(clock // _MINUTE, return_inverse=True)
    offsets = np.array(_offsets(minutes.tolist(), zone), np.int64)
    return clock - offsets[place]


def _offsets(minutes: Sequence[int], zone: datetime.tzinfo) -> list[int]:
    """Return the microseconds by which a zone is before UTC when its clock shows each minute since 1970."""
    found = []
    for minute in minutes:
        try:
            offset = (_NAIVE_EPOCH + datetime.timedelta(minutes=minute)).replace(tzinfo=zone).utcoffset()
        except OverflowError:  # beyond the years 1 to 9999
            offset = None
        found.append(0 if offset is None else offset // _MICROSECOND)
    return found
