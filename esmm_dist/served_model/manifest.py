"""The manifest of a served model: ``served/manifest.json`` of a version, written last.

::

    MODELS/3/                          a version: what esmm export wrote
      saved_model.pb, variables/       a SavedModel for any TensorFlow (not with ``--form shards``)
      assets.extra/                    esmm.json, golden.json, tf_serving_warmup_requests, RULES.md, esmm_client.py
      served/manifest.json             this file
      served/towers/                   a SavedModel from pooled rows to probabilities
      served/tables/NAME-0000.ids.npy  int64 [n], by (bucket, id); NAME-0000.rows.npy [n, D]; .begins.npy; .scales.npy
      served/tables/NAME.start_rows.npy  float32 [2^16, D]: rows of ids that have none
    MODELS/4.delta/                    the same, of rows that changed since its base; towers are whole

A version without this file does not exist. ``crc32c``, its last member, is the CRC-32C of the text of all the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from esmm_dist.schema.fields import Schema

FORMAT = "esmm_dist.served_model"
FORMAT_VERSION = 1

SERVED_FOLDER = "served"
MANIFEST_NAME = "manifest.json"
TOWERS_FOLDER = "towers"
TABLES_FOLDER = "tables"

RowType = Literal["float32", "float16", "int8"]


@dataclass(frozen=True, kw_only=True)
class ServedFile:
    """A file of a served model."""

    path: str
    """Relative to the folder ``served``, with forward slashes."""
    file_bytes: int
    crc32c: int
    """CRC-32C of the file's bytes."""


@dataclass(frozen=True, kw_only=True)
class ServedShard:
    """The rows of one table in a range of buckets (``embedding.placement.bucket_of``), ordered by (bucket, id)."""

    first_bucket: int
    last_bucket: int
    """The shard holds buckets ``[first_bucket, last_bucket)``."""
    rows: int
    """n."""
    ids: ServedFile
    """int64 [n]"""
    begins: ServedFile
    """int64 [last_bucket - first_bucket + 1]: where each bucket begins in ``ids``, and n"""
    values: ServedFile
    """[n, D] of the table's row type"""
    scales: ServedFile | None
    """float32 [n]: what the values of each row are multiplied by; None: 1, of float32 rows"""
    removed: ServedFile | None = None
    """Of a delta: int64, ascending: ids that have no row any more. None: there are none."""


@dataclass(frozen=True, kw_only=True)
class ServedTable:
    """The rows of one table."""

    name: str
    embedding_dim: int
    """D."""
    row_type: RowType
    rows: int
    start_rows: ServedFile
    """float32 [2^16, D], see ``embedding.start_values``"""
    shards: tuple[ServedShard, ...]
    """Ascending by bucket; each bucket lies in one shard at most."""


@dataclass(frozen=True, kw_only=True)
class ServedBase:
    """What a delta is applied to."""

    model_id: str
    version: str
    """Name of the folder beside the delta's that held it: ``3`` or ``4.delta``."""


@dataclass(frozen=True, kw_only=True)
class ServedManifest:
    """What a version is made of."""

    model_id: str
    """Names the content: two versions with the same one answer the same. A delta's is that of the model which is there
    once it is applied, and a full export of the same checkpoint with the same settings has it too."""
    base: ServedBase | None
    """None: a full version."""
    run: str
    """Run, without credentials."""
    step: int
    seed: int
    """Seed of the start values."""
    schema: Schema
    """With the edges of numeric fields."""
    seen_fields: tuple[str, ...]
    """Names of the fields that the model sees; others are read and have no effect."""
    lists: tuple[str, ...]
    """Names of the user fields that the towers take element by element, as ``LookupPlan`` takes them."""
    uses_norms: bool
    """Whether the towers take ``weight_norms``."""
    calibrated: bool
    tables: tuple[ServedTable, ...]
    """In the order of ``Schema.tables``."""
    towers: tuple[ServedFile, ...]
    settings: Mapping[str, str | int | bool | list[str] | None]
    """Settings of the export that decide the content: row_type, min_count, fields, calibrate."""
