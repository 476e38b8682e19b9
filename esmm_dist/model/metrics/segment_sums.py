"""Metrics of segments: parts of the impressions that a key tells apart, such as an id of a field.

Impressions come in the order of their scores, so those of each segment do too: each has sums of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from esmm_dist.arrays import F64, I64, Bools
from esmm_dist.model.metrics.score_sums import ScoreSums
from esmm_dist.model.metrics.sorted_runs import Columns

NO_KEY = -1
"""Key of an impression that has none; keys are 0 or more."""

SegmentKind = Literal["key", "others", "none"]


@dataclass(frozen=True, kw_only=True)
class SegmentMetrics:
    """Quality of one task's predictions in one segment."""

    kind: SegmentKind
    """``key``: impressions of one key; ``others``: those of all keys that have no segment; ``none``: without a key."""

    key: int | None
    """None: as ``kind`` says"""

    distinct_keys: int
    """Keys of its impressions, whether the task counts these or not."""

    impressions: int
    positives: int
    auc: float
    """Among impressions of the segment; nan if all labels are equal."""
    auc_standard_error: float
    log_loss: float
    calibration: float
    calibration_standard_error: float


@dataclass(frozen=True, kw_only=True)
class FrequentKeys:
    """Keys that have segments of their own."""

    keys: tuple[int, ...]
    """The most frequent first; of equally frequent ones the lowest."""

    others: int
    """Number of distinct keys besides."""


def most_frequent(blocks: Iterator[Columns], most: int) -> FrequentKeys:
    """Return the most frequent keys.

    Args:
        blocks: keys int64 [n], ascending, also from block to block, and their counts int64 [n]; a key may come again
        most: number of keys
    """
    keys, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    at_hand: tuple[int, int] | None = None
    distinct = 0
    for block in blocks:
        if not len(block[0]):
            continue
        new, begins = np.unique(block[0], return_index=True)
        totals = np.add.reduceat(block[1], begins)
        if at_hand is not None:
            if new[0] == at_hand[0]:
                totals[0] += at_hand[1]
            else:
                new, totals = np.append(at_hand[0], new), np.append(at_hand[1], totals)
        at_hand = int(new[-1]), int(totals[-1])  # the next block may go on with it
        distinct += len(new) - 1
        keys, counts = _best(np.append(keys, new[:-1]), np.append(counts, totals[:-1]), most)
    if at_hand is not None:
        distinct += 1
        keys, counts = _best(np.append(keys, at_hand[0]), np.append(counts, at_hand[1]), most)
    return FrequentKeys(keys=tuple(keys.tolist()), others=distinct - len(keys))


class SegmentSums:
    """Sums of the segments of one kind of key."""

    def __init__(self, frequent: FrequentKeys) -> None:
        """Begin with no impression.

        Args:
            frequent: keys that have segments of their own
        """
        order = np.argsort(np.array(frequent.keys, np.int64))
        self._keys, self._others = frequent.keys, frequent.others
        self._sorted = np.array(frequent.keys, np.int64)[order]
        self._place = order.astype(np.uint16)
        self._sums = [ScoreSums() for _ in range(len(self._keys) + 2)]

    def add(self, keys: I64, log_probabilities: F64, positive: Bools, weights: F64 | None) -> None:
        """Add a block of impressions with their keys, int64 [n]; otherwise as ``ScoreSums.add``."""
        places = self._places(keys)
        order = np.argsort(places, kind="stable")  # by radix: equal places stay in the order of their scores
        ends = np.cumsum(np.bincount(places, minlength=len(self._sums)))
        begin = 0
        for sums, end in zip(self._sums, ends.tolist(), strict=True):
            if end > begin:
                of = order[begin:end]
                sums.add(log_probabilities[of], positive[of], None if weights is None else weights[of])
            begin = end

    def metrics(self) -> tuple[SegmentMetrics, ...]:
        """Return the segments that hold impressions: those of the keys as they were given, others, without a key."""
        kinds: list[tuple[SegmentKind, int | None, int]] = [("key", key, 1) for key in self._keys]
        kinds += [("others", None, self._others), ("none", None, 0)]
        return tuple(
            SegmentMetrics(kind=kind, key=key, distinct_keys=distinct, **_figures(sums))
            for (kind, key, distinct), sums in zip(kinds, self._sums, strict=True)
            if sums.impressions
        )

    def _places(self, keys: I64) -> "np.ndarray[tuple[int], np.dtype[np.uint16]]":
        others = len(self._keys)
        places = np.full(len(keys), others, np.uint16)
        if others:
            found = np.searchsorted(self._sorted, keys).clip(max=others - 1)
            same = self._sorted[found] == keys
            places[same] = self._place[found[same]]
        places[keys == NO_KEY] = others + 1
        return places


def _best(keys: I64, counts: I64, most: int) -> tuple[I64, I64]:
    order = np.lexsort((keys, -counts))[:most]
    return keys[order], counts[order]


def _figures(sums: ScoreSums) -> dict[str, Any]:
    return {
        "impressions": sums.impressions,
        "positives": sums.positives,
        "auc": sums.auc(),
        "auc_standard_error": sums.auc_standard_error(),
        "log_loss": sums.log_loss(),
        "calibration": sums.calibration(),
        "calibration_standard_error": sums.calibration_standard_error(),
    }
