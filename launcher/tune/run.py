"""``esmm tune``: run the trials of a study, and say what is best."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from esmm_dist.errors import EsmmError
from esmm_dist.process.signals import SignalInbox, StoppedBySignal
from esmm_dist.progress import Progress
from esmm_dist.storage.whole_file import write_durable
from launcher.command import CommandContext, Outcome
from launcher.local.process_plans import ESMM
from launcher.trainings.cores import cores_of_jobs
from launcher.trainings.settings_file import settings_text, without_baseline
from launcher.trainings.side_by_side import SideBySide
from launcher.tune.config import TuneConfig
from launcher.tune.pictures import write_pictures
from launcher.tune.report import best_comments, report_lines, report_result, trial_text
from launcher.tune.space import label
from launcher.tune.study import Study, storage_errors
from launcher.tune.study_data import StudyData
from launcher.tune.study_folder import StudyFolder, locked_study
from launcher.tune.trial_files import trial_settings
from launcher.tune.trial_process import TrialPlan, TrialProcess

MOST_FAILURES = 3
"""Trials that fail one after the other before the study ends: what fails so often fails for all."""


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
        self._processes: SideBySide[TrialProcess] = SideBySide(settings.jobs, progress, "trials")
        self._failures: list[str] = []
        self._num_finished, self._note = 0, ""
        self._shown = 0.0
        self._left: list[Any] = []

    def __enter__(self) -> "_Trials":
        return self

    def __exit__(self, *error: object) -> None:
        self._processes.__exit__(*error)

    def run(self, signals: SignalInbox) -> None:
        """Run all trials that are still to be made.

        Raises:
            TrialsFailedError: trial after trial has failed, or none is complete
            StoppedBySignal: a signal came, and the trials have stopped
        """
        self._tidy()
        self._left = self._study.unfinished()
        self._shown = float(self._num_finished)
        if self._left:
            self._progress.message(f"Going on with {_named([each.number for each in self._left])}.")
        if self._num_finished < self._settings.trials:
            self._progress.start("Tuning", self._settings.trials, "trials", self._shown)
        try:
            self._processes.run(signals, self._start_next, self._note_end, self._show)
        except StoppedBySignal:
            self._check_failures()
            raise
        self._check_failures()
        if self._study.best is None:
            raise TrialsFailedError(
                "No trial is complete, so there is no best one. Set more trials, or look at train.log in the folders "
                f"below {self._folder.path / 'trials'}."
            )

    def _check_failures(self) -> None:
        if len(self._failures) >= MOST_FAILURES:
            raise TrialsFailedError(
                f"{len(self._failures)} trials have failed one after the other, so the study ends. The last one: "
                f"{self._failures[-1]}"
            )

    def _start_next(self, job: int) -> TrialProcess | None:
        """Start a trial, one that is left first; None if there are enough."""
        if self._left:
            return self._start(self._left.pop(0), job)
        return self._start(self._study.ask(), job) if len(self._study.trials) < self._settings.trials else None

    def _start(self, trial: Any, job: int) -> TrialProcess:
        number: int = trial.number
        values = self._study.values(trial)
        settings = trial_settings(self._settings, self._data, values)
        self._folder.trial(number).mkdir(parents=True, exist_ok=True)
        said = ", ".join(f"{path} {label(value)}" for path, value in values.items())
        text = settings_text(without_baseline(settings), [f"Trial {number}: {said}"])
        write_durable(self._folder.settings(number), text.encode())
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
        return TrialProcess(plan, trial, os.environ)

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
            self._processes.stop()

    def _show(self) -> None:
        """Report how much is done since the last time."""
        done = self._num_finished + sum(process.share for process in self._processes.running.values())
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
