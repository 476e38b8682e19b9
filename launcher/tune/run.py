"""``esmm tune``: run the trials of a study, and say what is best."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import IO, Any

from esmm_dist.errors import EsmmError
from esmm_dist.process.signals import SignalInbox, StoppedBySignal
from esmm_dist.progress import Progress
from esmm_dist.storage.whole_file import write_durable
from launcher.command import CommandContext, Outcome
from launcher.local.process_plans import ESMM
from launcher.tune.config import TuneConfig
from launcher.tune.pictures import write_pictures
from launcher.tune.report import best_comments, report_lines, report_result, trial_text
from launcher.tune.space import label
from launcher.tune.study import Study, storage_errors
from launcher.tune.study_data import StudyData
from launcher.tune.study_folder import StudyFolder, locked_study
from launcher.tune.trial_files import settings_text, trial_settings, without_baseline
from launcher.tune.trial_process import TrialPlan, TrialProcess

POLL_S = 0.5
"""Longest wait between two looks at the files of the runs."""

MOST_FAILURES = 3
"""Trials that fail one after the other before the study ends: what fails so often fails for all."""

SAME_KEYPRESS_S = 0.3
"""A second SIGINT that comes earlier is the same Ctrl-C, sent on by a program in between."""


class TrialsFailedError(EsmmError):
    """Trial after trial has failed."""


def tune_command(settings: TuneConfig, context: CommandContext) -> Outcome:
    """Run the trials of a study until there are as many as the settings say; errors as those of ``run_study``."""
    return run_study(settings, context.progress)


def run_study(settings: TuneConfig, progress: Progress, *, esmm: Sequence[str] = ESMM) -> Outcome:
    """Run the trials of a study until there are as many as the settings say.

    Args:
        settings: settings of ``esmm tune``
        progress: receives the share of the trials that are done, and a line for each
        esmm: the words that run ``esmm``

    Returns:
        The best trials, and the line that trains with the settings of the best.

    Raises:
        ConfigError: the settings do not fit the data set, or the study is that of another search
        TrialsFailedError: trial after trial has failed, or none is complete
        StoppedBySignal: a signal came; running trials have saved, and go on with the same command
    """
    data = StudyData.read(settings.data)
    if not settings.objective:
        settings = replace(settings, objective=f"{data.tasks[-1]}.auc")
    settings.parsed_objective.check_tasks(data.tasks)
    settings.space.check(data.total_steps)
    with locked_study(settings.study) as folder, storage_errors(folder.database):
        study = Study(folder.database, settings, data)
        try:
            with SignalInbox() as signals, _Trials(settings, data, study, folder, progress, esmm) as trials:
                try:
                    trials.run(signals)
                finally:
                    progress.finish()
                    if study.best is not None:
                        write_pictures(study, settings, folder.report)
            return Outcome(
                lines=report_lines(study, settings, data, folder), result=report_result(study, settings, data, folder)
            )
        finally:
            study.close()


def cores_of_jobs(cores: Sequence[int], jobs: int) -> list[list[int] | None]:
    """Return the cores of each job: shares of the same size, shared ones if there are too few; None: all."""
    if jobs == 1:
        return [None]
    each = max(1, len(cores) // jobs)
    return [[cores[(job * each + i) % len(cores)] for i in range(each)] for job in range(jobs)]


class _Trials:
    """Runs trials side by side. Leaving the ``with`` block kills what still runs. Everything is in one thread.

    Args:
        settings: settings of ``esmm tune``
        data: data set of the study
        study: keeps the trials
        folder: folder of the study
        progress: receives the share of the trials that are done, and a line for each
        esmm: the words that run ``esmm``
    """

    def __init__(
        self,
        settings: TuneConfig,
        data: StudyData,
        study: Study,
        folder: StudyFolder,
        progress: Progress,
        esmm: Sequence[str],
    ) -> None:
        self._settings, self._data, self._study = settings, data, study
        self._folder, self._progress, self._esmm = folder, progress, esmm
        self._cores = cores_of_jobs(sorted(os.sched_getaffinity(0)), settings.jobs)
        self._running: dict[int, TrialProcess] = {}
        self._stopped_by: signal.Signals | None = None
        self._stopped_at = 0.0
        self._failures: list[str] = []
        self._num_finished, self._note = 0, ""
        self._shown = 0.0

    def __enter__(self) -> "_Trials":
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running.values():
            process.kill()

    def run(self, signals: SignalInbox) -> None:
        """Run all trials that are still to be made.

        Raises:
            TrialsFailedError: trial after trial has failed, or none is complete
            StoppedBySignal: a signal came, and the trials have stopped
        """
        self._tidy()
        left = self._study.unfinished()
        self._shown = float(self._num_finished)
        if left:
            self._progress.message(f"Going on with {_named([each.number for each in left])}.")
        if self._num_finished < self._settings.trials:
            self._progress.start("Tuning", self._settings.trials, "trials", self._shown)
        while True:
            self._fill(left)
            if not self._running:
                break
            self._wait(signals)
            for job, process in list(self._running.items()):
                process.poll()
                if not process.running:
                    del self._running[job]
                    self._note_end(process)
            self._show()
        if len(self._failures) >= MOST_FAILURES:
            raise TrialsFailedError(
                f"{len(self._failures)} trials have failed one after the other, so the study ends. The last one: "
                f"{self._failures[-1]}"
            )
        if self._stopped_by is not None:
            raise StoppedBySignal(self._stopped_by)
        if self._study.best is None:
            raise TrialsFailedError(
                "No trial is complete, so there is no best one. Set more trials, or look at train.log in the folders "
                f"below {self._folder.path / 'trials'}."
            )

    @property
    def _stopping(self) -> bool:
        return self._stopped_by is not None or len(self._failures) >= MOST_FAILURES

    def _fill(self, left: list[Any]) -> None:
        """Start trials while there are free jobs: those that are left first."""
        while not self._stopping and len(self._running) < self._settings.jobs:
            if left:
                trial = left.pop(0)
            elif len(self._study.trials) < self._settings.trials:
                trial = self._study.ask()
            else:
                return
            self._start(trial)

    def _start(self, trial: Any) -> None:
        number: int = trial.number
        values = self._study.values(trial)
        settings = trial_settings(self._settings, self._data, values)
        self._folder.trial(number).mkdir(parents=True, exist_ok=True)
        said = ", ".join(f"{path} {label(value)}" for path, value in values.items())
        text = settings_text(without_baseline(settings), [f"Trial {number}: {said}"])
        write_durable(self._folder.settings(number), text.encode())
        job = next(job for job in range(self._settings.jobs) if job not in self._running)
        seed = self._settings.first_seed
        plan = TrialPlan(
            number=number,
            folder=self._folder,
            data=self._data.folder,
            seeds=range(seed, seed + self._settings.seeds),
            objective=self._settings.parsed_objective,
            cores=self._cores[job],
            esmm=self._esmm,
        )
        self._running[job] = TrialProcess(plan, trial, os.environ)

    def _wait(self, signals: SignalInbox) -> None:
        pipes: list[IO[bytes]] = [pipe for process in self._running.values() for pipe in process.pipes]
        with contextlib.suppress(InterruptedError):
            select.select([signals.fileno(), *(pipe.fileno() for pipe in pipes)], [], [], POLL_S)
        for number in signals.take():
            self._note_signal(number)

    def _note_signal(self, number: signal.Signals) -> None:
        if self._stopped_by is None:
            self._stopped_by, self._stopped_at = number, time.monotonic()
            self._progress.message(f"{number.name}: running trials save and stop; Ctrl-C again kills them.")
            self._stop_all()
        elif number == signal.SIGINT and time.monotonic() >= self._stopped_at + SAME_KEYPRESS_S:
            raise StoppedBySignal(number)

    def _stop_all(self) -> None:
        for process in self._running.values():
            process.stop()

    def _note_end(self, process: TrialProcess) -> None:
        end, number = process.end, process.plan.number
        if end is None:
            return
        seconds = time.monotonic() - process.started
        if end.error:
            self._note_failure(process.trial, number, end.error)
        elif end.pruned:
            self._study.prune(process.trial, {"seconds": seconds})
        else:
            self._study.complete(process.trial, end.value, {"seconds": seconds, "metrics": end.metrics})
        if not end.error:
            self._failures.clear()
            kept = self._study.trials[number]
            self._progress.message(trial_text(kept, self._study, self._settings))
        self._tidy()

    def _note_failure(self, trial: Any, number: int, error: str) -> None:
        self._study.fail(trial, error)
        text = f"Trial {number} has failed: {error} (what it printed: {self._folder.log(number)})"
        self._failures.append(text)
        self._progress.message(text)
        if len(self._failures) == MOST_FAILURES:
            self._stop_all()

    def _show(self) -> None:
        """Report how much is done since the last time."""
        done = self._num_finished + sum(process.share for process in self._running.values())
        self._progress.advance(max(done - self._shown, 0.0), self._note)
        self._shown = max(done, self._shown)

    def _tidy(self) -> None:
        """Write the settings of the best trial, remove the runs that are not its own, and note how far the study is."""
        best = self._study.best
        self._num_finished = len(self._study.finished)
        if best is not None:
            self._note = f"best {self._settings.objective} {best.value:.4f}"
            values = self._study.values(best)
            text = settings_text(
                trial_settings(self._settings, self._data, values),
                best_comments(best, self._settings, self._data, self._folder),
            )
            if not self._folder.best.is_file() or self._folder.best.read_text(encoding="utf-8") != text:
                write_durable(self._folder.best, text.encode())
        for each in self._study.finished:
            if not self._settings.keep_runs and (best is None or each.number != best.number):
                self._folder.remove_runs(each.number)


def _named(numbers: Sequence[int]) -> str:
    return f"trial {numbers[0]}" if len(numbers) == 1 else f"trials {', '.join(map(str, numbers))}"
