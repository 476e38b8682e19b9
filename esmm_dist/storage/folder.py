"""Folders on a local disk or at any URI that ``pyarrow.fs`` understands.

A run lives in such a folder. The two kinds differ in what they promise: a local disk renames a folder in one moment;
an object store knows no folders and renames nothing, but a file there is whole or is not there. What is built on
both (``esmm_dist.checkpoint``, ``esmm_dist.train.run_folder``) says how it copes.

Credentials are best left to the environment (``AWS_ACCESS_KEY_ID``, a role, ``~/.aws``). Where a URI holds them
(``s3://KEY:SECRET@bucket/run``), they reach neither messages nor files: see ``without_credentials``.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from esmm_dist.errors import StorageError
from esmm_dist.storage.arrow_path import arrow_path
from esmm_dist.storage.failures import storage_failures
from esmm_dist.storage.location import Location
from esmm_dist.storage.store_filesystem import open_store_filesystem
from esmm_dist.storage.whole_file import make_folder_durable, sync, write_durable


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """What a listing says about a file."""

    size: int
    """Bytes."""
    changed_ns: int
    """When it was written last, nanoseconds since 1970; a store may know it to the second only."""


class Folder:
    """A folder on a local disk, or at any URI that ``pyarrow.fs`` understands (s3://, gs://, hdfs://, file://).

    Opening one makes nothing. Names are plain names of files or folders right inside it; any other (``a/b``, ``..``)
    is a ``ValueError``, so that a name from a file or from the network cannot lead elsewhere. May be used from
    several threads. What fails raises ``StorageError``, whose message names the place; a file to read that is not
    there raises ``FileNotFoundError``.
    """

    def __init__(self, place: Location, filesystem: fs.FileSystem, path: str) -> None:
        """Use ``Folder.open``."""
        self._place, self._filesystem, self._path = place, filesystem, path

    @classmethod
    def open(cls, location: str | Path | Location) -> "Folder":
        """Return the folder at a path or URI, whether it exists or not.

        Raises:
            ConfigError: It is a URI of an unknown kind, with an unknown parameter, or that could mean several places.
            StorageError: What the URI names cannot be reached (some kinds connect at once).
        """
        place = location if isinstance(location, Location) else Location.parse(location)
        if place.is_local:
            return cls(place, fs.LocalFileSystem(), arrow_path(place.path))
        return cls(place, *open_store_filesystem(place))

    @property
    def parent(self) -> "Folder | None":
        """The folder that it is in. None: it is a bucket, or the root."""
        above = self._place.parent
        if above is None:
            return None
        return Folder(
            above, self._filesystem, arrow_path(above.path) if self.is_local else self._path.rpartition("/")[0]
        )

    def __truediv__(self, name: str) -> "Folder":
        """Return the folder of a plain name inside this one."""
        path = self._inside(name)
        return Folder(self._place / name, self._filesystem, path)

    def __str__(self) -> str:
        return str(self._place)

    def __repr__(self) -> str:
        return f"Folder({str(self)!r})"

    @property
    def location(self) -> str:
        """What ``Folder.open`` opens again, in other processes too. May hold credentials: messages show ``str``."""
        return os.path.abspath(self._place.path) if self.is_local else self._place.text

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self._path.rpartition("/")[2]

    @property
    def is_local(self) -> bool:
        """Whether it is on a file system of this machine, where a rename takes one moment and files can grow."""
        return isinstance(self._filesystem, fs.LocalFileSystem)

    @property
    def local_path(self) -> Path:
        """The path of a local folder."""
        assert self.is_local, f"{self} has no local path"
        return Path(self._path)

    def is_within(self, other: "Folder") -> bool:
        """Return whether it is another folder or lies in it, by their locations: with other names for one store, no."""
        return self._place.is_within(other._place)

    def make(self) -> None:
        """Make the folder and those above it, on the disk on return; nothing happens if it is there.

        An object store is at least reached here: missing buckets and wrong credentials show.
        """
        with self._failures("cannot be made"):
            if self.is_local:
                make_folder_durable(self.local_path)
            else:
                self._filesystem.create_dir(self._path, recursive=True)

    def exists(self) -> bool:
        """Return whether there is such a folder; in an object store, whether anything is in it."""
        with self._failures("cannot be looked at"):
            return bool(self._filesystem.get_file_info(self._path).type == fs.FileType.Directory)

    def names(self) -> list[str]:
        """Return the plain names of all files and folders in it, in order; none if the folder is not there."""
        return sorted(info.base_name for info in self._infos())

    def file_sizes(self) -> dict[str, int]:
        """Return the bytes of each file in it, by plain name; none if the folder is not there."""
        return {info.base_name: int(info.size) for info in self._infos() if info.type == fs.FileType.File}

    def tree(self) -> dict[str, StoredFile]:
        """Return all files in it and in the folders below, by their path within it: ``train/lane-0.tfrecord``.

        None if the folder is not there. A name that could lead out of a folder it is copied to, and what is neither
        a file nor a folder (a link to a folder, a pipe), is a ``StorageError``.
        """
        found = dict(self._local_tree() if self.is_local else self._remote_tree())
        for path in found:
            if not all(is_plain_name(part) for part in path.split("/")):
                raise StorageError(f"{self} holds '{path}', which is no name of a file on a disk. Give it another.")
        return dict(sorted(found.items()))

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        with self._failures("cannot be looked at", name, reading=True):
            info = self._filesystem.get_file_info(self._inside(name))
            if info.type != fs.FileType.File:
                raise FileNotFoundError
            return int(info.size)

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        with self._failures("cannot be looked at", name):
            return bool(self._filesystem.get_file_info(self._inside(name)).type == fs.FileType.File)

    def read_bytes(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with self.open_input(name) as stream:
            return bytes(stream.read())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file, or replace one: whole or not at all. On a local disk the bytes are on it on return."""
        if not self.is_local:
            with self.open_output(name) as stream:
                stream.write(data)
            return
        with self._failures("cannot be written", name):
            write_durable(Path(self._inside(name)), data)

    @contextmanager
    def open_output(self, name: str) -> Iterator[pa.NativeFile]:
        """Write a file piece by piece. On a local disk the bytes are on it at the end.

        A block that fails may leave the beginning of the file.
        """
        with self._failures("cannot be written", name):
            if not self.is_local:
                # As they are: Arrow would compress what goes into a file whose name ends in .gz
                with self._filesystem.open_output_stream(self._inside(name), compression=None) as stream:
                    yield stream
                return
            with pa.OSFile(self._inside(name), "wb") as stream:
                yield stream
            sync(Path(self._inside(name)))

    @contextmanager
    def open_input(self, name: str) -> Iterator[pa.NativeFile]:
        """Read a file, at any place in it."""
        with (
            self._failures("cannot be read", name, reading=True),
            self._filesystem.open_input_file(self._inside(name)) as stream,
        ):
            yield stream

    def delete_file(self, name: str) -> None:
        """Remove a file; nothing happens if it is not there."""
        with self._failures("cannot be removed", name):
            try:
                self._filesystem.delete_file(self._inside(name))
            except FileNotFoundError:
                return

    def delete(self) -> None:
        """Remove the folder with all that is in it; nothing happens if it is not there.

        Not in one moment: killed in between, some of it is left.
        """
        with self._failures("cannot be removed"):
            try:
                if self.is_local:
                    shutil.rmtree(self.local_path)
                else:
                    self._filesystem.delete_dir(self._path)
            except FileNotFoundError:
                return

    def rename_to(self, other: "Folder") -> None:
        """Give a local folder another name in one moment, on the disk on return; no folder may have that name."""
        with self._failures("cannot be renamed"):
            sync(self.local_path)
            self.local_path.rename(other.local_path)
            sync(other.local_path.parent)

    def _local_tree(self) -> Iterator[tuple[str, StoredFile]]:
        top = self.local_path

        def refuse(error: OSError) -> None:
            if error.filename != str(top) or not isinstance(error, FileNotFoundError):
                raise error

        with self._failures("cannot be listed"):
            for folder, folders, files in os.walk(top, onerror=refuse):
                for name in [*(each for each in folders if os.path.islink(os.path.join(folder, each))), *files]:
                    path = Path(folder, name)
                    if not path.is_file():
                        raise StorageError(f"{path} is neither a file nor a folder. Leave it out.")
                    about = path.stat()
                    yield (
                        path.relative_to(top).as_posix(),
                        StoredFile(size=about.st_size, changed_ns=about.st_mtime_ns),
                    )

    def _remote_tree(self) -> Iterator[tuple[str, StoredFile]]:
        with self._failures("cannot be listed"):
            for info in self._filesystem.get_file_info(
                fs.FileSelector(self._path, allow_not_found=True, recursive=True)
            ):
                if info.type == fs.FileType.File:
                    path = info.path.removeprefix(f"{self._path}/")
                    yield path, StoredFile(size=int(info.size), changed_ns=int(info.mtime_ns or 0))

    def _infos(self) -> list[fs.FileInfo]:
        with self._failures("cannot be listed"):
            found = self._filesystem.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
            return list(found)

    def _inside(self, name: str) -> str:
        if not is_plain_name(name):
            raise ValueError(f"'{name}' is not the plain name of a file or folder")
        return f"{self._path.rstrip('/')}/{name}"

    def _failures(self, what: str, name: str | None = None, *, reading: bool = False) -> AbstractContextManager[None]:
        place = f"{self}/{name}" if name is not None else str(self)
        return storage_failures(self._place, place, what, reading=reading)


def is_plain_name(name: str) -> bool:
    """Return whether a text names one file or folder, and so cannot lead out of the folder it is looked for in."""
    return name not in ("", ".", "..") and not any(c in name for c in "/\\\0")
