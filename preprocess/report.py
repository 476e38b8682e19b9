"""The end report: what went in, what came out, and that the two add up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from esmm_dist.errors import InputDataError
from esmm_dist.schema.fields import Schema
from preprocess.events.report import join_lines
from preprocess.read.days import day_shown
from preprocess.read.tally import TableTally
from preprocess.work.workers import Result
from preprocess.write.day_counts import days_of_split


def split_report(
    split: str,
    schema: Schema,
    tables: Mapping[str, TableTally],
    partitions: Sequence[Result],
    first_rejects: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Report one split.

    Args:
        split: name of the split
        schema: schema of the log
        tables: counts of the split's lines by kind
        partitions: what ``write_records`` returned for each partition
        first_rejects: for each kind and reason, the place of the first rejected line, in words

    Raises:
        InputDataError: The numbers do not add up: a file in ``.work`` was changed by someone else.
    """
    out = {
        "skeleton": total(partitions, "impressions"),
        "log": total(partitions, "impressions"),
        "common": total(partitions, "common_rows"),
    }
    report: dict[str, Any] = {}
    for kind, tally in tables.items():
        rejected = dict(sorted(tally.rejected.items()))
        other_days = tally.other_days.total()
        not_taken = tally.left_out + tally.too_recent + other_days
        if tally.lines != out[kind] + sum(rejected.values()) + not_taken:
            left_out = f", {tally.left_out} left out" if tally.left_out else ""
            left_out += f", {other_days} of other days" if other_days else ""
            raise InputDataError(
                f"The {split} split does not add up: {tally.lines} {kind} lines in, but {out[kind]} out{left_out} and "
                f"{sum(rejected.values())} rejected. Files in .work were changed; delete it and run again."
            )
        report[kind] = {
            "lines_in": tally.lines,
            "rows_out": out[kind],
            **({"left_out_negatives": tally.left_out} if tally.left_out else {}),
            **({"too_recent": tally.too_recent} if tally.too_recent else {}),
            **({"other_days": other_days} if other_days else {}),
            "rejected": rejected,
            "first_rejected": {reason: first_rejects[kind][reason] for reason in rejected},
            "text_bytes": tally.text_bytes,
            "ignored_features": dict(sorted(tally.ignored.items())),
            "lost_digits": dict(sorted(tally.lost_digits.items())),
        }
    dropped = np.sum([p["dropped_occurrences"] for p in partitions], axis=0).tolist()
    return {
        **report,
        **_weight_sum(partitions),
        "impressions_without_user": total(partitions, "missing_common_rows"),
        "unused_common_rows": total(partitions, "unused_common_rows"),
        "dropped_occurrences": {f.name: n for f, n in zip(schema.fields, dropped, strict=True) if n},
        "fields": _field_counts(schema, partitions),
        "record_bytes": total(partitions, "bytes"),
        **days_of_split(split, schema.labels, partitions, tables),
    }


def _weight_sum(partitions: Sequence[Result]) -> dict[str, float]:
    """Return the sum of the sample weights, if there are any."""
    sums = [each["sample_weight"] for each in partitions if each["sample_weight"] is not None]
    return {"sample_weight": sum(sums)} if sums else {}


def _field_counts(schema: Schema, partitions: Sequence[Result]) -> dict[str, dict[str, int]]:
    """Return for each field its impressions that are empty, and those of which no id is known."""
    empty, unknown = (
        np.sum([p[f"{what}_impressions"] for p in partitions], axis=0).tolist() for what in ("empty", "unknown")
    )
    return {field.name: {"empty": empty[i], "unknown": unknown[i]} for i, field in enumerate(schema.fields)}


def vocabulary_report(schema: Schema, buckets: Sequence[Result]) -> dict[str, dict[str, int]]:
    """Report by field: ids of train, ids that were kept (those unseen in train among them) or dropped."""
    names = ("kept_ids", "unseen_ids", "dropped_ids", "dropped_occurrences")
    sums = {name: np.sum([bucket[name] for bucket in buckets], axis=0) for name in names}
    sums["distinct_ids"] = sums["kept_ids"] - sums["unseen_ids"] + sums["dropped_ids"]
    return {field.name: {name: int(sums[name][i]) for name in sums} for i, field in enumerate(schema.fields)}


def check_kept(buckets: Sequence[Result], min_count: int, *, by_table: bool) -> None:
    """Raise if no id is left to learn from or to score by.

    Args:
        buckets: merged counts
        min_count: setting
        by_table: whether ids are known by table, which are in no field's vocabulary

    Raises:
        InputDataError: Ids were counted, and none is kept.
    """
    largest = max(bucket["largest_count"] for bucket in buckets)
    if largest and not by_table and not sum(sum(bucket["kept_ids"]) for bucket in buckets):
        raise InputDataError(
            f"No id is kept: min_count is {min_count}, and the most frequent id of the train split occurs in "
            f"only {largest:,} impressions. Give a smaller --min-count."
        )


def total(results: Sequence[Result], name: str) -> int:
    """Add up one number of several results."""
    return sum(int(result[name]) for result in results)


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the report in sentences, for people."""
    lines = join_lines(report["events"]) if "events" in report else []
    for split, of_split in report["splits"].items():
        for kind in ("skeleton", "common", "log"):
            if kind in of_split:
                lines.append(_table_line(split, kind, of_split[kind]))
                lines += _lost_digits_lines(split, of_split[kind])
        if of_split["impressions_without_user"]:
            lines.append(
                f"{split}: {of_split['impressions_without_user']:,} impressions have no common row; they are kept "
                "without user fields."
            )
    lines += days_lines(report)
    kept, dropped, unseen = (
        sum(field[name] for field in report["vocabulary"].values())
        for name in ("kept_ids", "dropped_ids", "unseen_ids")
    )
    if "train" not in report["splits"] and not kept:
        return [*lines, "vocabulary: empty, as there is no train split; the known ids are those of the run's rows."]
    known = f" ({unseen:,} of them known from before and absent from this train split)" if unseen else ""
    lines.append(f"vocabulary: {kept:,} ids kept{known}, {dropped:,} dropped because they are too rare.")
    return lines


def days_report(column: str, zone: str, tables: Mapping[str, TableTally]) -> dict[str, Any]:
    """Report the days of a log that was cut by them.

    Args:
        column: column of the time
        zone: its zone
        tables: counts of the impressions of each split
    """
    others: Counter[str] = sum((tally.other_days for tally in tables.values()), Counter())
    return {
        "column": column,
        "time_zone": zone,
        "splits": {split: _by_date(tally.days) for split, tally in tables.items()},
        "other_days": _by_date(others),
    }


def _by_date(days: Mapping[str, int]) -> dict[str, int]:
    return {day_shown(day): days[str(day)] for day in sorted(map(int, days))}


def days_lines(report: Mapping[str, Any]) -> list[str]:
    """Return what a report says of the days of a log, in sentences, for people."""
    found = report.get("days")
    if found is None:
        return []
    splits = [f"{split} {_span(days)}" for split, days in found["splits"].items() if days]
    others = found["other_days"]
    more = f"; {sum(others.values()):,} impressions of other days ({_span(others)}) are in no split" if others else ""
    return [f"days of column '{found['column']}' ({found['time_zone']}): {', '.join(splits)}{more}."]


def _span(days: Mapping[str, int]) -> str:
    first, last = next(iter(days)), list(days)[-1]
    return first if first == last else f"{first} to {last}"


def _table_line(split: str, kind: str, table: Mapping[str, Any]) -> str:
    rejected, first = table["rejected"], table["first_rejected"]
    each = [f"{reason} {n:,}, first in {first[reason]}" for reason, n in rejected.items()]
    reasons = f" ({'; '.join(each)})" if each else ""
    what = "common rows" if kind == "common" else "impressions"
    left_out = f"{table['left_out_negatives']:,} negatives left out, " if table.get("left_out_negatives") else ""
    left_out += f"{table['too_recent']:,} left out as their windows are not over, " if table.get("too_recent") else ""
    left_out += f"{table['other_days']:,} of other days, " if table.get("other_days") else ""
    return (
        f"{split}: {table['lines_in']:,} {kind} lines read, {table['rows_out']:,} {what} kept, "
        f"{left_out}{sum(rejected.values()):,} rejected{reasons}."
    )


def _lost_digits_lines(split: str, table: Mapping[str, Any]) -> list[str]:
    return [
        f"{split}: {count:,} values of column '{column}' are floats so large (from 2^53; float32 from 2^24) that "
        "several whole numbers may have become one. Write the column as integers or texts."
        for column, count in table.get("lost_digits", {}).items()
    ]
