"""How long the lists of multi-hot fields are."""

from esmm_dist.report.data_page.axes import marks_on_bars
from esmm_dist.report.data_page.compared import base_split, in_split, looked_at
from esmm_dist.report.data_page.doubling import bin_name, doubling_bins, shares_of_bins
from esmm_dist.report.data_page.texts import field_name, plural, ratio, shown
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.report.page.blocks import Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, short, show_percent, whole
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import bar_of

MOST_PANELS = 12
_MOST_BIN_NAMES = 6


def list_section(statistics: DataStatistics) -> Section | None:
    """Return a picture of the list lengths; None if no field holds lists."""
    base = base_split(statistics)
    fields = [field for field in statistics.fields if "multi-hot" in field.kind and in_split(field, base)]
    if not fields:
        return None
    return Section(
        heading="List lengths",
        lead="How many ids an impression has of each multi-hot field. Long lists cost time in training: max_ids of a "
        "field cuts them.",
        blocks=[_picture(statistics, fields)],
    )


def _p99(field: FieldStatistics, split: str) -> int:
    inside = in_split(field, split)
    return inside.ids_an_impression.p99 if inside else 0


def _picture(statistics: DataStatistics, fields: list[FieldStatistics]) -> Picture:
    base, test = base_split(statistics), looked_at(statistics)
    order = sorted(fields, key=lambda field: -_p99(field, base))
    chosen = order[:MOST_PANELS]
    figure, panels = small_multiples(len(chosen), width=0.8, height=0.85)
    numbers = {}
    for panel, field in zip(panels, chosen, strict=True):
        told = {split: each for split in (base, test) if split and (each := in_split(field, split)) is not None}
        lows = doubling_bins([each.ids_an_impression for each in told.values()])
        shares = {split: shares_of_bins(each.ids_an_impression, lows) for split, each in told.items()}
        panel.bar(range(len(lows)), shares[base], width=0.8, label=shown(base), **bar_of(0))
        if test in shares:
            marks_on_bars(panel, range(len(lows)), shares[test], shown(test))
        step = -(-len(lows) // _MOST_BIN_NAMES)
        panel.set_xticks(range(0, len(lows), step), [bin_name(low) for low in lows[::step]])
        panel.tick_params(axis="x", labelsize=9)
        lists = told[base].ids_an_impression
        panel.set_title(f"{field_name(field)}: mean {short(lists.mean)}, p99 {whole(lists.p99)}")
        panel.set_xlabel("ids an impression")
        panel.set_ylabel("share of impressions")
        show_percent(panel.yaxis)
        if test in shares:
            legend_above(panel)
        numbers[field.name] = {"lowest": lows, "shares": shares, "mean": lists.mean, "p99": lists.p99}
    longest = chosen[0]
    inside = in_split(longest, base)
    assert inside is not None
    lists = inside.ids_an_impression
    empty = dict(zip(lists.counts, lists.things, strict=True)).get(0, 0)
    rest = len(order) - len(chosen)
    return Picture(
        name="list-lengths",
        title=f"{field_name(longest)} has the longest lists: 99% of {shown(base)}'s impressions have at most "
        f"{whole(lists.p99)} {plural(lists.p99, 'id')} of it, and {percent(ratio(empty, lists.total))} have none.",
        how_to_read=f"A bar is the share of {shown(base)}'s impressions whose list has so many ids; each bar spans "
        "twice as many as the one before (1, 2 to 3, 4 to 7, ...)."
        + (f" The marks are {shown(test)}." if test else "")
        + (f" {rest} more fields with shorter lists are in the table of the fields." if rest > 0 else ""),
        figure=figure,
        numbers=numbers,
    )
