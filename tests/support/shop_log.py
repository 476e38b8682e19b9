"""A small flat log with numbers, crosses, lists, times and missing values, as rows, as CSV and as Parquet."""

import csv
import datetime
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

Row = dict[str, Any]

SCHEMA_YAML = """
name: shop
labels: [click, conversion]
source:
  form: flat
  files: {train: train.FORM, test: test.FORM}
  labels: {click: click, conversion: buy}
  sample_id: row
  time: shown at
  time_zone: Europe/Berlin
fields:
  - {name: user id, owner: user}
  - {name: gender, owner: user, missing: id}
  - {name: age, owner: user, numeric: {buckets: [18, 25.5, 40]}}
  - {name: history, owner: user, multi_hot: true, combiner: mean, ids_of: item}
  - {name: interests, owner: user, multi_hot: true, weighted: true, combiner: sqrtn, missing: id}
  - {name: gender x age, owner: user, cross: [gender, age]}
  - {name: item, owner: item}
  - {name: price, owner: item, numeric: {buckets: quantile 8}}
  - {name: views, owner: item, numeric: {buckets: log 2, }, missing: none}
  - {name: category, owner: item, embedding_dim: 6}
  - {name: gender x category, owner: item, cross: [gender, category], missing: none}
  - {name: age x price x category, owner: item, cross: [age, price, category]}
  - {name: hour, owner: context, of_time: hour}
  - {name: weekday, owner: context, of_time: weekday, missing: none}
  - {name: category x hour, owner: context, cross: [category, hour]}
"""

GENDERS = ["f", "m", "other", None]
CATEGORIES = ["1", "2.0", "True", "2024-01-31", "1.5e+16", "ø", "007", None]


def shop_rows(count: int, *, seed: int = 1, first: int = 1, users: int = 12) -> list[Row]:
    """Return rows by column; a user's columns are the same in all its rows, and None is a missing value."""
    draw = random.Random(seed)
    people = [
        {
            "user id": f"u{number}",
            "gender": draw.choice(GENDERS),
            "age": draw.choice([None, 17, 18, 25.5, 40, draw.randrange(15, 80)]),
            "history": [f"i{draw.randrange(20)}" for _ in range(draw.randrange(4))],
            "interests": [(draw.choice("abc"), draw.choice([0.5, 1.0, 2.0])) for _ in range(draw.randrange(3))],
        }
        for number in range(users)
    ]
    rows = []
    for number in range(count):
        item = draw.randrange(20)
        own = random.Random(item)
        click = draw.random() < (0.7 if item % 3 == 0 else 0.2)  # so that there is something to learn
        rows.append(
            {
                "row": first + number,
                **draw.choice(people),
                "item": f"i{item}",
                "price": own.choice([None, round(own.lognormvariate(2, 1), 2), 0.1, 0.7]),
                "views": own.choice([None, 0, 1, own.randrange(10**6)]),
                "category": own.choice(CATEGORIES),
                "shown at": _time(first + number),
                "click": int(click),
                "buy": int(click and draw.random() < (0.8 if item % 2 == 0 else 0.2)),
            }
        )
    return rows


def _time(number: int) -> str | None:
    """Return a time around the night in which Berlin's clocks are put forward, as ISO 8601 text; seldom none."""
    draw = random.Random(number)
    time = datetime.datetime(2024, 3, 30, 12, tzinfo=datetime.UTC) + datetime.timedelta(seconds=draw.randrange(150_000))
    return None if draw.random() < 0.05 else time.isoformat()


def write_shop_csv(path: Path, rows: list[Row]) -> None:
    """Write rows as CSV text, lists between ``|``."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        for row in rows:
            texts = {**row, "history": "|".join(row["history"])}
            texts["interests"] = "|".join(f"{name}:{weight}" for name, weight in row["interests"])
            writer.writerow("" if value is None else value for value in texts.values())


def write_shop_parquet(path: Path, rows: list[Row]) -> None:
    """Write rows as Parquet: prices as float32, ages as float64, views as integers, lists as lists."""
    pairs = pa.list_(pa.struct([("name", pa.string()), ("weight", pa.float32())]))
    types = {
        "age": pa.float64(),
        "price": pa.float32(),
        "views": pa.int32(),
        "history": pa.list_(pa.string()),
        "interests": pairs,
        "shown at": pa.timestamp("us", "Asia/Tokyo"),
    }
    rows = [{**row, "shown at": row["shown at"] and datetime.datetime.fromisoformat(row["shown at"])} for row in rows]
    columns = {
        name: pa.array(
            [
                [{"name": each[0], "weight": each[1]} for each in row[name]] if name == "interests" else row[name]
                for row in rows
            ],
            types.get(name),
        )
        for name in rows[0]
    }
    pq.write_table(pa.table(columns), path)


def write_shop_schema(folder: Path, form: str) -> Path:
    """Write the schema of the log in one form, ``csv`` or ``parquet``; return its path."""
    path = folder / f"shop-{form}.yaml"
    path.write_text(SCHEMA_YAML.replace("FORM", form))
    return path


def shop_request(rows: list[Row], columns: dict[str, dict[str, Any]], per_group: list[int]) -> dict[str, tf.Tensor]:
    """Return the inputs of an exported model: rows of which ``per_group`` belong to one user each, one after the other.

    ``columns`` says the inputs of each field, as ``esmm.json`` does.
    """
    firsts = np.cumsum([0, *per_group[:-1]])
    users = [rows[first] for first in firsts]
    owners = {"user id", "gender", "age", "history", "interests"}
    inputs: dict[str, tf.Tensor] = {"impressions_per_group": tf.constant(per_group, tf.int64)}
    for name, column in columns.items():
        values = [row[name] for row in (users if name in owners else rows)]
        if column["lengths"] is not None:
            inputs[column["lengths"]] = tf.constant([len(each) for each in values], tf.int64)
            values = [each for some in values for each in some]
        if column["weights"] is not None:
            inputs[column["weights"]] = tf.constant([weight for _, weight in values], tf.float32)
            values = [value for value, _ in values]
        if name in ("age", "price", "views"):
            inputs[column["value"]] = tf.constant([np.nan if v is None else v for v in values], tf.float64)
        else:
            inputs[column["value"]] = tf.constant(["" if v is None else v for v in values], tf.string)
    return inputs
