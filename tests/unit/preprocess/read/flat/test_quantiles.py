"""Edges that are quantiles come from the train split alone, exactly, and are carried to the next day."""

import csv
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.config import PreprocessConfig
from preprocess.read.flat.number_column import parse_number
from preprocess.read.flat.ordered_keys import keys_of_ranks, number_of_key, ordered
from preprocess.read.rejects import Reason
from preprocess.run import preprocess
from preprocess.work.blocks import save_array

SCHEMA = """
name: shop
labels: [click, conversion]
source:
  form: flat
  files: {train: "train*.csv"}
  labels: {click: click, conversion: buy}
  decimal: ","
  delimiter: ";"
SPLIT
fields:
  - {name: user, owner: user}
  - {name: age, owner: user, numeric: {buckets: quantile 5}}
  - {name: item, owner: item}
  - {name: price, owner: item, numeric: {buckets: quantile 16}}
"""


def rows(count: int, *, seed: int, scale: float = 1.0) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    ages = {user: draw.choice(["", str(draw.randrange(15, 80))]) for user in range(30)}
    return [
        {
            "user": user,
            "age": ages[user],
            "item": draw.randrange(40),
            "price": draw.choice(["", f"{scale * draw.lognormvariate(2, 1):.2f}".replace(".", ","), "NaN"]),
            "time": number,
            "click": int(draw.random() < 0.4),
            "buy": 0,
        }
        for number, user in enumerate(draw.randrange(30) for _ in range(count))
    ]


def write(folder: Path, parts: list[list[dict[str, Any]]]) -> None:
    folder.mkdir(parents=True)
    for number, part in enumerate(parts):
        with (folder / f"train-{number}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(part[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(part)


def made(folder: Path, raw: str, name: str, split: str = "", **settings: Any) -> DatasetManifest:
    schema = folder / f"{name}.yaml"
    schema.write_text(SCHEMA.replace("SPLIT", split))
    settings = {"schema": str(schema), **settings}
    return preprocess(PreprocessConfig(raw=folder / raw, out=folder / name, **settings), NoProgress())


def edges_of(manifest: DatasetManifest, field: str = "price") -> tuple[float, ...] | None:
    numeric = manifest.schema.field(field).numeric
    assert numeric is not None
    return numeric.edges


def quantiles(values: list[str], parts: int) -> tuple[float, ...]:
    numbers = sorted(float(each.replace(",", ".")) for each in values if each not in ("", "NaN"))
    return tuple(sorted({numbers[-(-k * len(numbers) // parts) - 1] for k in range(1, parts)}))


def test_the_edges_are_the_exact_quantiles_whatever_the_workers_and_files(tmp_path: Path):
    log = rows(900, seed=1)
    write(tmp_path / "one", [log])
    write(tmp_path / "three", [log[:200], log[200:210], log[210:]])
    manifests = [made(tmp_path, raw, f"{raw}-{n}", workers=n) for raw in ("one", "three") for n in (1, 2)]
    assert {edges_of(each) for each in manifests} == {quantiles([row["price"] for row in log], 16)}
    assert edges_of(manifests[0], "age") == quantiles([row["age"] for row in log], 5)
    shards = [[shard.crc32c for shard in each.splits["train"].shards] for each in manifests]
    assert shards[0] == shards[1]


@pytest.mark.parametrize("by", ["user", "time"])
def test_rows_of_the_test_split_decide_no_edge(tmp_path: Path, by: str):
    log = rows(600, seed=2)
    write(tmp_path / "raw", [log])
    split = f"  split: {{test_share: 0.4, by: {by}}}" if by == "user" else "  split: {test_share: 0.4, by: time}"
    manifest = made(tmp_path, "raw", "data", split)
    tested = manifest.splits["test"].impressions
    assert tested > 100
    if by == "time":
        assert edges_of(manifest) == quantiles([row["price"] for row in log[: 600 - tested]], 16)
    assert edges_of(manifest) != quantiles([row["price"] for row in log], 16)


def test_the_next_day_has_the_edges_of_the_first_with_and_without_a_schema(tmp_path: Path):
    write(tmp_path / "raw", [rows(300, seed=3)])
    write(tmp_path / "next", [rows(300, seed=4, scale=100)])
    first = made(tmp_path, "raw", "data")
    like = str(tmp_path / "data")
    with_schema = made(tmp_path, "next", "next-1", like=like)
    without = made(tmp_path, "next", "next-2", like=like, schema=None)
    assert edges_of(first) == edges_of(with_schema) == edges_of(without)
    assert edges_of(made(tmp_path, "next", "next-3")) != edges_of(first)


def test_a_finished_data_set_is_found_again_and_one_of_other_buckets_is_not_taken_for_it(tmp_path: Path):
    write(tmp_path / "raw", [rows(200, seed=5)])
    first = made(tmp_path, "raw", "data")
    assert made(tmp_path, "raw", "data") == first
    other = SCHEMA.replace("quantile 16", "quantile 8").replace("SPLIT", "")
    (tmp_path / "other.yaml").write_text(other)
    config = PreprocessConfig(raw=tmp_path / "raw", out=tmp_path / "data", schema=str(tmp_path / "other.yaml"))
    with pytest.raises(ConfigError, match=r"fields.price.numeric.buckets is 'quantile 8', was 'quantile 16'"):
        preprocess(config, NoProgress())


def test_what_is_no_number_is_a_counted_reject_and_decides_no_edge(tmp_path: Path):
    log = rows(300, seed=6)
    good = [row["price"] for row in log]
    for number, text in enumerate(["cheap", "1,5,0", "inf", "1e999"]):
        log[number * 70]["price"] = text
        good[number * 70] = ""
    write(tmp_path / "raw", [log])
    manifest = made(tmp_path, "raw", "data", max_reject_share=0.1)
    assert edges_of(manifest) == quantiles(good, 16)
    rejects = [json.loads(line) for line in (tmp_path / "data/rejects/train.jsonl").read_text().splitlines()]
    assert [(each["reason"], each["column"], each["value"]) for each in rejects] == [
        ("non_numeric_value", "price", "cheap"),
        ("non_numeric_value", "price", "1,5,0"),
        ("not_finite_value", "price", "inf"),
        ("not_finite_value", "price", "1e999"),
    ]


def test_a_log_without_a_train_split_needs_the_edges_of_another_data_set(tmp_path: Path):
    write(tmp_path / "raw", [rows(200, seed=7)])
    made(tmp_path, "raw", "data")
    text = SCHEMA.replace("SPLIT", "").replace("train:", "test:")
    (tmp_path / "test.yaml").write_text(text)
    config = PreprocessConfig(
        raw=tmp_path / "raw",
        out=tmp_path / "scored",
        schema=str(tmp_path / "test.yaml"),
        vocabulary=str(tmp_path / "data"),
    )
    with pytest.raises(
        SchemaError, match="Field 'age': its buckets are quantiles of the train split, and this log has"
    ):
        preprocess(config, NoProgress())
    manifest = preprocess(replace(config, like=str(tmp_path / "data"), vocabulary=None), NoProgress())
    assert list(manifest.splits) == ["test"]


@pytest.mark.parametrize("values", [[], [3.0]])
def test_a_column_of_one_value_or_none_has_one_edge_or_none(tmp_path: Path, values: list[float]):
    log = rows(100, seed=8)
    for row in log:
        row["price"] = "3,0" if values else ""
    write(tmp_path / "raw", [log])
    assert edges_of(made(tmp_path, "raw", "data")) == tuple(values)


def test_parquet_row_groups_give_the_same_edges(tmp_path: Path):
    prices = [None if n % 7 == 0 else float(np.float32(n % 23 / 10)) for n in range(500)]
    table = pa.table(
        {
            "user": [f"u{n % 9}" for n in range(500)],
            "age": [n % 50 for n in range(500)],
            "item": list(range(500)),
            "price": pa.array(prices, pa.float32()),
            "click": [n % 3 == 0 for n in range(500)],
            "buy": [False] * 500,
        }
    )
    (tmp_path / "raw").mkdir()
    pq.write_table(table, tmp_path / "raw" / "train.parquet", row_group_size=60)
    text = SCHEMA.replace("SPLIT", "").replace("train*.csv", "train.parquet")
    (tmp_path / "p.yaml").write_text(text)
    manifest = preprocess(
        PreprocessConfig(raw=tmp_path / "raw", out=tmp_path / "data", schema=str(tmp_path / "p.yaml")), NoProgress()
    )
    assert edges_of(manifest) == quantiles([f"{n % 23 / 10}" for n in range(500) if n % 7], 16)


@pytest.mark.parametrize(("text", "number"), [(" 7 ", 7.0), ("+1.5e2", 150.0), (".5", 0.5), ("7.", 7.0), ("-0.0", 0.0)])
def test_a_number_is_read_as_people_write_it(text: str, number: float):
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["1_000", "0x10", "1,5", "seven", "true", "\u0667", "1 2"])
def test_other_texts_are_no_numbers(text: str):
    assert parse_number(text) is Reason.NON_NUMERIC_VALUE


def test_ranks_among_the_keys_of_several_files_are_exact(tmp_path: Path):
    values = np.random.default_rng(3).normal(size=1000) * 10.0 ** np.random.default_rng(4).integers(-300, 300, 1000)
    values[:100] = 0.0
    paths = []
    for number, part in enumerate(np.split(values, [10, 10, 700])):
        paths.append(tmp_path / f"{number}.npy")
        save_array(paths[-1], np.sort(ordered(part)))
    ranks = [1, 2, 500, 550, 600, 1000]
    assert [number_of_key(key) for key in keys_of_ranks(paths, ranks)] == np.sort(values)[np.array(ranks) - 1].tolist()
