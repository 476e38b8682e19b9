"""Tables with a line for each field: what it holds, and how other splits compare with train."""

from collections.abc import Sequence

from esmm_dist.report.data_page.compared import (
    base_split,
    coverage,
    in_split,
    later_splits,
    looked_at,
    new_occurrence_share,
    psi_noise_of,
    psi_of,
    unseen_share,
)
from esmm_dist.report.data_page.drift_level import SHIFTED_PSI
from esmm_dist.report.data_page.texts import field_name, shown
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.numbers_shown import percent, short, whole

_COMPARED = ("ids unseen", "occurrences new", "PSI", "PSI by chance")


def field_table(statistics: DataStatistics) -> PageTable:
    """Return what each field holds in train (or in the first split)."""
    base = base_split(statistics)
    has_dropped = any(field.dropped_ids is not None for field in statistics.fields)
    how = (
        f"Numbers are of {shown(base)}: distinct ids, the impressions that hold each id added up, ids an impression "
        "(mean, and what 99% do not exceed), and the share of the impressions that have a value."
    )
    if has_dropped:
        how += " Dropped ids are those of train that preprocess left out as too rare."
    if any(field.ids_are_estimates for field in statistics.fields):
        how += " ~ marks an estimate from a sample of the ids."
    head = [
        *("field", "name", "owner", "kind", "distinct ids"),
        *(["dropped ids"] if has_dropped else []),
        *("occurrences", "ids each", "p99", "covers"),
    ]
    return PageTable(
        title="What the fields hold.",
        head=head,
        rows=[_row(statistics, field, base, has_dropped=has_dropped) for field in statistics.fields],
        text_columns=(0, 1, 2, 3),
        how_to_read=how,
        bars={len(head) - 1: [coverage(statistics, field, base) for field in statistics.fields]},
    )


def _row(statistics: DataStatistics, field: FieldStatistics, base: str, *, has_dropped: bool) -> Sequence[str]:
    about = "~" if field.ids_are_estimates else ""
    inside = in_split(field, base)
    lists = inside.ids_an_impression if inside else None
    return [
        field_name(field),
        shown(field.name),
        shown(field.owner),
        shown(field.kind),
        about + whole(inside.distinct_ids if inside else None),
        *([whole(field.dropped_ids)] if has_dropped else []),
        whole(inside.occurrences if inside else None),
        short(lists.mean if lists else None),
        whole(lists.p99 if lists else None),
        percent(coverage(statistics, field, base)),
    ]


def compared_table(statistics: DataStatistics) -> PageTable | None:
    """Return how the fields of test compare with train; None if there is nothing to compare."""
    test = looked_at(statistics)
    if test is None:
        return None
    base = base_split(statistics)
    head = ["field", *(f"covers {shown(split)}" for split in (base, test)), *_COMPARED]
    return PageTable(
        title=f"What {shown(test)} has that {shown(base)} has not.",
        head=head,
        rows=[
            [
                field_name(field),
                *(percent(coverage(statistics, field, split)) for split in (base, test)),
                *_compared(field, test),
            ]
            for field in statistics.fields
        ],
        how_to_read=f"Covers: the share of impressions with a value. Unseen: the share of {shown(test)}'s distinct "
        "ids that train lacks (–: preprocess dropped them, their number is not known). New: the share of occurrences "
        "whose ids train lacks or has too seldom. PSI: population stability index, below "
        f"{SHIFTED_PSI} is stable; by chance: what samples of this size have without any drift.",
        bars={
            place: [coverage(statistics, field, split) for field in statistics.fields]
            for place, split in enumerate((base, test), 1)
        },
    )


def _compared(field: FieldStatistics, split: str) -> Sequence[str]:
    return [
        percent(unseen_share(field, split)),
        percent(new_occurrence_share(field, split)),
        short(psi_of(field, split)),
        short(psi_noise_of(field, split)),
    ]


def splits_table(statistics: DataStatistics) -> PageTable | None:
    """Return a line for each field and each split other than train; None if one is compared and shown already."""
    later = later_splits(statistics)
    if len(later) < 2:
        return None
    rows = []
    for field in statistics.fields:
        for split in later:
            inside = in_split(field, split)
            rows.append(
                [
                    field_name(field),
                    shown(split),
                    whole(inside.distinct_ids if inside else None),
                    percent(coverage(statistics, field, split)),
                    *_compared(field, split),
                ]
            )
    return PageTable(
        title="Each split against train.",
        head=["field", "split", "distinct ids", "covers", *_COMPARED],
        rows=rows,
        text_columns=(0, 1),
        folded=True,
    )
