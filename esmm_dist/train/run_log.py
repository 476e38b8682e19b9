"""What a run tells while it trains: losses and metrics, in ``train_log.jsonl`` and for TensorBoard."""

from collections.abc import Mapping

import tensorflow as tf

from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.train.run_folder import RunFolder


class RunLog:
    """Writes on rank 0, and nothing on the others."""

    def __init__(self, run: RunFolder | None) -> None:
        """Open the files.

        Args:
            run: The run's folder; None on other ranks than 0.
        """
        self._run = run
        self._writer = tf.summary.create_file_writer(str(run.tensorboard)) if run is not None else None

    def losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Add a point of the training losses."""
        if self._run is not None:
            self._run.append_log({"step": step, **losses})
        self._scalars(step, {f"train/{name}": loss for name, loss in losses.items()})

    def metrics(self, step: int, split: str, metrics: Mapping[str, TaskMetrics]) -> None:
        """Add the metrics of an evaluation."""
        figures = ("auc", "log_loss", "calibration")
        self._scalars(
            step,
            {f"{split}/{name}_{figure}": getattr(task, figure) for name, task in metrics.items() for figure in figures},
        )

    def flush(self) -> None:
        """Bring all that was written to the files."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Close the files; harmless when called twice."""
        if self._writer is not None:
            self._writer.close()

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        if self._writer is None:
            return
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
