"""Feature ids of a flat log, whose values are texts or numbers without a common id space.

A value has one id, however a file carries it: 111 in a column of any integer or float width, as decimal, as the text
"111", or as "111.0", which is what pandas writes for it when the column has an empty cell. So each value has one text
(``value_text``), of which the id is a hash. The rule looks at one value only, never at its column, so that chunks,
files and days agree, and a server that gets single values too:

=====================================  ===================================  ======================================
value                                  text                                 so these are one
=====================================  ===================================  ======================================
null, NaN, empty text, "NaN", "nan"    none: the field has no id
whole number (int, float, decimal)     its digits                           111, 111.0, float32(111), decimal 111.00
text of a whole number with a point    its digits                           "111", "111.0", "111.00"
float that is not whole                its shortest digits, no exponent     0.1, float32(0.1), "0.1"
text of a float with exponent, as      its digits: of the whole number, or  "1.2345678E7" and 12345678; "1e+22" and
Python, pandas, R, Java, Spark write   the same ones without exponent       10**22; "1e-05" and "0.00001"
true, false; "True", "False"           "true", "false"                      True, "True", "true"
date and time                          "2024-01-31", "09:30:00.25", or      those of every unit; with a zone they
                                       both with a space between            become UTC and end in +00:00
UUID; bytes                            with hyphens; UTF-8, else hex
any other text                         itself                               "007", "1.10", "5e3", " 7" stay as they are
=====================================  ===================================  ======================================

A code such as "007" or a version "1.10" is not a number to those who wrote it, and stays apart from "7" and "1.1". A
version "2.0" is "2": pandas writes the number 2 the same way.

A float cannot hold all whole numbers from 2^53 (float32: 2^24) on: ids that were made floats before they got here may
have become one. ``may_have_lost_digits`` tells which those are.
"""

import datetime
import math
import re
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import farmhash
import numpy as np

ID_HASH = "farmhash64"
"""Name of the hash of feature ids: schemas of flat logs hold it, so that ids of another one are refused by name."""

ID_BITS = 63
ID_MASK: int = 2**ID_BITS - 1

_WHOLE_WITH_POINT = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_EXPONENT = re.compile(r"-?[0-9](?:(?:\.[0-9]+)?e[+-][0-9]{2,3}|\.[0-9]+E-?[0-9]{1,3})", re.ASCII)
_KNOWN: dict[str, str | None] = {"": None, "NaN": None, "nan": None, "True": "true", "False": "false"}
_TIME = re.compile(
    r"((?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]*?)0*((?:[+-][0-9]{2}:[0-9]{2})?)",
    re.ASCII,
)


def feature_id(field: str, value: object) -> int | None:
    """Return the feature id of one value of one field: ``hashed_id`` of ``field``, a NUL and its text.

    The same everywhere and for ever: training, serving and another day's log agree without a shared dictionary, and a
    TensorFlow graph computes it too (``tf.fingerprint``). Fields do not share ids. Two of n values collide with
    probability n² / 2^64: 1 in 180,000 for 10 million values.

    Args:
        field: name of the field in the schema
        value: One id as the log or the caller holds it: text, number, bool, bytes, UUID, date or time; Python's or
            NumPy's.

    Returns:
        The id; None if the value is missing (null, NaN, empty text).

    Raises:
        TypeError: The value is of no such type.
    """
    text = value_text(value)
    return None if text is None else hashed_id(field.encode() + b"\0" + text.encode())


def missing_id(field: str) -> int:
    """Return the id of "there is no value": that of the empty text, which no value has."""
    return hashed_id(field.encode() + b"\0")


def cross_id(field: str, ids: Sequence[int]) -> int:
    """Return the id of a cross: ``hashed_id`` of ``field``, a NUL and the decimal ids of its parts between commas.

    Args:
        field: name of the cross in the schema
        ids: feature ids of its parts in their order; for a part without a value its ``missing_id``
    """
    return hashed_id(field.encode() + b"\0" + ",".join(map(str, ids)).encode())


def hashed_id(data: bytes) -> int:
    """Return the low 63 bits of FarmHash's Fingerprint64 of bytes, as a number from 0 to 2^63 - 1.

    Source: https://github.com/google/farmhash, whose fingerprints are the same on every machine and in every version.
    """
    number: int = farmhash.fingerprint64(data)
    return number & ID_MASK


def value_text(value: object) -> str | None:
    """Return the one text of a value (the table above), or None if it is missing; a text's text is itself again.

    Raises:
        TypeError: The value is neither text, number, bool, bytes, UUID, date nor time.
    """
    match value:
        case None:
            return None
        case str():
            return _text_of_text(value)
        case bool() | np.bool_():
            return "true" if value else "false"
        case int() | np.integer():
            return str(int(value))
        case float() | np.floating():
            return _text_of_float(value)
        case Decimal():
            return _text_of_decimal(value)
        case bytes():
            return _text_of_bytes(value)
        case datetime.datetime() if value.tzinfo is not None:
            return _text_of_text(str(value.astimezone(datetime.UTC)))
        case uuid.UUID() | datetime.date() | datetime.time():
            return _text_of_text(str(value))
    raise TypeError(f"{value!r} is a {type(value).__name__}, which has no feature id: give a text or a number")


def may_have_lost_digits(value: object) -> bool:
    """Return whether a value is a float, or the text of one, so large that it may stand for several whole numbers."""
    if isinstance(value, str):
        if _WHOLE_WITH_POINT.fullmatch(value) is None and _EXPONENT.fullmatch(value) is None:
            return False
        value = float(value)
    if not isinstance(value, float | np.floating):
        return False
    digits = np.finfo(type(value)).nmant + 1
    return math.isfinite(value) and abs(float(value)) >= 2**digits


def _text_of_text(text: str) -> str | None:
    if text in _KNOWN:
        return _KNOWN[text]
    if text[-1] not in "0123456789":
        return text
    whole = _WHOLE_WITH_POINT.fullmatch(text)
    if whole is not None:
        return "0" if whole[1] == "-0" else whole[1]
    time = _TIME.fullmatch(text)
    if time is not None:  # each unit has another number of zeros
        return f"{time[1]}.{time[2]}{time[3]}" if time[2] else f"{time[1]}{time[3]}"
    if _EXPONENT.fullmatch(text) is not None and math.isfinite(float(text)):
        return _digits_of(float(text), text)
    return text


def _text_of_float(value: float | np.floating[Any]) -> str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return _digits_of(value, np.format_float_scientific(value, trim="-"))


def _digits_of(value: float | np.floating[Any], text: str) -> str:
    """Return a finite number without exponent: a whole one below 2^63 exactly, else the digits of its text."""
    number = float(value)
    if number == math.floor(number) and 1 <= abs(number) < 2**63:
        return str(int(number))
    digits = format(Decimal(text), "f")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits == "-0" else digits


def _text_of_decimal(value: Decimal) -> str | None:
    if value.is_nan():
        return None
    if value.is_infinite():
        return "inf" if value > 0 else "-inf"
    # A fraction keeps the zeros of its scale, as the same column does when it is written as text.
    whole = value.to_integral_value()
    return format(abs(whole) if whole == 0 else whole, "f") if value == whole else format(value, "f")


def _text_of_bytes(value: bytes) -> str | None:
    try:
        return _text_of_text(value.decode())
    except UnicodeDecodeError:
        return value.hex()
