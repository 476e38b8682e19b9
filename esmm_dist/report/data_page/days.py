"""Impressions and rates by day."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import matplotlib.dates
from matplotlib.axes import Axes

from esmm_dist.report.data_page.axes import counts_on, plain, shares_on
from esmm_dist.report.data_page.compared import ordered_splits
from esmm_dist.report.data_page.rates import label_order, label_rates
from esmm_dist.report.data_page.texts import percent, shown, whole, with_error
from esmm_dist.report.data_statistics.statistics import DataStatistics, Funnel
from esmm_dist.report.page.blocks import PageTable, Section
from esmm_dist.report.pictures.picture import Picture, line_of, new_figure

_MOST_LABELS = 5
_MOST_MARKS = 40
"""Days beyond which a line is drawn without a mark for each day."""

_MOST_DAYS_OPEN = 14


def day_section(statistics: DataStatistics) -> Section | None:
    """Return a picture and a table by day; None if no split has times."""
    days = {name: by_day for name, by_day in statistics.days.items() if by_day}
    if not days:
        return None
    return Section(
        heading="Days",
        lead="How much there is of each day, and whether the labels' rates change.",
        blocks=[_picture(statistics, days), _table(statistics, days)],
    )


def _splits(statistics: DataStatistics, days: Mapping[str, Any]) -> list[str]:
    known = [name for name in ordered_splits(statistics) if name in days]
    return known + [name for name in days if name not in known]


def _picture(statistics: DataStatistics, days: Mapping[str, Mapping[str, Funnel]]) -> Picture:
    places = [place for place, _ in label_order(statistics)][:_MOST_LABELS]
    splits = _splits(statistics, days)
    figure, axes = new_figure(rows=1 + len(places), width=2.0, height=0.62, sharex=True)
    panels = axes[:, 0]
    numbers: dict[str, Any] = {}
    for order, split in enumerate(splits):
        calendar, funnels = _calendar(days[split])
        style = line_of(order)
        if len(calendar) > _MOST_MARKS:
            style["marker"] = "none"
        impressions = [math.nan if each is None else each.impressions for each in funnels]
        panels[0].plot(calendar, impressions, label=plain(split), **style)
        rates = {}
        for panel, place in zip(panels[1:], places, strict=True):
            drawn = [None if each is None else label_rates(statistics, each)[place] for each in funnels]
            centre = [math.nan if each is None else each.rate for each in drawn]
            error = [math.nan if each is None else each.standard_error for each in drawn]
            panel.plot(calendar, centre, **style)
            low = [max(middle - 2 * each, 0) for middle, each in zip(centre, error, strict=True)]
            high = [min(middle + 2 * each, 1) for middle, each in zip(centre, error, strict=True)]
            panel.fill_between(calendar, low, high, color=style["color"], alpha=0.2, linewidth=0)
            rates[statistics.label_names[place]] = {"rate": centre, "standard_error": error}
        numbers[split] = {"days": [str(day) for day in calendar], "impressions": impressions, "rates": rates}
    _label(statistics, panels, places, many=len(splits) > 1)
    rest = len(statistics.label_names) - len(places)
    return Picture(
        name="days",
        title=_title(statistics, days),
        how_to_read="Above, impressions of each day; below, the rate of each label given the label on the way to it. "
        "The band is two standard errors to each side. A gap is a day without impressions."
        + (f" {rest} more labels are in the table." if rest > 0 else ""),
        figure=figure,
        numbers=numbers,
    )


def _calendar(by_day: Mapping[str, Funnel]) -> tuple[list[date], list[Funnel | None]]:
    """Return each day from the first to the last, and its funnel; None for a day that is not there."""
    told = {date.fromisoformat(day): funnel for day, funnel in by_day.items()}
    first, last = min(told), max(told)
    calendar = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    return calendar, [told.get(day) for day in calendar]


def _label(statistics: DataStatistics, panels: Sequence[Axes], places: Sequence[int], *, many: bool) -> None:
    panels[0].set_title("impressions")
    panels[0].set_ylabel("impressions a day")
    panels[0].set_ylim(bottom=0)
    counts_on(panels[0].yaxis)
    if many:
        panels[0].legend(loc="best")
    for panel, place in zip(panels[1:], places, strict=True):
        parent = statistics.label_parents[place]
        given = f", given {plain(statistics.label_names[parent])}" if parent >= 0 else ""
        panel.set_title(plain(statistics.label_names[place]) + given)
        panel.set_ylabel("rate")
        shares_on(panel.yaxis)
    locator = matplotlib.dates.AutoDateLocator(minticks=3, maxticks=8)
    for panel in panels:
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))
        panel.set_xlabel("day")
        panel.label_outer()


def _title(statistics: DataStatistics, days: Mapping[str, Mapping[str, Funnel]]) -> str:
    all_days = sorted({day for by_day in days.values() for day in by_day})
    span = f"From {all_days[0]} to {all_days[-1]}" if len(all_days) > 1 else f"On {all_days[0]}"
    if not statistics.label_names or len(all_days) < 2:
        return f"{span}, impressions come from {len(all_days)} day{'s' if len(all_days) > 1 else ''}."
    first = label_order(statistics)[0][0]
    rates = [
        (label_rates(statistics, funnel)[first].rate, day)
        for by_day in days.values()
        for day, funnel in by_day.items()
        if funnel.impressions
    ]
    if not rates:
        return f"{span} there are no impressions."
    (low, low_day), (high, high_day) = min(rates), max(rates)
    name = shown(statistics.label_names[first])
    return f"{span} the rate of {name} lies between {percent(low)} ({low_day}) and {percent(high)} ({high_day})."


def _table(statistics: DataStatistics, days: Mapping[str, Mapping[str, Funnel]]) -> PageTable:
    rows = [
        [
            shown(split),
            day,
            whole(funnel.impressions),
            *(with_error(each.rate, each.standard_error) for each in label_rates(statistics, funnel)),
        ]
        for split in _splits(statistics, days)
        for day, funnel in days[split].items()
    ]
    return PageTable(
        title="Impressions and rates of each day.",
        head=["split", "day", "impressions", *(shown(name) for name in statistics.label_names)],
        rows=rows,
        text_columns=(0, 1),
        how_to_read="Each rate is given the label on the way to it, ± one standard error.",
        folded=len(rows) > _MOST_DAYS_OPEN,
    )
