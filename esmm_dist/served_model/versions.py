"""Versions of a served model in a folder, on a disk or in an object store: which there are, and which one to serve.

::

    MODELS/3/                  a full version
    MODELS/4.delta/            what makes version 4 of version 3
    MODELS/current.json        which one is in service; without it, the newest whose bases are there

A folder whose name is anything else, and one without ``served/manifest.json``, is no version.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from esmm_dist.errors import ServedModelError
from esmm_dist.served_model.manifest import MANIFEST_NAME, SERVED_FOLDER, ServedBase, read_served_manifest
from esmm_dist.served_model.version_folders import DELTA_SUFFIX, is_version_name
from esmm_dist.storage.folder import Folder

CURRENT_NAME = "current.json"
"""Names the version in service, ``{"version": 3}``, among other things; ``esmm pipeline`` writes it."""


_NOTHING = "no manifest"


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """A version that is there."""

    name: str
    """Name of its folder: ``3`` or ``4.delta``."""
    number: int
    model_id: str
    base: ServedBase | None
    """None: a full version."""
    step: int

    @property
    def is_delta(self) -> bool:
        """Whether it is a delta."""
        return self.base is not None


@dataclass(frozen=True, kw_only=True)
class VersionChoice:
    """Which version to serve."""

    chain: tuple[ServedVersion, ...]
    """The full version, then the deltas that lead to the one to serve; empty: there is none."""
    skipped: Mapping[str, str]
    """Why newer versions, or the one that is in service, cannot be served, by name."""

    @property
    def name(self) -> str | None:
        """Name of the version to serve; None: there is none."""
        return self.chain[-1].name if self.chain else None


class VersionList:
    """The versions of a folder, for who looks again and again: a manifest is read once.

    A look lists the folder, and of each version that is known looks at nothing more in a store, and at its manifest's
    time on a disk. Not for several threads at once.
    """

    def __init__(self, folder: Folder) -> None:
        """Begin with nothing read.

        Args:
            folder: folder of the versions
        """
        self.folder = folder
        self._known: dict[str, tuple[object, ServedVersion]] = {}
        self._unreadable: dict[str, str] = {}

    def versions(self) -> list[ServedVersion]:
        """Look at the folder; return the versions in it, oldest first.

        Raises:
            StorageError: The storage refuses.
        """
        known: dict[str, tuple[object, ServedVersion]] = {}
        self._unreadable = {}
        for name in self.folder.names():
            if not is_version_name(name):
                continue
            stamp = self._stamp(name)
            if stamp == _NOTHING:
                continue
            if name in self._known and self._known[name][0] == stamp:
                known[name] = self._known[name]
                continue
            try:
                known[name] = (stamp, _read_version(self.folder, name))
            except FileNotFoundError:
                continue
            except ServedModelError as e:
                self._unreadable[name] = str(e)
        self._known = known
        return sorted((version for _, version in known.values()), key=lambda each: (each.number, not each.is_delta))

    def choose(self) -> VersionChoice:
        """Look at the folder; return the version to serve.

        Raises:
            ServedModelError: ``current.json`` is damaged.
            StorageError: The storage refuses.
        """
        versions = self.versions()
        current = _current(self.folder)
        candidates, skipped = list(reversed(versions)), dict(self._unreadable)
        if current is not None:
            candidates = [each for each in candidates if each.number == current]
            skipped = {name: why for name, why in skipped.items() if _number(name) == current}
            if not candidates and not skipped:
                skipped[str(current)] = (
                    f"{self.folder}/{CURRENT_NAME} names version {current}, which has no {SERVED_FOLDER}/"
                    f"{MANIFEST_NAME}. Export it with this version of esmm_dist, or copy it whole."
                )
        for each in candidates:
            try:
                return VersionChoice(chain=tuple(_chain(versions, each, self.folder)), skipped=skipped)
            except ServedModelError as e:
                skipped[each.name] = str(e)
        return VersionChoice(chain=(), skipped=skipped)

    def _stamp(self, name: str) -> object:
        """Return what changes when a version is written again; in a store nothing does: a version's name is its own."""
        if not self.folder.is_local:
            return None
        try:
            about = (self.folder.local_path / name / SERVED_FOLDER / MANIFEST_NAME).stat()
        except OSError:  # not there, or the name is a file's
            return _NOTHING
        if not stat.S_ISREG(about.st_mode):  # reading a pipe would wait for ever
            return _NOTHING
        return about.st_ino, about.st_size, about.st_mtime_ns


def versions_in(folder: Folder) -> list[ServedVersion]:
    """Return the versions in a folder, oldest first; a delta before the full version of its number.

    Raises:
        StorageError: The storage refuses.
    """
    return VersionList(folder).versions()


def chain_of(folder: Folder, name: str) -> list[str]:
    """Return the names of the versions that make a version: a full one, then deltas; the last is itself.

    Raises:
        ServedModelError: It is not there, or a base is not.
        StorageError: The storage refuses.
    """
    versions = versions_in(folder)
    for each in versions:
        if each.name == name:
            return [version.name for version in _chain(versions, each, folder)]
    names = ", ".join(each.name for each in versions) or "none"
    raise ServedModelError(f"{folder} has no version {name}. It has: {names}.")


def version_to_serve(folder: Folder) -> str:
    """Return the name of the version to serve: that of ``current.json``, else the newest whose bases are there.

    Raises:
        ServedModelError: There is none; the message says why each was skipped. Or ``current.json`` is damaged.
        StorageError: The storage refuses.
    """
    choice = VersionList(folder).choose()
    if choice.name is None:
        raise ServedModelError(no_version_text(folder, choice))
    return choice.name


def no_version_text(folder: Folder, choice: VersionChoice) -> str:
    """Return the message that no version can be served."""
    reasons = " ".join(choice.skipped.values())
    return f"{folder} holds no version that can be served. {reasons or 'Write one: esmm export --out FOLDER/1.'}"


def _read_version(folder: Folder, name: str) -> ServedVersion:
    manifest = read_served_manifest(folder / name / SERVED_FOLDER)
    is_delta = name.endswith(DELTA_SUFFIX)
    if is_delta != (manifest.base is not None):
        what = "full version" if is_delta else f"delta of version {manifest.base.version if manifest.base else ''}"
        other = name.removesuffix(DELTA_SUFFIX) if is_delta else f"{name}{DELTA_SUFFIX}"
        raise ServedModelError(f"{folder}/{name} holds a {what}. Give the folder the name {other}.")
    return ServedVersion(
        name=name, number=_number(name), model_id=manifest.model_id, base=manifest.base, step=manifest.step
    )


def _chain(versions: list[ServedVersion], version: ServedVersion, folder: Folder) -> list[ServedVersion]:
    """Return the full version and the deltas that lead to a version, which is the last.

    A base is the version that a delta names; where that is gone or another one now, any with the same model.
    """
    chain = [version]
    while (base := chain[-1].base) is not None:
        same = [each for each in versions if each.model_id == base.model_id and each not in chain]
        if not same:
            raise ServedModelError(
                f"{folder}/{chain[-1].name} is a delta of version {base.version} (model {base.model_id}), which is "
                "not there. Copy that version here, or export a full one."
            )
        chain.append(min(same, key=lambda each: (each.name != base.version, each.is_delta, each.number)))
    return list(reversed(chain))


def _current(folder: Folder) -> int | None:
    """Return the version that ``current.json`` names; None if there is no such file."""
    if folder.is_local and (path := folder.local_path / CURRENT_NAME).exists() and not path.is_file():
        raise ServedModelError(f"{folder}/{CURRENT_NAME} is no file. Remove it, or write one.")
    try:
        found = json.loads(folder.read_bytes(CURRENT_NAME))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as e:
        raise ServedModelError(f"{folder}/{CURRENT_NAME} is damaged ({e}). Write it again, or remove it.") from e
    version = found.get("version") if isinstance(found, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ServedModelError(f"{folder}/{CURRENT_NAME} names no version. Write it again, or remove it.")
    return version


def _number(name: str) -> int:
    return int(name.removesuffix(DELTA_SUFFIX))
