"""Fields: a table, and pictures of what test lacks of train."""

import math
from collections.abc import Callable, Sequence

from esmm_dist.report.data_page.axes import names_on_y, plain, shares_on
from esmm_dist.report.data_page.compared import (
    base_split,
    coverage,
    in_split,
    later_splits,
    looked_at,
    ordered_splits,
    unseen_occurrence_share,
    unseen_share,
)
from esmm_dist.report.data_page.drift_level import DRIFTED_PSI, SHIFTED_PSI, psi_noise
from esmm_dist.report.data_page.field_table import field_table, splits_table
from esmm_dist.report.data_page.texts import decimal, field_name, percent, shown
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.report.page.blocks import Block, Paragraph, Section
from esmm_dist.report.pictures.picture import Picture, bar_of, line_of, new_figure
from esmm_dist.report.pictures.style import GRID, INK, MUTED

MOST_FIELDS = 40
"""Fields in one picture; of more, those that differ most are shown."""

_MOST_SPLITS = 4


def field_section(statistics: DataStatistics) -> Section:
    """Return the table of the fields and three pictures of them."""
    blocks: list[Block] = []
    if not statistics.fields:
        blocks.append(Paragraph(text="The schema has no fields.", kind="note"))
    elif statistics.splits:
        blocks.append(field_table(statistics))
        blocks.append(coverage_picture(statistics))
        blocks += [each for each in (unseen_picture(statistics), drift_picture(statistics)) if each is not None]
        more = splits_table(statistics)
        blocks += [more] if more is not None else []
    return Section(
        heading="Fields",
        lead="What each field holds, how much of the impressions it covers, and what other splits have that train has "
        "not.",
        blocks=blocks,
    )


def _height(fields: int, series: int = 1) -> float:
    """Return the height of a picture with a line for each field, in panels."""
    return max(0.6, 0.35 + 0.072 * fields + 0.015 * fields * (series - 1))


def _most_of(
    fields: Sequence[FieldStatistics], weight: Callable[[FieldStatistics], float]
) -> tuple[list[FieldStatistics], str]:
    """Return the fields that weigh most, heaviest first, and a sentence on the rest."""
    order = sorted(fields, key=lambda field: -(0 if math.isnan(weight(field)) else weight(field)))
    rest = len(order) - MOST_FIELDS
    return order[:MOST_FIELDS], f" {rest} more fields are in the table." if rest > 0 else ""


def coverage_picture(statistics: DataStatistics) -> Picture:
    """Return a picture of the share of impressions in which each field has an id, by split."""
    splits, test = ordered_splits(statistics)[:_MOST_SPLITS], looked_at(statistics)
    base = base_split(statistics)

    def lost(field: FieldStatistics) -> float:
        if test is None:
            return 1 - coverage(statistics, field, base)
        return coverage(statistics, field, base) - coverage(statistics, field, test)

    fields, rest = _most_of(statistics.fields, lambda field: abs(lost(field)))
    covers = {split: [coverage(statistics, field, split) for field in fields] for split in splits}
    figure, axes = new_figure(width=1.9, height=_height(len(fields)))
    panel = axes[0, 0]
    ys = range(len(fields))
    told = [[covers[split][y] for split in splits if not math.isnan(covers[split][y])] for y in ys]
    panel.hlines(ys, [min(each, default=0) for each in told], [max(each, default=0) for each in told], color=MUTED)
    for i, split in enumerate(splits):
        panel.plot(covers[split], ys, label=plain(split), **{**line_of(i), "linestyle": "none", "markersize": 6})
    panel.set_xlim(-0.02, 1.02)
    shares_on(panel.xaxis)
    names_on_y(panel, [field_name(field) for field in fields])
    panel.set_xlabel("share of the impressions that have an id of the field")
    panel.set_ylabel("field")
    if len(splits) > 1:
        panel.legend(loc="best")
    worst = max(fields, key=lambda field: 0 if math.isnan(lost(field)) else lost(field))
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
        "splits. Fields whose splits differ most are on top." + rest,
        figure=figure,
        numbers={"fields": [field.name for field in fields], "coverage": covers},
    )


def unseen_picture(statistics: DataStatistics) -> Picture | None:
    """Return a picture of the shares of test's ids that train lacks; None if they are not known."""
    test = looked_at(statistics)
    known = [field for field in statistics.fields if not math.isnan(unseen_share(field, test))]
    if test is None or not known:
        return None
    fields, rest = _most_of(known, lambda field: unseen_share(field, test))
    ids = [unseen_share(field, test) for field in fields]
    occurrences = [unseen_occurrence_share(field, test) for field in fields]
    figure, axes = new_figure(width=1.9, height=_height(len(fields), 2))
    panel = axes[0, 0]
    panel.barh([y - 0.2 for y in range(len(fields))], ids, height=0.36, label="of distinct ids", **bar_of(0))
    panel.barh([y + 0.2 for y in range(len(fields))], occurrences, height=0.36, label="of occurrences", **bar_of(1))
    panel.set_xlim(0, max([*ids, *(each for each in occurrences if not math.isnan(each)), 0.01]) * 1.05)
    shares_on(panel.xaxis)
    names_on_y(panel, [field_name(field) for field in fields])
    panel.set_xlabel(f"share of {plain(test)} that train lacks")
    panel.set_ylabel("field")
    panel.legend(loc="lower right")
    first = fields[0]
    title = (
        f"{percent(ids[0])} of the ids of {field_name(first)} in {shown(test)} do not occur in train; they are "
        f"{percent(occurrences[0])} of its occurrences."
        if ids[0] > 0
        else f"Each id of {shown(test)} occurs in train, too."
    )
    estimates = " Some are estimates, see the table." if any(field.ids_are_estimates for field in fields) else ""
    return Picture(
        name="unseen-ids",
        title=title,
        how_to_read="The upper bar counts each distinct id once; the lower counts it as often as it occurs, which is "
        "what a model meets. Ids that are rare or unseen are left out of a data set by --min-count." + estimates + rest,
        figure=figure,
        numbers={
            "split": test,
            "fields": [field.name for field in fields],
            "share_of_ids": ids,
            "share_of_occurrences": occurrences,
        },
    )


def drift_picture(statistics: DataStatistics) -> Picture | None:
    """Return a picture of each field's population stability index; None if there is none."""
    splits = later_splits(statistics)[-_MOST_SPLITS:]

    def index(field: FieldStatistics, split: str) -> float:
        inside = in_split(field, split)
        return math.nan if inside is None or inside.psi is None else inside.psi

    def largest(field: FieldStatistics) -> float:
        return max((index(field, split) for split in splits if not math.isnan(index(field, split))), default=math.nan)

    known = [field for field in statistics.fields if not math.isnan(largest(field))]
    if not known:
        return None
    fields, rest = _most_of(known, largest)
    values = {split: [index(field, split) for field in fields] for split in splits}
    noise = {split: [psi_noise(field, split) for field in fields] for split in splits}
    figure, axes = new_figure(width=1.9, height=_height(len(fields)))
    panel = axes[0, 0]
    floor = 1e-4
    for level, text in ((SHIFTED_PSI, "0.1"), (DRIFTED_PSI, "0.25")):
        panel.axvline(level, color=INK, linewidth=0.9, linestyle="--" if level == SHIFTED_PSI else "-", zorder=1)
        panel.text(level, -0.7, text, ha="center", va="bottom", fontsize=8, color=MUTED)
    for i, split in enumerate(splits):
        ys = [y + (i - (len(splits) - 1) / 2) * 0.25 for y in range(len(fields))]
        chance = [max(each, floor) if not math.isnan(each) else floor for each in noise[split]]
        panel.barh(ys, [each - floor for each in chance], left=floor, height=0.22, color=GRID, zorder=0)
        drawn = [each if math.isnan(each) else max(each, floor) for each in values[split]]
        panel.plot(drawn, ys, label=plain(split), **{**line_of(i), "linestyle": "none", "markersize": 6})
    panel.set_xscale("log")
    top = max([each for one in values.values() for each in one if not math.isnan(each)])
    panel.set_xlim(floor, max(1.0, 1.5 * top))
    names_on_y(panel, [field_name(field) for field in fields])
    panel.set_xlabel("population stability index against train (logarithmic)")
    panel.set_ylabel("field")
    if len(splits) > 1:
        panel.legend(loc="lower right")
    split = max(splits, key=lambda each: 0 if math.isnan(index(fields[0], each)) else index(fields[0], each))
    far = sum(largest(field) > DRIFTED_PSI for field in known)
    most = f"{field_name(fields[0])} shifts most between train and {shown(split)}: {decimal(largest(fields[0]))}"
    return Picture(
        name="drift",
        title=f"{most}; {far} of {len(known)} fields are above {DRIFTED_PSI}.",
        how_to_read=f"A mark is how far a field's values shift from train: 0 is not at all, {SHIFTED_PSI} (dashed) a "
        f"little, {DRIFTED_PSI} (solid) much. The grey bar is what chance alone gives samples of this size: a mark "
        "inside it says nothing." + rest,
        figure=figure,
        numbers={"fields": [field.name for field in fields], "psi": values, "by_chance": noise},
    )
