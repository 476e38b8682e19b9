"""The folder of a study.

::

    STUDY/study.db                 the trials, as Optuna keeps them (SQLite)
    STUDY/best.yaml                settings of the best trial, for esmm train --config
    STUDY/report.html              pictures of the study
    STUDY/trials/0007/train.yaml   settings of trial 7, and beside it what it printed: train.log
    STUDY/trials/0007/seed-1/      its run with seed 1, as long as it is the best
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher.trainings.locked_folder import locked_folder

DATABASE_NAME = "study.db"


@dataclass(frozen=True, kw_only=True)
class StudyFolder:
    """Where everything of a study lies."""

    path: Path

    @property
    def database(self) -> Path:
        """Optuna's storage."""
        return self.path / DATABASE_NAME

    @property
    def best(self) -> Path:
        """Settings of the best trial."""
        return self.path / "best.yaml"

    @property
    def report(self) -> Path:
        """The pictures."""
        return self.path / "report.html"

    @property
    def best_run(self) -> Path:
        """Folder that the report names for a training with the best settings."""
        return self.path / "best"

    def trial(self, number: int) -> Path:
        """Folder of a trial."""
        return self.path / "trials" / f"{number:04}"

    def settings(self, number: int) -> Path:
        """Settings of a trial, for ``esmm train --config``."""
        return self.trial(number) / "train.yaml"

    def log(self, number: int) -> Path:
        """What the trainings of a trial printed."""
        return self.trial(number) / "train.log"

    def run(self, number: int, seed: int) -> Path:
        """Run of a trial's training with a seed."""
        return self.trial(number) / f"seed-{seed}"

    def remove_runs(self, number: int) -> None:
        """Remove the runs of a trial, and leave its settings and its log. Harmless if there are none."""
        for run in self.trial(number).glob("seed-*"):
            shutil.rmtree(run, ignore_errors=True)


@contextmanager
def locked_study(path: Path) -> Iterator[StudyFolder]:
    """Open the folder of a study for one ``esmm tune``, and make it if it is missing.

    Raises:
        ConfigError: another process works on it, or it holds something else
    """
    with locked_folder(path, marker=DATABASE_NAME, what="a study", command="esmm tune", setting="study"):
        yield StudyFolder(path=path)
