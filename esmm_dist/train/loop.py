"""The training loop of one process."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from esmm_dist.checkpoint.format import checkpoint_folder
from esmm_dist.checkpoint.reader import Checkpoint, restore_newest
from esmm_dist.checkpoint.writer import rewrite_manifest, write_checkpoint
from esmm_dist.config import to_mapping
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.lookup import LookupPlan, TableLookup
from esmm_dist.errors import ConfigError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.dense_state import dense_state, load_dense
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import model_inputs, pull_rows
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.model.metrics.summary import from_mapping as metrics_from_mapping
from esmm_dist.model.metrics.summary import to_mapping as metrics_to_mapping
from esmm_dist.progress import Progress
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.manifest import MANIFEST_NAME, read_manifest
from esmm_dist.serve.load import Scorer
from esmm_dist.storage import without_credentials
from esmm_dist.train.config import DenseOptimizerConfig, TrainConfig
from esmm_dist.train.evaluate import evaluate_batches
from esmm_dist.train.learning_rate import RateCourse
from esmm_dist.train.loss_window import LossWindow
from esmm_dist.train.numerical_check import numerical_error
from esmm_dist.train.prefetch import Prefetcher
from esmm_dist.train.run import TrainResult
from esmm_dist.train.run_folder import RunFolder, check_settings_fit
from esmm_dist.train.step import CompiledStep
from esmm_dist.train.stop_signal import StopSignal
from esmm_dist.world import SoloWorld

Prepared = tuple[GroupedBatch, dict[str, TableLookup]]


class Trainer:
    """Trains one run from where its newest checkpoint left off, or from the beginning."""

    def __init__(self, config: TrainConfig, progress: Progress, run: RunFolder | None = None) -> None:
        """Open the data set, make or restore the model.

        Args:
            config: The settings.
            progress: Told of it.
            run: The folder of the run. None: opened here, without a lock.

        Raises:
            EsmmError: As ``esmm_dist.train.run.train``.
        """
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        if config.hardware.xla:
            tf.config.optimizer.set_jit("autoclustering")
        manifest = read_manifest(config.data)
        batches = batch_plan(config.input, manifest)
        # From here on, and in all that is saved, the settings name the numbers that were chosen
        config = replace(config, input=replace(config.input, **to_mapping(batches)))
        self._config, self._progress = config, progress
        self._run = run or RunFolder(config.run)
        self._manifest, self._schema = manifest, manifest.schema
        self._reader = BatchReader(config.data, manifest, "train", config.input)
        self._steps_per_epoch = self._reader.steps_per_epoch
        if not self._steps_per_epoch:
            raise ConfigError(f"{config.data} has no records in split 'train': there is nothing to learn from.")
        self._all_steps = self._steps_per_epoch * batches.epochs
        self._total_steps = min(self._all_steps, config.max_steps or self._all_steps)
        self._rates = RateCourse(
            total_steps=self._all_steps,
            schedule=config.schedule,
            warmup_steps=config.warmup_steps,
            cooldown=config.cooldown,
        )
        self._plan = LookupPlan(self._schema)
        self._store = EmbeddedStore(self._schema.tables, config.embedding, seed=config.seed)
        self._model = Esmm(
            self._schema,
            config.embedding,
            config.model,
            seed=config.seed,
            mixed_precision=config.hardware.mixed_precision,
        )
        self._optimizer = _dense_optimizer(config.dense)
        dim_by_table = {table: config.embedding.dim_of(table) for table in self._schema.tables}
        num_labels = len(self._schema.labels)
        self._compiled = CompiledStep(
            self._model,
            self._optimizer,
            task_weights=config.model.weights_for(num_labels),
            seed=config.seed,
            dim_by_table=dim_by_table,
            world=SoloWorld(),
        )
        forward = CompiledForward(self._model, dim_by_table=dim_by_table, num_labels=num_labels)
        self._scorer = Scorer(schema=self._schema, store=self._store, forward=forward)
        self._step, self._saved_step = 0, -1
        self._window = LossWindow(num_labels)
        self._evaluations: list[dict[str, Any]] = []
        self._data_crc32c = file_crc32c(config.data / MANIFEST_NAME)
        self._restore()
        self._run.write_settings(config)
        self._progress.message(
            f"{self._total_steps:,} steps: {batches.epochs} x {self._steps_per_epoch:,} batches of "
            f"{batches.global_batch_records} records"
        )
        self._writer = tf.summary.create_file_writer(str(self._run.tensorboard))

    def train(self) -> TrainResult:
        """Train until all steps are done or a signal comes; save, evaluate, report."""
        impressions, seconds = 0, 0.0
        with StopSignal() as stop:
            if 0 < self._step < self._total_steps and self._evaluation_is_due():  # a signal came before it
                self._evaluate(self._config.evaluation.eval_max_impressions)
            while self._step < self._total_steps and stop.name is None:
                trained, took = self._train_until(self._next_pause(), stop)
                impressions, seconds = impressions + trained, seconds + took
                complete = self._step == self._total_steps
                if not complete and stop.name is None and self._evaluation_is_due():
                    self._evaluate(self._config.evaluation.eval_max_impressions)
                every_steps = self._config.checkpoint.checkpoint_every_steps
                if complete or stop.name is not None or self._is_multiple(every_steps):
                    self._save()
            complete = self._step == self._total_steps
            metrics = self._final_metrics() if complete else {}
        self._writer.close()
        return TrainResult(
            run=without_credentials(self._config.run),
            step=self._step,
            total_steps=self._total_steps,
            impressions=impressions,
            seconds=seconds,
            rows=sum(self._store.num_rows(table) for table in self._schema.tables),
            stopped_by=None if complete else stop.name,
            metrics=metrics,
        )

    @property
    def store(self) -> EmbeddedStore:
        """The rows."""
        return self._store

    @property
    def config(self) -> TrainConfig:
        """The settings."""
        return self._config

    def train_steps(self, most: int) -> int:
        """Make up to ``most`` steps, without evaluation or checkpoint; return the impressions (for benchmarks)."""
        with StopSignal() as stop:
            return self._train_until(min(self._step + most, self._total_steps), stop)[0]

    def _next_pause(self) -> int:
        """Return the next step after which something else than training is due."""
        periods = (self._config.evaluation.eval_every_steps, self._config.checkpoint.checkpoint_every_steps)
        due = [(self._step // period + 1) * period for period in periods if period]
        return min([*due, self._total_steps])

    def _is_multiple(self, period: int) -> bool:
        return bool(period) and self._step % period == 0

    def _evaluation_is_due(self) -> bool:
        done = any(evaluation["step"] == self._step for evaluation in self._evaluations)
        return self._is_multiple(self._config.evaluation.eval_every_steps) and not done

    def _train_until(self, last_step: int, stop: StopSignal) -> tuple[int, float]:
        """Make steps up to ``last_step`` or a signal; return impressions and seconds."""
        impressions = 0
        self._progress.start("Training", self._total_steps, "steps")
        self._progress.advance(self._step)
        depth = self._config.input.prefetch
        with Prefetcher(lambda: self._prepared_batches(self._step, last_step), depth=depth) as prepared:
            start = time.monotonic()
            for batch, lookups in prepared:
                self._train_step(batch, lookups)
                impressions += batch.num_impressions
                if stop.name is not None:
                    break
            seconds = time.monotonic() - start
        self._progress.finish()
        return impressions, seconds

    def _prepared_batches(self, first_step: int, last_step: int) -> Iterator[Prepared]:
        """Yield the batches of steps ``first_step`` + 1 .. ``last_step`` with their lookups."""
        step = first_step
        while step < last_step:
            epoch, offset = divmod(step, self._steps_per_epoch)
            seed = self._config.seed if self._config.input.shuffle else None
            for batch in self._reader.epoch(epoch, first_step=offset, seed=seed):
                lookups = self._plan.prepare(batch)
                for table, lookup in lookups.items():
                    self._store.expect(table, lookup.ids)
                yield batch, lookups
                step += 1
                if step == last_step:
                    return

    def _train_step(self, batch: GroupedBatch, lookups: dict[str, TableLookup]) -> None:
        step = self._step + 1
        rows = pull_rows(self._store, lookups)
        factor = self._rates.factor(step)
        self._optimizer.learning_rate.assign(self._config.dense.dense_learning_rate * factor)
        result = self._compiled(model_inputs(batch, lookups, rows), step)
        if not result.finite:
            raise numerical_error(
                step=step,
                epoch=self._step // self._steps_per_epoch,
                schema=self._schema,
                batch=batch,
                lookups=lookups,
                rows=rows,
            )
        for table, gradient_sums in result.gradient_sums.items():
            ids = lookups[table].ids
            self._store.push(
                table, ids, gradient_sums, impressions=batch.num_impressions, step=step, rate_factor=factor
            )
        self._step = step
        self._window.add(result.loss_sums, batch.num_impressions)
        note = ""
        if step % self._config.log_every_steps == 0 or step == self._all_steps:
            note = self._log_losses()
        self._progress.advance(1, note)

    def _log_losses(self) -> str:
        losses = self._window.take()
        names = _loss_names(self._schema.labels)
        entry = {"step": self._step, **dict(zip(names, losses, strict=True))}
        self._run.append_log(entry)
        with self._writer.as_default(step=self._step):
            for name, loss in zip(names, losses, strict=True):
                tf.summary.scalar(f"train/{name}", loss)
        return " ".join(f"{name} {loss:.4f}" for name, loss in zip(names, losses, strict=True))

    def _evaluate(self, max_impressions: int) -> dict[str, TaskMetrics]:
        split = self._config.evaluation.eval_split
        if split not in self._manifest.splits:
            self._progress.message(f"Not evaluated: {self._config.data} has no split '{split}'.")
            return {}
        records = self._config.input.global_batch_records
        reader = BatchReader(self._config.data, self._manifest, split, InputConfig(global_batch_records=records))
        impressions = self._manifest.splits[split].impressions
        self._progress.start(f"Evaluating {split}", min(impressions, max_impressions or impressions), "impressions")
        scored = ((batch, self._scorer.score(batch)[0]) for batch in reader.epoch(0, seed=None))
        metrics = evaluate_batches(scored, self._schema.labels, self._progress, max_impressions)
        self._progress.finish()
        self._evaluations = [e for e in self._evaluations if e["step"] < self._step]
        self._evaluations.append(
            {
                "step": self._step,
                "split": split,
                "whole_split": not max_impressions,
                "metrics": metrics_to_mapping(metrics),
            }
        )
        self._run.write_metrics(self._evaluations)
        with self._writer.as_default(step=self._step):
            for name, task in metrics.items():
                for figure in ("auc", "log_loss", "calibration"):
                    tf.summary.scalar(f"{split}/{name}_{figure}", getattr(task, figure))
        aucs = ", ".join(f"{name} {m.auc:.4f} ± {m.auc_standard_error:.4f}" for name, m in metrics.items())
        self._progress.message(f"Step {self._step:,}: AUC on {split}: {aucs}")
        return metrics

    def _final_metrics(self) -> dict[str, TaskMetrics]:
        """Return the metrics of the whole split at the last step; evaluate unless an earlier process has."""
        for evaluation in self._evaluations:
            if evaluation["step"] == self._step and evaluation["whole_split"]:
                return metrics_from_mapping(evaluation["metrics"])
        metrics = self._evaluate(max_impressions=0)
        folder = checkpoint_folder(self._run.folder, self._step)
        rewrite_manifest(folder, metrics=self._newest_metrics(), state=self._state())
        return metrics

    def _save(self) -> None:
        """Write the checkpoint of this step, unless it is there."""
        if self._saved_step == self._step:
            return
        self._writer.flush()
        write_checkpoint(
            self._run.folder,
            step=self._step,
            schema=self._schema,
            dense=dense_state(self._model, self._optimizer),
            store=self._store,
            settings=to_mapping(self._config),
            state=self._state(),
            metrics=self._newest_metrics(),
            keep=self._config.checkpoint.keep_checkpoints,
        )
        self._saved_step = self._step
        self._run.publish()

    def _state(self) -> dict[str, Any]:
        return {
            "loss_window": self._window.to_state(),
            "evaluations": self._evaluations,
            "data_manifest_crc32c": self._data_crc32c,
        }

    def _newest_metrics(self) -> dict[str, Any]:
        return dict(self._evaluations[-1]["metrics"]) if self._evaluations else {}

    def _restore(self) -> None:
        if restore_newest(self._run.folder, self._progress, self._take_over) is None:
            self._run.write_log([])
            return
        self._run.write_log(self._run.read_log(self._step))
        self._progress.message(f"Resuming {self._run.folder} after step {self._step:,} of {self._total_steps:,}.")

    def _take_over(self, checkpoint: Checkpoint) -> None:
        manifest = checkpoint.manifest
        check_settings_fit(self._config, manifest.settings, checkpoint.folder)
        if manifest.state["data_manifest_crc32c"] != self._data_crc32c:
            raise ConfigError(
                f"{self._config.data} is not the data set that {checkpoint.folder} was trained on (its manifest "
                "differs). Give the same data, or start a new run with another --run."
            )
        self._store.restore(checkpoint.folder, manifest.tables, step=manifest.step)
        load_dense(self._model, self._optimizer, checkpoint.dense())
        self._step = self._saved_step = manifest.step
        self._window = LossWindow.from_state(manifest.state["loss_window"])
        self._evaluations = list(manifest.state["evaluations"])


def _dense_optimizer(config: DenseOptimizerConfig) -> keras.optimizers.Optimizer:
    classes = {"adam": keras.optimizers.Adam, "adagrad": keras.optimizers.Adagrad, "sgd": keras.optimizers.SGD}
    return classes[config.dense_optimizer](learning_rate=config.dense_learning_rate)


def _loss_names(labels: tuple[str, ...]) -> list[str]:
    """Name the losses: of the running products, since there is none on a conditional probability."""
    return ["ctr_loss", "ctcvr_loss"] if len(labels) == 2 else [f"{label}_loss" for label in labels]
