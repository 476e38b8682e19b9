"""Write what ``esmm serve`` maps from disk: the folder ``served`` of a version (``esmm_dist.served_model``)."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from esmm_dist.arrays import Bools
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.config import to_mapping
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.inference.delta_base import DeltaBase
from esmm_dist.inference.delta_rows import DeltaRows, count_delta
from esmm_dist.inference.exported_rows import ExportedRows, LeftOutRows
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.trained_model import embedding_of
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.process.system_refusal import error_in_text
from esmm_dist.progress import Progress
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.served_model.manifest import SERVED_FOLDER, TOWERS_FOLDER, ServedFile, ServedManifest
from esmm_dist.served_model.row_parts import RowsPart, checkpoint_parts
from esmm_dist.served_model.writing import ServedContent, TableRowsToServe, write_delta, write_full

ContentSettings = dict[str, str | int | bool | list[str] | None]


def write_served(
    version: Path,
    content: ServedContent,
    towers: ExportedTowers,
    tables: list[TableRowsToServe],
) -> ServedManifest:
    """Write ``served`` of a full version, its manifest last; rows pass through memory a file of a checkpoint at a time.

    Args:
        version: folder of the version, which exists
        content: from ``content_of``
        towers: the networks
        tables: from ``tables_to_serve``

    Raises:
        CheckpointError: A file of rows is missing or damaged.
        ServedModelError: A row is not finite.
        OSError: The folder cannot be written.
    """
    write_towers(towers, version)
    return write_full(version / SERVED_FOLDER, content, tables)


def write_served_delta(
    version: Path, content: ServedContent, towers: ExportedTowers, tables: list[TableRowsToServe], base: DeltaBase
) -> tuple[ServedManifest, DeltaRows]:
    """Write ``served`` of a delta, its manifest last; return that, and what it changes.

    Args:
        version: folder of the version, which exists
        content: from ``content_of``
        towers: the networks
        tables: from ``tables_to_serve``: all rows of the new model
        base: version that the delta is made from

    Raises:
        CheckpointError: A file of rows is missing or damaged.
        ConfigError: The base has another schema, other tables or another seed.
        ServedModelError: The base is damaged, or a row is not finite.
        OSError: The folder cannot be written.
    """
    served, model = version / SERVED_FOLDER, base.mapped()
    write_towers(towers, version)
    manifest = write_delta(served, content, tables, model, base_version=base.name)
    return manifest, count_delta(served, manifest, model, name=base.name, full_bytes=base.full_bytes())


def content_of(checkpoint: Checkpoint, run: str, towers: ExportedTowers, settings: ContentSettings) -> ServedContent:
    """Return what a checkpoint's served model is made of beside its rows.

    Args:
        checkpoint: the checkpoint
        run: its run, without credentials
        towers: its networks
        settings: settings of the export that decide the content
    """
    manifest = checkpoint.manifest
    return ServedContent(
        run=run,
        step=manifest.step,
        seed=int(manifest.settings["seed"]),
        schema=manifest.schema,
        seen_fields=tuple(field.name for field in towers.seen_fields),
        lists=towers.lists,
        uses_norms=towers.uses_norms,
        calibrated=towers.transform.curves is not None,
        settings=settings,
        towers_digest=_digest(checkpoint, towers),
    )


def tables_to_serve(
    checkpoint: Checkpoint, choice: ExportedRows, progress: Progress, left_out: LeftOutRows | None = None
) -> list[TableRowsToServe]:
    """Return the rows of a checkpoint that are served; its files are read as they are asked for.

    Args:
        checkpoint: the checkpoint
        choice: the rows
        progress: receives the number of rows of each file
        left_out: counts the rows that are not served; None: nobody does
    """
    manifest = checkpoint.manifest
    embedding, seed = embedding_of(checkpoint), int(manifest.settings["seed"])
    tables = []
    for name in manifest.schema.tables:
        dim = embedding.dim_of(name)
        start = StartValues(embedding_dim=dim, scale=embedding.start_range, seed=seed)
        parts = _parts(checkpoint, name, dim, choice, progress, left_out)
        tables.append(TableRowsToServe(name=name, row_type=choice.row_type, start_rows=start.choices, parts=parts))
    return tables


def _parts(
    checkpoint: Checkpoint,
    table: str,
    dim: int,
    choice: ExportedRows,
    progress: Progress,
    left_out: LeftOutRows | None,
) -> Iterator[RowsPart]:
    chosen = choice.keep(table, left_out)

    def keep(rows: TableRows) -> Bools:
        progress.advance(len(rows.ids))
        return chosen(rows)

    return checkpoint_parts(checkpoint.folder, checkpoint.manifest.tables, table, dim, keep)


def write_towers(towers: ExportedTowers, version: Path) -> tuple[ServedFile, ...]:
    """Write ``served/towers`` of a version.

    Args:
        towers: the networks
        version: folder of the version, which exists

    Returns:
        Its files, by path.

    Raises:
        OSError: The folder cannot be written.
    """
    served = version / SERVED_FOLDER
    served.mkdir(exist_ok=True)
    save_model(towers, served / TOWERS_FOLDER)
    paths = sorted(path for path in (served / TOWERS_FOLDER).rglob("*") if path.is_file())
    return tuple(
        ServedFile(path=path.relative_to(served).as_posix(), file_bytes=path.stat().st_size, crc32c=file_crc32c(path))
        for path in paths
    )


def save_model(model: Any, folder: Path) -> None:
    """Write a module with ``signatures`` as a SavedModel.

    Raises:
        OSError: The folder cannot be written.
    """
    tf = import_tensorflow()
    try:
        tf.saved_model.save(model, str(folder), signatures=model.signatures())
    except tf.errors.OpError as e:  # TensorFlow writes files itself, and has errors of its own for a full disk
        raise error_in_text(str(e)) from e


def _digest(checkpoint: Checkpoint, towers: ExportedTowers) -> str:
    """Return the digest of all that the towers compute with: weights, networks, and what makes probabilities."""
    transform = towers.transform
    calibration = checkpoint.manifest.calibration if transform.curves is not None else None
    about = {
        "model": checkpoint.manifest.settings["model"],
        "keep_negatives": transform.keep_negatives,
        "calibration": None if calibration is None else to_mapping(calibration),
    }
    found = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16)
    for variable in towers.dense_variables:
        found.update(variable.numpy().tobytes())
    return found.hexdigest()
