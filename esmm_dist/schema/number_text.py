"""How texts write numbers."""

import math
import re

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?", re.ASCII)


def number_of(text: str) -> float | None:
    """Return the number that a text says, infinite where it is too large for float64; None if it says none.

    Digits with a decimal point, and an exponent where there is one: no spaces, underscores, ``inf`` or ``nan``.
    """
    return float(text) if _NUMBER.fullmatch(text) else None


def finite_number_of(text: str) -> float | None:
    """Return the finite number that a text says; None if it says none."""
    number = number_of(text)
    return number if number is not None and math.isfinite(number) else None


def with_point(text: str) -> str:
    """Return a number with a decimal comma as one with a point, and any other text as it is."""
    return text.replace(",", ".") if _WITH_COMMA.fullmatch(text) else text
