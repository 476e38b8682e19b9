"""Find, verify and read checkpoints."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from esmm_dist.checkpoint.format import (
    CheckpointFile,
    CheckpointManifest,
    checkpoint_folder,
    checkpoint_steps,
    folder_name,
    read_checkpoint_manifest,
)
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder

_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint with all its files, whose manifest and dense file have been verified.

    Its files of rows are there and have their size. Their checksums are compared while they are read: by
    ``EmbeddingStore.restore``, or by ``verify_tables``.
    """

    folder: Folder
    manifest: CheckpointManifest

    def dense(self) -> dict[str, npt.NDArray[Any]]:
        """Read and verify the dense weights and optimizer state, by name.

        Raises:
            CheckpointError: The file is damaged, or is not what a checkpoint holds.
        """
        file = self.manifest.dense
        where = f"{self.folder}/{file.path}"
        try:
            data = self.folder.read_bytes(file.path)
        except FileNotFoundError as e:
            raise CheckpointError(f"{where} is missing.") from e
        if google_crc32c.value(data) != file.crc32c:
            raise _changed(where)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
                for name, values in found.items():
                    if not isinstance(values, np.ndarray):  # what does not begin like an array comes back as bytes
                        raise ValueError(f"'{name}' is no array")
                return found
        except Exception as e:  # zipfile and NumPy do not say what nonsense may make them raise; EOFError is among it
            raise CheckpointError(f"{where} cannot be read: {e}. Use an older checkpoint.") from e


def open_checkpoint(run: Folder, step: int) -> Checkpoint:
    """Open the checkpoint of a step; see ``Checkpoint`` for what is verified.

    Raises:
        CheckpointError: There is none of this step, or a file is missing or damaged; the message names it.
        StorageError: The storage refuses.
    """
    folder = checkpoint_folder(run, step)
    sizes = folder.file_sizes()
    if not sizes:
        steps = ", ".join(str(each) for each in reversed(checkpoint_steps(run))) or "none"
        raise CheckpointError(f"{run} has no checkpoint of step {step}. It has: {steps}.")
    checkpoint = Checkpoint(folder=folder, manifest=read_checkpoint_manifest(folder))
    if checkpoint.manifest.step != step:
        raise CheckpointError(f"{folder} holds step {checkpoint.manifest.step}: it was renamed or copied.")
    for file in checkpoint.manifest.files():
        problem = wrong_size(file, sizes)
        if problem:
            raise CheckpointError(f"{folder}/{file.path} {problem}.")
    checkpoint.dense()
    return checkpoint


def wrong_size(file: CheckpointFile | TableFile, sizes: dict[str, int]) -> str | None:
    """Say what is wrong with a file, given the sizes of those that are there; None if nothing is."""
    if file.path not in sizes:
        return "is missing"
    if sizes[file.path] != file.file_bytes:
        return f"has {sizes[file.path]} bytes instead of {file.file_bytes}"
    return None


def verify_tables(checkpoint: Checkpoint) -> None:
    """Read all files of rows and compare their checksums.

    Raises:
        CheckpointError: A file is missing or damaged; the message names it.
        StorageError: The storage refuses.
    """
    for file in checkpoint.manifest.tables:
        checksum = 0
        where = f"{checkpoint.folder}/{file.path}"
        try:
            with checkpoint.folder.open_input(file.path) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    checksum = google_crc32c.extend(checksum, chunk)
        except FileNotFoundError as e:
            raise CheckpointError(f"{where} is missing.") from e
        if checksum != file.crc32c:
            raise _changed(where)


def restore_newest(run: Folder, progress: Progress, restore: Callable[[Checkpoint], None]) -> Checkpoint | None:
    """Restore the newest checkpoint that is undamaged; report each damaged one by file and leave it where it is.

    Args:
        run: folder of the run
        progress: receives a message for each damaged checkpoint
        restore: takes over weights and rows; called again, with the one before, if it raises CheckpointError
            (a file of rows turned out to be damaged); must leave nothing of the first behind then

    Returns:
        The checkpoint that was restored. None if the run has no checkpoint at all.

    Raises:
        CheckpointMismatchError: From ``restore``: those before would not fit either.
        CheckpointError: The run has checkpoints, and every one is damaged.
        EsmmError: Whatever else ``restore`` raises.
    """
    steps = checkpoint_steps(run)
    for step in steps:
        try:
            checkpoint = open_checkpoint(run, step)
            restore(checkpoint)
        except CheckpointMismatchError:
            raise
        except CheckpointError as e:
            progress.message(f"Checkpoint {folder_name(step)} is damaged and not used: {e}")
        else:
            return checkpoint
    if steps:
        raise CheckpointError(
            f"All {len(steps)} checkpoints of {run} are damaged. Restore one from a backup, or start a new run."
        )
    return None


def newest_checkpoint(run: Folder, progress: Progress) -> Checkpoint | None:
    """Open the newest checkpoint that is undamaged as far as ``Checkpoint`` says; raises as ``restore_newest``."""
    return restore_newest(run, progress, lambda checkpoint: None)


def _changed(where: str) -> CheckpointError:
    return CheckpointError(f"{where} has another checksum than the manifest: its bytes changed.")
