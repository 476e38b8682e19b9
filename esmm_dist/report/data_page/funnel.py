"""How many impressions have each label, and at which rates."""

import math
from collections.abc import Sequence

from esmm_dist.report.data_page.axes import SINGLE, names_on_y
from esmm_dist.report.data_page.compared import TRAIN, base_split, later_splits, ordered_splits
from esmm_dist.report.data_page.rates import ASSUMED_AUC, LabelRate, label_order, label_rates
from esmm_dist.report.data_page.texts import shown, with_error
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, short, show_percent, show_short, whole
from esmm_dist.report.pictures.panels import new_figure, small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import bar_of, line_of

_MOST_LABELS = 12
_MOST_SPLITS = 6
_CHANCE = 3.0
"""Standard errors beyond which a difference of two rates is called more than chance."""


def funnel_section(statistics: DataStatistics) -> Section:
    """Return the funnel of each split as a tree, two pictures and a table."""
    blocks: list[Block] = []
    if statistics.splits and statistics.label_names:
        blocks += [
            Paragraph(text="\n".join(tree_lines(statistics)), kind="code"),
            _counts_picture(statistics),
            _rates_picture(statistics),
            _table(statistics),
        ]
    else:
        blocks.append(Paragraph(text="There are no labels to count.", kind="note"))
    return Section(
        heading="Funnel",
        lead="How many impressions have each label. A label counts only where each label on the way to it is 1, too.",
        blocks=blocks,
    )


def tree_lines(statistics: DataStatistics) -> list[str]:
    """Return the labels as a tree, with counts and rates of train (or the first split)."""
    split = base_split(statistics)
    funnel = statistics.splits[split].funnel
    rates = label_rates(statistics, funnel)
    rows = [(f"impressions of {shown(split)}", whole(funnel.impressions), "")]
    for place, depth in label_order(statistics):
        rate = rates[place]
        rows.append(
            (
                f"{'   ' * depth}└─ {shown(rate.label)}",
                whole(rate.positives),
                with_error(rate.rate, rate.standard_error),
            )
        )
    name_width, count_width = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    return [f"{name:<{name_width}}  {count:>{count_width}}  {rate}".rstrip() for name, count, rate in rows]


def _places(statistics: DataStatistics) -> list[int]:
    return [place for place, _ in label_order(statistics)][:_MOST_LABELS]


def _rest_of_labels(statistics: DataStatistics) -> str:
    rest = len(statistics.label_names) - _MOST_LABELS
    return f" {rest} more labels are in the table." if rest > 0 else ""


def _counts_picture(statistics: DataStatistics) -> Picture:
    splits, places = ordered_splits(statistics)[:_MOST_SPLITS], _places(statistics)
    names = ["impressions", *(statistics.label_names[place] for place in places)]
    counts = {}
    for split in splits:
        funnel = statistics.splits[split].funnel
        counts[split] = [funnel.impressions, *(funnel.labels.get(name, 0) for name in names[1:])]
    bars = len(names) * len(splits)
    figure, axes = new_figure(width=SINGLE, height=max(0.65, 0.09 * bars + 0.35))
    panel = axes[0, 0]
    thickness = 0.8 / len(splits)
    most = max((count for each in counts.values() for count in each), default=0)
    for i, split in enumerate(splits):
        ys = [y + (i - (len(splits) - 1) / 2) * thickness for y in range(len(names))]
        drawn = [max(count, 0.5) for count in counts[split]]
        panel.barh(ys, drawn, height=thickness * 0.92, label=shown(split), **bar_of(i))
        for y, count, length in zip(ys, counts[split], drawn, strict=True):
            panel.text(length * 1.05, y, whole(count), va="center", fontsize=9)
    panel.set_xscale("log")
    show_short(panel.xaxis)
    panel.set_xlim(0.5, max(most, 1) * 30)
    names_on_y(panel, names)
    panel.set_xlabel("impressions (logarithmic)")
    panel.set_ylabel("label")
    if len(splits) > 1:
        legend_above(panel)
    base = splits[0]
    of_base = [f"{percent(rate.share_of_impressions)} have {shown(rate.label)}" for rate in _rates(statistics, base)]
    parts = [of_base[place] for place in places[:3]]
    return Picture(
        name="funnel",
        title=f"Of {short(counts[base][0])} impressions of {shown(base)}, {', '.join(parts)}.",
        how_to_read="A bar is the number of impressions that have the label and all labels on the way to it. The axis "
        "is logarithmic: each line is ten times the one before." + _rest_of_labels(statistics),
        figure=figure,
        numbers={"labels": names, "counts": counts},
    )


def _rates(statistics: DataStatistics, split: str) -> list[LabelRate]:
    return label_rates(statistics, statistics.splits[split].funnel)


def _rates_picture(statistics: DataStatistics) -> Picture:
    splits, places = ordered_splits(statistics)[:_MOST_SPLITS], _places(statistics)
    by_split = {split: _rates(statistics, split) for split in splits}
    figure, panels = small_multiples(len(places), most_columns=2, height=0.35 + 0.13 * len(splits))
    for panel, place in zip(panels, places, strict=True):
        for y, split in enumerate(splits):
            rate = by_split[split][place]
            style = {**line_of(y), "linestyle": "none"}
            panel.errorbar([rate.rate], [y], xerr=[2 * rate.standard_error], capsize=3, **style)
        rate = by_split[splits[0]][place]
        names_on_y(panel, splits)
        panel.margins(x=0.25)
        show_percent(panel.xaxis)
        given = f"impressions with {shown(rate.given, 20)}" if rate.given else "impressions"
        panel.set_title(shown(rate.label, 30))
        panel.set_xlabel(f"share of {given}")
        panel.set_ylabel("split")
    return Picture(
        name="label-rates",
        title=_rates_title(statistics),
        how_to_read="A mark is the rate of a label in a split, given the label on the way to it; the bar reaches two "
        "standard errors to each side. Each panel has an axis of its own, which need not begin at 0."
        + _rest_of_labels(statistics),
        figure=figure,
        numbers={
            statistics.label_names[place]: {
                split: {"rate": by_split[split][place].rate, "standard_error": by_split[split][place].standard_error}
                for split in splits
            }
            for place in places
        },
    )


def largest_difference(statistics: DataStatistics) -> tuple[float, str, LabelRate, LabelRate] | None:
    """Return the rate that differs most from train's: by how many standard errors, its split, it, and train's."""
    found: list[tuple[float, str, LabelRate, LabelRate]] = []
    for split in later_splits(statistics):
        for rate, base in zip(_rates(statistics, split), _rates(statistics, TRAIN), strict=True):
            error = math.hypot(rate.standard_error, base.standard_error)
            if error > 0 and not math.isnan(error):
                found.append(((rate.rate - base.rate) / error, split, rate, base))
    return max(found, key=lambda each: abs(each[0]), default=None)


def _rates_title(statistics: DataStatistics) -> str:
    difference = largest_difference(statistics)
    if difference is None:
        split = base_split(statistics)
        rates = [f"{shown(each.label)} {percent(each.rate)}" for each in _rates(statistics, split)[:3]]
        return f"Rates of {shown(split)}, each given the label on the way to it: {', '.join(rates)}."
    errors, split, rate, base = difference
    what = rate.text
    values = f"{percent(rate.rate)} in {shown(split)} and {percent(base.rate)} in train"
    if abs(errors) > _CHANCE:
        word = "more often" if errors > 0 else "less often"
        return f"{what} occurs {word} in {shown(split)} than chance explains: {values}."
    return f"The rates of train and of other splits differ no more than chance explains. {what} differs most: {values}."


def _table(statistics: DataStatistics) -> PageTable:
    has_weights = any(each.funnel.weight is not None for each in statistics.splits.values())
    rows: list[Sequence[str]] = []
    for split in ordered_splits(statistics):
        rates = _rates(statistics, split)
        for place, _ in label_order(statistics):
            rate = rates[place]
            rows.append(
                [
                    shown(split),
                    shown(rate.label),
                    shown(rate.given) if rate.given else "impressions",
                    whole(rate.positives),
                    whole(rate.of),
                    with_error(rate.rate, rate.standard_error),
                    *([percent(rate.rate_by_weight, 2)] if has_weights else []),
                    percent(rate.share_of_impressions),
                    short(rate.auc_standard_error),
                ]
            )
    return PageTable(
        title="Labels of each split, and how well each split can measure a model.",
        head=[
            *("split", "label", "given", "count", "of", "rate ± std. error"),
            *(["rate by weight"] if has_weights else []),
            *("of impressions", "std. error of AUC"),
        ],
        rows=rows,
        text_columns=(0, 1, 2),
        how_to_read=f"The last column is what a split of this size leaves open of a model that ranks all its "
        f"impressions by the label at an AUC of {ASSUMED_AUC} (Hanley and McNeil 1982); two models on the same "
        "impressions are compared more finely (esmm compare-runs).",
    )
