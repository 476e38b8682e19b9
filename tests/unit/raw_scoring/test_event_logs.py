"""Impressions of an event log are scored as they are, before any click."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from esmm_dist.config import build
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.raw_scoring.score_raw import score_raw
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess

SCHEMA = """
name: events
labels: [click, conversion]
source:
  form: events
  impressions: {files: {train: "shown/train.csv", test: "shown/test.csv"}, time: at}
  join: [id]
  sample_id: id
  labels:
    click: {files: "clicks.csv", time: at, window_hours: 1}
    conversion: {files: "orders.csv", time: at, window_days: 2, after: click}
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
"""


def write(path: Path, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def shown(first: int, count: int) -> list[list[object]]:
    return [["id", "at", "user", "item"], *([n, 10 * n, f"u{n % 7}", n * n % 11] for n in range(first, first + count))]


def test_impressions_have_the_scores_of_a_data_set_of_the_joined_log(tmp_path: Path):
    raw = tmp_path / "raw"
    write(raw / "shown/train.csv", shown(1, 90))
    write(raw / "shown/test.csv", shown(101, 30))
    write(raw / "clicks.csv", [["id", "at"], *([n, 10 * n + 5] for n in range(1, 131) if n % 11 in (1, 4, 5))])
    write(raw / "orders.csv", [["id", "at"], *([n, 10 * n + 9] for n in range(1, 131) if n % 11 == 4)])
    (tmp_path / "events.yaml").write_text(SCHEMA)
    preprocess(PreprocessConfig(raw=raw, out=tmp_path / "data", schema=str(tmp_path / "events.yaml")), NoProgress())
    settings = {
        "data": tmp_path / "data",
        "run": str(tmp_path / "run"),
        "input": {"epochs": 1},
        "embedding": {"embedding_dim": 4, "start_scale": 0.5},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    day, run = tmp_path / "day", str(tmp_path / "run")
    write(day / "shown/test.csv", shown(101, 30))
    score_raw(PredictConfig(run=run, raw=str(day), out=tmp_path / "scores.parquet"), NoProgress())
    predict(PredictConfig(run=run, data=tmp_path / "data", out=tmp_path / "of_data.parquet"), NoProgress())
    found = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    expected = {row["sample_id"]: row["pctcvr"] for row in pq.read_table(tmp_path / "of_data.parquet").to_pylist()}
    assert [row["sample_id"] for row in found] == list(range(101, 131))
    assert [row["pctcvr"] for row in found] == pytest.approx([expected[n] for n in range(101, 131)], rel=1e-6)
