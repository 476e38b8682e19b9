"""``esmm compare``: train and measure the runs of a comparison, and write its table."""

import json
import os
import time
from collections.abc import Sequence

from esmm_dist.errors import EsmmError
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import Progress
from esmm_dist.storage.whole_file import write_durable
from launcher.command import CommandContext, Outcome
from launcher.compare.comparison import Comparison
from launcher.compare.config import CompareConfig
from launcher.compare.data import CompareData
from launcher.compare.figures import RunResult, read_result
from launcher.compare.folder import CompareFolder, locked_comparison
from launcher.compare.headline import main_figure
from launcher.compare.jobs import jobs_that_fit
from launcher.compare.model_check import CHECK, check_models
from launcher.compare.models import ComparedModel, compared_models, first_seed
from launcher.compare.picture import write_picture
from launcher.compare.run_process import RunPlan, RunProcess
from launcher.compare.table import markdown, report_lines
from launcher.local.process_plans import ESMM
from launcher.terminal.progress import duration
from launcher.trainings.cores import cores_of_jobs
from launcher.trainings.side_by_side import SideBySide


class RunsFailedError(EsmmError):
    """No run of a comparison is finished."""


def compare_command(settings: CompareConfig, context: CommandContext) -> Outcome:
    """Run a comparison; errors as those of ``run_comparison``."""
    return run_comparison(settings, context.progress)


def run_comparison(
    settings: CompareConfig, progress: Progress, *, esmm: Sequence[str] = ESMM, check: Sequence[str] = CHECK
) -> Outcome:
    """Train and measure all runs that are not finished, and write the table.

    Args:
        settings: settings of ``esmm compare``
        progress: receives the share of the runs that are done, and a line for each
        esmm: the words that run ``esmm``
        check: the words that run the check of models

    Returns:
        The table; not done if a run has failed.

    Raises:
        ConfigError: a model is unknown or cannot be made, settings or the truth do not fit the data set, or the folder
            is that of another comparison
        RunsFailedError: all runs have failed
        StoppedBySignal: a signal came; running trainings have saved, and go on with the same command
    """
    models = compared_models(settings)
    data = CompareData.read(settings)
    for each in models:
        data.check(each)
    if data.truth is not None:
        import_tensorflow()
        from launcher.compare.truth_check import check_truth  # the reader of records loads TensorFlow

        check_truth(data.truth, data.folder, data.manifest, data.split, progress)
    untrained = [each for each in models if not CompareFolder(path=settings.out).has_run(each.name)]
    if untrained:
        progress.message("Checking that the models can be made.")
        check_models(untrained, settings.data, first_seed(settings), check)
    with locked_comparison(settings.out) as folder:
        folder.check(settings.data, data.manifest_crc32c, models)
        with SignalInbox() as signals, _Runs(settings, data, models, folder, progress, esmm) as runs:
            try:
                runs.run(signals)
            finally:
                progress.finish()
                comparison = runs.comparison()
                if comparison.results:
                    _write(comparison, folder)
        if not comparison.results:
            raise RunsFailedError(f"All {len(runs.failures)} runs have failed. The first one: {runs.first_failure}")
        return Outcome(
            lines=report_lines(comparison, folder), result=comparison.to_mapping(), done=not comparison.failures
        )


def _write(comparison: Comparison, folder: CompareFolder) -> None:
    write_durable(folder.json, (json.dumps(comparison.to_mapping(), indent=1) + "\n").encode())
    write_picture(comparison, folder.picture)
    write_durable(folder.markdown, markdown(comparison, folder).encode())


class _Runs:
    """Runs trainings side by side. Leaving the ``with`` block kills what still runs. Everything is in one thread.

    Args:
        settings: settings of ``esmm compare``
        data: data set of the comparison
        models: the models
        folder: folder of the comparison
        progress: receives the share of the runs that are done, and a line for each
        esmm: the words that run ``esmm``
    """

    def __init__(
        self,
        settings: CompareConfig,
        data: CompareData,
        models: Sequence[ComparedModel],
        folder: CompareFolder,
        progress: Progress,
        esmm: Sequence[str],
    ) -> None:
        self.failures: dict[str, str] = {}
        """Error of each run that has failed, by its name."""
        self._settings, self._data, self._models = settings, data, models
        self._folder, self._progress, self._esmm = folder, progress, esmm
        first = first_seed(settings)
        self._seeds = range(first, first + settings.seeds)
        cores = sorted(os.sched_getaffinity(0))
        self._jobs = settings.jobs or jobs_that_fit(len(cores), data.manifest, [each.config for each in models])
        self._cores = cores_of_jobs(cores, self._jobs)
        self._processes: SideBySide[RunProcess] = SideBySide(self._jobs, progress, "runs")
        # Seed after seed: a comparison that is stopped has about as many of each model
        every = [(each.name, seed) for seed in self._seeds for each in models]
        self._left = [(model, seed) for model, seed in every if self._plan(model, seed).steps()]
        self._num_done = len(every) - len(self._left)
        self._total = len(every)
        self._shown = 0.0

    def __enter__(self) -> "_Runs":
        return self

    def __exit__(self, *error: object) -> None:
        self._processes.__exit__(*error)

    @property
    def first_failure(self) -> str:
        """Name and error of the run that failed first."""
        return "\n".join(f"{name}: {error}" for name, error in list(self.failures.items())[:1])

    def run(self, signals: SignalInbox) -> None:
        """Run all that is left.

        Raises:
            StoppedBySignal: a signal came, and the runs have stopped
        """
        if self._num_done and self._left:
            self._progress.message(f"{self._num_done} of {self._total} runs are finished already.")
        self._shown = float(self._num_done)
        if self._left:
            self._progress.start("Comparing", self._total, "runs", self._shown)
        self._processes.run(signals, self._start_next, self._note_end, self._show)

    def comparison(self) -> Comparison:
        """Return what the finished runs amount to."""
        found = [self._result(each.name, seed) for each in self._models for seed in self._seeds]
        return Comparison(
            data=self._data,
            models=self._models,
            results=[each for each in found if each is not None],
            seeds=self._seeds,
            jobs=self._jobs,
            failures=self.failures,
        )

    def _plan(self, model: str, seed: int, job: int = 0) -> RunPlan:
        return RunPlan(
            model=model, seed=seed, folder=self._folder, data=self._data, cores=self._cores[job], esmm=self._esmm
        )

    def _result(self, model: str, seed: int) -> RunResult | None:
        return read_result(model, seed, self._plan(model, seed).files, self._data)

    def _start_next(self, job: int) -> RunProcess | None:
        if not self._left:
            return None
        model, seed = self._left.pop(0)
        return RunProcess(self._plan(model, seed, job), os.environ)

    def _note_end(self, process: RunProcess) -> None:
        plan = process.plan
        if process.stopped:
            return
        self._num_done += 1
        if process.error:
            self.failures[plan.name] = process.error
            self._progress.message(f"{plan.name}: failed: {process.error} (what it printed: {plan.files.log})")
            return
        if not self._settings.keep_runs:
            plan.files.remove_run()
        result = self._result(plan.model, plan.seed)
        if result is not None:
            figure = main_figure(self.comparison())
            said = f"{figure.title} {figure.text(result.values[figure.key])}"
            self._progress.message(f"{plan.name}: {said}, {duration(time.monotonic() - process.started)}")

    def _show(self) -> None:
        """Report how much is done since the last time."""
        running = sum(process.share for process in self._processes.running.values())
        done = max(self._num_done + running, self._shown)
        failed = f"{len(self.failures)} failed" if self.failures else ""
        self._progress.advance(done - self._shown, failed)
        self._shown = done
