"""Fields: a table, and pictures of what test lacks of train."""

import math
from collections.abc import Callable, Sequence

from esmm_dist.report.data_page.axes import SINGLE, names_on_y
from esmm_dist.report.data_page.compared import (
    base_split,
    coverage,
    later_splits,
    looked_at,
    new_occurrence_share,
    ordered_splits,
    psi_noise_of,
    psi_of,
    unseen_share,
)
from esmm_dist.report.data_page.drift_level import DRIFTED_PSI, SHIFTED_PSI
from esmm_dist.report.data_page.field_table import compared_table, field_table, splits_table
from esmm_dist.report.data_page.texts import field_name, shown
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.report.page.blocks import Block, Paragraph, Section
from esmm_dist.report.pictures.bars import bars_height, grouped_bars
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, short, show_percent
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import GRID, INK, MUTED, line_of

MOST_FIELDS = 40
"""Fields in one picture; of more, those that differ most are shown."""

_MOST_SPLITS = 4
_LEAST_PSI = 1e-4
"""Where the logarithmic axis of drift begins; what is less is drawn there."""


def field_section(statistics: DataStatistics) -> Section:
    """Return the table of the fields and three pictures of them."""
    blocks: list[Block] = []
    if not statistics.fields:
        blocks.append(Paragraph(text="The schema has no fields.", kind="note"))
    elif statistics.splits:
        found = (
            field_table(statistics),
            coverage_picture(statistics),
            new_ids_picture(statistics),
            drift_picture(statistics),
            compared_table(statistics),
            splits_table(statistics),
        )
        blocks += [each for each in found if each is not None]
    return Section(
        heading="Fields",
        lead="What each field holds, how many impressions it covers, and what other splits have that train has not.",
        blocks=blocks,
    )


def _most_of(
    fields: Sequence[FieldStatistics], weight: Callable[[FieldStatistics], float]
) -> tuple[list[FieldStatistics], str]:
    """Return the fields that weigh most, heaviest first, and a sentence on the rest."""
    order = sorted(fields, key=lambda field: -(0 if math.isnan(weight(field)) else weight(field)))
    rest = len(order) - MOST_FIELDS
    return order[:MOST_FIELDS], f" {rest} more fields are in the table." if rest > 0 else ""


def coverage_picture(statistics: DataStatistics) -> Picture:
    """Return a picture of the share of impressions in which each field has a value, by split."""
    splits, test = ordered_splits(statistics)[:_MOST_SPLITS], looked_at(statistics)
    base = base_split(statistics)

    def lost(field: FieldStatistics) -> float:
        here = coverage(statistics, field, base)
        return 1 - here if test is None else here - coverage(statistics, field, test)

    fields, rest = _most_of(statistics.fields, lambda field: abs(lost(field)))
    covers = {split: [coverage(statistics, field, split) for field in fields] for split in splits}
    figure, axes = new_figure(width=SINGLE, height=bars_height(len(fields)))
    panel = axes[0, 0]
    for y in range(len(fields)):
        told = [each[y] for each in covers.values() if not math.isnan(each[y])]
        panel.plot([min(told, default=0), max(told, default=0)], [y, y], color=MUTED, linewidth=1)
    for place, split in enumerate(splits):
        style = {**line_of(place), "linestyle": "none", "markersize": 6}
        panel.plot(covers[split], range(len(fields)), label=shown(split), **style)
    panel.set_xlim(-0.02, 1.02)
    show_percent(panel.xaxis)
    names_on_y(panel, [field_name(field) for field in fields])
    panel.set_xlabel("impressions with a value")
    panel.set_ylabel("field")
    if len(splits) > 1:
        legend_above(panel)
    worst = max(fields, key=lambda field: -1 if math.isnan(lost(field)) else lost(field))
    here = percent(coverage(statistics, worst, base))
    if test is None:
        title = f"{field_name(worst)} covers least: {here} of the impressions of {shown(base)}."
    elif lost(worst) > 0:
        there = percent(coverage(statistics, worst, test))
        title = f"{field_name(worst)} covers {here} of {shown(base)}'s impressions and {there} of {shown(test)}'s."
    else:
        title = f"No field covers less of {shown(test)} than of {shown(base)}."
    return Picture(
        name="coverage",
        title=title,
        how_to_read="A mark is the share of a split's impressions in which the field has a value; a line joins the "
        "splits. A value is missing in the log, or preprocess dropped it as an id that train lacks or has too seldom. "
        "Fields whose splits differ most are on top." + rest,
        figure=figure,
        numbers={"fields": [field.name for field in fields], "coverage": covers},
    )


def new_ids_picture(statistics: DataStatistics) -> Picture | None:
    """Return a picture of the shares of test's ids and occurrences that are new; None if they are not known."""
    test = looked_at(statistics)
    known = [field for field in statistics.fields if not math.isnan(new_occurrence_share(field, test))]
    if test is None or not known:
        return None
    having = [field for field in known if new_occurrence_share(field, test) > 0]
    fields, rest = _most_of(having or known[:1], lambda field: new_occurrence_share(field, test))
    shares = {"occurrences": [new_occurrence_share(field, test) for field in fields]}
    of_ids = [unseen_share(field, test) for field in fields]
    has_ids = not all(math.isnan(each) for each in of_ids)
    if has_ids:
        shares["distinct ids"] = of_ids
    figure, axes = new_figure(width=SINGLE, height=bars_height(len(fields), len(shares)))
    panel = axes[0, 0]
    grouped_bars(panel, [field_name(field) for field in fields], shares, text_of=percent)
    show_percent(panel.xaxis)
    panel.set_xlabel(f"share of {shown(test)} that is new")
    panel.set_ylabel("field")
    legend_above(panel)
    most = shares["occurrences"][0]
    title = (
        f"{percent(most)} of the occurrences of {field_name(fields[0])} in {shown(test)} are ids that train lacks or "
        "has too seldom."
        if most > 0
        else f"Each id of {shown(test)} occurs in train, too."
    )
    how = f"A bar is the share of {shown(test)}'s occurrences whose id train lacks, or that preprocess dropped as rare."
    if has_ids:
        how += " The other counts each distinct id once; – where preprocess dropped ids, whose number is not known."
    if len(known) > len(having):
        how += f" {len(known) - len(having)} other fields have no new ids."
    if any(field.ids_are_estimates for field in fields):
        how += " Some are estimates, see the table."
    return Picture(
        name="new-ids",
        title=title,
        how_to_read=how + rest,
        figure=figure,
        numbers={"split": test, "fields": [field.name for field in fields], "shares": shares},
    )


def drift_picture(statistics: DataStatistics) -> Picture | None:
    """Return a picture of each field's population stability index; None if there is none."""
    splits = later_splits(statistics)[-_MOST_SPLITS:]

    def largest(field: FieldStatistics) -> float:
        return max((psi_of(field, split) for split in splits if not math.isnan(psi_of(field, split))), default=math.nan)

    known = [field for field in statistics.fields if not math.isnan(largest(field))]
    if not known:
        return None
    fields, rest = _most_of(known, largest)
    values = {split: [psi_of(field, split) for field in fields] for split in splits}
    noise = {split: [psi_noise_of(field, split) for field in fields] for split in splits}
    figure, axes = new_figure(width=SINGLE, height=bars_height(len(fields), len(splits)))
    panel = axes[0, 0]
    thickness = 0.8 / len(splits)
    for place, split in enumerate(splits):
        ys = [y + (place - (len(splits) - 1) / 2) * thickness for y in range(len(fields))]
        chance = [_LEAST_PSI if math.isnan(each) else max(each, _LEAST_PSI) for each in noise[split]]
        reach = [each - _LEAST_PSI for each in chance]
        label = "by chance" if place == 0 else None
        panel.barh(ys, reach, left=_LEAST_PSI, height=0.9 * thickness, color=GRID, zorder=0.5, label=label)
        drawn = [max(each, _LEAST_PSI) for each in values[split]]
        panel.plot(drawn, ys, label=shown(split), **{**line_of(place), "linestyle": "none", "markersize": 6})
    for level, line in ((SHIFTED_PSI, "--"), (DRIFTED_PSI, "-")):
        panel.axvline(level, color=INK, linewidth=0.9, linestyle=line, zorder=1, label=f"{level}")
    panel.set_xscale("log")
    panel.set_xlim(_LEAST_PSI * 0.8, max(1.0, 1.5 * largest(fields[0])))
    names_on_y(panel, [field_name(field) for field in fields])
    panel.set_xlabel("PSI against train (logarithmic)")
    panel.set_ylabel("field")
    legend_above(panel)
    first = fields[0]
    split = max(splits, key=lambda each: -1 if math.isnan(psi_of(first, each)) else psi_of(first, each))
    far = sum(largest(field) > DRIFTED_PSI for field in known)
    return Picture(
        name="drift",
        title=f"{field_name(first)} shifts most between train and {shown(split)} ({short(largest(first))}); {far} of "
        f"{len(known)} fields are above {DRIFTED_PSI}.",
        how_to_read="A mark is how far a field's ids shift from train (PSI, population stability index): below "
        f"{SHIFTED_PSI} (dashed) is usually called stable, above {DRIFTED_PSI} (solid) shifted. The grey bar is what "
        "chance gives samples of this size: a mark within or near it says nothing. Without a bar "
        "there are too few users, or impressions, to tell. What is less than "
        f"{_LEAST_PSI} is drawn at the left end." + rest,
        figure=figure,
        numbers={"fields": [field.name for field in fields], "psi": values, "by_chance": noise},
    )
