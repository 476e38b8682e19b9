"""The log of a training: losses and metrics, in ``train_log.jsonl`` and for TensorBoard."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import tensorflow as tf

from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.train.run_folder import RunFolder


class RunLog:
    """Writes on rank 0, and nothing on the others.

    A disk that is full for a while ends no training: the losses are written later, and TensorBoard's log continues in a
    new file when there is room again, without the points in between.
    """

    def __init__(self, run: RunFolder | None) -> None:
        """Open the files.

        Args:
            run: folder of the run; None on ranks other than 0
        """
        self._run = run
        self._unwritten: list[dict[str, float]] = []
        self._writer: tf.summary.SummaryWriter | None = None
        self._closed = False
        self._open()

    def losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Add a point of the training losses."""
        if self._run is not None:
            self._unwritten.append({"step": step, **losses})
            self._write()
        self._scalars(step, {f"train/{name}": loss for name, loss in losses.items()})

    def metrics(self, step: int, split: str, metrics: Mapping[str, TaskMetrics]) -> None:
        """Add the metrics of an evaluation."""
        figures = ("auc", "gauc", "log_loss", "calibration")
        self._scalars(
            step,
            {f"{split}/{name}_{figure}": getattr(task, figure) for name, task in metrics.items() for figure in figures},
        )

    def _write(self) -> None:
        """Write the pending points; what a full disk refuses stays pending."""
        assert self._run is not None
        while self._unwritten:
            try:
                self._run.append_log(self._unwritten[0])
            except OSError:
                return  # training continues; the next checkpoint reports what is wrong with the disk
            self._unwritten.pop(0)

    def flush(self) -> None:
        """Bring all that was written to the files."""
        self._tried(lambda writer: writer.flush())

    def close(self) -> None:
        """Close the files; harmless when called twice."""
        self._tried(lambda writer: writer.close())
        self._closed = True

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        def write(writer: tf.summary.SummaryWriter) -> None:
            with writer.as_default(step=step):
                for name, value in values.items():
                    tf.summary.scalar(name, value)

        if self._writer is None and not self._closed:
            self._open()
        self._tried(write)

    def _open(self) -> None:
        if self._run is not None:
            with suppress(tf.errors.OpError):
                self._writer = tf.summary.create_file_writer(str(self._run.tensorboard))

    def _tried(self, act: Callable[[tf.summary.SummaryWriter], None]) -> None:
        """Use the event file; after a failure it may end in half an event, so it is given up."""
        if self._writer is None:
            return
        try:
            act(self._writer)
        except tf.errors.OpError:
            with suppress(tf.errors.OpError):
                self._writer.close()
            self._writer = None
