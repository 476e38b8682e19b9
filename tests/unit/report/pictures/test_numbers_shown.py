"""Numbers as a reader sees them."""

import math
from collections.abc import Callable

import pytest

from esmm_dist.report.pictures.numbers_shown import (
    data_size,
    decimal,
    duration,
    few_ticks,
    percent,
    plus_minus,
    short,
    show_data_size,
    show_percent,
    show_short,
    show_whole,
    signed,
    whole,
)
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.styled import house_style


@pytest.mark.parametrize(
    ("function", "number", "text"),
    [
        (whole, 1234567, "1,234,567"),
        (whole, 0, "0"),
        (percent, 0.382, "38.2%"),
        (percent, 0, "0%"),
        (percent, 1, "100%"),
        (percent, 0.0034, "0.34%"),
        (percent, 0.000341, "0.034%"),
        (percent, -0.05, "-5.0%"),
        (percent, 0.9997, "99.97%"),  # neither 100% nor 100.0%: something is missing
        (percent, 12.5, "1,250.0%"),
        (percent, math.inf, "inf%"),
        (short, 999, "999"),
        (short, 1000, "1k"),
        (short, 45_600, "45.6k"),
        (short, 999_600, "1M"),
        (short, 1_234_000, "1.23M"),
        (short, 5e9, "5G"),
        (short, 7e15, "7,000T"),
        (short, 0.0123, "0.0123"),
        (short, -2500, "-2.5k"),
        (decimal, 0.73119, "0.7312"),
        (signed, 0.0021, "+0.0021"),
        (signed, -0.01, "−0.0100"),
        (duration, 0.84, "0.84 s"),
        (duration, 42, "42 s"),
        (duration, 200, "3 min 20 s"),
        (duration, 7500, "2 h 5 min"),
        (data_size, 512, "512 B"),
        (data_size, 3_400_000, "3.4 MB"),
        (data_size, 1000, "1 kB"),
    ],
)
def test_a_number_is_shown(function: Callable[[float], str], number: float, text: str) -> None:
    assert function(number) == text


@pytest.mark.parametrize("function", [whole, percent, short, decimal, signed, duration, data_size])
def test_what_is_not_there_is_a_dash(function: Callable[[float | None], str]) -> None:
    assert function(None) == function(math.nan) == "–"


def test_a_number_stands_with_its_standard_error_where_there_is_one() -> None:
    assert plus_minus(0.73119, 0.0021) == "0.7312 ± 0.0021"
    assert plus_minus(0.73119, math.nan) == "0.7312"
    assert plus_minus(None, None) == "–"


@pytest.mark.parametrize(
    ("show", "high", "texts"),
    [
        (show_whole, 4, ["0", "1", "2", "3", "4"]),
        (show_whole, 20_000, ["0", "4,000", "8,000", "12,000", "16,000", "20,000"]),
        (show_short, 2e6, ["0", "500k", "1M", "1.5M", "2M"]),
        (show_percent, 1, ["0%", "20%", "40%", "60%", "80%", "100%"]),
        (show_percent, 0.005, ["0%", "0.1%", "0.2%", "0.3%", "0.4%", "0.5%"]),
        (show_data_size, 5e6, ["0 B", "1 MB", "2 MB", "3 MB", "4 MB", "5 MB"]),
    ],
)
def test_an_axis_has_few_numbers_of_its_kind(show: Callable[..., None], high: float, texts: list[str]) -> None:
    figure, axes = new_figure()
    axes[0, 0].plot([0, high], [0, 1])
    axes[0, 0].set_xlim(0, high)
    show(axes[0, 0].xaxis)
    with house_style():
        figure.draw_without_rendering()
    assert [each.get_text() for each in axes[0, 0].get_xticklabels()] == texts


def test_a_logarithmic_axis_keeps_its_places() -> None:
    _, axes = new_figure()
    axes[0, 0].set_xscale("log")
    before = axes[0, 0].xaxis.get_major_locator()
    for show in (show_whole, show_short, show_percent, few_ticks):
        show(axes[0, 0].xaxis)
    assert axes[0, 0].xaxis.get_major_locator() is before
