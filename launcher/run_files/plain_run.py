"""The progress of a training that has no driver, read from the files that it writes into its run.

A training without ``--min-workers`` or ``--max-workers`` (``esmm train``, ``horovodrun``, ``esmm local``) writes no
status. Its losses, evaluations, checkpoints and settings say the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pydantic

from esmm_dist.checkpoint.early_stopping import EarlyStopping
from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.errors import CheckpointError, ConfigError, InputDataError
from esmm_dist.input.order import steps_in_epoch
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.data_sets import DataSetRecord
from esmm_dist.train.run_folder import LOG_NAME, METRICS_NAME, read_data_sets
from esmm_dist.train.run_settings import read_settings
from launcher.run_files.status_lines import auc_line, steps_text

TRAIN_LOCK_NAME = ".lock"
"""Locked by the training itself, in a run of a local disk (``esmm_dist/train/run_folder.py``)."""


@dataclass(frozen=True, kw_only=True)
class PlainProgress:
    """What a run's files tell."""

    step: int
    """Last step that any file knows."""
    total_steps: int | None
    """Steps of the whole training; of one that early stopping has ended, those that it has made. None: its data set
    cannot be read from here."""
    checkpoint_step: int | None
    """Step of the newest checkpoint. None: there is none yet."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """Mean training losses of the newest line of the log."""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """The newest: ``step``, ``split``, and in ``auc`` the AUC of each task and its standard error. Empty: none yet."""

    @property
    def done(self) -> bool:
        """Whether the last step is saved."""
        return self.total_steps is not None and self.checkpoint_step == self.total_steps


@dataclass(frozen=True, kw_only=True)
class _Auc:
    auc: float | None
    auc_standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class _Evaluation:
    """The part of an evaluation in a run's ``metrics.json`` that is shown."""

    step: int
    split: str
    metrics: dict[str, _Auc]


@dataclass(frozen=True, kw_only=True)
class _Input:
    global_batch_records: pydantic.PositiveInt
    epochs: pydantic.PositiveInt


@dataclass(frozen=True, kw_only=True)
class _Length:
    """The settings in ``config.yaml`` that say how long a training is."""

    data: Path
    input: _Input
    max_steps: pydantic.PositiveInt | None = None


_LOSSES = pydantic.TypeAdapter(dict[str, float])
_STEP = pydantic.TypeAdapter(Annotated[int, pydantic.Field(ge=0)])
_EVALUATION = pydantic.TypeAdapter(_Evaluation)
_LENGTH = pydantic.TypeAdapter(_Length)


def is_training(run: Folder) -> bool:
    """Return whether a folder is the run of a training: it holds the log that one begins with.

    Its settings come with its first step.
    """
    return run.has(LOG_NAME)


def data_sets_if_readable(run: Folder) -> tuple[DataSetRecord, ...]:
    """Return the data sets that a run has begun to learn from; none if its list is damaged.

    Raises:
        StorageError: The storage refuses.
    """
    try:
        return read_data_sets(run)
    except CheckpointError:  # training says so
        return ()


def read_progress(run: Folder) -> PlainProgress:
    """Read what the files of a run tell.

    Raises:
        ConfigError: The run's settings are damaged.
        StorageError: The storage refuses.
    """
    logged, losses = _last_losses(run)
    checkpoints = checkpoint_steps(run)
    newest = checkpoints[0] if checkpoints else None
    evaluation = _newest_evaluation(run)
    return PlainProgress(
        step=max(logged, newest or 0, evaluation.get("step", 0)),
        total_steps=_total_steps(run, read_settings(run.location) or {}),
        checkpoint_step=newest,
        losses=losses,
        evaluation=evaluation,
    )


def progress_lines(progress: PlainProgress) -> list[str]:
    """Return the same for a reader."""
    saved = "none yet" if progress.checkpoint_step is None else f"step {progress.checkpoint_step:,}"
    lines = [steps_text(progress.step, progress.total_steps), f"last checkpoint: {saved}"]
    if progress.losses:
        lines.append("losses: " + ", ".join(f"{name} {value:.4f}" for name, value in progress.losses.items()))
    if progress.evaluation:
        lines.append(auc_line(progress.evaluation))
    return lines


def _last_losses(run: Folder) -> tuple[int, dict[str, float]]:
    """Return the step and the losses of the newest whole line of the log."""
    try:
        lines = run.read_bytes(LOG_NAME).splitlines()
    except FileNotFoundError:
        return 0, {}
    for line in reversed(lines):
        try:
            losses = _LOSSES.validate_python(json.loads(line))
            return _STEP.validate_python(losses.pop("step", 0)), losses
        except ValueError:  # half a line: it is being written
            continue
    return 0, {}


def _newest_evaluation(run: Folder) -> dict[str, Any]:
    try:
        found = json.loads(run.read_bytes(METRICS_NAME))["newest"]
        if not found:
            return {}
        newest = _EVALUATION.validate_python(found)
        auc = {task: (each.auc, each.auc_standard_error) for task, each in newest.metrics.items()}
        return {"step": newest.step, "split": newest.split, "auc": auc}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


def _early_end(run: Folder, settings: Mapping[str, Any], first_step: int) -> int | None:
    """Return the step after which early stopping has ended a training; None if it has not."""
    stopping = EarlyStopping.of_settings(settings, after_step=first_step)
    if stopping is None:
        return None
    try:
        evaluations = json.loads(run.read_bytes(METRICS_NAME))["evaluations"]
        last = int(evaluations[-1]["step"])
        return last if stopping.is_over(evaluations, last) else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, IndexError):
        return None


def _total_steps(run: Folder, settings: Mapping[str, Any]) -> int | None:
    """Return the step after which a run has done with its newest data set; None if that cannot be read."""
    data_sets = data_sets_if_readable(run)
    first_step = data_sets[-1].first_step if data_sets else 0
    early_end = _early_end(run, settings, first_step)
    if early_end is not None:
        return early_end
    try:
        length = _LENGTH.validate_python(settings)
        manifest = read_manifest(length.data)
    except (pydantic.ValidationError, InputDataError, ConfigError):
        return None
    all_steps = steps_in_epoch(manifest, "train", length.input.global_batch_records) * length.input.epochs
    return first_step + min(all_steps, length.max_steps or all_steps)
