"""The scores of each impression of a split, kept in memory to compare one model with another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from esmm_dist.arrays import F32, F64, I64, Bools
from esmm_dist.errors import InputDataError
from esmm_dist.hashing import mix64
from esmm_dist.input.users import NO_USER
from esmm_dist.schema.label_tree import LabelTree

if TYPE_CHECKING:
    from esmm_dist.inference.scoring import LabelledBatch

MOST_KEPT = 10_000_000
"""Impressions whose scores are kept, about. With two labels a model's take 38 bytes each."""

_SEED = 1802


@dataclass(frozen=True, kw_only=True)
class KeptScores:
    """One model's scores, an entry an impression."""

    name: str
    """The run, as it is called where it is shown."""
    tree: LabelTree
    share: float
    """Share of the users whose impressions are kept; 1: all."""
    impressions_of_split: int
    sample_ids: I64
    """int64 [N]"""
    users: I64
    """int64 [N]; ``NO_USER`` where it is not known"""
    labels: Bools
    """bool [N, K]"""
    logits: F64
    """float64 [N, K], of the conditional probabilities"""
    weights: F32 | None
    """float32 [N]; None: the data set has none"""

    @property
    def impressions(self) -> int:
        """N."""
        return len(self.sample_ids)

    def in_order(self, order: I64) -> "KeptScores":
        """Return the impressions in another order, int64 [N]."""
        return KeptScores(
            name=self.name,
            tree=self.tree,
            share=self.share,
            impressions_of_split=self.impressions_of_split,
            sample_ids=self.sample_ids[order],
            users=self.users[order],
            labels=self.labels[order],
            logits=self.logits[order],
            weights=None if self.weights is None else self.weights[order],
        )

    def task_scores(self) -> dict[str, F64]:
        """Return the logarithm of each task's prediction, float64 [N]; for a conditional task of all impressions."""
        log_p = -np.logaddexp(0.0, -self.logits)
        products = self.tree.sums(list(log_p.T))
        return {
            task.name: products[task.label] if task.given is None else log_p[:, task.label] for task in self.tree.tasks
        }


class ScoreKeeper:
    """Keeps the scores of batches, of all users or of a part that a hash of their ids chooses.

    The part is the same for every model: it depends on the ids and on the size of the split alone. Users are kept with
    all their impressions; an impression without a user counts as one of its own.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        """Begin with no impression.

        Args:
            most: impressions that are kept, about
        """
        self._most = most
        self._share, self._impressions = 1.0, 0
        self._batches: list[LabelledBatch] = []

    def start(self, impressions: int) -> None:
        """Say how many impressions the split has."""
        self._impressions, self._share = impressions, min(1.0, self._most / max(impressions, 1))

    def add(self, batch: "LabelledBatch") -> None:
        """Keep the impressions of a batch, or those of the chosen users."""
        if self._share < 1.0:
            batch = _only(batch, self._chosen(batch.users, batch.sample_ids))
        self._batches.append(batch)

    def kept(self, name: str, tree: LabelTree) -> KeptScores:
        """Return what was kept, and keep it no more.

        Args:
            name: name of the run
            tree: K labels
        """
        batches, self._batches = self._batches, []
        weights = [each.weights for each in batches if each.weights is not None]
        width = len(tree.names)
        return KeptScores(
            name=name,
            tree=tree,
            share=self._share,
            impressions_of_split=self._impressions,
            sample_ids=_joined([each.sample_ids for each in batches], (0,), np.int64),
            users=_joined([each.users for each in batches], (0,), np.int64),
            labels=_joined([each.labels != 0 for each in batches], (0, width), np.bool_),
            logits=_joined([each.logits for each in batches], (0, width), np.float64),
            weights=_joined(weights, (0,), np.float32) if weights else None,
        )

    def _chosen(self, users: I64, sample_ids: I64) -> Bools:
        hashes = mix64(np.where(users == NO_USER, sample_ids, users), _SEED)
        return hashes < np.uint64(int(self._share * 2.0**64))


def aligned(first: KeptScores, other: KeptScores) -> KeptScores:
    """Return the impressions of ``other`` in the order of those of ``first``.

    Models read a split in batches of their own sizes, which deals the lanes of a data set in another order.

    Raises:
        InputDataError: They have not scored the same impressions.
    """
    if not _same(first, other):
        orders = [np.lexsort((each.users, each.sample_ids)) for each in (first, other)]
        if len(orders[0]) == len(orders[1]):
            order = np.empty(len(orders[0]), np.int64)
            order[orders[0]] = orders[1]
            other = other.in_order(order)
    if not _same(first, other):
        raise InputDataError(
            f"{first.name} and {other.name} have not scored the same impressions ({first.impressions:,} and "
            f"{other.impressions:,}, with other sample ids, users or labels). Compare them on one data set and split, "
            "which nobody writes meanwhile."
        )
    return other


def _same(first: KeptScores, other: KeptScores) -> bool:
    return (
        np.array_equal(first.sample_ids, other.sample_ids)
        and np.array_equal(first.labels, other.labels)
        and np.array_equal(first.users, other.users)
    )


def _only(batch: "LabelledBatch", chosen: Bools) -> "LabelledBatch":
    return replace(
        batch,
        sample_ids=batch.sample_ids[chosen],
        labels=batch.labels[chosen],
        logits=batch.logits[chosen],
        users=batch.users[chosen],
        weights=None if batch.weights is None else batch.weights[chosen],
        keys=(),
    )


def _joined(parts: Sequence[np.ndarray], shape: tuple[int, ...], dtype: type) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate(parts) if parts else np.empty(shape, dtype)
