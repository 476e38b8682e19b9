"""Gather what the page of runs shows."""

import time
from collections.abc import Sequence

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.progress import Progress
from esmm_dist.report.run_history.read import read_course
from esmm_dist.report.run_page.config import ReportConfig
from esmm_dist.report.run_page.page import ReportedRuns
from esmm_dist.storage.folder import Folder


def gather_report(config: ReportConfig, progress: Progress) -> ReportedRuns:
    """Read the runs.

    Raises:
        ConfigError: There is no such run.
        StorageError: The storage refuses.
    """
    choices = [CheckpointChoice.parse(each, None) for each in config.runs]
    labels = labels_of(config.runs)
    courses = []
    progress.start("Reading the runs", len(choices), "runs")
    for choice, label in zip(choices, labels, strict=True):
        courses.append(read_course(Folder.open(choice.run), label))
        progress.advance(1)
    progress.finish()
    return ReportedRuns(courses=courses, made_at=time.time(), command=_command(config))


def labels_of(runs: Sequence[str]) -> list[str]:
    """Return short names of runs: as many parts of their ends as tell them apart, numbered where none do."""
    parts = [each.partition("?")[0].rstrip("/").split("/") for each in runs]
    most = max(len(each) for each in parts)
    for count in range(1, most + 1):
        labels = ["/".join(each[-count:]) for each in parts]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{'/'.join(each[-1:])} ({number})" for number, each in enumerate(parts, 1)]


def _command(config: ReportConfig) -> str:
    html = f" --html {config.html}" if config.html is not None else ""
    return f"esmm report {' '.join(config.runs)}{html}"
