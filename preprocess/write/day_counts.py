"""Count the impressions and labels of each calendar day of a split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from esmm_dist.arrays import I32, I64, U8
from esmm_dist.errors import InputDataError
from preprocess.read.days import NO_DAY, day_shown
from preprocess.read.tally import TableTally
from preprocess.work.workers import Result

_MOST_DAYS = 36_600
"""Days that a report lists, a century: a column with more of them holds no times of a log."""


def count_days(days: I32 | None, labels: U8, raw_labels: U8) -> dict[str, list[int]]:
    """Count the impressions of each day.

    Args:
        days: day of each impression, int32 [N]; None: the log has no time
        labels: labels that count, uint8 0/1 [N, K]
        raw_labels: labels as in the log, uint8 0/1 [N, K]

    Returns:
        By number of the day, as JSON has texts as keys: impressions, the K labels, and the K labels that are broken.
    """
    if days is None:
        return {}
    unique, place = _places(days)
    columns = (np.ones((len(days), 1), np.uint8), labels, raw_labels > labels)
    counts = [np.bincount(place, weights=column, minlength=len(unique)) for group in columns for column in group.T]
    by_day = np.stack(counts, axis=1).astype(np.int64).tolist()
    return {str(day): of_day for day, of_day in zip(unique.tolist(), by_day, strict=True) if of_day[0]}


def _places(days: I32) -> tuple[I64, I64]:
    """Return days that may be there, ascending, and the place of each impression's among them: int64 [N]."""
    known = days[days != NO_DAY]
    first, last = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    if last - first > _MOST_DAYS:
        unique, place = np.unique(days, return_inverse=True)
        return unique.astype(np.int64), place
    place = np.where(days == NO_DAY, -1, days.astype(np.int64) - first) + 1  # 3 times as fast as sorting them
    return np.append(np.int64(NO_DAY), np.arange(first, last + 1)), place


def days_of_split(
    split: str, labels: Sequence[str], partitions: Sequence[Result], tables: Mapping[str, TableTally]
) -> dict[str, Any]:
    """Return what a report says of the days of a split.

    Args:
        split: name of the split
        labels: labels of the schema: K
        partitions: what ``write_records`` returned for each partition
        tables: counts of the split's lines by kind

    Returns:
        ``days``, in their order, of each impressions, labels and broken labels as in the manifest, and negatives that
        were left out, if there are any; and ``without_day``, the same of what has no time that can be read, if there is
        any. Nothing if there is no day.

    Raises:
        InputDataError: They are not those of the split: a file in ``.work`` was changed by someone else.
    """
    sums: dict[int, list[int]] = {}
    for partition in partitions:
        for day, counts in partition["days"].items():
            _add(sums, int(day), [*counts, 0])
    left_out = sum((tally.left_out_days for tally in tables.values()), Counter[str]())
    for day, count in left_out.items():
        _add(sums, int(day), [*[0] * (1 + 2 * len(labels)), count])
    if not sums.keys() - {NO_DAY} or len(sums) > _MOST_DAYS:
        return {}
    whole = [
        sum(partition["impressions"] for partition in partitions),
        *_totals(partitions, "label_counts"),
        *_totals(partitions, "broken_chains"),
        sum(tally.left_out for tally in tables.values()),
    ]
    found = [sum(column) for column in zip(*sums.values(), strict=True)]
    if whole != found:
        raise InputDataError(
            f"The days of the {split} split do not add up: they have {found} impressions, labels, broken labels and "
            f"negatives left out, and the split has {whole}. Files in .work were changed; delete it and run again."
        )
    days = {day_shown(day): _shown(labels, sums[day]) for day in sorted(sums) if day != NO_DAY}
    return {"days": days, **({"without_day": _shown(labels, sums[NO_DAY])} if NO_DAY in sums else {})}


def _add(sums: dict[int, list[int]], day: int, counts: list[int]) -> None:
    before = sums.get(day)
    sums[day] = counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]


def _shown(labels: Sequence[str], counts: Sequence[int]) -> Mapping[str, Any]:
    positives, broken = counts[1 : len(labels) + 1], counts[len(labels) + 1 : -1]
    return {
        "impressions": counts[0],
        "labels": dict(zip(labels, positives, strict=True)),
        "broken": dict(zip(labels[1:], broken[1:], strict=True)),
        **({"left_out_negatives": counts[-1]} if counts[-1] else {}),
    }


def _totals(partitions: Sequence[Result], name: str) -> list[int]:
    return [sum(column) for column in zip(*(partition[name] for partition in partitions), strict=True)]
