"""The statistics as lines of text, for a terminal."""

from collections.abc import Iterator

from esmm_dist.report.data_statistics.statistics import (
    DataStatistics,
    FieldInSplit,
    FieldStatistics,
    Funnel,
    SplitStatistics,
)
from esmm_dist.text_table import text_table

_NO_VALUE = "-"
_MOST_DAYS = 31
"""Days that are listed, the last ones; a page shows all."""


def statistics_lines(statistics: DataStatistics) -> list[str]:
    """Return the funnel, the fields and what is not in the numbers, a line each."""
    return [
        f"{statistics.source_kind.capitalize()} {statistics.source}: schema {statistics.schema}",
        *_sample_lines(statistics),
        "",
        *_funnel_lines(statistics),
        *_day_lines(statistics),
        "",
        *_field_lines(statistics),
        "",
        *_notes(statistics),
    ]


def not_in_train(found: FieldInSplit) -> float | None:
    """Return the share of a split's occurrences whose ids train has not, or has too seldom; None: not known."""
    if found.unseen_occurrences is None:
        return None
    dropped = found.dropped_occurrences or 0
    everything = found.occurrences + dropped
    return (found.unseen_occurrences + dropped) / everything if everything else None


def _sample_lines(statistics: DataStatistics) -> list[str]:
    if statistics.sample_share == 1:
        return []
    what = "user contexts" if statistics.source_kind == "raw log" else "impressions"
    return [f"A sample: {statistics.sample_share:.2%} of the {what} were read, and all numbers are of these."]


def _funnel_lines(statistics: DataStatistics) -> list[str]:
    head = ["split", "impressions"]
    for place, name in enumerate(statistics.label_names):
        head += [name, _rate_name(statistics, place)]
    head += ["contexts", "impressions each", "p99", "contexts a user"]
    return text_table(head, [_funnel_row(statistics, split, each) for split, each in statistics.splits.items()])


def _funnel_row(statistics: DataStatistics, split: str, found: SplitStatistics) -> list[str]:
    row = [split, *_funnel_cells(statistics, found.funnel)]
    row.append(_NO_VALUE if found.contexts is None else f"{found.contexts:,}")
    contexts = found.impressions_a_context
    row += [_NO_VALUE, _NO_VALUE] if contexts is None else [f"{contexts.mean:.2f}", f"{contexts.p99:,}"]
    of_users = found.contexts_a_user
    row.append(_NO_VALUE if of_users is None or not of_users.total else f"{of_users.mean:.2f}")
    return row


def _day_lines(statistics: DataStatistics) -> list[str]:
    days = [(split, day, funnel) for split, found in statistics.days.items() for day, funnel in found.items()]
    if not days:
        return []
    head = ["split", "day", "impressions"]
    for place, name in enumerate(statistics.label_names):
        head += [name, _rate_name(statistics, place)]
    rows = [[split, day, *_funnel_cells(statistics, funnel)] for split, day, funnel in days[-_MOST_DAYS:]]
    earlier = len(days) - _MOST_DAYS
    return ["", *text_table(head, rows), *([f"... and {earlier:,} earlier days (--json)"] if earlier > 0 else [])]


def _rate_name(statistics: DataStatistics, place: int) -> str:
    parent = statistics.label_parents[place]
    return "rate" if parent < 0 else f"of {statistics.label_names[parent]}"


def _funnel_cells(statistics: DataStatistics, funnel: Funnel) -> list[str]:
    """Return the impressions, and of each label its number and its rate."""
    cells = [f"{funnel.impressions:,}"]
    for name, parent in zip(statistics.label_names, statistics.label_parents, strict=True):
        if parent < 0:
            before = funnel.impressions + funnel.left_out_negatives
        else:
            before = funnel.labels[statistics.label_names[parent]]
        cells += [f"{funnel.labels[name]:,}", _share(funnel.labels[name], before)]
    return cells


def _field_lines(statistics: DataStatistics) -> list[str]:
    splits = list(statistics.splits)
    compared = [split for split in splits if split != "train"] if "train" in splits else []
    head = ["field", "kind", f"ids in {splits[0]}" if splits else "ids", "dropped"]
    head += [f"in {split}" for split in splits]
    head += ["mean", "p99"]
    for split in compared:
        head += [f"{split}: new", "PSI (chance)"]
    return text_table(head, [_field_row(field, splits, compared) for field in statistics.fields])


def _field_row(field: FieldStatistics, splits: list[str], compared: list[str]) -> list[str]:
    first = field.splits[splits[0]] if splits else None
    about = "~" if field.ids_are_estimates else ""
    row = [field.alias, field.kind]
    row.append(_NO_VALUE if first is None else f"{about}{first.distinct_ids:,}")
    row.append(_NO_VALUE if field.dropped_ids is None else f"{field.dropped_ids:,}")
    row += [_share(field.splits[split].covered, field.splits[split].ids_an_impression.total) for split in splits]
    lists = first.ids_an_impression if first is not None else None
    row += [_NO_VALUE, _NO_VALUE] if lists is None else [f"{lists.mean:.2f}", f"{lists.p99:,}"]
    for split in compared:
        found = field.splits[split]
        row += [_percent(not_in_train(found)), f"{_number(found.psi)} ({_number(found.psi_noise)})"]
    return row


def _notes(statistics: DataStatistics) -> Iterator[str]:
    kept = ", of a data set one whose id it keeps" if statistics.source_kind == "data set" else ""
    yield f"in SPLIT: impressions with a value{kept}. mean, p99: ids an impression."
    if "train" in statistics.splits and len(statistics.splits) > 1:
        yield "SPLIT: new: of its ids, in all impressions, those that train has not, or that were dropped there."
        yield (
            "PSI (chance): how far the ids are from those of train, and how far they would be without any drift; -: "
            "too few users or impressions to tell."
        )
    if any(field.dropped_ids for field in statistics.fields):
        yield "dropped: ids of train that are rarer than --min-count."
    if any(field.ids_are_estimates for field in statistics.fields):
        yield "~: estimated from a share of the ids (--most-ids)."
    for split, found in statistics.splits.items():
        for label, count in found.funnel.broken.items():
            if count:
                yield f"{split}: {count:,} impressions have {label} without what comes before it: they are not counted."
        if found.funnel.left_out_negatives:
            yield f"{split}: {found.funnel.left_out_negatives:,} negatives were left out; the first rate counts them."
    for reason, count in statistics.left_out.items():
        yield f"not in these numbers: {count:,} {reason}."
    if statistics.rejected:
        each = ", ".join(f"{reason} {count:,}" for reason, count in statistics.rejected.items())
        yield f"lines of the log that were rejected: {each}."


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.2%}" if whole else _NO_VALUE


def _percent(share: float | None) -> str:
    return _NO_VALUE if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return _NO_VALUE if value is None else f"{value:.3f}"
