"""Which splits of a data set are set against which, and in what."""

import math

from esmm_dist.report.data_page.texts import ratio
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldInSplit, FieldStatistics

TRAIN = "train"


def base_split(statistics: DataStatistics) -> str:
    """Return the split that others are compared with: train, else the first; empty without splits."""
    names = list(statistics.splits)
    return TRAIN if TRAIN in names else names[0] if names else ""


def later_splits(statistics: DataStatistics) -> list[str]:
    """Return the splits that are compared with train, test last; none without train."""
    if TRAIN not in statistics.splits:
        return []
    others = [name for name in statistics.splits if name != TRAIN]
    return sorted(others, key=lambda name: (name == "test", others.index(name)))


def ordered_splits(statistics: DataStatistics) -> list[str]:
    """Return all splits: train, others, test."""
    later = later_splits(statistics)
    return [TRAIN, *later] if TRAIN in statistics.splits else list(statistics.splits)


def looked_at(statistics: DataStatistics) -> str | None:
    """Return the one split that is compared with train where there is room for one: test, else the last."""
    later = later_splits(statistics)
    return later[-1] if later else None


def in_split(field: FieldStatistics, split: str | None) -> FieldInSplit | None:
    """Return a field in a split; None if there is none, or the field is not told of in it."""
    return field.splits.get(split) if split is not None else None


def coverage(statistics: DataStatistics, field: FieldStatistics, split: str | None) -> float:
    """Return the share of a split's impressions in which a field has a value; nan if there are none."""
    inside = in_split(field, split)
    return ratio(inside.covered, statistics.splits[split].funnel.impressions) if inside and split else math.nan


def coverage_of_log(statistics: DataStatistics, field: FieldStatistics, split: str) -> float:
    """Return the coverage as it was before preprocess dropped rare and unseen ids."""
    inside = in_split(field, split)
    if inside is None:
        return math.nan
    return ratio(inside.covered + (inside.not_kept or 0), statistics.splits[split].funnel.impressions)


def unseen_share(field: FieldStatistics, split: str | None) -> float:
    """Return the share of a split's distinct ids that train lacks; nan if it is not known.

    It is not known of a data set from which preprocess has dropped ids: it does not say how many they were.
    """
    inside = in_split(field, split)
    if inside is None or inside.dropped_occurrences or (inside.dropped_occurrences is None and field.min_count):
        return math.nan
    return ratio(inside.unseen_ids, inside.distinct_ids)


def new_occurrence_share(field: FieldStatistics, split: str | None) -> float:
    """Return the share of a split's occurrences whose ids train lacks, or that preprocess dropped as too rare there."""
    inside = in_split(field, split)
    if inside is None or inside.unseen_occurrences is None:
        return math.nan
    dropped = inside.dropped_occurrences or 0
    return ratio(inside.unseen_occurrences + dropped, inside.occurrences + dropped)


def psi_of(field: FieldStatistics, split: str | None) -> float:
    """Return a field's population stability index between train and a split; nan if it is not known."""
    inside = in_split(field, split)
    return math.nan if inside is None or inside.psi is None else inside.psi


def psi_noise_of(field: FieldStatistics, split: str | None) -> float:
    """Return what chance alone gives, on average; nan if it is not known."""
    inside = in_split(field, split)
    return math.nan if inside is None or inside.psi_noise is None else inside.psi_noise
