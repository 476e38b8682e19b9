"""A model in memory scores tables of any kind, from any thread."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import esmm_dist
from esmm_dist.errors import CheckpointError, ConfigError


@pytest.fixture(scope="module")
def model(shop):
    with esmm_dist.load_model(shop.run) as model:
        yield model


def unlabelled(shop) -> pa.Table:
    return shop.tables["test"].drop_columns(["click", "buy", "row"])


def test_each_kind_of_table_gets_scores_of_its_kind(shop, model):
    table = unlabelled(shop)
    expected = model.predict(table, keep=["item"])
    assert isinstance(expected, pa.Table)
    assert expected.column_names == ["item", *model.columns] == ["item", "pctr", "pcvr", "pctcvr"]
    frame = table.to_pandas().sample(frac=1, random_state=1)  # another order: the index says whose the scores are
    scored = model.predict(frame, keep=["item"])
    assert isinstance(scored, pd.DataFrame)
    assert list(scored.index) == list(frame.index)
    np.testing.assert_allclose(scored.sort_index()["pctcvr"], expected["pctcvr"], rtol=1e-6)
    of_polars = model.predict(pl.from_arrow(table), keep=["item"])
    assert isinstance(of_polars, pl.DataFrame)
    assert of_polars.to_arrow()["pctr"].to_pylist() == expected["pctr"].to_pylist()
    batch = table.combine_chunks().to_batches()[0]
    assert model.predict(batch).equals(expected.drop_columns(["item"]))


def test_a_table_has_the_scores_of_its_data_set(shop, model):
    of_data = esmm_dist.predict(model, shop.data)
    assert of_data.column_names == ["sample_id", *model.columns]
    by_id = dict(zip(of_data["sample_id"].to_pylist(), of_data["pctcvr"].to_pylist(), strict=True))
    of_table = esmm_dist.predict(shop.run.run, table=shop.tables["test"], keep=["row"])
    for row, score in zip(of_table["row"].to_pylist(), of_table["pctcvr"].to_pylist(), strict=True):
        assert score == pytest.approx(by_id[row], rel=1e-6)


def test_threads_share_a_model_and_a_running_loop_is_no_hindrance(shop, model):
    table = unlabelled(shop)
    expected = model.predict(table)
    with ThreadPoolExecutor(4) as threads:
        assert all(found.equals(expected) for found in threads.map(model.predict, [table] * 8))

    async def cell():
        return model.predict(table)

    assert asyncio.run(cell()).equals(expected)


def test_a_model_is_evaluated_as_its_run_is(shop, model):
    found = model.evaluate(shop.data, baseline=False)
    assert found.to_mapping() == esmm_dist.evaluate(shop.run, shop.data, baseline=False).to_mapping()
    assert found.split == "test"
    assert repr(found).startswith("task ")
    with pytest.raises(ConfigError, match="step says how a model is loaded. Give it to load_model."):
        model.evaluate(shop.data, step=3)


def test_a_model_says_what_it_is_and_is_used_no_more_when_it_is_closed(shop):
    model = esmm_dist.load_model(shop.folder / "run", step=shop.run.step)
    assert repr(model) == f"Model of {shop.run.run} at step {shop.run.step}: pctr, pcvr, pctcvr"
    assert model.schema == shop.data.schema
    model.close()
    model.close()
    assert repr(model).endswith(", closed")
    with pytest.raises(ConfigError, match=r"is closed. Load it again: load_model\('"):
        model.predict(unlabelled(shop))


def test_what_cannot_be_loaded_or_scored_is_said(shop, model, tmp_path):
    with pytest.raises(CheckpointError):
        esmm_dist.load_model(tmp_path)
    with pytest.raises(ConfigError, match="run is a int. Give the folder or URI of a run"):
        esmm_dist.load_model(5)
    with pytest.raises(ConfigError, match=r"LazyFrame, which is no table in memory. Call .collect\(\) on it"):
        model.predict(pl.LazyFrame({"item": ["i1"]}))
    with pytest.raises(ConfigError, match="calibrate says how a model is loaded"):
        esmm_dist.predict(model, table=unlabelled(shop), calibrate=False)
    with pytest.raises(ConfigError, match="Leave out data, raw and out"):
        esmm_dist.predict(model, shop.data, table=unlabelled(shop))
    with pytest.raises(ConfigError, match="raw is given without out"):
        esmm_dist.predict(shop.run, raw="logs")
