"""The columns of a request, whichever form it has, and the numbers among them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, F64, I64
from esmm_dist.schema.feature_id import value_text
from esmm_dist.schema.number_text import number_of, with_point
from esmm_dist.serving.requests.bad_request import BadRequestError, shown

Place = Callable[[int], str]
"""Where the value of a number stands in a request, such as ``candidates[3].price``."""

_MOST_FLOAT32 = float(np.finfo(np.float32).max)
_WEIGHT = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE | re.ASCII)
_NUMBERS = {int, float}
_NUMBERS_OR_NONE = {int, float, type(None)}


@dataclass(frozen=True, kw_only=True)
class AskedColumn:
    """The N values of a column, as JSON parses them."""

    values: Sequence[Any]
    """N"""
    place: Place
    lengths: I64 | None = None
    """int64 [rows]: values of each row; None: one each"""
    weights: F32 | None = None
    """float32 [N]; None: of a column without weights"""


@dataclass(frozen=True, kw_only=True)
class AskedColumns:
    """What G users with B candidates have; a column that is not there has no value in any row."""

    columns: Mapping[str, AskedColumn]
    """By the names of ``schema.value_inputs``"""
    candidates_of: I64
    """int64 [G]"""
    several_users: bool


def numbers_in(column: AskedColumn, name: str, *, decimal_comma: bool) -> F64:
    """Return the numbers of a numeric field, float64 [N]; NaN where there is none.

    Args:
        column: numbers, or texts that say them
        name: name of the field
        decimal_comma: whether texts may have a decimal comma

    Raises:
        BadRequestError: a value is no finite number
    """
    values = column.values
    if set(map(type, values)) <= _NUMBERS_OR_NONE:
        try:
            numbers = np.array(values, np.float64)  # None is NaN
        except OverflowError:
            numbers = np.array([_number(value, decimal_comma) for value in values], np.float64)
    else:
        numbers = np.array([_number(value, decimal_comma) for value in values], np.float64)
    if np.isinf(numbers).any():
        at = int(np.flatnonzero(np.isinf(numbers))[0])
        raise BadRequestError(
            f"{column.place(at)} is {shown(values[at])}, but '{name}' is a number. Write a finite number, such as 9.9, "
            "or null where there is none."
        )
    return numbers


def _number(value: Any, decimal_comma: bool) -> float:
    """Return a number, NaN for a missing one, and infinity for what is none."""
    kind = type(value)
    if value is None:
        return math.nan
    if kind is str:
        text = (with_point(value) if decimal_comma else value).strip()
        if value_text(text) is None:
            return math.nan
        number = None if _INFINITE.fullmatch(text) else number_of(text)
        return math.inf if number is None else number
    if kind is int or kind is float:
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return math.inf


def weights_in(values: Sequence[Any], place: Place) -> F32:
    """Return weights, float32 [N].

    Raises:
        BadRequestError: one is no number of 0 or more that float32 holds
    """
    if set(map(type, values)) <= _NUMBERS:
        try:
            weights = np.array(values, np.float64)
        except OverflowError:
            weights = np.array([_weight(value) for value in values], np.float64)
    else:
        weights = np.array([_weight(value) for value in values], np.float64)
    good = (weights >= 0) & (weights <= _MOST_FLOAT32)
    if not good.all():
        at = int(np.flatnonzero(~good)[0])
        raise BadRequestError(
            f"{place(at)} is {shown(values[at])}, which is no weight. Write a number of 0 or more that is finite as "
            "float32, such as 1.0."
        )
    return weights.astype(np.float32)


def _weight(value: Any) -> float:
    """Return a weight, and NaN for what is none."""
    if type(value) is str:
        return float(value) if _WEIGHT.fullmatch(value) else math.nan
    try:
        return float(value) if type(value) in _NUMBERS else math.nan
    except OverflowError:
        return math.nan


def whole_numbers(values: Any, name: str, *, least: int | None = 0) -> I64:
    """Return a list of whole numbers, int64 [N].

    Args:
        values: what a request has
        name: name of the list in the request
        least: smallest number that is allowed; None: any of 64 bits

    Raises:
        BadRequestError: it is no list of such numbers
    """
    values = listed(values, name)
    kinds = set(map(type, values))
    if not kinds <= {int}:
        at = next(at for at, value in enumerate(values) if type(value) is not int)
        raise BadRequestError(f"{name}[{at}] is {shown(values[at])}. Write a whole number.")
    try:
        numbers = np.array(values, np.int64)
    except OverflowError:
        at = next(at for at, value in enumerate(values) if not -(2**63) <= value < 2**63)
        raise BadRequestError(
            f"{name}[{at}] is {values[at]}, but int64 ends at 2^63 - 1. Write a smaller one."
        ) from None
    if least is not None and len(numbers) and numbers.min() < least:
        at = int(np.flatnonzero(numbers < least)[0])
        raise BadRequestError(f"{name}[{at}] is {values[at]}. Write a whole number of {least} or more.")
    return numbers


def listed(values: Any, name: str) -> list[Any]:
    """Return a list as it is.

    Raises:
        BadRequestError: it is none
    """
    if type(values) is not list:
        raise BadRequestError(f"{name} is {shown(values)}. Write a list.")
    return values
