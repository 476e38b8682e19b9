"""The hour and the weekday of times in TensorFlow: what ``esmm preprocess`` makes of ``source.time``, for a graph.

Texts are read as ``esmm_dist.schema.time_text`` says. A text that preprocess would reject is an error of the request.
"""

from typing import Literal

import tensorflow as tf

from esmm_dist.inference.exported_ids import category_ids, value_texts
from esmm_dist.schema import time_text
from esmm_dist.schema.time_zone import zone_offsets

_PARTS = ("year", "month", "day", "hour", "minute", "second")


class ExportedTimes:
    """The times of one request."""

    def __init__(self, name: str, texts: tf.Tensor, zone: str) -> None:
        """Read times.

        Args:
            name: name of the input, for errors
            texts: string [N]; empty where there is no time
            zone: name of the log's time zone
        """
        self._name = name
        texts = value_texts(tf.strings.strip(texts))
        self._present = texts != ""
        is_number = tf.strings.regex_full_match(texts, time_text.NUMBER)
        is_clock = tf.strings.regex_full_match(texts, time_text.CLOCK_TIME)
        numbers = tf.strings.regex_replace(tf.where(is_number, texts, "0"), r"\..*$", "")
        of_number = _OfNumbers(tf.strings.to_number(numbers, tf.int64), zone)
        of_clock = _OfClockTimes(tf.where(is_clock, texts, "1970-01-01"), zone)
        self._is_time = (is_number & of_number.is_time) | (is_clock & of_clock.is_time)
        self._has_hour = tf.where(is_number, ~of_number.is_day, is_clock & ~of_clock.is_day)
        self._seconds = tf.where(is_number, of_number.seconds, of_clock.seconds)

    def ids(self, field: str, part: Literal["hour", "weekday"]) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the ids of the hours or weekdays, int64 [N], and which times are not missing, bool [N]."""
        readable = self._is_time & self._has_hour if part == "hour" else self._is_time
        message = f"{self._name} holds a text that is no time" + (" with an hour." if part == "hour" else ".")
        with tf.control_dependencies(
            [tf.debugging.Assert(tf.reduce_all(readable | ~self._present), [message])],
        ):
            seconds = tf.identity(self._seconds)
        day = tf.math.floordiv(seconds, time_text.DAY_S)
        hour = tf.math.floordiv(seconds - day * time_text.DAY_S, 3600)
        number = hour if part == "hour" else tf.math.floormod(day + 3, 7) + 1
        return category_ids(field, tf.where(self._present, tf.as_string(number), "")), self._present


class _OfNumbers:
    """What numbers are: seconds that a clock of the zone shows, since it showed 1970-01-01 00:00."""

    def __init__(self, numbers: tf.Tensor, zone: str) -> None:
        looks_whole = (numbers >= time_text.FIRST_WHOLE_DAY) & (numbers <= time_text.LAST_WHOLE_DAY)
        digits = tf.where(looks_whole, numbers, 1970_01_01)
        year, month, day = digits // 10_000, digits // 100 % 100, digits % 100
        self.is_day = looks_whole
        self.is_time = _is_date(year, month, day) & (numbers < time_text.BELOW[-1])
        per_second = tf.gather(
            tf.constant(time_text.PER_SECOND, tf.int64),
            tf.searchsorted(tf.constant(time_text.BELOW[:-1], tf.int64), numbers, side="right"),
        )
        moments = numbers // per_second
        self.seconds = tf.where(
            looks_whole, _days(year, month, day) * time_text.DAY_S, moments + _before(moments, zone)
        )


class _OfClockTimes:
    """What ISO 8601 texts are, in the same seconds."""

    def __init__(self, texts: tf.Tensor, zone: str) -> None:
        year, month, day, hour, minute, second = (_part(texts, number) for number in range(1, 1 + len(_PARTS)))
        offset = tf.strings.regex_replace(texts, f"^{time_text.CLOCK_TIME}$", r"\7")
        has_zone = offset != ""
        signed = tf.strings.regex_replace(tf.strings.regex_replace(offset, "Z", "+00:00"), ":", "")
        signed = tf.strings.join([tf.where(has_zone, signed, "+0000"), "00"])  # +02, +0200: with zeros enough
        of_hours, of_minutes = (tf.strings.to_number(tf.strings.substr(signed, at, 2), tf.int64) for at in (1, 3))
        east = (of_hours * 60 + of_minutes) * 60
        east = tf.where(tf.strings.substr(signed, 0, 1) == "-", -east, east)
        self.is_day = tf.strings.length(texts) == len("2024-01-31")
        self.is_time = _is_date(year, month, day) & (hour < 24) & (minute < 60) & (second < 60)
        self.is_time &= (of_hours < 24) & (of_minutes < 60)
        clock = _days(year, month, day) * time_text.DAY_S + hour * 3600 + minute * 60 + second
        moments = clock - east
        self.seconds = tf.where(has_zone, moments + _before(moments, zone), clock)


def _part(texts: tf.Tensor, number: int) -> tf.Tensor:
    digits = tf.strings.regex_replace(texts, f"^{time_text.CLOCK_TIME}$", rf"0\{number}")
    return tf.strings.to_number(digits, tf.int64)


def _before(moments: tf.Tensor, zone: str) -> tf.Tensor:
    """Return the seconds by which a zone is before UTC at moments, int64 [N]."""
    begins, offsets = (tf.constant(each, tf.int64) for each in zone_offsets(zone))
    return tf.gather(offsets, tf.searchsorted(begins, moments, side="right") - 1)


def _is_date(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    lengths = tf.constant([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], tf.int64)
    length = tf.gather(lengths, tf.clip_by_value(month - 1, 0, 11))
    length += tf.cast(leap & (month == 2), tf.int64)
    return (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)


def _days(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    """Return the days since 1970-01-01, int64 [N]: ``days_from_civil`` of https://howardhinnant.github.io/date_algorithms.html.

    Years begin in March there, so that a leap day is the last of its year.
    """
    year = tf.where(month <= 2, year - 1, year)
    era = tf.math.floordiv(year, 400)
    of_era = year - era * 400
    of_year = (153 * tf.where(month > 2, month - 3, month + 9) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
