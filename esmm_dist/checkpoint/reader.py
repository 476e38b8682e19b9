"""Find, verify and read checkpoints."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esmm_dist.checkpoint.format import (
    DENSE_NAME,
    CheckpointManifest,
    checkpoint_folders,
    read_checkpoint_manifest,
)
from esmm_dist.checkpoint.table_files import read_table_file
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import CheckpointError
from esmm_dist.progress import Progress
from esmm_dist.schema.checksum import file_crc32c


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint whose files have been verified."""

    folder: Path
    manifest: CheckpointManifest

    def dense(self) -> dict[str, npt.NDArray[Any]]:
        """Read the dense weights and optimizer state by name.

        Raises:
            CheckpointError: The file is not what a checkpoint holds.
        """
        path = self.folder / DENSE_NAME
        try:
            # Opened here: NumPy leaves a file open that turns out not to be a zip file
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, zipfile.BadZipFile) as e:
            raise CheckpointError(f"{path} cannot be read: {e}. Use an older checkpoint.") from e

    def load_rows(self, store: EmbeddingStore) -> None:
        """Add the rows of all tables to an empty store.

        Raises:
            CheckpointError: A file cannot be read, or its rows have another shape than the store's tables.
        """
        for file in self.manifest.files:
            if file.table is None:
                continue
            path = self.folder / file.path
            try:
                store.load(file.table, read_table_file(path))
            except (OSError, ValueError, KeyError, pa.ArrowException) as e:
                raise CheckpointError(
                    f"{path} does not fit this run: {e}. Use its own settings, or another run."
                ) from e


def newest_checkpoint(run: Path, progress: Progress) -> Checkpoint | None:
    """Return the newest checkpoint that is undamaged; report each damaged one by file and leave it where it is.

    Returns:
        None if the run has no checkpoint at all.

    Raises:
        CheckpointError: The run has checkpoints, and every one is damaged.
    """
    folders = checkpoint_folders(run)
    for folder in folders:
        try:
            return verified_checkpoint(folder)
        except CheckpointError as e:
            progress.message(f"Checkpoint {folder.name} is damaged and not used: {e}")
    if folders:
        raise CheckpointError(
            f"All {len(folders)} checkpoints of {run} are damaged. Restore one from a backup, or start a new run."
        )
    return None


def verified_checkpoint(folder: Path) -> Checkpoint:
    """Read one checkpoint's manifest and compare its files with the checksums.

    Raises:
        CheckpointError: A file is missing or differs; the message names it.
    """
    manifest = read_checkpoint_manifest(folder)
    for file in manifest.files:
        path = folder / file.path
        if Path(file.path).name != file.path:
            raise CheckpointError(f"{folder}: the manifest names '{file.path}', which is outside the checkpoint.")
        if not path.is_file():
            raise CheckpointError(f"{path} is missing.")
        if path.stat().st_size != file.file_bytes:
            raise CheckpointError(f"{path} has {path.stat().st_size} bytes, the manifest says {file.file_bytes}.")
        if file_crc32c(path) != file.crc32c:
            raise CheckpointError(f"{path} has another checksum than the manifest: its bytes changed.")
    return Checkpoint(folder=folder, manifest=manifest)
