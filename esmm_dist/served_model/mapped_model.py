"""A served model, mapped from disk: its tables, its towers, and what its manifest says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from esmm_dist.arrays import F32
from esmm_dist.embedding.placement import NUM_BUCKETS, bucket_of
from esmm_dist.embedding.start_values import PICK_BITS
from esmm_dist.errors import ServedModelError
from esmm_dist.served_model.layers import Layer, MappedShard, begins_of, in_bucket_order, in_memory, merged
from esmm_dist.served_model.manifest import (
    MANIFEST_NAME,
    SERVED_FOLDER,
    TOWERS_FOLDER,
    ServedManifest,
    ServedShard,
    ServedTable,
    read_served_manifest,
)
from esmm_dist.served_model.mapped_table import MappedTable
from esmm_dist.served_model.npy_files import REPAIR, check_file, mapped
from esmm_dist.served_model.row_types import dtype_of
from esmm_dist.storage.folder import Folder

_HEADER_BYTES = 128
"""Header of a file of NumPy's format whose array has one or two dimensions."""

_MOST_DELTAS = 4
"""Deltas that are looked up one after the other. One more, and their rows are copied into one layer in memory."""

_MOST_DELTAS_MEANWHILE = 16
"""The same for a model that more deltas are applied to at once, before any id is looked up: copying less often."""


class MappedModel:
    """A model that never changes: a delta makes another one of it, and this one goes on answering.

    Any number of threads may use it. Its files stay mapped while it or a model made of it exists, also after their
    folders were removed.
    """

    def __init__(
        self, manifest: ServedManifest, folder: Path, tables: Mapping[str, MappedTable], num_deltas: int
    ) -> None:
        """Use ``open``."""
        self.manifest = manifest
        """That of the newest version."""
        self.folder = folder
        """Folder of the newest version."""
        self.tables = tables
        self._num_deltas = num_deltas

    @property
    def towers(self) -> Path:
        """The folder of the towers, a SavedModel."""
        return self.folder / SERVED_FOLDER / TOWERS_FOLDER

    @classmethod
    def open(cls, folders: Sequence[Path], *, verify: bool = True) -> "MappedModel":
        """Map a model.

        Args:
            folders: folder of a full version, then those of its deltas in order
            verify: whether to read all files once and compare their checksums, 2 GB/s; else only sizes are compared.
                For a process beside one that has done it.

        Raises:
            ServedModelError: A file is missing or damaged, the first is a delta, or one does not follow another.
        """
        folder = Path(folders[0])
        manifest = _checked(folder, verify=verify)
        if manifest.base is not None:
            raise ServedModelError(
                f"{folder} is a delta of version {manifest.base.version}. Give the folder of a full version first."
            )
        served = folder / SERVED_FOLDER
        tables = {}
        for table in manifest.tables:
            assert table.start_rows is not None
            starts: F32 = mapped(served, table.start_rows, np.float32, (1 << PICK_BITS, table.embedding_dim))
            tables[table.name] = MappedTable(
                _layers_of(served, table),
                num_rows=table.rows,
                row_type=table.row_type,
                start_rows=starts,
                seed=manifest.seed,
            )
        model = cls(manifest, folder, tables, 0)
        for place, each in enumerate(folders[1:], start=2):
            most = _MOST_DELTAS if place == len(folders) else _MOST_DELTAS_MEANWHILE
            model = model._changed_by(Path(each), verify=verify, most_deltas=most)
        return model

    def with_delta(self, folder: Path, *, verify: bool = True) -> "MappedModel":
        """Return the model that a delta makes of this one, which is left as it is.

        Raises:
            ServedModelError: A file is missing or damaged, or the delta belongs to another model.
        """
        return self._changed_by(Path(folder), verify=verify, most_deltas=_MOST_DELTAS)

    def _changed_by(self, folder: Path, *, verify: bool, most_deltas: int) -> "MappedModel":
        """Return the model that a delta makes of this one, with the layers of so many deltas at most."""
        manifest = _checked(folder, verify=verify)
        self._check_delta(folder, manifest)
        served = folder / SERVED_FOLDER
        merge = self._num_deltas >= most_deltas
        tables = {}
        for table in manifest.tables:
            old = self.tables[table.name]
            layers = [*_layers_of(served, table), *old.layers]
            if merge:
                above = merged(layers[:-1], 0, NUM_BUCKETS, embedding_dim=old.embedding_dim, row_type=old.row_type)
                layers = [*in_memory(above), layers[-1]]
            tables[table.name] = MappedTable(
                layers, num_rows=table.rows, row_type=old.row_type, start_rows=old.start_rows, seed=old.seed
            )
        return MappedModel(manifest, folder, tables, 1 if merge else self._num_deltas + 1)

    def _check_delta(self, folder: Path, manifest: ServedManifest) -> None:
        ours, where = self.manifest, folder / SERVED_FOLDER / MANIFEST_NAME
        if manifest.base is None:
            raise ServedModelError(f"{where} is that of a full version, not of a delta. Open it as one.")
        if manifest.base.model_id != ours.model_id:
            raise ServedModelError(
                f"{where} is a delta of version {manifest.base.version} (model {manifest.base.model_id}), but it is "
                f"applied to {self.folder} (model {ours.model_id}). Apply it to its own base, or export a full version."
            )
        for what, theirs, our in (
            ("schema", manifest.schema, ours.schema),
            ("seed", manifest.seed, ours.seed),
            ("form of the tables", _forms(manifest), _forms(ours)),
        ):
            if theirs != our:
                raise ServedModelError(
                    f"{where} has another {what} than its base {self.folder}. Export a full version, without "
                    "--delta-since."
                )


def _forms(manifest: ServedManifest) -> list[tuple[str, int, str]]:
    return [(table.name, table.embedding_dim, table.row_type) for table in manifest.tables]


def _checked(folder: Path, *, verify: bool) -> ServedManifest:
    """Return the manifest of a version whose files are all there."""
    served = folder / SERVED_FOLDER
    try:
        manifest = read_served_manifest(Folder.open(served))
    except FileNotFoundError as e:
        raise ServedModelError(
            f"{served / MANIFEST_NAME} is missing: {folder} is no served model, or is not written to its end. {REPAIR}"
        ) from e
    for file in manifest.files():
        check_file(served, file, whole=verify)
    return manifest


def _layers_of(served: Path, table: ServedTable) -> list[Layer]:
    """Map the layers of one version: its rows, and the ids that it removes."""
    shards = [_mapped_shard(served, table, shard) for shard in table.shards]
    removed = [_removed(served, shard) for shard in table.shards if shard.removed is not None]
    return [Layer(shards=tuple(shards)), *([Layer(shards=tuple(removed))] if removed else [])]


def _mapped_shard(served: Path, table: ServedTable, shard: ServedShard) -> MappedShard:
    begins = mapped(served, shard.begins, np.int64, (shard.last_bucket - shard.first_bucket + 1,))
    if begins[0] != 0 or begins[-1] != shard.rows or (np.diff(begins) < 0).any():
        raise ServedModelError(f"{served / shard.begins.path} does not ascend from 0 to {shard.rows}. {REPAIR}")
    shape = (shard.rows, table.embedding_dim)
    return MappedShard(
        first_bucket=shard.first_bucket,
        last_bucket=shard.last_bucket,
        ids=mapped(served, shard.ids, np.int64, (shard.rows,)),
        begins=begins,
        values=mapped(served, shard.values, dtype_of(table.row_type), shape),
        scales=None if shard.scales is None else mapped(served, shard.scales, np.float32, (shard.rows,)),
    )


def _removed(served: Path, shard: ServedShard) -> MappedShard:
    """Return the ids that a shard removes, in memory, ordered as rows are."""
    assert shard.removed is not None
    size = (shard.removed.file_bytes - _HEADER_BYTES) // 8
    ids = mapped(served, shard.removed, np.int64, (size,))
    ids = ids[in_bucket_order(ids)]
    buckets = bucket_of(ids)
    if len(ids) and not shard.first_bucket <= buckets[0] <= buckets[-1] < shard.last_bucket:
        raise ServedModelError(f"{served / shard.removed.path} holds ids of other buckets. {REPAIR}")
    return MappedShard(
        first_bucket=shard.first_bucket,
        last_bucket=shard.last_bucket,
        ids=ids,
        begins=begins_of(ids, shard.first_bucket, shard.last_bucket),
        values=None,
        scales=None,
    )
