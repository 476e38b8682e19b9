"""Publish the checkpoints of a training while it goes on."""

import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.inference.publish_version import PublishedVersion, PublishOrder, check_models_folder
from esmm_dist.progress import Progress
from esmm_dist.reporter import Reporter
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.publish_config import PublishConfig
from esmm_dist.train.publish_process import PublishProcess
from esmm_dist.train.published import Published
from esmm_dist.train.stop_signal import StopSignal

_FOLDER = ".publishing"
_POLL_S = 0.1


def check_publish_place(config: TrainConfig) -> None:
    """Check before a training that its versions have a folder of their own.

    Raises:
        ConfigError: It is the run, the data set, or a folder that holds something else.
        StorageError: The storage refuses.
    """
    assert config.publishing.publish is not None
    models = Folder.open(config.publishing.publish)
    for name, place in (("run", config.run), ("data", config.data)):
        other = Folder.open(place)
        if models.is_within(other) or other.is_within(models):
            raise ConfigError(
                f"publish is {models}, and {name} is {other}: one lies in the other. Give the versions a folder of "
                "their own."
            )
    check_models_folder(models)


def calibration_warning(config: TrainConfig, manifest: DatasetManifest) -> str | None:
    """Return a warning if versions between two evaluations are not calibrated as the last one is; None if all are.

    A calibration holds for the weights of its own step alone, so a checkpoint keeps that of an evaluation of the whole
    split at its step, or none.

    Args:
        config: settings of the training, with all that they left open chosen
        manifest: manifest of the data set
    """
    evaluation, every_steps = config.evaluation, config.publishing.publish_every_steps
    split = manifest.splits.get(manifest.split_to_evaluate(evaluation.eval_split))
    if not every_steps or split is None or evaluation.calibrate in (None, "none"):
        return None
    is_whole = evaluation.early_stopping or not 0 < evaluation.eval_max_impressions < split.impressions
    if is_whole and evaluation.eval_every_steps and every_steps % evaluation.eval_every_steps == 0:
        return None
    return (
        "Versions that are published before the end are not calibrated, because their steps are not evaluated on the "
        f"whole split. Set --eval-every-steps {every_steps} --eval-max-impressions 0 to calibrate each of them, or "
        "--calibrate none for versions that are all alike."
    )


class ModelPublisher:
    """Publishes checkpoints one at a time, each in a process beside the training; on rank 0.

    A publishing that fails costs the training nothing: it is said and counted, and the next one is made as if it had
    not been. One that is due while the one before runs is left out.

    The thread that trains uses it, and no other. Shutdown: ``finish`` waits for what runs and publishes the end;
    ``close`` kills what runs; a second call is harmless. Whatever ends this process ends what runs, too.
    """

    def __init__(self, config: PublishConfig, run: Folder, progress: Progress, reporter: Reporter) -> None:
        """Publish nothing yet.

        Args:
            config: what is published where; ``publish`` is set
            run: folder of the run
            progress: receives a line about each version
            reporter: receives an event of each version
        """
        assert config.publish is not None
        self._config, self._run, self._progress, self._reporter = config, run, progress, reporter
        self._models = Folder.open(config.publish)
        self._process: PublishProcess | None = None
        self._asked_step: int | None = None  # the last one that was begun
        self._published = Published(place=without_credentials(config.publish))
        self._exit = ExitStack()
        self._work: Path | None = None

    @property
    def published(self) -> Published:
        """What has been published so far."""
        return self._published

    @property
    def step_in_work(self) -> int | None:
        """Step of the checkpoint that is being read, which must stay; None if none is."""
        return self._process.step if self._process is not None else None

    def begin(self, step: int) -> None:
        """Begin to publish the checkpoint of a step, which is written, unless that was begun before."""
        self.poll()
        if step == self._asked_step:
            return
        if self._process is not None:
            self._published = replace(self._published, skipped=self._published.skipped + 1)
            self._progress.message(
                f"The model at step {step:,} is not published: that at step {self._process.step:,} is still being "
                "exported."
            )
            return
        self._asked_step = step
        order = PublishOrder(
            run=self._run.location,
            step=step,
            models=self._models.location,
            work=str(self._work_folder()),
            full_every=self._config.publish_full_every,
            keep=self._config.publish_keep,
        )
        try:
            self._process = PublishProcess(order, self._work_folder())
        except OSError as e:
            self._note_failure(step, f"No process can be started: {e}.")

    def poll(self) -> None:
        """Take note of a publishing that has ended; costs microseconds if none has."""
        process = self._process
        if process is None or not process.has_ended():
            return
        self._process = None
        found = process.outcome(self._progress)
        if isinstance(found, PublishedVersion):
            self._note_version(found)
        else:
            self._note_failure(process.step, found)

    def finish(self, step: int, stop: StopSignal) -> None:
        """Wait for what runs, and publish the last checkpoint; blocks until it is in place, or a signal comes.

        Args:
            step: step of the last checkpoint
            stop: notes signals
        """
        self._wait(stop)
        if stop.name is None:
            self._asked_step = None  # a calibration may have come to it
            self.begin(step)
            self._wait(stop)

    def close(self) -> None:
        """End what runs; the next start of the training makes up for it."""
        if self._process is not None:
            self._process.end()
            self._process = None
        if self._work is not None and self._models.is_local:  # else the next start makes deltas from what is there
            shutil.rmtree(self._work, ignore_errors=True)
        self._exit.close()
        self._work = None

    def _wait(self, stop: StopSignal) -> None:
        while self._process is not None and stop.name is None:
            self._process.show(self._progress)
            self.poll()
            time.sleep(_POLL_S if self._process is not None else 0.0)
        self._progress.finish()

    def _work_folder(self) -> Path:
        """Return a folder of this machine; in a local run, where the next start finds what this one has left."""
        if self._work is None:
            if self._run.is_local:
                self._work = self._run.local_path / _FOLDER
                self._work.mkdir(exist_ok=True)
            else:
                self._work = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="esmm-publish-")))
        return self._work

    def _note_version(self, found: PublishedVersion) -> None:
        published = self._published
        self._published = replace(
            published,
            versions=published.versions + found.is_new,
            newest=found.version,
            newest_step=found.step,
            last_error=None,
        )
        self._progress.message(found.in_words())
        self._reporter.event("published", step=found.step, version=found.version)

    def _note_failure(self, step: int, text: str) -> None:
        published = self._published
        self._published = replace(published, failures=published.failures + 1, last_error=text)
        self._progress.message(f"Publishing the model at step {step:,} failed; training goes on without it. {text}")
        self._reporter.event("not_published", step=step, error=text)


def publisher_of_rank(context: TrainingContext, before: ModelPublisher | None) -> ModelPublisher | None:
    """Return what publishes on this rank: on rank 0, which may have been it among other ranks, too.

    Args:
        context: settings, run and rank of the training
        before: what this process has published with among other ranks; closed if it does so no more
    """
    if context.run is None or context.config.publishing.publish is None:
        if before is not None:
            before.close()
        return None
    return before or ModelPublisher(context.config.publishing, context.run.folder, context.progress, context.reporter)
