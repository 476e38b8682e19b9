"""A small log with few, active users, whose labels come from a planted model.

Users differ in how much they click, items in how much they are clicked, tags in both, and users like some tags more
than others. What makes a user convert is partly what makes him click. The last quarter of the log is the test split.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import F64

SCHEMA_TEXT = """\
name: few-users
labels: [click, conversion]
source:
  form: flat
  files: {train: log_train.parquet, test: log_test.parquet}
  labels: {click: is_click, conversion: is_conversion}
fields:
  - {name: user_id, owner: user}
  - {name: age, owner: user}
  - {name: occupation, owner: user}
  - {name: item_id, owner: item}
  - {name: tags, owner: item, multi_hot: true, combiner: mean}
  - {name: hour, owner: context}
"""
TAGS, AGES, OCCUPATIONS, HOURS = 40, 7, 20, 24
SHARED = 0.6
"""Correlation of what makes a user click and what makes him convert."""


@dataclass(frozen=True)
class FewUsersLog:
    """Where the log is."""

    raw: Path
    schema: Path


def write_few_users_log(
    folder: Path, *, users: int = 600, items: int = 2500, impressions: int = 44_000, seed: int = 1
) -> FewUsersLog:
    """Write the log and its schema into ``folder/raw`` and ``folder/schema.yaml``."""
    draw = np.random.default_rng(seed)
    activity = draw.lognormal(0, 1, users)
    user = draw.choice(users, impressions, p=activity / activity.sum())
    popularity = 1 / np.arange(1, items + 1) ** 0.8
    item = draw.choice(items, impressions, p=popularity / popularity.sum())
    hour = draw.integers(0, HOURS, impressions)
    age, occupation = draw.integers(0, AGES, users), draw.integers(0, OCCUPATIONS, users)
    tags = [draw.choice(TAGS, draw.integers(1, 4), replace=False) for _ in range(items)]
    share = np.zeros((items, TAGS))
    for number, of_item in enumerate(tags):
        share[number, of_item] = 1 / len(of_item)

    def effects(*shape: int, spread: float) -> tuple[F64, F64]:
        click, own = draw.normal(0, spread, shape), draw.normal(0, spread, shape)
        return click, SHARED * click + np.sqrt(1 - SHARED**2) * own

    parts = [
        [each[user] for each in effects(users, spread=0.7)],
        [each[age[user]] for each in effects(AGES, spread=0.2)],
        [each[occupation[user]] for each in effects(OCCUPATIONS, spread=0.2)],
        [each[item] for each in effects(items, spread=0.5)],
        [(share @ each)[item] for each in effects(TAGS, spread=0.8)],
        [(share[item] * each[user]).sum(axis=1) for each in effects(users, TAGS, spread=0.7)],
        [each[hour] for each in effects(HOURS, spread=0.15)],
    ]
    rates = (0.25, 0.25)
    truth = np.stack([_probabilities(sum(part[k] for part in parts), rates[k]) for k in range(2)], axis=1)
    labels = (draw.random(truth.shape) < truth).astype(np.int64)
    labels[:, 1] *= labels[:, 0]
    table = pa.table(
        {
            "user_id": [f"u{each}" for each in user],
            "age": age[user],
            "occupation": occupation[user],
            "item_id": [f"i{each}" for each in item],
            "tags": [tags[each].tolist() for each in item],
            "hour": hour,
            "is_click": labels[:, 0],
            "is_conversion": labels[:, 1],
        }
    )
    raw, schema = folder / "raw", folder / "schema.yaml"
    raw.mkdir(parents=True)
    first_of_test = impressions * 3 // 4
    pq.write_table(table.slice(0, first_of_test), raw / "log_train.parquet")
    pq.write_table(table.slice(first_of_test), raw / "log_test.parquet")
    schema.write_text(SCHEMA_TEXT)
    return FewUsersLog(raw=raw, schema=schema)


def _probabilities(logits: F64, rate: float) -> F64:
    """Shift logits until their mean probability is ``rate``."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(logits + middle).mean() < rate else (low, middle)
    return _sigmoid(logits + low)


def _sigmoid(values: F64) -> F64:
    return np.asarray(1 / (1 + np.exp(-values)))
