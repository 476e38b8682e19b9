"""The runs of this machine below a folder."""

import os
from pathlib import Path

from esmm_dist.errors import EsmmError
from launcher.jobs.find import RUN_FILES
from launcher.jobs.local_run import LocalRun
from launcher.run_files.job import JobRow

DEPTH = 3
"""Folders below the current one; a home folder has millions of files further down."""


def local_runs(below: Path) -> list[JobRow]:
    """Return the runs in the folders below one, by path. What cannot be read is left out."""
    return [row for folder in _folders(below) if (row := _row(folder, below)) is not None]


def _folders(below: Path) -> list[Path]:
    found: list[Path] = []
    for top, folders, files in os.walk(below):
        here = Path(top)
        if RUN_FILES & set(files):
            found.append(here)
            folders.clear()
        elif len(here.relative_to(below).parts) >= DEPTH:
            folders.clear()
        else:
            folders[:] = sorted(each for each in folders if not each.startswith("."))
    return found


def _row(folder: Path, below: Path) -> JobRow | None:
    try:
        status = LocalRun(str(folder)).status()
    except (EsmmError, OSError):
        return None
    run = status.run or status.progress
    return JobRow(
        job=f"./{folder.relative_to(below)}",
        where="local",
        task="train",
        state="lost" if status.stale else status.state,
        ranks=status.run.ranks if status.run else None,
        step=run.step if run else None,
        total_steps=run.total_steps if run else None,
    )
