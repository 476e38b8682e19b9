"""The course of a training: its beginning, its steps, the pauses between them, its end."""

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import tensorflow as tf

from esmm_dist.config import to_mapping
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.inference.baseline import Baseline
from esmm_dist.inference.score import Scorer
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import idle_ranks_warning
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.dense_state import dense_state
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.progress import Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.ranks.world import World
from esmm_dist.reporter import NO_REPORTER, Reporter
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.learnable import check_learnable, label_warnings
from esmm_dist.schema.manifest import MANIFEST_NAME
from esmm_dist.storage.uris import without_credentials
from esmm_dist.train.batches import BatchSource
from esmm_dist.train.chosen_settings import choose_settings
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.dense_side import make_dense_side
from esmm_dist.train.evaluation import Evaluations
from esmm_dist.train.meeting import Met, met_ranks
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.run_log import RunLog
from esmm_dist.train.saving import Saver, is_saved
from esmm_dist.train.skips import Skips
from esmm_dist.train.standing import Standing
from esmm_dist.train.starting import read_data, settings_to_start_from, start_run
from esmm_dist.train.stepping import StepCount, Stepper
from esmm_dist.train.stop_signal import StopSignal
from esmm_dist.train.stored_settings import StoredSettings


class Trainer:
    """Trains a run from where its newest checkpoint left off, or from the beginning; alone or as one of several ranks.

    All ranks make the same steps and pause after the same ones; what they do there follows from what they share, or is
    decided by rank 0 for all. Rank 0 alone writes, saves and talks.
    """

    def __init__(
        self,
        config: TrainConfig,
        progress: Progress,
        run: RunFolder | None = None,
        *,
        world: World | None = None,
        reporter: Reporter = NO_REPORTER,
        kept: "Kept | None" = None,
    ) -> None:
        """Open the data set, make or restore the model.

        Args:
            config: The settings.
            progress: Told of it.
            run: The folder of the run. None: on rank 0 opened here, without a lock.
            world: The ranks. None: this process alone.
            reporter: Told of it too.
            kept: What this process has kept from a trainer before, among other ranks; gets what this one has.

        Raises:
            EsmmError: As ``esmm_dist.train.run.train``.
        """
        self._world, self._reporter = world or SoloWorld(), reporter
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        if config.hardware.xla:
            tf.config.optimizer.set_jit("autoclustering")
        self._manifest = read_data(config)
        check_learnable(self._manifest)
        start = self._world.on_root(lambda: settings_to_start_from(config)) if config.init_from is not None else None
        chosen = choose_settings(config, self._manifest, start)
        self._chosen_lines = chosen.lines
        # From here on, and in all that is saved, the settings name the numbers that were chosen
        config = chosen.config
        batches = batch_plan(config.input, self._manifest)
        self._config, self._progress, self._schema = config, progress, self._manifest.schema
        self._run = (run or RunFolder(config.run)) if self._world.rank == 0 else None
        self._reader = BatchReader(
            config.data, self._manifest, "train", config.input, rank=self._world.rank, world_size=self._world.size
        )
        if not self._reader.steps_per_epoch:
            raise ConfigError(f"{config.data} has no records in split 'train': there is nothing to learn from.")
        per_epoch = self._reader.steps_per_epoch
        all_steps = per_epoch * batches.epochs
        if config.warmup_steps >= all_steps:
            raise ConfigError(
                f"warmup_steps is {config.warmup_steps}, but all epochs have {all_steps} steps: the learning rates "
                f"would never be whole. Set warmup_steps to {max(all_steps // 10, 0)} or so, or more epochs."
            )
        self._count = StepCount(
            per_epoch=per_epoch, all_epochs=all_steps, total=min(all_steps, config.max_steps or all_steps)
        )
        self._kept = kept = kept or Kept()
        if kept.standing is None:
            dense = make_dense_side(config, self._schema, self._world)
            kept.standing = Standing(dense, len(self._schema.labels))
        self._standing = kept.standing
        with ExitStack() as stack:
            met = met_ranks(
                config, self._run, self._schema, self._world, self._standing, progress, reporter=self._reporter
            )
            self._begin(stack.enter_context(met))
            self._exit = stack.pop_all()
        for line in chosen.lines:
            self._progress.message(line)
        self._progress.message(
            f"{self._count.total:,} steps: {batches.epochs} x {per_epoch:,} batches of "
            f"{batches.global_batch_records} records"
        )
        idle = idle_ranks_warning(self._manifest, self._world.size)
        for line in [*label_warnings(self._schema, {"train": self._manifest.splits["train"]}), *idle]:
            self._progress.message(f"Warning: {line}")

    def __enter__(self) -> "Trainer":
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the log and the store; without an error, once all ranks are here."""
        self._log.close()
        self._exit.__exit__(kind, error, trace)

    def train(self, stop: StopSignal | None = None) -> TrainResult:
        """Train until all steps are done or a signal comes; save, evaluate, report.

        Args:
            stop: Entered already. None: signals are noted here.

        Raises:
            EsmmError: As ``esmm_dist.train.run.train``.
            RanksChangeError: The ranks meet anew; nothing is lost.
        """
        if stop is None:
            with StopSignal() as stop:
                return self.train(stop)
        kept = self._kept
        if self._step > 0:
            self._pause(stop)  # what the process, or the ranks, before had not come to
        while self._step < self._count.total and not self._stepper.is_stopping(stop):
            trained, took = self._stepper.until(self._next_pause(), stop)
            kept.impressions, kept.seconds = kept.impressions + trained, kept.seconds + took
            self._pause(stop)
            if self._stepper.ranks_change and self._step < self._count.total and not self._stepper.is_stopping(stop):
                raise RanksChangeError(leaving=self._stepper.leaves)
        complete = self._step == self._count.total
        metrics, baseline = self._final_metrics() if complete else ({}, None)
        self._world.on_root(lambda: self._settings.store(last=True))
        stopped_by = None if complete else self._stepper.stop_name(stop)
        return TrainResult(
            run=without_credentials(self._config.run),
            step=self._step,
            total_steps=self._count.total,
            impressions=kept.impressions,
            seconds=kept.seconds,
            rows=self._world.on_root(lambda: sum(self._store.num_rows(table) for table in self._schema.tables)),
            stopped_by=stopped_by,
            metrics=metrics,
            baseline=baseline,
            skipped=tuple(self._skips.shards),
        )

    @property
    def store(self) -> EmbeddingStore:
        """The rows."""
        return self._store

    @property
    def config(self) -> TrainConfig:
        """The settings."""
        return self._config

    def train_steps(self, most: int) -> int:
        """Make up to ``most`` steps, without evaluation or checkpoint; return the impressions (for benchmarks)."""
        with StopSignal() as stop:
            return self._stepper.until(min(self._step + most, self._count.total), stop)[0]

    @property
    def _step(self) -> int:
        return self._stepper.step

    def _begin(self, met: Met) -> None:
        """Restore or initialise weights and rows unless memory has them, and make all that goes with them."""
        config, schema, run, world, standing = self._config, self._schema, self._run, self._world, self._standing
        self._store = met.store
        self._data_crc32c = file_crc32c(config.data / MANIFEST_NAME)
        if met.go_on is None:
            start_run(
                config,
                run=run,
                schema=schema,
                data_crc32c=self._data_crc32c,
                count=self._count,
                store=self._store,
                standing=standing,
                world=world,
                progress=self._progress,
            )
            if world.rank == 0:
                self._tell_begin(met)
        elif run is not None:
            run.write_log(run.read_log(standing.steps))  # the undone step may have been logged
        saved = standing.steps > 0 and world.on_root(lambda: run is not None and is_saved(run, standing.steps))
        self._log = RunLog(run)
        self._settings = StoredSettings(run, config, self._progress, self._chosen_lines)
        self._skips = Skips(
            run,
            world=world,
            progress=self._progress,
            collects=config.input.on_bad_record == "skip",
            resumed=standing.steps > 0 or met.go_on is not None,
        )
        self._stepper = Stepper(
            config,
            schema=schema,
            count=self._count,
            store=self._store,
            standing=standing,
            batches=BatchSource(
                self._reader,
                LookupPlan(schema, count_impressions=config.embedding.make_admission().counts),
                self._store,
                config.store,
                seed=config.seed if config.input.shuffle else None,
                depth=config.input.prefetch,
            ),
            world=world,
            log=self._log,
            progress=self._progress,
            reporter=self._reporter,
            on_step=self._settings.store,
        )
        self._evaluations = Evaluations(
            config.evaluation,
            data=config.data,
            manifest=self._manifest,
            input_config=config.input,
            scorer=Scorer(schema=schema, store=self._store, forward=standing.dense.forward),
            world=world,
            run=run,
            log=self._log,
            skips=self._skips,
            progress=self._progress,
            standing=standing,
        )
        self._saver = Saver(
            run,
            world=world,
            store=self._store,
            schema=schema,
            settings=to_mapping(config),
            config=config.checkpoint,
            progress=self._progress,
            reporter=self._reporter,
            saved_step=standing.steps if saved else None,
        )
        self._reporter.note(
            rank=world.rank, size=world.size, step=self._step, total_steps=self._count.total, phase="training"
        )

    def _tell_begin(self, met: Met) -> None:
        """Report where training begins, where that is not what memory had."""
        step, ranks = self._standing.steps, self._world.size
        if met.lost_from_step is None:
            self._reporter.event("began", step=step, ranks=ranks)
        else:
            self._reporter.event(
                "rolled_back", reason=met.reason, from_step=met.lost_from_step, to_step=step, ranks=ranks
            )

    def _next_pause(self) -> int:
        """Return the next step after which something else than training is due."""
        every = self._config.embedding.evict_every_steps
        due = [
            self._count.total,
            self._evaluations.next_step(self._step),
            self._saver.next_step(self._step),
            (self._step // every + 1) * every if every else None,
        ]
        return min(step for step in due if step is not None)

    def _pause(self, stop: StopSignal) -> None:
        """Do what is due after the step at hand: evict, evaluate, save."""
        self._world.barrier()  # until all ranks' pushes have arrived
        self._skips.collect(self._reader.skipped)
        every = self._config.embedding.evict_every_steps
        if every and self._step % every == 0 and self._standing.evicted_step != self._step:
            self._world.on_root(lambda: self._store.evict(step=self._step))
            self._standing.evicted_step = self._step
        complete = self._step == self._count.total
        ending = complete or self._stepper.is_stopping(stop) or self._stepper.all_leave
        if not ending and self._evaluations.is_due(self._step):
            self._reporter.note(phase="evaluating")
            self._evaluations.evaluate(self._step)
            self._tell_evaluation()
        if ending or self._saver.is_due(self._step):
            self._reporter.note(phase="saving")
            self._saver.save(
                self._step,
                dense=lambda: dense_state(self._standing.dense.model, self._standing.dense.optimizer),
                state=self._state(),
                metrics=self._evaluations.newest_metrics,
                flush=self._log.flush,
                last=ending,
            )
        self._reporter.note(phase="training")

    def _final_metrics(self) -> tuple[dict[str, TaskMetrics], Baseline | None]:
        """Return the metrics of the whole split at the last step, and the baseline's, unless an earlier process has."""
        self._reporter.note(phase="evaluating")
        metrics, new = self._evaluations.final_metrics(self._step)
        if new:
            self._saver.add_metrics(self._step, state=self._state(), metrics=self._evaluations.newest_metrics)
        self._tell_evaluation()
        return metrics, self._evaluations.baseline() if metrics else None

    def _tell_evaluation(self) -> None:
        if self._world.rank == 0 and self._evaluations.done:
            newest = self._evaluations.done[-1]
            auc = {task: [m["auc"], m["auc_standard_error"]] for task, m in newest["metrics"].items()}
            self._reporter.event("evaluated", step=newest["step"], split=newest["split"], auc=auc)

    def _state(self) -> dict[str, Any]:
        return {
            "loss_window": self._standing.window.to_state(),
            "evaluations": self._standing.evaluations,
            "data_manifest_crc32c": self._data_crc32c,
        }


class RanksChangeError(EsmmError):
    """The ranks meet anew before the next step. Nothing is wrong, and nothing is lost."""

    def __init__(self, *, leaving: bool) -> None:
        """Say whether this process leaves."""
        super().__init__("This worker leaves the training." if leaving else "The ranks of the training change.")
        self.leaving = leaving


@dataclass(kw_only=True)
class Kept:
    """What a process keeps from one trainer to the next."""

    standing: Standing | None = None
    impressions: int = 0
    """Trained on since this process began, over all ranks; those of an interrupted stretch are left out."""
    seconds: float = 0.0
