"""Load TensorFlow and TFRA through the quiet door before any test module does: they warn, and warnings are errors."""

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.process.quiet import import_tfra

import_tfra()

import esmm_dist  # noqa: E402
from esmm_dist.train.result import TrainResult  # noqa: E402
from tests.support.shop_log import Row, shop_rows, write_shop_parquet, write_shop_schema  # noqa: E402

SETTINGS: Any = {
    "epochs": 1,
    "embedding_dim": 4,
    "hidden_units": [8],
    "global_batch_records": 32,
    "baseline": False,
    "checkpoint_every_steps": 0,
    "cooldown": 0.0,
}


def shop_table(rows: list[Row], folder: Path) -> pa.Table:
    """Return rows of the shop log as a table in memory."""
    write_shop_parquet(folder / "rows.parquet", rows)
    return pq.read_table(folder / "rows.parquet")


class Shop(NamedTuple):
    """A data set and a run that were made through the library."""

    folder: Path
    tables: dict[str, pa.Table]
    schema: Path
    data: esmm_dist.DataSet
    run: TrainResult


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return what the other tests share: tables in memory, their data set, and a run of it."""
    folder = tmp_path_factory.mktemp("library")
    tables = {
        "train": shop_table(shop_rows(300), folder),
        "test": shop_table(shop_rows(80, seed=2, first=5001), folder),
    }
    schema = write_shop_schema(folder, "parquet")
    data = esmm_dist.preprocess(tables, folder / "data", schema=schema)
    run = esmm_dist.train(data, folder / "run", **SETTINGS)
    assert isinstance(run, TrainResult)
    return Shop(folder, tables, schema, data, run)
