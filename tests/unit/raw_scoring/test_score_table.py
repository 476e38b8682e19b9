"""Rows of a table get the scores that they have in a data set, without labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from esmm_dist.api.known_ids import known_ids_fetched
from esmm_dist.errors import ConfigError, InputDataError, SchemaError
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.inference.trained_model import TrainedModel
from esmm_dist.progress import NoProgress
from esmm_dist.raw_scoring.score_table import score_table
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.support.shop_log import Row, write_shop_csv, write_shop_parquet, write_shop_schema
from tests.support.shop_run import TEST

COLUMNS = ("pctr", "pcvr", "pctcvr")


def unlabelled(rows: list[Row], folder: Path) -> pa.Table:
    """Return rows as Parquet holds them, without labels and sample ids."""
    write_shop_parquet(folder / "rows.parquet", rows)
    return pq.read_table(folder / "rows.parquet").drop_columns(["row", "click", "buy"])


def of_data_set(shop: Path, folder: Path) -> dict[int, Row]:
    """Return what predict says of the rows of a data set that keeps the ids of the run's rows, by sample id."""
    raw = folder / "raw"
    raw.mkdir()
    write_shop_csv(raw / "test.csv", TEST)
    schema = write_shop_schema(folder, "csv")
    settings = PreprocessConfig(
        raw=raw, out=folder / "day", schema=str(schema), like=str(shop / "data"), vocabulary=str(shop / "run")
    )
    with known_ids_fetched(settings, NoProgress()) as fetched:
        preprocess(fetched, NoProgress())
    out = folder / "scores.parquet"
    predict(PredictConfig(run=str(shop / "run"), data=folder / "day", out=out), NoProgress())
    return {row["sample_id"]: row for row in pq.read_table(out).to_pylist()}


def test_a_table_has_the_scores_of_a_data_set_with_the_ids_of_the_run(shop: Path, model: TrainedModel, tmp_path: Path):
    expected = of_data_set(shop, tmp_path)
    found = score_table(model, unlabelled(TEST, tmp_path)).to_pylist()
    assert len(found) == len(TEST) == len(expected)
    assert len({round(each["pctr"], 6) for each in found}) > 30
    for row, scores in zip(TEST, found, strict=True):
        for column in COLUMNS:  # batches, and so the shapes of products, differ between the two
            assert scores[column] == pytest.approx(expected[row["row"]][column], rel=1e-6), row


def test_rows_score_the_same_alone_and_among_others_as_texts_and_as_numbers(model: TrainedModel, tmp_path: Path):
    table = unlabelled(TEST, tmp_path)
    together = score_table(model, table)
    write_shop_csv(tmp_path / "rows.csv", TEST)
    texts = pacsv.read_csv(
        tmp_path / "rows.csv", convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(TEST[0], pa.string()))
    )
    np.testing.assert_allclose(score_table(model, texts)["pctcvr"], together["pctcvr"], rtol=1e-6)
    for place in (0, 17, len(TEST) - 1):
        alone = score_table(model, table.slice(place, 1)).to_pylist()[0]
        assert alone["pctcvr"] == pytest.approx(together["pctcvr"][place].as_py(), rel=1e-6)


def test_an_id_without_a_row_is_as_good_as_none(model: TrainedModel, tmp_path: Path):
    # rare3 was in the train split, once: the data set dropped it, and so the model has never seen it
    unknown = [{**TEST[0], "item": item, "history": ["rare1", "i3"]} for item in ("rare3", "never seen", None)]
    without = [{**TEST[0], "item": None, "history": ["i3"]}]
    scores = score_table(model, unlabelled([*unknown, *without], tmp_path))["pctcvr"].to_pylist()
    assert scores == [scores[-1]] * 4
    known = score_table(model, unlabelled([{**TEST[0], "item": "i3", "history": ["i3"]}], tmp_path))["pctcvr"]
    assert known[0].as_py() != pytest.approx(scores[0], rel=1e-4)


def test_kept_columns_stand_in_front_with_their_types(model: TrainedModel, tmp_path: Path):
    table = unlabelled(TEST, tmp_path)
    found = score_table(model, table, keep=["history", "price"])
    assert found.column_names == ["history", "price", *COLUMNS]
    assert found.select(["history", "price"]).equals(table.select(["history", "price"]))
    assert found.schema.field("pctr").type == pa.float32()


def test_an_empty_table_gives_an_empty_one(model: TrainedModel, tmp_path: Path):
    found = score_table(model, unlabelled(TEST, tmp_path).slice(0, 0), keep=["item"])
    assert found.num_rows == 0
    assert found.column_names == ["item", *COLUMNS]


def test_rows_that_do_not_fit_are_named_or_get_null(model: TrainedModel, tmp_path: Path):
    rows = [dict(row) for row in TEST[:4]]
    table = unlabelled(rows, tmp_path)
    ages = pa.array(["20", "old", "30", "inf"])
    table = table.set_column(table.column_names.index("age"), "age", ages)
    with pytest.raises(InputDataError, match=r"row 1, column 'age' is 'old' \(non_numeric_value\); row 3.*bad_rows"):
        score_table(model, table)
    scores = score_table(model, table, bad_rows="null")["pctr"]
    assert [score.is_valid for score in scores] == [True, False, True, False]
    good = score_table(model, table.take([0, 2]))["pctr"]
    assert scores.drop_null().to_pylist() == pytest.approx(good.to_pylist(), rel=1e-6)


def test_what_cannot_be_scored_is_refused_by_name(model: TrainedModel, tmp_path: Path):
    table = unlabelled(TEST[:2], tmp_path)
    with pytest.raises(SchemaError, match=r"Field 'price' reads column 'price', which is missing from the table"):
        score_table(model, table.drop_columns(["price"]))
    with pytest.raises(SchemaError, match="keep reads column 'city', which is missing from the table"):
        score_table(model, table, keep=["city"])
    with pytest.raises(ConfigError, match="keep names 'item' twice"):
        score_table(model, table, keep=["item", "item"])
    with pytest.raises(ConfigError, match="keep names column 'pctr'"):
        score_table(model, table.append_column("pctr", pa.array([1, 2])), keep=["pctr"])
    with pytest.raises(ConfigError, match="bad_rows is 'skip'"):
        score_table(model, table, bad_rows="skip")  # type: ignore[arg-type]
