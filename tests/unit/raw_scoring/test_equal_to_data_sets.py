"""A model of everything at once scores rows as in a data set: lists, times, trees, weights, negatives, calibration."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from esmm_dist.api.known_ids import known_ids_fetched
from esmm_dist.config import build
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.raw_scoring.score_raw import score_raw
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess

SCHEMA = """
name: everything
labels: [click, purchase, favourite after click]
source:
  form: flat
  files: {train: train.jsonl, test: test.jsonl}
  labels: {click: click, purchase: purchase, favourite: favourite}
  weight: weight
  time: at
  time_zone: Europe/Berlin
  keep: [user]
fields:
  - {name: user, owner: user}
  - {name: seen, owner: user, multi_hot: true, combiner: mean, ids_of: item, max_ids: 3, attended_by: item}
  - {name: likes, owner: user, multi_hot: true, weighted: true, combiner: sqrtn}
  - {name: item, owner: item}
  - {name: price, owner: item, numeric: {buckets: quantile 4}}
  - {name: color, owner: item, missing: id, embedding_dim: 3}
  - {name: hour, owner: context, of_time: hour}
  - {name: weekday, owner: context, of_time: weekday, missing: id}
  - {name: item_hour, owner: context, cross: [item, hour]}
"""


def rows(count: int, seed: int, items: int) -> Iterator[dict[str, object]]:
    draw = random.Random(seed)
    for number in range(count):
        user, item = draw.randrange(15), draw.randrange(items)
        own = random.Random(user)
        click = draw.random() < 0.2 + 0.5 * (item % 3 == 0)
        yield {
            "user": f"u{user}",
            "seen": [f"i{own.randrange(items)}" for _ in range(own.randrange(6))],
            "likes": {own.choice("abcd"): own.choice([0.5, 2]) for _ in range(own.randrange(3))},
            "item": f"i{item}",
            "price": draw.choice([None, item * 1.5, 0.1]),
            "color": draw.choice([None, "red", "blue"]),
            "at": draw.choice([1651000000 + number * 5000, None]),
            "click": int(click),
            "purchase": int(click and draw.random() < 0.4),
            "favourite": int(click and draw.random() < 0.3),
            "weight": draw.choice([1, 0.5, 3]),
        }


def write(path: Path, lines: Iterator[dict[str, object]], without: tuple[str, ...] = ()) -> None:
    path.parent.mkdir(exist_ok=True)
    kept = ({name: value for name, value in line.items() if name not in without} for line in lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))


@pytest.mark.parametrize("network", ["din", pytest.param("dcn", marks=pytest.mark.slow)])
def test_rows_score_as_in_a_data_set_with_the_ids_of_the_run(network: str, tmp_path: Path):
    write(tmp_path / "raw" / "train.jsonl", rows(500, 1, 25))
    write(tmp_path / "raw" / "test.jsonl", rows(50, 2, 25))
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    settings = PreprocessConfig(
        raw=tmp_path / "raw",
        out=tmp_path / "data",
        schema=str(tmp_path / "schema.yaml"),
        min_count=3,
        keep_negatives=0.5,
        validation_share=0.3,
        group_size=4,
    )
    preprocess(settings, NoProgress())
    training = {
        "data": tmp_path / "data",
        "run": str(tmp_path / "run"),
        "input": {"epochs": 1},
        "embedding": {"embedding_dim": 4, "start_scale": 0.5},
        "model": {"network": network, "hidden_units": [8]},
    }
    train(build(TrainConfig, training, where="test"), NoProgress())
    run = str(tmp_path / "run")
    write(tmp_path / "day" / "test.jsonl", rows(120, 3, 40))  # 15 items that the model has not seen
    like = PreprocessConfig(
        raw=tmp_path / "day", out=tmp_path / "day-data", like=str(tmp_path / "data"), vocabulary=run, group_size=4
    )
    with known_ids_fetched(like, NoProgress()) as fetched:
        preprocess(fetched, NoProgress())
    write(tmp_path / "day" / "bare.jsonl", rows(120, 3, 40), without=("click", "purchase", "favourite", "weight"))
    for calibrate in (True, False):
        outs = tmp_path / f"raw-{calibrate}.parquet", tmp_path / f"data-{calibrate}.parquet"
        raw = str(tmp_path / "day" / "bare.jsonl")
        score_raw(PredictConfig(run=run, raw=raw, out=outs[0], calibrate=calibrate), NoProgress())
        predict(PredictConfig(run=run, data=tmp_path / "day-data", out=outs[1], calibrate=calibrate), NoProgress())
        found, expected = (pq.read_table(out).sort_by("sample_id") for out in outs)
        assert found.column_names == expected.column_names
        assert found["sample_id"].to_pylist() == expected["sample_id"].to_pylist() == list(range(1, 121))
        for name in found.column_names[1:]:
            assert found[name].to_pylist() == pytest.approx(expected[name].to_pylist(), rel=1e-6), name
        assert len(set(found["p_purchase"].to_pylist())) > 60
