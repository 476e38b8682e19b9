"""Courses of runs for tests of pictures: read from written folders."""

from pathlib import Path
from typing import Any

from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.read import read_course
from esmm_dist.storage.folder import Folder
from tests.support.written_run import evaluation, losses, write_run

NAN = float("nan")
LEARNS = [evaluation(step, ctr=0.6 + 0.0001 * step, ctcvr=0.7) for step in range(100, 1001, 100)]


def written_course(folder: Path, label: str = "run", **parts: Any) -> RunCourse:
    """Return the course of a run that is written there; without losses given it has some."""
    write_run(folder / label, **{"train_log": losses(1000), **parts})
    return read_course(Folder.open(folder / label), label)
