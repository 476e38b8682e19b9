"""The metrics of a whole label tree, exact, in memory that does not grow with the impressions.

The labels (click, conversion) have two conditional predictions and three tasks::

    task     prediction                 among              against
    ctr      P(click)                   impressions        click
    cvr      P(conversion | click)      clicked ones       conversion
    ctcvr    P(click) P(conv. | click)  impressions        conversion

A longer funnel (a, b, c) has ``a``, ``b_given_a``, ``b``, ``c_given_b``, ``c``, and where c comes after a,
``c_given_a`` in place of ``c_given_b``: each label's conditional prediction among the impressions where the label
before it is 1, and the product along the path to it among all (``LabelTree.tasks``).

Impressions are collected as they are scored. When there are ``ROWS_IN_MEMORY`` of them, each task's scores are sorted
twice, by score and by (user, score), and written as runs to a temporary file. At the end the runs are merged in one
pass a task and order, over all ranks: each sorts and merges its own impressions, rank 0 adds up.

Impressions may carry keys, such as the id of a field: each kind of key cuts them into segments, one for each of its
most frequent keys. Keys travel with the scores; how often each occurs is merged before.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from types import TracebackType
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import F64, I64, Array, Bools
from esmm_dist.errors import InputDataError
from esmm_dist.input.users import NO_USER
from esmm_dist.model.metrics.checks import checked_labels, checked_scores, checked_weights
from esmm_dist.model.metrics.deciles import (
    DecileSums,
    calibration_error_of_noise,
    exact_total,
    expected_calibration_error,
)
from esmm_dist.model.metrics.score_sums import ScoreSums, UserSums
from esmm_dist.model.metrics.segment_sums import NO_KEY, FrequentKeys, SegmentSums, most_frequent
from esmm_dist.model.metrics.sorted_runs import (
    Columns,
    MemoryRun,
    Run,
    SpillFile,
    merged,
    merged_over_ranks,
    sorted_order,
)
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.model.metrics.task_report import TaskReport
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.ranks.world import World
from esmm_dist.schema.label_tree import LabelTree

Scale = Literal["probability", "log_probability", "logit"]

ROWS_IN_MEMORY = 1 << 20
"""Impressions that a rank holds in memory, about 160 bytes each while they are sorted. Beyond, they take 53 bytes each
in a temporary file (two labels, no weights). Fewer gain little, beside the process's GB. A kind of key is 8 bytes more
in memory, 24 while it is counted, and at most 40 on disk."""


class SortedScores(Protocol):
    """Takes the impressions of a task in the order of their scores."""

    def add(self, log_probabilities: F64, positive: Bools, weights: F64 | None) -> None:
        """Add a block of impressions, as in ``ScoreSums``."""


CurvesOf = Callable[[str, Fraction], SortedScores]
"""Returns what takes the scores of a task, by the task's name and the weight of all its impressions."""


class LabelTreeMetrics:
    """Collects scored impressions, and computes the metrics of every task from them.

    Shutdown: ``close`` (or leaving the ``with`` block) gives the disk its space back.
    """

    def __init__(
        self,
        tree: LabelTree,
        *,
        scale: Scale = "probability",
        rows_in_memory: int = ROWS_IN_MEMORY,
        segments: Sequence[int] = (),
    ) -> None:
        """Begin with no impression.

        Args:
            tree: K labels
            scale: What scores are. Prefer ``logit`` or ``log_probability`` from a float32 model: a probability
                within 6e-8 of 1 is rounded to 1 and ties with its neighbours, and products near 1e-7 are summed here
                as float64 logarithms, so that the ranking keeps every bit that the model computed.
            rows_in_memory: impressions beyond which they go to a temporary file
            segments: for each of C kinds of key, how many of its keys have a segment of their own
        """
        self._segments = tuple(segments)
        self._tree, self._scale, self._limit = tree, scale, rows_in_memory
        self._names = tree.task_names
        self._held = 0
        width = len(tree.names)
        self._log_p = np.empty((rows_in_memory, width))
        self._positive = np.empty((rows_in_memory, width), np.bool_)
        self._users = np.empty(rows_in_memory, np.int64)
        self._weights: F64 | None = None
        self._keys = [np.empty(rows_in_memory, np.int64) for _ in self._segments]
        self._totals = [Fraction(0) for _ in self._names]
        self._file = SpillFile()
        self._by_score: list[list[Run]] = [[] for _ in self._names]
        self._by_user: list[list[Run]] = [[] for _ in self._names]
        self._key_counts: list[list[Run]] = [[] for _ in self._segments]

    def add(
        self,
        labels: npt.ArrayLike,
        scores: npt.ArrayLike,
        users: I64 | None = None,
        weights: npt.ArrayLike | None = None,
        keys: Sequence[I64] = (),
    ) -> None:
        """Add impressions.

        Args:
            labels: 0/1 [N, K], never 1 where the label before is 0
            scores: float32 or float64 [N, K], column k the model's P(label k | the label before it is 1).
            users: int64 [N], the user of each impression, ``NO_USER`` where it is not known. None: no GAUC.
            weights: float [N], sample weights, 0 or more. None: 1 each. Each call gives them, or none does. Counts are
                of impressions, whatever their weight.
            keys: C times int64 [N], the key of each impression, 0 or more, or ``NO_KEY``

        Raises:
            InputDataError: Shapes or label values are wrong, a label is 1 where the one before it is 0, or a
                probability is outside [0, 1].
            NumericalError: A score is NaN.
            StorageError: The folder of temporary files is full.
        """
        positive = checked_labels(labels)
        if positive.ndim != 2 or positive.shape[1] != len(self._tree.names):
            names = list(self._tree.names)
            raise InputDataError(f"Labels have shape {list(positive.shape)}; {names} need [N, {len(names)}].")
        broken = self._tree.broken(positive).any(axis=0)
        if broken.any():
            label = int(broken.argmax())
            raise InputDataError(
                f"Label '{self._tree.names[label]}' is 1 where '{self._tree.names[self._tree.parents[label]]}', which "
                "it comes after, is 0. Set it to 0 first, as preprocess does."
            )
        log_p = _log_probabilities(checked_scores(scores, positive.shape), self._scale)
        if weights is not None and self._weights is None:
            self._weights = np.empty(self._limit)
        weight = None if weights is None else checked_weights(weights, positive.shape[:1])
        begin = 0
        while begin < len(positive):
            end = min(len(positive), begin + self._limit - self._held)
            place = slice(self._held, self._held + end - begin)
            self._log_p[place], self._positive[place] = log_p[begin:end], positive[begin:end]
            self._users[place] = NO_USER if users is None else users[begin:end]
            if self._weights is not None and weight is not None:
                self._weights[place] = weight[begin:end]
            for held, given in zip(self._keys, keys, strict=True):
                held[place] = given[begin:end]
            self._held += end - begin
            begin = end
            if self._held == self._limit:
                self._sort(self._file.write)

    def metrics(self, world: World | None = None) -> dict[str, TaskMetrics]:
        """Return what ``report`` does, without deciles and segments."""
        return {name: report.metrics for name, report in self.report(world).items()}

    def report(self, world: World | None = None, *, curves: CurvesOf | None = None) -> dict[str, TaskReport]:
        """Return the metrics of each task, over the impressions of all ranks; a collective. It ends collecting.

        Args:
            world: ranks that have collected together, the same on each; None: this process alone
            curves: gives what takes the sorted scores of a task too, on rank 0; None: nothing does

        Returns:
            Metrics by task name, see the module's table. Without impressions every figure is nan and every count 0.
        """
        world = world or SoloWorld()
        if self._held:
            self._sort(MemoryRun)
        keys = (np.dtype(np.float64),) * (1 if self._weights is None else 2)
        frequent = [self._most_frequent(place, world) for place in range(len(self._segments))]
        totals = self._totals_of_ranks(world)
        found = {}
        for place, name in enumerate(self._names):
            scores, users, deciles = ScoreSums(), UserSums(), DecileSums(totals[place])
            segments = [SegmentSums(each) for each in frequent]
            also = () if curves is None else (curves(name, totals[place]),)
            for columns in self._merged(self._by_score[place], keys, len(segments), world):
                row = columns[0], columns[-1], columns[1] if len(keys) == 2 else None
                scores.add(*row)
                deciles.add(*row)
                for each in also:
                    each.add(*row)
                for sums, of_segment in zip(segments, columns[len(keys) : -1], strict=True):
                    sums.add(of_segment, *row)
            for columns in self._merged(self._by_user[place], (np.dtype(np.int64), *keys), 0, world):
                users.add(columns[0], columns[1], columns[-1], columns[2] if len(keys) == 2 else None)
            found[name] = _task_report(scores, users, deciles, segments)
        shared = world.on_root(lambda: {name: report.to_mapping() for name, report in found.items()})
        return {name: TaskReport.from_mapping(report) for name, report in shared.items()}

    @property
    def spilled_bytes(self) -> int:
        """Bytes in the temporary file."""
        return self._file.bytes

    def close(self) -> None:
        """Give the disk its space back; a second call is harmless."""
        self._file.close()

    def __enter__(self) -> "LabelTreeMetrics":
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _merged(
        self, runs: list[Run], keys: tuple[np.dtype[Any], ...], carried: int, world: World
    ) -> Iterator[Columns]:
        """Yield the rows of a task of all ranks in the order of their sort keys, on rank 0.

        Args:
            runs: this rank's runs
            keys: dtypes of the sort keys
            carried: number of int64 columns between them and the labels
            world: the ranks
        """
        blocks = merged(runs, len(keys), rows_in_memory=self._limit // world.size)
        dtypes = (*keys, *(np.dtype(np.int64),) * carried, np.dtype(np.bool_))
        for columns in merged_over_ranks(blocks, dtypes, len(keys), world):
            if world.rank == 0:
                yield columns

    def _most_frequent(self, place: int, world: World) -> FrequentKeys:
        """Return the most frequent keys of one kind over all ranks, the same on each; a collective."""
        blocks = merged(self._key_counts[place], 1, rows_in_memory=self._limit // world.size)
        of_ranks = merged_over_ranks(blocks, (np.dtype(np.int64),) * 2, 1, world)
        return most_frequent(of_ranks, self._segments[place])

    def _totals_of_ranks(self, world: World) -> list[Fraction]:
        """Return the weight of each task's impressions over all ranks; a collective."""
        ranks = world.gather_values([[total.numerator, total.denominator] for total in self._totals])
        return [sum((Fraction(*each) for each in task), Fraction(0)) for task in zip(*ranks, strict=True)]

    def _sort(self, keep: Callable[[Columns], Run]) -> None:
        """Make runs of the impressions that are held, two a task, and hold none."""
        users = self._users[: self._held]
        known, rank = np.unique(users, return_inverse=True)
        keys = [held[: self._held] for held in self._keys]
        for runs, held in zip(self._key_counts, keys, strict=True):
            runs.append(keep(np.unique(held[held != NO_KEY], return_counts=True)))
        for place, (log_p, positive, chosen) in enumerate(self._tasks()):
            weights = () if self._weights is None else (_chosen(self._weights[: self._held], chosen),)
            self._totals[place] += exact_total(weights[0]) if weights else len(positive)
            order = sorted_order((log_p, *weights))
            columns = tuple(column[order] for column in (log_p, *weights, positive))
            carried = (_chosen(held, chosen)[order] for held in keys)
            self._by_score[place].append(keep((*columns[:-1], *carried, columns[-1])))
            # The place in the order of scores, below the user's rank: sorted at once, and without an argsort
            by_user = (_chosen(rank, chosen)[order] << 32) | np.arange(len(order))
            by_user.sort()
            if len(known) and known[0] == NO_USER:  # the lowest of all
                by_user = by_user[np.searchsorted(by_user, 1 << 32) :]
            places = by_user & 0xFFFFFFFF
            self._by_user[place].append(keep((known[by_user >> 32], *(column[places] for column in columns))))
        self._held = 0

    def _tasks(self) -> Iterator[tuple[F64, Bools, Bools | None]]:
        """Yield for each task the scores and labels that it counts, and which impressions they are of (None: all)."""
        log_p, positive = self._log_p[: self._held], self._positive[: self._held]
        log_products = self._tree.sums([log_p[:, 0] + 0.0, *log_p.T[1:]])  # + 0.0: of 0 and -0, which sort apart
        for task in self._tree.tasks:
            if task.given is None:
                yield log_products[task.label], positive[:, task.label], None
            else:
                reached = positive[:, task.given]
                yield log_p[reached, task.label], positive[reached, task.label], reached


def evaluate_scores(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    tree: LabelTree,
    *,
    scale: Scale = "probability",
    users: I64 | None = None,
    weights: npt.ArrayLike | None = None,
) -> dict[str, TaskMetrics]:
    """Compute the metrics of impressions that are in memory.

    Args:
        labels: as in ``LabelTreeMetrics.add``
        scores: as in ``LabelTreeMetrics.add``
        tree: K labels
        scale: as in ``LabelTreeMetrics``
        users: as in ``LabelTreeMetrics.add``
        weights: as in ``LabelTreeMetrics.add``

    Raises:
        InputDataError: As ``LabelTreeMetrics.add``.
        NumericalError: A score is NaN.
    """
    with LabelTreeMetrics(tree, scale=scale) as metrics:
        metrics.add(labels, scores, users, weights)
        return metrics.metrics()


def _chosen(array: Array, mask: Bools | None) -> Array:
    return array if mask is None else array[mask]


def _task_report(
    scores: ScoreSums, users: UserSums, deciles: DecileSums, segments: Sequence[SegmentSums]
) -> TaskReport:
    by_user, by_decile = users.gauc(), deciles.deciles()
    metrics = TaskMetrics(
        auc=scores.auc(),
        auc_standard_error=scores.auc_standard_error(),
        log_loss=scores.log_loss(),
        calibration=scores.calibration(),
        positives=scores.positives,
        impressions=scores.impressions,
        gauc=by_user.value,
        gauc_users=by_user.users,
        gauc_one_class_users=by_user.one_class_users,
        calibration_standard_error=scores.calibration_standard_error(),
        expected_calibration_error=expected_calibration_error(by_decile),
        calibration_error_of_noise=calibration_error_of_noise(by_decile),
    )
    return TaskReport(metrics=metrics, deciles=by_decile, segments=tuple(each.metrics() for each in segments))


def _log_probabilities(scores: Array, scale: Scale) -> F64:
    """Return float64 log p, at most 0."""
    wide = scores.astype(np.float64)
    if scale == "logit":
        return -np.logaddexp(0.0, -wide)
    if scale == "log_probability":
        return np.minimum(wide, 0.0)  # float32 softplus may leave a few ulps above 0
    if wide.size and (wide.min() < 0 or wide.max() > 1):
        raise InputDataError(
            f"Probabilities reach from {wide.min():.6g} to {wide.max():.6g}. "
            "Give values in [0, 1], or say which scale these are (scale='logit' or 'log_probability')."
        )
    with np.errstate(divide="ignore"):  # log 0 = -inf is meant: it ranks last, and log_loss cuts it
        logs: F64 = np.log(wide)
    return logs
