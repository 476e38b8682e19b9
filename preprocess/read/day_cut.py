"""Which calendar days of a log make its splits: a pure choice by the number of impressions of each day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import I64, Bools
from esmm_dist.errors import InputDataError
from esmm_dist.schema.sources import SPLITS, FlatSource
from preprocess.day_settings import DayChoice
from preprocess.read.days import day_of, day_shown

NEVER = 2**62
"""A day that is not reached."""

_MOST_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class DayCut:
    """Days, as numbers since 1970-01-01, at which the splits begin: train is what is before validation and test."""

    first: int = -NEVER
    """First day of the data set."""
    end: int = NEVER
    """First day after the data set."""
    validation: int = NEVER
    """First day of the validation split."""
    test: int = NEVER
    """First day of the test split; no earlier than ``validation``, unless there is no validation split."""
    rest: int = NEVER
    """First day of the train files after their splits: from here on, rows are in none."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are cut out of the train files."""
        begins = {"validation": self.validation, "test": self.test}
        return tuple(split for split, begin in begins.items() if begin < NEVER)

    def holds(self, days: I64) -> Bools:
        """Return which days (int64 [N]) are in the data set: bool [N]."""
        return (days >= self.first) & (days < self.end)

    def split_of(self, days: I64) -> npt.NDArray[np.int8]:
        """Return for rows of the train files the place of their split in ``SPLITS``, -1 for none: int8 [N]."""
        places = np.zeros(len(days), np.int8)
        places[days >= self.validation] = SPLITS.index("validation")
        places[days >= self.test] = SPLITS.index("test")
        places[(days >= self.rest) | ~self.holds(days)] = -1
        return places


def cut_of_days(choice: DayChoice) -> DayCut:
    """Return the cut of ``days`` alone."""
    if choice.days is None:
        return DayCut()
    return DayCut(first=day_of(choice.days[0]), end=day_of(choice.days[1]) + 1)


def choose_cut(choice: DayChoice, impressions: Mapping[int, int]) -> DayCut:
    """Return where the splits begin.

    Without ``train_until``, days are counted back from the last one that has an impression: ``test_days``, and before
    them ``validation_days``. With it, they are counted on from the day after: ``validation_days``, and then all others
    are test, or the next ``test_days``. Days without impressions count as days.

    Args:
        choice: what the user asked for
        impressions: rows of the train files of each day

    Raises:
        InputDataError: A split would have no impression.
    """
    cut = cut_of_days(choice)
    here = {day: count for day, count in sorted(impressions.items()) if cut.first <= day < cut.end}
    if not here:
        raise no_impressions(choice, list(impressions))
    if choice.train_until is None:
        test = max(here) + 1 - choice.test_days
        validation = test - choice.validation_days
        rest = NEVER
    else:
        validation = day_of(choice.train_until) + 1
        test = validation + choice.validation_days
        rest = test + choice.test_days if choice.test_days or "test" not in choice.splits else NEVER
    found = DayCut(
        first=cut.first,
        end=cut.end,
        validation=validation if "validation" in choice.splits else NEVER,
        test=test if "test" in choice.splits else NEVER,
        rest=rest,
    )
    _check_splits(choice, found, here)
    return found


def impressions_of_splits(cut: DayCut, impressions: Mapping[int, int]) -> dict[str, dict[int, int]]:
    """Return the days of each split of the train files that has any, with their rows; ``""`` for those in no split."""
    found: dict[str, dict[int, int]] = {}
    days = np.array(sorted(impressions), np.int64)
    for day, place in zip(days.tolist(), cut.split_of(days).tolist(), strict=True):
        found.setdefault(SPLITS[place] if place >= 0 else "", {})[day] = impressions[day]
    return found


def cut_line(cut: DayCut, impressions: Mapping[int, int], source: FlatSource) -> str:
    """Return where the splits begin, in words.

    Args:
        cut: the cut
        impressions: rows of the train files of each day
        source: source of the log
    """
    found = impressions_of_splits(cut, impressions)
    parts = [
        f"{split} {shown_days(list(found[split]))}: {sum(found[split].values()):,} impressions"
        for split in SPLITS
        if split in found
    ]
    rest = found.get("", {})
    more = f"; of other days, in no split: {sum(rest.values()):,}" if rest else ""
    return f"Splits by the days of column '{source.time}' ({source.time_zone}): {'; '.join(parts)}{more}."


def shown_days(days: Sequence[int]) -> str:
    """Return the first and last of some days, such as ``2024-01-30 to 2024-02-02 (3 days)``: those that are there."""
    first, last = day_shown(min(days)), day_shown(max(days))
    return first if first == last else f"{first} to {last} ({len(set(days))} days)"


def no_impressions(choice: DayChoice, days: Sequence[int]) -> InputDataError:
    """Return the error for a log that has no impression of the days that were asked for."""
    assert choice.days is not None or not days
    if choice.days is None:
        return InputDataError("No impression of the log has a time. Check source.time of the schema.")
    asked = [day_of(day) for day in choice.days]
    has = f"those of the log are of {_list(days)}" if days else "no impression of the log has a time"
    return InputDataError(
        f"No impression is of {' to '.join(dict.fromkeys(map(day_shown, asked)))}: {has}. Give other days, and check "
        "source.time_zone of the schema."
    )


def _check_splits(choice: DayChoice, cut: DayCut, impressions: Mapping[int, int]) -> None:
    found = impressions_of_splits(cut, impressions)
    empty = [split for split in ("train", *choice.splits) if split not in found]
    if not empty:
        return
    asked = {name: getattr(choice, name) for name in ("train_until", "validation_days", "test_days")}
    given = ", ".join(f"{name} = {value}" for name, value in asked.items() if value)
    raise InputDataError(
        f"{given} leaves the {empty[0]} split without an impression: those of the log are of "
        f"{_list(list(impressions))}. Give other days, or a longer log."
    )


def _list(days: Sequence[int]) -> str:
    ordered = sorted(days)
    if len(ordered) > _MOST_SHOWN:
        return shown_days(ordered)
    return ", ".join(map(day_shown, ordered))
