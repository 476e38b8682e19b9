"""The course of a training: its beginning, its steps, the pauses between them, its end."""

import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import tensorflow as tf

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.checkpoint.writer import CheckpointContent
from esmm_dist.config import build, to_mapping
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import EsmmError, RetryError
from esmm_dist.inference.baseline import Baseline
from esmm_dist.inference.scoring import Scorer
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import idle_ranks_warning, order_seed
from esmm_dist.model.dense_state import dense_state
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.in_words import model_in_words
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.progress import Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.ranks.world import World
from esmm_dist.reporter import NO_REPORTER, Phase, Reporter
from esmm_dist.schema.learnable import label_warnings
from esmm_dist.storage.uris import without_credentials
from esmm_dist.train.batches import BatchSource, ReadingOrder
from esmm_dist.train.compiled_model import compile_model
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.context import TrainingContext, make_context
from esmm_dist.train.data_sets import DataSetRecord, records_to_mapping
from esmm_dist.train.evaluator import Evaluator
from esmm_dist.train.every_steps import EverySteps
from esmm_dist.train.published import Published
from esmm_dist.train.publisher import calibration_warning, check_publish_place, publisher_of_rank
from esmm_dist.train.rendezvous import Agreement, rendezvous
from esmm_dist.train.restore import restore_run
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.run_log import RunLog
from esmm_dist.train.saver import Saver, is_saved
from esmm_dist.train.settings_writer import SettingsWriter
from esmm_dist.train.skipped_records import SkippedRecords
from esmm_dist.train.stepper import Stepper
from esmm_dist.train.stop_signal import StopSignal
from esmm_dist.train.trackers.open_trackers import check_trackers, open_trackers
from esmm_dist.train.train_state import ProcessMemory, TrainState


class Trainer:
    """Trains a run from where its newest checkpoint left off, or from the beginning; alone or as one of several ranks.

    All ranks make the same steps and pause after the same ones; what they do there follows from what they share, or is
    decided by rank 0 for all. Rank 0 alone writes, saves and reports.
    """

    def __init__(
        self,
        config: TrainConfig,
        progress: Progress,
        run: RunFolder | None = None,
        *,
        world: World | None = None,
        reporter: Reporter = NO_REPORTER,
        memory: ProcessMemory | None = None,
    ) -> None:
        """Open the data set, make or restore the model; a collective.

        Args:
            config: settings as they were given
            progress: receives training progress
            run: folder of the run; None: opened here on rank 0, without a lock
            world: ranks of the training; None: this process alone
            reporter: receives facts and events of the training
            memory: what this process has kept from a trainer among other ranks; gets what this one has

        Raises:
            EsmmError: As ``esmm_dist.train.run.train``.
        """
        world = world or SoloWorld()
        _set_up_tensorflow(config)
        folder = (run or RunFolder(config.run)) if world.rank == 0 else None
        self._memory = memory = memory or ProcessMemory()
        self._context = context = make_context(config, world, folder, progress, reporter, memory.data_sets)
        if context.config.publishing.publish is not None:
            world.on_root(lambda: check_publish_place(context.config))
        world.on_root(lambda: check_trackers(context.config))
        memory.data_sets = context.data_sets
        if memory.state is None:
            compiled = compile_model(context.config, context.schema, world, LabelShares.of(context.manifest))
            memory.state = TrainState(compiled, len(context.schema.labels))
        self._state = memory.state
        with ExitStack() as stack:
            self._begin(stack.enter_context(rendezvous(context, self._state)))
            self._exit = stack.pop_all()
        _report_plan(context)

    def __enter__(self) -> "Trainer":
        """Return self."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Close the log and the store; without an error, once all ranks are here."""
        if self._memory.publisher is not None and not (self._context.world.elastic and error[0] is not None):
            self._memory.publisher.close()  # else the ranks change, and it goes on with them, or the process ends
        self._stepper.log_speed()  # of steps since the last point
        self._log_failure(error[1])
        self._log.close()
        self._exit.__exit__(*error)

    def train(self, stop: StopSignal | None = None) -> TrainResult:
        """Train until all steps are done or a signal comes; save, evaluate, report.

        Args:
            stop: entered already; None: signals are noted here

        Raises:
            EsmmError: As ``esmm_dist.train.run.train``.
            RanksChangeError: The ranks change; nothing is lost.
        """
        if stop is None:
            with StopSignal() as stop:
                return self.train(stop)
        if not self._is_complete:
            self._log.start_tracking()
        if self._step == self._context.steps.first:
            self._evaluate_first()
        else:
            self._pause(stop)  # what the process, or the ranks, before had not come to
        while not self._is_complete and not self._stepper.is_stopping(stop):
            impressions, seconds = self._stepper.until(self._next_pause(), stop)
            self._memory.impressions += impressions
            self._memory.seconds += seconds
            self._pause(stop)
            if self._stepper.ranks_change and not self._is_complete and not self._stepper.is_stopping(stop):
                if self._stepper.all_leave:
                    self._log.end("stop", self._step, signal="SIGTERM")
                raise RanksChangeError(leaving=self._stepper.leaves)
        return self._result(stop)

    @property
    def store(self) -> EmbeddingStore:
        """The rows."""
        return self._store

    @property
    def config(self) -> TrainConfig:
        """The settings, with all that they left open chosen."""
        return self._context.config

    @property
    def scorer(self) -> Scorer:
        """Scores batches with the model as it is (for benchmarks)."""
        return self._scorer

    def train_steps(self, most: int) -> int:
        """Make up to ``most`` steps, without evaluation or checkpoint; return the impressions (for benchmarks)."""
        with StopSignal() as stop:
            return self._stepper.until(min(self._step + most, self._context.steps.last), stop)[0]

    @property
    def _step(self) -> int:
        return self._stepper.step

    @property
    def _is_complete(self) -> bool:
        """Whether no step is left to make: all are done, or early stopping ends the training."""
        return self._step == self._context.steps.last or self._evaluator.ends_training

    def _begin(self, agreement: Agreement) -> None:
        """Restore or initialise weights and rows unless memory has them, and make all that goes with them."""
        context, state = self._context, self._state
        world, run = context.world, context.run
        self._store = store = agreement.store
        if agreement.resume_point is None:
            restore_run(context, store, state)
            self._report_begin(agreement)
        elif run is not None:
            run.write_log(run.read_log(state.steps))  # the undone step may have been logged
        now = context.data_sets[-1]
        self._saved_as_finished = now.finished and now.last_step == state.steps
        saved = state.steps > 0 and world.on_root(lambda: run is not None and is_saved(run, state.steps))
        self._log = RunLog(run, open_trackers(context))
        self._settings = SettingsWriter(context, self._data_sets)
        resumed = state.steps > context.steps.first or agreement.resume_point is not None
        self._note_begin(agreement)
        self._skipped = SkippedRecords(context, resumed=resumed)
        self._stepper = Stepper(
            context,
            state,
            store,
            _batch_source(context, state.compiled.model, store),
            self._log,
            on_step=self._after_step,
        )
        self._scorer = Scorer(
            schema=context.schema,
            store=store,
            forward=state.compiled.forward,
            transform=LogitTransform(keep_negatives=context.manifest.keep_negatives),
        )
        self._evaluator = Evaluator(context, state, self._scorer, self._log, self._skipped)
        self._saver = Saver(context, store, saved_step=state.steps if saved else None)
        self._evictions = EverySteps(context.config.embedding.evict_every_steps or 0)
        self._publications = EverySteps(context.config.publishing.publish_every_steps)
        self._memory.publisher = publisher_of_rank(context, self._memory.publisher)
        context.reporter.note(
            rank=world.rank, size=world.size, step=self._step, total_steps=context.steps.last, phase=Phase.TRAINING
        )

    def _note_begin(self, agreement: Agreement) -> None:
        """Note in the run's history that training begins, or goes on."""
        context, history = self._context, self._log.history
        ranks, before = context.world.size, history.ranks_before
        resumed = self._state.steps > context.steps.first  # not where ranks were lost before the first step
        changed = resumed and agreement.resume_point is not None and before not in (None, ranks)
        lost = {} if agreement.lost_from_step is None else {"lost_from_step": agreement.lost_from_step}
        history.begin(
            "ranks" if changed else "resume" if resumed else "start",
            self._state.steps,
            ranks=ranks,
            **({"before": before} if changed else {}),
            servers=len(context.config.store.addresses),
            data=str(context.config.data),
            **lost,
        )

    def _log_failure(self, error: BaseException | None) -> None:
        """Note in the run's history why training ends, unless the ranks go on among others."""
        goes_on = self._context.world.elastic and isinstance(error, RetryError)
        if error is not None and not goes_on and not isinstance(error, RanksChangeError):
            lines = str(error).splitlines()
            self._log.end("failed", self._step, error=lines[0] if lines else type(error).__name__)

    def _report_begin(self, agreement: Agreement) -> None:
        """Report where training begins, where that is not what memory had."""
        world, step, reporter = self._context.world, self._state.steps, self._context.reporter
        if world.rank != 0:
            return
        if agreement.lost_from_step is None:
            reporter.event("began", step=step, ranks=world.size)
        else:
            lost = {"reason": agreement.reason, "from_step": agreement.lost_from_step}
            reporter.event("rolled_back", **lost, to_step=step, ranks=world.size)

    def _next_pause(self) -> int:
        """Return the next step after which something else than training is due."""
        due = [
            self._context.steps.last,
            self._evaluator.next_step(self._step),
            self._saver.next_step(self._step),
            self._evictions.next_after(self._step),
            self._publications.next_after(self._step),
        ]
        return min(step for step in due if step is not None)

    def _pause(self, stop: StopSignal) -> None:
        """Do what is due after the step at hand: evict, evaluate, save, publish."""
        world, reporter, step = self._context.world, self._context.reporter, self._step
        world.barrier()  # until all ranks' pushes have arrived
        self._skipped.collect(self._context.reader.skipped)
        if self._evictions.is_due(step) and self._state.evicted_step != step:
            world.on_root(lambda: self._store.evict(step=step))
            self._state.evicted_step = step
        ending = self._is_complete or self._stepper.is_stopping(stop) or self._stepper.all_leave
        if not ending and self._evaluator.is_due(step):
            reporter.note(phase=Phase.EVALUATING)
            self._evaluator.evaluate(step)
            self._report_evaluation()
            if self._saver.has_saved(step):  # by a process that was stopped after this step
                self._add_metrics()
            ending = self._is_complete
        best = self._evaluator.best
        best_step = best.step if best is not None else None
        publishes = self._publications.is_due(step) and not ending  # the end is published once all is known of it
        if ending or best_step == step or self._saver.is_due(step) or publishes:
            reporter.note(phase=Phase.SAVING)
            if not self._saver.has_saved(step):
                self._saved_as_finished = self._is_complete
            publisher = self._memory.publisher
            in_work = publisher.step_in_work if publisher is not None else None
            kept = [each for each in (best_step, in_work) if each is not None]
            self._save(step, last=ending or best_step == step, kept_steps=kept)
            world.on_root(self._settings.note_saved)
        if publishes and self._saver.has_saved(step) and self._memory.publisher is not None:
            self._memory.publisher.begin(step)
        # Whoever follows the steps is told that these are all
        total = step if self._is_complete else self._context.steps.last
        reporter.note(phase=Phase.TRAINING, total_steps=total)

    def _save(self, step: int, *, last: bool, kept_steps: Collection[int]) -> None:
        """Save the step at hand, unless it is saved; a collective."""
        if self._saver.has_saved(step):
            return
        began = time.perf_counter()
        self._saver.save(step, self._content_to_save, last=last, kept_steps=kept_steps)
        if self._saver.has_saved(step):
            self._log.history.add("checkpoint", step, seconds=round(time.perf_counter() - began, 3))

    def _after_step(self) -> None:
        """Do what costs next to nothing and waits for no pause."""
        self._log.history.follow()
        self._settings.write()
        if self._memory.publisher is not None:
            self._memory.publisher.poll()

    def _publish_end(self, stop: StopSignal) -> Published | None:
        """Publish the model at the end of the training, once all is known of it; a collective."""
        publisher = self._memory.publisher

        def finish() -> dict[str, Any] | None:
            if publisher is None:
                return None
            if self._is_complete:
                publisher.finish(self._step, stop)
            return to_mapping(publisher.published)

        found = self._context.world.on_root(finish)
        return build(Published, found, where="rank 0") if found is not None else None

    def _content_to_save(self) -> CheckpointContent:
        """Bring the logs to their files; return what a checkpoint of the step at hand holds beside the rows."""
        self._log.flush()
        compiled = self._state.compiled
        return CheckpointContent(
            step=self._step,
            schema=self._context.schema,
            dense=dense_state(compiled.model, compiled.optimizer),
            settings=to_mapping(self._context.config),
            state=self._saved_state(),
            metrics=self._evaluator.newest_metrics,
            calibration=self._state.calibration_of_step,
        )

    def _saved_state(self) -> dict[str, Any]:
        return {
            "loss_window": self._state.window.to_state(),
            "evaluations": self._state.evaluations,
            "data_manifest_crc32c": self._context.data_sets[-1].manifest_crc32c,
            "keep_negatives": self._context.manifest.keep_negatives,
            "data_sets": records_to_mapping(self._data_sets()),
        }

    def _data_sets(self) -> tuple[DataSetRecord, ...]:
        """Return the data sets of the run up to the step at hand."""
        *before, now = self._context.data_sets
        return (*before, replace(now, last_step=self._step, finished=self._is_complete, first=self._state.first))

    def _evaluate_first(self) -> None:
        """Evaluate the model on the data set that it is about to learn from, unless that is done; a collective.

        A model that has learned nothing yet has nothing to show.
        """
        context, state = self._context, self._state
        if not context.config.evaluation.eval_first or state.first is not None:
            return
        if self._step == 0 and context.config.init_from is None:
            context.progress.message("Not evaluated first: the run has learned nothing yet.")
            return
        context.reporter.note(phase=Phase.EVALUATING)
        state.first = self._evaluator.evaluate_first(self._step)
        context.reporter.note(phase=Phase.TRAINING)
        run = context.run
        if run is not None:
            run.write_progressive(self._data_sets())

    def _result(self, stop: StopSignal) -> TrainResult:
        """Evaluate on the whole split if all steps are done; say how the training ended."""
        context, world = self._context, self._context.world
        complete = self._is_complete
        metrics, baseline = self._final_metrics() if complete else ({}, None)
        if complete and not self._saved_as_finished:  # a data set of which the rest is left out by max_steps
            self._add_metrics()
        method = context.config.evaluation.calibrate
        world.on_root(lambda: self._settings.write(last=True))
        published = self._publish_end(stop)
        stopped_by = None if complete else self._stepper.stop_name(stop)
        if stopped_by is None:
            self._log.end("done", self._step)
        else:
            self._log.end("stop", self._step, signal=stopped_by)
        return TrainResult(
            stopped_by=stopped_by,
            run=without_credentials(context.config.run),
            step=self._step,
            total_steps=context.steps.last,
            impressions=self._memory.impressions,
            seconds=self._memory.seconds,
            rows=world.on_root(lambda: sum(self._store.num_rows(table) for table in context.schema.tables)),
            metrics=metrics,
            baseline=baseline,
            calibrated_by=None if not metrics or method == "none" else method,
            best=self._evaluator.best,
            values_after_best=tuple(self._evaluator.values_after_best),
            skipped=tuple(self._skipped.shards),
            data_sets=self._data_sets(),
            published=published,
        )

    def _final_metrics(self) -> tuple[dict[str, TaskMetrics], Baseline | None]:
        """Return the metrics of the whole split, of the last step or the best one, and the baseline's."""
        self._context.reporter.note(phase=Phase.EVALUATING)
        metrics, new = self._evaluator.final_metrics(self._step)
        if new:
            self._add_metrics()
        self._report_evaluation()
        if self._evaluator.best is not None:
            metrics = self._evaluator.best_metrics()
        return metrics, self._evaluator.baseline() if metrics else None

    def _add_metrics(self) -> None:
        """Put the newest evaluation into the checkpoint of the step at hand, which was saved before it."""
        self._saver.add_metrics(
            self._step,
            state=self._saved_state(),
            metrics=self._evaluator.newest_metrics,
            calibration=self._state.calibration_of_step,
        )
        self._saved_as_finished = self._is_complete
        self._context.world.on_root(self._settings.note_saved)

    def _report_evaluation(self) -> None:
        if self._context.world.rank == 0 and self._evaluator.done:
            newest = self._evaluator.done[-1]
            auc = {task: [m["auc"], m["auc_standard_error"]] for task, m in newest["metrics"].items()}
            self._context.reporter.event("evaluated", step=newest["step"], split=newest["split"], auc=auc)


class RanksChangeError(EsmmError):
    """The ranks change before the next step. Nothing is wrong, and nothing is lost."""

    def __init__(self, *, leaving: bool) -> None:
        """Say whether this process leaves."""
        super().__init__("This worker leaves the training." if leaving else "The ranks of the training change.")
        self.leaving = leaving


def _set_up_tensorflow(config: TrainConfig) -> None:
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    if config.hardware.xla:
        tf.config.optimizer.set_jit("autoclustering")


def _batch_source(context: TrainingContext, model: Esmm, store: EmbeddingStore) -> BatchSource:
    config = context.config
    return BatchSource(
        context.reader,
        LookupPlan(
            context.schema,
            seen_fields=model.seen_fields,
            lists=model.layout.attended,
            count_impressions=config.embedding.make_admission().counts,
        ),
        store,
        config.store,
        order=ReadingOrder(
            seed=order_seed(config.seed, context.steps.first) if config.input.shuffle else None,
            first_step=context.steps.first,
        ),
        depth=config.input.prefetch,
    )


def _report_plan(context: TrainingContext) -> None:
    """Say what is trained, what was chosen, how many steps there are, and what looks wrong with the data."""
    manifest, progress = context.manifest, context.progress
    progress.message(f"Model: {model_in_words(context.config.model, manifest.schema.labels)}")
    for line in context.chosen_lines:
        progress.message(line)
    batches = batch_plan(context.config.input, manifest)
    progress.message(context.steps.in_words(batches.global_batch_records))
    split = context.config.evaluation.eval_split
    if context.config.evaluation.early_stopping and split == "test":
        progress.message(
            "Warning: early stopping by the test split makes its figures too good. Give the data set a validation "
            "split: esmm preprocess RAW DATA --validation-share 0.1."
        )
    labels = label_warnings(manifest.schema, {"train": manifest.splits["train"]})
    others = [context.config.model.warning, calibration_warning(context.config, manifest)]
    for line in [*(each for each in others if each), *labels, *idle_ranks_warning(manifest, context.world.size)]:
        progress.message(f"Warning: {line}")
