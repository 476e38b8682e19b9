"""A model of a flat log that answers, made without a training: random rows, and networks of random weights."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.checkpoint.sorted_rows import SortedRows
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.inference.exported_model import ExportedModel
from esmm_dist.inference.exported_table import ExportedTable
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.served_export import write_towers
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from esmm_dist.served_model.manifest import SERVED_FOLDER
from esmm_dist.served_model.writing import TableRowsToServe, write_full
from tests.support.served_models import arrays, content, parts_of, random_rows

DIM, SEED = 4, 7
SCHEMA = Schema(
    name="shop",
    labels=("click", "buy"),
    fields=(
        Field(name="user id", owner="user"),
        Field(name="age", owner="user", numeric=Numeric(buckets=(18.0, 40.0))),
        Field(name="tags", owner="user", multi_hot=True, weighted=True),
        Field(name="item", owner="item"),
        Field(name="price", owner="item", numeric=Numeric(buckets=(5.0, 20.0))),
        Field(name="item x age", owner="item", cross=("item", "age")),
    ),
    source=FlatSource(form="flat", files={"train": "t.csv"}, labels={"click": "click", "buy": "buy"}),
)


VALUES: dict[str, Any] = {
    "user_id": ["u1", "new"],
    "age": [20.0, 17.5],
    "tags": ["t1", "t2", "zz"],
    "tags_lengths": [3, 0],
    "tags_weights": [0.5, 1, 2],
    "item": ["i1", "i2", "i99"],
    "price": [3.0, 30.0, 7.0],
    "impressions_per_group": [2, 1],
}
"""Columns of two users with two candidates and one; some values are unknown."""


def known(field: str, value: str) -> int:
    """Return the id of a value."""
    id_ = feature_id(field, value)
    assert id_ is not None
    return id_


FEATURES: dict[str, Any] = {
    "user_ids": [known("user id", "u1"), known("tags", "t1")],
    "user_lengths": [1, 0, 1],
    "impression_ids": [known("item", "i1"), known("item", "i2"), 12345],
    "impression_lengths": [1, 0, 0, 2, 0, 0],
    "impressions_per_group": [2],
    "user_weights": [1.0, 2.0],
}
"""Packed ids of a user with two candidates, an unknown one among them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlatModel:
    folder: Path
    """The version's: ``MODELS/3``."""
    exported: ExportedModel
    """The same model in plain TensorFlow."""

    @functools.cached_property
    def functions(self) -> dict[str, Any]:
        """The exported model's functions by signature; each is traced once."""
        return dict(self.exported.signatures())

    def answers(self, signature: str, **inputs: Any) -> dict[str, list[Any]]:
        """Return the outputs of the exported model."""
        found = self.functions[signature](*inputs.values())
        return {name: tensor.numpy().tolist() for name, tensor in found.items()}


def write_flat_model(models: Path, name: str = "3") -> FlatModel:
    """Write a version that knows users u0..u9, items i0..i9, tags t0..t4 and the buckets of numbers."""
    values = [("user id", f"u{n}") for n in range(10)] + [("item", f"i{n}") for n in range(10)]
    values += [("tags", f"t{n}") for n in range(5)]
    values += [(field, str(n)) for field in ("age", "price") for n in range(3)]
    ids = [id_ for id_ in (feature_id(field, value) for field, value in values) if id_ is not None]
    rows = random_rows(sorted(ids), DIM, seed=3)
    start = StartValues(embedding_dim=DIM, scale=0.5, seed=SEED)
    model = Esmm(SCHEMA, EmbeddingConfig(embedding_dim=DIM), ModelConfig(hidden_units=(8,)), seed=1)
    towers = ExportedTowers(SCHEMA, model, LogitTransform.of(1.0, None))
    folder = models / name
    folder.mkdir(parents=True)
    write_towers(towers, folder)
    to_serve = TableRowsToServe(
        name="main", row_type="float32", start_rows=start.choices, parts=parts_of(rows, DIM, parts=2)
    )
    seen = tuple(field.name for field in SCHEMA.fields)
    write_full(
        folder / SERVED_FOLDER,
        content(schema=SCHEMA, seen_fields=seen, seed=SEED, settings={"fields": None}),
        [to_serve],
    )
    of_ids, of_rows = arrays(rows, DIM)
    table = ExportedTable(SortedRows(ids=of_ids, rows=np.asarray(of_rows)), start, seed=SEED, name="main")
    return FlatModel(folder=folder, exported=ExportedModel(SCHEMA, towers, {"main": table}))
