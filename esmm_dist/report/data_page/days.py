"""Impressions and rates by day."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import matplotlib.dates
from matplotlib.axes import Axes

from esmm_dist.report.data_page.axes import SINGLE
from esmm_dist.report.data_page.compared import ordered_splits
from esmm_dist.report.data_page.rates import label_order, label_rates
from esmm_dist.report.data_page.texts import label_text, plural, shown, with_error
from esmm_dist.report.data_statistics.statistics import DataStatistics, Funnel
from esmm_dist.report.page.blocks import PageTable, Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, show_percent, show_short, whole
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import line_of

_DATES: Any = matplotlib.dates  # its functions have no types
_MOST_LABELS = 5
_MOST_MARKS = 40
"""Days beyond which a line is drawn without a mark for each day."""

_MOST_DAYS_OPEN = 14

_ByDay = Mapping[str, Mapping[str, Funnel]]


def day_section(statistics: DataStatistics) -> Section | None:
    """Return a picture and a table by day; None if no split has times."""
    days = {name: statistics.days[name] for name in ordered_splits(statistics) if statistics.days.get(name)}
    if not days:
        return None
    return Section(
        heading="Days",
        lead="How much there is of each day, and whether the labels' rates change.",
        blocks=[_picture(statistics, days), _table(statistics, days)],
    )


def _label_places(statistics: DataStatistics, days: _ByDay) -> list[int]:
    """Return the places of the labels that days tell of, in the order of the tree."""
    has_labels = any(funnel.labels for by_day in days.values() for funnel in by_day.values())
    return [place for place, _ in label_order(statistics)] if has_labels else []


def _picture(statistics: DataStatistics, days: _ByDay) -> Picture:
    all_places = _label_places(statistics, days)
    places = all_places[:_MOST_LABELS]
    figure, panels = small_multiples(1 + len(places), most_columns=2, width=SINGLE, height=0.85)
    numbers: dict[str, Any] = {}
    for order, (split, by_day) in enumerate(days.items()):
        calendar, funnels = _calendar(by_day)
        style = {**line_of(order), "marker": "none"} if len(calendar) > _MOST_MARKS else line_of(order)
        impressions = [math.nan if each is None else each.impressions for each in funnels]
        panels[0].plot(calendar, impressions, label=shown(split), **style)
        rates = {}
        for panel, place in zip(panels[1:], places, strict=True):
            drawn = [None if each is None else label_rates(statistics, each)[place] for each in funnels]
            centre = [math.nan if each is None else each.rate for each in drawn]
            error = [math.nan if each is None else each.standard_error for each in drawn]
            panel.plot(calendar, centre, label=shown(split), **style)
            low = [max(middle - 2 * each, 0) for middle, each in zip(centre, error, strict=True)]
            high = [min(middle + 2 * each, 1) for middle, each in zip(centre, error, strict=True)]
            panel.fill_between(calendar, low, high, color=style["color"], alpha=0.2, linewidth=0)
            rates[statistics.label_names[place]] = {"rate": centre, "standard_error": error}
        numbers[split] = {"days": [str(day) for day in calendar], "impressions": impressions, "rates": rates}
    _label(statistics, panels, places, many=len(days) > 1)
    rest = len(all_places) - len(places)
    bands = " The other panels: the rate of each label given the label on the way to it, in a band of two standard "
    return Picture(
        name="days",
        title=_title(statistics, days),
        how_to_read="A line is the impressions of each day; a gap is a day without any."
        + (bands + "errors to each side." if places else "")
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
    show_short(panels[0].yaxis)
    for panel, place in zip(panels[1:], places, strict=True):
        parent = statistics.label_parents[place]
        panel.set_title(
            label_text(statistics.label_names[place], statistics.label_names[parent] if parent >= 0 else None)
        )
        panel.set_ylabel("rate")
        show_percent(panel.yaxis)
    locator: Any = _DATES.AutoDateLocator(minticks=3, maxticks=6)
    for panel in panels:
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(_DATES.ConciseDateFormatter(locator))
        panel.set_xlabel("day")
        if many:
            legend_above(panel)


def _title(statistics: DataStatistics, days: _ByDay) -> str:
    all_days = sorted({day for by_day in days.values() for day in by_day})
    span = f"From {all_days[0]} to {all_days[-1]}" if len(all_days) > 1 else f"On {all_days[0]}"
    places = _label_places(statistics, days)
    if places:
        rates = [
            (label_rates(statistics, funnel)[places[0]].rate, day)
            for by_day in days.values()
            for day, funnel in by_day.items()
            if funnel.impressions
        ]
        if rates:
            (low, low_day), (high, high_day) = min(rates), max(rates)
            name = shown(statistics.label_names[places[0]])
            return f"{span} the rate of {name} is {percent(low)} ({low_day}) to {percent(high)} ({high_day})."
    told = [f"{shown(split)} {len(by_day):,} {plural(len(by_day), 'day')}" for split, by_day in days.items()]
    return f"{span} there are impressions: of {', of '.join(told)}."


def _table(statistics: DataStatistics, days: _ByDay) -> PageTable:
    places = _label_places(statistics, days)
    rows = []
    for split, by_day in days.items():
        for day, funnel in by_day.items():
            rates = label_rates(statistics, funnel) if places else []
            texts = [with_error(rates[place].rate, rates[place].standard_error) for place in places]
            rows.append([shown(split), day, whole(funnel.impressions), *texts])
    return PageTable(
        title="Impressions and rates of each day." if places else "Impressions of each day.",
        head=["split", "day", "impressions", *(shown(statistics.label_names[place]) for place in places)],
        rows=rows,
        text_columns=(0, 1),
        how_to_read="Each rate is given the label on the way to it, ± one standard error." if places else "",
        folded=len(rows) > _MOST_DAYS_OPEN,
    )
