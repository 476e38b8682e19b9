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

A version without this file does not exist: whoever copies a version writes it last. ``crc32c``, its last member, is
the CRC-32C of the text (JSON, indented by 1) of all the others. README.md says what holds for the files.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from esmm_dist.config import build, to_mapping
from esmm_dist.embedding.placement import NUM_BUCKETS
from esmm_dist.errors import ServedModelError
from esmm_dist.schema.checksum import mapping_crc32c
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.stored import with_old_meaning
from esmm_dist.storage.folder import Folder, is_plain_name

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
    """int64 [m], ascending: ids that a delta removes. None: there are none."""

    def files(self) -> Iterator[ServedFile]:
        """Yield the files of the shard."""
        yield from (file for file in (self.ids, self.begins, self.values, self.scales, self.removed) if file)


@dataclass(frozen=True, kw_only=True)
class ServedTable:
    """The rows of one table."""

    name: str
    embedding_dim: int
    """D."""
    row_type: RowType
    rows: int
    """Rows that the table has in this version, with those of a delta's bases; its own are the sum of the shards'."""
    start_rows: ServedFile | None
    """float32 [2^16, D], see ``embedding.start_values``. None in a delta: those of its base."""
    shards: tuple[ServedShard, ...]
    """Ascending by bucket; each bucket lies in one shard at most."""

    def files(self) -> Iterator[ServedFile]:
        """Yield the files of the table."""
        if self.start_rows is not None:
            yield self.start_rows
        for shard in self.shards:
            yield from shard.files()


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
    """Settings of the export that decide the content: dtype, min_count, fields, calibrate."""
    format: Literal["esmm_dist.served_model"] = "esmm_dist.served_model"
    format_version: int = FORMAT_VERSION

    def files(self) -> Iterator[ServedFile]:
        """Yield all files but the manifest itself."""
        yield from self.towers
        for table in self.tables:
            yield from table.files()

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        mapping = to_mapping(self)
        return json.dumps({**mapping, "crc32c": mapping_crc32c(mapping)}, indent=1) + "\n"


def read_served_manifest(served: Folder) -> ServedManifest:
    """Read the manifest of a version.

    Args:
        served: folder ``served`` of the version

    Raises:
        FileNotFoundError: There is none: the folder is no version of a served model, or not yet.
        ServedModelError: It is damaged, of another version of the format, or names a file outside its folder.
        StorageError: The storage refuses.
    """
    where, repair = f"{served}/{MANIFEST_NAME}", "Export the version again, or copy it again."
    data = served.read_bytes(MANIFEST_NAME)
    try:
        mapping: Any = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise ServedModelError(f"{where} cannot be read ({e}). {repair}") from e
    if not isinstance(mapping, dict) or mapping.get("format") != FORMAT:
        raise ServedModelError(f"{where} is not the manifest of a served model. Give a folder that esmm export wrote.")
    if mapping.get("format_version") != FORMAT_VERSION:
        raise ServedModelError(
            f"{where} has format version {mapping.get('format_version')}, not {FORMAT_VERSION}. Serve it with the "
            "version of esmm_dist that wrote it, or export the version again."
        )
    if mapping.pop("crc32c", None) != mapping_crc32c(mapping):
        raise ServedModelError(f"{where} has another checksum than the one it ends with: its bytes changed. {repair}")
    manifest = build(ServedManifest, with_old_meaning(mapping), where=where, error=ServedModelError)
    problem = _problem(manifest)
    if problem:
        raise ServedModelError(f"{where} {problem}. {repair}")
    return manifest


def _problem(manifest: ServedManifest) -> str:
    """Return what no export writes; empty if there is nothing."""
    for file in manifest.files():
        if not all(is_plain_name(part) for part in file.path.split("/")):
            return f"names '{file.path}', which is outside of its folder"
    for table in manifest.tables:
        end = 0
        for shard in table.shards:
            if not end <= shard.first_bucket < shard.last_bucket <= NUM_BUCKETS:
                return f"has a shard of table '{table.name}' with buckets {shard.first_bucket} to {shard.last_bucket}"
            if (shard.scales is None) != (table.row_type == "float32"):
                return f"has a shard of table '{table.name}' whose scales do not fit rows of {table.row_type}"
            end = shard.last_bucket
        if (table.start_rows is None) != (manifest.base is not None):
            return f"has a table '{table.name}' whose start rows do not fit a {'delta' if manifest.base else 'model'}"
    return ""
