"""Fetch what ``esmm preprocess --like`` and ``--vocabulary`` name: files of a data set, or the ids of a run's rows."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.errors import ConfigError
from esmm_dist.inference.row_ids import ids_of_rows
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.schema.manifest import MANIFEST_NAME, read_manifest
from esmm_dist.storage.copy import copy_file
from esmm_dist.storage.folder import Folder
from preprocess.config import PreprocessConfig
from preprocess.identity import settings_like
from preprocess.join.known_ids import KNOWN_IDS_NAME, write_known_ids
from preprocess.join.vocabulary import RARE_IDS_NAME, VOCABULARY_NAME


@contextmanager
def known_ids_fetched(settings: PreprocessConfig, progress: Progress) -> Iterator[PreprocessConfig]:
    """Yield the settings with local folders for ``like`` and ``vocabulary``, for the ``with`` block.

    Raises:
        ConfigError: ``vocabulary`` is neither a data set nor a run
        InputDataError: ``like`` is not a data set
        CheckpointError: the run's checkpoint is damaged
        StorageError: a store cannot be read
    """
    if settings.like is None and settings.vocabulary is None:
        yield settings  # without a temporary folder, which a preprocess killed with -9 would leave behind
        return
    with tempfile.TemporaryDirectory(prefix="esmm-known-") as scratch:
        fetched: dict[str, Any] = {}
        if settings.like is not None:
            fetched["like"] = str(_data_set(Folder.open(settings.like), Path(scratch) / "like", progress))
        if settings.vocabulary is not None:
            fetched["vocabulary"] = str(_vocabulary(settings.vocabulary, Path(scratch) / "vocabulary", progress))
        yield replace(settings, **fetched)


def stored_settings_like(location: str) -> dict[str, Any]:
    """Return the settings that a data set, at a path or URI, was made with.

    Raises:
        InputDataError: it is not a data set
        StorageError: a store cannot be read
    """
    with tempfile.TemporaryDirectory(prefix="esmm-known-") as scratch:
        return settings_like(read_manifest(_data_set(Folder.open(location), Path(scratch) / "like", NoProgress())))


def _data_set(folder: Folder, copy: Path, progress: Progress) -> Path:
    """Return a local folder with the manifest and the ids of a data set: itself, or a copy of these files alone."""
    if folder.is_local:
        return folder.local_path
    target = Folder.open(copy)
    target.make()
    for name in (MANIFEST_NAME, VOCABULARY_NAME, RARE_IDS_NAME, KNOWN_IDS_NAME):
        if folder.has(name):
            copy_file(folder, name, target, name, progress)
    return copy


def _vocabulary(location: str, copy: Path, progress: Progress) -> Path:
    folder = Folder.open(location)
    if folder.has(MANIFEST_NAME):
        return _data_set(folder, copy, progress)
    choice = CheckpointChoice.parse(location)
    run = Folder.open(choice.run)
    if not checkpoint_steps(run):
        raise ConfigError(
            f"vocabulary is {folder}, which is neither a data set (it has no {MANIFEST_NAME}) nor a run (it has no "
            "checkpoint). Give the folder that esmm preprocess or esmm train wrote."
        )
    copy.mkdir()

    def take(checkpoint: Checkpoint) -> None:
        files = [file for file in checkpoint.manifest.tables if file.kind == "rows"]
        progress.start(f"read the ids of {checkpoint.folder}", sum(file.rows for file in files), "rows")
        write_known_ids(copy / KNOWN_IDS_NAME, ids_of_rows(checkpoint))

    choice.restore(progress, take)
    return copy
