"""All rows of a saved table, ordered by id, however many servers wrote them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from esmm_dist.checkpoint.reader import Checkpoint, open_checkpoint
from esmm_dist.checkpoint.sorted_rows import read_sorted_rows
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.table_files import TableFile, save_table
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from tests.unit.checkpoint.saved_rows import SavedRows, save_rows_alone

STEP = 7


class Advances(NoProgress):
    def __init__(self) -> None:
        self.rows: list[float] = []

    def advance(self, amount: float, note: str = "") -> None:
        self.rows.append(amount)


def store_of(rows: int) -> EmbeddedStore:
    store = EmbeddedStore(("main",), EmbeddingConfig(embedding_dim=2, embedding_optimizer="rowwise_adagrad"), seed=1)
    store.load("main", SavedRows(rows).rows)
    return store


@pytest.fixture
def saved(tmp_path) -> Checkpoint:
    """A checkpoint of 300 rows in one file."""
    run = Folder.open(tmp_path / "run")
    save_rows_alone(run, STEP, store_of(300))
    return open_checkpoint(run, STEP)


def changed(checkpoint: Checkpoint, change: Callable[[TableFile], list[TableFile]]) -> Checkpoint:
    (file,) = checkpoint.manifest.tables
    return replace(checkpoint, manifest=replace(checkpoint.manifest, tables=tuple(change(file))))


@pytest.mark.parametrize("ends", [(0, 4096), (0, 1, 4096), (0, 900, 2500, 4096), tuple(range(0, 4097, 512))])
def test_the_rows_are_those_of_the_store_whatever_files_they_were_cut_into(saved, tmp_path, ends):
    store, folder, progress = store_of(300), Folder.open(tmp_path / "cut"), Advances()
    folder.make()
    files = [file for pair in pairwise(ends) for file in save_table(folder, store.table("main"), *pair)]
    cut = Checkpoint(folder=folder, manifest=replace(saved.manifest, tables=tuple(reversed(files))))
    found = read_sorted_rows(cut, "main", 2, progress)
    expected = SavedRows(300).rows
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.rows, expected.rows)
    assert sum(progress.rows) == 300


def test_a_table_without_a_file_is_empty(saved):
    found = read_sorted_rows(saved, "other", 5, NoProgress())
    assert (found.ids.shape, found.rows.shape) == ((0,), (0, 5))


def test_ids_that_are_counted_and_have_no_row_are_left_out(saved):
    candidates = changed(saved, lambda file: [file, replace(file, kind="candidates")])
    assert len(read_sorted_rows(candidates, "main", 2, NoProgress()).ids) == 300


@pytest.mark.parametrize(
    ("change", "dim", "error", "message"),
    [
        (
            lambda file: [file],
            5,
            CheckpointMismatchError,
            "has rows of 2 columns, but its settings say embedding_dim 5",
        ),
        (lambda file: [replace(file, rows=301)], 2, CheckpointError, "has 300 rows, the manifest says 301"),
        (lambda file: [file, file], 2, CheckpointError, "table 'main' has two rows of one id. Use another checkpoint"),
        (lambda file: [replace(file, crc32c=file.crc32c ^ 1)], 2, CheckpointError, "main-0000-4096.arrow"),
        (lambda file: [replace(file, path="gone.arrow")], 2, CheckpointError, "gone.arrow is missing"),
    ],
)
def test_files_that_contradict_the_manifest_are_refused(
    saved, change: Any, dim: int, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        read_sorted_rows(changed(saved, change), "main", dim, NoProgress())
