"""From the values of one field to feature ids, as ``esmm preprocess`` gives them; -1 where there is no value.

Reading is most of what a request costs Python, so that a value's id is looked up in a bounded cache of its field, a
whole column at once.
"""

from collections.abc import Sequence
from typing import Any

import farmhash
import numpy as np

from esmm_dist.arrays import I64, Bools
from esmm_dist.schema.feature_id import ID_MASK, feature_id, missing_id, value_text
from esmm_dist.schema.field import Field
from esmm_dist.schema.local_time import LocalTimes, times_of_numbers, times_of_texts
from esmm_dist.schema.number_text import with_point
from esmm_dist.schema.sources import FlatSource
from esmm_dist.serving.requests.asked_columns import AskedColumn, numbers_in
from esmm_dist.serving.requests.bad_request import BadRequestError, shown

NO_ID = -1

_MOST_CACHED = 65_536
"""Values of a field, 10 MB or less; a full cache is dropped whole, which costs nothing as long as it is not full."""
_LONGEST_CACHED = 100
"""Characters of a text that is worth its memory"""
_MOST_ID = 2**63 - 1
_CACHED = {str, int, type(None)}
_PARTS = 24  # more hours than weekdays


class CachedIds(dict[Any, int]):
    """The id of each value seen so far. Thread-safe: a value that is dropped meanwhile is only made again.

    Keys are texts, whole numbers and None; never True or 1.5, which would be found under the numbers equal to them.
    """

    def __init__(self, space: str, *, decimal_comma: bool) -> None:
        """Begin without any.

        Args:
            space: name of the field that the values' ids belong to
            decimal_comma: whether numbers in texts may have a decimal comma
        """
        super().__init__()
        self._space, self._decimal_comma = space, decimal_comma

    def __missing__(self, value: str | int | None) -> int:
        text = with_point(value) if self._decimal_comma and type(value) is str else value
        found = feature_id(self._space, text)
        id_ = NO_ID if found is None else found
        if type(value) is not str or len(value) <= _LONGEST_CACHED:
            if len(self) >= _MOST_CACHED:
                self.clear()
            self[value] = id_
        return id_


class CategoryIds:
    """Reads the values of one field of a flat log."""

    def __init__(self, field: Field, source: FlatSource) -> None:
        """Prepare to read.

        Args:
            field: a field of categories
            source: source of the log
        """
        self._name = field.name
        self._cache = CachedIds(field.id_space, decimal_comma=source.decimal == ",")

    def read(self, column: AskedColumn) -> I64:
        """Return the id of each value, int64 [N].

        Raises:
            BadRequestError: a value has no id: an object, a list, a number whose digits are lost
        """
        values = column.values
        if not set(map(type, values)) <= _CACHED:
            values = [value if type(value) in _CACHED else self._as_text(column, at) for at, value in enumerate(values)]
        try:
            return np.fromiter(map(self._cache.__getitem__, values), np.int64, len(values))
        except UnicodeEncodeError:
            at = next(at for at, value in enumerate(values) if type(value) is str and not _is_unicode(value))
            raise BadRequestError(f"{column.place(at)} is {shown(values[at])}, which is not Unicode.") from None

    def _as_text(self, column: AskedColumn, at: int) -> str | None:
        value = column.values[at]
        if type(value) is bool:
            return value_text(value)
        if type(value) is not float:
            raise BadRequestError(
                f"{column.place(at)} is {shown(value)}, but '{self._name}' has one value here. Write a text, a number, "
                "true or false, or null where there is none."
            )
        if abs(value) >= 2**63 and value not in (np.inf, -np.inf):
            raise BadRequestError(
                f"{column.place(at)} is {shown(value)}: a number that large loses digits in JSON. Write it as a text, "
                "with all of them."
            )
        return value_text(value)


class WholeIds:
    """Reads the values of one field of an Ali-CCP form log, which are feature ids."""

    def __init__(self, field: Field) -> None:
        """Prepare to read.

        Args:
            field: the field
        """
        self._name = f"'{field.name}'" if field.alias == field.name else f"'{field.name}' ('{field.alias}')"

    def read(self, column: AskedColumn) -> I64:
        """Return the ids, int64 [N].

        Raises:
            BadRequestError: a value is no whole number from 0 to 2^63 - 1
        """
        values = column.values
        try:
            kinds = set(map(type, values))
            if kinds <= {int, type(None)}:
                whole = values if kinds == {int} else [NO_ID if each is None else each for each in values]
                ids = np.array(whole, np.int64)
                if not len(ids) or ids.min() >= NO_ID:  # which is a missing value in columns of whole numbers
                    return ids
        except OverflowError:
            pass
        return np.array([self._id(column, at) for at in range(len(values))], np.int64)

    def _id(self, column: AskedColumn, at: int) -> int:
        value = column.values[at]
        if value is None or value == "" or (type(value) is int and value == NO_ID):
            return NO_ID
        if type(value) is str and len(value) <= 40 and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is not int or not 0 <= value <= _MOST_ID:
            raise BadRequestError(
                f"{column.place(at)} is {shown(column.values[at])}, but the values of {self._name} are feature ids. "
                "Write a whole number from 0 to 2^63 - 1, or null where there is none."
            )
        return value


class BucketIds:
    """Reads the numbers of one field."""

    def __init__(self, field: Field, source: FlatSource) -> None:
        """Prepare to read.

        Args:
            field: a numeric field, with its edges
            source: source of the log
        """
        assert field.numeric is not None  # the caller asked
        self._name, self._numeric = field.name, field.numeric
        self._ids = field.numeric.ids(field.name)
        self._decimal_comma = source.decimal == ","

    def read(self, column: AskedColumn) -> I64:
        """Return the id of each number's bucket, int64 [N].

        Raises:
            BadRequestError: a value is no finite number
        """
        numbers = numbers_in(column, self._name, decimal_comma=self._decimal_comma)
        present = ~np.isnan(numbers)
        return np.where(present, self._ids[self._numeric.of(numbers) * present], NO_ID)


class TimeIds:
    """Reads the times of a log, of which fields are hours and weekdays."""

    def __init__(self, fields: Sequence[Field], source: FlatSource) -> None:
        """Prepare to read.

        Args:
            fields: the fields of the time
            source: source of the log
        """
        self._zone, self._decimal_comma = source.time_zone, source.decimal == ","
        self._parts = {field.name: field.of_time for field in fields}
        self._ids = {
            field.name: np.array([feature_id(field.name, part) for part in range(_PARTS)], np.int64) for field in fields
        }

    def read(self, column: AskedColumn) -> dict[str, I64]:
        """Return the ids of each field, int64 [N].

        Raises:
            BadRequestError: a value is no time, or one without an hour where a field has the hour
        """
        times = self._times(column)
        found = {}
        for name, part in self._parts.items():
            has_part = times.is_time if part == "weekday" else times.has_hour
            self._check(column, has_part | times.is_missing, with_hour=part == "hour")
            parts = times.weekday if part == "weekday" else times.hour
            found[name] = np.where(has_part, self._ids[name][parts * has_part], NO_ID)
        return found

    def _times(self, column: AskedColumn) -> LocalTimes:
        values, kinds = column.values, set(map(type, column.values))
        if kinds == {int} and len(values) > 1:  # of one the text is as quick
            return times_of_numbers(np.array([v if 0 <= v <= _MOST_ID else -1 for v in values], np.int64), self._zone)
        if kinds != {str}:
            values = [value if type(value) is str else self._text(value) for value in values]
        place = {text: number for number, text in enumerate(dict.fromkeys(values))}
        codes = np.fromiter(map(place.__getitem__, values), np.int64, len(values))
        times = times_of_texts(map(with_point, place) if self._decimal_comma else place, self._zone)
        return LocalTimes(
            day=times.day[codes],
            hour=times.hour[codes],
            is_time=times.is_time[codes],
            is_missing=times.is_missing[codes],
        )

    def _text(self, value: Any) -> str:
        if type(value) in (int, float):
            return value_text(value) or ""
        return "" if value is None else "no time"

    def _check(self, column: AskedColumn, good: Bools, *, with_hour: bool) -> None:
        if good.all():
            return
        at = int(np.flatnonzero(~good)[0])
        hour = " with an hour" if with_hour else ""
        raise BadRequestError(
            f"{column.place(at)} is {shown(column.values[at])}, which is no time{hour}. Write ISO 8601 such as "
            '"2024-01-31T18:30:00+01:00", or seconds or milliseconds since 1970; null where there is none.'
        )


class CrossIds:
    """Makes the ids of one cross of those of its parts."""

    def __init__(self, field: Field, parts: Sequence[Field]) -> None:
        """Prepare.

        Args:
            field: the cross
            parts: its parts in their order
        """
        self._prefix = field.name.encode() + b"\0"
        self._missing = [missing_id(part.id_space) for part in parts]
        self._needs_all = field.missing == "none"
        self._form = b"%d,%d" if len(parts) == 2 else b",".join([b"%d"] * len(parts))

    def of(self, parts: Sequence[I64]) -> I64:
        """Return the id of each row, int64 [N], from those of its parts, which are -1 where there is no value."""
        form, fingerprint = self._prefix.replace(b"%", b"%%") + self._form, farmhash.fingerprint64
        filled = [np.where(ids == NO_ID, none, ids).tolist() for ids, none in zip(parts, self._missing, strict=True)]
        ids = np.array([fingerprint(form % row) & ID_MASK for row in zip(*filled, strict=True)], np.int64)
        if self._needs_all:
            ids[np.logical_or.reduce([part == NO_ID for part in parts])] = NO_ID
        return ids


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
