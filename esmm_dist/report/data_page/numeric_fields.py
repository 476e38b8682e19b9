"""Impressions by bucket of each numeric field."""

import math
from collections.abc import Sequence

from esmm_dist.report.data_page.compared import base_split, looked_at
from esmm_dist.report.data_page.texts import field_name, ratio
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics, NumericDistribution
from esmm_dist.report.page.blocks import PageTable, Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, short, show_percent
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.pictures.style import bar_of, line_of

MOST_PANELS = 12
_MOST_EDGES = 5


def numeric_section(statistics: DataStatistics) -> Section | None:
    """Return a picture of the numeric fields; None if there is none."""
    fields = [(field, field.numeric) for field in statistics.fields if field.numeric is not None]
    if not fields or not statistics.splits:
        return None
    return Section(
        heading="Numeric fields",
        lead="A numeric field is cut into buckets, each of which is an id. Buckets that hold about as many "
        "impressions each are used best.",
        blocks=[_picture(statistics, fields), _table(statistics, fields)],
    )


def bucket_shares(numeric: NumericDistribution, split: str) -> tuple[list[float], float]:
    """Return the share of a split's impressions in each bucket, and the share without a value."""
    inside, missing = numeric.impressions.get(split, ()), numeric.missing.get(split, 0)
    total = sum(inside) + missing
    return [ratio(each, total) for each in inside], ratio(missing, total)


def shift(numeric: NumericDistribution, base: str, test: str | None) -> float:
    """Return how much of the impressions must move for two splits to be alike: half the sum of the differences."""
    if test is None:
        return math.nan
    (here, none_here), (there, none_there) = bucket_shares(numeric, base), bucket_shares(numeric, test)
    if len(here) != len(there):
        return math.nan
    return 0.5 * (abs(none_here - none_there) + sum(abs(a - b) for a, b in zip(here, there, strict=True)))


def _picture(statistics: DataStatistics, fields: Sequence[tuple[FieldStatistics, NumericDistribution]]) -> Picture:
    base, test = base_split(statistics), looked_at(statistics)
    moved = [(shift(numeric, base, test), field, numeric) for field, numeric in fields]
    order = sorted(moved, key=lambda each: -(0 if math.isnan(each[0]) else each[0]))
    chosen, rest = order[:MOST_PANELS], len(order) - MOST_PANELS
    figure, panels = small_multiples(len(chosen), width=0.9, height=0.9)
    numbers = {}
    for panel, (_, field, numeric) in zip(panels, chosen, strict=True):
        shares = {split: bucket_shares(numeric, split) for split in (base, test) if split is not None}
        buckets = len(numeric.edges) + 1
        for place, (split, (inside, missing)) in enumerate(shares.items()):
            ys = [*inside, missing] if inside else [math.nan] * (buckets + 1)
            xs = [*range(buckets), buckets + 0.5]
            if place == 0:
                panel.bar(xs, ys, width=0.86, label=cut(split), **bar_of(0))
            else:
                panel.plot(xs, ys, label=cut(split), **{**line_of(place), "linestyle": "none"})
        step = max(1, math.ceil(len(numeric.edges) / _MOST_EDGES))
        told = list(range(0, len(numeric.edges), step))
        panel.set_xticks(
            [*(place + 0.5 for place in told), buckets + 0.5],
            [*(short(numeric.edges[place]) for place in told), "none"],
        )
        panel.grid(visible=False, axis="x")
        panel.set_title(field_name(field))
        panel.set_xlabel("value (edges of the buckets)")
        panel.set_ylabel("share of impressions")
        panel.set_ylim(bottom=0)
        show_percent(panel.yaxis)
        if len(shares) > 1:
            legend_above(panel)
        numbers[field.name] = {
            "edges": list(numeric.edges),
            "shares": {split: inside for split, (inside, _) in shares.items()},
            "missing": {split: missing for split, (_, missing) in shares.items()},
        }
    return Picture(
        name="numeric-fields",
        title=_title(statistics, chosen[0][1], chosen[0][2]),
        how_to_read=f"A bar is the share of {cut(base)}'s impressions whose value lies between two edges, which are "
        "written below; buckets are drawn equally wide. The bar apart, 'none', has no value."
        + (f" The marks are {cut(test)}." if test is not None else "")
        + (f" {rest} more fields that differ less are in the table." if rest > 0 else ""),
        figure=figure,
        numbers=numbers,
    )


def _title(statistics: DataStatistics, field: FieldStatistics, numeric: NumericDistribution) -> str:
    base, test = base_split(statistics), looked_at(statistics)
    moved = shift(numeric, base, test)
    if test is None or math.isnan(moved):
        fullest = max(bucket_shares(numeric, base)[0], default=math.nan)
        return f"The fullest bucket of {field_name(field)} holds {percent(fullest)} of the impressions of {cut(base)}."
    return (
        f"{field_name(field)} shifts most: {percent(moved)} of {cut(test)}'s impressions are in other buckets than "
        f"{cut(base)}'s."
    )


def _table(statistics: DataStatistics, fields: Sequence[tuple[FieldStatistics, NumericDistribution]]) -> PageTable:
    base, test = base_split(statistics), looked_at(statistics)
    splits = [split for split in (base, test) if split is not None]
    rows = []
    for field, numeric in fields:
        inside, _ = bucket_shares(numeric, base)
        rows.append(
            [
                field_name(field),
                str(len(numeric.edges) + 1),
                short(min(numeric.edges, default=None)),
                short(max(numeric.edges, default=None)),
                percent(max(inside, default=None)),
                percent(min(inside, default=None)),
                *(percent(bucket_shares(numeric, split)[1]) for split in splits),
                *([percent(shift(numeric, base, test))] if test is not None else []),
            ]
        )
    return PageTable(
        title="Buckets of the numeric fields.",
        head=[
            "field",
            "buckets",
            "first edge",
            "last edge",
            "fullest bucket",
            "emptiest",
            *(f"no value in {cut(split)}" for split in splits),
            *(["shifted"] if test is not None else []),
        ],
        rows=rows,
        how_to_read=f"Fullest and emptiest: shares of {cut(base)}'s impressions."
        + (f" Shifted: the share of {cut(test)}'s impressions that are in other buckets." if test is not None else ""),
    )
