"""List a run's checkpoints for people."""

from dataclasses import dataclass
from typing import Any

from esmm_dist.checkpoint.best_checkpoint import best_evaluation
from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps
from esmm_dist.checkpoint.pins import pinned_steps
from esmm_dist.checkpoint.reader import open_checkpoint, verify_tables
from esmm_dist.checkpoint.run_check import refuse_other_folder
from esmm_dist.errors import CheckpointError
from esmm_dist.storage.folder import Folder


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """One checkpoint at a glance."""

    step: int
    path: str
    size_bytes: int
    rows: int
    """Embedding rows over all tables; 0 if damaged."""
    metrics: dict[str, Any]
    """The newest evaluation it was saved with; empty if there was none."""
    calibrated: str
    """How its probabilities are calibrated; empty if they are not."""
    is_best: bool
    """Whether early stopping has found it to be the best of the run."""
    is_pinned: bool
    """Whether it is kept however many newer ones come."""
    data_set: int
    """Which of its run's data sets it learns from, 1, 2, ...; 0 if damaged."""
    state: str
    """``ok``, ``ok by size`` (the checksums of the rows were not compared), or what is damaged."""


def list_checkpoints(run: Folder) -> list[CheckpointInfo]:
    """Return a run's checkpoints, oldest first, each verified.

    On a local disk all checksums are compared. Elsewhere that would mean to fetch every byte, so of the files of rows
    only the sizes are; ``summarise_checkpoint`` reads all of one.

    Raises:
        CheckpointError: The folder does not exist.
        ConfigError: It is a data set or a single checkpoint.
        StorageError: The storage refuses.
    """
    if not run.exists():
        raise CheckpointError(f"There is no run at {run}. Give the folder that esmm train --run wrote.")
    refuse_other_folder(run)
    best = best_evaluation(run)
    best_step = best.step if best is not None else None
    pinned = set(pinned_steps(run))
    return [
        _info(run, step, is_best=step == best_step, is_pinned=step in pinned)
        for step in reversed(checkpoint_steps(run))
    ]


def _info(run: Folder, step: int, *, is_best: bool, is_pinned: bool) -> CheckpointInfo:
    folder = checkpoint_folder(run, step)
    size_bytes = sum(folder.file_sizes().values())
    try:
        checkpoint = open_checkpoint(run, step)
        if run.is_local:
            verify_tables(checkpoint)
    except CheckpointError as e:
        return CheckpointInfo(
            step=step,
            path=str(folder),
            size_bytes=size_bytes,
            rows=0,
            metrics={},
            calibrated="",
            is_best=is_best,
            is_pinned=is_pinned,
            data_set=0,
            state=f"damaged: {e}",
        )
    manifest = checkpoint.manifest
    return CheckpointInfo(
        step=step,
        path=str(folder),
        size_bytes=size_bytes,
        rows=manifest.num_rows(),
        metrics=manifest.metrics,
        is_best=is_best,
        is_pinned=is_pinned,
        calibrated=manifest.calibration.method if manifest.calibration is not None else "",
        data_set=max(1, len(manifest.state.get("data_sets", ()))),
        state="ok" if run.is_local else "ok by size",
    )
