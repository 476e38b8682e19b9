"""Which splits of a data set are set against which."""

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


def coverage(statistics: DataStatistics, field: FieldStatistics, split: str) -> float:
    """Return the share of a split's impressions in which a field has an id; nan if there are none."""
    inside = in_split(field, split)
    return ratio(inside.covered if inside else None, statistics.splits[split].funnel.impressions)


def in_split(field: FieldStatistics, split: str | None) -> FieldInSplit | None:
    """Return a field in a split; None if the split is none or the field is not told of in it."""
    return field.splits.get(split) if split is not None else None


def unseen_share(field: FieldStatistics, split: str | None) -> float:
    """Return the share of a split's distinct ids that train lacks; nan if it is not known."""
    inside = in_split(field, split)
    return ratio(inside.unseen_ids, inside.distinct_ids) if inside else float("nan")


def unseen_occurrence_share(field: FieldStatistics, split: str | None) -> float:
    """Return the share of a split's occurrences whose ids train lacks; nan if it is not known."""
    inside = in_split(field, split)
    return ratio(inside.unseen_occurrences, inside.occurrences) if inside else float("nan")
