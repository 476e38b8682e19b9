"""Numbers as a reader sees them, in tables, sentences and on axes. A number that is not there (None, nan) is ``–``."""

import math
from collections.abc import Callable

from matplotlib.axis import Axis
from matplotlib.ticker import AutoLocator, FuncFormatter, MaxNLocator

NONE = "–"

_MOST_DIGITS = 12
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def whole(value: float | None) -> str:
    """Return a count with its thousands apart: ``1,234,567``."""
    return NONE if _is_none(value) else f"{_number(value):,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage: ``38.2%``; a small one with two figures: ``0.034%``; 0 and 1 as they are."""
    if _is_none(share):
        return NONE
    number = 100 * _number(share)
    if number in (0, 100) or math.isinf(number):
        return f"{number:.0f}%"
    if abs(number) < 10**-digits * 10:
        digits = max(digits, 1 - math.floor(math.log10(abs(number))))
    while f"{number:.{digits}f}" == f"{100:.{digits}f}" and digits < _MOST_DIGITS:
        digits += 1  # what is not all is not 100%
    return f"{number:,.{digits}f}%"


def short(value: float | None) -> str:
    """Return a number with at most three figures and a prefix: ``1.23M``, ``45.6k``, ``0.0123``."""
    if _is_none(value):
        return NONE
    number = _number(value)
    for size, prefix in _PREFIXES:
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{prefix}" if abs(number) < size * 999.5 else f"{number / size:,.0f}{prefix}"
    return f"{number:.3g}"


def decimal(value: float | None, digits: int = 4) -> str:
    """Return a number with so many digits after the point: ``0.7312``."""
    return NONE if _is_none(value) else f"{_number(value):,.{digits}f}"


def signed(value: float | None, digits: int = 4) -> str:
    """Return a difference with its sign: ``+0.0021``, ``−0.0100``."""
    return NONE if _is_none(value) else f"{_number(value):+,.{digits}f}".replace("-", "−")


def plus_minus(value: float | None, error: float | None, digits: int = 4) -> str:
    """Return a number with its standard error: ``0.7312 ± 0.0021``; without one, the number."""
    return decimal(value, digits) if _is_none(error) else f"{decimal(value, digits)} ± {decimal(error, digits)}"


def duration(seconds: float | None) -> str:
    """Return a time: ``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if _is_none(seconds):
        return NONE
    left = _number(seconds)
    if left < 10:
        return f"{left:.2g} s"
    minutes, rest = divmod(round(left), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def data_size(count: float | None) -> str:
    """Return bytes: ``512 B``, ``3.4 MB`` (a million bytes)."""
    if _is_none(count):
        return NONE
    number = _number(count)
    return f"{number:.0f} B" if number < 1000 else f"{short(number)[:-1]} {short(number)[-1]}B"


def show_whole(axis: Axis) -> None:
    """Write an axis' numbers with thousands apart, at whole numbers only, at most six on a linear one."""
    if axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    _show(axis, lambda value: f"{value:,.0f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}")


def show_short(axis: Axis) -> None:
    """Write an axis' numbers with a prefix: ``2M``."""
    _few(axis)
    _show(axis, short)


def show_percent(axis: Axis) -> None:
    """Write an axis of shares in percent."""
    _few(axis)
    _show(axis, lambda value: f"{100 * value:,.6g}%")


def show_data_size(axis: Axis) -> None:
    """Write an axis of bytes as ``3.4 MB``."""
    _few(axis)
    _show(axis, data_size)


def few_ticks(axis: Axis, most: int = 6) -> None:
    """Leave at most so many numbers at a linear axis."""
    _few(axis, most)


def _few(axis: Axis, most: int = 6) -> None:
    if axis.get_scale() == "linear" and isinstance(axis.get_major_locator(), AutoLocator | MaxNLocator):
        axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]))


def _show(axis: Axis, text_of: Callable[[float], str]) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: text_of(value).replace("-", "−")))


def _is_none(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _number(value: float | None) -> float:
    assert value is not None
    return float(value)
