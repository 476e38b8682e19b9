"""Impressions by bucket of each numeric field."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from esmm_dist.report.data_page.axes import marks_on_bars
from esmm_dist.report.data_page.compared import base_split, looked_at
from esmm_dist.report.data_page.texts import field_name, ratio, shown
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics, NumericDistribution
from esmm_dist.report.page.blocks import PageTable, Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, short, show_percent
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import bar_of

MOST_PANELS = 12
MOST_BARS = 40
"""Bars of a panel: more are too thin to be seen, so that neighbours are drawn together."""
_MOST_EDGES, _MOST_LETTERS = 5, 16


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


@dataclass(frozen=True, kw_only=True)
class BucketShares:
    """Shares of a split's impressions."""

    buckets: Sequence[float]
    missing: float
    not_kept: float
    """In buckets that ``--min-count`` dropped."""

    @property
    def all(self) -> list[float]:
        """All of them; they sum to 1."""
        return [*self.buckets, self.missing, self.not_kept]


def bucket_shares(numeric: NumericDistribution, split: str) -> BucketShares:
    """Return where a split's impressions are; shares are nan where there are none."""
    inside = numeric.impressions.get(split) or [0] * (len(numeric.edges) + 1)
    missing, not_kept = numeric.missing.get(split, 0), numeric.not_kept.get(split, 0)
    total = sum(inside) + missing + not_kept
    return BucketShares(
        buckets=[ratio(each, total) for each in inside],
        missing=ratio(missing, total),
        not_kept=ratio(not_kept, total),
    )


def shift(numeric: NumericDistribution, base: str, test: str | None) -> float:
    """Return how much of the impressions must move for two splits to be alike: half the sum of the differences."""
    if test is None:
        return math.nan
    here, there = bucket_shares(numeric, base).all, bucket_shares(numeric, test).all
    return 0.5 * sum(abs(a - b) for a, b in zip(here, there, strict=True))


def _picture(statistics: DataStatistics, fields: Sequence[tuple[FieldStatistics, NumericDistribution]]) -> Picture:
    base, test = base_split(statistics), looked_at(statistics)
    moved = [(shift(numeric, base, test), field, numeric) for field, numeric in fields]
    order = sorted(moved, key=lambda each: -(0 if math.isnan(each[0]) else each[0]))
    chosen, rest = order[:MOST_PANELS], len(order) - MOST_PANELS
    figure, panels = small_multiples(len(chosen), width=0.9 if len(chosen) > 2 else 1.0, height=0.95)
    numbers, drawn_together = {}, False
    for panel, (_, field, numeric) in zip(panels, chosen, strict=True):
        shares = {split: bucket_shares(numeric, split) for split in (base, test) if split is not None}
        drawn_together |= _draw(panel, numeric, shares)
        panel.set_title(field_name(field))
        panel.set_xlabel("value (edges of the buckets)")
        panel.set_ylabel("share of impressions")
        if len(shares) > 1:
            legend_above(panel)
        numbers[field.name] = {
            "edges": list(numeric.edges),
            "shares": {split: list(each.buckets) for split, each in shares.items()},
            "missing": {split: each.missing for split, each in shares.items()},
            "not_kept": {split: each.not_kept for split, each in shares.items()},
        }
    return Picture(
        name="numeric-fields",
        title=_title(statistics, chosen[0][1], chosen[0][2]),
        how_to_read=f"A bar is the share of {shown(base)}'s impressions whose value lies between two edges, which are "
        "written below; buckets are drawn equally wide, empty ones at both ends are left out"
        + (f", and of more than {MOST_BARS} buckets neighbours are one bar" if drawn_together else "")
        + ". Apart at the right: "
        "impressions without a value ('none'), and of buckets that preprocess dropped as rare ('rare'), if any."
        + (f" The marks are {shown(test)}." if test is not None else "")
        + (f" {rest} more fields that differ less are in the table." if rest > 0 else ""),
        figure=figure,
        numbers=numbers,
    )


def _draw(panel: Axes, numeric: NumericDistribution, shares: Mapping[str, BucketShares]) -> bool:
    """Draw a field; return whether a bar has several buckets."""
    first, last = _filled(shares.values())
    edges, bars = bars_of(numeric.edges[first:last], [each.buckets[first : last + 1] for each in shares.values()])
    buckets = len(edges) + 1
    apart = [("none", [each.missing for each in shares.values()])]
    if any(each.not_kept > 0 for each in shares.values()):
        apart.append(("rare", [each.not_kept for each in shares.values()]))
    gap = max(0.5, 0.05 * buckets)
    width = max(1.0, 0.06 * buckets)
    beside = [buckets - 0.5 + gap + width * (i + 0.5) for i in range(len(apart))]
    for place, split in enumerate(shares):
        xs = [*range(buckets), *beside]
        ys = [*bars[place], *(values[place] for _, values in apart)]
        if place == 0:
            widths = [0.9] * buckets + [0.8 * width] * len(apart)
            panel.bar(xs, ys, width=widths, label=shown(split), **bar_of(0))
        else:
            marks_on_bars(panel, xs, ys, shown(split))
    letters = max((len(short(edge)) for edge in edges), default=1)
    most = max(1, min(_MOST_EDGES, _MOST_LETTERS // letters))
    told = range(0, len(edges), max(1, math.ceil(len(edges) / most)))
    places = [*(place + 0.5 for place in told), *beside]
    panel.set_xticks(places, [*(short(edges[place]) for place in told), *(name for name, _ in apart)])
    panel.tick_params(axis="x", labelsize=9)
    panel.grid(visible=False, axis="x")
    panel.set_ylim(bottom=0)
    show_percent(panel.yaxis)
    return last - first >= buckets


def bars_of(
    edges: Sequence[float], shares: Sequence[Sequence[float]]
) -> tuple[Sequence[float], Sequence[Sequence[float]]]:
    """Return the edges and shares of at most ``MOST_BARS`` bars; neighbouring buckets, as many each, are one.

    Args:
        edges: limits between the buckets: E
        shares: share of each bucket, E + 1, by split
    """
    each = -(-(len(edges) + 1) // MOST_BARS)
    merged = [[sum(of_split[at : at + each]) for at in range(0, len(of_split), each)] for of_split in shares]
    return edges[each - 1 :: each], merged


def _filled(shares: Iterable[BucketShares]) -> tuple[int, int]:
    """Return the first and the last bucket that has an impression in some split; all buckets if none has."""
    each = [max(values) for values in zip(*(one.buckets for one in shares), strict=True)]
    filled = [place for place, share in enumerate(each) if share > 0]
    return (filled[0], filled[-1]) if filled else (0, len(each) - 1)


def _title(statistics: DataStatistics, field: FieldStatistics, numeric: NumericDistribution) -> str:
    base, test = base_split(statistics), looked_at(statistics)
    moved = shift(numeric, base, test)
    if test is None or math.isnan(moved):
        fullest = max(bucket_shares(numeric, base).buckets)
        return (
            f"The fullest bucket of {field_name(field)} holds {percent(fullest)} of the impressions of {shown(base)}."
        )
    return (
        f"{field_name(field)} shifts most: {percent(moved)} of {shown(test)}'s impressions are in other buckets than "
        f"{shown(base)}'s."
    )


def _table(statistics: DataStatistics, fields: Sequence[tuple[FieldStatistics, NumericDistribution]]) -> PageTable:
    base, test = base_split(statistics), looked_at(statistics)
    splits = [split for split in (base, test) if split is not None]
    rows = []
    for field, numeric in fields:
        inside = bucket_shares(numeric, base).buckets
        rows.append(
            [
                field_name(field),
                str(len(numeric.edges) + 1),
                short(min(numeric.edges, default=None)),
                short(max(numeric.edges, default=None)),
                percent(max(inside)),
                percent(min(inside)),
                *(percent(bucket_shares(numeric, split).missing) for split in splits),
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
            *(f"no value in {shown(split)}" for split in splits),
            *(["shifted"] if test is not None else []),
        ],
        rows=rows,
        how_to_read=f"Fullest and emptiest: shares of {shown(base)}'s impressions."
        + (
            f" Shifted: the share of {shown(test)}'s impressions that are in other buckets." if test is not None else ""
        ),
    )
