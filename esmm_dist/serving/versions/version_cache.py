"""Copies, on a disk of this machine, of the versions that are in an object store."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from esmm_dist.errors import ConfigError, ServedModelError
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.served_model.manifest import SERVED_FOLDER, ServedManifest
from esmm_dist.storage.copy import copy_file, copy_tree
from esmm_dist.storage.folder import Folder

ASSETS_FOLDER, GOLDEN_NAME = "assets.extra", "golden.json"
_LOCK_NAME = ".esmm-serve.lock"


class VersionCache:
    """Copies of versions, a folder each: ``NAME-MODEL_ID``. Use it as a context manager, in one thread.

    Only what is served is copied: not the SavedModel for others. A copy that was ended continues with the next call,
    file by file, in another process too. Every file is checked when it has come; one that is wrong is fetched once
    more.
    """

    def __init__(self, folder: Path | None) -> None:
        """Make the folder.

        Args:
            folder: place of the copies, which stay there; None: a temporary one that is removed at the end

        Raises:
            ConfigError: another server uses it
            StorageError: it cannot be made
        """
        self._temporary = folder is None
        self._folder = Path(tempfile.mkdtemp(prefix="esmm-serve-")) if folder is None else folder.absolute()
        with refusals_named(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock: IO[bytes] = (self._folder / _LOCK_NAME).open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._lock.close()
            raise ConfigError(
                f"cache {self._folder} is used by another esmm serve. Give each its own, or more --workers to one."
            ) from e

    def fetch(self, version: Folder, manifest: ServedManifest, progress: Progress) -> Path:
        """Copy what is served of a version, unless it is there; blocks until it is.

        Args:
            version: folder of the version in the store
            manifest: its manifest
            progress: receives the bytes; what it raises ends the copy

        Returns:
            The folder of the copy, which has the form of a version.

        Raises:
            ServedModelError: a file does not have its checksum, fetched twice
            StorageError: it cannot be read or written, or does not fit on the disk
        """
        copy = self.place_of(version, manifest)
        served = copy / SERVED_FOLDER
        checked = copy / ".checked"
        if checked.exists():
            return copy
        with refusals_named(copy):
            for again in (False, True):
                copy_tree(version / SERVED_FOLDER, Folder.open(served), progress, task=f"fetch version {version.name}")
                with contextlib.suppress(FileNotFoundError):
                    assets = Folder.open(copy / ASSETS_FOLDER)
                    copy_file(version / ASSETS_FOLDER, GOLDEN_NAME, assets, GOLDEN_NAME, NoProgress())
                wrong = [file.path for file in manifest.files() if file_crc32c(served / file.path) != file.crc32c]
                if not wrong:
                    break
                for path in wrong:
                    (served / path).unlink()
                if again:
                    raise ServedModelError(
                        f"{version}/{SERVED_FOLDER}/{wrong[0]} does not have its checksum: it is damaged. Export the "
                        "version again."
                    )
            checked.touch()
        return copy

    def place_of(self, version: Folder, manifest: ServedManifest) -> Path:
        """Return the folder of a version's copy."""
        return self._folder / f"{version.name}-{manifest.model_id}"

    def keep_only(self, folders: Sequence[Path]) -> None:
        """Remove the copies of all other versions; what is mapped of them stays readable until it is let go."""
        for path in self._folder.iterdir():
            if path.is_dir() and path not in folders:
                shutil.rmtree(path, ignore_errors=True)

    def __enter__(self) -> "VersionCache":
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of the folder; remove a temporary one."""
        self._lock.close()
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)


def remove_abandoned(within: Path) -> None:
    """Remove temporary folders that servers have left which were killed: nobody holds their locks."""
    for path in within.glob("esmm-serve-*"):
        lock = path / _LOCK_NAME
        with contextlib.suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)
