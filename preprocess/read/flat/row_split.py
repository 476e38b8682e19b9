"""Decide which rows of a flat log are the test split, where ``source.split`` cuts it out of the train files.

By days, the calendar day of ``source.time`` decides (``day_cut``), also which rows are validation, and which are in no
split. By a column, the hash of its value decides, so that a value is in the same split in every file and in tomorrow's
log. By time, rows are test from one time on, which ``time_split`` finds first.

A time becomes one number that orders as the time does (``time_keys``). The numbers of a log are of one kind: plain
numbers (seconds, milliseconds, 20240131), or points in time, which count the microseconds since 1970 in UTC.
"""

import datetime
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esmm_dist.arrays import I64, U64, Bools
from esmm_dist.schema.feature_id import hashed_id, value_text
from esmm_dist.schema.number_text import number_of
from esmm_dist.schema.sources import SPLITS, FlatSource
from esmm_dist.schema.time_zone import zone_of
from preprocess.read.day_cut import DayCut
from preprocess.read.flat.column_types import plain
from preprocess.read.flat.columns import distinct_texts, read_column
from preprocess.read.flat.local_time import read_times
from preprocess.read.flat.ordered_keys import number_of_key, ordered
from preprocess.read.flat.value_texts import written_texts
from preprocess.read.parse_job import ParseJob

TimeKind = Literal["number", "date"]

_HASH_RANGE = 2**63
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECONDS = {"day": 86_400e6, "s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_MICROSECOND = datetime.timedelta(microseconds=1)


def test_rows(table: pa.Table, source: FlatSource, test_begin: int | None) -> tuple[Bools, Bools]:
    """Return which rows are the test split, and which have no time: bool [rows] each.

    Args:
        table: rows of the log
        source: source whose ``split`` is not None
        test_begin: key of the first time of the test split; None: a column's hash decides
    """
    rule = source.split
    assert rule is not None
    column = read_column(table, rule.column)
    if test_begin is not None:
        keys, is_time, _ = time_keys(column, source)
        return is_time & (keys >= np.uint64(test_begin)), ~is_time
    codes, texts = distinct_texts(written_texts(column)[0], source)
    is_test = np.array([*(_is_test(text, rule.test_share) for text in texts), False], np.bool_)[codes]
    return is_test, np.zeros(table.num_rows, np.bool_)


def train_rows(table: pa.Table, job: ParseJob) -> Bools:
    """Return which rows of the train files are in the train split: bool [rows]."""
    found = np.ones(table.num_rows, np.bool_)
    if job.cut is not None:
        found = rows_by_day(table, job.flat_source, job.cut).place == SPLITS.index("train")
    if job.flat_source.split is None:
        return found
    is_test, bad = test_rows(table, job.flat_source, job.test_begin)
    return found & ~is_test & ~bad


@dataclass(frozen=True, kw_only=True)
class RowsByDay:
    """Where the day of each of N rows of the train files puts it."""

    day: I64
    """int64 [N]"""
    place: npt.NDArray[np.int8]
    """Place of the row's split in ``SPLITS``, int8 [N]; -1: the row has no time, or its day is in no split."""
    is_bad: Bools
    """bool [N]: the row has no time."""


def rows_by_day(table: pa.Table, source: FlatSource, cut: DayCut) -> RowsByDay:
    """Return the day and the split of each row."""
    assert source.time is not None  # nothing is cut by days without
    times = read_times(read_column(table, source.time), source)
    return RowsByDay(
        day=times.day, place=np.where(times.is_time, cut.split_of(times.day), np.int8(-1)), is_bad=~times.is_time
    )


def _is_test(text: str, share: float) -> bool:
    one_text = value_text(text)
    return one_text is not None and hashed_id(b"test\0" + one_text.encode()) < share * _HASH_RANGE


def time_keys(column: pa.Array, source: FlatSource) -> tuple[U64, Bools, set[TimeKind]]:
    """Return for each value a number that orders as the times do, uint64 [N]; which are times; and their kinds."""
    column = plain(column)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        is_time = np.asarray(column.is_valid())
        unit = "ms" if pa.types.is_date64(column.type) else getattr(column.type, "unit", "day")
        counts = column.cast(pa.int32() if unit == "day" else pa.int64()).fill_null(0)
        # As floats: far years have more microseconds than 64 bits count
        values = np.asarray(counts).astype(np.float64) * _MICROSECONDS[unit]
        return ordered(values), is_time, {"date"} if is_time.any() else set()
    codes, texts = distinct_texts(written_texts(column)[0], source)
    zone = zone_of(source.time_zone)
    parsed = [*(_time(text, zone) for text in texts), None]  # the last is code -1, a null
    values = np.array([math.nan if each is None else each[1] for each in parsed])[codes]
    return ordered(values), ~np.isnan(values), {each[0] for each in parsed if each is not None}


def shown_key(key: int, kind: TimeKind) -> str:
    """Return the time of a key in words."""
    value = number_of_key(key)
    if kind == "date":
        try:
            return (_EPOCH + datetime.timedelta(microseconds=value)).isoformat()
        except OverflowError:  # beyond the years 1 to 9999
            return str(np.datetime64(int(value // 1e6), "s"))
    return str(int(value)) if value == math.floor(value) else repr(value)


def _time(text: str, zone: datetime.tzinfo) -> tuple[TimeKind, float] | None:
    number = number_of(text)
    if number is not None:
        return ("number", number) if math.isfinite(number) else None
    try:
        time = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=zone)
    return "date", float((aware - _EPOCH) / _MICROSECOND)
