"""``esmm report --watch``: the page is written anew while runs train. It takes no lock of a training that writes."""

import time
from collections.abc import Callable, Sequence

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.errors import RetryError
from esmm_dist.process.low_priority import lower_priority_of_this_thread
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.read import has_begun
from esmm_dist.report.run_page.config import ReportConfig
from esmm_dist.report.run_page.gather import gather_report
from esmm_dist.report.run_page.page import ReportedRuns
from esmm_dist.report.run_page.scored_run import ScoreMemory
from esmm_dist.report.run_page.text import watch_line
from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_history import ENDS
from launcher.command import Outcome
from launcher.commands.report_outcome import outcome_of
from launcher.jobs.local_run import LocalRun

_TRAINS = ("starting", "running", "stopping")


def watch_runs(
    config: ReportConfig, every_s: float, progress: Progress, *, sleep: Callable[[float], None] = time.sleep
) -> Outcome:
    """Write the page every few seconds until all runs have ended, or until KeyboardInterrupt.

    A run that has not begun is waited for. Work has low priority: a training on this machine goes first.

    Args:
        config: settings of the command
        every_s: seconds between two pages
        progress: receives a line for each page
        sleep: waits for a number of seconds

    Raises:
        EsmmError: Whatever reading and scoring raise, but for a storage that refuses for a while.
    """
    lower_priority_of_this_thread()
    watched = _Watched(config, every_s, progress)
    try:
        while not watched.look():
            sleep(every_s)
    except KeyboardInterrupt:
        return watched.outcome("Stopped watching.")
    return watched.outcome(f"Ended: {', '.join(watched.states)}.")


class _Watched:
    """What one watch knows of its runs. One thread uses it."""

    def __init__(self, config: ReportConfig, every_s: float, progress: Progress) -> None:
        self.states: Sequence[str] = ()
        self._config, self._every_s, self._progress = config, every_s, progress
        self._memory: ScoreMemory = {}
        self._report: ReportedRuns | None = None
        self._waits_for: tuple[str, ...] = ()
        self._last_line = ""

    def look(self) -> bool:
        """Read the runs and write the page; return whether all have ended."""
        absent = tuple(each for each in self._config.runs if not has_begun(_folder(each)))
        if absent:
            if absent != self._waits_for:
                self._progress.message(f"Waiting for {', '.join(absent)} to begin; Ctrl-C ends.")
            self._waits_for = absent
            return False
        before, self._waits_for = self._report, ()
        try:
            # Bars of each round would scroll the lines away
            self._report = gather_report(self._config, NoProgress(), self._memory)
            outcome_of(self._report, self._config, refresh_s=self._every_s)
        except RetryError as e:
            self._progress.message(f"The next try is in {self._every_s:g} s: {e}")
            return False
        self._say(watch_line(self._report))
        ends = [
            _end_of(run, course, before.courses[i] if before is not None else None)
            for i, (run, course) in enumerate(zip(self._config.runs, self._report.courses, strict=True))
        ]
        self.states = [each for each in ends if each is not None]
        return len(self.states) == len(ends)

    def outcome(self, last_line: str) -> Outcome:
        """Write the page a last time, without the line that makes browsers read it again."""
        if self._report is None:
            return Outcome(lines=[f"{last_line} No run has begun."], result={"runs": []})
        written = outcome_of(self._report, self._config)
        return Outcome(lines=[*written.lines, last_line], result={**written.result, "states": list(self.states)})

    def _say(self, line: str) -> None:
        if line != self._last_line:
            self._progress.message(line)
        self._last_line = line


def _folder(run: str) -> Folder:
    return Folder.open(CheckpointChoice.parse(run, None).run)


def _end_of(run: str, course: RunCourse, before: RunCourse | None) -> str | None:
    """Return how a run has ended; None if it trains, or may.

    Its history says so. That of a killed one does not: where nothing has changed since the last look, its lock is
    looked at, which a training that is about to begin would notice only in that very moment.
    """
    told = [each.event for each in course.events if each.event in ("start", "resume", *ENDS)]
    if told and told[-1] in ENDS:
        return told[-1]
    is_quiet = before is not None and (before.step, before.events) == (course.step, course.events)
    place = CheckpointChoice.parse(run, None).run
    if not is_quiet or not Folder.open(place).is_local:
        return None
    state = LocalRun(place).status().state
    return None if state in _TRAINS else state
