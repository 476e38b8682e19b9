"""The result of a comparison of two models: differences, tests, and what they mean in a sentence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from esmm_dist.config import to_mapping
from esmm_dist.errors import SchemaError
from esmm_dist.report.compare_runs.paired_difference import (
    PairedEstimate,
    paired_auc,
    paired_log_loss,
    rank_correlation,
)
from esmm_dist.report.run_scores.kept_scores import KeptScores, aligned
from esmm_dist.reported import Reported
from esmm_dist.text_table import text_table

Z_95 = 1.959964
_Z_POWER = 0.841621
"""Quantile of 80%: an effect of 1.96 + 0.84 standard errors is found in 80% of splits."""

CERTAIN_P = 0.05


@dataclass(frozen=True, kw_only=True)
class DifferenceTest:
    """A difference a - b with its test."""

    a: float
    b: float
    difference: float
    standard_error: float
    """Standard error if impressions are independent (DeLong's, of AUCs)."""
    standard_error_by_user: float
    """Standard error if only users are (Obuchowski's, of AUCs); nan where users are not known."""
    by_user: bool
    """Whether ``low``, ``high``, ``z`` and ``p_value`` are those by user."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    z: float
    p_value: float
    """Two-sided, of no difference."""
    p_value_independent: float
    """Two-sided, of no difference, if impressions are independent."""
    p_adjusted: float
    """``p_value`` by Holm's method over the tasks (and runs) that were compared together."""
    detectable: float
    """Difference that a split like this would show in 80% of cases, at a p value of 0.05."""

    @classmethod
    def of(cls, found: PairedEstimate) -> "DifferenceTest":
        """Test a difference; ``p_adjusted`` is not adjusted yet."""
        by_user = not math.isnan(found.standard_error_by_user)
        error = found.standard_error_by_user if by_user else found.standard_error
        p_value = _p_value(found.difference, error)
        return cls(
            a=found.a,
            b=found.b,
            difference=found.difference,
            standard_error=found.standard_error,
            standard_error_by_user=found.standard_error_by_user,
            by_user=by_user,
            low=found.difference - Z_95 * error,
            high=found.difference + Z_95 * error,
            z=_z(found.difference, error),
            p_value=p_value,
            p_value_independent=_p_value(found.difference, found.standard_error),
            p_adjusted=p_value,
            detectable=(Z_95 + _Z_POWER) * error,
        )

    @property
    def error(self) -> float:
        """The standard error that the test takes."""
        return self.standard_error_by_user if self.by_user else self.standard_error

    @property
    def is_certain(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.p_adjusted < CERTAIN_P


@dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """Two models at one task."""

    impressions: int
    """Those that the task counts: for cvr the clicked ones."""
    positives: int
    auc: DifferenceTest
    log_loss: DifferenceTest
    rank_correlation: float
    """Spearman's, of the two models' predictions."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RunComparison(Reported):
    """Two models on the same impressions; differences are a - b."""

    a: str
    b: str
    data: str
    split: str
    impressions: int
    impressions_of_split: int
    """More than ``impressions``: a sample of users was compared."""
    users: int
    """0: they are not known."""
    tasks: Mapping[str, TaskComparison]

    def sentence(self, task: str) -> str:
        """Say which of both is better at a task, if that is certain."""
        return task_sentence(self.tasks[task].auc, task, self.a, self.b)

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        part = "" if self.impressions == self.impressions_of_split else f" of {self.impressions_of_split:,}"
        by_user = any(each.auc.by_user for each in self.tasks.values())
        why = " No ± by user: fewer than two of its users have an id that is known." if self.users < 2 else ""
        heads = ["positives", "AUC A", "AUC B", "A - B", "± DeLong", "± by user", "95% interval", "z", "p", "p (Holm)"]
        losses = ["log loss A", "log loss B", "A - B", "± independent", "± by user", "p", "rank correlation of scores"]
        return [
            f"A: {self.a}",
            f"B: {self.b}",
            f"The same {self.impressions:,}{part} impressions of {self.split} of {self.data}"
            + (f", of {self.users:,} users" if self.users else ""),
            "",
            *text_table(["task", *heads], [self._auc_row(name) for name in self.tasks]),
            "",
            *text_table(["task", *losses], [self._loss_row(name) for name in self.tasks]),
            "",
            *(task_sentence(each.auc, name, "A", "B") for name, each in self.tasks.items()),
            "",
            "± is one standard error of the difference, interval and p are "
            + ("by user: impressions of one user are not independent." if by_user else "those of DeLong.")
            + ("" if by_user else why)
            + f" Holm: adjusted for {len(self.tasks)} tasks.",
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        sentences = {name: self.sentence(name) for name in self.tasks}
        return {**to_mapping(self), "sentences": sentences}

    def _auc_row(self, name: str) -> list[str]:
        task, auc = self.tasks[name], self.tasks[name].auc
        return [
            name,
            f"{task.positives:,} of {task.impressions:,}",
            f"{auc.a:.5f}",
            f"{auc.b:.5f}",
            f"{auc.difference:+.5f}",
            f"{auc.standard_error:.5f}",
            f"{auc.standard_error_by_user:.5f}",
            f"{auc.low:+.5f} .. {auc.high:+.5f}",
            f"{auc.z:.2f}",
            p_text(auc.p_value),
            p_text(auc.p_adjusted),
        ]

    def _loss_row(self, name: str) -> list[str]:
        task, loss = self.tasks[name], self.tasks[name].log_loss
        return [
            name,
            f"{loss.a:.5f}",
            f"{loss.b:.5f}",
            f"{loss.difference:+.6f}",
            f"{loss.standard_error:.6f}",
            f"{loss.standard_error_by_user:.6f}",
            p_text(loss.p_value),
            f"{task.rank_correlation:.4f}",
        ]


def paired_differences(runs: Sequence[KeptScores], *, data: str = "", split: str = "") -> list[RunComparison]:
    """Compare runs with the first one, on the impressions that all have scored.

    Args:
        runs: scores of two runs or more, of one split; they are put into the order of the first
        data: data set, for the report
        split: split, for the report

    Returns:
        A comparison for each run but the first, which is ``b``: a difference above 0 is an AUC above the first's. p
        values are adjusted over all runs and tasks.

    Raises:
        InputDataError: They have not scored the same impressions.
        SchemaError: They have other labels.
    """
    first = runs[0]
    found = [_compared(other, first, data, split) for other in runs[1:]]
    return _adjusted(found)


def task_sentence(auc: DifferenceTest, task: str, a: str, b: str) -> str:
    """Say which of two runs is better at a task, if that is certain, and else what would have been."""
    if math.isnan(auc.error):
        return f"{task}: a label has fewer than two impressions, so that nothing can be compared."
    if auc.error == 0 and auc.difference == 0:
        return f"{task}: both rank all pairs alike."
    difference = f"{abs(auc.difference):.4f} ± {auc.error:.4f}"
    if auc.is_certain:
        better = a if auc.difference > 0 else b
        return f"{task}: {better} ranks better, by an AUC of {difference}, p {_equals(auc.p_adjusted)}."
    return (
        f"{task}: no difference that this split could show ({difference}, p {_equals(auc.p_adjusted)}); it could show "
        f"one of {auc.detectable:.4f}."
    )


def p_text(p_value: float) -> str:
    """Return a p value with two figures, at least 1e-300."""
    if math.isnan(p_value):
        return "nan"
    return f"{p_value:.3f}" if p_value >= 0.0995 else f"{p_value:.2g}"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted so that any of them is below a level by chance alone as often as the level says.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979). nan
    stays nan and counts as no test.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted, least = [math.nan] * len(p_values), 0.0
    for before, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - before)))
        adjusted[place] = least
    return adjusted


def _compared(a: KeptScores, b: KeptScores, data: str, split: str) -> RunComparison:
    if a.tree != b.tree:
        raise SchemaError(
            f"{a.name} predicts the labels {', '.join(a.tree.names)}, {b.name} {', '.join(b.tree.names)}, or in "
            "another tree. Compare runs whose schemas have the same labels."
        )
    a = aligned(b, a)
    of_a, of_b = a.task_scores(), b.task_scores()
    weight = None if b.weights is None else b.weights.astype(np.float64)
    tasks = {}
    for task in b.tree.tasks:
        among = np.ones(b.impressions, np.bool_) if task.given is None else b.labels[:, task.given].copy()
        counted = int(among.sum())
        positives = int(b.labels[among, task.label].sum())
        if weight is not None:
            among &= weight > 0  # an impression without weight is no observation
        own = (
            of_a[task.name][among],
            of_b[task.name][among],
            b.labels[among, task.label],
            b.users[among],
            None if weight is None else weight[among],
        )
        tasks[task.name] = TaskComparison(
            impressions=counted,
            positives=positives,
            auc=DifferenceTest.of(paired_auc(*own)),
            log_loss=DifferenceTest.of(paired_log_loss(*own)),
            rank_correlation=rank_correlation(own[0], own[1]),
        )
    known = b.users[b.users >= 0]
    return RunComparison(
        a=a.name,
        b=b.name,
        data=data,
        split=split,
        impressions=b.impressions,
        impressions_of_split=max(b.impressions_of_split, b.impressions),
        users=len(np.unique(known)),
        tasks=tasks,
    )


def _adjusted(found: Sequence[RunComparison]) -> list[RunComparison]:
    """Return comparisons with the p values of AUCs, and those of log losses, adjusted over all."""
    places = [(run, name) for run, each in enumerate(found) for name in each.tasks]
    aucs = holm([found[run].tasks[name].auc.p_value for run, name in places])
    losses = holm([found[run].tasks[name].log_loss.p_value for run, name in places])
    tasks: list[dict[str, TaskComparison]] = [{} for _ in found]
    for (run, name), auc, loss in zip(places, aucs, losses, strict=True):
        task = found[run].tasks[name]
        tasks[run][name] = replace(
            task, auc=replace(task.auc, p_adjusted=auc), log_loss=replace(task.log_loss, p_adjusted=loss)
        )
    return [replace(each, tasks=of_run) for each, of_run in zip(found, tasks, strict=True)]


def _z(difference: float, error: float) -> float:
    if error == 0:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / error


def _p_value(difference: float, error: float) -> float:
    return math.erfc(abs(_z(difference, error)) / math.sqrt(2))


def _equals(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_text(p_value)}"
