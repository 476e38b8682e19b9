"""Values as words of a sentence, and numbers as a reader takes them in."""

from collections.abc import Iterable
from typing import Any


def in_words(values: Iterable[Any], word: str = "and") -> str:
    """Return values as an enumeration: "a", "a and b", "a, b and c"; "empty" if there are none."""
    texts = [str(value) for value in values]
    return f"{', '.join(texts[:-1])} {word} {texts[-1]}" if texts[1:] else texts[0] if texts else "empty"


def short_number(value: float | None) -> str:
    """Return a count with three digits and k, M, G: 1234567 -> "1.23 M"."""
    if value is None:
        return "?"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{_three_digits(value / size)} {letter}"
    return _three_digits(value)


def short_bytes(count: float) -> str:
    """Return a size in powers of 1000: 1234567 -> "1.23 MB"."""
    return amount_text(count, "B")


def amount_text(value: float, unit: str) -> str:
    """Return an amount with its unit: 1234567 bytes ("B") -> "1.23 MB", steps -> "1.23 M steps", 1 -> "1 step"."""
    text = short_number(value)
    if value == 1:
        unit = unit.removesuffix("s")
    return f"{text}{unit}" if unit == "B" and text[-1].isalpha() else f"{text} {unit}"


def _three_digits(value: float) -> str:
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}"
