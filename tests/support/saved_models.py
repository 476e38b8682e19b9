"""What checkpoints hold, as arrays that can be compared."""

from pathlib import Path

import numpy as np

from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.storage.folder import Folder


def saved_rows(run: Path, step: int, table: str = "main") -> dict[str, np.ndarray]:
    """Return the columns of all rows of a table in a checkpoint, ordered by id, from however many files."""
    checkpoint = open_checkpoint(Folder.open(run), step)
    files = [file for file in checkpoint.manifest.tables if file.table == table and file.kind == "rows"]
    parts = [read_rows(checkpoint.folder, file) for file in files]
    order = np.argsort(np.concatenate([part.ids for part in parts]))
    return {name: np.concatenate([getattr(part, name) for part in parts])[order] for name in TableRows.__annotations__}


def saved_arrays(run: Path, step: int) -> dict[str, np.ndarray]:
    """Return all that a checkpoint holds as arrays: dense weights and optimizer state, and the rows of all tables."""
    checkpoint = open_checkpoint(Folder.open(run), step)
    arrays = {f"dense {name}": values for name, values in checkpoint.dense().items()}
    for table in checkpoint.manifest.schema.tables:
        arrays |= {f"{table} {name}": column for name, column in saved_rows(run, step, table).items()}
    return arrays


def largest_difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Return the largest difference of numbers, relative to the largest of their array; integers must be equal.

    An array whose largest is below 0.01 is compared with that: a single bias, or a momentum, that crosses zero has no
    digits left. (A step made twice or not at all is nowhere near: Adam's changes a weight by 0.001.)
    """
    assert sorted(found) == sorted(expected)
    largest = 0.0
    for name, values in expected.items():
        if values.dtype.kind in "iu":
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        elif values.size:
            scale = max(float(np.abs(values).max()), 0.01)
            largest = max(largest, float(np.abs(found[name] - values).max()) / scale)
    return largest
