"""Which rows are removed: policies that decide, and the survey of several table shards that they decide from.

A table may be spread over several servers, and what is removed must not depend on their number. A row's age and count
are known where it is, so those two policies are one rule for all shards. A row budget needs the whole: the shards
say how many rows each step changed last, the budget finds the step at which it must cut, and among the rows of that
step those with the smallest hash go.

Ids that are counted but not admitted yet ("candidates") age by the same rules, with a count of 0: what is too old for a
row is too old for a candidate. They take no part in the budget: where it cuts at a step, those that were last held
before that step go too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from esmm_dist.arrays import I64, U64, Bools
from esmm_dist.hashing import mix64

Answer = TypeVar("Answer")

_TIE_SEED = 0x7E


@dataclass(frozen=True, kw_only=True)
class EvictionRule:
    """Which rows a shard removes: those that fit any of the three lines. The first two are for candidates too."""

    older_than_step: int = 0
    """Rows that were last changed before this step."""
    min_count: int = 0
    min_count_before_step: int = 0
    """Rows that fewer than ``min_count`` steps changed, the last of them before this step."""
    tie_step: int = -1
    tie_hash_up_to: int = 0
    """Rows that were last changed at ``tie_step`` and whose ``tie_hashes`` is at most this; -1: none."""

    def chooses(self, ids: I64, last_step: I64, count: I64) -> Bools:
        """Return bool [n]: the rows to remove, of ids, last steps and counts int64 [n]."""
        chosen = last_step < self.older_than_step
        if self.min_count:
            chosen |= (count < self.min_count) & (last_step < self.min_count_before_step)
        if self.tie_step >= 0:
            chosen |= (last_step == self.tie_step) & (tie_hashes(ids) <= np.uint64(self.tie_hash_up_to))
        return np.asarray(chosen)

    def chooses_candidates(self, last_step: I64) -> Bools:
        """Return bool [c]: the candidates to remove, of the last steps int64 [c] that held them.

        No step has changed a candidate, so its count is 0. A tie is for rows alone: candidates are not in their number.
        """
        before = max(self.older_than_step, self.min_count_before_step if self.min_count else 0)
        return np.asarray(last_step < before)


@dataclass(frozen=True, kw_only=True)
class TimeToLive:
    """Removes the rows that no step has changed for ``ttl_steps`` steps."""

    ttl_steps: int

    def rule(self, step: int) -> EvictionRule:
        """Return what is removed after ``step``."""
        return EvictionRule(older_than_step=max(0, step - self.ttl_steps + 1))


@dataclass(frozen=True, kw_only=True)
class MinimumCount:
    """Removes the rows that fewer than ``min_count`` steps changed, none of them among the last ``grace_steps``."""

    min_count: int
    grace_steps: int

    def rule(self, step: int) -> EvictionRule:
        """Return what is removed after ``step``."""
        return EvictionRule(min_count=self.min_count, min_count_before_step=max(0, step - self.grace_steps + 1))


@dataclass(frozen=True, kw_only=True)
class RowBudget:
    """Leaves at most ``max_rows`` rows: the least recently changed go first, among equals by hash."""

    max_rows: int

    def cut(self, steps: I64, rows: I64) -> tuple[int, int]:
        """Find where to cut.

        Args:
            steps: int64 [k], ascending.
            rows: int64 [k], the number of rows that each of these steps changed last.

        Returns:
            A step, and how many of its rows go (1 or more); all rows of earlier steps go. (0, 0): the budget is kept.
        """
        excess = int(rows.sum()) - self.max_rows
        if excess <= 0:
            return 0, 0
        up_to = np.cumsum(rows)
        at = int(np.searchsorted(up_to, excess))
        return int(steps[at]), excess - int(up_to[at] - rows[at])


class SurveyedShard(Protocol):
    """One shard of one table, as far as an eviction sees it."""

    def last_steps(self) -> tuple[I64, I64]:
        """Return the steps that changed rows last, ascending, and the number of those rows: int64 [k] each."""

    def tie_hashes(self, step: int) -> U64:
        """Return the hashes of the rows that ``step`` changed last, uint64 [n], in any order."""

    def remove(self, rule: EvictionRule) -> int:
        """Remove rows; return their number."""


class CallEach(Protocol):
    """Calls a function of each shard, and returns what it returns, in their order: one after the other, or at once."""

    def __call__(self, call: Callable[[SurveyedShard], Answer], shards: Sequence[SurveyedShard]) -> list[Answer]:
        """Call it."""


def one_by_one(call: Callable[[SurveyedShard], Answer], shards: Sequence[SurveyedShard]) -> list[Answer]:
    """Call a function of each shard, one after the other."""
    return [call(shard) for shard in shards]


@dataclass(frozen=True, kw_only=True)
class EvictionPlan:
    """The policies of a run, applied in this order."""

    time_to_live: TimeToLive | None = None
    minimum_count: MinimumCount | None = None
    row_budget: RowBudget | None = None

    def apply(self, shards: Sequence[SurveyedShard], *, step: int, each: CallEach = one_by_one) -> int:
        """Remove rows from all shards of a table after a step; return their number.

        Args:
            shards: all shards of the table
            step: the step
            each: calls the shards; what one call does must not depend on whether another has been made
        """
        removed = 0
        for policy in (self.time_to_live, self.minimum_count):
            if policy is not None:
                rule = policy.rule(step)
                removed += _removed(rule, shards, each)
        if self.row_budget is not None:
            removed += _apply_budget(self.row_budget, shards, each)
        return removed


def tie_hashes(ids: I64) -> U64:
    """Return the order in which rows of the same age go: uint64 [n], a bijection of the ids, unlike placement's."""
    return mix64(ids, _TIE_SEED)


def _removed(rule: EvictionRule, shards: Sequence[SurveyedShard], each: CallEach) -> int:
    return sum(each(lambda shard: shard.remove(rule), shards))


def _apply_budget(budget: RowBudget, shards: Sequence[SurveyedShard], each: CallEach) -> int:
    surveys = each(lambda shard: shard.last_steps(), shards)
    all_steps = np.concatenate([steps for steps, _ in surveys])
    all_rows = np.concatenate([rows for _, rows in surveys])
    steps, place = np.unique(all_steps, return_inverse=True)
    rows = np.bincount(place, weights=all_rows, minlength=len(steps)).astype(np.int64)
    step, quota = budget.cut(steps, rows)
    if not quota:
        return 0
    # The hashes are a bijection of the ids, so exactly ``quota`` of them are at most the one in that place
    hashes = np.sort(np.concatenate(each(lambda shard: shard.tie_hashes(step), shards)))
    rule = EvictionRule(older_than_step=step, tie_step=step, tie_hash_up_to=int(hashes[quota - 1]))
    return _removed(rule, shards, each)
