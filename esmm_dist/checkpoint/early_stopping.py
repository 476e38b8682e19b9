"""Early stopping: which evaluation of a run is the best, and whether training has gone on without a better one.

Both follow from the list of evaluations and the settings alone, which stand in every checkpoint. So a training that
resumes, or falls back to an earlier checkpoint, and whoever reads the run agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

FIGURES: Mapping[str, Literal["highest", "lowest"]] = {"auc": "highest", "gauc": "highest", "log_loss": "lowest"}
"""Figures of a task that can decide, and which value is the best."""


@dataclass(frozen=True, kw_only=True)
class BestEvaluation:
    """The best evaluation of a run."""

    step: int
    value: float
    metric: str
    """Task and figure, such as ``ctcvr.auc``."""
    split: str

    def __str__(self) -> str:
        """Return it in words."""
        return f"step {self.step:,} is the best by {self.metric} on {self.split} ({self.value:.4f})"


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """When training ends early, and by what."""

    patience: int
    """Evaluations in a row without a better value after which training ends, 1 or more."""
    metric: str
    """Task and figure, such as ``ctcvr.auc``."""
    split: str
    """Split whose evaluations count."""
    every_steps: int
    """Period of the evaluations. One between them, at the end of a run whose ``max_steps`` grew later, counts while it
    is the end: a run in pieces goes on like one that was not cut."""
    after_step: int = 0
    """Steps of the run before the data set at hand: evaluations up to there were of others, and do not count."""

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any], *, after_step: int = 0) -> "EarlyStopping | None":
        """Read it from the resolved settings of a run; None if it has none, or is from before there was any.

        Args:
            settings: resolved settings of the run
            after_step: steps of the run before its newest data set
        """
        found = settings.get("evaluation", {})
        if not isinstance(found, Mapping) or not found.get("early_stopping"):
            return None
        return cls(
            patience=int(found["early_stopping"]),
            metric=str(found["early_stopping_metric"]),
            split=str(found["eval_split"]),
            every_steps=int(found["eval_every_steps"]),
            after_step=after_step,
        )

    def best(self, evaluations: Sequence[Mapping[str, Any]], step: int) -> BestEvaluation | None:
        """Return the best evaluation, the first of equal ones; None if none has the figure.

        Args:
            evaluations: evaluations of the run in the order of their steps, as a checkpoint's state has them
            step: steps of the run so far; later evaluations do not count
        """
        values = self._values(evaluations, step)
        if not values:
            return None
        pick = max if FIGURES[self.metric.rpartition(".")[2]] == "highest" else min
        best_step, value = pick(values, key=lambda each: each[1])
        return BestEvaluation(step=best_step, value=value, metric=self.metric, split=self.split)

    def later_values(self, evaluations: Sequence[Mapping[str, Any]], step: int) -> list[float]:
        """Return the values of the evaluations after the best one; arguments as of ``best``."""
        best = self.best(evaluations, step)
        return [value for at, value in self._values(evaluations, step) if best is not None and at > best.step]

    def is_over(self, evaluations: Sequence[Mapping[str, Any]], step: int) -> bool:
        """Return whether training ends after ``step``: the evaluation there is the last that patience allows.

        Without a best one, as where a split has one class only, it never does.
        """
        evaluated = step % self.every_steps == 0 and any(each["step"] == step for each in evaluations)
        return evaluated and len(self.later_values(evaluations, step)) >= self.patience

    def _values(self, evaluations: Sequence[Mapping[str, Any]], step: int) -> list[tuple[int, float]]:
        """Return the steps and values of the evaluations of the whole split that have the figure."""
        task, _, figure = self.metric.rpartition(".")
        found = (
            (int(each["step"]), each["metrics"].get(task, {}).get(figure))
            for each in evaluations
            if each["split"] == self.split
            and each["step"] > self.after_step
            and each["whole_split"]
            and (each["step"] == step or (each["step"] < step and each["step"] % self.every_steps == 0))
        )
        return [(at, float(value)) for at, value in found if value is not None]
