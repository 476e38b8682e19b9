"""How often ids occur, and what each --min-count keeps of them."""

import bisect
from collections.abc import Sequence
from typing import Any

from esmm_dist.report.data_page.axes import SINGLE, counts_on_log
from esmm_dist.report.data_page.texts import field_name, ratio
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics, IdFrequency
from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, show_percent, show_short, whole
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import line_of

MOST_LINES = 6
_TOLD_MIN_COUNT = 10
"""The --min-count that the title tells of."""
_TABLE_MIN_COUNTS = (2, 5, 10, 20, 50)


def id_section(statistics: DataStatistics) -> Section | None:
    """Return the frequency curves and what --min-count keeps; None if train has no ids."""
    fields = [field for field in statistics.fields if field.frequency.ids and field.frequency.ids[0] > 0]
    if not fields:
        return None
    kept = all_fields(fields)
    blocks: list[Block] = [_curves(fields), _kept_picture(kept)]
    note = _dropped_note(fields)
    blocks += [Paragraph(text=note, kind="note")] if note else []
    blocks += [_kept_table(kept), _field_table(fields)]
    return Section(
        heading="Ids",
        lead="Each id of a field has a row of numbers that a model learns. esmm preprocess --min-count N leaves out "
        "ids that occur less than N times in train: fewer rows, at the cost of occurrences.",
        blocks=blocks,
    )


def at_least(frequency: IdFrequency, min_count: int) -> tuple[int, int]:
    """Return the ids that occur at least so often, and their occurrences.

    Between two listed counts it is the value at the next: fewer than there are, never more.
    """
    place = bisect.bisect_left(frequency.min_counts, min_count)
    if place == len(frequency.min_counts):
        return 0, 0
    return frequency.ids[place], frequency.occurrences[place]


def all_fields(fields: Sequence[FieldStatistics]) -> IdFrequency:
    """Return the sum over fields: an id of two fields counts twice."""
    min_counts = sorted({count for field in fields for count in field.frequency.min_counts})
    sums = [[at_least(field.frequency, count) for field in fields] for count in min_counts]
    return IdFrequency(
        min_counts=min_counts,
        ids=[sum(ids for ids, _ in each) for each in sums],
        occurrences=[sum(occurrences for _, occurrences in each) for each in sums],
    )


def _dropped_note(fields: Sequence[FieldStatistics]) -> str:
    """Return what preprocess has dropped already; empty if nothing."""
    min_counts = sorted({field.min_count for field in fields if field.min_count and field.min_count > 1})
    if not min_counts:
        return ""
    dropped = sum(field.dropped_ids or 0 for field in fields if field.ids_of is None)
    text = f"preprocess --min-count {min_counts[-1]} has dropped {whole(dropped)} ids of train already"
    unknown = [field for field in fields if field.frequency.ids[0] == at_least(field.frequency, 2)[0]]
    if len(unknown) == len(fields):
        return f"{text}; how often they occur is not known, so they are not in these numbers."
    return f"{text}; they are in these numbers where the data set knows how often they occur."


def kept_sentence(kept: IdFrequency, min_count: int) -> str:
    """Return what a --min-count keeps, as a sentence."""
    ids, occurrences = at_least(kept, min_count)
    return (
        f"--min-count {min_count} keeps {percent(ratio(ids, kept.ids[0]))} of the ids and "
        f"{percent(ratio(occurrences, kept.occurrences[0]))} of the occurrences."
    )


def _how_many_occur(every: int, often: int) -> str:
    """Return the beginning of a sentence on so many of the ids."""
    if often in (0, every):
        return "None of them occurs" if not often else "All of them occur" if every > 1 else "It occurs"
    return f"{whole(often)} of them {'occurs' if often == 1 else 'occur'}"


def _curves(fields: Sequence[FieldStatistics]) -> Picture:
    order = sorted(fields, key=lambda field: -field.frequency.ids[0])
    chosen, rest = order[:MOST_LINES], len(order) - MOST_LINES
    figure, axes = new_figure(width=SINGLE, height=1.15)
    panel = axes[0, 0]
    numbers: dict[str, Any] = {}
    for place, field in enumerate(chosen):
        frequency = field.frequency
        told = [(count, ids) for count, ids in zip(frequency.min_counts, frequency.ids, strict=True) if ids > 0]
        counts, ids = [count for count, _ in told], [each for _, each in told]
        panel.plot(counts, ids, label=field_name(field), **line_of(place))
        numbers[field.name] = {"at_least": counts, "ids": ids}
    panel.set_xscale("log")
    panel.set_yscale("log")
    counts_on_log(panel.xaxis, max(count for each in numbers.values() for count in each["at_least"]))
    show_short(panel.yaxis)
    panel.set_xlabel("impressions with the id, at least (logarithmic)")
    panel.set_ylabel("distinct ids (logarithmic)")
    legend_above(panel)
    first = order[0]
    every, often = first.frequency.ids[0], at_least(first.frequency, _TOLD_MIN_COUNT)[0]
    return Picture(
        name="id-frequency",
        title=f"{field_name(first)} has the most ids: {whole(every)}. {_how_many_occur(every, often)} "
        f"{_TOLD_MIN_COUNT} times or more.",
        how_to_read="A line tells how many ids of a field occur at least so often in train. A line that falls steeply "
        "has many rare ids, of which a model learns little."
        + (f" The {MOST_LINES} fields with most ids are shown; the other {rest} are in the table." if rest > 0 else ""),
        figure=figure,
        numbers=numbers,
    )


def _kept_picture(kept: IdFrequency) -> Picture:
    ids = [ratio(each, kept.ids[0]) for each in kept.ids]
    occurrences = [ratio(each, kept.occurrences[0]) for each in kept.occurrences]
    figure, axes = new_figure(width=SINGLE, height=1.15)
    panel = axes[0, 0]
    panel.plot(kept.min_counts, ids, label="ids", **line_of(0))
    panel.plot(kept.min_counts, occurrences, label="occurrences", **line_of(1))
    panel.set_xscale("log")
    panel.set_ylim(0, 1.03)
    counts_on_log(panel.xaxis, max(kept.min_counts))
    show_percent(panel.yaxis)
    panel.set_xlabel("--min-count (logarithmic)")
    panel.set_ylabel("share that is kept")
    legend_above(panel)
    return Picture(
        name="min-count",
        title=kept_sentence(kept, _TOLD_MIN_COUNT),
        how_to_read="Of all fields together: the share of the distinct ids that occur at least so often in train, and "
        "the share of all occurrences that are theirs. What is left out is read as a missing value.",
        figure=figure,
        numbers={"min_counts": list(kept.min_counts), "share_of_ids": ids, "share_of_occurrences": occurrences},
    )


def _kept_table(kept: IdFrequency) -> PageTable:
    return PageTable(
        title="What each --min-count keeps, of all fields together.",
        head=["--min-count", "ids", "of all", "occurrences", "of all"],
        rows=[
            [
                whole(count),
                whole(ids),
                percent(ratio(ids, kept.ids[0])),
                whole(occurrences),
                percent(ratio(occurrences, kept.occurrences[0])),
            ]
            for count, ids, occurrences in zip(kept.min_counts, kept.ids, kept.occurrences, strict=True)
            if ids > 0
        ],
        text_columns=(),
    )


def _field_table(fields: Sequence[FieldStatistics]) -> PageTable:
    def cell(field: FieldStatistics, count: int) -> str:
        frequency = field.frequency
        ids, occurrences = at_least(frequency, count)
        return f"{percent(ratio(ids, frequency.ids[0]))} / {percent(ratio(occurrences, frequency.occurrences[0]))}"

    return PageTable(
        title="What each --min-count keeps of each field.",
        head=["field", "ids", *(f"{count}" for count in _TABLE_MIN_COUNTS)],
        rows=[
            [
                field_name(field),
                ("~" if field.ids_are_estimates else "") + whole(field.frequency.ids[0]),
                *(cell(field, count) for count in _TABLE_MIN_COUNTS),
            ]
            for field in fields
        ],
        how_to_read="Under each --min-count, the share of the ids and of the occurrences that it keeps.",
        folded=True,
    )
