"""The log of a training: losses, metrics, speed and events, in files of the run, for TensorBoard and for trackers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import tensorflow as tf

from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.train.history_log import HistoryLog
from esmm_dist.train.json_lines import JsonLines
from esmm_dist.train.run_folder import LOG_NAME, RunFolder
from esmm_dist.train.run_speed import SPEED_NAME, SpeedPoint
from esmm_dist.train.trackers.background_tracker import BackgroundTracker
from esmm_dist.train.trackers.tracker import TrackedStatus

_STATUSES = {"done": TrackedStatus.FINISHED, "stop": TrackedStatus.KILLED, "failed": TrackedStatus.FAILED}


class RunLog:
    """Writes on rank 0, and nothing on the others.

    A disk that is full for a while ends no training: the losses are written later, and TensorBoard's log continues in a
    new file when there is room again, without the points in between.
    """

    def __init__(self, run: RunFolder | None, trackers: Sequence[BackgroundTracker] = ()) -> None:
        """Open the files.

        Args:
            run: folder of the run; None on ranks other than 0
            trackers: receive losses, metrics and speed, too
        """
        self._trackers = trackers
        self._status: TrackedStatus | None = None
        self._run = run
        self._losses = self._speed = None
        if run is not None:
            run.go_on_with(SPEED_NAME)
            self._losses, self._speed = (JsonLines(partial(run.append, name)) for name in (LOG_NAME, SPEED_NAME))
        self.history = HistoryLog(run)
        self._writer: tf.summary.SummaryWriter | None = None
        self._closed = False
        self._open()

    def losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Add a point of the training losses."""
        if self._losses is not None:
            self._losses.add({"step": step, **losses})
        self._scalars(step, {f"train/{name}": loss for name, loss in losses.items()})

    def start_tracking(self) -> None:
        """Begin the run in the trackers, as there is something to log."""
        for tracker in self._trackers:
            tracker.start()

    def metrics(self, step: int, split: str, metrics: Mapping[str, TaskMetrics]) -> None:
        """Add the metrics of an evaluation."""
        figures = ("auc", "gauc", "log_loss", "calibration")
        self._scalars(
            step,
            {f"{split}/{name}_{figure}": getattr(task, figure) for name, task in metrics.items() for figure in figures},
        )

    def end(self, event: str, step: int, **details: Any) -> None:
        """Note how the training ends: an event of its history, and the status that trackers get when all is closed."""
        self._status = _STATUSES[event]
        if event == "failed":
            self.history.add(event, step, **details)
        else:
            self.history.end(event, step, **details)

    def speed(self, point: SpeedPoint) -> None:
        """Add a point of the speed."""
        if self._speed is not None:
            self._speed.add(point.to_mapping())
        parts = {"input": point.input_s, "pull": point.pull_s, "step": point.step_s, "push": point.push_s}
        seconds = point.seconds or 1.0
        values = {f"speed/{name}_share": part / seconds for name, part in parts.items()}
        self._track(point.step, {"speed/impressions_per_second": point.impressions / seconds, **values})

    def flush(self) -> None:
        """Bring all that was written to the files."""
        self._tried(lambda writer: writer.flush())

    def close(self) -> None:
        """Close the files; harmless when called twice."""
        self._tried(lambda writer: writer.close())
        self._closed = True
        for tracker in self._trackers:
            tracker.close(self._status)

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        def write(writer: tf.summary.SummaryWriter) -> None:
            with writer.as_default(step=step):
                for name, value in values.items():
                    tf.summary.scalar(name, value)

        if self._writer is None and not self._closed:
            self._open()
        self._tried(write)
        self._track(step, values)

    def _track(self, step: int, values: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.add(step, values)

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
