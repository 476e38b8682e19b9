"""Write a checkpoint: all or nothing."""

import contextlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import google_crc32c
import numpy as np

from esmm_dist.arrays import Array
from esmm_dist.calibration.calibration import Calibration
from esmm_dist.checkpoint.format import (
    DENSE_NAME,
    MANIFEST_NAME,
    CheckpointFile,
    CheckpointManifest,
    checkpoint_folder,
    checkpoint_steps,
    checkpoints_folder,
    folder_name,
    read_checkpoint_manifest,
    step_of,
)
from esmm_dist.checkpoint.pins import is_pinned, pinned_steps
from esmm_dist.checkpoint.reader import wrong_size
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.errors import LostError, RetryError, StorageError
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials

_WRITING = ".writing-"
_REMOVING = ".removing-"


@dataclass(frozen=True, kw_only=True)
class CheckpointContent:
    """What a checkpoint holds beside the rows of its tables."""

    step: int
    """Steps done."""
    schema: Schema
    """Names the tables."""
    dense: Mapping[str, Array]
    """Dense weights and optimizer state by name."""
    settings: Mapping[str, Any]
    """Resolved settings, as plain values; credentials in them are not written."""
    state: Mapping[str, Any]
    """What training continues from, as plain values."""
    metrics: Mapping[str, Any]
    """The newest evaluation, as plain values; empty if there was none."""
    calibration: Calibration | None = None
    """What was fitted on the logits of this step, if anything was."""


def write_checkpoint(
    run: Folder, content: CheckpointContent, store: EmbeddingStore, *, keep: int, kept_steps: Collection[int] = ()
) -> Folder:
    """Write a checkpoint and remove the oldest beyond ``keep`` that are not pinned.

    Blocks until the bytes are stored. A checkpoint of the same step is replaced; in an object store it is gone from
    the beginning of the writing.

    Args:
        run: folder of the run
        content: all but the rows
        store: writes the rows of all tables
        keep: checkpoints to keep, 1 or more
        kept_steps: steps of checkpoints that are kept beside them

    Returns:
        The checkpoint's folder.

    Raises:
        RetryError: The storage refused (full, read-only, not reachable), or a server did. The checkpoints before are
            untouched; the message says whether this one is written.
    """
    step = content.step
    final = checkpoint_folder(run, step)
    unfinished = checkpoints_folder(run) / f"{_WRITING}{final.name}" if run.is_local else final
    try:
        _write_whole(run, content, store, unfinished)
    except RetryError as e:
        with contextlib.suppress(StorageError):  # the next write removes what this one leaves
            unfinished.delete()
        if isinstance(e, LostError):
            raise
        raise RetryError(f"The checkpoint of step {step} could not be written; those before are intact. {e}") from e
    try:
        # Those of later steps are damaged, or training would not be here: they must not push out good ones
        written = [each for each in checkpoint_steps(run) if each <= step]
        kept = {*kept_steps, *pinned_steps(run)}
        for old in written[keep:]:
            if old not in kept:
                _remove(run, old, unless_pinned=True)
    except StorageError as e:
        raise RetryError(f"The checkpoint of step {step} is written, but older ones could not be removed. {e}") from e
    return final


def _write_whole(run: Folder, content: CheckpointContent, store: EmbeddingStore, unfinished: Folder) -> None:
    """Write all files of a checkpoint into ``unfinished``, its manifest last; on a local disk rename that folder."""
    step = content.step
    checkpoints_folder(run).make()
    _clear_away(run)
    if not run.is_local:
        _remove(run, step)
    unfinished.make()
    tables = store.save(unfinished, step=step)
    _check_written(unfinished, tables)
    manifest = CheckpointManifest(
        step=step,
        saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        schema=content.schema,
        settings=without_credentials(content.settings),
        state=dict(content.state),
        metrics=dict(content.metrics),
        dense=_write_dense(unfinished, content.dense),
        tables=tables,
        calibration=content.calibration,
    )
    unfinished.write_bytes(MANIFEST_NAME, manifest.to_json().encode())
    if run.is_local:
        _remove(run, step)
        unfinished.rename_to(checkpoint_folder(run, step))


def rewrite_manifest(
    folder: Folder, *, metrics: Mapping[str, Any], state: Mapping[str, Any], calibration: Calibration | None
) -> None:
    """Set metrics, state and calibration of a written checkpoint: those of an evaluation that came after it.

    Raises:
        CheckpointError: The checkpoint is not there.
        RetryError: The storage refused; the manifest is as before.
    """
    before = read_checkpoint_manifest(folder)
    manifest = replace(before, metrics=dict(metrics), state=dict(state), calibration=calibration)
    try:
        folder.write_bytes(MANIFEST_NAME, manifest.to_json().encode())
    except StorageError as e:
        raise RetryError(
            f"The metrics could not be added to {folder}; the checkpoint is intact without them. {e} Then run the "
            "same command again."
        ) from e


def _check_written(folder: Folder, tables: Sequence[TableFile]) -> None:
    """Check that the files that the store reports as written are here.

    Each server writes its own. A server that does not see this folder would have written into a folder of the same
    name on its own machine, and only a restore, some day, would find out.
    """
    sizes = folder.file_sizes()
    for file in tables:
        problem = wrong_size(file, sizes)
        if problem:
            raise StorageError(
                f"{folder}/{file.path} {problem}, although it was reported as written: table '{file.table}', buckets "
                f"{file.first_bucket} to {file.last_bucket - 1}. --run must be storage that this process and all "
                "servers see: a shared path, or a URI such as s3://bucket/run."
            )


def _write_dense(folder: Folder, dense: Mapping[str, Array]) -> CheckpointFile:
    buffer = io.BytesIO()
    np.savez(buffer, **dense)
    data = buffer.getvalue()
    folder.write_bytes(DENSE_NAME, data)
    return CheckpointFile(path=DENSE_NAME, file_bytes=len(data), crc32c=int(google_crc32c.value(data)))


def _remove(run: Folder, step: int, *, unless_pinned: bool = False) -> None:
    """Remove a checkpoint such that, killed in between, none of it passes for a damaged one.

    Args:
        run: folder of the run
        step: step of the checkpoint
        unless_pinned: whether it stays if a pin has come since the pins were listed: who pins looks for the checkpoint
            after writing the pin, and this looks for the pin after taking the checkpoint away
    """
    folder = checkpoint_folder(run, step)
    if not folder.exists():
        return
    if run.is_local:
        hidden = checkpoints_folder(run) / f"{_REMOVING}{folder.name}"
        folder.rename_to(hidden)
        if unless_pinned and is_pinned(run, step):
            hidden.rename_to(folder)
            return
        hidden.delete()
    else:
        manifest = folder.read_bytes(MANIFEST_NAME) if unless_pinned else b""
        folder.delete_file(MANIFEST_NAME)
        if unless_pinned and is_pinned(run, step):
            folder.write_bytes(MANIFEST_NAME, manifest)
            return
        folder.delete()


def _clear_away(run: Folder) -> None:
    """Remove what killed or failed writes and removals have left."""
    parent = checkpoints_folder(run)
    whole = {folder_name(step) for step in checkpoint_steps(run)}
    for name in parent.names():
        if name.startswith((_WRITING, _REMOVING)) or (step_of(name) is not None and name not in whole):
            (parent / name).delete()
