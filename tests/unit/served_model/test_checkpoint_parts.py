"""The rows of a checkpoint come file by file, in the order of buckets, whichever servers wrote them."""

from itertools import pairwise

import numpy as np
import pytest

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table_files import save_table
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.row_parts import checkpoint_parts
from esmm_dist.served_model.writing import TableRowsToServe, write_full
from esmm_dist.storage.folder import Folder
from tests.support.damage import flip_bit
from tests.support.served_models import content, towers_of
from tests.unit.checkpoint.saved_rows import SavedRows

START = StartValues(embedding_dim=2, scale=0.5, seed=7)
ROWS = SavedRows(300).rows


@pytest.fixture(scope="module")
def store():
    store = EmbeddedStore(("main",), EmbeddingConfig(embedding_dim=2, embedding_optimizer="rowwise_adagrad"), seed=1)
    store.load("main", ROWS)
    return store


def saved(store, folder, ends):
    """Save a table as the servers of some ranges of buckets do; return the folder and the files, the last first."""
    place = Folder.open(folder)
    place.make()
    files = [file for pair in pairwise(ends) for file in save_table(place, store.table("main"), *pair)]
    return place, files[::-1]


@pytest.mark.parametrize("ends", [(0, 4096), (0, 1, 4096), (0, 900, 2500, 4096), tuple(range(0, 4097, 512))])
def test_a_model_has_the_rows_of_a_checkpoint_of_any_number_of_servers(store, tmp_path, ends):
    folder, files = saved(store, tmp_path / "checkpoint", ends)
    table = TableRowsToServe(
        name="main", row_type="float32", start_rows=START.choices, parts=checkpoint_parts(folder, files, "main", 2)
    )
    manifest = write_full(towers_of(tmp_path / "1"), content(), [table])
    assert len(manifest.tables[0].shards) == 1  # small files share one
    rows, found = MappedModel.open([tmp_path / "1"]).tables["main"].find(ROWS.ids)
    np.testing.assert_array_equal(rows, ROWS.rows)
    assert found.all()
    assert manifest.tables[0].rows == 300


def test_rows_may_be_left_out(store, tmp_path):
    folder, files = saved(store, tmp_path / "checkpoint", (0, 900, 4096))
    parts = list(checkpoint_parts(folder, files, "main", 2, lambda rows: rows.count >= 5))
    assert [(part.first_bucket, part.last_bucket) for part in parts] == [(0, 900), (900, 4096)]
    ids = np.sort(np.concatenate([part.ids for part in parts]))
    np.testing.assert_array_equal(ids, ROWS.ids[ROWS.count >= 5])


def test_rows_of_another_dimension_are_refused(store, tmp_path):
    folder, files = saved(store, tmp_path / "checkpoint", (0, 4096))
    with pytest.raises(CheckpointMismatchError, match=r"main-0000-4096.arrow has rows of 2 columns, .*embedding_dim 3"):
        list(checkpoint_parts(folder, files, "main", 3))


def test_a_damaged_file_is_named(store, tmp_path):
    folder, files = saved(store, tmp_path / "checkpoint", (0, 4096))
    flip_bit(tmp_path / "checkpoint/main-0000-4096.arrow")
    with pytest.raises(CheckpointError, match="main-0000-4096.arrow has another checksum"):
        list(checkpoint_parts(folder, files, "main", 2))


def test_files_of_other_tables_are_not_opened(store, tmp_path):
    folder, files = saved(store, tmp_path / "checkpoint", (0, 4096))
    (tmp_path / "checkpoint/main-0000-4096.arrow").unlink()
    assert list(checkpoint_parts(folder, files, "items", 2)) == []
