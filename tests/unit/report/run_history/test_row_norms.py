"""Norms of a checkpoint's rows equal those of NumPy."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.errors import CheckpointError
from esmm_dist.progress import NoProgress
from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.run_history.norm_pictures import norm_section
from esmm_dist.report.run_history.row_norms import UNKNOWN, FieldsOfIds, RowNorms, row_norms
from esmm_dist.storage.folder import Folder
from tests.unit.checkpoint.saved_rows import SavedRows, save


def checkpoint_of(folder, rows):
    save(Folder.open(folder), 7, rows)
    return open_checkpoint(Folder.open(folder), 7)


def test_quantiles_are_those_of_all_rows_to_one_percent(tmp_path):
    rows = SavedRows(2000)
    (found,) = row_norms(checkpoint_of(tmp_path, rows), NoProgress())
    norms = np.linalg.norm(rows.rows.rows.astype(np.float64), axis=1)
    for percent in (5, 50, 95):
        expected = np.quantile(norms, percent / 100, method="inverted_cdf")
        assert expected <= found.quantiles[f"p{percent}"] < expected * 1.01
    assert (found.rows, found.read_rows, found.not_finite) == (2000, 2000, 0)


def test_rows_of_zero_and_rows_that_are_not_finite_are_told_apart(tmp_path):
    rows = SavedRows(20)
    rows.rows.rows[:12] = 0.0
    rows.rows.rows[12, 0] = np.nan
    rows.rows.rows[13, 1] = np.inf
    (found,) = row_norms(checkpoint_of(tmp_path, rows), NoProgress())
    assert found.not_finite == 2
    assert found.quantiles["p50"] == 0.0


def test_a_table_without_rows_has_a_section_without_a_picture(tmp_path):
    (found,) = row_norms(checkpoint_of(tmp_path, SavedRows(0)), NoProgress())
    assert np.isnan(found.quantiles["p50"])
    section = norm_section([found], 7)
    assert [type(each).__name__ for each in section.blocks] == ["PageTable"]


def test_a_damaged_file_is_named(tmp_path):
    checkpoint = checkpoint_of(tmp_path, SavedRows(20))
    path = next((tmp_path / "checkpoints" / "step-00000007").glob("*.arrow"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=path.name):
        row_norms(checkpoint, NoProgress())


def norms(table, middle, fields=("f",)):
    return RowNorms(
        table=table,
        fields=fields,
        rows=100,
        read_rows=50,
        quantiles={"p5": middle / 2, "p50": middle, "p95": middle * 2},
        not_finite=0,
    )


def test_the_picture_names_the_largest_and_the_smallest_by_field(tmp_path):
    section = norm_section([norms("a", 1.0, ["user"]), norms("shared", 0.25, ["item", "brand"])], 7)
    picture, table = section.blocks
    assert isinstance(picture, Picture)
    assert isinstance(table, PageTable)
    assert picture.title == (
        "Rows of user are the largest, with a median norm of 1; those of shared the smallest, 0.25."
    )
    assert picture.numbers["shared"] == {"p5": 0.125, "p50": 0.25, "p95": 0.5}
    assert table.rows[1][:3] == ["shared", "item and brand", "100"]
    assert table.rows[1][6] == "50.0%"


def test_rows_are_told_apart_by_the_fields_of_a_vocabulary(tmp_path):
    rows = SavedRows(300)
    ids, norms = rows.rows.ids, np.linalg.norm(rows.rows.rows.astype(np.float64), axis=1)
    checkpoint = checkpoint_of(tmp_path, rows)
    names = [each.name for each in checkpoint.manifest.schema.fields][:2]
    fields = np.array([number % 3 for number in range(300)])  # every third id is not in the vocabulary
    known = fields < 2
    order = np.argsort(-ids[known])
    vocabulary = pa.table(
        {
            "feature_id": ids[known][order],
            "field": pa.array([names[each] for each in fields[known][order]]).dictionary_encode(),
        }
    )
    pq.write_table(vocabulary, tmp_path / "vocabulary.parquet")
    found = row_norms(
        checkpoint, NoProgress(), fields_of_ids=FieldsOfIds.of_vocabulary(tmp_path / "vocabulary.parquet")
    )
    by_name = {each.fields[0]: each for each in found}
    assert set(by_name) == {*names, UNKNOWN}
    for code, name in enumerate([*names, UNKNOWN]):
        assert by_name[name].rows == 100
        expected = np.quantile(norms[fields == code], 0.5, method="inverted_cdf")
        assert expected <= by_name[name].quantiles["p50"] < expected * 1.01


def test_without_a_vocabulary_there_are_no_fields(tmp_path):
    assert FieldsOfIds.of_vocabulary(tmp_path / "vocabulary.parquet") is None
    (tmp_path / "vocabulary.parquet").write_text("no parquet")
    assert FieldsOfIds.of_vocabulary(tmp_path / "vocabulary.parquet") is None
