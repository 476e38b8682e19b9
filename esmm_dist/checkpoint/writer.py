"""Write a checkpoint: all or nothing."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.checkpoint.format import (
    DENSE_NAME,
    MANIFEST_NAME,
    CheckpointFile,
    CheckpointManifest,
    checkpoint_folders,
    checkpoints_folder,
    folder_name,
    read_checkpoint_manifest,
    step_of,
)
from esmm_dist.checkpoint.table_files import write_table_file
from esmm_dist.embedding.placement import bucket_ranges
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import RetryError
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.fields import Schema

_ROWS_A_FILE = 500_000  # 100 MB with Adam's slots at D = 16: small enough to write and verify in pieces
_MOST_FILES = 64
_TEMPORARY = ".writing-"


def write_checkpoint(
    run: Path,
    *,
    step: int,
    schema: Schema,
    dense: Mapping[str, npt.NDArray[Any]],
    store: EmbeddingStore,
    settings: Mapping[str, Any],
    state: Mapping[str, Any],
    metrics: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write the checkpoint of a step and remove the oldest beyond ``keep``.

    Blocks until the bytes are on disk. A checkpoint of the same step is replaced.

    Args:
        run: The run's folder.
        step: Steps done.
        schema: Names the tables.
        dense: Dense weights and optimizer state by name.
        store: Holds the rows of all tables.
        settings: Resolved settings, as plain values.
        state: What training continues from, as plain values.
        metrics: The newest evaluation, as plain values.
        keep: Checkpoints to keep, 1 or more.

    Returns:
        The checkpoint's folder.

    Raises:
        RetryError: The disk refused (full, read-only); the checkpoints before are untouched.
    """
    parent = checkpoints_folder(run)
    final = parent / folder_name(step)
    temporary = parent / f"{_TEMPORARY}{folder_name(step)}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(parent)
        temporary.mkdir()
        files = [_write_dense(temporary, dense)]
        for table in schema.tables:
            files += _write_table(temporary, table, store)
        manifest = CheckpointManifest(
            step=step,
            schema=schema,
            settings=dict(settings),
            state=dict(state),
            metrics=dict(metrics),
            files=tuple(files),
        )
        _write_synced(temporary / MANIFEST_NAME, manifest.to_json().encode())
        _sync_folder(temporary)
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _sync_folder(parent)
    except OSError as e:
        shutil.rmtree(temporary, ignore_errors=True)
        raise RetryError(
            f"Checkpoint of step {step} could not be written to {parent}: {e.strerror or e}. "
            "The checkpoints before are intact. Free space or check the permissions."
        ) from e
    # Those of later steps are damaged, or training would not be here: they must not push out good ones
    written = [folder for folder in checkpoint_folders(run) if step_of(folder) <= step]
    for old in written[keep:]:
        shutil.rmtree(old)
    return final


def rewrite_manifest(folder: Path, *, metrics: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Set the metrics and the state of a written checkpoint: those of an evaluation that came after it.

    Raises:
        CheckpointError: The checkpoint is not there.
        RetryError: The disk refused; the manifest is as before.
    """
    manifest = replace(read_checkpoint_manifest(folder), metrics=dict(metrics), state=dict(state))
    temporary = folder / f".{MANIFEST_NAME}"
    try:
        _write_synced(temporary, manifest.to_json().encode())
        temporary.replace(folder / MANIFEST_NAME)
    except OSError as e:
        raise RetryError(
            f"The metrics could not be added to {folder}: {e.strerror or e}. The checkpoint is intact without them. "
            "Free space or check the permissions, and run the same command again."
        ) from e


def _write_dense(folder: Path, dense: Mapping[str, npt.NDArray[Any]]) -> CheckpointFile:
    path = folder / DENSE_NAME
    with path.open("wb") as file:
        np.savez(file, **dense)
    return _described(path, rows=0, table=None)


def _write_table(folder: Path, table: str, store: EmbeddingStore) -> list[CheckpointFile]:
    files = []
    parts = min(_MOST_FILES, max(1, -(-store.num_rows(table) // _ROWS_A_FILE)))
    for first, last in bucket_ranges(parts):
        path = folder / f"{table}-{first:04d}-{last:04d}.arrow"
        rows = store.export(table, first, last)
        write_table_file(path, rows)
        files.append(_described(path, rows=len(rows.ids), table=table))
    return files


def _described(path: Path, *, rows: int, table: str | None) -> CheckpointFile:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return CheckpointFile(
        path=path.name, file_bytes=path.stat().st_size, crc32c=file_crc32c(path), rows=rows, table=table
    )


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unfinished(parent: Path) -> None:
    for path in parent.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(path)
