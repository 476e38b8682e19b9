"""Finds the version to serve, on disk or in an object store, and makes its files ready to be mapped."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError, EsmmError, ServedModelError
from esmm_dist.progress import Progress
from esmm_dist.served_model.manifest import MANIFEST_NAME, SERVED_FOLDER, ServedManifest, read_served_manifest
from esmm_dist.served_model.version_folders import is_version_name
from esmm_dist.served_model.versions import ServedVersion, VersionList, chain_of, no_version_text
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.version_cache import VersionCache
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import COPYING

SAVED_MODEL_NAME = "saved_model.pb"

_EXPORT = "Export it again with this version of esmm_dist."

Stamp = tuple[tuple[str, int, int], ...]
"""Path, size and time of each file of a version and of those that it is applied to."""


class NothingToServeError(EsmmError):
    """There is no version that can be served yet, or the one to serve is not whole yet."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A version, after those that it is applied to."""

    name: str
    number: int
    folders: tuple[Folder, ...]
    identities: tuple[str, ...]


class VersionWatch:
    """Looks at the folder of versions whenever it is asked. Use it in one thread.

    A version that was refused is not offered again until one of its files changes. While none is in service, an older
    one is offered in the place of one that was refused or is not whole. A folder that is itself a version is the only
    one, and is offered once.
    """

    def __init__(self, models: Folder, cache: VersionCache | None) -> None:
        """Look whether the place can hold versions.

        Args:
            models: folder of the versions, or one version itself
            cache: keeps files of versions that are in an object store; None: the versions are on disk

        Raises:
            ConfigError: it is a file, a delta, or a SavedModel without the part that is served
            StorageError: the disk or the store refuses
        """
        self._models, self._cache = models, cache
        self._list = VersionList(models)
        self._only = _only_version(models)
        self._taken: tuple[str, ...] = ()
        self._in_use: tuple[Path, ...] = ()
        self._offered_stamp: Stamp = ()
        self._refused: dict[str, Stamp] = {}
        self.skipped: Mapping[str, str] = {}
        """Why versions that are newer than the one to serve cannot be served, by name, at the last look."""

    @property
    def is_one_version(self) -> bool:
        """Whether the folder is itself a version: no other can come."""
        return self._only is not None

    def look(self, progress: Progress) -> OfferedVersion | None:
        """Return the version to serve, if it is another than the one that was taken or refused last.

        In an object store: blocks until its files are on this machine.

        Args:
            progress: receives the bytes that are copied; what it raises ends the copy

        Raises:
            NothingToServeError: there is none; or it is not whole yet
            ServedModelError: a manifest or a file that was copied is damaged
            StorageError: the disk or the store refuses
        """
        found = self._only or self._find()
        if found.identities == self._taken:
            return None
        why: NothingToServeError | None = None
        for candidate in [found] if self._taken or self._only else [found, *self._older_than(found)]:
            try:
                if (offered := self._offer(candidate, progress)) is not None:
                    return offered
            except NothingToServeError as e:
                why = why or e
        if why is not None:
            raise why
        return None

    def _offer(self, found: _Found, progress: Progress) -> OfferedVersion | None:
        """Return a version with its files on this machine; None if it was refused and has not changed."""
        manifests = [_manifest(folder) for folder in found.folders]
        try:
            stamp = _stamp(found.folders, manifests)
        except NothingToServeError:
            self._refused.pop(found.name, None)  # it has changed, and a store may know times to the second only
            raise
        if stamp == self._refused.get(found.name):
            return None
        if self._cache is None:
            folders = tuple(folder.local_path.absolute() for folder in found.folders)
        else:
            folders = self._fetched(found, manifests, stamp, self._cache, progress)
        self._offered_stamp = stamp
        return OfferedVersion(name=found.name, number=found.number, folders=folders, identities=found.identities)

    def settle(self, offered: OfferedVersion, *, taken: bool) -> None:
        """Note what became of a version that was offered."""
        if not taken:
            self._refused[offered.name] = self._offered_stamp
            return
        self._taken, self._in_use = offered.identities, offered.folders
        if self._cache is not None:
            self._cache.keep_only(offered.folders)

    def forget(self) -> None:
        """Offer the version to serve again, whatever was taken before."""
        self._taken = ()

    def _find(self) -> _Found:
        if self._refused and self._cache is not None:
            self._list = VersionList(self._models)  # in a store a manifest is read once, but that version may be mended
        choice = self._list.choose()
        self.skipped = choice.skipped
        if not choice.chain:
            raise NothingToServeError(no_version_text(self._models, choice) + _what_is_there(self._models))
        return self._found(choice.chain)

    def _older_than(self, found: _Found) -> Iterator[_Found]:
        """Yield the versions with lower numbers whose bases are there, newest first."""
        versions = self._list.versions()
        by_name = {each.name: each for each in versions}
        for each in reversed(versions):
            if each.number < found.number:
                with contextlib.suppress(ServedModelError):
                    yield self._found([by_name[name] for name in chain_of(self._models, each.name)])

    def _found(self, chain: Sequence[ServedVersion]) -> _Found:
        return _Found(
            name=chain[-1].name,
            number=chain[-1].number,
            folders=tuple(self._models / each.name for each in chain),
            identities=tuple(f"{each.name} {each.model_id}" for each in chain),
        )

    def _fetched(
        self, found: _Found, manifests: list[ServedManifest], stamp: Stamp, cache: VersionCache, progress: Progress
    ) -> tuple[Path, ...]:
        parts = list(zip(found.folders, manifests, strict=True))
        cache.keep_only([*self._in_use, *(cache.place_of(*part) for part in parts)])
        try:
            return tuple(cache.fetch(*part, progress) for part in parts)
        except ServedModelError:
            self._refused[found.name] = stamp
            raise


def _only_version(models: Folder) -> _Found | None:
    """Return the version that a folder itself is; None if it holds versions, or may come to hold some."""
    if models.is_local and models.local_path.is_file():
        raise ConfigError(f"models is {models}, a file. Give the folder that holds the versions.")
    if not (models / SERVED_FOLDER).has(MANIFEST_NAME):
        if models.has(SAVED_MODEL_NAME):
            raise ConfigError(f"models is {models}, a SavedModel without {SERVED_FOLDER}/{MANIFEST_NAME}. {_EXPORT}")
        return None
    manifest = read_served_manifest(models / SERVED_FOLDER)
    if manifest.base is not None:
        raise ConfigError(
            f"models is {models}, a delta of version {manifest.base.version}. Give the folder that both are in."
        )
    name = models.name
    number = int(name) if name.isascii() and name.isdigit() else 1
    return _Found(name=name, number=number, folders=(models,), identities=(f"{name} {manifest.model_id}",))


def _what_is_there(models: Folder) -> str:
    """Return what to do about what is there, but is no version that can be served; empty if there is nothing."""
    names = models.names()
    plain = [
        name
        for name in names
        if name.isdigit()
        and (models / name).has(SAVED_MODEL_NAME)
        and not (models / name / SERVED_FOLDER).has(MANIFEST_NAME)
    ]
    if plain:
        return f" {models}/{plain[-1]} is a SavedModel without {SERVED_FOLDER}/{MANIFEST_NAME}. {_EXPORT}"
    if not models.is_local:
        return ""
    if not models.exists():
        return f" There is no folder {models} yet."
    for name in names:
        if name.startswith(".") or is_version_name(name):
            continue
        manifest = models.local_path / name / SERVED_FOLDER / MANIFEST_NAME
        if os.path.isfile(manifest):  # False for a folder that this user may not enter, such as lost+found
            return f" The name of {models}/{name} is not that of a version. esmm serve {models}/{name} serves it alone."
    return ""


def _manifest(folder: Folder) -> ServedManifest:
    try:
        return read_served_manifest(folder / SERVED_FOLDER)
    except FileNotFoundError as e:
        raise NothingToServeError(f"{folder} is gone since it was listed.") from e


def _stamp(folders: tuple[Folder, ...], manifests: list[ServedManifest]) -> Stamp:
    """Return the state of the files of versions.

    Raises:
        NothingToServeError: some are not there, or not as long as the manifest says
    """
    stamp: list[tuple[str, int, int]] = []
    for folder, manifest in zip(folders, manifests, strict=True):
        tree = folder.tree()
        if COPYING in tree:
            raise NothingToServeError(f"{folder} is being copied.")
        for file in manifest.files():
            there = tree.get(f"{SERVED_FOLDER}/{file.path}")
            if there is None or there.size != file.file_bytes:
                state = "is not there" if there is None else f"has {there.size:,} of {file.file_bytes:,} bytes"
                raise NothingToServeError(f"{folder} is not whole yet: {SERVED_FOLDER}/{file.path} {state}.")
        stamp += ((f"{folder.name}/{path}", about.size, about.changed_ns) for path, about in tree.items())
    return tuple(stamp)
