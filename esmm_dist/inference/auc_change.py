"""What an export's smaller rows, left out rows and left out fields change: the AUC of each task, before and after.

Both are of the same impressions, so that their difference is known better than either: its standard error is DeLong's,
with the covariance of the two (``model.metrics.auc``). Sample weights do not count here.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from esmm_dist.arrays import F32, I64
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.inference.exported_rows import ExportedRows
from esmm_dist.inference.reached_data import ReachedData
from esmm_dist.progress import Progress
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.text_table import text_table

if TYPE_CHECKING:
    from esmm_dist.inference.exported_towers import ExportedTowers
    from esmm_dist.input.batch import GroupedBatch

MOST_IMPRESSIONS = 200_000
"""Impressions that are scored, the first of the split: a change of 0.0005 shows. Records stand in the order of a hash,
so that these are a sample of all."""


@dataclass(frozen=True, kw_only=True)
class TaskAucChange:
    """The AUC of one task."""

    before: float
    """AUC of the trained model; nan where a class has fewer than two impressions."""
    after: float
    """AUC of the exported one."""
    change: float
    standard_error: float
    """Standard error of the change."""


@dataclass(frozen=True, kw_only=True)
class AucChange:
    """The AUC of each task, before and after."""

    split: str
    impressions: int
    tasks: Mapping[str, TaskAucChange]

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        rows = [
            (name, f"{task.before:.5f}", f"{task.after:.5f}", f"{task.change:+.5f} ± {task.standard_error:.5f}")
            for name, task in self.tasks.items()
        ]
        head = f"AUC on {self.impressions:,} impressions of the {self.split} split:"
        return [head, *text_table(["task", "trained", "exported", "change"], rows)]


def measure_change(
    checkpoint: Checkpoint,
    data: ReachedData,
    choice: ExportedRows,
    towers: tuple["ExportedTowers", "ExportedTowers"],
    progress: Progress,
) -> AucChange:
    """Score a part of a split with the trained model and the exported one.

    Args:
        checkpoint: the checkpoint
        data: a data set that fits it
        choice: rows that the export has, and how they are stored
        towers: networks of the trained model, and of the exported one
        progress: receives the numbers of impressions and rows

    Raises:
        CheckpointError: A file of rows is missing or damaged.
        InputDataError: The data set is damaged.
    """
    from esmm_dist.embedding.lookup import LookupPlan
    from esmm_dist.inference.exported_towers import TOWERS_SIGNATURE
    from esmm_dist.inference.rows_of_ids import rows_of_ids
    from esmm_dist.inference.towers_inputs import towers_inputs

    assert data.manifest is not None  # the caller asks only then
    schema, split = checkpoint.manifest.schema, data.manifest.split_to_evaluate(None)
    trained, exported = towers
    plan = LookupPlan(schema, seen_fields=trained.seen_fields, lists=trained.lists, with_gradients=False)
    ids = {table: np.empty(0, np.int64) for table in schema.tables}
    for batch in _batches(checkpoint, data, split, f"Reading {split}", progress):
        for table, lookup in plan.prepare(batch).items():
            ids[table] = np.union1d(ids[table], lookup.ids)
    progress.start("Reading their rows", checkpoint.manifest.num_rows(), "rows")
    try:
        rows = rows_of_ids(checkpoint, choice, ids, progress)
    finally:
        progress.finish()
    calls = trained.signatures()[TOWERS_SIGNATURE], exported.signatures()[TOWERS_SIGNATURE]
    labels, before, after = [], _Columns(), _Columns()
    for batch in _batches(checkpoint, data, split, f"Scoring {split} before and after", progress):
        lookups = plan.prepare(batch)
        places = {table: rows[table].places(lookup.ids) for table, lookup in lookups.items()}
        of_trained = {table: rows[table].trained[place] for table, place in places.items()}
        of_exported = {table: rows[table].exported[place] for table, place in places.items()}
        for call, columns, of_batch in zip(calls, (before, after), (of_trained, of_exported), strict=True):
            inputs = towers_inputs(batch, lookups, of_batch, lists=trained.lists, with_norms=trained.uses_norms)
            columns.add(call(*inputs))
        labels.append(batch.labels)
    of_all = np.concatenate(labels)
    return AucChange(split=split, impressions=len(of_all), tasks=_changes(schema.label_tree, of_all, before, after))


class _Columns:
    """The predictions of all batches."""

    def __init__(self) -> None:
        self._parts: dict[str, list[F32]] = {}

    def add(self, found: Mapping[str, Any]) -> None:
        """Append the tensors of a batch."""
        for name, tensor in found.items():
            self._parts.setdefault(name, []).append(tensor.numpy())

    def whole(self, name: str) -> F32:
        """Return a column, float32 [N]."""
        return np.concatenate(self._parts[name])


def _batches(
    checkpoint: Checkpoint, data: ReachedData, split: str, what: str, progress: Progress
) -> Iterator["GroupedBatch"]:
    """Yield the first batches of a split."""
    from esmm_dist.inference.trained_model import scoring_batch_records
    from esmm_dist.input.config import InputConfig
    from esmm_dist.input.order import RankShare
    from esmm_dist.input.pipeline import BatchReader

    assert data.manifest is not None  # the caller asks only then
    training_records = int(checkpoint.manifest.settings["input"]["global_batch_records"])
    records = scoring_batch_records(training_records, data.manifest, split)
    config, share = InputConfig(global_batch_records=records), RankShare(rank=0, world_size=1)
    reader = BatchReader(data.folder, data.manifest, split, config, share=share)
    impressions = min(MOST_IMPRESSIONS, data.manifest.splits[split].impressions)
    progress.start(what, impressions, "impressions")
    try:
        with closing(reader.epoch(0, seed=None)) as batches:
            for batch in batches:
                yield batch
                impressions -= batch.num_impressions
                progress.advance(batch.num_impressions)
                if impressions <= 0:
                    return
    finally:
        progress.finish()


def _changes(tree: LabelTree, labels: I64, before: _Columns, after: _Columns) -> dict[str, TaskAucChange]:
    from esmm_dist.model.metrics import exact_auc, paired_auc_difference

    reached, found = tree.reached(labels), {}
    for task in tree.tasks:
        among = slice(None) if task.given is None else reached[:, task.given]
        own, b, a = reached[among, task.label], before.whole(task.column)[among], after.whole(task.column)[among]
        change, standard_error = paired_auc_difference(a, b, own)
        found[task.name] = TaskAucChange(
            before=exact_auc(b, own), after=exact_auc(a, own), change=change, standard_error=standard_error
        )
    return found
