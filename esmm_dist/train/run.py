"""The entry point of training."""

from dataclasses import dataclass

from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.progress import Progress
from esmm_dist.quiet import import_tfra
from esmm_dist.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """How a training ended."""

    run: str
    step: int
    """Steps done since the run's beginning."""
    total_steps: int
    impressions: int
    """Impressions trained on by this process."""
    seconds: float
    """Of the steps of this process, without start-up, evaluation and saving."""
    rows: int
    """Embedding rows at the end."""
    stopped_by: str | None
    """Signal that ended training early; None if it is complete."""
    metrics: dict[str, TaskMetrics]
    """Of the evaluation at the end; empty if there was none."""

    @property
    def impressions_per_second(self) -> float:
        """Training speed."""
        return self.impressions / self.seconds if self.seconds else 0.0

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        done = f"step {self.step:,} of {self.total_steps:,}; {self.rows:,} embedding rows"
        if self.stopped_by:
            return [
                f"Stopped by {self.stopped_by} at {done}. All is saved.",
                f"Resume with: esmm train --run {self.run}",
            ]
        if not self.impressions:
            return [f"Nothing left to do: {self.run} is complete ({done})."]
        return [
            f"Trained {self.impressions:,} impressions in {self.seconds:.1f} s "
            f"({self.impressions_per_second:,.0f} a second), up to {done}.",
        ]


def train(config: TrainConfig, progress: Progress) -> TrainResult:
    """Train a model, or resume the run that ``config.run`` holds.

    Blocks until all epochs are done, or until SIGTERM or SIGINT: then the running step is finished, a checkpoint is
    written and the result says so.

    Raises:
        EsmmError: Settings, data set or checkpoint are wrong or do not fit; a loss is not finite; the disk refuses.
    """
    import_tfra()  # here, so that reading settings and help does not wait for it
    from esmm_dist.train.loop import Trainer
    from esmm_dist.train.run_folder import locked_run

    with locked_run(config.run) as run:
        return Trainer(config, progress, run).train()
