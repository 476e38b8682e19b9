"""Where the time of a request of ``esmm serve`` goes, stage by stage, without HTTP.

    python -m tests.benchmarks.serving_hot_path [--quick]

One user with full-length lists (about 600 ids) and 200 candidates, in one thread, of two models with random rows,
D = 16, and two towers of 256 and 128: one of ids (the Ali-CCP form, 19 fields), one of a flat log (texts, numbers,
crosses, a time). The stages are medians of many requests in turns, in CPU time of the thread, so that other work on
the machine counts little.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from esmm_dist.arrays import Bools, Ids
from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.placement import bucket_of, bucket_ranges
from esmm_dist.embedding.pooling import pool
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.model.config import ModelConfig
from esmm_dist.process.quiet import import_tfra
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from esmm_dist.served_model.manifest import SERVED_FOLDER
from esmm_dist.served_model.row_parts import RowsPart
from esmm_dist.served_model.writing import ServedContent, TableRowsToServe, write_full
from esmm_dist.serving.requests.request_reader import RequestReader
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from esmm_dist.serving.scoring.served_towers import ServedTowers
from tests.benchmarks.figures import Figure, Scale, show

_ROWS = 1_000_000
_REQUESTS = 400
_CANDIDATES = 200
_LIST = 145
"""Ids of each of the four lists of a user"""
_TAGS = 3
"""Ids of a list of a candidate"""
_TARGET_READ_MS = 2.0
_SEED, _DIM = 1, 16


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    import_tfra()
    with tempfile.TemporaryDirectory() as scratch:
        for name, schema, request in (
            ("ids", Schema.from_yaml("aliccp"), _request_of_ids),
            ("flat", _flat_schema(), _request_of_values),
        ):
            draw = np.random.default_rng(_SEED)
            rows = scale.of(_ROWS, 20_000)
            bodies = [orjson.dumps(request(draw, rows)) for _ in range(16)]
            folder = Path(scratch) / name
            _write_model(folder, schema, _known_ids(schema, bodies, rows))
            yield from _stages(name, ServedScorer.open([folder]), bodies, scale.of(_REQUESTS, 32))


def _stages(name: str, scorer: ServedScorer, bodies: list[bytes], requests: int) -> Iterator[Figure]:
    scorer.warm_up()
    manifest, tables = scorer.model.manifest, scorer.model.tables
    schema = manifest.schema
    taken: dict[str, list[float]] = {}
    asking = [0.0]

    def part(stage: str, work: Callable[..., Any], *given: Any) -> Any:
        began = time.thread_time()
        found = work(*given)
        taken.setdefault(stage, []).append(time.thread_time() - began)
        return found

    def knows(table: str) -> Callable[[Ids], Bools]:
        def timed(ids: Ids) -> Bools:
            began = time.thread_time()
            found = tables[table].knows(ids)
            asking[0] += time.thread_time() - began
            return found

        return timed

    reader = RequestReader(schema, {table: knows(table) for table in tables})
    plan = LookupPlan(schema, with_gradients=False)
    towers = ServedTowers(scorer.model.towers)
    size = ids = 0
    for number in range(-16, requests):  # the first ones fill the caches of values
        body = bodies[number % len(bodies)]
        asking[0] = 0.0
        value = part("JSON", orjson.loads, body)
        asked = part("values to ids", reader.read, "short", value)
        taken["values to ids"][-1] -= asking[0]
        taken.setdefault("which ids have a row", []).append(asking[0])
        batch = asked.batch
        lookup = part("unique ids", plan.prepare, batch)["main"]
        found, _ = part("rows", tables["main"].find, lookup.ids)
        pooled = part("pooling", pool, lookup, found)
        inputs = {
            "pooled_0": pooled,
            "group_of_impression": np.repeat(np.arange(batch.num_groups), batch.impressions_per_group),
            "num_groups": np.array(batch.num_groups, np.int64),
        }
        scores = part("towers", towers, inputs)
        part("answer", partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY), scores)
        size, ids = len(body), len(batch.user_ids) + len(batch.impression_ids)
        if number < 0:
            taken.clear()
    beside = _beside(scorer.model.towers, inputs, requests)
    medians = {stage: 1000 * float(np.median(times)) for stage, times in taken.items()}
    whole = sum(medians.values())
    read = medians["JSON"] + medians["values to ids"] + medians["which ids have a row"]
    note = f"{ids:,} ids of 1 user and {_CANDIDATES} candidates, {size / 1000:.0f} kB of JSON"
    yield Figure(name=f"{name}: a request", value=whole, unit="CPU-ms", less_is_better=True, note=note)
    yield Figure(name=f"{name}: reading", value=read, unit="CPU-ms", less_is_better=True, target=_TARGET_READ_MS)
    for stage, median in medians.items():
        yield Figure(
            name=f"{name}: {stage}", value=median, unit="CPU-ms", less_is_better=True, note=f"{median / whole:.0%}"
        )

    for stage, taken_ms in beside.items():
        yield Figure(name=f"{name}: {stage}", value=taken_ms, unit="CPU-ms", less_is_better=True)


def _beside(folder: Path, inputs: dict[str, Any], requests: int) -> dict[str, float]:
    """Return what the towers cost as a function of TensorFlow 2 instead, and what loading them costs, in CPU-ms."""
    import tensorflow as tf

    def function() -> Any:
        return tf.saved_model.load(str(folder)).signatures["towers"]

    call = function()

    def of_function() -> None:
        found = call(**{name: tf.constant(values) for name, values in inputs.items()})
        _ = [column.numpy() for column in found.values()]

    def median(work: Callable[[], Any], rounds: int) -> float:
        taken = []
        for _ in range(rounds):
            began = time.process_time()  # of all threads: a function has operations in others
            work()
            taken.append(time.process_time() - began)
        return 1000 * float(np.median(taken))

    return {
        "towers, as a function of TensorFlow 2": median(of_function, requests),
        "loading the towers": median(lambda: ServedTowers(folder), 5),
        "loading them as a function of TensorFlow 2": median(function, 5),
    }


def _request_of_ids(draw: np.random.Generator, rows: int) -> dict[str, Any]:
    """Return a request of the schema ``aliccp``: one-hot fields and four weighted lists of the user, item fields."""
    user: dict[str, Any] = {}
    candidates: list[dict[str, Any]] = [{} for _ in range(_CANDIDATES)]
    for field in Schema.from_yaml("aliccp").fields:
        key = field.name if field.name[0].isalpha() else f"f_{field.name}"
        if field.multi_hot and field.owner != "user":
            for candidate in candidates:
                candidate[key] = draw.integers(0, rows, _TAGS).tolist()
                if field.weighted:
                    candidate[f"{key}_weights"] = [1.0] * _TAGS
        elif field.multi_hot:
            user[key] = draw.integers(0, rows, _LIST).tolist()
            if field.weighted:
                user[f"{key}_weights"] = draw.random(_LIST).round(3).tolist()
        elif field.owner == "user":
            user[key] = int(draw.integers(0, rows))
        else:
            for candidate in candidates:
                candidate[key] = int(draw.integers(0, rows))
    return {**user, "candidates": candidates}


def _flat_schema() -> Schema:
    fields = (
        Field(name="user_id", owner="user"),
        Field(name="gender", owner="user"),
        Field(name="age", owner="user", numeric=Numeric(buckets=(18.0, 25.0, 35.0, 50.0))),
        Field(name="seen_items", owner="user", multi_hot=True, combiner="mean", ids_of="item_id"),
        Field(name="seen_brands", owner="user", multi_hot=True, combiner="mean", ids_of="brand"),
        Field(name="interests", owner="user", multi_hot=True, weighted=True),
        Field(name="searches", owner="user", multi_hot=True, combiner="sqrtn"),
        Field(name="item_id", owner="item"),
        Field(name="brand", owner="item"),
        Field(name="shop", owner="item"),
        Field(name="price", owner="item", numeric=Numeric(buckets="log 2")),
        Field(name="tags", owner="item", multi_hot=True),
        Field(name="position", owner="context"),
        Field(name="gender x brand", owner="item", cross=("gender", "brand")),
        Field(name="hour", owner="context", of_time="hour"),
    )
    labels = {"click": "click", "order": "order"}
    source = FlatSource(form="flat", files={"train": "log.csv"}, labels=labels, time="shown_at")
    return Schema(name="flat", labels=("click", "order"), fields=fields, source=source)


def _request_of_values(draw: np.random.Generator, rows: int) -> dict[str, Any]:
    def texts(prefix: str, most: int, number: int) -> list[str]:
        return [f"{prefix}{value}" for value in (most * draw.random(number) ** 3).astype(int).tolist()]

    lists = {name: texts(name[0], 20_000, _LIST) for name in ("seen_items", "seen_brands", "interests", "searches")}
    lists["seen_items"] = texts("i", 20_000, _LIST)
    columns = {
        "item_id": texts("i", 20_000, _CANDIDATES),
        "brand": texts("s", 2_000, _CANDIDATES),
        "shop": texts("shop ", 2_000, _CANDIDATES),
        "price": draw.lognormal(2, 1, _CANDIDATES).round(2).tolist(),
        "tags": [texts("t", 50, _TAGS) for _ in range(_CANDIDATES)],
        "position": list(range(_CANDIDATES)),
    }
    candidates = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    user = {"user_id": f"u{draw.integers(0, rows)}", "gender": "f", "age": 31, "shown_at": "2024-01-31T18:30:00Z"}
    return {**user, **lists, "interests_weights": draw.random(_LIST).round(3).tolist(), "candidates": candidates}


def _known_ids(schema: Schema, bodies: list[bytes], rows: int) -> Ids:
    """Return ids that have a row: all of the requests, and as many others as the model has."""
    if schema.flat_source is None:
        return np.arange(rows)

    def everything(ids: Ids) -> Bools:
        return np.ones(len(ids), np.bool_)

    reader = RequestReader(schema, {"main": everything})
    batches = [reader.read("short", orjson.loads(body)).batch for body in bodies]
    asked = [ids for batch in batches for ids in (batch.user_ids, batch.impression_ids)]
    others = [feature_id("item_id", f"other {number}") for number in range(rows // 10)]
    known: Ids = np.unique(np.concatenate([*asked, np.array(others, np.int64)]))
    return known


def _write_model(folder: Path, schema: Schema, ids: Ids) -> None:
    from esmm_dist.inference.exported_towers import ExportedTowers
    from esmm_dist.inference.served_export import write_towers
    from esmm_dist.model.esmm import Esmm

    model = Esmm(schema, EmbeddingConfig(embedding_dim=_DIM), ModelConfig(hidden_units=(256, 128)), seed=_SEED)
    towers = ExportedTowers(schema, model, LogitTransform())
    folder.mkdir()
    write_towers(towers, folder)
    content = ServedContent(
        run="run",
        step=1,
        seed=_SEED,
        schema=schema,
        seen_fields=tuple(field.name for field in towers.seen_fields),
        lists=towers.lists,
        uses_norms=towers.uses_norms,
        calibrated=False,
        settings={},
        towers_digest="random",
    )
    start = StartValues(embedding_dim=_DIM, scale=0.1, seed=_SEED)
    table = TableRowsToServe(name="main", row_type="float32", start_rows=start.choices, parts=_parts(ids))
    write_full(folder / SERVED_FOLDER, content, [table])


def _parts(ids: Ids) -> Iterator[RowsPart]:
    draw, buckets = np.random.default_rng(_SEED), bucket_of(ids)
    for first, last in bucket_ranges(8):
        own = ids[(buckets >= first) & (buckets < last)]
        rows = draw.normal(size=(len(own), _DIM)).astype(np.float32)
        yield RowsPart(first_bucket=first, last_bucket=last, ids=own, rows=rows)


if __name__ == "__main__":
    show(__doc__, figures)
