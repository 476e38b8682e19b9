"""Tables in memory become the data set that files of the same rows become."""

import multiprocessing
from typing import Any

import pyarrow.parquet as pq
import pytest

import esmm_dist
from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.schema.data_set_id import data_set_id
from esmm_dist.schema.manifest import read_manifest
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess as preprocess_log
from tests.unit.api.conftest import SETTINGS
from tests.unit.launcher.commands.played_context import Messages


def test_tables_give_the_data_set_of_their_files(shop, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, table in shop.tables.items():
        pq.write_table(table, raw / f"{name}.parquet")
    settings = PreprocessConfig(raw=raw, out=tmp_path / "data", schema=str(shop.schema))
    assert data_set_id(preprocess_log(settings, Messages())) == data_set_id(shop.data.manifest)
    assert shop.data.manifest == read_manifest(shop.folder / "data")
    assert shop.data.impressions == {"train": 300, "test": 80}


def test_the_same_tables_are_the_data_set_that_is_there(shop):
    progress = Messages()
    again = esmm_dist.preprocess(shop.tables, shop.data.path, schema=shop.schema, progress=progress)
    assert again.manifest == shop.data.manifest
    assert progress.texts == [
        f"{shop.data.path} already holds this data set, and its files are complete; nothing to do."
    ]


def test_one_table_is_cut_as_the_schema_says_and_a_schema_may_be_a_value(shop, tmp_path):
    mapping = {
        "name": "cut",
        "labels": ["click", "conversion"],
        "source": {
            "form": "flat",
            "files": {"train": "named otherwise.csv"},
            "labels": {"click": "click", "conversion": "buy"},
            "split": {"test_share": 0.25, "by": "user id"},
        },
        "fields": [{"name": "user id", "owner": "user"}, {"name": "item", "owner": "item"}],
    }
    schema = esmm_dist.Schema.from_dict(mapping)
    found = esmm_dist.preprocess(shop.tables["train"], tmp_path / "data", schema=schema, min_count=1)
    assert sum(found.impressions.values()) == 300
    assert set(found.impressions) == {"train", "test"}
    # A log of the next day has the schema of the day before
    day2 = esmm_dist.preprocess({"test": shop.tables["test"]}, tmp_path / "day2", like=found.path)
    assert day2.impressions == {"test": 80}
    assert day2.schema.fields == found.schema.fields


def test_a_process_that_may_start_none_does_the_work_itself(shop, tmp_path, monkeypatch):
    process: Any = multiprocessing.current_process()
    monkeypatch.setitem(process._config, "daemon", True)  # as in a worker of a Pool
    found = esmm_dist.preprocess(shop.tables, tmp_path / "data", schema=shop.schema, workers=2)
    assert data_set_id(found.manifest) == data_set_id(shop.data.manifest)


@pytest.mark.parametrize(
    ("raw", "settings", "error", "said"),
    [
        ({"trian": None}, {}, ConfigError, r"raw has a table for \['trian'\]. Name splits: train, validation, test"),
        ({}, {}, ConfigError, "raw has a table for no split"),
        ([1, 2], {}, ConfigError, "The table is a list, which is no table in memory. Give a DataFrame of pandas"),
        ("table", {"schema": None}, ConfigError, "schema is missing. Give schema=..., or like=DATA"),
        ("table", {"schema": "aliccp"}, SchemaError, "Schema 'aliccp' has the form aliccp.*Schema.from_table"),
        ("raw", {"by_day": True}, ConfigError, "Call preprocess_by_day"),
        ("raw", {"min_cuont": 3}, ConfigError, "unknown setting 'min_cuont'. Did you mean 'min_count'"),
    ],
)
def test_what_cannot_be_a_data_set_is_refused(shop, tmp_path, raw, settings, error, said):
    raw = shop.tables["train"] if raw == "table" else raw
    with pytest.raises(error, match=said):
        esmm_dist.preprocess(raw, tmp_path / "data", **{"schema": shop.schema, **settings})
    assert not (tmp_path / "data").exists()


def test_each_day_of_a_table_is_a_data_set_and_a_run_goes_on_from_day_to_day(shop, tmp_path):
    table = shop.tables["train"].select(["user id", "item", "click", "buy"])
    table = table.append_column("day", [[20260101 + place // 150 for place in range(300)]])
    source = {"form": "flat", "files": {"train": "x"}, "labels": {"click": "click", "conversion": "buy"}, "time": "day"}
    fields = [{"name": "user id", "owner": "user"}, {"name": "item", "owner": "item"}]
    schema = esmm_dist.Schema.from_dict(
        {"name": "days", "labels": ["click", "conversion"], "source": source, "fields": fields}
    )
    days = esmm_dist.preprocess_by_day(table, tmp_path / "days", schema=schema, min_count=1)
    assert list(days) == ["2026-01-01", "2026-01-02"]
    assert [day.impressions for day in days.values()] == [{"train": 150}, {"train": 150}]
    first, second = days.values()
    esmm_dist.train(first, tmp_path / "run", **SETTINGS)
    with pytest.raises(ConfigError, match="continue"):
        esmm_dist.train(second, tmp_path / "run")
    both = esmm_dist.train(second, tmp_path / "run", continue_=True)
    assert [record.impressions for record in both.data_sets] == [150, 150]
