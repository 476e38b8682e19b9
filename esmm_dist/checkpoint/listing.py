"""List a run's checkpoints for people."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.checkpoint.format import checkpoint_folders, step_of
from esmm_dist.checkpoint.reader import verified_checkpoint
from esmm_dist.errors import CheckpointError


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
    state: str
    """``ok``, or what is damaged."""


def list_checkpoints(run: Path) -> list[CheckpointInfo]:
    """Return a run's checkpoints, oldest first, each verified against its checksums.

    Raises:
        CheckpointError: The folder does not exist.
    """
    if not run.is_dir():
        raise CheckpointError(f"There is no run at {run}. Give the folder that esmm train --run wrote.")
    return [_info(folder) for folder in reversed(checkpoint_folders(run))]


def _info(folder: Path) -> CheckpointInfo:
    size_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    try:
        manifest = verified_checkpoint(folder).manifest
    except CheckpointError as e:
        return CheckpointInfo(
            step=step_of(folder), path=str(folder), size_bytes=size_bytes, rows=0, metrics={}, state=f"damaged: {e}"
        )
    return CheckpointInfo(
        step=step_of(folder),
        path=str(folder),
        size_bytes=size_bytes,
        rows=sum(file.rows for file in manifest.files),
        metrics=manifest.metrics,
        state="ok",
    )
