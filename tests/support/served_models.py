"""Served models of random rows, without a training: what tests of ``served_model`` and of what reads it build on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, Ids
from esmm_dist.embedding.placement import bucket_of, bucket_ranges
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.served_model.manifest import SERVED_FOLDER, TOWERS_FOLDER, RowType, ServedManifest
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.row_parts import RowsPart
from esmm_dist.served_model.writing import ServedContent, TableRowsToServe, write_delta, write_full

SEED = 7
Rows = Mapping[int, F32]
"""Row float32 [D] of each id."""

SCHEMA = Schema(
    name="served",
    labels=("click", "conversion"),
    fields=(Field(name="user", owner="user"), Field(name="item", owner="item", table="items")),
)
DIMS = {"main": 4, "items": 3}


def content(**changes: Any) -> ServedContent:
    """Return what stands in the manifest beside rows."""
    return ServedContent(
        **{
            "run": "runs/a",
            "step": 10,
            "seed": SEED,
            "schema": SCHEMA,
            "seen_fields": ("user", "item"),
            "lists": (),
            "uses_norms": False,
            "calibrated": False,
            "settings": {"row_type": "float32", "fields": ["user", "item"], "min_count": 0, "note": None},
            "towers_digest": "of the towers",
            **changes,
        }
    )


def start_values(table: str) -> StartValues:
    """Return the start rows of a table."""
    return StartValues(embedding_dim=DIMS[table], scale=0.5, seed=SEED)


def to_serve(name: str, rows: Rows, row_type: RowType = "float32", parts: int = 3) -> TableRowsToServe:
    """Return a table's rows in parts."""
    return TableRowsToServe(
        name=name, row_type=row_type, start_rows=start_values(name).choices, parts=parts_of(rows, DIMS[name], parts)
    )


def parts_of(rows: Rows, dim: int, parts: int) -> Iterator[RowsPart]:
    """Yield rows in parts of equally many buckets, in no order of ids."""
    ids, values = arrays(rows, dim)
    buckets = bucket_of(ids)
    for first, last in bucket_ranges(parts):
        places = np.flatnonzero((buckets >= first) & (buckets < last))[::-1]
        yield RowsPart(first_bucket=first, last_bucket=last, ids=ids[places], rows=values[places])


def arrays(rows: Rows, dim: int) -> tuple[Ids, F32]:
    """Return ids int64 [n], ascending, and their rows float32 [n, D]."""
    ids = np.array(sorted(rows), dtype=np.int64)
    return ids, np.array([rows[int(id_)] for id_ in ids], dtype=np.float32).reshape(len(ids), dim)


def random_rows(ids: Any, dim: int, seed: int = 0) -> dict[int, F32]:
    """Return random rows of ids."""
    values = np.random.default_rng(seed).normal(size=(len(ids), dim)).astype(np.float32)
    return {int(id_): row for id_, row in zip(ids, values, strict=True)}


def write_version(folder: Path, tables: Mapping[str, Rows], row_type: RowType = "float32", **changes: Any) -> Path:
    """Write a full version with a stand-in for its towers; return its folder."""
    served = towers_of(folder)
    write_full(served, content(**changes), [to_serve(name, rows, row_type) for name, rows in tables.items()])
    return folder


def write_change(
    folder: Path, tables: Mapping[str, Rows], base: MappedModel, row_type: RowType = "float32", **changes: Any
) -> ServedManifest:
    """Write a delta, with all rows of the new model given, into a folder beside its base's."""
    to_write = [to_serve(name, rows, row_type, parts=5) for name, rows in tables.items()]
    return write_delta(towers_of(folder), content(**changes), to_write, base, base_version=base.folder.name)


def towers_of(folder: Path) -> Path:
    """Make the folder ``served`` of a version with towers in it, and return it."""
    towers = folder / SERVED_FOLDER / TOWERS_FOLDER
    towers.mkdir(parents=True)
    (towers / "saved_model.pb").write_bytes(b"towers")
    return folder / SERVED_FOLDER
