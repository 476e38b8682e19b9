"""The calendar day and the hour of the times of a flat log: of columns of any type, as ``schema.local_time`` says."""

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, Bools
from esmm_dist.schema.local_time import (
    NO_HOUR,
    LocalTimes,
    local_seconds,
    times_of_clock,
    times_of_numbers,
    times_of_texts,
)
from esmm_dist.schema.sources import FlatSource
from esmm_dist.schema.time_text import DAY_S
from preprocess.read.flat.column_types import plain
from preprocess.read.flat.columns import distinct_texts
from preprocess.read.flat.compute import pc
from preprocess.read.flat.value_texts import written_texts

_NUMBERS = r"^[0-9]{1,18}(?:\.[0-9]*)?$"
_FRACTION = r"\.[0-9]*$"
_HOUR = r"(?:19[89][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}[T ][0-9]{2}"
_SECONDS = ":[0-5][0-9](?:[.,][0-9]+)?"
_BEYOND_DECIDING = (
    rf"^(?:({_HOUR}):[0-5][0-9](?:{_SECONDS})?|({_HOUR}:[0-9]{{2}}){_SECONDS}(Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?))$"
)
"""A time with minutes and seconds that decide neither day nor hour: from 1980 on, zones are whole minutes from UTC."""
_MOST_DIGITS = 18
_UNIT = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


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
        return times_of_clock(seconds if kind.tz is None else local_seconds(seconds, zone), present, ~present)
    if pa.types.is_date(kind):
        days = np.asarray(column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64()).fill_null(0))
        days = days.astype(np.int64) // (1 if pa.types.is_date32(kind) else DAY_S * 1000)
        return LocalTimes(day=days, hour=np.full(len(days), NO_HOUR), is_time=present, is_missing=~present)
    if pa.types.is_integer(kind):
        numbers = np.asarray(column.cast(pa.int64(), safe=False).fill_null(-1))  # of uint64 too large: negative
        return _missing_where(times_of_numbers(numbers, zone), ~present)
    return _of_texts(written_texts(column)[0], source)


def _of_texts(texts: pa.Array, source: FlatSource) -> LocalTimes:
    """Return the times of texts (string [N]), as ``times_of_texts`` reads each of them."""
    if _are_whole(texts):
        return times_of_numbers(np.asarray(texts.cast(pa.int64())), source.time_zone)
    is_number = pc.fill_null(pc.match_substring_regex(texts, _NUMBERS), False)
    none = pa.scalar(None, texts.type)
    # Times of one hour are one text without what follows, so that few are left to be read one by one
    others = pc.replace_substring_regex(pc.if_else(is_number, none, texts), _BEYOND_DECIDING, r"\1\2\3")
    codes, distinct = distinct_texts(others, source)
    times = _taken(times_of_texts(distinct, source.time_zone), codes)
    if not pc.any(is_number).as_py():
        return times
    whole = pc.replace_substring_regex(pc.if_else(is_number, texts, none), _FRACTION, "")
    numbers = times_of_numbers(np.asarray(whole.cast(pa.int64()).fill_null(0)), source.time_zone)
    chosen = np.asarray(is_number)
    return LocalTimes(
        day=np.where(chosen, numbers.day, times.day),
        hour=np.where(chosen, numbers.hour, times.hour),
        is_time=np.where(chosen, numbers.is_time, times.is_time),
        is_missing=~chosen & times.is_missing,
    )


def _are_whole(texts: pa.Array) -> bool:
    """Return whether all texts are digits of a number that 64 bits hold."""
    if not pc.all(pc.ascii_is_decimal(texts), skip_nulls=False).as_py():
        return False
    longest = pc.max(pc.binary_length(texts)).as_py()
    return longest is None or longest <= _MOST_DIGITS


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
