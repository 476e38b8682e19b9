"""Write a served model, whole or as a delta: tables in bounded memory, then the manifest.

The folder of towers is written before, by whoever knows the model. On return all is on the disk; a version that was
killed meanwhile has no manifest and so is none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esmm_dist.arrays import F32, Array, Bools
from esmm_dist.config import to_mapping
from esmm_dist.embedding.placement import NUM_BUCKETS
from esmm_dist.errors import ConfigError
from esmm_dist.kernels.bucket_order import find_places
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.fields import Schema
from esmm_dist.served_model.layers import RowChanges
from esmm_dist.served_model.manifest import (
    MANIFEST_NAME,
    TABLES_FOLDER,
    TOWERS_FOLDER,
    RowType,
    ServedBase,
    ServedFile,
    ServedManifest,
    ServedTable,
)
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.mapped_table import MappedTable
from esmm_dist.served_model.model_id import TableDigest, model_id_of
from esmm_dist.served_model.npy_files import write_npy
from esmm_dist.served_model.row_parts import RowsPart, ordered_parts
from esmm_dist.served_model.row_types import stored_rows
from esmm_dist.served_model.shard_writer import SHARD_BYTES, ShardWriter
from esmm_dist.storage.whole_file import sync_tree, write_durable


@dataclass(frozen=True, kw_only=True)
class ServedContent:
    """What a served model is made of beside its rows; the members of ``ServedManifest`` of these names."""

    run: str
    step: int
    seed: int
    schema: Schema
    seen_fields: tuple[str, ...]
    lists: tuple[str, ...]
    uses_norms: bool
    calibrated: bool
    settings: Mapping[str, str | int | bool | list[str] | None]
    towers_digest: str
    """Digest of the weights of the towers and of their calibration: equal for those that answer the same. The bytes of
    a SavedModel are not fit for it: TensorFlow does not write the same ones twice."""


@dataclass(frozen=True, kw_only=True)
class TableRowsToServe:
    """The rows of one table that are written."""

    name: str
    row_type: RowType
    start_rows: F32
    """float32 [2^16, D], see ``embedding.start_values``"""
    parts: Iterable[RowsPart]
    """Ascending by bucket; what is in none of them has no rows. Read once."""


def write_full(
    served: Path, content: ServedContent, tables: Sequence[TableRowsToServe], *, shard_bytes: int = SHARD_BYTES
) -> ServedManifest:
    """Write a full version into a folder that holds its towers.

    Args:
        served: folder ``served`` of the version
        content: what it is made of beside its rows
        tables: its tables, in the order of the schema
        shard_bytes: largest shard

    Raises:
        CheckpointError: The parts do not fit together.
        ServedModelError: A row is not finite.
        OSError: The disk refuses.
    """
    (served / TABLES_FOLDER).mkdir()
    written, digests = [], []
    for table in tables:
        dim = table.start_rows.shape[1]
        shards = ShardWriter(served, table.name, table.row_type, dim, shard_bytes=shard_bytes)
        digest = TableDigest(table.name, table.row_type, table.start_rows)
        rows = 0
        for part in _stored_parts(table):
            shards.add(part.first_bucket, part.last_bucket, part.found)
            digest.add(part.found.ids, part.found.values, part.found.scales)
            rows += len(part.found.ids)
        written.append(
            ServedTable(
                name=table.name,
                embedding_dim=dim,
                row_type=table.row_type,
                rows=rows,
                start_rows=write_npy(served, f"{TABLES_FOLDER}/{table.name}.start_rows.npy", table.start_rows),
                shards=shards.finish(),
            )
        )
        digests.append(digest)
    return _write_manifest(served, content, None, written, digests)


def write_delta(
    served: Path,
    content: ServedContent,
    tables: Sequence[TableRowsToServe],
    base: MappedModel,
    *,
    base_version: str,
    shard_bytes: int = SHARD_BYTES,
) -> ServedManifest:
    """Write what changes a base into a model: rows that are new or whose stored form differs, and ids to remove.

    Args:
        served: folder ``served`` of the version, which holds the towers of the new model
        content: what the new model is made of beside its rows
        tables: all rows of the new model, as for ``write_full``
        base: the model that the delta is applied to
        base_version: name of its folder, beside the delta's
        shard_bytes: largest shard

    Raises:
        ConfigError: The new model has another schema, seed, tables, row type or start rows than the base.
        CheckpointError: The parts do not fit together.
        ServedModelError: A row is not finite.
        OSError: The disk refuses.
    """
    _check_fits(content, tables, base, base_version)
    (served / TABLES_FOLDER).mkdir()
    written, digests = [], []
    for table in tables:
        dim, of_base = table.start_rows.shape[1], base.tables[table.name]
        shards = ShardWriter(served, table.name, table.row_type, dim, shard_bytes=shard_bytes)
        digest = TableDigest(table.name, table.row_type, table.start_rows)
        rows = 0
        for part in _stored_parts(table):
            digest.add(part.found.ids, part.found.values, part.found.scales)
            rows += len(part.found.ids)
            shards.add(part.first_bucket, part.last_bucket, _changes(part, of_base))
        written.append(
            ServedTable(
                name=table.name,
                embedding_dim=dim,
                row_type=table.row_type,
                rows=rows,
                start_rows=None,
                shards=shards.finish(),
            )
        )
        digests.append(digest)
    return _write_manifest(
        served, content, ServedBase(model_id=base.manifest.model_id, version=base_version), written, digests
    )


@dataclass(frozen=True, kw_only=True)
class _StoredPart:
    first_bucket: int
    last_bucket: int
    found: RowChanges


def _stored_parts(table: TableRowsToServe) -> Iterable[_StoredPart]:
    where, dim = f"Table '{table.name}'", table.start_rows.shape[1]
    for part in ordered_parts(table.parts, where=where):
        stored = stored_rows(part.ids, part.rows.reshape(len(part.ids), dim), table.row_type, where=where)
        found = RowChanges(
            ids=part.ids, values=stored.values, scales=stored.scales, removed=np.empty(0, dtype=np.int64)
        )
        yield _StoredPart(first_bucket=part.first_bucket, last_bucket=part.last_bucket, found=found)


def _changes(part: _StoredPart, base: MappedTable) -> RowChanges:
    """Return the rows of a part that the base has not, or not so, and the base's ids that it has not."""
    new, old = part.found, base.rows_in(part.first_bucket, part.last_bucket)
    in_old = np.empty(len(new.ids), dtype=np.int64)
    find_places(new.ids, old.ids, NUM_BUCKETS, in_old)
    changed = in_old < 0
    both = np.flatnonzero(~changed)
    in_old = in_old[both]
    differs = _bits_differ(new.values[both], old.values[in_old])
    if new.scales is not None and old.scales is not None:
        differs |= _bits_differ(new.scales[both], old.scales[in_old])
    changed[both] = differs
    removed = np.ones(len(old.ids), dtype=np.bool_)
    removed[in_old] = False
    return RowChanges(
        ids=new.ids[changed],
        values=new.values[changed],
        scales=None if new.scales is None else new.scales[changed],
        removed=old.ids[removed],
    )


def _bits_differ(first: Array, second: Array) -> Bools:
    """Return for each row whether any of its bits does, bool [n]."""
    bits = np.dtype(f"u{first.itemsize}")  # so that NaN equals itself, and 0 does not equal -0
    differ = first.view(bits) != second.view(bits)
    return np.asarray(differ if differ.ndim == 1 else differ.any(axis=1))


def _check_fits(
    content: ServedContent, tables: Sequence[TableRowsToServe], base: MappedModel, base_version: str
) -> None:
    of_base = base.manifest
    new = {"schema": content.schema, "seed of the start rows": content.seed, "tables": [t.name for t in tables]}
    old = {
        "schema": of_base.schema,
        "seed of the start rows": of_base.seed,
        "tables": [table.name for table in of_base.tables],
    }
    for table in tables:
        in_base = base.tables.get(table.name)
        if in_base is not None:
            of_table = f"of table '{table.name}'"
            new |= {f"row type {of_table}": table.row_type, f"start rows {of_table}": table.start_rows.tobytes()}
            old |= {f"row type {of_table}": in_base.row_type, f"start rows {of_table}": in_base.start_rows.tobytes()}
    for what, value in new.items():
        if value != old[what]:
            shown = f": {old[what]}, and now {value}" if isinstance(value, (str, int)) else ""
            raise ConfigError(
                f"Version {base_version} has another {what} than the model{shown}. A delta cannot change it: export "
                "a full version, without --delta-since."
            )


def _write_manifest(
    served: Path,
    content: ServedContent,
    base: ServedBase | None,
    tables: Sequence[ServedTable],
    digests: Sequence[TableDigest],
) -> ServedManifest:
    decisive = to_mapping(content)
    del decisive["run"], decisive["step"]
    manifest = ServedManifest(
        model_id=model_id_of(decisive, digests),
        base=base,
        run=content.run,
        step=content.step,
        seed=content.seed,
        schema=content.schema,
        seen_fields=content.seen_fields,
        lists=content.lists,
        uses_norms=content.uses_norms,
        calibrated=content.calibrated,
        tables=tuple(tables),
        towers=tuple(_files_of(served, TOWERS_FOLDER)),
        settings=content.settings,
    )
    sync_tree(served)  # the towers' files, and the names of all
    write_durable(served / MANIFEST_NAME, manifest.to_json().encode())
    return manifest


def _files_of(served: Path, folder: str) -> Iterable[ServedFile]:
    for path in sorted((served / folder).rglob("*")):
        if path.is_file():
            relative = path.relative_to(served).as_posix()
            yield ServedFile(path=relative, file_bytes=path.stat().st_size, crc32c=file_crc32c(path))
