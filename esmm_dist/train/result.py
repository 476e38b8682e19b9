"""How a training ended."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from esmm_dist.checkpoint.early_stopping import BestEvaluation
from esmm_dist.inference.tables.metrics_table import metrics_table
from esmm_dist.input.skipped import SkippedShard, skipped_lines
from esmm_dist.model.metrics.summary import TaskMetrics, from_mapping
from esmm_dist.reported import Reported
from esmm_dist.train.data_sets import DataSetRecord
from esmm_dist.train.published import Published

if TYPE_CHECKING:
    from esmm_dist.inference.baseline import Baseline


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainResult(Reported):
    """How a training ended."""

    run: str
    step: int
    """Steps done since the run's beginning."""
    total_steps: int
    impressions: int
    """Impressions trained on since this start, over all ranks."""
    seconds: float
    """Time of the steps since this start, without start-up, evaluation and saving."""
    rows: int
    """Embedding rows at the end."""
    stopped_by: str | None
    """Signal that ended training early; None if it is complete, by all its steps or by early stopping."""
    metrics: dict[str, TaskMetrics]
    """Metrics of the evaluation at the end, with early stopping of the best one; empty if there was none. Before
    calibration, as those of ``metrics.json``."""
    baseline: "Baseline | None" = None
    """What logistic regression reaches on the same data; None if there was none."""
    calibrated_by: str | None = None
    """Method by which evaluate, predict and export calibrate the run's probabilities; None: they do not."""
    best: BestEvaluation | None = None
    """The best evaluation so far; None without early stopping."""
    values_after_best: tuple[float, ...] = ()
    """What early stopping goes by, of each evaluation after the best one."""
    skipped: tuple[SkippedShard, ...] = ()
    """Records of the data set that could not be read, by shard."""
    data_sets: tuple[DataSetRecord, ...] = ()
    """The data sets that the run has learned from, the one at hand last."""
    published: Published | None = None
    """What was published since this start; None: the training publishes nothing."""

    @property
    def impressions_per_second(self) -> float:
        """Training speed."""
        return self.impressions / self.seconds if self.seconds else 0.0

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        return [
            *self._ending(),
            *self._data_set(),
            *self._choice(),
            *skipped_lines(self.skipped),
            *self._evaluations(),
            *(self.published.lines() if self.published is not None else ()),
        ]

    def _data_set(self) -> list[str]:
        """Say which data set of the run it was, if it has several."""
        if len(self.data_sets) < 2 or not self.impressions:
            return []
        now = self.data_sets[-1]
        number, first = len(self.data_sets), now.first_step + 1
        return [f"Data set {number} of the run: {now.data}, steps {first:,} to {now.last_step:,}."]

    def _evaluations(self) -> list[str]:
        """Return the metrics before the data set was learned from, those at the end, and what the baseline says."""
        lines = []
        now = self.data_sets[-1] if self.data_sets else None
        if now is not None and now.first is not None:
            lines += [f"Before it learned from {now.data}:", *metrics_table(from_mapping(now.first))]
            lines += ["After it:"] if self.metrics else []
        if self.metrics and self.calibrated_by is not None:
            lines.append("Before calibration; esmm evaluate shows it calibrated:")
        lines += metrics_table(self.metrics, self.baseline) if self.metrics else []
        warnings = self.baseline.warnings(self.metrics) if self.baseline is not None else []
        return [*lines, *(f"Warning: {line}" for line in warnings)]

    def _choice(self) -> list[str]:
        """Say which step early stopping has chosen, and why."""
        if self.best is None or self.stopped_by:
            return []
        later = ", ".join(f"{value:.4f}" for value in self.values_after_best)
        why = f"; after it {later}" if later else ""
        return [
            f"Of its evaluations, {self.best}{why}.",
            f"Its checkpoint is kept: esmm evaluate, predict and export --run {self.run} take it.",
        ]

    def _ending(self) -> list[str]:
        done = f"step {self.step:,} of {self.total_steps:,}; {self.rows:,} embedding rows"
        early = self.stopped_by is None and self.step < self.total_steps
        if self.stopped_by:
            return [
                f"Stopped by {self.stopped_by} at {done}. All is saved.",
                f"Resume with: esmm train --run {self.run}",
            ]
        if not self.impressions:
            ended = "has ended early" if early else "is complete"
            return [f"Nothing left to do: {self.run} {ended} ({done})."]
        return [
            f"Trained {self.impressions:,} impressions in {self.seconds:.1f} s "
            f"({self.impressions_per_second:,.0f} a second), up to {done}.",
            *([f"Training ended early: {len(self.values_after_best)} evaluations in a row were no better."] * early),
        ]
