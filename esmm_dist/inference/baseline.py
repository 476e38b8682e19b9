"""Logistic regression on the same data, so that a model that has learned less is not shipped unknowingly.

One regression a task, each on its own: on the impressions that the task counts (for cvr the clicked ones), against its
label. An impression's features are its ids, one column an id of a field; the ids of a list share a length of 1. scikit-
learn fits it with L-BFGS. The numbers of impressions, ids and iterations are bounded, so that it takes seconds on data
of any size: records stand in the order of a hash, so the first ones are a fair sample.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import I64
from esmm_dist.errors import EsmmError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.config import InputConfig, OnBadRecord
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.metrics.auc import auc_standard_error, exact_auc
from esmm_dist.model.metrics.summary import TaskMetrics, task_names
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest

MAX_IMPRESSIONS = 250_000
"""Of each split."""

MAX_VALUES = 20_000_000
"""Ids of all impressions of a split together: 240 MB, and two seconds of one core for all tasks."""

MAX_LIST_IDS = 16
"""Ids of a list that are used, its first ones."""

_INVERSE_PENALTY = 0.2  # C of scikit-learn; the best of 0.1, 0.3 and 1 on a validation cut was 0.1 to 0.3 on five logs
_MAX_ITERATIONS = 100
_TOLERANCE = 1e-3  # of the mean loss's gradient; 1e-4 takes three times as long for the same AUC

_BATCH_RECORDS = 1024  # read at once


_NO_IDS = np.zeros(0, np.int64)
_FIELD_STRIDE = np.uint64(0x9E3779B97F4A7C15)  # keys of different fields are as far apart as 64 bits allow


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What logistic regression reaches."""

    auc: dict[str, float]
    """By task; nan where a task has only one class."""

    auc_standard_error: dict[str, float]

    train_impressions: int
    """That it was trained on."""

    test_impressions: int
    """That it was evaluated on."""

    of_train_impressions: int
    of_test_impressions: int

    def lines(self) -> list[str]:
        """Say what it is."""
        trained = _share(self.train_impressions, self.of_train_impressions)
        evaluated = _share(self.test_impressions, self.of_test_impressions)
        tested = "" if self.test_impressions == self.of_test_impressions else f", evaluated on {evaluated}"
        return [f"baseline: logistic regression on one-hot ids, trained on {trained} train impressions{tested}"]

    def warnings(self, metrics: Mapping[str, TaskMetrics]) -> list[str]:
        """Say of which tasks the model knows less, by more than the standard error."""
        lines = []
        for task, m in metrics.items():
            error = max(m.auc_standard_error, self.auc_standard_error[task])
            if m.auc < self.auc[task] - error:
                lines.append(
                    f"{task}: the model's AUC {m.auc:.4f} is below the {self.auc[task]:.4f} of logistic regression by "
                    f"more than the standard error, {error:.4f}. It has learned too little, or too much by heart: try "
                    "other settings (with none given, training chooses them from the log)."
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
    """Train and evaluate the regressions, in this process alone; say why where that is not possible.

    Args:
        data: data set
        manifest: of the data set
        split: split to evaluate on
        on_bad_record: what to do with records that cannot be read
        progress: receives what there is to say

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
        parts.append(_read(BatchReader(data, manifest, name, config), manifest.schema, progress))
        progress.finish()
    train, test = parts
    columns = np.unique(train.ids)
    features, test_features = train.matrix(columns), test.matrix(columns)
    names = iter(task_names(manifest.schema.labels))
    auc, error = {}, {}
    for label in range(len(manifest.schema.labels)):
        tasks = [(train.reached(label), test.reached(label))] if label else []
        everything = (np.ones(len(train.labels), np.bool_), np.ones(len(test.labels), np.bool_))
        for of_train, of_test in [*tasks, everything]:
            task = next(names)
            scores = _scores(
                features[of_train],
                train.labels[of_train, label],
                train.sample_weights_of(of_train),
                test_features[of_test],
            )
            truth, weights = test.labels[of_test, label], test.sample_weights_of(of_test)
            auc[task] = exact_auc(scores, truth, weights)
            error[task] = auc_standard_error(scores, truth, weights)
    return Baseline(
        auc=auc,
        auc_standard_error=error,
        train_impressions=len(train.labels),
        test_impressions=len(test.labels),
        of_train_impressions=manifest.splits["train"].impressions,
        of_test_impressions=manifest.splits[split].impressions,
    )


def _scores(
    features: Any, labels: I64, sample_weights: npt.NDArray[np.float64] | None, test_features: Any
) -> npt.NDArray[np.float64]:
    """Fit one regression; return its logits of the test impressions, 0 if there is nothing to tell."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if len(np.unique(labels)) < 2 or not test_features.shape[0]:
        return np.zeros(test_features.shape[0])
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE)
    # One thread: sums in one order, and threads that wait for each other on a busy machine take seconds
    with warnings.catch_warnings(), threadpool_limits(limits=1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels, sample_weights)
    scores: npt.NDArray[np.float64] = model.decision_function(test_features)
    return scores


@dataclass(frozen=True, kw_only=True)
class _Impressions:
    """N impressions with their ids."""

    ids: I64
    """int64 [n]: the first impression's, then the next one's"""
    weights: npt.NDArray[np.float64]
    """float64 [n]"""
    splits: I64
    """int64 [N + 1]: impression i has ids[splits[i] : splits[i + 1]]"""
    labels: I64
    """int64 [N, K]"""
    sample_weights: npt.NDArray[np.float64] | None
    """float64 [N]; None: all 1"""

    def matrix(self, columns: I64) -> Any:
        """Return the sparse matrix [N, C] of the ids that are among ``columns`` (ascending); others are left out."""
        from scipy.sparse import csr_matrix

        place = np.minimum(np.searchsorted(columns, self.ids), max(len(columns) - 1, 0))
        known = columns[place] == self.ids if len(columns) else np.zeros(len(self.ids), np.bool_)
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])
        shape = (len(self.splits) - 1, len(columns))
        return csr_matrix((self.weights[known], place[known], before[self.splits]), shape=shape)

    def sample_weights_of(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64] | None:
        """Return the sample weights of some impressions, chosen by bool [N]; None: all 1."""
        return None if self.sample_weights is None else self.sample_weights[chosen]

    def reached(self, label: int) -> npt.NDArray[np.bool_]:
        """Return which impressions have the label before: bool [N]."""
        return np.asarray(self.labels[:, label - 1] == 1)


def _read(reader: BatchReader, schema: Schema, progress: Progress) -> _Impressions:
    """Read the first impressions of a split, as many as the bounds allow."""
    ids, weights, lengths, labels = [_NO_IDS], [_NO_IDS.astype(np.float64)], [_NO_IDS], []
    sample_weights: list[npt.NDArray[np.float64]] = []
    impressions = values = 0
    for batch in reader.epoch(0, seed=None):
        rows, keys = _one_hot(batch, schema)
        ids.append(keys[rows.indices])
        weights.append(rows.data)
        lengths.append(np.diff(rows.indptr).astype(np.int64))
        labels.append(batch.labels)
        if batch.sample_weights is not None:
            sample_weights.append(batch.sample_weights.astype(np.float64))
        impressions += batch.num_impressions
        values += rows.nnz
        progress.advance(batch.num_impressions)
        if impressions >= MAX_IMPRESSIONS or values >= MAX_VALUES:
            break
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))])
    return _Impressions(
        ids=np.concatenate(ids),
        weights=np.concatenate(weights),
        splits=splits,
        labels=np.concatenate(labels),
        sample_weights=np.concatenate(sample_weights) if sample_weights else None,
    )


def _one_hot(batch: GroupedBatch, schema: Schema) -> tuple[Any, I64]:
    """Return the sparse matrix [B, n] of a batch's n ids, and the key of each: int64 [n]. A user's ids are repeated."""
    from scipy.sparse import hstack

    user, user_keys = _fields(batch.user_ids, batch.user_lengths, batch.user_weights, schema, schema.user_fields)
    own, own_keys = _fields(
        batch.impression_ids, batch.impression_lengths, batch.impression_weights, schema, schema.impression_fields
    )
    group = np.repeat(np.arange(batch.num_groups), batch.impressions_per_group)
    return hstack([user[group], own], format="csr"), np.concatenate([user_keys, own_keys])


def _fields(
    ids: I64, lengths: I64, weights: npt.NDArray[np.float32] | None, schema: Schema, fields: Sequence[Field]
) -> tuple[Any, I64]:
    """Return the sparse matrix [R, n] of the ids of R users or impressions, and the key of each id: int64 [n]."""
    from scipy.sparse import csr_matrix

    rows = len(lengths) // max(len(fields), 1)
    segment = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(ids)) - (np.cumsum(lengths) - lengths)[segment]
    given = np.ones(len(ids)) if weights is None else weights.astype(np.float64)
    used = np.where(place < MAX_LIST_IDS, given, 0.0)
    norms = np.sqrt(np.bincount(segment, weights=used * used, minlength=len(lengths)))
    norms[norms == 0] = 1.0
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])[:: max(len(fields), 1)]
    matrix = csr_matrix((used / norms[segment], np.arange(len(ids)), splits[: rows + 1]), shape=(rows, len(ids)))
    matrix.eliminate_zeros()
    # One column an id of a field, also where fields share ids
    numbers = np.array([schema.fields.index(field) for field in fields], np.uint64)
    of_id = np.tile(numbers, rows)[segment] if len(ids) else np.zeros(0, np.uint64)
    return matrix, (ids.astype(np.uint64) + of_id * _FIELD_STRIDE).astype(np.int64)
