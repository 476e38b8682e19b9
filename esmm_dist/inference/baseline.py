"""Logistic regression on the same data, so that a model that has learned less is not shipped unknowingly.

One regression a task, each on its own: on the impressions that the task counts (for cvr the clicked ones), against its
label. An impression's features are its ids, one column an id of a field; the ids of a list share a length of 1. scikit-
learn fits it with L-BFGS. The numbers of impressions, ids and iterations are bounded, so that it takes seconds on data
of any size: records stand in the order of a hash, so the first ones are a fair sample.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.errors import EsmmError
from esmm_dist.inference.logistic_regression import MAX_IMPRESSIONS, fitted_scores, read_impressions
from esmm_dist.input.config import InputConfig, OnBadRecord
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.metrics.auc import auc_standard_error, exact_auc
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.schema.manifest import DatasetManifest

_BATCH_RECORDS = 1024  # read at once


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What logistic regression reaches."""

    auc: dict[str, float]
    """By task; nan where a task has only one class."""

    auc_standard_error: dict[str, float]

    train_impressions: int
    """Impressions that it was trained on."""

    test_impressions: int
    """Impressions that it was evaluated on."""

    of_train_impressions: int
    of_test_impressions: int

    def lines(self) -> list[str]:
        """Return a line that says what it is."""
        trained = _share(self.train_impressions, self.of_train_impressions)
        evaluated = _share(self.test_impressions, self.of_test_impressions)
        tested = "" if self.test_impressions == self.of_test_impressions else f", evaluated on {evaluated}"
        return [f"baseline: logistic regression on one-hot ids, trained on {trained} train impressions{tested}"]

    def warnings(self, metrics: Mapping[str, TaskMetrics]) -> list[str]:
        """Return a line for each task whose AUC is lower than the baseline's by more than the standard error."""
        lines = []
        for task, m in metrics.items():
            error = max(m.auc_standard_error, self.auc_standard_error[task])
            if m.auc < self.auc[task] - error:
                lines.append(
                    f"{task}: the model's AUC {m.auc:.4f} is below the {self.auc[task]:.4f} of logistic regression by "
                    f"more than the standard error, {error:.4f}. It underfits or overfits: try other settings "
                    "(esmm tune searches for them on a validation split)."
                )
        return lines

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON: nan becomes None."""
        return {
            name: {task: None if np.isnan(each) else each for task, each in value.items()}
            if isinstance(value, dict)
            else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Baseline":
        """Read what ``to_mapping`` returned."""
        values: dict[str, Any] = {
            name: {task: float("nan") if each is None else float(each) for task, each in value.items()}
            if isinstance(value, dict)
            else value
            for name, value in mapping.items()
        }
        return cls(**values)


def _share(used: int, of: int) -> str:
    return f"all {of:,}" if used == of else f"{used:,} of {of:,}"


def try_baseline(
    data: Path, manifest: DatasetManifest, split: str, on_bad_record: OnBadRecord, progress: Progress
) -> Baseline | None:
    """Train and evaluate the regressions in this process alone; report why where that is not possible.

    Args:
        data: data set
        manifest: manifest of the data set
        split: split to evaluate on
        on_bad_record: what to do with records that cannot be read
        progress: receives progress, and the reason if there is no baseline

    Returns:
        None if the data set has no train split, the split is the train split itself, or records cannot be read.
    """
    if split == "train":
        progress.message("No baseline: it would be evaluated on the impressions that it was trained on.")
        return None
    train = manifest.splits.get("train")
    if train is None or not train.impressions:
        progress.message(f"No baseline: {data} has no train split to train it on.")
        return None
    batch_records = -(-_BATCH_RECORDS // manifest.lanes) * manifest.lanes
    config = InputConfig(global_batch_records=batch_records, on_bad_record=on_bad_record)
    try:
        return _baseline(data, manifest, split, config, progress)
    except EsmmError as e:
        progress.message(f"No baseline: {e}")
        return None


def baseline_of_root(
    world: World, data: Path, manifest: DatasetManifest, split: str, on_bad_record: OnBadRecord, progress: Progress
) -> Baseline | None:
    """Return on all ranks what ``try_baseline`` finds on rank 0, while the others wait."""

    def found() -> dict[str, Any] | None:
        baseline = try_baseline(data, manifest, split, on_bad_record, progress)
        return baseline.to_mapping() if baseline is not None else None

    mapping = world.on_root(found)
    return Baseline.from_mapping(mapping) if mapping is not None else None


def _baseline(data: Path, manifest: DatasetManifest, split: str, config: InputConfig, progress: Progress) -> Baseline:
    parts = []
    for name in ("train", split):
        of_split = manifest.splits[name].impressions
        progress.start(f"Baseline: reading {name}", min(of_split, MAX_IMPRESSIONS), "impressions")
        parts.append(read_impressions(BatchReader(data, manifest, name, config), manifest.schema, progress))
        progress.finish()
    train, test = parts
    columns = np.unique(train.ids)
    features, test_features = train.matrix(columns), test.matrix(columns)
    auc, error = {}, {}
    for task in manifest.schema.label_tree.tasks:
        of_train, of_test = train.reached(task), test.reached(task)
        scores = fitted_scores(
            features[of_train],
            train.labels[of_train, task.label],
            train.sample_weights_of(of_train),
            test_features[of_test],
        )
        truth, weights = test.labels[of_test, task.label], test.sample_weights_of(of_test)
        auc[task.name] = exact_auc(scores, truth, weights)
        error[task.name] = auc_standard_error(scores, truth, weights)
    return Baseline(
        auc=auc,
        auc_standard_error=error,
        train_impressions=len(train.labels),
        test_impressions=len(test.labels),
        of_train_impressions=manifest.splits["train"].impressions,
        of_test_impressions=manifest.splits[split].impressions,
    )
