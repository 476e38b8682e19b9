"""A column of sample weights: in the records, in their order, and rejected where it holds no weight."""

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.schema import load_schema
from esmm_dist.schema.learnable import check_learnable
from esmm_dist.schema.manifest import DatasetManifest
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import read_lanes, run, shard_bytes

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {{train: "log*"}}
  labels: {{click: clicked, conversion: bought}}
  sample_id: id
  {weight}
fields:
  - {{name: user, owner: user}}
  - {{name: item, owner: item}}
"""
HEADER = "id,user,item,clicked,bought,w"


def schema(folder: Path, weight: str = "weight: w") -> str:
    (folder / "own.yaml").write_text(SCHEMA.format(weight=weight))
    return str(folder / "own.yaml")


def write(folder: Path, weights: list[str]) -> Path:
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    rows = [f"{n},u{n % 3},i{n % 5},{n % 2},0,{weight}" for n, weight in enumerate(weights)]
    (raw / "log.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return raw


def weights_of(out: Path, manifest: DatasetManifest) -> dict[int, float]:
    found = {}
    for lane in read_lanes(out, manifest, "train"):
        for record in lane:
            lists = tf.train.Example.FromString(record).features.feature
            ids = lists["sample_ids"].int64_list.value
            found |= dict(zip(ids, lists["sample_weights"].float_list.value, strict=True))
    return found


def rejected(out: Path) -> list[tuple[int, str]]:
    lines = (out / "rejects" / "train.jsonl").read_text().splitlines()
    return [(line["line"], line["reason"]) for line in map(json.loads, lines)]


def test_each_impression_keeps_its_weight_wherever_it_goes(tmp_path: Path):
    weights = [n / 8 for n in range(40)]
    manifest = run(write(tmp_path, list(map(str, weights))), tmp_path / "out", schema=schema(tmp_path))
    assert weights_of(tmp_path / "out", manifest) == dict(enumerate(weights))
    assert manifest.report["splits"]["train"]["sample_weight"] == sum(weights)


def test_weights_stay_with_their_rows_where_a_repeated_row_is_rejected(tmp_path: Path):
    raw = write(tmp_path, ["0.5", "1.5", "2.5"])
    with (raw / "log.csv").open("a") as file:
        file.write("1,u1,i1,1,0,9\n3,u0,i3,1,0,3.5\n")
    manifest = run(raw, tmp_path / "out", schema=schema(tmp_path))
    assert rejected(tmp_path / "out") == [(5, "repeated_sample_id")]
    assert weights_of(tmp_path / "out", manifest) == {0: 0.5, 1: 1.5, 2: 2.5, 3: 3.5}


def test_weights_of_a_parquet_file_and_of_a_partition_that_is_cut_are_kept(tmp_path: Path, monkeypatch):
    (tmp_path / "raw").mkdir()
    columns = {
        "id": range(200), "user": ["u"] * 200, "item": ["i"] * 200, "clicked": [1, 0] * 100, "bought": [0] * 200,
        "w": [n / 2 for n in range(200)],
    }  # fmt: skip
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), tmp_path / "raw" / "log.parquet")
    use_plan(monkeypatch, partitions=2, partition_limit_bytes=400)
    manifest = run(tmp_path / "raw", tmp_path / "out", schema=schema(tmp_path))
    assert weights_of(tmp_path / "out", manifest) == {n: n / 2 for n in range(200)}


@pytest.mark.parametrize(
    ("weight", "reason"),
    [("-1", "negative_value"), ("nan", "not_finite_value"), ("1e39", "not_finite_value"), ("", "non_numeric_value"),
     ("heavy", "non_numeric_value")],
)  # fmt: skip
def test_row_whose_weight_is_none_is_rejected_with_the_reason(tmp_path: Path, weight: str, reason: str):
    manifest = run(write(tmp_path, ["1", "0", weight, "2.5"]), tmp_path / "out", schema=schema(tmp_path))
    assert rejected(tmp_path / "out") == [(4, reason)]
    assert weights_of(tmp_path / "out", manifest) == {0: 1.0, 1: 0.0, 3: 2.5}


@pytest.mark.parametrize(("value", "reason"), [(math.nan, "not_finite_value"), (None, "not_finite_value")])
def test_row_of_a_parquet_file_without_a_weight_is_rejected(tmp_path: Path, value: float | None, reason: str):
    (tmp_path / "raw").mkdir()
    columns = {"id": [1, 2], "user": ["u", "v"], "item": ["i", "j"], "clicked": [1, 0], "bought": [0, 0]}
    pq.write_table(pa.table({**columns, "w": pa.array([1.5, value])}), tmp_path / "raw" / "log.parquet")
    manifest = run(tmp_path / "raw", tmp_path / "out", schema=schema(tmp_path))
    assert rejected(tmp_path / "out") == [(2, reason)]
    assert weights_of(tmp_path / "out", manifest) == {1: 1.5}


def test_records_without_weights_do_not_have_the_key_and_the_others_have_the_rest_alike(tmp_path: Path):
    raw = write(tmp_path, ["1"] * 30)
    plain = run(raw, tmp_path / "plain", schema=schema(tmp_path, ""))
    records = [record for lane in read_lanes(tmp_path / "plain", plain, "train") for record in lane]
    assert not any(b"sample_weights" in record for record in records)
    weighted = run(raw, tmp_path / "weighted", schema=schema(tmp_path))
    assert (
        shard_bytes(tmp_path / "plain", plain)["vocabulary.parquet"]
        == (shard_bytes(tmp_path / "weighted", weighted)["vocabulary.parquet"])
    )


def test_weights_that_are_all_zero_teach_nothing(tmp_path: Path):
    manifest = run(write(tmp_path, ["0"] * 4), tmp_path / "out", schema=schema(tmp_path))
    with pytest.raises(InputDataError, match="The sample weights of all 4 train impressions are 0"):
        check_learnable(manifest)


@pytest.mark.parametrize(
    ("weight", "told"),
    [("weight: item", "field 'item' is also source.weight"), ("weight: id", "source.weight and source.sample_id both"),
     ("weight: clicked", "source.weight reads column 'clicked', which is label 'click'")],
)  # fmt: skip
def test_column_of_weights_has_no_other_use(tmp_path: Path, weight: str, told: str):
    with pytest.raises(SchemaError, match=told):
        load_schema(schema(tmp_path, weight))
