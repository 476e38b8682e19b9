"""pandas, polars and DuckDB open a checkpoint's rows by the lines that the README gives."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.ipc
import pytest

import esmm_dist.checkpoint
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.storage.folder import Folder
from tests.unit.checkpoint.saved_rows import SavedRows, save_rows_alone

README = Path(esmm_dist.checkpoint.__file__).with_name("README.md")
LINES = re.findall(r"^rows = .*$", README.read_text(), re.MULTILINE)

AS_DICTIONARIES = {
    "pandas": lambda rows: rows.to_dict("records"),
    "polars": lambda rows: rows.to_dicts(),
    "duckdb": lambda rows: [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()],
}


def test_there_is_a_line_for_each_program():
    assert [re.match(r"rows = (\w+)\.", line)[1] for line in LINES] == list(AS_DICTIONARIES)  # type: ignore[index]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The path of a file of rows that a real store has saved, and the rows."""
    rows = SavedRows(40).rows
    store = EmbeddedStore(("main",), EmbeddingConfig(embedding_dim=2, embedding_optimizer="rowwise_adagrad"), seed=1)
    store.load("main", rows)
    run = Folder.open(tmp_path_factory.mktemp("run"))
    save_rows_alone(run, 7, store)
    checkpoint = open_checkpoint(run, 7)
    (file,) = checkpoint.manifest.tables
    return checkpoint.folder.local_path / file.path, rows


@pytest.mark.parametrize("line", LINES)
def test_the_line_reads_every_column(saved, line):
    path, expected = saved
    names = {"duckdb": duckdb, "pandas": pandas, "polars": polars, "pyarrow": pyarrow, "path": str(path)}
    exec(line, names)
    (program,) = (name for name in AS_DICTIONARIES if line.startswith(f"rows = {name}."))
    found = AS_DICTIONARIES[program](names["rows"])
    assert len(found) == 40
    assert list(found[0]) == ["id", "row", "slots", "last_step", "count"]
    columns = {"id": "ids", "row": "rows", "slots": "slots", "last_step": "last_step", "count": "count"}
    for name, attribute in columns.items():
        values = np.array([list(row[name]) if name in ("row", "slots") else row[name] for row in found])
        np.testing.assert_array_equal(values, getattr(expected, attribute))


def test_the_columns_have_the_documented_types(saved):
    path, _ = saved
    assert pyarrow.ipc.open_file(path).schema == pyarrow.schema(
        {
            "id": pyarrow.int64(),
            "row": pyarrow.list_(pyarrow.float32(), 2),
            "slots": pyarrow.list_(pyarrow.float32(), 1),
            "last_step": pyarrow.int64(),
            "count": pyarrow.int64(),
        }
    )
