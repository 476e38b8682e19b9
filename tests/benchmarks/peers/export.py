"""Write the batches of a training as NumPy files for the peers: the same impressions in the same batches and order.

Ids become row numbers of a table of 4.5 M rows, spread over it at random as in a table that grew from a log; so the
peers look nothing up. What a group shares stays shared (``batches.py`` has the layout).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from esmm_dist.arrays import I64
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from tests.benchmarks.reference_work import TABLE_ROWS, reference_config


class RowNumbers:
    """Row numbers of feature ids; an id that training has not seen gets a row that it never touches."""

    def __init__(self, known: I64, rows: int) -> None:
        """Draw the rows.

        Args:
            known: the vocabulary, int64 [V]
            rows: rows of the table, more than V
        """
        order = np.random.default_rng(0).permutation(rows)
        self._known, self._rows, self._others = np.sort(known), order[: len(known)], order[len(known) :]

    def of(self, ids: I64) -> I64:
        """Return the row numbers of int64 [n], int64 [n]."""
        place = np.searchsorted(self._known, ids).clip(max=len(self._known) - 1)
        return np.where(self._known[place] == ids, self._rows[place], self._others[ids % len(self._others)])


def export(data: Path, out: Path, *, epochs: int, seed: int, rows: int = TABLE_ROWS) -> None:
    """Write all batches of the train split's epochs, and those of the test split.

    Args:
        data: folder of the data set
        out: new folder
        epochs: passes over the train split
        seed: seed of the training whose order is exported
        rows: rows of the peers' table
    """
    manifest = read_manifest(data)
    row_numbers = RowNumbers(pq.read_table(data / "vocabulary.parquet")["feature_id"].to_numpy(), rows)
    out.mkdir(parents=True)
    for name, batch in _batches(data, manifest, epochs, seed):
        np.savez(
            out / name,
            user_rows=row_numbers.of(batch.user_ids),
            user_lengths=batch.user_lengths,
            user_weights=_or_ones(batch.user_weights, batch.user_ids),
            impression_rows=row_numbers.of(batch.impression_ids),
            impression_lengths=batch.impression_lengths,
            impression_weights=_or_ones(batch.impression_weights, batch.impression_ids),
            impressions_per_group=batch.impressions_per_group,
            labels=batch.labels.astype(np.float32),
        )
    fields = {"rows": rows, "user_fields": len(manifest.schema.user_fields)}
    fields["impression_fields"] = len(manifest.schema.impression_fields)
    (out / "export.json").write_text(json.dumps(fields))


def _batches(data: Path, manifest: DatasetManifest, epochs: int, seed: int) -> Iterator[tuple[str, GroupedBatch]]:
    config = reference_config(data, data, epochs=epochs)
    train = BatchReader(data, manifest, "train", config.input)
    for epoch in range(epochs):
        for step, batch in enumerate(train.epoch(epoch, seed=seed)):
            yield f"train-{epoch}-{step:05d}.npz", batch
    for step, batch in enumerate(BatchReader(data, manifest, "test", config.input).epoch(0, seed=None)):
        yield f"test-{step:05d}.npz", batch


def _or_ones(weights: np.ndarray | None, ids: I64) -> np.ndarray:
    return np.ones(len(ids), dtype=np.float32) if weights is None else weights
