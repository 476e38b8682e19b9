"""Speed of scoring a raw log beside predict of a data set of the same rows, in turns.

    python -m tests.benchmarks.raw_scoring_speed [--quick]

The log has the shape of KuaiRand's: 17 one-hot fields of the user, 3 ids of the item, tags, a number in buckets and a
cross with it. Figures are rows of a core-second: the CPU time of all threads counts.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from esmm_dist.config import build
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.benchmarks.figures import Figure, Scale, paired, show, timed

_ROWS = 400_000
_TRAIN_ROWS = 60_000
_ROUNDS = 3
_USERS, _ITEMS = 25_000, 40_000
_USER_FIELDS = 16

SCHEMA = "\n".join(
    (
        "name: bench",
        "labels: [click, conversion]",
        "source:",
        "  form: flat",
        "  files: {train: train.parquet, test: test.parquet}",
        "  labels: {click: click, conversion: conversion}",
        "fields:",
        "  - {name: user_id, owner: user}",
        *(f"  - {{name: user_{n}, owner: user}}" for n in range(_USER_FIELDS)),
        "  - {name: video_id, owner: item}",
        "  - {name: author_id, owner: item}",
        "  - {name: music_id, owner: item}",
        "  - {name: tags, owner: item, multi_hot: true}",
        "  - {name: duration, owner: item, numeric: {buckets: quantile 16}}",
        "  - {name: tab, owner: context}",
        "  - {name: duration_tab, owner: context, cross: [duration, tab]}",
        "",
    )
)


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    import_tfra()
    rows = scale.of(_ROWS, 20_000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sides = _sides(folder, rows, scale.of(_TRAIN_ROWS, 5_000))
        for work in sides.values():
            work()  # compiles
        rates = paired({name: _rate(work, rows) for name, work in sides.items()}, rounds=scale.of(_ROUNDS, 1))
        for side in sides:
            yield Figure(name=side, value=rates.median(side), unit="rows/core-second")
        yield Figure(name="Parquet / predict", value=rates.ratio("raw Parquet", "predict of a data set"), unit="")


def write_log(path: Path, rows: int, *, seed: int) -> pa.Table:
    """Write rows as Parquet; return them."""
    draw = np.random.default_rng(seed)
    users, items = draw.integers(0, _USERS, rows), draw.zipf(1.3, rows) % _ITEMS
    columns: dict[str, pa.Array] = {"user_id": pa.array(users)}
    for n in range(_USER_FIELDS):
        columns[f"user_{n}"] = pa.array((users * (n + 7) // 3) % (3 + 5 * n))
    columns |= {"video_id": pa.array(items), "author_id": pa.array(items // 4), "music_id": pa.array(items // 3)}
    lengths = 1 + items % 3
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    tags = pa.array(draw.integers(0, 60, int(splits[-1]))).cast(pa.string())
    columns["tags"] = pa.ListArray.from_arrays(pa.array(splits), tags)
    columns["duration"] = pa.array(np.round(draw.lognormal(9, 1, rows)))
    columns["tab"] = pa.array(draw.integers(0, 12, rows))
    clicks = draw.random(rows) < 0.3
    columns["click"] = pa.array(clicks.astype(np.int64))
    columns["conversion"] = pa.array((clicks & (draw.random(rows) < 0.3)).astype(np.int64))
    table = pa.table(columns)
    pq.write_table(table, path, row_group_size=1 << 17)
    return table


def _sides(folder: Path, rows: int, train_rows: int) -> dict[str, Callable[[], object]]:
    from esmm_dist.inference.predict import PredictConfig, predict
    from esmm_dist.raw_scoring.score_raw import score_raw
    from esmm_dist.train.config import TrainConfig
    from esmm_dist.train.run import train

    raw = folder / "raw"
    raw.mkdir()
    write_log(raw / "train.parquet", train_rows, seed=1)
    table = write_log(raw / "test.parquet", rows, seed=2)
    tags = pa.array(["|".join(tags) for tags in table["tags"].to_pylist()])
    pacsv.write_csv(table.set_column(table.column_names.index("tags"), "tags", tags), folder / "test.csv")
    (folder / "bench.yaml").write_text(SCHEMA)
    prepare = PreprocessConfig(raw=raw, out=folder / "data", schema=str(folder / "bench.yaml"), group_size=8, lanes=64)
    preprocess(prepare, NoProgress())
    settings = {"data": folder / "data", "run": str(folder / "run"), "input": {"epochs": 1}}
    train(build(TrainConfig, settings, where="benchmark"), NoProgress())
    run, out = str(folder / "run"), folder / "scores.parquet"
    return {
        "predict of a data set": lambda: predict(PredictConfig(run=run, data=folder / "data", out=out), NoProgress()),
        "raw Parquet": lambda: score_raw(PredictConfig(run=run, raw=str(raw / "test.parquet"), out=out), NoProgress()),
        "raw CSV": lambda: score_raw(PredictConfig(run=run, raw=str(folder / "test.csv"), out=out), NoProgress()),
    }


def _rate(work: Callable[[], object], rows: int) -> Callable[[], float]:
    return lambda: rows / timed(work).cpu_s


if __name__ == "__main__":
    show(__doc__, figures)
