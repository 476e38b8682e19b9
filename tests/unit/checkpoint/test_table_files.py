"""Rows on disk: an Arrow file that other programs open."""

import numpy as np
import pyarrow as pa
import pytest

from esmm_dist.checkpoint import table_files
from esmm_dist.checkpoint.table_files import read_table_file, write_table_file
from esmm_dist.embedding.table_rows import TableRows
from tests.unit.checkpoint.saved_rows import SavedRows, assert_same_rows, chosen


def test_rows_come_back_bit_for_bit(tmp_path):
    rows = SavedRows(100).rows
    rows.rows[0] = [np.nan, -0.0]
    rows.rows[1] = [np.inf, np.float32(1e-45)]
    write_table_file(tmp_path / "rows.arrow", rows)
    found = read_table_file(tmp_path / "rows.arrow")
    assert_same_rows(found, rows)
    assert found.rows.tobytes() == rows.rows.tobytes()


def test_a_file_of_several_record_batches_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "_ROWS_A_BATCH", 7)
    rows = SavedRows(40).rows
    write_table_file(tmp_path / "rows.arrow", rows)
    with pa.ipc.open_file(tmp_path / "rows.arrow") as reader:
        assert reader.num_record_batches == 6  # 5 of 7 rows and one of 5
    assert_same_rows(read_table_file(tmp_path / "rows.arrow"), rows)


def test_no_rows_are_a_file_too(tmp_path):
    rows = chosen(SavedRows().rows, np.empty(0, dtype=np.int64))
    write_table_file(tmp_path / "rows.arrow", rows)
    assert_same_rows(read_table_file(tmp_path / "rows.arrow"), rows)


def test_an_optimizer_without_slot_variables_has_no_such_column(tmp_path):
    full = SavedRows().rows
    rows = TableRows(ids=full.ids, rows=full.rows, slots=full.slots[:, :0], last_step=full.last_step, count=full.count)
    write_table_file(tmp_path / "rows.arrow", rows)
    assert pa.ipc.open_file(tmp_path / "rows.arrow").schema.names == ["id", "row", "last_step", "count"]
    assert_same_rows(read_table_file(tmp_path / "rows.arrow"), rows)


def test_plain_pyarrow_opens_the_columns_that_the_format_documents(tmp_path):
    rows = SavedRows(3).rows
    write_table_file(tmp_path / "rows.arrow", rows)
    table = pa.ipc.open_file(tmp_path / "rows.arrow").read_all()
    assert table.schema == pa.schema(
        {
            "id": pa.int64(),
            "row": pa.list_(pa.float32(), 2),
            "slots": pa.list_(pa.float32(), 1),
            "last_step": pa.int64(),
            "count": pa.int64(),
        }
    )
    first = table.slice(0, 1).to_pylist()[0]
    assert first == {
        "id": rows.ids[0],
        "row": rows.rows[0].tolist(),
        "slots": rows.slots[0].tolist(),
        "last_step": rows.last_step[0],
        "count": rows.count[0],
    }


def test_a_file_that_is_no_arrow_file_is_refused(tmp_path):
    (tmp_path / "rows.arrow").write_bytes(b"no arrow file" * 10)
    with pytest.raises(pa.ArrowInvalid):
        read_table_file(tmp_path / "rows.arrow")
