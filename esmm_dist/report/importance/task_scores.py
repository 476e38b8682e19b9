"""What scores of a sample lose against others of the same impressions, task by task."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, F64, I64, Bools
from esmm_dist.model.metrics import exact_auc, log_loss, paired_auc_difference
from esmm_dist.schema.label_tree import LabelTree


@dataclass(frozen=True, kw_only=True)
class TaskLoss:
    """What one task loses when the values of a field are permuted."""

    auc_drop: float
    """Mean over the permutations; nan where a class has fewer than two impressions."""
    standard_error: float
    log_loss_rise: float


class SampleScores:
    """Compares the scores of a sample as it is with those of the sample permuted."""

    def __init__(self, tree: LabelTree, labels: I64, logits: F64, weights: F32 | None) -> None:
        """Take the sample as it is.

        Args:
            tree: K labels
            labels: int64 [N, K], 0/1
            logits: float64 [N, K], of the conditional probabilities
            weights: float32 [N], sample weights; None: 1 each. AUCs count each impression once all the same.
        """
        self._tree, self._weights, self._as_it_is = tree, weights, _log_probabilities(logits)
        self._labels = tree.reached(labels)
        rows = self._rows(self._as_it_is)
        self.auc = {name: exact_auc(log_p, own) for name, log_p, own, _ in rows}
        self._log_loss = {
            name: _log_loss(log_p, own, weight) for name, log_p, own, weight in self._rows(self._as_it_is)
        }

    def loss(self, permuted: Sequence[F64]) -> dict[str, TaskLoss]:
        """Return what each task loses.

        With R permutations, d_r the AUC as it is less that of permutation r, and s_r the standard error of d_r by
        DeLong, which is that of the same impressions scored twice (``model.metrics.auc``), the drop is the mean of
        d_r, and its standard error

            sqrt( Σ s_r² / R  +  Σ (d_r - mean)² / (R - 1) / R )

        The first part is of the impressions: other ones would have been drawn. It is not divided by R, because all
        permutations are of the same ones. The second is of the permutations. s_r holds some of the permutation's
        chance too, so that the sum errs on the large side. Impressions are taken as independent; those of one user
        are not quite, which errs on the small side.

        Args:
            permuted: for each of R permutations, 2 or more, logits float64 [N, K]
        """
        differences: dict[str, list[tuple[float, float]]] = {name: [] for name in self.auc}
        rises: dict[str, list[float]] = {name: [] for name in self.auc}
        for logits in permuted:
            pairs = zip(self._rows(self._as_it_is), self._rows(_log_probabilities(logits)), strict=True)
            for (name, before, own, weight), (_, after, _, _) in pairs:
                differences[name].append(paired_auc_difference(before, after, own))
                rises[name].append(_log_loss(after, own, weight) - self._log_loss[name])
        return {
            name: TaskLoss(
                auc_drop=float(np.mean([drop for drop, _ in of_task])),
                standard_error=combined_error(of_task),
                log_loss_rise=float(np.mean(rises[name])),
            )
            for name, of_task in differences.items()
        }

    def _rows(self, log_p: F64) -> Iterator[tuple[str, F64, Bools, F32 | None]]:
        """Yield for each task its name, and log probabilities, labels and weights of the impressions that it counts."""
        log_products = self._tree.sums(list(log_p.T))
        for task in self._tree.tasks:
            own = self._labels[:, task.label]
            if task.given is None:
                yield task.name, log_products[task.label], own, self._weights
            else:
                among = self._labels[:, task.given]
                weights = None if self._weights is None else self._weights[among]
                yield task.name, log_p[among, task.label], own[among], weights


def combined_error(differences: Sequence[tuple[float, float]]) -> float:
    """Return the standard error of the mean of differences, see ``SampleScores.loss``.

    Args:
        differences: d_r and s_r of each permutation, two or more
    """
    drops, errors = (np.array(column) for column in zip(*differences, strict=True))
    return math.sqrt(np.square(errors).mean() + drops.var(ddof=1) / len(drops))


def _log_probabilities(logits: F64) -> F64:
    """Return log p, float64 [N, K], which ranks as logits do and keeps the digits of small products."""
    log_p: F64 = -np.logaddexp(0.0, -logits)
    return log_p


def _log_loss(log_p: F64, labels: Bools, weights: F32 | None) -> float:
    return log_loss(log_p, labels, weights)
