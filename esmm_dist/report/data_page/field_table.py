"""One line for each field."""

import math
from collections.abc import Sequence

from esmm_dist.report.data_page.compared import (
    TRAIN,
    base_split,
    coverage,
    in_split,
    later_splits,
    looked_at,
    unseen_occurrence_share,
    unseen_share,
)
from esmm_dist.report.data_page.drift_level import SHIFTED_PSI, psi_noise
from esmm_dist.report.data_page.texts import decimal, percent, shown, whole
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.report.page.blocks import PageTable


def field_table(statistics: DataStatistics) -> PageTable:
    """Return the table of the fields: numbers of train, and how test compares."""
    base, test = base_split(statistics), looked_at(statistics)
    heads = ["field", "name", "owner", "kind", "distinct ids", "occurrences", f"covers of {shown(base)}"]
    if test is not None:
        heads.append(f"covers of {shown(test)}")
    heads += ["ids an impression", "p99"]
    if test is not None:
        heads += [f"ids of {shown(test)} unseen", "of occurrences", "PSI"]
    about = any(field.ids_are_estimates for field in statistics.fields)
    how = (
        f"Ids and occurrences are of {shown(base)}. A field covers an impression that has at least one id of it; "
        "'ids an impression' is the mean over all impressions, p99 what 99% do not exceed."
    )
    if test is not None:
        how += (
            f" Unseen: the share of {shown(test)}'s distinct ids, and of their occurrences, that train lacks. PSI: "
            f"population stability index between train and {shown(test)}; below {SHIFTED_PSI} is stable."
        )
    if about:
        how += " ~ marks an estimate from a sample of the ids."
    return PageTable(
        title="The fields.",
        head=heads,
        rows=[_row(statistics, field, base, test) for field in statistics.fields],
        text_columns=(0, 1, 2, 3),
        how_to_read=how,
    )


def _row(statistics: DataStatistics, field: FieldStatistics, base: str, test: str | None) -> Sequence[str]:
    about = "~" if field.ids_are_estimates else ""
    of_base = in_split(field, base)
    lists = of_base.ids_an_impression if of_base else None
    row = [
        shown(field.alias or field.name),
        shown(field.name),
        shown(field.owner),
        shown(field.kind),
        about + whole(of_base.distinct_ids) if of_base else "–",
        whole(of_base.occurrences) if of_base else "–",
        percent(coverage(statistics, field, base)) if base else "–",
    ]
    if test is not None:
        row.append(percent(coverage(statistics, field, test)))
    row += [decimal(lists.mean) if lists else "–", whole(lists.p99) if lists else "–"]
    if test is not None:
        inside = in_split(field, test)
        share = unseen_share(field, test)
        row += [
            (about if not math.isnan(share) else "") + percent(share),
            percent(unseen_occurrence_share(field, test)),
            decimal(inside.psi if inside else None),
        ]
    return row


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
                    shown(field.alias or field.name),
                    shown(split),
                    whole(inside.distinct_ids if inside else None),
                    percent(coverage(statistics, field, TRAIN)),
                    percent(coverage(statistics, field, split)),
                    percent(unseen_share(field, split)),
                    percent(unseen_occurrence_share(field, split)),
                    decimal(inside.psi if inside else None),
                    decimal(psi_noise(field, split)),
                ]
            )
    return PageTable(
        title="Each split against train.",
        head=[
            "field",
            "split",
            "distinct ids",
            "covers of train",
            "covers of the split",
            "ids unseen",
            "of occurrences",
            "PSI",
            "PSI by chance",
        ],
        rows=rows,
        text_columns=(0, 1),
        folded=True,
    )
