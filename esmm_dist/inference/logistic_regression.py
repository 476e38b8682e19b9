"""Logistic regression on the one-hot ids of impressions: reading them, and one fit."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, F64, I64, Bools
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.label_tree import LabelTask

MAX_IMPRESSIONS = 250_000
"""Most impressions of each split that are used."""

MAX_VALUES = 20_000_000
"""Ids of all impressions of a split together: 240 MB, and two seconds of one core for all tasks."""

MAX_LIST_IDS = 16
"""Ids of a list that are used, its first ones."""

_INVERSE_PENALTY = 0.2  # C of scikit-learn; the best of 0.1, 0.3 and 1 on a validation cut was 0.1 to 0.3 on five logs
_MAX_ITERATIONS = 100
_TOLERANCE = 1e-3  # of the mean loss's gradient; 1e-4 takes three times as long for the same AUC


_NO_IDS = np.zeros(0, np.int64)
_FIELD_STRIDE = np.uint64(0x9E3779B97F4A7C15)  # keys of different fields are as far apart as 64 bits allow


def fitted_scores(features: Any, labels: I64, sample_weights: F64 | None, test_features: Any) -> F64:
    """Fit one regression; return its logits of the test impressions, 0 if all labels are equal or there are none."""
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
    scores: F64 = model.decision_function(test_features)
    return scores


@dataclass(frozen=True, kw_only=True)
class OneHotImpressions:
    """N impressions with their ids."""

    ids: I64
    """int64 [n]: the first impression's, then the next one's"""
    weights: F64
    """float64 [n]"""
    splits: I64
    """int64 [N + 1]: impression i has ids[splits[i] : splits[i + 1]]"""
    labels: I64
    """int64 [N, K]"""
    sample_weights: F64 | None
    """float64 [N]; None: all 1"""

    def matrix(self, columns: I64) -> Any:
        """Return the sparse matrix [N, C] of the ids that are among ``columns`` (ascending); others are left out."""
        from scipy.sparse import csr_matrix

        place = np.minimum(np.searchsorted(columns, self.ids), max(len(columns) - 1, 0))
        known = columns[place] == self.ids if len(columns) else np.zeros(len(self.ids), np.bool_)
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])
        shape = (len(self.splits) - 1, len(columns))
        return csr_matrix((self.weights[known], place[known], before[self.splits]), shape=shape)

    def sample_weights_of(self, chosen: Bools) -> F64 | None:
        """Return the sample weights of some impressions, chosen by bool [N]; None: all 1."""
        return None if self.sample_weights is None else self.sample_weights[chosen]

    def reached(self, task: LabelTask) -> Bools:
        """Return which impressions a task is measured among: bool [N]."""
        if task.given is None:
            return np.ones(len(self.labels), np.bool_)
        return np.asarray(self.labels[:, task.given] == 1)


def read_impressions(reader: BatchReader, schema: Schema, progress: Progress) -> OneHotImpressions:
    """Read the first impressions of a split, as many as the bounds allow."""
    ids, weights, lengths, labels = [_NO_IDS], [_NO_IDS.astype(np.float64)], [_NO_IDS], []
    sample_weights: list[F64] = []
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
    return OneHotImpressions(
        ids=np.concatenate(ids),
        weights=np.concatenate(weights),
        splits=splits,
        labels=np.concatenate(labels),
        sample_weights=np.concatenate(sample_weights) if sample_weights else None,
    )


def _one_hot(batch: GroupedBatch, schema: Schema) -> tuple[Any, I64]:
    """Return the sparse matrix [B, n] of a batch's n ids, and the key of each: int64 [n]. A user's ids are repeated."""
    from scipy.sparse import hstack

    user, user_keys = _fields(
        batch.user_ids, batch.user_lengths, batch.user_weights, schema, schema.user_fields, batch.num_groups
    )
    own, own_keys = _fields(
        batch.impression_ids,
        batch.impression_lengths,
        batch.impression_weights,
        schema,
        schema.impression_fields,
        batch.num_impressions,
    )
    group = np.repeat(np.arange(batch.num_groups), batch.impressions_per_group)
    return hstack([user[group], own], format="csr"), np.concatenate([user_keys, own_keys])


def _fields(
    ids: I64, lengths: I64, weights: F32 | None, schema: Schema, fields: Sequence[Field], rows: int
) -> tuple[Any, I64]:
    """Return the sparse matrix [R, n] of the ids of R users or impressions, and the key of each id: int64 [n]."""
    from scipy.sparse import csr_matrix

    segment = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(ids)) - (np.cumsum(lengths) - lengths)[segment]
    given = np.ones(len(ids)) if weights is None else weights.astype(np.float64)
    used = np.where(place < MAX_LIST_IDS, given, 0.0)
    norms = np.sqrt(np.bincount(segment, weights=used * used, minlength=len(lengths)))
    norms[norms == 0] = 1.0
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    splits = ends[np.arange(rows + 1) * len(fields)]  # also where users, or impressions, have no field at all
    matrix = csr_matrix((used / norms[segment], np.arange(len(ids)), splits), shape=(rows, len(ids)))
    matrix.eliminate_zeros()
    # One column an id of a field, also where fields share ids
    numbers = np.array([schema.fields.index(field) for field in fields], np.uint64)
    of_id = np.tile(numbers, rows)[segment] if len(ids) else np.zeros(0, np.uint64)
    return matrix, (ids.astype(np.uint64) + of_id * _FIELD_STRIDE).astype(np.int64)
