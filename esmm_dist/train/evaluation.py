"""Evaluation while a run trains."""

from pathlib import Path
from typing import Any

from esmm_dist.errors import StorageError
from esmm_dist.inference.baseline import Baseline, baseline_of_root
from esmm_dist.inference.evaluate import evaluate_batches
from esmm_dist.inference.score import Scorer, scored_batches
from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.users import BatchUsers
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.model.metrics.summary import from_mapping as metrics_from_mapping
from esmm_dist.model.metrics.summary import to_mapping as metrics_to_mapping
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.train.config import EvaluationConfig
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.run_log import RunLog
from esmm_dist.train.skips import Skips
from esmm_dist.train.standing import Standing


class Evaluations:
    """The evaluations of a run: those that are done, and when the next one is due. The same on all ranks."""

    def __init__(
        self,
        config: EvaluationConfig,
        *,
        data: Path,
        manifest: DatasetManifest,
        input_config: InputConfig,
        scorer: Scorer,
        world: World,
        run: RunFolder | None,
        log: RunLog,
        skips: Skips,
        progress: Progress,
        standing: Standing,
    ) -> None:
        """Remember what is evaluated on what.

        Args:
            config: When, and on which split.
            data: The data set.
            manifest: Its manifest.
            input_config: Of the training; its batch size is used.
            scorer: The model that is trained.
            world: The ranks.
            run: The run's folder; None on other ranks than 0.
            log: Told the metrics.
            skips: Told what could not be read.
            progress: Told how far it is.
            standing: Keeps the evaluations that are done.
        """
        self._config, self._data, self._manifest = config, data, manifest
        self._input = InputConfig(
            global_batch_records=input_config.global_batch_records, on_bad_record=input_config.on_bad_record
        )
        self._scorer, self._world, self._run, self._log, self._progress = scorer, world, run, log, progress
        self._skips, self._standing = skips, standing
        self._users = BatchUsers(scorer.schema, config.gauc_field)

    @property
    def done(self) -> list[dict[str, Any]]:
        """Evaluations that are done, as plain values, in the order of their steps."""
        return self._standing.evaluations

    @property
    def newest_metrics(self) -> dict[str, Any]:
        """Metrics of the newest evaluation, as plain values; empty if there was none."""
        return dict(self.done[-1]["metrics"]) if self.done else {}

    def next_step(self, step: int) -> int | None:
        """Return the next step after ``step`` at which an evaluation is due; None if only the end is one."""
        every = self._config.eval_every_steps
        return (step // every + 1) * every if every else None

    def is_due(self, step: int) -> bool:
        """Return whether an evaluation is due after ``step`` and has not been done."""
        return step > 0 and self.next_step(step - 1) == step and all(each["step"] != step for each in self.done)

    def evaluate(self, step: int) -> None:
        """Evaluate on the first impressions of the split, as many as the settings say; a meeting of all ranks."""
        self._evaluate(step, self._config.eval_max_impressions, last=False)

    def final_metrics(self, step: int) -> tuple[dict[str, TaskMetrics], bool]:
        """Return the metrics of the whole split at the last step, and whether they are new; a meeting of all ranks."""
        for each in self.done:
            if each["step"] == step and each["whole_split"]:
                return metrics_from_mapping(each["metrics"]), False
        return self._evaluate(step, max_impressions=0, last=True), True

    def baseline(self) -> Baseline | None:
        """Return what logistic regression reaches on the split; a meeting of all ranks.

        Computed once in the life of a run, after its last step, and kept in ``metrics.json``.
        """
        split = self._config.eval_split
        if not self._config.baseline or split not in self._manifest.splits:
            return None

        def known() -> dict[str, Any] | None:
            return self._kept_baseline()

        mapping = self._world.on_root(known)
        if mapping is not None:
            return Baseline.from_mapping(mapping)
        found = baseline_of_root(
            self._world, self._data, self._manifest, split, self._input.on_bad_record, self._progress
        )
        if found is not None:
            self._world.on_root(lambda: self._write(last=True, baseline={"split": split, **found.to_mapping()}))
        return found

    def _kept_baseline(self) -> dict[str, Any] | None:
        """Return the baseline of the evaluation's split that the run's folder holds."""
        assert self._run is not None
        kept = self._run.read_baseline() or {}
        return kept if kept.pop("split", None) == self._config.eval_split else None

    def _evaluate(self, step: int, max_impressions: int, *, last: bool) -> dict[str, TaskMetrics]:
        split, world = self._config.eval_split, self._world
        if split not in self._manifest.splits:
            self._progress.message(f"Not evaluated: {self._data} has no split '{split}'.")
            return {}
        reader = BatchReader(self._data, self._manifest, split, self._input, rank=world.rank, world_size=world.size)
        impressions = self._manifest.splits[split].impressions
        self._progress.start(f"Evaluating {split}", min(impressions, max_impressions or impressions), "impressions")
        scored = scored_batches(self._scorer, reader, world, users=self._users)
        metrics = evaluate_batches(scored, self._scorer.schema.labels, self._progress, world, max_impressions)
        self._progress.finish()
        self._skips.collect(reader.skipped)
        self._standing.evaluations = [
            *(each for each in self.done if each["step"] < step),
            {
                "step": step,
                "split": split,
                "whole_split": not max_impressions,
                "metrics": metrics_to_mapping(metrics),
            },
        ]
        self._world.on_root(lambda: self._write(last=last))
        self._log.metrics(step, split, metrics)
        aucs = ", ".join(f"{name} {m.auc:.4f} ± {m.auc_standard_error:.4f}" for name, m in metrics.items())
        self._progress.message(f"Step {step:,}: AUC on {split}: {aucs}")
        return metrics

    def _write(self, *, last: bool, baseline: dict[str, Any] | None = None) -> None:
        assert self._run is not None
        try:
            self._run.write_metrics(self.done, baseline or self._run.read_baseline())
        except StorageError as e:
            if last:
                raise
            self._progress.message(f"The metrics could not be written, and will be with the next ones. {e}")
