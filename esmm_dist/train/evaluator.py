"""Evaluation while a run trains."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.calibration.fit import fit_calibration
from esmm_dist.calibration.label_counts import LabelTreeCounts
from esmm_dist.checkpoint.early_stopping import BestEvaluation
from esmm_dist.config import build, to_mapping
from esmm_dist.errors import StorageError
from esmm_dist.inference.baseline import Baseline, baseline_of_root
from esmm_dist.inference.evaluate import evaluate_batches
from esmm_dist.inference.scoring import LabelledBatch, Scorer, own_batches
from esmm_dist.inference.trained_model import scoring_batch_records
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.users import BatchUsers
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.model.metrics.summary import from_mapping as metrics_from_mapping
from esmm_dist.model.metrics.summary import to_mapping as metrics_to_mapping
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.every_steps import EverySteps
from esmm_dist.train.run_log import RunLog
from esmm_dist.train.skipped_records import SkippedRecords
from esmm_dist.train.train_state import TrainState


class Evaluator:
    """Evaluates a run while it trains, and knows when the next evaluation is due; the same on all ranks."""

    def __init__(
        self, context: TrainingContext, state: TrainState, scorer: Scorer, log: RunLog, skipped: SkippedRecords
    ) -> None:
        """Remember what is evaluated on what.

        Args:
            context: settings, data, ranks and run of the training
            state: keeps the evaluations that are done
            scorer: scores batches with the model that is trained
            log: receives the metrics
            skipped: receives what could not be read
        """
        self._context, self._state, self._scorer, self._log, self._skipped = context, state, scorer, log, skipped
        self._config = context.config.evaluation
        self._split = context.manifest.split_to_evaluate(self._config.eval_split)
        self._every = EverySteps(self._config.eval_every_steps or 0)  # nothing is open in a context
        self._input = InputConfig(
            global_batch_records=context.config.input.global_batch_records,
            on_bad_record=context.config.input.on_bad_record,
        )
        self._users = BatchUsers(scorer.schema, self._config.gauc_field)
        stopping = self._config.stopping
        self._stopping = replace(stopping, after_step=context.steps.first) if stopping is not None else None

    @property
    def done(self) -> list[dict[str, Any]]:
        """Evaluations that are done, as plain values, in the order of their steps."""
        return self._state.evaluations

    @property
    def newest_metrics(self) -> dict[str, Any]:
        """Metrics of the newest evaluation, as plain values; empty if there was none."""
        return dict(self.done[-1]["metrics"]) if self.done else {}

    def next_step(self, step: int) -> int | None:
        """Return the next step after ``step`` at which an evaluation is due; None if only the end is one."""
        return self._every.next_after(step)

    def is_due(self, step: int) -> bool:
        """Return whether an evaluation is due after ``step`` and has not been done."""
        return self._every.is_due(step) and all(each["step"] != step for each in self.done)

    def evaluate(self, step: int) -> None:
        """Evaluate on the first impressions of the split, as many as the settings say; a collective.

        With early stopping, on all of it: values of one split are compared, and those of the best are the run's.
        """
        most = self._config.eval_max_impressions if self._stopping is None else 0
        self._evaluate(step, most, last=False)

    def evaluate_first(self, step: int) -> dict[str, Any]:
        """Return the metrics of the train split, before the model learns from it, as plain values; a collective.

        They are no evaluation of the run: they stand in its log, and with the data set.
        """
        began = time.perf_counter()
        metrics = self._scored("train", max_impressions=0, counts=None)
        self._log.metrics(step, "progressive", metrics)
        self._log_event(step, "train", whole_split=True, began=began)
        aucs = ", ".join(f"{name} {m.auc:.4f} ± {m.auc_standard_error:.4f}" for name, m in metrics.items())
        self._context.progress.message(f"Before learning from {self._context.config.data}: AUC {aucs}")
        return dict(metrics_to_mapping(metrics))

    @property
    def best(self) -> BestEvaluation | None:
        """The best evaluation so far; None without early stopping, or if there is none."""
        return self._stopping.best(self.done, self._state.steps) if self._stopping is not None else None

    @property
    def ends_training(self) -> bool:
        """Whether training ends after the step at hand, as its evaluations have not become better for long enough."""
        return self._stopping is not None and self._stopping.is_over(self.done, self._state.steps)

    @property
    def values_after_best(self) -> list[float]:
        """What decides, of each evaluation after the best one; nothing without early stopping."""
        return self._stopping.later_values(self.done, self._state.steps) if self._stopping is not None else []

    def best_metrics(self) -> dict[str, TaskMetrics]:
        """Return the metrics of the best evaluation; there must be one."""
        best = self.best
        assert best is not None
        return metrics_from_mapping(next(each["metrics"] for each in self.done if each["step"] == best.step))

    def final_metrics(self, step: int) -> tuple[dict[str, TaskMetrics], bool]:
        """Return the metrics of the whole split at the last step, and whether they are new; a collective."""
        is_calibrated = self._is_calibrated()
        for each in self.done:
            if each["step"] == step and each["whole_split"] and is_calibrated:
                return metrics_from_mapping(each["metrics"]), False
        return self._evaluate(step, max_impressions=0, last=True), True

    def _is_calibrated(self) -> bool:
        """Return whether the step at hand has the calibration that is asked for; a finished run may be asked anew."""
        fitted = self._state.calibration_of_step
        if self._config.calibrate in (None, "none"):
            self._state.calibration = None
            return fitted is None
        return fitted is not None and fitted.method == self._config.calibrate

    def baseline(self) -> Baseline | None:
        """Return what logistic regression reaches on the split; a collective.

        Computed once in the life of a run, after its last step, and kept in ``metrics.json``.
        """
        context, split = self._context, self._split
        if not self._config.baseline or split not in context.manifest.splits:
            return None
        stored = context.world.on_root(self._stored_baseline)
        if stored is not None:
            return Baseline.from_mapping(stored)
        found = baseline_of_root(
            context.world, context.config.data, context.manifest, split, self._input.on_bad_record, context.progress
        )
        if found is not None:
            of_data_set = {"first_step": context.steps.first} if context.steps.first else {}
            baseline = {"split": split, **of_data_set, **found.to_mapping()}
            context.world.on_root(lambda: self._write(last=True, baseline=baseline))
        return found

    def _stored_baseline(self) -> dict[str, Any] | None:
        """Return the baseline of the evaluation's split that the run's folder holds."""
        run = self._context.run
        assert run is not None
        stored = run.read_baseline() or {}
        same = (stored.pop("split", None), stored.pop("first_step", 0)) == (self._split, self._context.steps.first)
        return stored if same else None

    def _evaluate(self, step: int, max_impressions: int, *, last: bool) -> dict[str, TaskMetrics]:
        context, split = self._context, self._split
        world, progress, manifest = context.world, context.progress, context.manifest
        if split not in manifest.splits:
            progress.message(f"Not evaluated: {context.config.data} has no split '{split}'.")
            return {}
        if max_impressions >= manifest.splits[split].impressions:
            max_impressions = 0
        calibrates = not max_impressions and self._config.calibrate not in (None, "none")
        counts = LabelTreeCounts(self._scorer.schema.label_tree) if calibrates else None
        began = time.perf_counter()
        metrics = self._scored(split, max_impressions, counts)
        evaluation = {
            "step": step,
            "split": split,
            "whole_split": not max_impressions,
            "metrics": metrics_to_mapping(metrics),
        }
        self._state.evaluations = [*(each for each in self.done if each["step"] < step), evaluation]
        world.on_root(lambda: self._write(last=last))
        self._log.metrics(step, split, metrics)
        self._log_event(step, split, whole_split=not max_impressions, began=began)
        aucs = ", ".join(f"{name} {m.auc:.4f} ± {m.auc_standard_error:.4f}" for name, m in metrics.items())
        progress.message(f"Step {step:,}: AUC on {split}: {aucs}")
        if counts is not None:
            self._state.calibration = calibration = self._fitted(counts, step)
            for line in calibration.lines(self._scorer.schema.label_tree) if last else ():
                progress.message(line)
        return metrics

    def _log_event(self, step: int, split: str, *, whole_split: bool, began: float) -> None:
        seconds = round(time.perf_counter() - began, 3)
        self._log.history.add("evaluation", step, split=split, whole_split=whole_split, seconds=seconds)

    def _scored(self, split: str, max_impressions: int, counts: LabelTreeCounts | None) -> dict[str, TaskMetrics]:
        """Return the metrics of a split, or of its first impressions, with the model as it is; a collective.

        Args:
            split: split of the data set
            max_impressions: impressions to score, about; 0: all
            counts: receives the logits and labels for a calibration; None: none is fitted
        """
        context = self._context
        world, progress, manifest = context.world, context.progress, context.manifest
        impressions = manifest.splits[split].impressions
        share = RankShare(rank=world.rank, world_size=world.size)
        records = self._input.global_batch_records
        if not max_impressions and records is not None:  # else the end is that of one of training's batches
            records = scoring_batch_records(records, manifest, split)
        config = replace(self._input, global_batch_records=records)
        reader = BatchReader(context.config.data, manifest, split, config, share=share)
        progress.start(f"Evaluating {split}", min(impressions, max_impressions or impressions), "impressions")
        with closing(own_batches(self._scorer, reader, self._users)) as scored:
            batches = scored if counts is None else _counted(scored, counts)
            metrics = evaluate_batches(batches, self._scorer.schema.label_tree, progress, world, max_impressions)
        progress.finish()
        self._skipped.collect(reader.skipped)
        return metrics

    def _fitted(self, counts: LabelTreeCounts, step: int) -> Calibration:
        """Fit the calibration of the weights as they are, on rank 0 for all; a collective."""
        method, world = self._config.calibrate, self._context.world
        assert method is not None
        of_labels = counts.of_all_ranks(world)
        labels, split = self._scorer.schema.labels, self._split
        fitted = world.on_root(lambda: to_mapping(fit_calibration(labels, of_labels, method, step=step, split=split)))
        return build(Calibration, fitted, where="calibration")

    def _write(self, *, last: bool, baseline: dict[str, Any] | None = None) -> None:
        run = self._context.run
        assert run is not None
        try:
            best = self._stopping.best(self.done, self._state.steps) if self._stopping is not None else None
            kept = run.read_baseline() if self._stored_baseline() is not None else None
            run.write_metrics(self.done, baseline or kept, best=best)
        except StorageError as e:
            if last:
                raise
            self._context.progress.message(
                f"The metrics could not be written; the next evaluation writes them too. {e}"
            )


def _counted(scored: Iterable[LabelledBatch], counts: LabelTreeCounts) -> Iterator[LabelledBatch]:
    """Yield batches, and count each after its metrics, which refuse scores that are no numbers."""
    for batch in scored:
        yield batch
        counts.add(batch.labels, batch.logits, batch.weights)
