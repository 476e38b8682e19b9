"""The course of a run in numbers: losses, evaluations, checkpoints, speed, tables and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.train.data_sets import DataSetRecord
from esmm_dist.train.run_history import RunEvent
from esmm_dist.train.run_speed import SpeedPoint


@dataclass(frozen=True, kw_only=True)
class LossPoint:
    """Mean training losses since the point before."""

    step: int
    losses: Mapping[str, float]
    """By name, such as ``ctr_loss``; nan where the log has no number."""


@dataclass(frozen=True, kw_only=True)
class RunEvaluation:
    """One evaluation of the run, or of logistic regression."""

    step: int
    split: str
    whole_split: bool
    metrics: Mapping[str, Mapping[str, float]]
    """By task, as in ``metrics.json``: ``auc``, ``auc_standard_error``, ``log_loss``, ``calibration``, ...; nan where
    the file has no number."""

    def value(self, task: str, figure: str) -> float:
        """Return a figure of a task; nan if there is none."""
        return self.metrics.get(task, {}).get(figure, float("nan"))


@dataclass(frozen=True, kw_only=True)
class SavedCheckpoint:
    """One checkpoint, by its manifest."""

    step: int
    saved_at: float | None
    """Seconds since 1970. None: its manifest cannot be read."""
    size_bytes: int
    rows: Mapping[str, int]
    """By table."""
    is_best: bool
    is_pinned: bool
    trouble: str = ""
    """What is damaged; empty: the manifest and the sizes of the files fit. Checksums of rows are not compared."""


@dataclass(frozen=True, kw_only=True)
class RunCourse:
    """What the files of a run tell of its course. Whatever a run has not (yet) is empty."""

    run: str
    """Its place, without credentials."""
    label: str
    """Short name, unique among the runs of a page."""
    step: int
    """Last step that any file knows."""
    losses: Sequence[LossPoint]
    evaluations: Sequence[RunEvaluation]
    """In the order of their steps."""
    best_step: int | None
    """Step that early stopping has found to be the best."""
    best_metric: str
    """What it went by, such as ``ctcvr.auc``; empty without early stopping."""
    baseline: RunEvaluation | None
    """What logistic regression reaches; its step is that of the data set before which it was computed."""
    data_sets: Sequence[DataSetRecord]
    checkpoints: Sequence[SavedCheckpoint]
    """Oldest first."""
    speed: Sequence[SpeedPoint]
    """In the order in which they were written."""
    events: Sequence[RunEvent]
    """In the order of their times."""
    settings: Mapping[str, Any] | None
    """Resolved settings. None: the run has made no step."""
    chosen: Sequence[str]
    """Lines that say which settings the training chose, and why."""
    skipped: Mapping[str, int]
    """``records`` and ``impressions`` that could not be read and were skipped; empty: none were."""
    missing: Sequence[str]
    """Sentences that say which part of the course is not there, and why."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks of the evaluations, in their order."""
        found: dict[str, None] = {}
        for each in self.evaluations:
            found |= dict.fromkeys(each.metrics)
        return tuple(found)

    @property
    def newest(self) -> RunEvaluation | None:
        """The newest evaluation, of the whole split if one of that step is."""
        return self.evaluations[-1] if self.evaluations else None

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        found = to_mapping(self)
        found["data_sets"] = [to_mapping(each) for each in self.data_sets]
        return {"tasks": list(self.tasks), **found}
