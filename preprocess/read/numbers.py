"""Numbers in the texts of a log: ids and weights."""

import re

import numpy as np

from preprocess.read.rejects import Reason

MAX_ID = 2**63 - 1

_DIGITS = re.compile(rb"[0-9]+")
_DECIMAL = re.compile(rb"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(rb"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def whole_number(text: bytes) -> int | None:
    """Read a whole number from 0 to ``MAX_ID``; None if the text is none."""
    # Longer texts than 40 digits are refused before int(): its time grows with the square of the length.
    if len(text) > 40 or not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_ID else None


def parse_value(text: bytes) -> float | Reason:
    """Read a weight: a decimal number that is 0 or more and finite as float32."""
    if _NOT_FINITE.fullmatch(text):
        return Reason.NOT_FINITE_VALUE
    if not _DECIMAL.fullmatch(text):
        return Reason.NON_NUMERIC_VALUE
    value = float(text)
    if value < 0:
        return Reason.NEGATIVE_VALUE
    return value if value <= np.finfo(np.float32).max else Reason.NOT_FINITE_VALUE
